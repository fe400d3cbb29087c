//! A stream of messages to a peer that has proved to have the key.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use coheld_shm::Host as _;
use coheld_wire::frame::{Decoder, End, Header};

use crate::host::HOST;
use crate::hosted::buffers;
use crate::stream::Stream;
use crate::{Address, Error};

/// Bytes read at once. Most messages are shorter.
const CHUNK: usize = 16 << 10;
/// The same in the middle of a longer message, which needs room only as it arrives.
const LARGE_CHUNK: usize = 1 << 20;
/// Longest message that is copied behind its header, to be written at once with it.
const COPIED: usize = 16 << 10;
const PREPARING: &str = "preparing a connection";
/// How long a thread waits before it looks whether it is to be interrupted.
const ATTENTION: Duration = Duration::from_millis(100);

/// A connection to a peer that has proved to have the key.
///
/// After an error it is of no more use: nobody knows what of a message has been sent or received.
pub struct Connection {
    stream: Arc<Stream>,
    decoder: Decoder,
    address: Address,
    /// A message that was received before.
    next: Option<Vec<u8>>,
    /// What was read beyond the last message: the bytes from `at` to `end` of it.
    ahead: Vec<u8>,
    at: usize,
    end: usize,
}

/// What one call of the system has read.
enum Read {
    /// Nothing: this is the end.
    End,
    /// A part of a message, or several messages.
    Part,
    /// The rest of this message.
    Message(Vec<u8>),
}

/// How long to wait, and for what.
#[derive(Clone, Copy, Debug, Default)]
pub struct Patience {
    /// Until then; `None`: for ever.
    pub deadline: Option<Instant>,
}

impl Connection {
    /// Over a stream of which `decoder` may have read the beginning of a message, or `next` is a
    /// whole one.
    pub(crate) fn new(
        stream: Stream,
        decoder: Decoder,
        address: Address,
        next: Option<Vec<u8>>,
    ) -> Result<Self, Error> {
        let connection = Self {
            stream: Arc::new(stream),
            decoder,
            address,
            next,
            ahead: Vec::new(),
            at: 0,
            end: 0,
        };
        connection.look_up_every(None)?;
        let blocking = connection.stream.set_blocking();
        blocking.map_err(Error::io(PREPARING))?;
        Ok(connection)
    }

    /// The same with a thread that looks while it waits whether it is to be interrupted, and
    /// whether its time is over. Without, it does nothing but wait.
    pub(crate) fn attentive(self) -> Result<Self, Error> {
        self.look_up_every(Some(ATTENTION))?;
        Ok(self)
    }

    fn look_up_every(&self, time: Option<Duration>) -> Result<(), Error> {
        let set = self.stream.set_read_timeout(time);
        set.and_then(|()| self.stream.set_write_timeout(time))
            .map_err(Error::io(PREPARING))
    }

    /// Where the manager of this connection listens.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The address by which the peer has reached this process, unless that is the listener's own.
    pub fn own_address(&self) -> Option<SocketAddr> {
        self.stream.own_address()
    }

    /// Whether the other end is on this machine for certain.
    pub fn is_nearby(&self) -> bool {
        self.stream.unix().is_ok()
    }

    /// The number of the descriptor.
    pub fn descriptor(&self) -> RawFd {
        self.stream.descriptor()
    }

    /// What others need to end the connection, or to see that it has ended.
    pub(crate) fn stream(&self) -> &Arc<Stream> {
        &self.stream
    }

    /// Whether the other end has gone, or has said something that nobody asked for.
    pub fn is_stale(&self) -> bool {
        self.at < self.end || self.stream.is_readable()
    }

    /// Sends one message, in one piece.
    pub fn send(&mut self, message: &[u8], patience: Patience) -> Result<(), Error> {
        self.send_all(&[message], patience)
    }

    /// Sends several messages, in one piece.
    pub fn send_all(&mut self, messages: &[&[u8]], patience: Patience) -> Result<(), Error> {
        let mut small = Vec::new();
        for message in messages {
            let header = Header::new(message.len() as u64);
            small.extend_from_slice(header.as_bytes());
            if message.len() <= COPIED {
                small.extend_from_slice(message);
                continue;
            }
            self.write([&small, message], patience)?;
            small.clear();
        }
        self.write([&small, &[]], patience)
    }

    fn write(&mut self, pieces: [&[u8]; 2], patience: Patience) -> Result<(), Error> {
        let [mut first, mut second] = pieces;
        while !first.is_empty() || !second.is_empty() {
            let pieces = [IoSlice::new(first), IoSlice::new(second)];
            let stream = &self.stream;
            let wrote = blocking(|| stream.write_vectored(&pieces));
            let count = match wrote {
                Ok(0) => return Err(self.gone()),
                Ok(count) => count,
                Err(error) => {
                    self.again(error, "sending a message", patience)?;
                    continue;
                }
            };
            let of_first = count.min(first.len());
            first = &first[of_first..];
            second = &second[count - of_first..];
        }
        Ok(())
    }

    /// Receives one message; `None`: the peer has gone, before it sent any of it.
    pub fn receive(&mut self, patience: Patience) -> Result<Option<Vec<u8>>, Error> {
        if let Some(message) = self.next.take() {
            return Ok(Some(message));
        }
        loop {
            let mut rest = &self.ahead[self.at..self.end];
            let taken = self.decoder.take(&mut rest);
            self.at = self.end - rest.len();
            let taken = taken.map_err(|_| Error::Protocol {
                why: "bad message length",
            })?;
            if taken.is_some() {
                return Ok(taken);
            }
            match self.read() {
                Ok(Read::End) => {
                    return match self.decoder.at_end() {
                        End::BetweenMessages => Ok(None),
                        End::InsideMessage => Err(self.gone()),
                    };
                }
                Ok(Read::Part) => {}
                Ok(Read::Message(message)) => return Ok(Some(message)),
                Err(error) => self.again(error, "receiving a message", patience)?,
            }
        }
    }

    /// Reads once, when there is nothing left of what was read before.
    fn read(&mut self) -> io::Result<Read> {
        let stream = &self.stream;
        if self.decoder.wanted() > CHUNK as u64 {
            if self.decoder.begun().len() <= CHUNK {
                buffers::keep(self.decoder.exchange_buffer(buffers::spare()));
            }
            let room = self.decoder.room(LARGE_CHUNK);
            if !room.is_empty() {
                return Ok(match blocking(|| stream.read(room))? {
                    0 => Read::End,
                    count => self.decoder.filled(count).map_or(Read::Part, Read::Message),
                });
            }
        }
        self.ahead.resize(CHUNK, 0);
        let ahead = &mut self.ahead;
        let count = blocking(|| stream.read(ahead))?;
        (self.at, self.end) = (0, count);
        Ok(if count == 0 { Read::End } else { Read::Part })
    }

    /// Whether to go on after an error: `Ok` if nothing is wrong but that it takes time.
    fn again(
        &self,
        error: io::Error,
        doing: &'static str,
        patience: Patience,
    ) -> Result<(), Error> {
        match error.kind() {
            io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {}
            io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => return Err(self.gone()),
            _ => {
                return Err(Error::Io {
                    doing,
                    source: error,
                });
            }
        }
        let interrupted = HOST.interrupted();
        if self.stream.is_inherited() {
            // Forked by a signal handler: the call is its parent's.
            return Err(self.gone());
        }
        if interrupted {
            return Err(coheld_shm::Error::Interrupted.into());
        }
        let is_over = |deadline| Instant::now() >= deadline;
        if patience.deadline.is_some_and(is_over) {
            let address = self.address.clone();
            return Err(Error::TimedOut { address });
        }
        Ok(())
    }

    fn gone(&self) -> Error {
        Error::Stopped {
            address: self.address.clone(),
        }
    }
}

/// Calls the system with the runtime of the language released.
fn blocking<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    let mut done = None;
    HOST.block(&mut || done = Some(call()));
    done.unwrap_or_else(|| Err(io::ErrorKind::Interrupted.into()))
}
