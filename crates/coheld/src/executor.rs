//! Where the futures of async methods run, for
//! [`#[coheld::expose(executor = ...)]`](macro@crate::expose).
//!
//! Any function `fn block_on<F: Future>(future: F) -> F::Output` will do. The one for Tokio is
//! here, as more than `Runtime::block_on` is wanted of it: to work in a thread that runs tasks,
//! where that one panics, and in a forked child, which has none of the threads of its parent.

use std::process;
use std::sync::{Arc, Mutex, OnceLock};

use ::tokio::runtime::{Handle, Runtime};
use ::tokio::task::block_in_place;
use ::tokio::task::coop::unconstrained;

use crate::fork::guarded;

/// The runtime of this process, by its id: a forked child finds that of its parent, whose threads
/// it does not have.
static RUNTIME: Mutex<Option<(u32, Shared)>> = Mutex::new(None);

/// Never dropped: in a forked child that would wait for threads that are not there.
type Shared = Arc<OnceLock<Runtime>>;

/// Runs a future to its end on this thread, within a runtime of Tokio.
///
/// So the future may use whatever needs one: `tokio::spawn`, and times and sockets, if the program
/// has these features of Tokio. The runtime is started at the first call, with as many threads as
/// `TOKIO_WORKER_THREADS` says, one for each processor if it says nothing; it drives what futures
/// wait for and runs what they spawn, and lasts as long as the process. The future itself stays on
/// this thread, which waits.
///
/// Only async methods are within the runtime: neither others of the same object nor the iterators
/// that methods return. Tasks that a method spawns may call objects of the same process; calls of
/// other processes block a thread of the runtime and belong into `tokio::task::spawn_blocking`.
///
/// # Panics
///
/// If the future does, if no thread for the runtime can be started, or if `TOKIO_WORKER_THREADS` is
/// no number. In a method that is an error at its caller.
///
/// ```
/// use std::time::Duration;
///
/// struct Kettle;
///
/// #[coheld::expose(executor = coheld::executor::tokio)]
/// impl Kettle {
///     pub async fn boil(&self, milliseconds: u64) -> String {
///         tokio::time::sleep(Duration::from_millis(milliseconds)).await;
///         "tea".to_owned()
///     }
/// }
///
/// let manager = coheld::Manager::start()?;
/// let kettle: KettleProxy = manager.share(Kettle)?;
/// assert_eq!(kettle.boil(5)?, "tea");
/// # Ok::<(), coheld::Error>(())
/// ```
pub fn tokio<F: Future>(future: F) -> F::Output {
    let shared = shared();
    let runtime = shared.get_or_init(|| match Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => panic!("the runtime of async methods cannot be started: {error}"),
    });
    // Unconstrained: in a thread that runs a task, the future would have the share of that task,
    // and once that is used up, wait for ever.
    let wait = || pollster::block_on(unconstrained(future));
    match Handle::try_current() {
        // A task that a method has spawned: others have to drive the runtime meanwhile.
        Ok(current) if current.id() == runtime.handle().id() => block_in_place(wait),
        _ => {
            let _entered = runtime.enter();
            wait()
        }
    }
}

fn shared() -> Shared {
    let here = process::id();
    guarded(&RUNTIME, |runtime| match runtime {
        Some((process, shared)) if *process == here => Arc::clone(shared),
        _ => {
            let shared = Shared::default();
            let of_parent = runtime.replace((here, Arc::clone(&shared)));
            std::mem::forget(of_parent);
            shared
        }
    })
}
