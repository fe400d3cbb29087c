//! Making connections to a manager, and what it means if that fails.

use std::time::{Duration, Instant};

use super::lines::{Owner, Peer};
use super::transport::Line;
use super::{Link, Patience};
use crate::control::{self, Answered};
use crate::fork::guarded;
use crate::{Error, host};

/// How long a manager may take to accept a connection. It does nothing else for it, so this is for
/// stopped machines.
const PATIENCE: Duration = Duration::from_secs(10);

impl Link {
    /// The connection of `owner`, if it is good.
    pub(super) fn fresh(&self, owner: Owner) -> Option<Line> {
        let connection = self.lines.take(owner)?;
        if connection.is_stale() {
            // Closed by the manager: nothing is ever sent that was not asked for.
            self.lines.forget(&connection);
            return None;
        }
        Some(connection)
    }

    /// A new connection for `owner`, who uses it from now on.
    pub(super) fn open(&self, owner: Owner, deadline: Instant) -> Result<Line, Error> {
        let connection = match self.join(deadline) {
            Ok(Some(connection)) => connection,
            Ok(None) => self.accepted(deadline)?,
            Err(error) => return Err(self.explain_connecting(error)),
        };
        if owner == Owner::Lifeline {
            guarded(&self.unanswered, |count| *count = 0);
        }
        self.lines.note(owner, &connection);
        Ok(connection)
    }

    /// The same for a call, whose own time may be over before there is one.
    pub(super) fn open_for_call(
        &self,
        owner: Owner,
        deadline: Option<Instant>,
        method: &str,
        limit: Option<Duration>,
    ) -> Result<Line, Error> {
        let is_over = |deadline| Instant::now() >= deadline;
        match (self.open(owner, soonest(deadline)), limit) {
            (Err(Error::Lost { .. }), Some(limit)) if deadline.is_some_and(is_over) => {
                Err(Error::CallTimedOut {
                    method: method.to_owned(),
                    limit,
                })
            }
            (opened, _) => opened,
        }
    }

    /// A connection to a manager of Coheld; `None`: it is one of the standard library.
    pub(super) fn join(&self, deadline: Instant) -> Result<Option<Line>, Error> {
        if self.lines.peer() == Peer::Stock {
            return Ok(None);
        }
        let introduction = self.lines.introduction();
        let left = deadline.saturating_duration_since(Instant::now());
        let joined =
            host::released(|| control::join(&self.address, &self.authkey, left, introduction));
        match joined? {
            Answered::Stock => {
                self.lines.set_peer(Peer::Stock);
                Ok(None)
            }
            Answered::Coheld(segment, connection) => {
                let now = Peer::Coheld(segment);
                if self.lines.peer() != now {
                    self.lines.set_peer(now);
                }
                Ok(Some(Line::Own(connection.attentive()?)))
            }
        }
    }

    /// A connection to a manager of the standard library, ready for calls of objects.
    pub(super) fn accepted(&self, deadline: Instant) -> Result<Line, Error> {
        let mut connection = self.dial(deadline)?;
        let current = std::thread::current();
        let name = format!(
            "{}|{}",
            std::process::id(),
            current.name().unwrap_or("thread")
        );
        let patience = Patience {
            deadline: Some(deadline),
        };
        let request = self.serializer.request("accept_connection", &[&name])?;
        connection.send(&request, patience)?;
        match connection.receive(patience)? {
            Some(reply) => self.serializer.check(&reply)?,
            None => return Err(self.lost("it has closed a new connection")),
        }
        Ok(connection)
    }

    pub(super) fn dial(&self, deadline: Instant) -> Result<Line, Error> {
        if let Some(dialer) = &self.dialer {
            let dialed = dialer.dial().map(Line::Foreign);
            return dialed.map_err(|error| self.explain_connecting(error));
        }
        let left = deadline.saturating_duration_since(Instant::now());
        match host::released(|| control::dial(&self.address, &self.authkey, left)) {
            Ok(connection) => connection.attentive().map(Line::Own),
            Err(error) => Err(self.explain_connecting(error)),
        }
    }

    /// The error for an object of a manager that was there before.
    pub(super) fn explain_connecting(&self, error: Error) -> Error {
        match error {
            Error::ConnectionRefused { .. } | Error::NotFound { .. } | Error::Stopped { .. } => {
                self.lost("nobody answers at its address any more; start it again")
            }
            Error::TimedOut { .. } => self.lost("it does not accept connections in time"),
            Error::Io { source, .. } => self.lost(&source.to_string()),
            error => error,
        }
    }

    pub(super) fn explain(
        &self,
        failed: Result<(), Error>,
        method: &str,
        limit: Option<Duration>,
    ) -> Error {
        let how = format!(
            "it closed the connection before it answered '{method}'; the call may have taken \
             effect or not"
        );
        match (failed, limit) {
            (Ok(()) | Err(Error::Stopped { .. }), _) => self.lost(&how),
            (Err(Error::TimedOut { .. }), Some(limit)) => Error::CallTimedOut {
                method: method.to_owned(),
                limit,
            },
            (Err(Error::Io { source, .. }), _) => self.lost(&source.to_string()),
            (Err(error), _) => error,
        }
    }

    pub(super) fn lost(&self, why: &str) -> Error {
        Error::Lost {
            address: self.address.clone(),
            why: why.to_owned(),
        }
    }
}

/// Until when a connection has to be there.
pub(super) fn soonest(deadline: Option<Instant>) -> Instant {
    let usual = Instant::now() + PATIENCE;
    deadline.map_or(usual, |deadline| deadline.min(usual))
}
