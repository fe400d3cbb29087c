//! What can go wrong between processes.

mod predicates;

use core::fmt;
use std::io;
use std::process::ExitStatus;
use std::time::Duration;

use coheld_wire::auth::AuthenticationError;

use crate::Address;

/// The errors of this crate.
///
/// ```
/// use coheld::{Error, Manager, StoreError};
///
/// fn first(manager: &Manager) -> Result<i64, Error> {
///     manager.list()?.get(0)
/// }
///
/// let error = first(&Manager::start()?).unwrap_err();
/// assert!(error.is_missing());
/// assert!(matches!(&error, Error::Store(StoreError::Index(_))));
/// println!("{error}");
/// # Ok::<(), coheld::Error>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// Nobody listens at the address any more.
    ConnectionRefused {
        /// Where.
        address: Address,
    },
    /// There is no such address.
    NotFound {
        /// Where.
        address: Address,
    },
    /// The folder of the address does not exist, so nobody can listen there.
    NoFolder {
        /// Where.
        address: Address,
    },
    /// Somebody listens at the address already, or left a socket file there.
    AddressInUse {
        /// Where.
        address: Address,
    },
    /// The manager hands its segment to processes of its machine and user only, and this is none.
    Remote {
        /// Where it listens for all.
        address: Address,
    },
    /// The manager is near enough, but this process cannot get or use its memory.
    OutOfReach {
        /// Where it listens.
        address: Address,
        /// Why not.
        why: String,
    },
    /// The manager is one of the standard library, which has no segment.
    NotCoheld {
        /// Where it listens.
        address: Address,
    },
    /// The manager of an object is gone, or cannot be reached.
    Lost {
        /// Where it was.
        address: Address,
        /// What has happened.
        why: String,
    },
    /// The other side has another authentication key.
    AuthenticationRejected,
    /// The other side failed to prove that it has the authentication key.
    AuthenticationFailed(AuthenticationError),
    /// The manager went away in the middle of a conversation.
    Stopped {
        /// Where it was.
        address: Address,
    },
    /// The manager did not answer in time.
    TimedOut {
        /// Where it is.
        address: Address,
    },
    /// The process that hosts an object ended, or stopped doing so, before it answered a call.
    HostGone {
        /// The manager of the segment that the object is in.
        address: Address,
        /// The process, if it is known.
        process: Option<u32>,
        /// The method that was called.
        method: String,
    },
    /// A call of a hosted object took longer than it may.
    CallTimedOut {
        /// The method that was called.
        method: String,
        /// How long it may take.
        limit: Duration,
    },
    /// The manager understood and said no.
    Refused {
        /// In its words.
        reason: String,
    },
    /// The other side does not speak as a manager of this version does.
    Protocol {
        /// What was wrong.
        why: &'static str,
    },
    /// A token that names nothing.
    BadToken {
        /// What was wrong.
        why: &'static str,
    },
    /// An address that cannot be one.
    BadAddress {
        /// What was wrong.
        why: &'static str,
    },
    /// The authentication key in the environment is missing or not hexadecimal.
    NoAuthkey,
    /// The memory layer refused.
    Shm(coheld_shm::Error),
    /// An operation on a shared object was refused.
    Store(coheld_store::StoreError),
    /// A value could not be written or read.
    Value(crate::ValueError),
    /// A method called by its name raised an exception.
    Raised(crate::Raised),
    /// Something takes a Python interpreter, and there is none in this program.
    NeedsPython {
        /// What, as a noun.
        what: &'static str,
    },
    /// A function could not be run in another process.
    NotStarted {
        /// Why not.
        why: String,
    },
    /// The function that ran in another process has panicked.
    Panicked {
        /// The process.
        process: u32,
        /// Where, and the message.
        message: String,
    },
    /// A process ended before its function returned.
    Ended {
        /// The process.
        process: u32,
        /// How it ended, if that is known: somebody else may have collected it.
        status: Option<ExitStatus>,
    },
    /// What a function has returned could not be sent to the process that started it.
    NotReturned {
        /// The process that it ran in.
        process: u32,
        /// Why not.
        why: String,
    },
    /// The operating system refused.
    Io {
        /// What was being done.
        doing: &'static str,
        /// Its answer.
        source: io::Error,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ConnectionRefused { address } => write!(
                formatter,
                "no manager listens at {address} any more; start it again, or pass its new address"
            ),
            Self::NotFound { address } => write!(
                formatter,
                "there is no manager at {address}; check the address, and that it was started"
            ),
            Self::NoFolder { address } => write!(
                formatter,
                "cannot listen at {address}: the folder does not exist; make it, or choose another \
                 address"
            ),
            Self::AddressInUse { address } => write!(
                formatter,
                "{address} is in use; stop the manager there, remove the socket file it left, or \
                 choose another address"
            ),
            Self::Remote { address } => write!(
                formatter,
                "the manager at {address} runs on another machine, in another container or for \
                 another user than this process: its memory is out of reach, its objects are \
                 reached through connections only"
            ),
            Self::OutOfReach { address, why } => write!(
                formatter,
                "this process cannot share the memory of the manager at {address}: {why}"
            ),
            Self::NotCoheld { address } => write!(
                formatter,
                "the manager at {address} is one of Python's standard library: its objects are \
                 reached through connections only"
            ),
            Self::Lost { address, why } => {
                write!(formatter, "the manager at {address} is lost: {why}")
            }
            // As in the standard library, so that programs find it.
            Self::AuthenticationRejected => formatter.write_str("digest sent was rejected"),
            Self::AuthenticationFailed(error) => error.fmt(formatter),
            Self::Stopped { address } => write!(
                formatter,
                "the manager at {address} closed the connection: it was stopped or killed, or \
                 belongs to another user"
            ),
            Self::TimedOut { address } => write!(
                formatter,
                "the manager at {address} did not answer in time; it may be stopped or overloaded"
            ),
            Self::HostGone {
                address,
                process,
                method,
            } => {
                match process {
                    None => formatter.write_str("the process that hosts the object"),
                    Some(process) => {
                        write!(formatter, "process {process}, which hosts the object,")
                    }
                }?;
                write!(
                    formatter,
                    " ended or was stopped before it answered '{method}' (manager at {address}); \
                     the call may have taken effect or not"
                )
            }
            Self::CallTimedOut { method, limit } => write!(
                formatter,
                "'{method}' did not return within {} s; it may still be running in the process of \
                 its object; allow it more time, or none at all",
                limit.as_secs_f64()
            ),
            Self::Refused { reason } => write!(formatter, "the manager refused: {reason}"),
            Self::Protocol { why } => write!(
                formatter,
                "the other side does not speak Coheld's protocol: {why}; use the same version of \
                 Coheld in all processes"
            ),
            Self::BadToken { why } => write!(formatter, "not a usable token: {why}"),
            Self::BadAddress { why } => write!(formatter, "not a usable address: {why}"),
            Self::NoAuthkey => write!(
                formatter,
                "no authentication key: pass one, or set {} to its hexadecimal digits",
                crate::AUTHKEY_VARIABLE
            ),
            Self::Shm(error) => error.fmt(formatter),
            Self::Store(error) => error.fmt(formatter),
            Self::Value(error) => error.fmt(formatter),
            Self::Raised(raised) => raised.fmt(formatter),
            Self::NeedsPython { what } => {
                write!(formatter, "{what} can be run by a Python process only")
            }
            Self::NotStarted { why } => {
                write!(
                    formatter,
                    "a function cannot be run in another process: {why}"
                )
            }
            Self::Panicked { process, message } => {
                write!(formatter, "process {process} has panicked {message}")
            }
            Self::Ended { process, status } => {
                write!(
                    formatter,
                    "process {process} ended before its function returned"
                )?;
                match status {
                    Some(status) => write!(formatter, ": {status}"),
                    None => Ok(()),
                }
            }
            Self::NotReturned { process, why } => write!(
                formatter,
                "what the function in process {process} has returned cannot be sent: {why}"
            ),
            Self::Io { doing, source } => write!(formatter, "{doing}: {source}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::AuthenticationFailed(error) => Some(error),
            Self::Shm(error) => Some(error),
            Self::Store(error) => Some(error),
            Self::Value(error) => Some(error),
            Self::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}

impl From<coheld_shm::Error> for Error {
    fn from(error: coheld_shm::Error) -> Self {
        Self::Shm(error)
    }
}

impl From<coheld_store::StoreError> for Error {
    fn from(error: coheld_store::StoreError) -> Self {
        match error {
            coheld_store::StoreError::Shm(error) => Self::Shm(error),
            error => Self::Store(error),
        }
    }
}

impl From<AuthenticationError> for Error {
    fn from(error: AuthenticationError) -> Self {
        match error {
            AuthenticationError::SentRejected => Self::AuthenticationRejected,
            error => Self::AuthenticationFailed(error),
        }
    }
}
