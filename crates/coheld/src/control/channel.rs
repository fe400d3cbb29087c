//! A stream of messages with a deadline.

use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use coheld_shm::os::passing;
use coheld_wire::auth::{self, Generation};
use coheld_wire::frame::{self, Decoder};
use coheld_wire::handshake::Handshake;

use crate::stream::Stream;
use crate::wire::Connection;
use crate::{Address, Error, key};

/// Longest message of a peer that has proved to have the key: as long as there is memory for it,
/// which is taken as the bytes arrive.
const TRUSTED_LIMIT: u64 = u64::MAX >> 1;

/// One end of a conversation.
pub(super) struct Channel {
    stream: Stream,
    decoder: Decoder,
    address: Address,
    deadline: Instant,
    /// A message that has been looked at and not taken.
    next: Option<Vec<u8>>,
}

impl Channel {
    /// Calls a manager and authenticates.
    pub(super) fn call(
        address: &Address,
        authkey: &[u8],
        timeout: Duration,
    ) -> Result<Self, Error> {
        let deadline = Instant::now() + timeout;
        let stream = Stream::connect(&address.to_place()?, timeout).map_err(|source| {
            let address = address.clone();
            match source.kind() {
                io::ErrorKind::ConnectionRefused => Error::ConnectionRefused { address },
                io::ErrorKind::NotFound => Error::NotFound { address },
                io::ErrorKind::TimedOut => Error::TimedOut { address },
                _ => Error::Io {
                    doing: "connecting to a manager",
                    source,
                },
            }
        })?;
        let mut channel = Self {
            stream,
            decoder: Decoder::new(auth::MESSAGE_LIMIT),
            address: address.clone(),
            deadline,
            next: None,
        };
        let nonce = key::random()?;
        let handshake = Handshake::client(authkey, Generation::Modern, &nonce);
        channel.authenticate(handshake.with_md5(key::md5_policy()))?;
        Ok(channel)
    }

    /// Over a connection to a client that has authenticated. `decoder` is between two messages.
    pub(super) fn of(
        stream: Stream,
        mut decoder: Decoder,
        address: Address,
        deadline: Instant,
    ) -> Self {
        decoder.set_limit(TRUSTED_LIMIT);
        Self {
            stream,
            decoder,
            address,
            deadline,
            next: None,
        }
    }

    fn authenticate(&mut self, mut handshake: Handshake) -> Result<(), Error> {
        loop {
            match handshake.receive(&self.receive()?) {
                Ok(step) => {
                    if let Some(message) = step.send {
                        self.send(&message)?;
                    }
                    if step.done {
                        self.decoder.set_limit(TRUSTED_LIMIT);
                        return Ok(());
                    }
                }
                Err(failed) => {
                    if let Some(message) = failed.send {
                        // The failure itself is the better report.
                        let _ = self.send(&message);
                    }
                    return Err(failed.error.into());
                }
            }
        }
    }

    /// Sends a message.
    pub(super) fn send(&mut self, message: &[u8]) -> Result<(), Error> {
        let left = self.time_left()?;
        self.stream
            .set_write_timeout(Some(left))
            .and_then(|()| self.stream.write_all(&frame::encode(message)))
            .map_err(|source| self.failed("sending to a manager", source))
    }

    /// Receives a message, and not one byte beyond it: a descriptor may follow.
    pub(super) fn receive(&mut self) -> Result<Vec<u8>, Error> {
        if let Some(message) = self.next.take() {
            return Ok(message);
        }
        loop {
            if let Some(message) = self.read(usize::MAX)? {
                return Ok(message);
            }
        }
    }

    /// Whether the next message begins like this. It can be received in any case.
    pub(super) fn begins_with(&mut self, mark: &[u8]) -> Result<bool, Error> {
        while self.next.is_none() {
            let missing = match self.decoder.begun() {
                [] => usize::MAX,
                begun if begun.len() < mark.len() => mark.len() - begun.len(),
                begun => return Ok(begun.starts_with(mark)),
            };
            self.next = self.read(missing)?;
        }
        Ok(self
            .next
            .as_ref()
            .is_some_and(|next| next.starts_with(mark)))
    }

    /// Reads once, at most so many bytes and never beyond a message; the message, if that is all
    /// of it.
    fn read(&mut self, most: usize) -> Result<Option<Vec<u8>>, Error> {
        let mut buffer = [0; 512];
        let left = self.time_left()?;
        let wanted = self.decoder.wanted().min(buffer.len() as u64) as usize;
        let read = self
            .stream
            .set_read_timeout(Some(left))
            .and_then(|()| self.stream.read(&mut buffer[..wanted.min(most)]));
        match read {
            Ok(0) => Err(Error::Stopped {
                address: self.address.clone(),
            }),
            Ok(length) => {
                let taken = self.decoder.take(&mut &buffer[..length]);
                taken.map_err(|_| Error::Protocol {
                    why: "bad message length",
                })
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(None),
            Err(source) => Err(self.failed("receiving from a manager", source)),
        }
    }

    /// The same connection without a deadline, for another kind of conversation.
    pub(super) fn into_connection(self) -> Result<Connection, Error> {
        let Self {
            stream,
            decoder,
            address,
            next,
            ..
        } = self;
        Connection::new(stream, decoder, address, next)
    }

    /// Sends a file descriptor.
    pub(super) fn send_descriptor(&mut self, descriptor: i32) -> Result<(), Error> {
        self.time_left()?;
        Ok(passing::send_descriptor(self.stream.unix()?, descriptor)?)
    }

    /// Receives a file descriptor.
    pub(super) fn receive_descriptor(&mut self) -> Result<OwnedFd, Error> {
        let left = self.time_left()?;
        self.stream
            .set_read_timeout(Some(left))
            .map_err(Error::io("receiving from a manager"))?;
        passing::receive_descriptor(self.stream.unix()?).map_err(|error| match error {
            coheld_shm::Error::Os { errno, .. } => {
                let source = io::Error::from_raw_os_error(errno);
                match source.kind() {
                    // A filter of system calls, most likely.
                    io::ErrorKind::PermissionDenied | io::ErrorKind::Unsupported => {
                        Error::OutOfReach {
                            address: self.address.clone(),
                            why: format!("receiving its descriptor was refused: {source}"),
                        }
                    }
                    _ => self.failed("receiving the segment", source),
                }
            }
            error => error.into(),
        })
    }

    /// When the conversation has to be over.
    pub(super) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// The time that is left, never zero: that would mean for ever.
    pub(super) fn time_left(&self) -> Result<Duration, Error> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Error::TimedOut {
                address: self.address.clone(),
            });
        }
        Ok(left)
    }

    fn failed(&self, doing: &'static str, source: io::Error) -> Error {
        let address = self.address.clone();
        match source.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Error::TimedOut { address },
            io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => {
                Error::Stopped { address }
            }
            _ => Error::Io { doing, source },
        }
    }
}
