//! The bell of a member: one word by which one thread hears of the signals of many waiters.
//!
//! ```text
//! listener: listen -> look at all signals -> sleep while it is silent -> listen ..
//! waker:    (lock) -> give a signal -> ring -> (unlock) -> wake
//! ```
//!
//! Both sides exchange the word, so one exchange comes first. If it is the ring, the listener reads
//! it and so sees the signal that was given before; if it is the listening, the word says that it
//! rang, and the sleep does not begin. Who rings a bell that rings already wakes nevertheless: the
//! one before may have died before it did.

use crate::sync::{AtomicU32, Ordering};

const SILENT: u32 = 0;
const RINGS: u32 = 1;

/// The word of one bell.
#[derive(Clone, Copy)]
pub(crate) struct Bell<'a>(&'a AtomicU32);

impl<'a> Bell<'a> {
    pub(crate) fn new(word: &'a AtomicU32) -> Self {
        Self(word)
    }

    /// The listener: silences it, before it looks at the signals.
    pub(crate) fn listen(self) {
        // Acquire: pairs with the Release in `ring`, so that the signals it rang for are seen.
        self.0.swap(SILENT, Ordering::Acquire);
    }

    /// Rings it, after a signal was given; the listener is to be woken then.
    pub(crate) fn ring(self) {
        // Release: pairs with the Acquire in `listen`. An exchange also where it rings already: the
        // listener may be about to silence it, and has to see this signal then.
        self.0.swap(RINGS, Ordering::Release);
    }

    /// Whether it rings.
    pub(crate) fn rings(self) -> bool {
        // Relaxed: what it rang for is looked at after the next listening.
        self.0.load(Ordering::Relaxed) == RINGS
    }

    /// The listener: sleeps by `wait` unless it rings. `wait` is given the value of the word that
    /// means "silent".
    pub(crate) fn sleep(self, wait: impl FnOnce(u32)) {
        if !self.rings() {
            wait(SILENT);
        }
    }
}

#[cfg(not(loom))]
mod of_members {
    use std::time::Duration;

    use super::Bell;
    use crate::{Error, Segment, Wakes, layout::field, member::slot};

    impl Segment {
        fn bell_cell(&self, tag: u32) -> u64 {
            field!(self.map.member(slot::slot_of(tag)), Member.bell)
        }

        fn bell(&self, tag: u32) -> Bell<'_> {
            Bell::new(self.control32(self.bell_cell(tag)))
        }

        /// Rings the bell of the member whose waiter was signalled, under the lock of the line.
        pub(in crate::line) fn ring_for(&self, cell: u64, wakes: &mut Wakes<'_>) {
            let tag = self.get32(field!(cell, WaiterCell.owner));
            // A cell of the dead may name anybody by now; a needless ring does no harm.
            if slot::slot_of(tag) < self.map.member_limit {
                self.bell(tag).ring();
                wakes.add(self.bell_cell(tag));
            }
        }

        /// Rings the bell of this process.
        pub fn ring_bell(&self) -> Result<(), Error> {
            let tag = self.tag()?;
            self.bell(tag).ring();
            self.backing.wake(self.bell_cell(tag), 1);
            Ok(())
        }

        /// Silences the bell of this process, before the caller looks at the signals of its waiters
        /// (see [`crate::Waiter::with_bell`]). One thread of a process listens.
        pub fn listen_to_bell(&self) -> Result<(), Error> {
            self.bell(self.tag()?).listen();
            Ok(())
        }

        /// Whether the bell of this process rings.
        pub fn bell_rings(&self) -> Result<bool, Error> {
            Ok(self.bell(self.tag()?).rings())
        }

        /// Sleeps until the bell of this process rings, for `patience` at most; may return early.
        pub fn sleep_by_bell(&self, patience: Duration) -> Result<(), Error> {
            let tag = self.tag()?;
            let at = self.bell_cell(tag);
            let mut sleep = || {
                self.bell(tag)
                    .sleep(|silent| self.backing.wait(at, silent, patience));
            };
            match self.host() {
                Some(host) => host.block(&mut sleep),
                None => sleep(),
            }
            Ok(())
        }
    }
}
