//! Reservations: how an operation that works on a copy gets its turn beside busy writers.
//!
//! What needs the language's own equality or a key function works on a snapshot and commits only if
//! nobody has changed the referent meanwhile. Beside a writer that never rests it would lose every
//! time. After a few lost races it reserves the referent: the other members wait before they take
//! its lock, as long as the reserving member lives and for some seconds at most, so a callback that
//! waits for one of them stands still no longer than that. A reservation is a courtesy: nothing is
//! less safe without it.

use std::time::Duration;

use crate::{
    Error, Referent,
    layout::field,
    sync::{AtomicU64, Ordering},
};

/// Longest time others are kept waiting, in seconds: sorting ten million numbers with a key
/// function takes about as long.
const LIMIT_SECONDS: u64 = 4;

/// How long a waiter sleeps before it looks whether the reserving member still lives.
const PATIENCE: Duration = Duration::from_millis(10);

/// A referent kept for this process; ends when dropped.
pub struct Reserved<'s> {
    referent: Referent<'s>,
    word: u64,
}

impl<'s> Referent<'s> {
    fn reservation(&self) -> &'s AtomicU64 {
        self.segment().control(self.reservation_offset())
    }

    fn reservation_offset(&self) -> u64 {
        field!(self.offset(), ReferentHeader.reservation)
    }

    #[inline(always)]
    pub(crate) fn is_reserved(&self) -> bool {
        // Relaxed: a hint; who does not see it yet changes the referent once more.
        self.reservation().load(Ordering::Relaxed) != 0
    }

    /// Asks the other members to wait. `None` when another thread of this process has asked.
    pub fn reserve(&self) -> Result<Option<Reserved<'s>>, Error> {
        let tag = self.segment().tag()?;
        loop {
            let until = self.segment().backing.now_seconds() + LIMIT_SECONDS;
            let word = u64::from(tag) | until << 32;
            // Relaxed: a reservation orders nothing, the lock does.
            // CRASH: reserved and dead; whoever waits for it takes it away.
            match self
                .reservation()
                .compare_exchange(0, word, Ordering::Relaxed, Ordering::Relaxed)
            {
                Ok(_) => {
                    return Ok(Some(Reserved {
                        referent: *self,
                        word,
                    }));
                }
                Err(other) if other as u32 == tag => return Ok(None),
                Err(_) => self.give_way()?,
            }
        }
    }

    /// Waits until nobody else has the referent reserved.
    #[cold]
    pub(crate) fn give_way(&self) -> Result<(), Error> {
        let segment = self.segment();
        let own = segment.tag()?;
        loop {
            let word = self.reservation().load(Ordering::Relaxed);
            let (tag, until) = (word as u32, word >> 32);
            if word == 0 || tag == own {
                return Ok(());
            }
            if segment.backing.now_seconds() > until || segment.is_dead(tag) {
                let _ = self.reservation().compare_exchange(
                    word,
                    0,
                    Ordering::Relaxed,
                    Ordering::Relaxed,
                );
                continue;
            }
            let mut sleep = || {
                segment
                    .backing
                    .wait(self.reservation_offset(), tag, PATIENCE);
            };
            match segment.host() {
                Some(host) => {
                    host.block(&mut sleep);
                    if host.interrupted() {
                        return Err(Error::Interrupted);
                    }
                    if !segment.is_own(own) {
                        return Err(Error::Forked);
                    }
                }
                None => sleep(),
            }
        }
    }
}

impl Drop for Reserved<'_> {
    fn drop(&mut self) {
        let ended = self.referent.reservation().compare_exchange(
            self.word,
            0,
            Ordering::Relaxed,
            Ordering::Relaxed,
        );
        if ended.is_ok() {
            let segment = self.referent.segment();
            segment
                .backing
                .wake(self.referent.reservation_offset(), u32::MAX);
        }
    }
}
