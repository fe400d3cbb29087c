//! The hosts of this process, by which calls to its own objects are answered at once.

use std::sync::{Arc, Mutex, Weak};

use coheld_shm::HostPlace;

use super::shared::Shared;
use crate::fork::guarded;

/// Few: one for each manager of this process.
static HOSTS: Mutex<Vec<Entry>> = Mutex::new(Vec::new());

struct Entry {
    segment: [u8; 16],
    place: HostPlace,
    host: Weak<Shared>,
}

/// Makes a host known.
pub(super) fn enter(host: &Arc<Shared>) {
    let entry = Entry {
        segment: host.attachment().segment_id(),
        place: host.place(),
        host: Arc::downgrade(host),
    };
    guarded(&HOSTS, |hosts| hosts.push(entry));
}

/// Forgets a host.
pub(super) fn leave(segment: &[u8; 16], place: HostPlace) {
    guarded(&HOSTS, |hosts| {
        hosts.retain(|entry| (&entry.segment, entry.place) != (segment, place));
    });
}

/// The host at a place.
pub(super) fn find(segment: &[u8; 16], place: HostPlace) -> Option<Arc<Shared>> {
    guarded(&HOSTS, |hosts| {
        let is_it = |entry: &&Entry| (&entry.segment, entry.place) == (segment, place);
        hosts.iter().find(is_it)?.host.upgrade()
    })
}
