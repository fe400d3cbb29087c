//! What a manager tells of its segment: numbers, and two lines of text for each referent.

use coheld::Handle;
use coheld_shm::{ReferentView, Segment};
use coheld_store::kinds::referent;
use pyo3::{prelude::*, types::PyDict};

use crate::{attachment::Attachment, copy, proxy::ProxyState, token::Place};

/// Characters of a referent's text that are shown, as in the standard library.
const SHOWN: usize = 75;

/// Which referents are none that a program has made: the bytes of large values, the channels of
/// calls, and where the manager process learns of new ones.
fn hidden(segment: &Segment) -> impl Fn(&ReferentView) -> bool {
    let inbox = segment.manager_host().map(|host| host.inbox);
    move |view| {
        matches!(view.kind, referent::CHANNEL | referent::BUFFER) || Some(view.offset) == inbox
    }
}

/// What a segment holds: numbers of referents, blocks, bytes and members.
#[pyfunction]
pub(crate) fn statistics<'py>(attachment: &Bound<'py, Attachment>) -> PyResult<Bound<'py, PyDict>> {
    let py = attachment.py();
    let segment = attachment.get().shared().segment();
    let statistics = py.detach(|| {
        // What the dead have held does not count, though the manager may not have noticed yet.
        segment.reap_dead();
        let mut statistics = segment.statistics();
        let hidden = hidden(segment);
        segment.each_referent(|view| {
            if view.alive && hidden(&view) {
                statistics.referents = statistics.referents.saturating_sub(1);
            }
        });
        statistics
    });
    let dict = PyDict::new(py);
    dict.set_item("referents", statistics.referents)?;
    dict.set_item("blocks", statistics.blocks)?;
    dict.set_item("bytes", statistics.bytes)?;
    dict.set_item("backed", statistics.backed)?;
    dict.set_item("members", statistics.members)?;
    Ok(dict)
}

/// Two lines for each referent: who it is and how many refer to it; the start of its text. For a
/// client at the other end of a connection, with the names that it knows the referents by.
#[pyfunction]
#[pyo3(signature = (attachment, is_remote=false))]
pub(crate) fn debug_info(attachment: &Bound<'_, Attachment>, is_remote: bool) -> PyResult<String> {
    let py = attachment.py();
    let shared = attachment.get().shared();
    let mut found = Vec::new();
    let hidden = hidden(shared.segment());
    shared.segment().each_referent(|view| {
        if view.alive && !hidden(&view) {
            let place = Place {
                kind: view.kind,
                offset: view.offset,
                generation: view.generation,
            };
            let references = u64::from(view.holders) + view.edges + u64::from(view.leased);
            found.push((place, references));
        }
    });
    let mut lines = Vec::with_capacity(found.len());
    for (place, references) in found {
        // One that has gone meanwhile is left out.
        let Ok(handle) = Handle::acquire(shared, place.offset, place.generation) else {
            continue;
        };
        let state = ProxyState::new(py, handle)?;
        let text: String = copy::text(py, &state)?.chars().take(SHOWN).collect();
        let name = if is_remote {
            coheld::wire::ident(&shared.segment_id(), place)
        } else {
            place.text()
        };
        lines.push((name, references, text));
    }
    lines.sort();
    let lines = lines
        .into_iter()
        .map(|(id, references, text)| format!("  {id}:       refcount={references}\n    {text}"));
    Ok(lines.collect::<Vec<_>>().join("\n"))
}
