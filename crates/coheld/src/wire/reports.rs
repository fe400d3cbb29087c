//! Telling a manager what this process does not refer to any more.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::dialing::soonest;
use super::lines::{Owner, Peer};
use super::transport::Line;
use super::{Link, Patience, Serializer};
use crate::fork::guarded;
use crate::{Error, host};

/// How long a manager may take to read a report.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long it may take to answer when this process says goodbye.
const FAREWELL: Duration = Duration::from_secs(2);
/// How many reports of ended references may be without an answer at once. The answers are short,
/// so none of them keeps the manager from reading on.
const UNANSWERED: usize = 32;

impl Link {
    /// Says goodbye at the end of this process: what it holds can go at once.
    pub fn leave(&self) {
        let has_session = matches!(self.lines.peer(), Peer::Coheld(_));
        if !self.lines.leave() || !has_session {
            return;
        }
        // Without a lifeline, there is nobody to say it to.
        let Some(mut connection) = self.lines.take(Owner::Lifeline) else {
            return;
        };
        let left = host::uninterrupted(|| self.exchange_goodbye(&mut connection));
        if let Err(error) = left {
            log::debug!("a manager was not told of the end of this process: {error}");
        }
        self.lines.forget(&connection);
    }

    fn exchange_goodbye(&self, connection: &mut Line) -> Result<(), Error> {
        let patience = Patience {
            deadline: Some(Instant::now() + FAREWELL),
        };
        connection.send(&Serializer::Pickle.request("leave", &[])?, patience)?;
        // A connection that is closed with something unread is torn down at the other end, too,
        // with whatever has not been read there.
        let unanswered = guarded(&self.unanswered, std::mem::take);
        for _ in 0..=unanswered {
            if connection.receive(patience)?.is_none() {
                break;
            }
        }
        Ok(())
    }

    /// Reports that a reference has ended. Nobody waits for the answer of a manager of Coheld.
    pub(super) fn end_reference(self: &Arc<Self>, ident: String, later: bool) {
        if self.lines.end_reference(ident, later) {
            host::uninterrupted(|| self.report());
        }
    }

    fn report(self: &Arc<Self>) {
        loop {
            let ended = self.lines.take_ended();
            if ended.is_empty() {
                return;
            }
            let reported = match self.lines.peer() {
                Peer::Stock => ended
                    .iter()
                    .try_for_each(|(ident, _)| self.order("decref", ident)),
                Peer::Coheld(_) => self.report_to_coheld(&ended),
            };
            if let Err(error) = reported {
                // The references end with the session.
                log::debug!("ended references could not be reported: {error}");
            }
        }
    }

    fn report_to_coheld(&self, ended: &[(String, bool)]) -> Result<(), Error> {
        let owner = Owner::Lifeline;
        let patience = Patience {
            deadline: Some(Instant::now() + PATIENCE),
        };
        let mut connection = match self.lines.take(owner) {
            Some(connection) => connection,
            None => self.open(owner, soonest(None))?,
        };
        let reported = self.exchange_reports(&mut connection, ended, patience);
        match reported {
            Ok(()) => self.lines.put_back(owner, connection),
            Err(_) => self.lines.forget(&connection),
        }
        reported
    }

    fn exchange_reports(
        &self,
        connection: &mut Line,
        ended: &[(String, bool)],
        patience: Patience,
    ) -> Result<(), Error> {
        let mut unanswered = guarded(&self.unanswered, std::mem::take);
        for (function, later) in [("drop", false), ("drop_later", true)] {
            let idents: Vec<_> = ended
                .iter()
                .filter(|(_, other)| *other == later)
                .map(|(ident, _)| ident.as_str())
                .collect();
            if !idents.is_empty() {
                let request = Serializer::Pickle.request(function, &idents)?;
                connection.send(&request, patience)?;
                unanswered += 1;
            }
        }
        while unanswered > UNANSWERED || (unanswered > 0 && connection.is_stale()) {
            if connection.receive(patience)?.is_none() {
                return Err(self.lost("it has closed the connection"));
            }
            unanswered -= 1;
        }
        guarded(&self.unanswered, |count| *count = unanswered);
        Ok(())
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // Nothing refers to anything of the manager any more.
        self.leave();
    }
}
