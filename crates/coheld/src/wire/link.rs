//! The way to a manager that this process shares no memory with.

use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use super::dialing::soonest;
use super::lines::{Lines, Owner, Peer};
use super::request::Serializer;
use super::transport::Dial;
use super::{Patience, Remote};
use crate::fork::guarded;
use crate::{Address, Error, key};

/// How long a manager may take to accept a connection. It does nothing else for it, so this is for
/// stopped machines.
const PATIENCE: Duration = Duration::from_secs(10);

/// The links of this process, by address, key and serializer.
static LINKS: Mutex<Vec<Weak<Link>>> = Mutex::new(Vec::new());

/// The way to a manager that this process shares no memory with: one of another machine, user or
/// container, or one of the standard library.
///
/// Each thread has a connection of its own, which is made when it calls for the first time, and
/// made again if the manager was started anew.
pub struct Link {
    pub(super) address: Address,
    pub(super) authkey: Vec<u8>,
    pub(super) serializer: Serializer,
    /// What makes the connections, if that is something else than this crate, and its name.
    pub(super) dialer: Option<Arc<dyn Dial>>,
    scheme: String,
    pub(super) lines: Arc<Lines>,
    /// How long calls may take that are given no limit of their own.
    call_limit: Mutex<Option<Duration>>,
    /// How many reports of ended references on the lifeline have not been answered.
    pub(super) unanswered: Mutex<usize>,
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

    /// The link of this process to the manager that has this segment, by whatever address.
    #[must_use]
    pub fn find_segment(segment: &[u8; 16], serializer: Serializer) -> Option<Arc<Self>> {
        Self::all().into_iter().find(|link| {
            link.segment().as_ref() == Some(segment)
                && link.scheme.is_empty()
                && link.serializer == serializer
        })
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
            None => self.open_for_call(owner, deadline, method, limit)?,
        };
        let patience = Patience { deadline };
        let mut sent = connection.send(request, patience);
        if let Err(Error::Stopped { .. }) = sent {
            // Not all of it has left, so the manager has not got it: it cannot have taken effect.
            self.lines.forget(&connection);
            connection = self.open_for_call(owner, deadline, method, limit)?;
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

    /// A new object, or the one that is shared by this name.
    pub fn create(self: &Arc<Self>, typeid: &str, limit: Duration) -> Result<Remote, Error> {
        let serializer = self.own_serializer();
        let request = serializer.request("create", &[typeid])?;
        let reply = self.ask(&request, "create", Some(limit))?;
        Ok(self.adopt(serializer.created(&reply)?))
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

    /// The same for an object that a lease of the segment keeps, which ends with this.
    pub fn redeem(self: &Arc<Self>, ident: String) -> Result<Remote, Error> {
        match self.order("redeem", &ident) {
            Ok(()) => Ok(self.adopt(ident)),
            // It has run out, but somebody else may keep the object.
            Err(Error::Raised(_)) => self.take(ident),
            Err(error) => Err(error),
        }
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

    pub(super) fn order(&self, function: &str, ident: &str) -> Result<(), Error> {
        self.order_with(function, &[ident])
    }

    fn order_with(&self, function: &str, arguments: &[&str]) -> Result<(), Error> {
        let serializer = self.own_serializer();
        let request = serializer.request(function, arguments)?;
        serializer.check(&self.ask(&request, function, Some(PATIENCE))?)
    }
}

impl core::fmt::Debug for Link {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(formatter, "Link({}, {:?})", self.address, self.lines)
    }
}
