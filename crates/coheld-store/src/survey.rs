//! What each referent is at the moment, for people who look at a running program.
//!
//! All of it only reads, without locks: what it tells may be over by the time that it is told, and
//! of a referent in the middle of a change it may be a mixture.

use coheld_shm::{HostPlace, Owner, ReferentView, Segment};

use crate::block::{self, HEADER};
use crate::channel::{CLIENT, HOST, REPLY, REQUEST};
use crate::error::Result;
use crate::kinds::{block as blocks, referent as kind};
use crate::sync::{lock, semaphore};
use crate::table::Table;
use crate::word;

/// What a referent is at the moment, beside its kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Sketch {
    /// Nothing that can be told in a few numbers.
    #[default]
    Plain,
    /// A container: how many items it has.
    Items(u64),
    /// An array: bytes of its items.
    Array(u64),
    /// A queue.
    Queue {
        /// Items in it.
        items: u64,
        /// The most that may be in it; 0: any number.
        limit: u64,
        /// Whether it was shut down.
        shut_down: bool,
    },
    /// A lock.
    Lock {
        /// Who has it.
        owner: Option<Owner>,
        /// How often the owner has acquired it.
        depth: u64,
    },
    /// A semaphore.
    Semaphore {
        /// Free permits.
        free: u64,
        /// Permits of members: slot, generation, how many.
        permits: Vec<(u32, u32, u64)>,
    },
    /// An event: whether it is set.
    Event(bool),
    /// A barrier: how many parties it waits for.
    Barrier(u64),
    /// An object in a process.
    Hosted(HostPlace),
    /// The way of one thread's calls to a host.
    Channel {
        /// The tag of the member that calls.
        client: u32,
        /// The tag of the member that answers; 0 as long as it has not seen the channel.
        host: u32,
        /// Requests so far, wrapping at 2^30.
        requests: u32,
        /// Whether a request has no answer yet.
        is_calling: bool,
        /// Whether either side has closed it.
        is_closed: bool,
    },
}

/// What a referent is at the moment.
#[must_use]
pub fn sketch(segment: &Segment, view: &ReferentView) -> Sketch {
    let sketched = match view.kind {
        kind::LIST => elements(segment, view).map(Sketch::Items),
        kind::DICT | kind::SET | kind::NAMESPACE => entries(segment, view).map(Sketch::Items),
        kind::ARRAY | kind::BUFFER => array(segment, view).map(Sketch::Array),
        kind::QUEUE | kind::JOINABLE_QUEUE => elements(segment, view).map(|items| Sketch::Queue {
            items,
            limit: view.auxiliary,
            shut_down: view.words[0] & 1 != 0,
        }),
        kind::LOCK | kind::RLOCK => Ok(Sketch::Lock {
            owner: Owner::from_word(view.words[lock::OWNER as usize]),
            depth: view.words[lock::DEPTH as usize],
        }),
        kind::SEMAPHORE | kind::BOUNDED_SEMAPHORE => {
            permits(segment, view).map(|permits| Sketch::Semaphore {
                free: view.words[semaphore::VALUE as usize],
                permits,
            })
        }
        kind::EVENT => Ok(Sketch::Event(view.words[0] != 0)),
        kind::BARRIER => Ok(Sketch::Barrier(view.auxiliary)),
        kind::HOSTED => Ok(HostPlace::from_words(view.words[0], view.words[1])
            .map_or(Sketch::Plain, Sketch::Hosted)),
        kind::CHANNEL => channel(segment, view),
        _ => Ok(Sketch::Plain),
    };
    // What cannot be read is the verifier's to report.
    sketched.unwrap_or_default()
}

/// What a waiter of a referent of this kind waits for.
#[must_use]
pub const fn waits_for(referent: u8, role: u32) -> &'static str {
    match (referent, role) {
        (kind::LOCK | kind::RLOCK, _) => "the lock",
        (kind::SEMAPHORE | kind::BOUNDED_SEMAPHORE, _) => "a permit",
        (kind::EVENT, _) => "the event",
        (kind::CONDITION, _) => "a notification",
        (kind::BARRIER, 0) => "the other parties",
        (kind::BARRIER, _) => "to enter",
        (kind::QUEUE | kind::JOINABLE_QUEUE, 0) => "an item",
        (kind::QUEUE | kind::JOINABLE_QUEUE, 1) => "room",
        (kind::QUEUE | kind::JOINABLE_QUEUE, _) => "all to be done",
        _ => "something",
    }
}

fn elements(segment: &Segment, view: &ReferentView) -> Result<u64> {
    if view.root == word::EMPTY {
        return Ok(0);
    }
    let header = block::header_of_word(segment, view.root)?;
    Ok(u64::from(header.count))
}

fn entries(segment: &Segment, view: &ReferentView) -> Result<u64> {
    if view.root == word::EMPTY {
        return Ok(0);
    }
    let header = block::header_of_word(segment, view.root)?;
    Ok(Table::at(segment, header.payload - HEADER)?.live()?.into())
}

fn array(segment: &Segment, view: &ReferentView) -> Result<u64> {
    if view.root == word::EMPTY {
        return Ok(0);
    }
    Ok(block::header_of_word(segment, view.root)?.length)
}

fn permits(segment: &Segment, view: &ReferentView) -> Result<Vec<(u32, u32, u64)>> {
    if view.words[semaphore::INITIAL as usize] & semaphore::SIGNALS != 0 {
        return Ok(Vec::new());
    }
    // Without the lock it may be in the middle of getting others.
    semaphore::Accounts::at(segment, view.root).map_or(Ok(Vec::new()), |accounts| accounts.all())
}

fn channel(segment: &Segment, view: &ReferentView) -> Result<Sketch> {
    let header = block::header_of_word(segment, view.root)?;
    if header.kind != blocks::CHANNEL {
        return Ok(Sketch::Plain);
    }
    let start = header.payload - HEADER;
    let (request, reply) = (
        segment.message(start + REQUEST.message)?.look(),
        segment.message(start + REPLY.message)?.look(),
    );
    Ok(Sketch::Channel {
        client: segment.load(start + CLIENT)? as u32,
        host: segment.load(start + HOST)? as u32,
        requests: request.number,
        is_calling: request.number != reply.number,
        is_closed: request.closed || reply.closed,
    })
}
