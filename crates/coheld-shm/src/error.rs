//! The errors of the memory layer.
//!
//! Written for people: each message says what happened, with the number and the limit, and what
//! to do about it. Nothing here allocates unless it is displayed, so an error can be made under a
//! segment lock.

use core::fmt;

/// What can go wrong in the memory of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The segment or the machine has no room for the request. Nothing was changed.
    OutOfMemory {
        /// Bytes that were asked for.
        requested: u64,
        /// Bytes that the segment can hold at most.
        capacity: u64,
    },
    /// A word of the segment cannot be what it claims to be.
    Corrupted {
        /// Which structure is damaged.
        what: &'static str,
        /// Where, in bytes from the start of the segment.
        offset: u64,
    },
    /// The wait was given up because the host asked for it (for instance after Ctrl-C).
    Interrupted,
    /// A signal handler forked while the operation waited, and this is the child: the operation is
    /// the parent's, nothing was done here.
    Forked,
    /// Every slot of the member table belongs to a living process.
    MemberTableFull {
        /// Number of slots.
        limit: u32,
    },
    /// Every cell for waiting threads is in use.
    TooManyWaiters {
        /// Number of cells.
        limit: u32,
    },
    /// The private memory for an operation could not be had.
    PrivateMemory {
        /// How many bytes were asked for.
        bytes: u64,
    },
    /// The segment was made by a build with another memory layout.
    LayoutMismatch {
        /// Layout version in the segment.
        found_version: u32,
        /// Layout version of this build.
        expected_version: u32,
        /// Layout hash in the segment.
        found_hash: u64,
        /// Layout hash of this build.
        expected_hash: u64,
    },
    /// The memory that was handed over is not a segment.
    NotASegment {
        /// Why not.
        why: &'static str,
    },
    /// The referent was destroyed; its place may hold another one by now.
    ReferentGone {
        /// Where the referent was.
        offset: u64,
        /// Which of the referents of that place was meant.
        generation: u32,
    },
    /// A request is beyond what the layout can express.
    TooLarge {
        /// What was too large.
        what: &'static str,
        /// Size that was asked for.
        requested: u64,
        /// Largest size possible.
        limit: u64,
    },
    /// The memory has no room for the tables of a segment.
    TooSmall {
        /// Bytes that there are.
        capacity: u64,
        /// Bytes that it takes at least.
        least: u64,
    },
    /// One operation recorded more blocks than a lane has entries.
    TooManyEntries,
    /// The system lets this process not map a segment that was handed over.
    CannotMap {
        /// How many bytes it has.
        bytes: u64,
        /// The error number.
        errno: i32,
    },
    /// This process only looks at the segment; it cannot join or change it.
    Observed,
    /// The operating system refused a call.
    Os {
        /// Name of the call.
        call: &'static str,
        /// Its error number.
        errno: i32,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfMemory {
                requested,
                capacity,
            } => write!(
                formatter,
                "no room for {requested} more bytes in a segment of at most {capacity} bytes; \
                 remove some values, or start the manager with a larger capacity"
            ),
            Self::Corrupted { what, offset } => write!(
                formatter,
                "the segment is damaged: {what} at offset {offset:#x}; \
                 restart the manager and report this as a bug"
            ),
            Self::Interrupted => formatter.write_str("interrupted while waiting"),
            Self::Forked => formatter.write_str(
                "a signal handler forked this process in the middle of an operation; \
                 the parent goes on with it, here it was not carried out: repeat it",
            ),
            Self::MemberTableFull { limit } => write!(
                formatter,
                "all {limit} member slots belong to living processes; \
                 end some of them, or start the manager with a higher member limit"
            ),
            Self::TooManyWaiters { limit } => write!(
                formatter,
                "{limit} threads wait already, and there is no room for more; \
                 let some of them end, or start the manager with a higher member limit"
            ),
            Self::PrivateMemory { bytes } => {
                write!(formatter, "no private memory for {bytes} bytes")
            }
            Self::LayoutMismatch {
                found_version,
                expected_version,
                found_hash,
                expected_hash,
            } => {
                write!(
                    formatter,
                    "the segment has memory layout {found_version} (hash {found_hash:016x}), this \
                     build needs {expected_version} (hash {expected_hash:016x}); \
                     use the same version of Coheld in all processes"
                )
            }
            Self::NotASegment { why } => write!(
                formatter,
                "the memory handed over is not a segment of Coheld: {why}; \
                 check the address of the manager"
            ),
            Self::ReferentGone { offset, generation } => write!(
                formatter,
                "the referent at {offset:#x}, generation {generation}, no longer exists; \
                 keep a proxy of it alive as long as it is needed"
            ),
            Self::TooLarge {
                what,
                requested,
                limit,
            } => write!(
                formatter,
                "{what} of {requested} is too large, the limit is {limit}; split it up"
            ),
            Self::TooSmall { capacity, least } => write!(
                formatter,
                "a segment of {capacity} bytes has no room for its tables, it takes at least \
                 {least}; give a larger capacity, or raise the limits on file size and address \
                 space (`ulimit -f`, `ulimit -v`)"
            ),
            Self::TooManyEntries => formatter.write_str(
                "one operation touched more blocks than a lane can record; \
                 report this as a bug",
            ),
            Self::CannotMap { bytes, errno } => {
                let refusal = std::io::Error::from_raw_os_error(*errno);
                write!(
                    formatter,
                    "a mapping of {bytes} bytes was refused: {refusal}"
                )?;
                if refusal.kind() == std::io::ErrorKind::OutOfMemory {
                    formatter.write_str(
                        "; raise the limit on the address space of this process (`ulimit -v`), or \
                         start the manager with a smaller capacity",
                    )?;
                }
                Ok(())
            }
            Self::Observed => formatter
                .write_str("this process only looks at the segment, it cannot join or change it"),
            Self::Os { call, errno } => {
                write!(
                    formatter,
                    "{call}: {}",
                    std::io::Error::from_raw_os_error(*errno)
                )
            }
        }
    }
}

impl std::error::Error for Error {}
