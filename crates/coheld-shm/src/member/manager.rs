//! The member that others ask something: the host of the manager, and how long that may take.

use std::time::Duration;

use crate::{
    Segment,
    layout::field,
    sync::{AtomicU64, Ordering},
};

/// Where calls to a host go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostPlace {
    /// Offset of its inbox.
    pub inbox: u64,
    /// Generation of the inbox.
    pub generation: u32,
    /// Tag of the host's member.
    pub tag: u32,
}

impl HostPlace {
    /// Generation and tag in one word, as the header and hosted referents keep them.
    #[must_use]
    pub const fn who(&self) -> u64 {
        self.generation as u64 | (self.tag as u64) << 32
    }

    /// The place that two words name; `None` for no place.
    #[must_use]
    pub const fn from_words(inbox: u64, who: u64) -> Option<Self> {
        if who == 0 {
            return None;
        }
        Some(Self {
            inbox,
            generation: who as u32,
            tag: (who >> 32) as u32,
        })
    }
}

impl Segment {
    fn manager_cells(&self) -> (&AtomicU64, &AtomicU64) {
        (
            self.control(field!(0, Header.manager_inbox)),
            self.control(field!(0, Header.manager_host)),
        )
    }

    /// Where calls to the manager's own host go; `None` as long as it has none.
    pub fn manager_host(&self) -> Option<HostPlace> {
        let (inbox, who) = self.manager_cells();
        // Acquire: pairs with the Release in `set_manager_host`.
        let named = who.load(Ordering::Acquire);
        HostPlace::from_words(inbox.load(Ordering::Relaxed), named)
    }

    /// Tells everybody where calls to the manager's own host go. Only the manager does, once.
    pub fn set_manager_host(&self, place: HostPlace) {
        let (inbox, who) = self.manager_cells();
        inbox.store(place.inbox, Ordering::Relaxed);
        // COMMIT: the manager has a host.
        // Release: pairs with the Acquire in `manager_host`.
        who.store(place.who(), Ordering::Release);
    }

    /// How long a call to a host takes at most unless its caller says otherwise; `None`: any time.
    pub fn call_limit(&self) -> Option<Duration> {
        // Relaxed: one number, by itself.
        let limit = self
            .control(field!(0, Header.call_limit))
            .load(Ordering::Relaxed);
        (limit != 0).then(|| Duration::from_millis(limit))
    }

    /// Sets that limit for every member; part of making the segment.
    pub fn set_call_limit(&self, limit: Option<Duration>) {
        let limit = limit.map_or(0, |limit| {
            u64::try_from(limit.as_millis()).unwrap_or(u64::MAX).max(1)
        });
        // Relaxed: as above.
        self.control(field!(0, Header.call_limit))
            .store(limit, Ordering::Relaxed);
    }
}
