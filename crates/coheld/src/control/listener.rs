//! Where a server is called.

use std::io;
use std::net::{IpAddr, TcpListener};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, RawFd};
use std::os::unix::net::UnixListener;
use std::sync::Mutex;

use coheld_shm::os::socket_file::SocketFile;
use coheld_shm::os::{fork, passing};

use crate::address::Place;
use crate::fork::{behind_gate, guarded};
use crate::stream::Stream;
use crate::{Address, Error};

/// Most connections that wait to be accepted, if the system allows so many: processes that start
/// together connect together.
const BACKLOG: i32 = 1024;

/// Listening sockets of this process, for a forked child to close: it has no thread that accepts,
/// so a connection to its copy of the socket would wait for ever once the parent is gone.
static LISTENERS: Mutex<Vec<RawFd>> = Mutex::new(Vec::new());

/// A listening socket, and its file if it has one.
pub(super) struct Listener {
    socket: Socket,
    file: Option<SocketFile>,
    /// The process that listens; a forked child has nothing to clean up.
    process: u32,
}

enum Socket {
    Unix(UnixListener),
    Tcp(TcpListener),
}

impl Listener {
    /// Listens at `address`; returns the address with the port that the system has chosen.
    pub(super) fn bind(address: Address) -> Result<(Self, Address), Error> {
        let socket = match address.to_place()? {
            Place::Unix(place) => UnixListener::bind_addr(&place).map(Socket::Unix),
            // With SO_REUSEADDR, so that connections that have ended do not keep the port.
            Place::Tcp(places) => TcpListener::bind(places.as_slice()).map(Socket::Tcp),
        };
        let socket = match socket {
            Ok(socket) => socket,
            Err(source) => {
                return Err(match source.kind() {
                    io::ErrorKind::AddrInUse => Error::AddressInUse { address },
                    io::ErrorKind::NotFound => Error::NoFolder { address },
                    _ => Error::Io {
                        doing: "listening for clients",
                        source,
                    },
                });
            }
        };
        let mut listener = Self {
            socket,
            file: None,
            process: std::process::id(),
        };
        guarded(&LISTENERS, |listeners| {
            listeners.push(listener.as_fd().as_raw_fd());
        });
        let bound = listener.prepare(address);
        let bound = bound.map_err(Error::io("listening for clients"))?;
        Ok((listener, bound))
    }

    fn prepare(&mut self, address: Address) -> io::Result<Address> {
        passing::set_backlog(&*self, BACKLOG)?;
        // Waiting is `wait_readable`'s part; a client that went away again must not block us.
        match &self.socket {
            Socket::Unix(socket) => socket.set_nonblocking(true)?,
            Socket::Tcp(socket) => {
                socket.set_nonblocking(true)?;
                return Ok(socket.local_addr()?.into());
            }
        }
        if let Address::Path(path) = &address {
            self.file = Some(SocketFile::restrict(path)?);
        }
        Ok(address)
    }

    /// Takes one client from the queue, and from which machine it comes unless that is this one.
    pub(super) fn accept(&self) -> io::Result<(Stream, Option<IpAddr>)> {
        match &self.socket {
            Socket::Unix(socket) => {
                let (stream, _) = socket.accept()?;
                Ok((Stream::over_unix(stream), None))
            }
            Socket::Tcp(socket) => {
                let (stream, place) = socket.accept()?;
                Ok((Stream::over_tcp(stream)?, Some(place.ip())))
            }
        }
    }
}

impl AsFd for Listener {
    /// A descriptor that becomes readable when a client calls.
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.socket {
            Socket::Unix(socket) => socket.as_fd(),
            Socket::Tcp(socket) => socket.as_fd(),
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if self.process != std::process::id() {
            return;
        }
        let descriptor = self.as_fd().as_raw_fd();
        guarded(&LISTENERS, |listeners| {
            listeners.retain(|&known| known != descriptor);
        });
        if let Err(error) = passing::stop_listening(&*self) {
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
