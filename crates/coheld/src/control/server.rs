//! The manager's side of the control plane.
//!
//! One thread waits for everything: calls, requests to stop, the end of the creator, and what
//! peers say before they have authenticated. Who has authenticated gets a thread.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, Write as _};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use coheld_shm::os::parent::ProcessWatch;
use coheld_shm::os::passing;
use coheld_shm::os::readiness::wait_readable;

use super::conversation::Shared;
use super::doorman::{Arrival, Doorman};
use super::listener::Listener;
use super::reaper::Reaper;
use crate::wire::ServeClient;
use crate::{Address, Attachment, Error, SegmentOptions, key};

/// How long to wait for a conversation to end when there are too many.
const NAP: Duration = Duration::from_millis(5);
/// How long no client is accepted after that has failed.
const PAUSE: Duration = Duration::from_millis(50);
/// How often to say so.
const WARN_EVERY: Duration = Duration::from_secs(10);
/// Most clients to accept from a queue before others are heard: who has answered must not give way
/// to newcomers.
const BATCH: usize = 16;

/// Hands out one segment, and cleans up in it.
pub struct Server {
    /// In the order in which they are looked at: who comes to the second one comes to the first
    /// one afterwards, and must not wait behind others there.
    listeners: Vec<Listener>,
    shared: Arc<Shared>,
    stop_requested: UnixStream,
    creator: Option<ProcessWatch>,
}

/// Why a server ended.
///
/// ```
/// use coheld::{Address, Server, server::Ending};
///
/// let name = format!("an ending server of process {}", std::process::id());
/// let server = Server::builder(Address::Abstract(name.into()), b"key").bind()?;
/// server.stopper().stop();
/// assert_eq!(server.serve()?, Ending::Stopped);
/// # Ok::<(), coheld::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ending {
    /// Somebody asked for it.
    Stopped,
    /// The process that it was started for has ended.
    CreatorGone,
}

/// Stops a server, from any thread.
///
/// ```
/// use coheld::{Address, Server};
///
/// let name = format!("a stopped server of process {}", std::process::id());
/// let server = Server::builder(Address::Abstract(name.into()), b"key").bind()?;
/// let stopper = server.stopper();
/// let serving = std::thread::spawn(|| server.serve());
/// // From anywhere, for instance where a signal is noticed.
/// stopper.clone().stop();
/// serving.join().unwrap()?;
/// # Ok::<(), coheld::Error>(())
/// ```
#[derive(Clone)]
pub struct Stopper {
    request: Arc<UnixStream>,
}

impl Server {
    /// Makes a segment and listens at `address`. A directory for a socket file is the caller's
    /// affair; the file is removed when the server ends.
    pub fn bind(address: Address, authkey: &[u8], options: &SegmentOptions) -> Result<Self, Error> {
        let (listener, address) = Listener::bind(address)?;
        let mut listeners = vec![listener];
        let mut nearby = None;
        if let Address::Tcp { .. } = address {
            // Only a name that nobody can guess cannot be taken by somebody else before.
            let name = format!("coheld-{}", key::encode(&key::random::<16>()?)).into_bytes();
            let (listener, _) = Listener::bind(Address::Abstract(name.clone()))?;
            listeners.insert(0, listener);
            nearby = Some(name);
        }
        let attachment = Attachment::create(address, authkey, options)?;
        let doing = "making a pair of sockets";
        let (request, stop_requested) = UnixStream::pair().map_err(Error::io(doing))?;
        // A full socket means that stopping was asked for often enough.
        request.set_nonblocking(true).map_err(Error::io(doing))?;
        let stopper = Stopper {
            request: Arc::new(request),
        };
        let shared = Shared::new(attachment, nearby, stopper);
        Ok(Self {
            listeners,
            shared: Arc::new(shared),
            stop_requested,
            creator: None,
        })
    }

    /// Has the server end with the process `creator`, which must be the parent of this process.
    pub fn end_with_parent(&mut self, creator: u32) -> Result<(), Error> {
        self.watch(ProcessWatch::open_parent(creator)?);
        Ok(())
    }

    /// Has the server end with the process `creator`, any one of this machine.
    ///
    /// When a process has ended, its id is given to another one. So the caller makes sure after
    /// this call that the process which is meant has not ended, and stops the server if it has.
    pub fn end_with(&mut self, creator: u32) -> Result<(), Error> {
        self.watch(ProcessWatch::open(creator)?);
        Ok(())
    }

    fn watch(&mut self, creator: Option<ProcessWatch>) {
        if creator.is_none() {
            // It is gone already: end at once.
            self.stopper().stop();
        }
        self.creator = creator;
    }

    /// This process's access to the segment.
    #[must_use]
    pub fn attachment(&self) -> &Arc<Attachment> {
        &self.shared.attachment
    }

    /// Has `clients` serve those that speak the protocol of the standard library. The first call
    /// counts.
    pub fn serve_clients(&self, clients: Arc<dyn ServeClient>) {
        let _ = self.shared.clients.set(clients);
    }

    /// Where the server listens.
    #[must_use]
    pub fn address(&self) -> &Address {
        self.shared.attachment.address()
    }

    /// Stops the server, from any thread.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        self.shared.stopper.clone()
    }

    /// Serves until it is stopped or its creator has ended.
    pub fn serve(self) -> Result<Ending, Error> {
        let _reaper = Reaper::start(Arc::clone(&self.shared))?;
        let doorman = Doorman::new(self.shared.attachment.authkey());
        let mut reception = Reception {
            server: self,
            doorman,
            waiting: VecDeque::new(),
            paused_until: None,
            warned: None,
        };
        loop {
            if let Some(ending) = reception.turn()? {
                return Ok(ending);
            }
        }
    }
}

impl fmt::Debug for Stopper {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Stopper").finish_non_exhaustive()
    }
}

impl Stopper {
    /// Has the server end soon.
    pub fn stop(&self) {
        // Fails when the server has ended, or was told often enough.
        let _ = (&*self.request).write(&[0]);
    }
}

/// A server that serves.
struct Reception {
    server: Server,
    doorman: Doorman,
    /// Who has authenticated and waits for the end of another conversation.
    waiting: VecDeque<Arrival>,
    /// When to accept clients again.
    paused_until: Option<Instant>,
    warned: Option<Instant>,
}

impl Reception {
    /// Waits for something to happen, and does what is to be done.
    fn turn(&mut self) -> Result<Option<Ending>, Error> {
        let server = &self.server;
        if self
            .paused_until
            .is_some_and(|until| until <= Instant::now())
        {
            self.paused_until = None;
        }
        let listeners = match self.paused_until {
            None => &server.listeners[..],
            Some(_) => &[],
        };
        let mut sources = vec![server.stop_requested.as_fd()];
        sources.extend(server.creator.as_ref().map(AsFd::as_fd));
        let first_listener = sources.len();
        sources.extend(listeners.iter().map(AsFd::as_fd));
        let first_guest = sources.len();
        sources.extend(self.doorman.sources());
        let ready = wait_readable(&sources, self.patience())?;
        let (ready, guests) = ready.split_at(ready.partition_point(|&index| index < first_guest));
        let (ends, listeners) =
            ready.split_at(ready.partition_point(|&index| index < first_listener));
        match ends.first() {
            Some(0) => return Ok(Some(Ending::Stopped)),
            Some(_) => return Ok(Some(Ending::CreatorGone)),
            None => {}
        }
        let guests: Vec<_> = guests.iter().map(|index| index - first_guest).collect();
        // Before others come, to whom these might have to give way.
        self.waiting.extend(self.doorman.hear(&guests));
        let silent = self.doorman.expire();
        if server.shared.clients.get().is_some() {
            self.waiting.extend(silent);
        }
        while server.shared.has_room()
            && let Some(arrival) = self.waiting.pop_front()
        {
            server.shared.start(arrival);
        }
        for index in listeners {
            self.accept(index - first_listener);
        }
        Ok(None)
    }

    /// How long to wait at most.
    fn patience(&self) -> Option<Duration> {
        let now = Instant::now();
        let ends = [self.doorman.deadline(), self.paused_until].into_iter();
        let ends = ends.flatten().map(|end| end.saturating_duration_since(now));
        let nap = (!self.waiting.is_empty()).then_some(NAP);
        ends.chain(nap).min()
    }

    /// Takes some clients from the queue of a listener.
    fn accept(&mut self, listener: usize) {
        for _ in 0..BATCH {
            match self.server.listeners[listener].accept() {
                Ok((stream, machine)) => {
                    if let Err(error) = self.doorman.admit(stream, machine) {
                        log::debug!("a client was not let in: {error}");
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // It went away while it was waiting.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                // The system looks for a descriptor before it looks for a client: a shortage is
                // none while nobody waits, least of all for who has just come.
                Err(error) if passing::is_shortage(&error) && !self.has_caller(listener) => return,
                // What a peer that has not authenticated takes is needed for another one.
                Err(error) if passing::is_shortage(&error) && self.doorman.drop_one(None) => {
                    log::debug!("a connection gave way to a client: {error}");
                }
                Err(error) => {
                    // The client stays in the queue.
                    return self.pause(&error);
                }
            }
        }
    }

    /// Whether a client waits in the queue of a listener. If that cannot be found out, one does.
    fn has_caller(&self, listener: usize) -> bool {
        let source = [self.server.listeners[listener].as_fd()];
        wait_readable(&source, Some(Duration::ZERO)).map_or(true, |ready| !ready.is_empty())
    }

    /// Accepts nobody for a moment: what has failed would fail again at once.
    fn pause(&mut self, error: &io::Error) {
        let now = Instant::now();
        self.paused_until = Some(now + PAUSE);
        if self.warned.is_none_or(|warned| now - warned >= WARN_EVERY) {
            self.warned = Some(now);
            log::warn!(
                "no client can be accepted at the moment: {error}; they wait until this process \
                 has closed something, or may have more open (`ulimit -n`)"
            );
        }
    }
}
