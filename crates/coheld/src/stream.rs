//! A connection, whichever way it came about.
#![allow(
    clippy::disallowed_types,
    reason = "a note of this process about its connection"
)]

use std::io::{self, IoSlice};
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use coheld_shm::os::passing;

use crate::Error;
use crate::address::Place;

/// A connected socket. Ends when dropped, also where a forked process has it open as well.
pub(crate) struct Stream {
    socket: Socket,
    /// The process that has made the connection; it is not a forked child's to end.
    process: u32,
    /// Whether something was read since the last writing, which acknowledges what was read before.
    has_read: AtomicBool,
}

enum Socket {
    Unix(UnixStream),
    Tcp(TcpStream),
}

/// Calls the same method of either socket.
macro_rules! either {
    ($stream:expr, $socket:pat => $call:expr) => {
        match $stream {
            Socket::Unix($socket) => $call,
            Socket::Tcp($socket) => $call,
        }
    };
}

impl Stream {
    /// Connects, to another machine in at most `timeout`.
    pub(crate) fn connect(place: &Place, timeout: Duration) -> io::Result<Self> {
        match place {
            Place::Unix(place) => UnixStream::connect_addr(place).map(Self::over_unix),
            Place::Tcp(places) => {
                let mut refused = io::Error::from(io::ErrorKind::AddrNotAvailable);
                for place in places {
                    match TcpStream::connect_timeout(place, timeout) {
                        Ok(stream) => return Self::over_tcp(stream),
                        Err(error) => refused = error,
                    }
                }
                Err(refused)
            }
        }
    }

    /// Over a connection of this machine.
    pub(crate) fn over_unix(stream: UnixStream) -> Self {
        Self::new(Socket::Unix(stream))
    }

    /// Over a connection of which each side waits for the other's last message: none may linger.
    /// A machine that is not there any more is noticed by the system, after some hours.
    pub(crate) fn over_tcp(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        passing::keep_alive(&stream)?;
        Ok(Self::new(Socket::Tcp(stream)))
    }

    fn new(socket: Socket) -> Self {
        let process = std::process::id();
        Self {
            socket,
            process,
            has_read: AtomicBool::new(false),
        }
    }

    /// The socket that can pass descriptors.
    pub(crate) fn unix(&self) -> Result<&UnixStream, Error> {
        match &self.socket {
            Socket::Unix(stream) => Ok(stream),
            Socket::Tcp(_) => Err(Error::Protocol {
                why: "the memory itself does not go through TCP",
            }),
        }
    }

    /// The address of this end, for whoever is at the other one; `None`: it is the listener's.
    pub(crate) fn own_address(&self) -> Option<SocketAddr> {
        match &self.socket {
            Socket::Unix(_) => None,
            Socket::Tcp(stream) => stream.local_addr().ok(),
        }
    }

    /// Whether calls wait, up to the limits below.
    pub(crate) fn set_blocking(&self) -> io::Result<()> {
        either!(&self.socket, stream => stream.set_nonblocking(false))
    }

    /// Calls do not wait.
    pub(crate) fn set_nonblocking(&self) -> io::Result<()> {
        either!(&self.socket, stream => stream.set_nonblocking(true))
    }

    /// How long `read` waits.
    pub(crate) fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        either!(&self.socket, stream => stream.set_read_timeout(timeout))
    }

    /// How long `write_all` waits.
    pub(crate) fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        either!(&self.socket, stream => stream.set_write_timeout(timeout))
    }

    /// Reads what there is.
    pub(crate) fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.has_read.load(Ordering::Relaxed)
            && let Socket::Tcp(stream) = &self.socket
        {
            // There is no answer yet for what came last, so nothing acknowledges it by itself.
            passing::acknowledge_soon(stream);
        }
        let count = either!(&self.socket, stream => (&*stream).read(buffer))?;
        self.has_read.store(true, Ordering::Relaxed);
        Ok(count)
    }

    /// Writes all of it.
    pub(crate) fn write_all(&self, bytes: &[u8]) -> io::Result<()> {
        self.has_read.store(false, Ordering::Relaxed);
        either!(&self.socket, stream => (&*stream).write_all(bytes))
    }

    /// Writes as much as fits of several pieces at once; returns how much that was.
    pub(crate) fn write_vectored(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        self.has_read.store(false, Ordering::Relaxed);
        either!(&self.socket, stream => (&*stream).write_vectored(pieces))
    }

    /// Whether the other end has gone, or has sent something, with nobody waiting for it.
    pub(crate) fn is_readable(&self) -> bool {
        passing::is_readable(self)
    }

    /// Whether the other end has gone.
    pub(crate) fn is_hung_up(&self) -> bool {
        passing::is_hung_up(self)
    }

    /// Ends the connection, whoever reads from it or writes to it at this moment.
    pub(crate) fn end(&self) {
        // Fails only when the other end was faster.
        let _ = either!(&self.socket, stream => stream.shutdown(Shutdown::Both));
    }

    /// Whether the connection was made by the process that this one was forked from.
    pub(crate) fn is_inherited(&self) -> bool {
        self.process != std::process::id()
    }

    /// The number of the descriptor.
    pub(crate) fn descriptor(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        either!(&self.socket, stream => stream.as_fd())
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if !self.is_inherited() {
            self.end();
        }
    }
}
