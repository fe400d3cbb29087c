//! What each referent is at the moment, for people who look at a running program; and what a lock
//! of the dead needs when nobody comes for it.
//!
//! Everything but [`free_from_dead`] only reads, without locks: what it tells may be over by the
//! time that it is told, and of a referent in the middle of a change it may be a mixture.

use coheld_shm::{HostPlace, Owner, Referent, ReferentView, Segment, Wakes};

use crate::block::{self, HEADER};
use crate::error::Result;
use crate::kinds::{block as blocks, referent as kind};
use crate::sync::wait::SIGNAL;
use crate::table::Table;
use crate::word;

/// The words of a lock; see `docs/layout.md`.
const OWNER: usize = 0;
const DEPTH: usize = 1;
const DIED: u64 = 2;
/// Words in front of the accounts of a semaphore, and where the generation is in an account.
const REDO_WORDS: u64 = 3;
const GENERATION_SHIFT: u32 = 40;
/// Bit of the second word of a semaphore: permits go from one member to another.
const TRAVELLING: u64 = 1 << 63;
/// Where the tags and the messages of a channel are, from the start of its block.
const CLIENT: u64 = 0x20;
const HOST: u64 = 0x28;
const REQUEST: u64 = 0x80;
const REPLY: u64 = 0x100;

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
        kind::ARRAY => array(segment, view).map(Sketch::Array),
        kind::QUEUE | kind::JOINABLE_QUEUE => elements(segment, view).map(|items| Sketch::Queue {
            items,
            limit: view.auxiliary,
            shut_down: view.words[0] & 1 != 0,
        }),
        kind::LOCK | kind::RLOCK => Ok(Sketch::Lock {
            owner: Owner::from_word(view.words[OWNER]),
            depth: view.words[DEPTH],
        }),
        kind::SEMAPHORE | kind::BOUNDED_SEMAPHORE => {
            permits(segment, view).map(|permits| Sketch::Semaphore {
                free: view.words[0],
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
    let mut found = Vec::new();
    if view.root == word::EMPTY || view.words[1] & TRAVELLING != 0 {
        return Ok(found);
    }
    let header = block::header_of_word(segment, view.root)?;
    if header.kind != blocks::PERMITS {
        return Ok(found);
    }
    let accounts = (header.length / 8)
        .saturating_sub(REDO_WORDS)
        .min(segment.member_limit().into());
    for slot in 0..accounts {
        let account = segment.load(header.payload + 8 * (REDO_WORDS + slot))?;
        let permits = account & ((1 << GENERATION_SHIFT) - 1);
        if permits != 0 {
            let generation = (account >> GENERATION_SHIFT) as u32;
            found.push((slot as u32, generation, permits));
        }
    }
    Ok(found)
}

fn channel(segment: &Segment, view: &ReferentView) -> Result<Sketch> {
    let header = block::header_of_word(segment, view.root)?;
    if header.kind != blocks::CHANNEL {
        return Ok(Sketch::Plain);
    }
    let start = header.payload - HEADER;
    let (request, reply) = (
        segment.message(start + REQUEST)?.look(),
        segment.message(start + REPLY)?.look(),
    );
    Ok(Sketch::Channel {
        client: segment.load(start + CLIENT)? as u32,
        host: segment.load(start + HOST)? as u32,
        requests: request.number,
        is_calling: request.number != reply.number,
        is_closed: request.closed || reply.closed,
    })
}

/// Frees a lock whose owner is dead, as the next to acquire it would, who is told of the death all
/// the same. Whether it was one.
pub fn free_from_dead(referent: &Referent<'_>) -> Result<bool> {
    let segment = referent.segment();
    let owner_now = || -> Result<Option<Owner>> {
        let guard = referent.lock_uninterrupted()?;
        let is_lock = matches!(guard.kind(), kind::LOCK | kind::RLOCK);
        Ok(Owner::from_word(guard.word(OWNER as u64)).filter(|_| is_lock))
    };
    // The question is asked without the lock.
    let Some(owner) = owner_now()?.filter(|&owner| segment.is_gone(owner)) else {
        return Ok(false);
    };
    let process = segment.process_of(owner);
    let mut wakes = Wakes::new(segment);
    let guard = referent.lock_uninterrupted()?;
    let freed = guard.word(OWNER as u64) == owner.word();
    if freed {
        // CRASH: noted, and still owned by the dead: the next in line mends it, as ever.
        guard.set_word(DIED, u64::from(process) + 1);
        // COMMIT: the lock is free.
        guard.commit_word(guard.word_cell(OWNER as u64), 0)?;
        guard.signal_next(0, SIGNAL, &mut wakes);
    }
    drop(guard);
    Ok(freed)
}
