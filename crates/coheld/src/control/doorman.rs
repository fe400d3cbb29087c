//! Connections whose peers have not proved to have the key yet.
//!
//! They have no thread. One of them costs a descriptor, a few hundred bytes, and its place among
//! a fixed number of connections, for as long as its deadline lets it and nobody else needs the
//! place more. All that is done with its bytes is to compare them with what the key makes of a
//! challenge.

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::time::{Duration, Instant};

use coheld_shm::os::process;
use coheld_wire::auth::{self, Generation};
use coheld_wire::frame::{self, Decoder};
use coheld_wire::handshake::Handshake;

use super::origin::{Origin, gives_way};
use crate::stream::Stream;
use crate::{Error, key};

/// How long a peer may take to authenticate and to say what it wants. An honest one takes a
/// millisecond.
const PATIENCE: Duration = Duration::from_secs(10);
/// Most connections that wait for authentication at once. Flooded with 10,000 connections a
/// second, that is still 50 ms for each; and the system looks at all of them at every event.
const LIMIT: u64 = 512;
/// The part of all descriptors that they may have. The others are for clients that have
/// authenticated, and for the program that the server is a part of.
const PART: u64 = 4;

/// Lets connections in, or not.
pub(super) struct Doorman {
    authkey: Vec<u8>,
    /// From the oldest to the youngest, so the first deadline is that of the first one.
    guests: Vec<Guest>,
    limit: usize,
}

/// A connection that waits.
struct Guest {
    stream: Stream,
    decoder: Decoder,
    origin: Origin,
    deadline: Instant,
    /// `None`: it is over, and the guest is to say what it wants.
    handshake: Option<Handshake>,
    /// Whether it has proved to have the key. Whether we have is what the rest is about.
    has_proved: bool,
}

/// A peer that has authenticated.
pub(super) struct Arrival {
    pub(super) stream: Stream,
    pub(super) decoder: Decoder,
    /// It has not said anything since, for as long as a peer may take.
    pub(super) is_silent: bool,
}

impl Doorman {
    pub(super) fn new(authkey: &[u8]) -> Self {
        let limit = (process::descriptor_limit() / PART).clamp(1, LIMIT);
        Self {
            authkey: authkey.to_vec(),
            guests: Vec::new(),
            limit: limit as usize,
        }
    }

    /// Takes a connection that has just been made. Another one may have to give way to it.
    pub(super) fn admit(&mut self, stream: Stream, machine: Option<IpAddr>) -> Result<(), Error> {
        let origin = Origin::of(&stream, machine)?;
        if self.strangers().count() >= self.limit {
            self.drop_one(Some(origin));
        }
        let (handshake, opening) =
            Handshake::server(&self.authkey, Generation::Modern, &key::random()?);
        let handshake = handshake.with_md5(key::md5_policy());
        let mut guest = Guest {
            stream,
            decoder: Decoder::new(auth::MESSAGE_LIMIT),
            origin,
            deadline: Instant::now() + PATIENCE,
            handshake: Some(handshake),
            has_proved: false,
        };
        let ready = guest.stream.set_nonblocking();
        ready.map_err(Error::io("accepting a client"))?;
        guest.send(&opening)?;
        self.guests.push(guest);
        Ok(())
    }

    /// Drops the connection that gives way first, if there is one that may.
    pub(super) fn drop_one(&mut self, newcomer: Option<Origin>) -> bool {
        let Some(index) = gives_way(self.strangers(), newcomer) else {
            return false;
        };
        let guest = self.guests.remove(index);
        log::debug!("a connection gave way to others: {:?}", guest.origin);
        true
    }

    /// Those who have not proved anything.
    fn strangers(&self) -> impl Iterator<Item = (usize, Origin)> {
        let guests = self.guests.iter().enumerate();
        let strangers = guests.filter(|(_, guest)| !guest.has_proved);
        strangers.map(|(index, guest)| (index, guest.origin))
    }

    /// What to wait for: one descriptor for each connection, in the order of their numbers.
    pub(super) fn sources(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.guests.iter().map(|guest| guest.stream.as_fd())
    }

    /// When to call `expire`.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.guests.first().map(|guest| guest.deadline)
    }

    /// Hears those of these numbers, which ascend; returns who has authenticated and begun to say
    /// what it wants.
    pub(super) fn hear(&mut self, ready: &[usize]) -> Vec<Arrival> {
        let mut arrivals = Vec::new();
        // From the last one on, so that the other numbers stay right.
        for &index in ready.iter().rev() {
            match self.guests[index].hear() {
                Ok(false) => {}
                Ok(true) => arrivals.push(self.guests.remove(index).arrive(false)),
                Err(error) => {
                    let guest = self.guests.remove(index);
                    log::debug!("{:?} was not let in: {error}", guest.origin);
                }
            }
        }
        arrivals.reverse();
        arrivals
    }

    /// Ends the waiting of those whose time is over; returns who has authenticated.
    pub(super) fn expire(&mut self) -> Vec<Arrival> {
        let now = Instant::now();
        let count = self.guests.partition_point(|guest| guest.deadline <= now);
        let expired = self.guests.drain(..count);
        let authenticated = expired.filter(|guest| guest.handshake.is_none());
        authenticated.map(|guest| guest.arrive(true)).collect()
    }
}

impl Guest {
    /// Reads at most one message, and answers it; whether the guest has arrived.
    fn hear(&mut self) -> Result<bool, Error> {
        let Some(handshake) = &mut self.handshake else {
            return Ok(true);
        };
        // Never beyond a message: what comes after the last one is for others to read.
        let mut buffer = [0; auth::MESSAGE_LIMIT as usize];
        let message = loop {
            let wanted = self.decoder.wanted().min(auth::MESSAGE_LIMIT) as usize;
            match self.stream.read(&mut buffer[..wanted]) {
                Ok(0) => {
                    return Err(Error::Protocol {
                        why: "it went away while authenticating",
                    });
                }
                Ok(length) => {
                    let taken = self.decoder.take(&mut &buffer[..length]);
                    let taken = taken.map_err(|_| Error::Protocol {
                        why: "bad message length",
                    })?;
                    if let Some(message) = taken {
                        break message;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => return Err(Error::io("authenticating a client")(source)),
            }
        };
        match handshake.receive(&message) {
            Ok(step) => {
                // The first message of a client is its proof.
                self.has_proved = true;
                if step.done {
                    self.handshake = None;
                }
                if let Some(answer) = step.send {
                    self.send(&answer)?;
                }
                Ok(false)
            }
            Err(failed) => {
                if let Some(answer) = failed.send {
                    // The failure itself is the better report.
                    let _ = self.send(&answer);
                }
                Err(failed.error.into())
            }
        }
    }

    /// Sends a message. All of a handshake fits in the buffers of any connection, so a peer for
    /// which it does not is none to wait for.
    fn send(&mut self, message: &[u8]) -> Result<(), Error> {
        let sent = self.stream.write_all(&frame::encode(message));
        sent.map_err(Error::io("authenticating a client"))
    }

    fn arrive(self, is_silent: bool) -> Arrival {
        Arrival {
            stream: self.stream,
            decoder: self.decoder,
            is_silent,
        }
    }
}
