//! The hosts of this process, by which calls to its own objects are answered at once.

use std::sync::{Arc, Mutex, Weak};

use super::HostPlace;
use super::host::Shared;
use crate::fork::guarded;

/// Few: one for each manager of this process.
static HOSTS: Mutex<Vec<Entry>> = Mutex::new(Vec::new());

struct Entry {
    segment: [u8; 16],
    place: HostPlace,
    as_manager: bool,
    host: Weak<Shared>,
}

/// Makes a host known.
pub(super) fn enter(host: &Arc<Shared>, as_manager: bool) {
    let entry = Entry {
        segment: host.attachment().segment_id(),
        place: host.place(),
        as_manager,
        host: Arc::downgrade(host),
    };
    guarded(&HOSTS, |hosts| hosts.push(entry));
}

/// Forgets a host, and those that are gone.
pub(super) fn leave(segment: &[u8; 16], place: HostPlace) {
    guarded(&HOSTS, |hosts| {
        hosts.retain(|entry| {
            (&entry.segment, entry.place) != (segment, place) && entry.host.strong_count() > 0
        });
    });
}

/// The host at a place.
pub(super) fn find(segment: &[u8; 16], place: HostPlace) -> Option<Arc<Shared>> {
    guarded(&HOSTS, |hosts| {
        let entry = hosts
            .iter()
            .find(|entry| (&entry.segment, entry.place) == (segment, place))?;
        entry.host.upgrade()
    })
}

/// The place of the manager's host, if it is in this process.
pub(super) fn manager(segment: &[u8; 16]) -> Option<HostPlace> {
    guarded(&HOSTS, |hosts| {
        let entry = hosts
            .iter()
            .rfind(|entry| &entry.segment == segment && entry.as_manager)?;
        Some(entry.place)
    })
}
