//! What can go wrong with a native referent.

use std::fmt;

use crate::kinds;

/// The result of an operation on a native referent.
pub type Result<T> = std::result::Result<T, StoreError>;

/// Why an operation on a native referent was refused. Nothing has changed when one is returned.
#[derive(Debug)]
#[non_exhaustive]
pub enum StoreError {
    /// The memory below said no: out of memory, interrupted, referent gone.
    Shm(coheld_shm::Error),
    /// An index does not fit the sequence.
    Index(IndexProblem),
    /// An extended slice was given another number of items than it has.
    SliceSize {
        /// How many items were given.
        given: u64,
        /// How many the slice has.
        wanted: u64,
    },
    /// An array of which somebody has taken a view keeps its length.
    Viewed,
    /// A slice has the step zero.
    ZeroStep,
    /// The key is not in the dict or set.
    KeyMissing,
    /// There is nothing to take out.
    Empty,
    /// The queue has as many items as it may have.
    Full,
    /// The queue was shut down.
    ShutDown,
    /// More items of a queue were reported done than were put.
    TaskDoneTooOften,
    /// A lock that nobody has cannot be released.
    NotLocked,
    /// The lock is not held by this thread.
    NotOwner,
    /// A bounded semaphore would have more permits than it began with.
    ReleasedTooOften,
    /// The barrier is broken.
    BrokenBarrier,
    /// The owner of the lock died, and the manager was told to make that an error. The lock is
    /// free now.
    OwnerDied {
        /// Its process id; 0 when it is not known.
        process: u32,
    },
    /// The referent's version moved while its new content was being computed: compute it again.
    Changed,
    /// The dict or set has moved into a process that hosts it; only that process can work on it.
    Moved,
    /// The channel was closed, by this side or the other.
    Closed,
    /// A message of a channel that it is not the time for: a request before the one before it was
    /// answered, or an answer to nothing.
    OutOfTurn,
    /// A length or a number is beyond what the structure holds.
    Limit {
        /// What has the limit, as a noun.
        what: &'static str,
        /// What was asked for.
        requested: u64,
        /// The most that can be had.
        limit: u64,
    },
    /// The private memory for a copy could not be had.
    PrivateMemory {
        /// How many bytes were asked for.
        bytes: u64,
    },
    /// The referent is of another kind than the handle says.
    WrongKind {
        /// The kind that was expected (see `kinds::referent`).
        expected: u8,
        /// The kind that was found.
        found: u8,
    },
    /// The value cannot be a key.
    NotHashable,
    /// The value is not of the type that the operation works on.
    WrongType,
    /// The bytes in the segment contradict each other.
    Corrupted(&'static str),
}

/// An index that does not fit, in Python's distinctions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IndexProblem {
    /// `sequence[i]`.
    Get,
    /// `sequence[i] = x` and `del sequence[i]`.
    Assign,
    /// `list.pop(i)`.
    Pop,
}

impl StoreError {
    /// Whether the segment's bytes were found to be wrong.
    pub fn is_corrupted(&self) -> bool {
        matches!(
            self,
            Self::Corrupted(_) | Self::Shm(coheld_shm::Error::Corrupted { .. })
        )
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shm(error) => error.fmt(formatter),
            Self::Index(problem) => problem.fmt(formatter),
            Self::SliceSize { given, wanted } => write!(
                formatter,
                "attempt to assign sequence of size {given} to extended slice of size {wanted}"
            ),
            Self::Viewed => formatter.write_str(
                "cannot resize an array of which a view has been taken: its items stay where they \
                 are",
            ),
            Self::ZeroStep => formatter.write_str("slice step cannot be zero"),
            Self::KeyMissing => formatter.write_str("the key is not there"),
            Self::Empty => formatter.write_str("there is nothing to take out"),
            Self::Full => formatter.write_str("the queue is full"),
            Self::ShutDown => formatter.write_str("the queue was shut down"),
            Self::TaskDoneTooOften => formatter.write_str("task_done() called too many times"),
            Self::NotLocked => formatter.write_str("release unlocked lock"),
            Self::NotOwner => formatter.write_str("cannot release un-acquired lock"),
            Self::ReleasedTooOften => formatter.write_str("Semaphore released too many times"),
            Self::BrokenBarrier => formatter.write_str("the barrier is broken"),
            Self::OwnerDied { process } => {
                match process {
                    0 => formatter.write_str("a process")?,
                    process => write!(formatter, "process {process}")?,
                }
                formatter.write_str(
                    " died while it held what was to be acquired; what that protects may be half \
                     changed, and it is free again",
                )
            }
            Self::Changed => {
                formatter.write_str("the object was changed by somebody else meanwhile; try again")
            }
            Self::Moved => formatter.write_str(
                "the object has moved into the process that hosts it; use a proxy of it, which \
                 asks that process",
            ),
            Self::Closed => formatter.write_str("the channel to the host is closed"),
            Self::OutOfTurn => formatter.write_str(
                "a channel takes one request at a time, and one answer to each; \
                 use another channel for a call inside of a call",
            ),
            Self::Limit {
                what,
                requested,
                limit,
            } => {
                write!(
                    formatter,
                    "{what}: {requested} asked for, at most {limit} possible"
                )
            }
            Self::PrivateMemory { bytes } => {
                write!(formatter, "no memory for a private copy of {bytes} bytes")
            }
            Self::WrongKind { expected, found } => write!(
                formatter,
                "the shared object is a {}, not a {}",
                kinds::referent::name(*found),
                kinds::referent::name(*expected)
            ),
            Self::NotHashable => formatter.write_str("the value cannot be used as a key"),
            Self::WrongType => {
                formatter.write_str("the stored value is not of the type this operation works on")
            }
            Self::Corrupted(what) => write!(
                formatter,
                "the shared segment is corrupted: {what}; the object cannot be used any more"
            ),
        }
    }
}

impl fmt::Display for IndexProblem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Get => "index out of range",
            Self::Assign => "assignment index out of range",
            Self::Pop => "pop index out of range",
        })
    }
}

impl std::error::Error for StoreError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Shm(error) => Some(error),
            _ => None,
        }
    }
}

impl From<coheld_shm::Error> for StoreError {
    fn from(error: coheld_shm::Error) -> Self {
        Self::Shm(error)
    }
}

impl From<IndexProblem> for StoreError {
    fn from(problem: IndexProblem) -> Self {
        Self::Index(problem)
    }
}
