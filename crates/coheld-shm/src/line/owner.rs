//! Who holds something for longer than an operation: a thread of a member.

use std::{cell::Cell, num::NonZeroU64};

use crate::{
    Error, Segment,
    member::slot,
    sync::{AtomicU32, Ordering, thread_local},
};

static NEXT_THREAD: AtomicU32 = AtomicU32::new(1);

thread_local! {
    static THREAD: Cell<u32> = const { Cell::new(0) };
}

/// The number of the calling thread in this process; from 1.
#[inline]
fn thread_number() -> u32 {
    let number = THREAD.with(Cell::get);
    if number == 0 { number_thread() } else { number }
}

#[cold]
fn number_thread() -> u32 {
    // Relaxed: only has to be unique. A process that starts four thousand million threads meets
    // a number again.
    let number = NEXT_THREAD.fetch_add(1, Ordering::Relaxed).max(1);
    THREAD.with(|thread| thread.set(number));
    number
}

/// A thread of a member: the member's tag in bits 0-30, the thread's number in bits 32-63.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner(NonZeroU64);

impl Owner {
    /// The owner that a word names; `None` for 0.
    #[inline]
    pub fn from_word(word: u64) -> Option<Self> {
        NonZeroU64::new(word).map(Self)
    }

    /// The member in a slot, without one of its threads.
    pub fn of_member(slot: u32, generation: u32) -> Option<Self> {
        let generation = slot::pack(generation.into(), slot::ALIVE);
        Self::from_word(slot::tag(slot, generation).into())
    }

    /// The word that names it.
    #[inline]
    pub fn word(self) -> u64 {
        self.0.get()
    }

    /// The number of the thread in its process.
    pub fn thread(self) -> u32 {
        (self.word() >> 32) as u32
    }

    /// Slot of the member.
    #[inline]
    pub fn slot(self) -> u32 {
        slot::slot_of(self.tag())
    }

    /// Generation of the member's slot.
    #[inline]
    pub fn generation(self) -> u32 {
        slot::generation_of(self.tag()) as u32
    }

    fn tag(self) -> u32 {
        self.word() as u32
    }
}

impl Segment {
    /// The calling thread.
    #[inline]
    pub fn owner(&self) -> Result<Owner, Error> {
        let word = u64::from(self.tag()?) | u64::from(thread_number()) << 32;
        // A tag is never zero.
        Ok(Owner(NonZeroU64::new(word).unwrap_or(NonZeroU64::MIN)))
    }

    /// Whether the process of an owner is dead. Asks the kernel; never under a lock.
    pub fn is_gone(&self, owner: Owner) -> bool {
        self.is_dead(owner.tag())
    }

    /// The process of an owner; 0 when its slot has another member by now.
    pub fn process_of(&self, owner: Owner) -> u32 {
        let word = self.member_word(owner.slot());
        if slot::generation(word) == slot::generation_of(owner.tag()) {
            self.identity_of(owner.slot()).pid
        } else {
            0
        }
    }

    /// Number of member slots that have ever been used.
    pub fn used_slots(&self) -> u32 {
        self.member_high()
    }
}
