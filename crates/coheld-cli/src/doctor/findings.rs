//! What is wrong at one moment.

use std::collections::BTreeMap;

use coheld_shm::{HostPlace, LockPlace, MemberState};
use coheld_store::survey::Sketch;
use coheld_store::verify::Problem;
use serde_json::{Value, json};

use crate::picture::{Picture, account_tag};

/// A lease has run out for good once the manager has had this long to notice.
const GRACE_SECONDS: u64 = 3;

/// Something that somebody should know of.
#[derive(Clone, Debug)]
pub(super) struct Finding {
    /// What kind of thing it is, for programs.
    pub(super) kind: &'static str,
    /// Where: the slot of a member, the place of a referent or block.
    place: u64,
    /// Whom it is about: the tag of a member, or what tells several at one place apart.
    whom: u64,
    /// In words.
    pub(super) text: String,
    /// Whether `--mend` mends it.
    pub(super) can_be_mended: bool,
    details: Value,
}

impl Finding {
    /// What makes it the same in two looks.
    pub(super) fn key(&self) -> (&'static str, u64, u64) {
        (self.kind, self.place, self.whom)
    }

    pub(super) fn json(&self) -> Value {
        let mut shown = json!({
            "kind": self.kind,
            "text": self.text,
            "can_be_mended": self.can_be_mended,
        });
        if let (Value::Object(shown), Value::Object(details)) = (&mut shown, &self.details) {
            shown.extend(details.clone());
        }
        shown
    }
}

/// Damage, which stays.
pub(super) fn damage(problem: &Problem, picture: &Picture) -> Finding {
    let place = problem.place();
    Finding {
        kind: problem.name(),
        place,
        whom: 0,
        text: format!("{} [{}]", problem, picture.what(place)),
        can_be_mended: false,
        details: json!({ "place": place }),
    }
}

/// Everything else that is wrong in a picture.
pub(super) fn collect(picture: &Picture) -> Vec<Finding> {
    let mut findings: Vec<_> = members(picture).collect();
    findings.extend(inner_locks(picture));
    findings.extend(owners(picture));
    findings.extend(hosts(picture));
    findings.extend(leases(picture));
    findings
}

fn members(picture: &Picture) -> impl Iterator<Item = Finding> {
    picture.members.iter().filter_map(|member| {
        let view = &member.view;
        let pid = view.identity.pid;
        let (kind, text) = match view.state {
            MemberState::Dead | MemberState::Reaping => (
                "dead-member",
                format!(
                    "the member in slot {} (pid {pid}) is dead and was not cleaned up after: it \
                     holds {} referents, {} operations, {} waiters, {} adopted edges",
                    view.slot, view.holds, view.lanes, view.waiters, view.adopting
                ),
            ),
            MemberState::Forsaken => (
                "forsaken-slot",
                format!(
                    "slot {} was reserved for a child that never came; it holds {} referents",
                    view.slot, view.holds
                ),
            ),
            MemberState::Alive | MemberState::Reserved => return None,
        };
        Some(Finding {
            kind,
            place: view.slot.into(),
            whom: view.tag.into(),
            text,
            can_be_mended: true,
            details: json!({
                "slot": view.slot,
                "pid": pid,
                "holds": view.holds,
                "operations": view.lanes,
                "waiters": view.waiters,
                "owns": picture.owned_by(view.tag),
            }),
        })
    })
}

/// Locks that are held for nanoseconds unless their owner is stopped or dead.
fn inner_locks(picture: &Picture) -> impl Iterator<Item = Finding> {
    picture.locks.iter().filter_map(|lock| {
        let dead = picture.is_dead(lock.owner);
        if !dead && !picture.is_stopped(lock.owner) {
            return None;
        }
        let place = match lock.place {
            LockPlace::Referent(offset) => offset,
            LockPlace::Class(class) => class as u64,
            LockPlace::Pages => u64::MAX,
        };
        let (kind, how) = if dead {
            ("lock-of-the-dead", "is dead")
        } else {
            ("lock-of-the-stopped", "is stopped")
        };
        let asleep = if lock.contended {
            "; others wait for it"
        } else {
            ""
        };
        Some(Finding {
            kind,
            place,
            whom: lock.owner.into(),
            text: format!(
                "the inner lock of {} is held by {}, which {how}{asleep}",
                picture.protected(lock.place),
                picture.who(lock.owner)
            ),
            can_be_mended: dead,
            details: json!({
                "pid": pid(picture, lock.owner),
                "protects": picture.protected(lock.place),
                "inner": true,
                "contended": lock.contended,
            }),
        })
    })
}

/// Locks and permits of the program.
fn owners(picture: &Picture) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut look = |offset, tag: u32, what: String, mended| {
        let dead = picture.is_dead(tag);
        if !dead && !picture.is_stopped(tag) {
            return;
        }
        let (kind, how, then) = match (dead, mended) {
            (true, true) => (
                "lock-of-the-dead",
                "is dead",
                "the next to acquire it gets it",
            ),
            (true, false) => (
                "permits-of-the-dead",
                "is dead",
                "the next to need them gets them",
            ),
            (false, _) => (
                "lock-of-the-stopped",
                "is stopped",
                "it stays so until then",
            ),
        };
        let waiting = picture.waiting(offset);
        findings.push(Finding {
            kind,
            place: offset,
            whom: tag.into(),
            text: format!(
                "{what} of {} belongs to {}, which {how}: {then}; {waiting} wait for it",
                picture.what(offset),
                picture.who(tag)
            ),
            can_be_mended: dead && mended,
            details: json!({
                "pid": pid(picture, tag),
                "referent": offset,
                "what": picture.what(offset),
                "inner": false,
                "waiting": waiting,
            }),
        });
    };
    for shared in &picture.referents {
        let offset = shared.view.offset;
        match &shared.sketch {
            Sketch::Lock {
                owner: Some(owner), ..
            } => look(offset, owner.word() as u32, "the lock".to_owned(), true),
            Sketch::Semaphore { permits, .. } => {
                for account in permits {
                    if let Some(tag) = account_tag(account) {
                        look(offset, tag, format!("{} permits", account.2), false);
                    }
                }
            }
            _ => {}
        }
    }
    findings
}

/// Hosts that are gone, with what is left of their objects.
fn hosts(picture: &Picture) -> impl Iterator<Item = Finding> {
    let mut objects: BTreeMap<u32, u64> = BTreeMap::new();
    for shared in &picture.referents {
        if let Sketch::Hosted(HostPlace { tag, .. }) = shared.sketch
            && picture.is_dead(tag)
        {
            *objects.entry(tag).or_default() += 1;
        }
    }
    objects.into_iter().map(|(tag, count)| Finding {
        kind: "host-gone",
        place: 0,
        whom: tag.into(),
        text: format!(
            "{} hosted {count} objects that others still hold: calls of them fail",
            picture.who(tag)
        ),
        can_be_mended: false,
        details: json!({ "pid": pid(picture, tag), "objects": count }),
    })
}

fn leases(picture: &Picture) -> impl Iterator<Item = Finding> {
    picture.referents.iter().filter_map(|shared| {
        let view = &shared.view;
        let over = picture.now.saturating_sub(view.deadline);
        (view.leases > 0 && over > GRACE_SECONDS).then(|| Finding {
            kind: "lease-run-out",
            place: view.offset,
            whom: view.generation.into(),
            text: format!(
                "{} leases of {} have run out {over} s ago",
                view.leases,
                picture.what(view.offset)
            ),
            can_be_mended: true,
            details: json!({ "referent": view.offset, "leases": view.leases }),
        })
    })
}

fn pid(picture: &Picture, tag: u32) -> Option<u32> {
    picture.member(tag).map(|member| member.view.identity.pid)
}
