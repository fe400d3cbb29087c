//! What the doctor says: to people, and to programs.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use coheld::observe::{self, Observation};
use coheld_shm::layout::{LAYOUT_HASH, LAYOUT_VERSION};
use coheld_store::kinds::referent as kind;
use serde_json::{Value, json};

use super::findings::Finding;
use super::{Diagnosis, Mending, header};
use crate::picture::{Member, bytes, duration, items};

/// Referents of one kind.
#[derive(Default)]
struct Sum {
    count: u64,
    bytes: u64,
    items: Option<u64>,
}

fn sums(diagnosis: &Diagnosis) -> BTreeMap<&'static str, Sum> {
    let mut sums: BTreeMap<_, Sum> = BTreeMap::new();
    let sizes = &diagnosis.examination.last.sizes;
    for shared in &diagnosis.picture.referents {
        let sum = sums.entry(kind::name(shared.view.kind)).or_default();
        sum.count += 1;
        let offset = shared.view.offset;
        if let Ok(index) = sizes.binary_search_by_key(&offset, |size| size.referent) {
            sum.bytes += sizes[index].bytes;
        }
        if let Some(items) = items(&shared.sketch) {
            *sum.items.get_or_insert(0) += items;
        }
    }
    sums
}

/// For people.
pub(super) fn text(
    observation: &Observation,
    diagnosis: &Diagnosis,
    mending: Option<&Mending>,
) -> String {
    let mut text = String::new();
    // Writing into a text does not fail.
    let _ = write_all(&mut text, observation, diagnosis, mending);
    text
}

fn write_all(
    text: &mut String,
    observation: &Observation,
    diagnosis: &Diagnosis,
    mending: Option<&Mending>,
) -> std::fmt::Result {
    let (segment, source) = header(observation);
    let statistics = &diagnosis.statistics;
    writeln!(
        text,
        "segment {}, layout {LAYOUT_VERSION} ({LAYOUT_HASH:016x})",
        observe::id_text(&segment.id())
    )?;
    writeln!(text, "looked at from outside, with the memory of {source}")?;
    writeln!(
        text,
        "{} referents, {} in {} blocks; {} of at most {} have memory",
        diagnosis.picture.referents.len(),
        bytes(statistics.bytes),
        statistics.blocks,
        bytes(statistics.backed),
        bytes(segment.capacity()),
    )?;
    let members = &diagnosis.picture.members;
    writeln!(
        text,
        "\nmembers: {} of at most {}",
        members.len(),
        segment.member_limit()
    )?;
    for member in members {
        write_member(text, diagnosis, member)?;
    }
    writeln!(text, "\nreferents:")?;
    for (name, sum) in sums(diagnosis) {
        let items = sum.items.map(|items| format!(", {items} items"));
        writeln!(
            text,
            "  {:<18} {:>8}   {}{}",
            name,
            sum.count,
            bytes(sum.bytes),
            items.unwrap_or_default()
        )?;
    }
    if let Some(Mending { mended, gone }) = mending {
        writeln!(
            text,
            "\nmended: {} dead members, {} locks, leases of {} referents{}",
            mended.members,
            mended.locks,
            mended.leases,
            if mended.is_complete {
                ""
            } else {
                "; then a lock was in the way that does not come free: its owner is stopped"
            }
        )?;
        write_findings(text, gone, "  - ")?;
    }
    let looks = diagnosis.looks();
    let last = &diagnosis.examination;
    if last.uncertain > 0 {
        writeln!(
            text,
            "\n{} blocks had no owner that was seen, but {} referents never stood still: look \
             again when there is less to do",
            last.uncertain, last.last.restless
        )?;
    }
    if diagnosis.findings.is_empty() {
        return writeln!(text, "\nsound: nothing was wrong in all of {looks} looks");
    }
    writeln!(text, "\nfound, the same in {looks} looks:")?;
    write_findings(text, &diagnosis.findings, "  ! ")?;
    if mending.is_none() && diagnosis.findings.iter().any(|it| it.can_be_mended) {
        writeln!(text, "what is marked (mend) goes with --mend")?;
    }
    Ok(())
}

fn write_member(text: &mut String, diagnosis: &Diagnosis, member: &Member) -> std::fmt::Result {
    let (view, picture) = (&member.view, &diagnosis.picture);
    write!(
        text,
        "  slot {:<4} pid {:<8} {:<8} {}{}",
        view.slot,
        view.identity.pid,
        member.state(),
        member.name(),
        if picture.is_manager(member) {
            " (the manager's host)"
        } else {
            ""
        },
    )?;
    if let Some(age) = picture.age(member) {
        write!(text, ", began {} ago", duration(age))?;
    }
    write!(text, ", holds {} referents", view.holds)?;
    for (count, what) in [
        (view.lanes, "operations under way"),
        (view.waiters, "waiters"),
        (view.adopting, "adopted edges"),
    ] {
        if count > 0 {
            write!(text, ", {count} {what}")?;
        }
    }
    writeln!(text)?;
    for owned in picture.owned_by(view.tag) {
        writeln!(text, "            {owned}")?;
    }
    Ok(())
}

fn write_findings(text: &mut String, findings: &[Finding], mark: &str) -> std::fmt::Result {
    for finding in findings {
        let can = if finding.can_be_mended { " (mend)" } else { "" };
        writeln!(text, "{mark}{}: {}{can}", finding.kind, finding.text)?;
    }
    Ok(())
}

/// For programs.
pub(super) fn json(
    observation: &Observation,
    diagnosis: &Diagnosis,
    mending: Option<&Mending>,
) -> Value {
    let (segment, source) = header(observation);
    let picture = &diagnosis.picture;
    let statistics = &diagnosis.statistics;
    let kinds: serde_json::Map<_, _> = sums(diagnosis)
        .into_iter()
        .map(|(name, sum)| {
            let shown = json!({ "count": sum.count, "bytes": sum.bytes, "items": sum.items });
            (name.to_owned(), shown)
        })
        .collect();
    let all = |findings: &[Finding]| findings.iter().map(Finding::json).collect::<Vec<_>>();
    let members = picture.members.iter();
    json!({
        "segment": observe::id_text(&segment.id()),
        "source": source,
        "layout_version": LAYOUT_VERSION,
        "layout_hash": format!("{LAYOUT_HASH:016x}"),
        "capacity": segment.capacity(),
        "member_limit": segment.member_limit(),
        "backed": statistics.backed,
        "blocks": statistics.blocks,
        "bytes": statistics.bytes,
        "members": members.map(|it| picture.member_json(it)).collect::<Vec<_>>(),
        "referents": kinds,
        "looks": diagnosis.looks(),
        "uncertain_blocks": diagnosis.examination.uncertain,
        "restless_referents": diagnosis.examination.last.restless,
        "mended": mending.map(|Mending { mended, gone }| json!({
            "members": mended.members,
            "locks": mended.locks,
            "leases": mended.leases,
            "is_complete": mended.is_complete,
            "gone": all(gone),
        })),
        "findings": all(&diagnosis.findings),
        "is_sound": diagnosis.findings.is_empty(),
    })
}
