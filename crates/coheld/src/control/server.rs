//! The manager's side of the control plane.
#![allow(
    clippy::disallowed_types,
    reason = "a counter of this process, not of the segment"
)]

use std::io::{self, Write as _};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use coheld_shm::os::parent::{ProcessWatch, wait_readable};
use coheld_shm::os::{passing, process};

use super::channel::Channel;
use super::listener::Listener;
use super::protocol::{self, Request};
use super::reaper::Reaper;
use crate::stream::Stream;
use crate::wire::{NewClient, ServeClient};
use crate::{Address, Attachment, Error, SegmentOptions, key};

/// How long a whole conversation may take. An honest one takes a millisecond.
const CONVERSATION: Duration = Duration::from_secs(10);
/// Most conversations at once. Further clients wait in the queue of the socket.
const CONVERSATION_LIMIT: usize = 128;
/// How long to wait for a conversation to end when there are too many, and after a failed accept.
const NAP: Duration = Duration::from_millis(5);

/// How often to look for what clients have left behind.
const SWEEP: Duration = Duration::from_secs(1);

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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Somebody asked for it.
    Stopped,
    /// The process that it was started for has ended.
    CreatorGone,
}

/// Stops a server, from any thread.
#[derive(Clone)]
pub struct Stopper {
    request: Arc<UnixStream>,
}

/// What all conversations need.
struct Shared {
    attachment: Arc<Attachment>,
    /// Name of the abstract socket for those who have come through TCP.
    nearby: Option<Vec<u8>>,
    /// Whoever speaks with those who ask for something else than the memory.
    clients: OnceLock<Arc<dyn ServeClient>>,
    stopper: Stopper,
    conversations: AtomicUsize,
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
        let shared = Shared {
            attachment,
            nearby,
            clients: OnceLock::new(),
            stopper,
            conversations: AtomicUsize::new(0),
        };
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
        let _reaper = Reaper::start(Arc::clone(&self.shared.attachment))?;
        let mut swept = Instant::now();
        loop {
            let mut sources = vec![self.stop_requested.as_fd()];
            sources.extend(self.creator.as_ref().map(AsFd::as_fd));
            let ends = sources.len();
            sources.extend(self.listeners.iter().map(AsFd::as_fd));
            let clients = self.shared.clients.get();
            let event = wait_readable(&sources, clients.map(|_| SWEEP))?;
            if let Some(clients) = clients
                && swept.elapsed() >= SWEEP
            {
                clients.sweep();
                swept = Instant::now();
            }
            match event {
                Some(0) => return Ok(Ending::Stopped),
                Some(index) if index < ends => return Ok(Ending::CreatorGone),
                Some(index) => self.accept(&self.listeners[index - ends]),
                None => {}
            }
        }
    }

    /// Takes one client from a queue, if there is room for another conversation.
    fn accept(&self, listener: &Listener) {
        if self.shared.conversations.load(Ordering::Relaxed) >= CONVERSATION_LIMIT {
            return thread::sleep(NAP);
        }
        let stream = match listener.accept() {
            Ok(stream) => stream,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
            Err(error) => {
                // Too many open files, for instance: the client stays in the queue.
                log::warn!("a client could not be accepted: {error}");
                return thread::sleep(NAP);
            }
        };
        self.shared.conversations.fetch_add(1, Ordering::Relaxed);
        let place = Place(Arc::clone(&self.shared));
        let builder = thread::Builder::new().name("coheld-control".into());
        let started = builder.spawn(move || {
            if let Err(error) = converse(&place.0, stream) {
                log::debug!("a client was not served: {error}");
            }
        });
        if let Err(error) = started {
            log::warn!("a client could not be served: {error}");
        }
    }
}

impl Stopper {
    /// Has the server end soon.
    pub fn stop(&self) {
        // Fails when the server has ended, or was told often enough.
        let _ = (&*self.request).write(&[0]);
    }
}

/// One of the conversations at once.
struct Place(Arc<Shared>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.conversations.fetch_sub(1, Ordering::Relaxed);
    }
}

fn converse(shared: &Shared, stream: Stream) -> Result<(), Error> {
    let is_nearby = match stream.unix() {
        Ok(stream) => {
            let peer = passing::peer(stream)?;
            if peer.user != process::effective_user() {
                let reason = format!("process {} belongs to user {}", peer.pid, peer.user);
                return Err(Error::Refused { reason });
            }
            true
        }
        // Nobody knows whose it is. With the key, it may ask for all but the memory.
        Err(_) => false,
    };
    // The listener does not wait; a conversation does, up to its deadline.
    stream
        .set_blocking()
        .map_err(Error::io("accepting a client"))?;
    let attachment = &shared.attachment;
    let address = attachment.address().clone();
    let mut channel = Channel::answer(stream, address, attachment.authkey(), CONVERSATION)?;
    if let Some(clients) = shared.clients.get()
        && !channel.begins_with(protocol::MARK)?
    {
        clients.serve(NewClient {
            connection: channel.into_connection()?,
            introduction: None,
        });
        return Ok(());
    }
    match Request::decode(&channel.receive()?) {
        Ok(Request::Ping) => channel.send(&protocol::granted(b"")),
        Ok(Request::Shutdown) => {
            let replied = channel.send(&protocol::granted(b""));
            shared.stopper.stop();
            replied
        }
        Ok(Request::Join(introduction)) => {
            let Some(clients) = shared.clients.get() else {
                return channel.send(&protocol::refused("it serves no clients of this kind"));
            };
            channel.send(&protocol::granted(&attachment.segment_id()))?;
            clients.serve(NewClient {
                connection: channel.into_connection()?,
                introduction: Some(introduction),
            });
            Ok(())
        }
        Ok(Request::Attach) => {
            let Some(descriptor) = attachment.segment().backing().descriptor() else {
                return channel.send(&protocol::refused(
                    "this manager has lost the file descriptor of its segment (a program that \
                     closes every descriptor does that); start it again",
                ));
            };
            let elsewhere = shared.nearby.as_deref().filter(|_| !is_nearby);
            let name = protocol::segment(attachment.segment_id(), elsewhere);
            channel.send(&protocol::granted(&name))?;
            match channel.receive() {
                Ok(answer) if answer == protocol::SEND => channel.send_descriptor(descriptor),
                // It has the segment already, or asks elsewhere.
                Err(Error::Stopped { .. }) => Ok(()),
                Ok(_) => channel.send(&protocol::refused("SEND was expected")),
                Err(error) => Err(error),
            }
        }
        Err(reason) => channel.send(&protocol::refused(reason)),
    }
}
