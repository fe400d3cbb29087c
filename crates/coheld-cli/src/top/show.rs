//! One picture, as lines for people and as JSON.

use coheld::token::Place;
use coheld_shm::{ReferentView, Segment};
use coheld_store::kinds::referent as kind;
use coheld_store::survey;
use serde_json::{Value, json};

use super::rates::{Contention, Rates, Sizes};
use super::short_id;
use crate::picture::{Picture, Shared, bytes, items};

/// Lines that are there in any case: totals, what is measured, the heads of tables.
const FIXED: usize = 12;
/// Most lines about locks and waits, and about members, on a small screen.
const SHARE: usize = 4;

/// What a picture is made of.
pub(super) struct Scene<'a> {
    pub(super) segment: &'a Segment,
    pub(super) source: &'a str,
    pub(super) picture: &'a Picture,
    pub(super) rates: &'a Rates,
    pub(super) sizes: &'a Sizes,
    pub(super) contention: &'a Contention,
}

fn ident(view: &ReferentView) -> String {
    Place {
        kind: view.kind,
        offset: view.offset,
        generation: view.generation,
    }
    .text()
}

impl Scene<'_> {
    /// Referents, those that change most first, then the largest.
    fn busiest(&self) -> Vec<&Shared> {
        let mut referents: Vec<_> = self.picture.referents.iter().collect();
        referents.sort_by(|one, other| {
            let (one, other) = (one.view.offset, other.view.offset);
            (self.rate(other).total_cmp(&self.rate(one)))
                .then(self.size(other).cmp(&self.size(one)))
                .then(one.cmp(&other))
        });
        referents
    }

    fn rate(&self, offset: u64) -> f64 {
        self.rates.of.get(&offset).copied().unwrap_or(0.0)
    }

    fn size(&self, offset: u64) -> Option<u64> {
        self.sizes.of.get(&offset).copied()
    }

    /// What is shown on a screen of so many lines.
    pub(super) fn lines(&self, room: usize) -> Vec<String> {
        let picture = self.picture;
        let mut lines = vec![
            format!(
                "segment {}  {} members  {} referents  {} in blocks of at most {}  (from {})",
                short_id(self.segment),
                picture.members.len(),
                picture.referents.len(),
                bytes(self.sizes.bytes),
                bytes(self.segment.capacity()),
                self.source,
            ),
            format!(
                "changes {:.0}/s  calls {:.0}/s  waits begun {:.0}/s",
                self.rates.changes, self.rates.calls, self.rates.waits
            ),
            format!(
                "measured: changes, calls, waits, items; estimated: inner locks ({} samples); not \
                 seen: reads; sizes are {:.0} s old",
                self.contention.samples,
                self.sizes.age().as_secs_f64()
            ),
        ];
        let most = (room.saturating_sub(FIXED) / SHARE).max(3);
        lines.push(String::new());
        self.add_members(&mut lines, most);
        self.add_waits(&mut lines, most);
        lines.push(String::new());
        lines.push(format!(
            "{:<14} {:<24} {:>9} {:>10} {:>7} {:>7} {:>10}",
            "REFERENT", "IDENT", "ITEMS", "BYTES", "HOLDERS", "WAITING", "CHANGES/S"
        ));
        let left = room.saturating_sub(lines.len()).max(3);
        lines.extend(self.busiest().into_iter().take(left).map(|shared| {
            let (view, offset) = (&shared.view, shared.view.offset);
            let items = items(&shared.sketch).map_or(String::new(), |items| items.to_string());
            format!(
                "{:<14} {:<24} {:>9} {:>10} {:>7} {:>7} {:>10.0}",
                kind::name(view.kind),
                ident(view),
                items,
                self.size(offset).map_or(String::new(), bytes),
                view.holders,
                picture.waiting(offset),
                self.rate(offset),
            )
        }));
        lines
    }

    fn add_members(&self, lines: &mut Vec<String>, most: usize) {
        let picture = self.picture;
        lines.push(format!(
            "{:>8} {:<16} {:<9} {:>9} {:>8} {:>11}",
            "PID", "NAME", "STATE", "HOLDS", "WAITING", "OPERATIONS"
        ));
        let shown = picture.members.iter().take(most);
        lines.extend(shown.map(|member| {
            format!(
                "{:>8} {:<16} {:<9} {:>9} {:>8} {:>11}{}",
                member.view.identity.pid,
                member.name(),
                member.state(),
                member.view.holds,
                member.view.waiters,
                member.view.lanes,
                if picture.is_manager(member) {
                    "  manager"
                } else {
                    ""
                }
            )
        }));
        let hidden = picture.members.len().saturating_sub(most);
        if hidden > 0 {
            lines.push(format!("         and {hidden} more"));
        }
    }

    /// Who waits for what, who has it, and the locks that hold others up.
    fn add_waits(&self, lines: &mut Vec<String>, most: usize) {
        let picture = self.picture;
        let mut told = Vec::new();
        for wait in picture.waits.iter().filter(|wait| wait.referent != 0) {
            let kind = picture.referent(wait.referent).map(|it| it.view.kind);
            let holder = self.owner(wait.referent).map(|tag| {
                let stopped = if picture.is_stopped(tag) {
                    ", which is stopped"
                } else if picture.is_dead(tag) {
                    ", which is dead"
                } else {
                    ""
                };
                format!(", held by {}{stopped}", picture.who(tag))
            });
            told.push(format!(
                "{} waits for {} of {}{}",
                picture.who(wait.owner),
                survey::waits_for(kind.unwrap_or(0), wait.role),
                picture.what(wait.referent),
                holder.unwrap_or_default(),
            ));
        }
        for &(place, held, contended, owner) in self.contention.of.values() {
            if contended > 0 || held > 1 {
                told.push(format!(
                    "inner lock of {}: held in {held}, waited for in {contended} of {} samples, \
                     last by {}",
                    picture.protected(place),
                    self.contention.samples,
                    picture.who(owner)
                ));
            }
        }
        if told.is_empty() {
            return;
        }
        lines.push(String::new());
        lines.push("WAITS AND LOCKS".to_owned());
        let hidden = told.len().saturating_sub(most);
        lines.extend(told.into_iter().take(most));
        if hidden > 0 {
            lines.push(format!("and {hidden} more"));
        }
    }

    /// The owner of a lock of the program.
    fn owner(&self, offset: u64) -> Option<u32> {
        match &self.picture.referent(offset)?.sketch {
            survey::Sketch::Lock { owner, .. } => owner.map(|owner| owner.word() as u32),
            _ => None,
        }
    }

    /// All of it.
    pub(super) fn json(&self) -> Value {
        let picture = self.picture;
        let referents = self.busiest().into_iter().map(|shared| {
            let (view, offset) = (&shared.view, shared.view.offset);
            json!({
                "kind": kind::name(view.kind),
                "ident": ident(view),
                "offset": offset,
                "items": items(&shared.sketch),
                "bytes": self.size(offset),
                "holders": view.holders,
                "edges": view.edges,
                "waiting": picture.waiting(offset),
                "changes_per_second": self.rate(offset),
            })
        });
        let pid = |tag| picture.member(tag).map(|it| it.view.identity.pid);
        let waits = picture.waits.iter().filter(|wait| wait.referent != 0);
        let waits = waits.map(|wait| {
            let kind = picture.referent(wait.referent).map(|it| it.view.kind);
            json!({
                "pid": pid(wait.owner),
                "for": survey::waits_for(kind.unwrap_or(0), wait.role),
                "referent": wait.referent,
                "what": picture.what(wait.referent),
                "held_by": self.owner(wait.referent).and_then(pid),
            })
        });
        let locks = self.contention.of.values();
        let locks = locks.map(|&(place, held, contended, owner)| {
            json!({
                "protects": picture.protected(place),
                "held_in_samples": held,
                "contended_in_samples": contended,
                "last_owner": pid(owner),
            })
        });
        let members = picture.members.iter();
        json!({
            "segment": coheld::observe::id_text(&self.segment.id()),
            "source": self.source,
            "capacity": self.segment.capacity(),
            "blocks": self.sizes.blocks,
            "bytes": self.sizes.bytes,
            "measured": {
                "changes_per_second": self.rates.changes,
                "calls_per_second": self.rates.calls,
                "waits_begun_per_second": self.rates.waits,
            },
            "estimated": {
                "samples": self.contention.samples,
                "inner_locks": locks.collect::<Vec<_>>(),
            },
            "sizes_seconds_old": self.sizes.age().as_secs_f64(),
            "members": members.map(|it| picture.member_json(it)).collect::<Vec<_>>(),
            "waits": waits.collect::<Vec<_>>(),
            "referents": referents.collect::<Vec<_>>(),
        })
    }
}
