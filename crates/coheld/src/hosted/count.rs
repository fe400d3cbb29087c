//! How many shared objects there are.

use std::collections::BTreeSet;

use coheld_shm::{HostPlace, Segment};
use coheld_store::{Hosted, kinds::referent as kind};

/// Objects of programs in a segment: without the bytes of large values, and without the channels
/// and the inboxes by which calls travel. A picture, taken without locks. An inbox counts as long
/// as nothing names its host.
///
/// ```
/// use coheld::hosted::count_objects;
///
/// let manager = coheld::Manager::start()?;
/// let _events = (manager.event()?, manager.event()?);
/// assert_eq!(count_objects(manager.attachment().segment()), 2);
/// # Ok::<(), coheld::Error>(())
/// ```
#[must_use]
pub fn count_objects(segment: &Segment) -> u64 {
    let mut queues = BTreeSet::new();
    let mut hosted = Vec::new();
    let mut count = 0_u64;
    segment.each_referent(|view| {
        if !view.alive || matches!(view.kind, kind::CHANNEL | kind::BUFFER) {
            return;
        }
        count += 1;
        let place = (view.offset, view.generation);
        match view.kind {
            kind::QUEUE => drop(queues.insert(place)),
            kind::HOSTED => hosted.push(place),
            _ => {}
        }
    });
    let place_of = |(offset, generation): (u64, u32)| -> Option<HostPlace> {
        let referent = segment.referent(offset, generation).ok()?;
        Some(Hosted::new(&referent).place().ok()?.0)
    };
    let hosts = hosted.into_iter().filter_map(place_of);
    let inboxes = hosts
        .chain(segment.manager_host())
        .filter(|host| queues.remove(&(host.inbox, host.generation)));
    count - inboxes.count() as u64
}
