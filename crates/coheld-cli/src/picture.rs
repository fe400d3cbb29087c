//! A segment at one moment: members and their processes, referents, locks, waits.

use std::collections::HashMap;

use coheld_shm::os::peek::{self, Activity, ProcessLook, TICKS_PER_SECOND};
use coheld_shm::{
    LockPlace, LockView, MemberState, MemberView, ReferentView, Segment, WaitView, layout,
};
use coheld_store::kinds::referent as kind;
use coheld_store::survey::{self, Sketch};
use serde_json::{Value, json};

/// A member, with its process as far as that can be seen from here.
pub(crate) struct Member {
    pub(crate) view: MemberView,
    pub(crate) process: Option<ProcessLook>,
}

/// A referent and what it is at the moment.
pub(crate) struct Shared {
    pub(crate) view: ReferentView,
    pub(crate) sketch: Sketch,
}

/// Everything that is seen in one look.
pub(crate) struct Picture {
    pub(crate) members: Vec<Member>,
    pub(crate) referents: Vec<Shared>,
    /// The inner locks that were held at that moment.
    pub(crate) locks: Vec<LockView>,
    pub(crate) waits: Vec<WaitView>,
    /// Seconds since boot.
    pub(crate) now: u64,
    /// The tag of the manager's member, if it has a host.
    manager: Option<u32>,
    /// Where each referent is in `referents`.
    places: HashMap<u64, usize>,
    /// Where each member is in `members`.
    tags: HashMap<u32, usize>,
}

impl Picture {
    pub(crate) fn take(segment: &Segment) -> Self {
        let own_namespace = segment.backing().identity().pid_namespace;
        let with_process = |view: MemberView| {
            let identity = view.identity;
            let near = identity.pid_namespace != 0 && identity.pid_namespace == own_namespace;
            let process = near.then(|| peek::process(identity.pid)).flatten();
            // Another process may have the number by now.
            let process = process.filter(|process| {
                identity.start_time == 0 || process.start_time == identity.start_time
            });
            Member { view, process }
        };
        let members: Vec<_> = segment.members().into_iter().map(with_process).collect();
        let mut referents = Vec::new();
        segment.each_referent(|view| {
            if view.alive {
                let sketch = survey::sketch(segment, &view);
                referents.push(Shared { view, sketch });
            }
        });
        let mut waits = Vec::new();
        segment.each_wait(|wait| waits.push(wait));
        waits.sort_by_key(|wait| (wait.referent, wait.ticket));
        let tags = members.iter().enumerate();
        let tags = tags
            .map(|(index, member)| (member.view.tag, index))
            .collect();
        let places = referents.iter().enumerate();
        let places = places
            .map(|(index, shared)| (shared.view.offset, index))
            .collect();
        Self {
            members,
            referents,
            locks: segment.held_locks(),
            waits,
            now: segment.now_seconds(),
            manager: segment.manager_host().map(|host| host.tag),
            places,
            tags,
        }
    }

    pub(crate) fn member(&self, tag: u32) -> Option<&Member> {
        self.tags.get(&tag).map(|&index| &self.members[index])
    }

    pub(crate) fn referent(&self, offset: u64) -> Option<&Shared> {
        self.places
            .get(&offset)
            .map(|&index| &self.referents[index])
    }

    /// Whether the member that a tag names has no process any more.
    pub(crate) fn is_dead(&self, tag: u32) -> bool {
        self.member(tag).is_none_or(|member| {
            matches!(member.view.state, MemberState::Dead | MemberState::Reaping)
        })
    }

    /// Whether the process of a member is stopped.
    pub(crate) fn is_stopped(&self, tag: u32) -> bool {
        self.member(tag).is_some_and(Member::is_stopped)
    }

    /// A member in words.
    pub(crate) fn who(&self, tag: u32) -> String {
        match self.member(tag) {
            None => "a member that is gone".to_owned(),
            Some(member) => format!("pid {}", member.view.identity.pid),
        }
    }

    /// A referent in words.
    pub(crate) fn what(&self, offset: u64) -> String {
        match self.referent(offset) {
            Some(shared) => format!("{} {offset:#x}", kind::name(shared.view.kind)),
            None => format!("referent {offset:#x}"),
        }
    }

    /// What an inner lock protects, in words.
    pub(crate) fn protected(&self, place: LockPlace) -> String {
        match place {
            LockPlace::Referent(offset) => self.what(offset),
            LockPlace::Class(class) => format!(
                "blocks of {} bytes",
                layout::class_size(class).unwrap_or_default()
            ),
            LockPlace::Pages => "the page table".to_owned(),
        }
    }

    pub(crate) fn is_manager(&self, member: &Member) -> bool {
        self.manager == Some(member.view.tag)
    }

    /// How many stand in line for a referent.
    pub(crate) fn waiting(&self, offset: u64) -> usize {
        let from = self.waits.partition_point(|wait| wait.referent < offset);
        let of_it = self.waits[from..].iter();
        of_it.take_while(|wait| wait.referent == offset).count()
    }

    /// The seconds that a member's process has been running.
    pub(crate) fn age(&self, member: &Member) -> Option<u64> {
        let start = member.view.identity.start_time;
        (start != 0).then(|| self.now.saturating_sub(start / TICKS_PER_SECOND))
    }

    /// A member as JSON.
    pub(crate) fn member_json(&self, member: &Member) -> Value {
        let view = &member.view;
        json!({
            "slot": view.slot,
            "pid": view.identity.pid,
            "name": member.name(),
            "state": member.state(),
            "is_manager": self.is_manager(member),
            "seconds_since_start": self.age(member),
            "holds": view.holds,
            "operations": view.lanes,
            "waiters": view.waiters,
            "adopting": view.adopting,
            "owns": self.owned_by(view.tag),
        })
    }

    /// What a member owns beside proxies: locks, permits, channels, in words.
    pub(crate) fn owned_by(&self, tag: u32) -> Vec<String> {
        let mut owned = Vec::new();
        for lock in self.locks.iter().filter(|lock| lock.owner == tag) {
            owned.push(format!("the inner lock of {}", self.protected(lock.place)));
        }
        let (mut calls, mut answers) = (0, 0);
        for shared in &self.referents {
            match &shared.sketch {
                Sketch::Lock {
                    owner: Some(owner), ..
                } if owner.word() as u32 == tag => {
                    owned.push(format!(
                        "{} by thread {}",
                        self.what(shared.view.offset),
                        owner.thread()
                    ));
                }
                Sketch::Semaphore { permits, .. } => {
                    for (_, _, count) in permits.iter().filter(|it| account_tag(it) == Some(tag)) {
                        let of = self.what(shared.view.offset);
                        owned.push(format!("{count} permits of {of}"));
                    }
                }
                Sketch::Channel { client, host, .. } => {
                    calls += u64::from(*client == tag);
                    answers += u64::from(*host == tag);
                }
                _ => {}
            }
        }
        for (count, what) in [(calls, "it calls through"), (answers, "it answers")] {
            if count > 0 {
                owned.push(format!("{count} channels that {what}"));
            }
        }
        owned
    }
}

/// The tag of the member that an account of a semaphore belongs to.
pub(crate) fn account_tag(&(slot, generation, _): &(u32, u32, u64)) -> Option<u32> {
    coheld_shm::Owner::of_member(slot, generation).map(|owner| owner.word() as u32)
}

impl Member {
    pub(crate) fn is_stopped(&self) -> bool {
        self.view.state == MemberState::Alive
            && (self.process.as_ref()).is_some_and(|it| it.activity == Activity::Stopped)
    }

    /// The name of its program, if that can be seen.
    pub(crate) fn name(&self) -> &str {
        self.process.as_ref().map_or("", |process| &process.name)
    }

    /// What becomes of it, in one word.
    pub(crate) fn state(&self) -> &'static str {
        match (self.view.state, &self.process) {
            (MemberState::Dead, _) => "dead",
            (MemberState::Reaping, _) => "reaped",
            (MemberState::Reserved, _) => "reserved",
            (MemberState::Forsaken, _) => "forsaken",
            (MemberState::Alive, None) => "alive",
            (MemberState::Alive, Some(process)) => match process.activity {
                Activity::Stopped => "stopped",
                Activity::Runs => "runs",
                Activity::Sleeps => "sleeps",
                // Its record lock is held by a copy of the descriptor, or by nobody yet.
                Activity::Zombie => "ending",
            },
        }
    }
}

/// The items of a referent, if it has such.
pub(crate) fn items(sketch: &Sketch) -> Option<u64> {
    match sketch {
        Sketch::Items(items) | Sketch::Queue { items, .. } => Some(*items),
        _ => None,
    }
}

/// A count as a real number.
#[allow(
    clippy::cast_precision_loss,
    reason = "people do not read the sixteenth digit"
)]
pub(crate) fn real(count: u64) -> f64 {
    count as f64
}

/// A number of bytes, to be read by people.
pub(crate) fn bytes(count: u64) -> String {
    let mut shown = real(count);
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if shown < 1024.0 {
            return if unit == "B" {
                format!("{count} B")
            } else {
                format!("{shown:.1} {unit}")
            };
        }
        shown /= 1024.0;
    }
    format!("{shown:.1} TiB")
}

/// A time in seconds, to be read by people.
pub(crate) fn duration(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_for_people() {
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(bytes(64 << 30), "64.0 GiB");
        assert_eq!(bytes(5 << 40), "5.0 TiB");
        assert_eq!(duration(119), "119 s");
        assert_eq!(duration(7199), "119 min");
        assert_eq!(duration(200_000), "2 days");
    }
}
