//! A connection, whichever way it came about.

use std::io;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use crate::Error;
use crate::address::Place;

/// A connected socket.
pub(super) enum Stream {
    Unix(UnixStream),
    Tcp(TcpStream),
}

/// Calls the same method of either socket.
macro_rules! either {
    ($stream:expr, $socket:pat => $call:expr) => {
        match $stream {
            Self::Unix($socket) => $call,
            Self::Tcp($socket) => $call,
        }
    };
}

impl Stream {
    /// Connects, to another machine in at most `timeout`.
    pub(super) fn connect(place: &Place, timeout: Duration) -> io::Result<Self> {
        match place {
            Place::Unix(place) => UnixStream::connect_addr(place).map(Self::Unix),
            Place::Tcp(place) => {
                let stream = TcpStream::connect_timeout(&SocketAddr::V4(*place), timeout)?;
                Self::over_tcp(stream)
            }
        }
    }

    /// Over a connection of which each side waits for the other's last message: none may linger.
    pub(super) fn over_tcp(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self::Tcp(stream))
    }

    /// The socket that can pass descriptors.
    pub(super) fn unix(&self) -> Result<&UnixStream, Error> {
        match self {
            Self::Unix(stream) => Ok(stream),
            Self::Tcp(_) => Err(Error::Protocol {
                why: "the memory itself does not go through TCP",
            }),
        }
    }

    /// Whether calls wait, up to the limits below.
    pub(super) fn set_blocking(&self) -> io::Result<()> {
        either!(self, stream => stream.set_nonblocking(false))
    }

    /// How long `read` waits.
    pub(super) fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        either!(self, stream => stream.set_read_timeout(timeout))
    }

    /// How long `write_all` waits.
    pub(super) fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        either!(self, stream => stream.set_write_timeout(timeout))
    }

    /// Reads what there is.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        either!(self, stream => stream.read(buffer))
    }

    /// Writes all of it.
    pub(super) fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        either!(self, stream => stream.write_all(bytes))
    }

    /// Ends the connection, also where a forked process has it open as well.
    pub(super) fn shutdown(&self) -> io::Result<()> {
        either!(self, stream => stream.shutdown(Shutdown::Both))
    }
}
