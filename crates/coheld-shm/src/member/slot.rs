//! The state word of a member slot: `generation << 8 | state`.
#![cfg_attr(
    loom,
    allow(dead_code, reason = "the models claim slots and do not reap them")
)]

use crate::sync::{AtomicU64, Ordering};

/// Nobody has the slot.
pub(crate) const FREE: u64 = 0;
/// A process works under it.
pub(crate) const ALIVE: u64 = 1;
/// A parent holds it for the child it is forking.
pub(crate) const RESERVED: u64 = 2;
/// Its process died; somebody cleans up.
pub(crate) const REAPING: u64 = 3;

/// Bits of a tag that name the slot; 1,024 members at most.
pub(crate) const SLOT_BITS: u32 = 10;
/// Generations wrap before they reach the waiters bit of a lock word.
const GENERATION_LIMIT: u64 = 1 << 21;

pub(crate) const fn state(word: u64) -> u64 {
    word & 0xff
}

pub(crate) const fn generation(word: u64) -> u64 {
    word >> 8
}

pub(crate) const fn pack(generation: u64, state: u64) -> u64 {
    generation << 8 | state
}

/// The tag of the member in `slot` whose slot word is `word`; never zero.
pub(crate) const fn tag(slot: u32, word: u64) -> u32 {
    (generation(word) as u32) << SLOT_BITS | slot
}

pub(crate) const fn slot_of(tag: u32) -> u32 {
    tag & ((1 << SLOT_BITS) - 1)
}

pub(crate) const fn generation_of(tag: u32) -> u64 {
    (tag >> SLOT_BITS) as u64
}

/// Moves a free slot to `target` under its next generation; the new word, or `None` if taken.
pub(crate) fn claim(word: &AtomicU64, target: u64) -> Option<u64> {
    let current = word.load(Ordering::Relaxed);
    if state(current) != FREE {
        return None;
    }
    let next = match generation(current) + 1 {
        GENERATION_LIMIT.. => 1,
        next => next,
    };
    let claimed = pack(next, target);
    // Acquire: pairs with the Release by which a reaper freed the slot.
    word.compare_exchange(current, claimed, Ordering::Acquire, Ordering::Relaxed)
        .is_ok()
        .then_some(claimed)
}
