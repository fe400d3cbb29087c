//! The channels of a caller: one for each call that a thread has under way, kept for the next one.
//!
//! A thread that calls again finds its channel idle. A call inside a call (from a signal handler, a
//! destructor, a callback) finds it taken and opens another one, so the two cannot meet. Whoever
//! leaves a call early leaves the channel, too, and a late reply goes nowhere.

use std::cell::RefCell;
use std::sync::Arc;

use coheld_shm::HostPlace;
use coheld_store::{Channel, Input, StoreError, kinds};

use super::inbox;
use crate::handle::Parked;
use crate::{Attachment, Error, Handle, host};

/// Most idle channels of one thread: no thread nests deeper, or has more hosts, for long.
const IDLE_LIMIT: usize = 8;

thread_local! {
    static IDLE: RefCell<IdleChannels> = const { RefCell::new(IdleChannels(Vec::new())) };
}

/// The idle channels of a thread; the oldest come first.
struct IdleChannels(Vec<IdleChannel>);

/// A channel that waits for the next call. It does not keep the segment mapped: a thread that never
/// calls again should not keep the memory of a manager that is gone.
struct IdleChannel {
    handle: Parked,
    segment: [u8; 16],
    place: HostPlace,
    tag: u32,
}

/// The caller's end of a channel, during one call. Closed when dropped.
pub(super) struct CallerEnd {
    handle: Handle,
    place: HostPlace,
    /// The member that made it. A child forked since has no business with it.
    tag: u32,
    is_parked: bool,
}

impl CallerEnd {
    /// Posts `message` to the host at `place`, through an idle channel or a new one. `None`: there
    /// is no such host any more.
    pub(super) fn post(
        attachment: &Arc<Attachment>,
        place: HostPlace,
        message: &[&[u8]],
    ) -> Result<Option<Self>, Error> {
        let segment = attachment.joined()?;
        let (segment, tag) = (segment.id(), segment.own_tag()?);
        while let Some(idle) = take_idle(&segment, place) {
            // In a forked child the channel of its parent ends here, and is not closed.
            if let Some(end) = idle.wake()
                && end.tag == tag
                && end.try_post(message)?
            {
                return Ok(Some(end));
            }
        }
        Self::open(attachment, place, tag, message)
    }

    /// Posts through a channel that was idle; false if it was closed meanwhile.
    fn try_post(&self, message: &[&[u8]]) -> Result<bool, Error> {
        let referent = self.handle.referent()?;
        match Channel::open(&referent)?.post_parts(message) {
            Ok(()) => Ok(true),
            Err(StoreError::Closed) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Posts through a new channel. The message is in it before the host knows of it.
    fn open(
        attachment: &Arc<Attachment>,
        place: HostPlace,
        tag: u32,
        message: &[&[u8]],
    ) -> Result<Option<Self>, Error> {
        drop(take_useless());
        let handle = Handle::create(attachment, kinds::referent::CHANNEL, 0)?;
        let end = Self {
            handle,
            place,
            tag,
            is_parked: false,
        };
        {
            let referent = end.handle.referent()?;
            Channel::prepare(&referent, tag)?;
            Channel::open(&referent)?.post_parts(message)?;
        }
        let edge = Input::Edge(end.handle.edge_word());
        let is_sent = inbox::send(attachment.joined()?, place, &edge)?;
        Ok(is_sent.then_some(end))
    }

    /// The referent of the channel.
    pub(super) fn handle(&self) -> &Handle {
        &self.handle
    }

    /// This process's member, as which it calls.
    pub(super) fn tag(&self) -> u32 {
        self.tag
    }

    /// Keeps the channel, whose reply was taken, for the next call of this thread.
    pub(super) fn park(mut self) {
        self.is_parked = true;
        let idle = IdleChannel {
            handle: Parked::of(&self.handle),
            segment: self.handle.attachment().segment_id(),
            place: self.place,
            tag: self.tag,
        };
        let put = |channels: &RefCell<IdleChannels>| {
            let IdleChannels(channels) = &mut *channels.borrow_mut();
            let spilled = (channels.len() >= IDLE_LIMIT).then(|| channels.remove(0));
            channels.push(idle);
            spilled
        };
        // A thread that is ending keeps nothing. What is dropped is dropped out of the cell's
        // borrow: that may come back here.
        let spilled = IDLE.try_with(put).ok().flatten();
        drop(spilled.and_then(IdleChannel::wake));
    }
}

impl Drop for CallerEnd {
    fn drop(&mut self) {
        // In a forked child it belongs to the parent.
        if self.is_parked || !self.handle.attachment().segment().is_own(self.tag) {
            return;
        }
        let closed = self
            .handle
            .referent()
            .and_then(|referent| Ok(Channel::open(&referent)?.close()?));
        if let Err(error) = closed {
            // Its host notices when this process ends.
            log::debug!("a channel could not be closed: {error}");
        }
    }
}

impl IdleChannel {
    /// The channel, for another call; `None` if its segment is not mapped any more.
    fn wake(self) -> Option<CallerEnd> {
        Some(CallerEnd {
            handle: self.handle.wake()?,
            place: self.place,
            tag: self.tag,
            is_parked: false,
        })
    }

    /// Whether a call may still find it.
    fn is_useful(&self) -> bool {
        self.handle
            .attachment()
            .is_some_and(|attachment| attachment.segment().is_current_member(self.place.tag))
    }
}

fn take_idle(segment: &[u8; 16], place: HostPlace) -> Option<IdleChannel> {
    let take = |channels: &RefCell<IdleChannels>| {
        let IdleChannels(channels) = &mut *channels.borrow_mut();
        let found = channels
            .iter()
            .rposition(|idle| &idle.segment == segment && idle.place == place)?;
        Some(channels.remove(found))
    };
    IDLE.try_with(take).ok().flatten()
}

/// Takes out what belongs to hosts and segments that are gone.
fn take_useless() -> Vec<CallerEnd> {
    let take = |channels: &RefCell<IdleChannels>| {
        let IdleChannels(channels) = &mut *channels.borrow_mut();
        let (useful, useless) = std::mem::take(channels)
            .into_iter()
            .partition::<Vec<_>, _>(IdleChannel::is_useful);
        *channels = useful;
        useless
    };
    let useless = IDLE.try_with(take).unwrap_or_default();
    useless.into_iter().filter_map(IdleChannel::wake).collect()
}

impl Drop for IdleChannels {
    fn drop(&mut self) {
        // The runtime may have forgotten this thread, or be gone.
        host::without_runtime(|| {
            for idle in self.0.drain(..) {
                drop(idle.wake());
            }
        });
    }
}
