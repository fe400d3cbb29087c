//! How threads of this process wait: through the language runtime, unless they are forking.
//!
//! A runtime with a global lock lets go of it while a thread sleeps. In the middle of a fork that
//! is not possible (the runtime has locked itself up), so a forking thread sleeps without, and
//! gives up after a moment: whoever owns the lock it wants may be waiting for that global lock.
#![allow(clippy::disallowed_types, reason = "a note of one thread about itself")]

use std::cell::{Cell, RefCell};
use std::sync::{Arc, OnceLock};
use std::thread::LocalKey;
use std::time::{Duration, Instant};

use coheld_shm::Host;

use crate::stream::Stream;

/// How long a fork waits for locks of other threads before it goes on without a reservation.
const FORK_PATIENCE: Duration = Duration::from_millis(200);

static RUNTIME: OnceLock<&'static dyn Host> = OnceLock::new();

thread_local! {
    /// Until when this thread may wait, if it is forking.
    static FORKING_UNTIL: Cell<Option<Instant>> = const { Cell::new(None) };
    /// Whether this thread waits without the runtime.
    static WITHOUT_RUNTIME: Cell<bool> = const { Cell::new(false) };
    /// For whom this thread works, if that may go away meanwhile.
    static WATCHED: RefCell<Option<Arc<Stream>>> = const { RefCell::new(None) };
    /// Whether the runtime is not asked whether it wants to interrupt this thread.
    static UNINTERRUPTED: Cell<bool> = const { Cell::new(false) };
}

/// Tells how this process waits; the first call counts. Before it, threads just sleep.
pub fn set_host(host: &'static dyn Host) {
    let _ = RUNTIME.set(host);
}

/// What every segment of this process is given as its host.
pub(crate) static HOST: ForkAware = ForkAware;

pub(crate) struct ForkAware;

impl Host for ForkAware {
    fn block(&self, wait: &mut dyn FnMut()) {
        match RUNTIME.get() {
            Some(runtime) if forking_until().is_none() && !is_set(&WITHOUT_RUNTIME) => {
                runtime.block(wait);
            }
            _ => wait(),
        }
    }

    fn interrupted(&self) -> bool {
        match forking_until() {
            Some(deadline) => Instant::now() >= deadline,
            None if is_set(&UNINTERRUPTED) || is_set(&WITHOUT_RUNTIME) => false,
            None => client_has_gone() || RUNTIME.get().is_some_and(|runtime| runtime.interrupted()),
        }
    }
}

/// Runs `work` for a client, and interrupts it if it waits and the client has gone: what it waits
/// for is not to be taken from others then.
pub(crate) fn for_client<R>(client: &Arc<Stream>, work: impl FnOnce() -> R) -> R {
    WATCHED.set(Some(Arc::clone(client)));
    let done = work();
    WATCHED.set(None);
    done
}

fn client_has_gone() -> bool {
    let gone =
        WATCHED.try_with(|client| client.borrow().as_ref().is_some_and(|it| it.is_hung_up()));
    gone.unwrap_or(false)
}

/// Runs `work`, which may wait for another machine, with the runtime released.
pub(crate) fn released<T>(mut work: impl FnMut() -> T) -> T {
    let mut done = None;
    HOST.block(&mut || done = Some(work()));
    // `None`: a runtime that has not done it.
    done.unwrap_or_else(work)
}

/// Sleeps a little, with the runtime released.
pub(crate) fn pause(time: Duration) {
    HOST.block(&mut || std::thread::sleep(time));
}

/// Runs `work` on a thread that is ending: the runtime may have forgotten it already.
pub(crate) fn without_runtime<R>(work: impl FnOnce() -> R) -> R {
    with_set(&WITHOUT_RUNTIME, work)
}

/// Runs `work`, whose errors nobody will see: what a signal handler raises is left for later.
pub(crate) fn uninterrupted<R>(work: impl FnOnce() -> R) -> R {
    with_set(&UNINTERRUPTED, work)
}

fn with_set<R>(note: &'static LocalKey<Cell<bool>>, work: impl FnOnce() -> R) -> R {
    let before = note.try_with(|note| note.replace(true)).unwrap_or(true);
    let done = work();
    let _ = note.try_with(|note| note.set(before));
    done
}

fn is_set(note: &'static LocalKey<Cell<bool>>) -> bool {
    note.try_with(Cell::get).unwrap_or(false)
}

/// Notes that the calling thread is about to fork.
pub(crate) fn begin_fork() {
    let _ = FORKING_UNTIL.try_with(|until| until.set(Some(Instant::now() + FORK_PATIENCE)));
}

/// Notes that the fork is over.
pub(crate) fn end_fork() {
    let _ = FORKING_UNTIL.try_with(|until| until.set(None));
}

fn forking_until() -> Option<Instant> {
    FORKING_UNTIL.try_with(Cell::get).unwrap_or(None)
}
