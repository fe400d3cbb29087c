//! What this process holds: how many handles it has of each referent.
//!
//! In the segment a holder bit says only *whether* a process holds a referent. The first handle
//! sets it and the last one clears it, and the two must not overtake each other. Setting and
//! clearing may have to wait for a lock of the segment, so neither happens under the mutex of this
//! table: an entry is marked as changing instead, and others wait until it is settled.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use crate::fork::{behind_gate, guarded};
use crate::{Error, host};

/// How long to sleep before looking at a changing entry again.
const NAP: Duration = Duration::from_micros(50);

/// Counts of handles, by edge word.
#[derive(Default)]
pub(crate) struct Holders {
    table: Mutex<HashMap<u64, Hold>>,
}

struct Hold {
    /// Handles; 0 while the bit is being set or cleared.
    handles: u32,
    offset: u64,
    generation: u32,
}

/// Where a referent is, and which one.
pub(crate) type Place = (u64, u32);

/// The result of counting one more handle.
pub(crate) enum Added {
    /// The first one: the bit was set by the caller's function.
    First(Place),
    /// There were others; nothing else was done.
    Another(Place),
}

impl Holders {
    /// Counts one more handle of the referent `word`. If it is the first, `take` sets the bit.
    pub(crate) fn add(
        &self,
        word: u64,
        take: impl FnOnce() -> Result<Place, Error>,
    ) -> Result<Added, Error> {
        if let Some(place) = self.count_or_claim(word) {
            return Ok(Added::Another(place));
        }
        let claim = Claim {
            holders: self,
            word,
        };
        let (offset, generation) = take()?;
        core::mem::forget(claim);
        guarded(&self.table, |table| {
            table.insert(
                word,
                Hold {
                    handles: 1,
                    offset,
                    generation,
                },
            );
        });
        Ok(Added::First((offset, generation)))
    }

    /// Counts one handle less. If it was the last, `give` clears the bit.
    pub(crate) fn remove(&self, word: u64, give: impl FnOnce()) {
        let last = guarded(&self.table, |table| {
            table.get_mut(&word).is_some_and(|hold| {
                hold.handles = hold.handles.saturating_sub(1);
                hold.handles == 0
            })
        });
        if last {
            let _claim = Claim {
                holders: self,
                word,
            };
            give();
        }
    }

    /// Everything held now.
    pub(crate) fn places(&self) -> Vec<Place> {
        guarded(&self.table, |table| settled(table))
    }

    /// As `places`, during a fork.
    pub(crate) fn places_behind_gate(&self) -> Vec<Place> {
        behind_gate(&self.table, |table| settled(table))
    }

    /// In a forked child: what other threads of the parent were changing is not ours.
    pub(crate) fn forget_unsettled_behind_gate(&self) {
        behind_gate(&self.table, |table| {
            table.retain(|_, hold| hold.handles > 0);
        });
    }

    /// Counts one more if there are handles, else marks the entry as changing (`None`).
    fn count_or_claim(&self, word: u64) -> Option<Place> {
        enum Seen {
            Counted(Place),
            Claimed,
            Changing,
        }
        loop {
            let seen = guarded(&self.table, |table| match table.get_mut(&word) {
                Some(Hold { handles: 0, .. }) => Seen::Changing,
                Some(hold) => {
                    hold.handles += 1;
                    Seen::Counted((hold.offset, hold.generation))
                }
                None => {
                    table.insert(
                        word,
                        Hold {
                            handles: 0,
                            offset: 0,
                            generation: 0,
                        },
                    );
                    Seen::Claimed
                }
            });
            match seen {
                Seen::Counted(place) => return Some(place),
                Seen::Claimed => return None,
                Seen::Changing => host::pause(NAP),
            }
        }
    }
}

fn settled(table: &HashMap<u64, Hold>) -> Vec<Place> {
    let settled = table.values().filter(|hold| hold.handles > 0);
    settled.map(|hold| (hold.offset, hold.generation)).collect()
}

/// An entry marked as changing, removed when the change is over or failed.
struct Claim<'a> {
    holders: &'a Holders,
    word: u64,
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        guarded(&self.holders.table, |table| table.remove(&self.word));
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_types, reason = "a test counts what threads see")]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicI32, Ordering};

    #[test]
    fn only_the_first_sets_and_only_the_last_clears() {
        let holders = Holders::default();
        let first = holders.add(7, || Ok((16, 1))).unwrap();
        assert!(matches!(first, Added::First((16, 1))));
        let second = holders
            .add(7, || unreachable!("there is one already"))
            .unwrap();
        assert!(matches!(second, Added::Another((16, 1))));
        assert_eq!(holders.places(), [(16, 1)]);
        holders.remove(7, || unreachable!("there is another one"));
        let mut cleared = false;
        holders.remove(7, || cleared = true);
        assert!(cleared && holders.places().is_empty());
    }

    #[test]
    fn a_failure_leaves_no_trace() {
        let holders = Holders::default();
        let failed = holders.add(7, || Err(Error::NoAuthkey));
        assert!(failed.is_err() && holders.places().is_empty());
        assert!(holders.add(7, || Ok((16, 1))).is_ok());
    }

    #[test]
    fn setting_and_clearing_never_overtake_each_other() {
        let (holders, bit) = (Holders::default(), AtomicI32::new(0));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..2_000 {
                        let take = || {
                            assert_eq!(bit.fetch_add(1, Ordering::SeqCst), 0);
                            Ok((16, 1))
                        };
                        holders.add(7, take).unwrap();
                        assert_eq!(bit.load(Ordering::SeqCst), 1);
                        holders.remove(7, || {
                            assert_eq!(bit.fetch_sub(1, Ordering::SeqCst), 1);
                        });
                    }
                });
            }
        });
        assert_eq!(bit.load(Ordering::SeqCst), 0);
    }
}
