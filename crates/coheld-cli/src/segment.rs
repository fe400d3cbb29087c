//! Which memory `coheld doctor` and `coheld top` look at, and how they come by it.

use coheld::observe::{self, Observation, Purpose, Source};
use coheld::{Address, Error};

use crate::arguments::{Place, Target};
use crate::failure::{Failure, Kind};
use crate::{address, key};

/// Opens what the command line names.
pub(crate) fn open(target: &Target, purpose: Purpose) -> Result<Observation, Failure> {
    let (at, named) = match &target.token {
        Some(Place::Token(token)) => (Some(&token.address), Some(token.segment_id)),
        Some(Place::Address(address)) => (Some(address), None),
        None => (target.address.as_ref(), None),
    };
    let id = target.segment.or(named);
    match (target.pid, at) {
        (Some(pid), _) => of_process(pid, id, purpose),
        (None, Some(at)) => of_manager(target, at, id, purpose),
        (None, None) => Err(Failure::new(Kind::Usage, "which memory?")
            .hint("give a token or the address of a manager, or a process that has it: --pid PID")),
    }
}

fn of_manager(
    target: &Target,
    at: &Address,
    id: Option<[u8; 16]>,
    purpose: Purpose,
) -> Result<Observation, Failure> {
    let key = key::find(&target.key).map_err(|failure| {
        failure.hint(
            "give a file with the key: --authkey-file FILE; or a process of yours that has the \
             memory: --pid PID",
        )
    })?;
    Observation::of_manager(at, &key, id, purpose).map_err(|error| {
        let remote = matches!(
            error,
            Error::Remote { .. } | Error::OutOfReach { .. } | Error::NotCoheld { .. }
        );
        let failure = Failure::from(error);
        match failure.kind {
            _ if remote => Failure {
                kind: Kind::NoManager,
                ..failure
            },
            Kind::NoManager if failure.hint.is_none() && id.is_none() => failure.hint(
                "a member of it has the memory as well: --pid PID, or a token in place of the \
                 address",
            ),
            Kind::NoManager if failure.hint.is_none() => failure
                .hint("no process of yours has that segment open either: the program has ended"),
            _ => failure,
        }
    })
}

fn of_process(pid: u32, id: Option<[u8; 16]>, purpose: Purpose) -> Result<Observation, Failure> {
    let mut found = Observation::of_process(pid, id, purpose).map_err(|error| {
        let message = format!("the memory of process {pid} cannot be had: {error}");
        Failure::new(Kind::NoManager, message)
            .hint("it has to be a process of yours that is still there")
    })?;
    if found.len() > 1 {
        let ids = found
            .iter()
            .map(|observation| observe::id_text(&observation.segment().id()))
            .collect::<Vec<_>>()
            .join(", ");
        let message = format!("process {pid} has several segments: {ids}");
        return Err(Failure::new(Kind::Usage, message).hint("choose one: --segment ID"));
    }
    found.pop().ok_or_else(|| {
        let message = match id {
            Some(id) => format!("process {pid} has no segment {}", observe::id_text(&id)),
            None => format!("process {pid} has no memory of Coheld open"),
        };
        Failure::new(Kind::NoManager, message)
    })
}

/// Where the memory came from, in words.
pub(crate) fn source(source: &Source) -> String {
    match source {
        Source::Manager(at) => format!("the manager at {}", address::show(at)),
        Source::Process(pid) => format!("process {pid}"),
        other => format!("{other:?}"),
    }
}
