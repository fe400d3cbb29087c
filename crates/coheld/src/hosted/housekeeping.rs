//! The thread that looks after the inbox of a host.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use coheld_store::{Output, Queue, Scalar, StoreError, Wait, word};

use super::shared::Shared;
use super::{dropping, worker};
use crate::{Error, Handle};

/// How often to look at all objects and all callers, at least.
const SWEEP_EVERY: Duration = Duration::from_millis(200);
/// A sweep takes one part in so many of the time at most.
const SWEEP_SHARE: u32 = 20;
/// Every so many sweeps the kernel is asked whether callers live. In between the reaper's word
/// counts, which costs a load.
const KERNEL_SWEEPS: u32 = 5;
/// How long to sleep after an error.
const NAP: Duration = Duration::from_millis(20);

/// Looks after the inbox until the host is stopped.
pub(super) fn run(host: &Arc<Shared>) {
    let _end = End(host);
    let mut next = Instant::now() + SWEEP_EVERY;
    let mut sweeps = 0_u32;
    while !host.is_stopped() {
        let until = match dropping::tend(host) {
            Ok(()) if host.dropping().is_behind() => next.min(Instant::now() + dropping::PATIENCE),
            Ok(()) => next,
            Err(error) => {
                log::warn!("no thread can be had to drop objects: {error}");
                next
            }
        };
        match next_item(host, until) {
            Ok(Some(item)) => take(host, &item),
            Ok(None) => {}
            Err(
                Error::Store(StoreError::ShutDown)
                | Error::Shm(coheld_shm::Error::ReferentGone { .. }),
            ) => return,
            Err(error) => {
                log::warn!("the inbox of a host cannot be read: {error}");
                thread::sleep(NAP);
            }
        }
        let now = Instant::now();
        if now >= next {
            sweeps = sweeps.wrapping_add(1);
            sweep(host, sweeps.is_multiple_of(KERNEL_SWEEPS));
            next = Instant::now() + SWEEP_EVERY.max(now.elapsed() * SWEEP_SHARE);
        }
    }
}

struct End<'h>(&'h Shared);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.keeper_ends();
    }
}

/// The next item, if there is one in time.
fn next_item(host: &Shared, until: Instant) -> Result<Option<Output>, Error> {
    let place = host.place();
    let segment = host.attachment().joined()?;
    let inbox = segment.referent(place.inbox, place.generation)?;
    match Queue::new(&inbox).get(Wait::Until(until)) {
        Ok(item) => Ok(Some(item)),
        Err(StoreError::Empty) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn take(host: &Arc<Shared>, item: &Output) {
    match *item {
        Output::Edge(lease) => {
            let accepted = Handle::redeem(host.attachment(), lease)
                .and_then(|channel| worker::accept(host, channel));
            if let Err(error) = accepted {
                log::warn!("a caller could not be accepted: {error}");
            }
        }
        Output::Word(item) => match word::decode(item) {
            Ok(Scalar::Integer(number)) => host.release_if_gone(number.cast_unsigned()),
            _ => log::warn!("something in the inbox of a host is neither a channel nor a number"),
        },
        Output::Block { .. } => log::warn!("a value is in the inbox of a host"),
    }
}

/// Looks at everything.
fn sweep(host: &Shared, asks_kernel: bool) {
    let segment = host.attachment().segment();
    for worker in host.workers() {
        let is_alive = segment.is_current_member(worker.caller)
            && (!asks_kernel || segment.is_alive(worker.caller));
        if !is_alive {
            host.close(&worker);
        }
    }
    host.release_gone(&host.published());
}
