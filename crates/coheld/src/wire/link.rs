//! The way to a manager that this process shares no memory with.

use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use super::lines::{Lines, Owner, Peer};
use super::request::Serializer;
use super::transport::{Dial, Line};
use super::{Patience, Remote};
use crate::control::{self, Answered};
use crate::fork::guarded;
use crate::{Address, Error, host, key};

/// How long a manager may take to accept a connection. It does nothing else for it, so this is for
/// stopped machines.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a manager may take to answer when this process says goodbye.
const FAREWELL: Duration = Duration::from_secs(2);
/// How many reports of ended references may be without an answer at once. The answers are short,
/// so none of them keeps the manager from reading on.
const UNANSWERED: usize = 32;

/// The links of this process, by address, key and serializer.
static LINKS: Mutex<Vec<Weak<Link>>> = Mutex::new(Vec::new());

/// The way to a manager that this process shares no memory with: one of another machine, user or
/// container, or one of the standard library.
///
/// Each thread has a connection of its own, which is made when it calls for the first time, and
/// made again if the manager was started anew.
pub struct Link {
    address: Address,
    authkey: Vec<u8>,
    serializer: Serializer,
    /// What makes the connections, if that is something else than this crate, and its name.
    dialer: Option<Arc<dyn Dial>>,
    scheme: String,
    lines: Arc<Lines>,
    /// How long calls may take that are given no limit of their own.
    call_limit: Mutex<Option<Duration>>,
    /// How many reports of ended references on the lifeline have not been answered.
    unanswered: Mutex<usize>,
}

impl Link {
    /// The link to the manager at `address`, which is made if there is none yet. The manager has
    /// proved in any case that it is there and has the key.
    pub fn connect(
        address: &Address,
        authkey: &[u8],
        serializer: Serializer,
    ) -> Result<Arc<Self>, Error> {
        crate::fork::register();
        if let Some(link) = Self::find(address, authkey, serializer) {
            let connection = link.open(Owner::Lifeline, Instant::now() + PATIENCE)?;
            link.lines.put_back(Owner::Lifeline, connection);
            return Ok(link);
        }
        // What the manager is, is found out by the first connection.
        let link = Self::new(address, authkey, serializer, Peer::Coheld([0; 16]))?;
        let link = Arc::new(link);
        if let Some(connection) = link.join(Instant::now() + PATIENCE)? {
            link.lines.note(Owner::Lifeline, &connection);
            link.lines.put_back(Owner::Lifeline, connection);
        }
        link.enter();
        Ok(link)
    }

    /// The same over connections that `dialer` makes, which is known by the name `scheme`. They
    /// are those of a manager of the standard library.
    pub fn connect_by(
        dialer: Arc<dyn Dial>,
        scheme: &str,
        address: &Address,
        authkey: &[u8],
    ) -> Result<Arc<Self>, Error> {
        crate::fork::register();
        let mut link = Self::new(address, authkey, Serializer::Pickle, Peer::Stock)?;
        link.dialer = Some(dialer);
        scheme.clone_into(&mut link.scheme);
        let link = Arc::new(link);
        link.order_with("dummy", &[])?;
        link.enter();
        Ok(link)
    }

    fn new(
        address: &Address,
        authkey: &[u8],
        serializer: Serializer,
        peer: Peer,
    ) -> Result<Self, Error> {
        Ok(Self {
            address: address.clone(),
            authkey: authkey.to_vec(),
            serializer,
            dialer: None,
            scheme: String::new(),
            lines: Lines::new(peer, key::random()?),
            call_limit: Mutex::new(None),
            unanswered: Mutex::new(0),
        })
    }

    /// Makes it one that is found.
    fn enter(self: &Arc<Self>) {
        guarded(&LINKS, |links| {
            links.retain(|link| link.strong_count() > 0);
            links.push(Arc::downgrade(self));
        });
    }

    /// The link of this process to the manager at `address`, if there is one.
    #[must_use]
    pub fn find(address: &Address, authkey: &[u8], serializer: Serializer) -> Option<Arc<Self>> {
        Self::all()
            .into_iter()
            .find(|link| link.is_to(address, authkey, "") && link.serializer == serializer)
    }

    /// The same for one of [`connect_by`](Self::connect_by).
    #[must_use]
    pub fn find_by(scheme: &str, address: &Address, authkey: &[u8]) -> Option<Arc<Self>> {
        let mut all = Self::all().into_iter();
        all.find(|link| link.is_to(address, authkey, scheme))
    }

    fn is_to(&self, address: &Address, authkey: &[u8], scheme: &str) -> bool {
        self.address == *address && self.authkey == authkey && self.scheme == scheme
    }

    /// Where the manager listens.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The key that the manager asks for.
    #[must_use]
    pub fn authkey(&self) -> &[u8] {
        &self.authkey
    }

    /// How calls of objects are written.
    #[must_use]
    pub fn serializer(&self) -> Serializer {
        self.serializer
    }

    /// How requests for the manager itself are written. One of Coheld reads pickles in any case.
    #[must_use]
    pub fn own_serializer(&self) -> Serializer {
        match self.lines.peer() {
            Peer::Stock => self.serializer,
            Peer::Coheld(_) => Serializer::Pickle,
        }
    }

    /// The segment of the manager; `None`: it is one of the standard library.
    #[must_use]
    pub fn segment(&self) -> Option<[u8; 16]> {
        match self.lines.peer() {
            Peer::Stock => None,
            Peer::Coheld(segment) => Some(segment),
        }
    }

    /// How long calls may take that are given no limit of their own; `None`: as long as they take.
    #[must_use]
    pub fn call_limit(&self) -> Option<Duration> {
        guarded(&self.call_limit, |limit| *limit)
    }

    /// Sets it.
    pub fn set_call_limit(&self, limit: Option<Duration>) {
        guarded(&self.call_limit, |own| *own = limit);
    }

    /// Sends a request about an object and waits for the reply, `limit` at most.
    ///
    /// [`Error::Lost`]: the manager is gone, and the call may have taken effect or not.
    /// [`Error::CallTimedOut`]: it took too long. After an error nothing is left behind.
    pub fn call(
        &self,
        request: &[u8],
        method: &str,
        limit: Option<Duration>,
    ) -> Result<Vec<u8>, Error> {
        let limit = limit.filter(|&limit| limit != Duration::MAX);
        let deadline = limit.and_then(|limit| Instant::now().checked_add(limit));
        let owner = Owner::this_thread();
        let mut connection = match self.fresh(owner) {
            Some(connection) => connection,
            None => self.open(owner, soonest(deadline))?,
        };
        let patience = Patience { deadline };
        let mut sent = connection.send(request, patience);
        if let Err(Error::Stopped { .. }) = sent {
            // Not all of it has left, so the manager has not got it: it cannot have taken effect.
            self.lines.forget(&connection);
            connection = self.open(owner, soonest(deadline))?;
            sent = connection.send(request, patience);
        }
        let received = sent.and_then(|()| connection.receive(patience));
        match received {
            Ok(Some(reply)) => {
                self.lines.put_back(owner, connection);
                Ok(reply)
            }
            failed => {
                self.lines.forget(&connection);
                drop(connection);
                Err(self.explain(failed.map(drop), method, limit))
            }
        }
    }

    /// Asks the manager itself, which answers one such request on a connection, or any number if it
    /// is one of Coheld.
    pub fn ask(
        &self,
        request: &[u8],
        function: &str,
        limit: Option<Duration>,
    ) -> Result<Vec<u8>, Error> {
        if let Peer::Coheld(_) = self.lines.peer() {
            return self.call(request, function, limit);
        }
        let limit = limit.filter(|&limit| limit != Duration::MAX);
        let deadline = limit.and_then(|limit| Instant::now().checked_add(limit));
        let mut connection = self.dial(soonest(deadline))?;
        let patience = Patience { deadline };
        let sent = connection.send(request, patience);
        match sent.and_then(|()| connection.receive(patience)) {
            Ok(Some(reply)) => Ok(reply),
            failed => Err(self.explain(failed.map(drop), function, limit)),
        }
    }

    /// A reference to an object, counted by the manager already.
    #[must_use]
    pub fn adopt(self: &Arc<Self>, ident: String) -> Remote {
        Remote::adopted(self, ident)
    }

    /// A reference to an object that somebody else keeps meanwhile.
    pub fn take(self: &Arc<Self>, ident: String) -> Result<Remote, Error> {
        let function = match self.lines.peer() {
            Peer::Stock => "incref",
            Peer::Coheld(_) => "take",
        };
        self.order(function, &ident)?;
        Ok(self.adopt(ident))
    }

    /// All links of this process.
    #[must_use]
    pub fn all() -> Vec<Arc<Self>> {
        let links = guarded(&LINKS, |links| links.clone());
        links.iter().filter_map(Weak::upgrade).collect()
    }

    /// In a child that was forked: tells the manager that it is there, and holds what its parent
    /// does.
    pub fn introduce(&self) -> Result<(), Error> {
        if self.lines.peer() == Peer::Stock {
            return Ok(());
        }
        let connection = self.open(Owner::Lifeline, soonest(None))?;
        self.lines.put_back(Owner::Lifeline, connection);
        Ok(())
    }

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
        let unanswered = guarded(&self.unanswered, |count| std::mem::take(count));
        for _ in 0..=unanswered {
            if connection.receive(patience)?.is_none() {
                break;
            }
        }
        Ok(())
    }

    /// Has a manager of the standard library count a reference.
    pub(super) fn count(&self, ident: &str) -> Result<(), Error> {
        self.order("incref", ident)
    }

    /// Has the manager keep an object for some minutes, for whoever takes it over. One of the
    /// standard library cannot.
    pub fn lend(&self, ident: &str) -> Result<(), Error> {
        match self.lines.peer() {
            Peer::Stock => Ok(()),
            Peer::Coheld(_) => self.order("lend", ident),
        }
    }

    fn order(&self, function: &str, ident: &str) -> Result<(), Error> {
        self.order_with(function, &[ident])
    }

    fn order_with(&self, function: &str, arguments: &[&str]) -> Result<(), Error> {
        let serializer = self.own_serializer();
        let request = serializer.request(function, arguments)?;
        serializer.check(&self.ask(&request, function, Some(PATIENCE))?)
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
        let mut unanswered = guarded(&self.unanswered, |count| std::mem::take(count));
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

    /// The connection of `owner`, if it is good.
    fn fresh(&self, owner: Owner) -> Option<Line> {
        let connection = self.lines.take(owner)?;
        if connection.is_stale() {
            // Closed by the manager: nothing is ever sent that was not asked for.
            self.lines.forget(&connection);
            return None;
        }
        Some(connection)
    }

    /// A new connection for `owner`, who uses it from now on.
    fn open(&self, owner: Owner, deadline: Instant) -> Result<Line, Error> {
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

    /// A connection to a manager of Coheld; `None`: it is one of the standard library.
    fn join(&self, deadline: Instant) -> Result<Option<Line>, Error> {
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
    fn accepted(&self, deadline: Instant) -> Result<Line, Error> {
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

    fn dial(&self, deadline: Instant) -> Result<Line, Error> {
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
    fn explain_connecting(&self, error: Error) -> Error {
        match error {
            Error::ConnectionRefused { .. } | Error::NotFound { .. } | Error::Stopped { .. } => {
                self.lost("nobody answers at its address any more; start it again")
            }
            Error::TimedOut { .. } => self.lost("it does not accept connections in time"),
            Error::Io { source, .. } => self.lost(&source.to_string()),
            error => error,
        }
    }

    fn explain(&self, failed: Result<(), Error>, method: &str, limit: Option<Duration>) -> Error {
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

impl Drop for Link {
    fn drop(&mut self) {
        // Nothing refers to anything of the manager any more.
        self.leave();
    }
}

/// Until when a connection has to be there.
fn soonest(deadline: Option<Instant>) -> Instant {
    let usual = Instant::now() + PATIENCE;
    deadline.map_or(usual, |deadline| deadline.min(usual))
}

impl core::fmt::Debug for Link {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(formatter, "Link({}, {:?})", self.address, self.lines)
    }
}
