//! The manager's side of the control plane.
#![allow(
    clippy::disallowed_types,
    reason = "a counter of this process, not of the segment"
)]

use std::io::{self, Write as _};
use std::os::fd::{AsFd, AsRawFd as _, RawFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use coheld_shm::os::parent::{ProcessWatch, wait_readable};
use coheld_shm::os::socket_file::SocketFile;
use coheld_shm::os::{fork, passing, process};

use super::channel::Channel;
use super::protocol::{self, Request};
use super::reaper::Reaper;
use crate::fork::{behind_gate, guarded};
use crate::{Address, Attachment, Error, SegmentOptions};

/// How long a whole conversation may take. An honest one takes a millisecond.
const CONVERSATION: Duration = Duration::from_secs(10);
/// Most conversations at once. Further clients wait in the queue of the socket.
const CONVERSATION_LIMIT: usize = 128;
/// How long to wait for a conversation to end when there are too many, and after a failed accept.
const NAP: Duration = Duration::from_millis(5);

/// Listening sockets of this process, for a forked child to close: it has no thread that accepts,
/// so a connection to its copy of the socket would wait for ever once the parent is gone.
static LISTENERS: Mutex<Vec<RawFd>> = Mutex::new(Vec::new());

/// Hands out one segment, and cleans up in it.
pub struct Server {
    listener: Listener,
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
    stopper: Stopper,
    conversations: AtomicUsize,
}

impl Server {
    /// Makes a segment and listens at `address`. A directory for a socket file is the caller's
    /// affair; the file is removed when the server ends.
    pub fn bind(address: Address, authkey: &[u8], options: &SegmentOptions) -> Result<Self, Error> {
        let listener = Listener::bind(&address)?;
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
            stopper,
            conversations: AtomicUsize::new(0),
        };
        Ok(Self {
            listener,
            shared: Arc::new(shared),
            stop_requested,
            creator: None,
        })
    }

    /// Has the server end with the process `creator`, which must be the parent of this process.
    pub fn end_with_parent(&mut self, creator: u32) -> Result<(), Error> {
        let watch = ProcessWatch::open_parent(creator)?;
        if watch.is_none() {
            // It is gone already: end at once.
            self.stopper().stop();
        }
        self.creator = watch;
        Ok(())
    }

    /// This process's access to the segment.
    #[must_use]
    pub fn attachment(&self) -> &Arc<Attachment> {
        &self.shared.attachment
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
        loop {
            let mut sources = vec![self.stop_requested.as_fd()];
            sources.extend(self.creator.as_ref().map(AsFd::as_fd));
            let ends = sources.len();
            sources.push(self.listener.socket.as_fd());
            match wait_readable(&sources, None)? {
                Some(0) => return Ok(Ending::Stopped),
                Some(index) if index < ends => return Ok(Ending::CreatorGone),
                Some(_) => self.accept(),
                None => {}
            }
        }
    }

    /// Takes one client from the queue, if there is room for another conversation.
    fn accept(&self) {
        if self.shared.conversations.load(Ordering::Relaxed) >= CONVERSATION_LIMIT {
            return thread::sleep(NAP);
        }
        let stream = match self.listener.socket.accept() {
            Ok((stream, _)) => stream,
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

fn converse(shared: &Shared, stream: UnixStream) -> Result<(), Error> {
    let peer = passing::peer(&stream)?;
    if peer.user != process::effective_user() {
        let reason = format!("process {} belongs to user {}", peer.pid, peer.user);
        return Err(Error::Refused { reason });
    }
    // The listener does not wait; a conversation does, up to its deadline.
    stream
        .set_nonblocking(false)
        .map_err(Error::io("accepting a client"))?;
    let attachment = &shared.attachment;
    let address = attachment.address().clone();
    let mut channel = Channel::answer(stream, address, attachment.authkey(), CONVERSATION)?;
    match Request::decode(&channel.receive()?) {
        Ok(Request::Ping) => channel.send(&protocol::granted(b"")),
        Ok(Request::Shutdown) => {
            let replied = channel.send(&protocol::granted(b""));
            shared.stopper.stop();
            replied
        }
        Ok(Request::Attach) => {
            let Some(descriptor) = attachment.segment().backing().descriptor() else {
                return channel.send(&protocol::refused(
                    "this manager has lost the file descriptor of its segment (a program that \
                     closes every descriptor does that); start it again",
                ));
            };
            channel.send(&protocol::granted(&attachment.segment_id()))?;
            match channel.receive() {
                Ok(answer) if answer == protocol::SEND => channel.send_descriptor(descriptor),
                // It has the segment already.
                Err(Error::Stopped { .. }) => Ok(()),
                Ok(_) => channel.send(&protocol::refused("SEND was expected")),
                Err(error) => Err(error),
            }
        }
        Err(reason) => channel.send(&protocol::refused(reason)),
    }
}

/// A listening socket, and its file if it has one.
struct Listener {
    socket: UnixListener,
    file: Option<SocketFile>,
    /// The process that listens; a forked child has nothing to clean up.
    process: u32,
}

impl Listener {
    fn bind(address: &Address) -> Result<Self, Error> {
        let socket = UnixListener::bind_addr(&address.to_socket()?).map_err(|source| {
            let address = address.clone();
            match source.kind() {
                io::ErrorKind::AddrInUse => Error::AddressInUse { address },
                io::ErrorKind::NotFound => Error::NotFound { address },
                _ => Error::Io {
                    doing: "listening for clients",
                    source,
                },
            }
        })?;
        let mut listener = Self {
            socket,
            file: None,
            process: std::process::id(),
        };
        guarded(&LISTENERS, |listeners| {
            listeners.push(listener.socket.as_raw_fd());
        });
        listener
            .prepare(address)
            .map_err(Error::io("listening for clients"))?;
        Ok(listener)
    }

    fn prepare(&mut self, address: &Address) -> io::Result<()> {
        // Waiting is `wait_readable`'s part; a client that went away again must not block us.
        self.socket.set_nonblocking(true)?;
        if let Address::Path(path) = address {
            self.file = Some(SocketFile::restrict(path)?);
        }
        Ok(())
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if self.process != std::process::id() {
            return;
        }
        let descriptor = self.socket.as_raw_fd();
        guarded(&LISTENERS, |listeners| {
            listeners.retain(|&known| known != descriptor);
        });
        if let Err(error) = passing::stop_listening(&self.socket) {
            log::debug!("clients may still connect: {error}");
        }
        if let Some(file) = &self.file
            && let Err(error) = file.remove()
        {
            log::warn!("{} stays behind: {error}", file.path().display());
        }
    }
}

/// In a forked child, behind the gate: the threads that accepted are not here.
pub(crate) fn close_inherited_listeners() {
    behind_gate(&LISTENERS, |listeners| {
        for descriptor in listeners.drain(..) {
            fork::close_in_child(descriptor);
        }
    });
}
