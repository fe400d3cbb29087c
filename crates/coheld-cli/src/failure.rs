//! What can go wrong, and what the shell is told.

use std::process::ExitCode;

use coheld::Error;

/// Why a command has failed.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) kind: Kind,
    /// What has happened.
    pub(crate) message: String,
    /// What to do about it.
    pub(crate) hint: Option<String>,
}

/// Who or what has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The manager, or a method.
    Refused,
    /// Whoever wrote the command line.
    Usage,
    /// Nobody is there.
    NoManager,
}

impl Failure {
    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            hint: None,
        }
    }

    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        Self {
            hint: Some(hint.into()),
            ..self
        }
    }

    pub(crate) fn code(&self) -> ExitCode {
        ExitCode::from(match self.kind {
            Kind::Refused => 1,
            Kind::Usage => 2,
            Kind::NoManager => 3,
        })
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let message = error.to_string();
        match error {
            Error::ConnectionRefused { .. } | Error::NotFound { .. } | Error::NoFolder { .. } => {
                Self::new(Kind::NoManager, message)
            }
            Error::Stopped { .. } | Error::TimedOut { .. } | Error::Lost { .. } => {
                Self::new(Kind::NoManager, message)
                    .hint("a manager that belongs to another user is reached by TCP only")
            }
            Error::Io { .. } => Self::new(Kind::NoManager, message),
            Error::AuthenticationRejected | Error::AuthenticationFailed(_) => Self::new(
                Kind::NoManager,
                format!("the key is not the manager's: {message}"),
            )
            .hint("give the key that the manager was started with: --authkey-file FILE"),
            Error::NoAuthkey => Self::new(Kind::Usage, message)
                .hint("give a file with the key: --authkey-file FILE"),
            Error::BadAddress { .. } | Error::AddressInUse { .. } => {
                Self::new(Kind::Usage, message)
            }
            _ => Self::new(Kind::Refused, message),
        }
    }
}
