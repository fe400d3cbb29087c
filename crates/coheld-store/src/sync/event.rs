//! `Event`.
//!
//! ```text
//! word 0   1 when it is set
//! ```

use coheld_shm::{Glance, Guard, Look, Referent, Wakes};

use super::wait::{Ended, SIGNAL, for_signal, lock_to_wake_all, without_waking};
use super::{Standing, Wait};
use crate::error::Result;
use crate::kinds::referent as kind;
use crate::list::check_kind;

const FLAG: u64 = 0;
pub(super) const ROLE: u32 = 0;

/// An event, of kind EVENT.
#[derive(Clone, Copy)]
pub struct Event<'a> {
    referent: &'a Referent<'a>,
}

impl<'a> Event<'a> {
    /// Treats `referent` as an event.
    #[inline]
    pub fn new(referent: &'a Referent<'a>) -> Self {
        Self { referent }
    }

    /// Whether it is set.
    #[inline]
    pub fn is_set(&self) -> Result<bool> {
        let flag = |event: &Glance<'_>| Some(event.word(FLAG) != 0);
        if let Some(set) = self.referent.glance(flag) {
            return Ok(set);
        }
        Ok(self.referent.lock()?.word(FLAG) != 0)
    }

    /// Sets it and wakes everybody.
    pub fn set(&self) -> Result<()> {
        let mut wakes = Wakes::new(self.referent.segment());
        let guard = lock_to_wake_all(self.referent, &mut wakes)?;
        check_kind(&guard, kind::EVENT)?;
        // COMMIT: it is set. CRASH: some are not signalled yet: `mend`.
        guard.commit_word(guard.word_cell(FLAG), 1)?;
        guard.signal_many(ROLE, SIGNAL, u64::MAX, &mut wakes);
        drop(guard);
        Ok(())
    }

    /// Takes it back.
    pub fn clear(&self) -> Result<()> {
        let guard = self.referent.lock_uninterrupted()?;
        check_kind(&guard, kind::EVENT)?;
        // COMMIT: it is not set.
        Ok(guard.commit_word(guard.word_cell(FLAG), 0)?)
    }

    /// Whether it is set, or was since somebody stands in line.
    pub fn attempt(&self, standing: Option<&Standing<'_>>) -> Result<bool> {
        Ok(standing.is_some_and(Standing::is_signalled) || self.is_set()?)
    }

    /// Whether it was set in time.
    pub fn wait(&self, wait: Wait) -> Result<bool> {
        if self.is_set()? {
            return Ok(true);
        }
        if wait.is_over() {
            return Ok(false);
        }
        loop {
            let waiter = self.referent.segment().waiter()?;
            {
                let guard = self.referent.lock()?;
                check_kind(&guard, kind::EVENT)?;
                if guard.word(FLAG) != 0 {
                    return Ok(true);
                }
                guard.enqueue(&waiter, ROLE, 0);
            }
            match for_signal(
                self.referent,
                &waiter,
                wait,
                false,
                || Ok(()),
                |_| false,
                |_, _, _| Ok(()),
            )? {
                Ended::Signalled(_) => return Ok(true),
                Ended::TimedOut => return self.is_set(),
                Ended::Forked => {}
            }
        }
    }
}

/// Signals those whom a dead setter has left out.
pub(crate) fn mend(guard: &Guard<'_>) {
    if guard.word(FLAG) != 0 {
        without_waking(guard, |wakes| {
            guard.signal_many(ROLE, SIGNAL, u64::MAX, wakes);
        });
    }
}
