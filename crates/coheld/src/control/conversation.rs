//! What a client that has authenticated is answered.
#![allow(
    clippy::disallowed_types,
    reason = "a counter of this process, not of the segment"
)]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use super::channel::Channel;
use super::doorman::Arrival;
use super::protocol::{self, Request};
use super::server::Stopper;
use crate::wire::{Introduction, NewClient, ServeClient};
use crate::{Attachment, Error};

/// How long a client may take for its request and for what it does with the reply. An honest one
/// takes a millisecond.
const CONVERSATION: Duration = Duration::from_secs(10);
/// Most conversations at once. Clients of the standard library count until they are known as such.
const LIMIT: usize = 128;

/// What all conversations need.
pub(super) struct Shared {
    pub(super) attachment: Arc<Attachment>,
    /// Name of the abstract socket for those who have come through TCP.
    pub(super) nearby: Option<Vec<u8>>,
    /// Whoever speaks with those who ask for something else than the memory.
    pub(super) clients: OnceLock<Arc<dyn ServeClient>>,
    pub(super) stopper: Stopper,
    conversations: AtomicUsize,
}

impl Shared {
    pub(super) fn new(
        attachment: Arc<Attachment>,
        nearby: Option<Vec<u8>>,
        stopper: Stopper,
    ) -> Self {
        Self {
            attachment,
            nearby,
            clients: OnceLock::new(),
            stopper,
            conversations: AtomicUsize::new(0),
        }
    }

    /// Whether there may be another conversation.
    pub(super) fn has_room(&self) -> bool {
        self.conversations.load(Ordering::Relaxed) < LIMIT
    }

    /// Starts a conversation, on a thread of its own.
    pub(super) fn start(self: &Arc<Self>, arrival: Arrival) {
        let place = Place::take(self);
        let builder = thread::Builder::new().name("coheld-control".into());
        let started = builder.spawn(move || {
            if let Err(error) = converse(place, arrival) {
                log::debug!("a client was not served: {error}");
            }
        });
        if let Err(error) = started {
            log::warn!(
                "a client was dropped, because there is no thread for it: {error}; the limits of \
                 this user or of the container may be too low"
            );
        }
    }
}

/// One of the conversations at once.
struct Place(Arc<Shared>);

impl Place {
    fn take(shared: &Arc<Shared>) -> Self {
        shared.conversations.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(shared))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.conversations.fetch_sub(1, Ordering::Relaxed);
    }
}

fn converse(place: Place, arrival: Arrival) -> Result<(), Error> {
    let shared = &place.0;
    let is_nearby = arrival.stream.unix().is_ok();
    // The doorman does not wait; a conversation does, up to its deadline.
    arrival
        .stream
        .set_blocking()
        .map_err(Error::io("accepting a client"))?;
    let address = shared.attachment.address().clone();
    let deadline = Instant::now() + CONVERSATION;
    let mut channel = Channel::of(arrival.stream, arrival.decoder, address, deadline);
    if shared.clients.get().is_some() && (arrival.is_silent || !is_control(&mut channel)?) {
        return serve(place, channel, None);
    }
    match Request::decode(&channel.receive()?) {
        Ok(Request::Ping) => channel.send(&protocol::granted(b"")),
        Ok(Request::Shutdown) => {
            let replied = channel.send(&protocol::granted(b""));
            shared.stopper.stop();
            replied
        }
        Ok(Request::Join(introduction)) => {
            if shared.clients.get().is_none() {
                return channel.send(&protocol::refused("it serves no clients of this kind"));
            }
            channel.send(&protocol::granted(&shared.attachment.segment_id()))?;
            serve(place, channel, Some(introduction))
        }
        Ok(Request::Attach) => hand_out(shared, channel, is_nearby),
        Err(reason) => channel.send(&protocol::refused(reason)),
    }
}

/// Whether a client begins to ask for something of the control plane. Those of the standard
/// library begin with anything else, and may be slow: a client that has not said enough to tell
/// is one of them, since those of Coheld have given up by then.
fn is_control(channel: &mut Channel) -> Result<bool, Error> {
    match channel.begins_with(protocol::MARK) {
        Err(Error::TimedOut { .. }) => Ok(false),
        begins => begins,
    }
}

/// Hands a client on to those who serve it for as long as it wants.
fn serve(place: Place, channel: Channel, introduction: Option<Introduction>) -> Result<(), Error> {
    let connection = channel.into_connection()?;
    let shared = Arc::clone(&place.0);
    // This may take as long as the client lives.
    drop(place);
    if let Some(clients) = shared.clients.get() {
        clients.serve(NewClient {
            connection,
            introduction,
        });
    }
    Ok(())
}

/// Hands the segment out.
fn hand_out(shared: &Shared, mut channel: Channel, is_nearby: bool) -> Result<(), Error> {
    let attachment = &shared.attachment;
    let Some(descriptor) = attachment.segment().backing().descriptor() else {
        return channel.send(&protocol::alone(
            "the manager has no file descriptor of it to hand out; the system forbade it to make \
             memory files (memfd_create, as by a seccomp filter; files in /dev/shm neither), or a \
             program has closed every descriptor",
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
