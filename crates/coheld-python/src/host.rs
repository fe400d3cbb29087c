//! How a Python thread waits for a lock in the segment: with the interpreter released.

use std::cell::RefCell;

use coheld_shm::Host;
use pyo3::{ffi, prelude::*};

thread_local! {
    /// The exception that a signal handler raised while this thread waited in the segment.
    static RAISED: RefCell<Option<PyErr>> = const { RefCell::new(None) };
}

/// The exception that made the last wait of this thread end, if there was one.
pub(crate) fn take_raised() -> Option<PyErr> {
    RAISED.with_borrow_mut(Option::take)
}

/// Has an exception be raised where the error of a wait that was ended becomes one.
pub(crate) fn raise_later(error: PyErr) {
    RAISED.with_borrow_mut(|slot| *slot = Some(error));
}

/// The Python interpreter, as the memory layer sees it.
pub(crate) struct Interpreter;

/// The one interpreter of this process.
pub(crate) static INTERPRETER: Interpreter = Interpreter;

/// Whether this thread holds the interpreter. Threads of the manager's server never do.
fn is_attached() -> bool {
    // SAFETY: PyGILState_Check may be called from any thread, attached or not.
    unsafe { ffi::PyGILState_Check() == 1 }
}

impl Host for Interpreter {
    fn block(&self, wait: &mut dyn FnMut()) {
        if !is_attached() {
            wait();
            return;
        }
        // SAFETY: this thread is attached, as just checked; its state is restored below by the
        // same thread before any other Python call, and `wait` only sleeps on a futex.
        let state = unsafe { ffi::PyEval_SaveThread() };
        wait();
        // SAFETY: `state` is what PyEval_SaveThread returned to this thread just above.
        unsafe { ffi::PyEval_RestoreThread(state) };
    }

    fn interrupted(&self) -> bool {
        if !is_attached() {
            return false;
        }
        // A thread that waits with an attached interpreter called from Python, so this does not
        // block; signal handlers only run on the main thread.
        Python::attach(|py| match py.check_signals() {
            Ok(()) => false,
            Err(error) => {
                RAISED.with_borrow_mut(|slot| *slot = Some(error));
                true
            }
        })
    }
}
