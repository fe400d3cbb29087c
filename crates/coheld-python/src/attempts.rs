//! Trying again when somebody changed the referent meanwhile, and not for ever.

use coheld_shm::{Referent, Reserved};
use pyo3::{exceptions::PyRuntimeError, prelude::*};

use crate::errors::OrRaise;

/// Races that may be lost before the others are asked to wait. Mostly one more try is enough.
const FREE: u32 = 2;
/// Races that may be lost while they wait: then it is a callback of this process that changes the
/// referent each time, or the work takes longer than others can be made to wait.
const RESERVED: u32 = 3;

/// Races that may be lost to other threads before something has to be wrong.
const MANY: u32 = 10_000;

/// The tries of one operation on a copy.
pub(crate) struct Attempts<'a> {
    referent: Referent<'a>,
    limit: u32,
    lost: u32,
    reserved: Option<Reserved<'a>>,
}

impl<'a> Attempts<'a> {
    pub(crate) fn new(referent: Referent<'a>) -> Self {
        Self {
            referent,
            limit: FREE + RESERVED,
            lost: 0,
            reserved: None,
        }
    }

    /// For an operation whose callbacks are mere sums and comparisons: each race that it loses is
    /// one that another thread has won, and threads of this process are not kept waiting by a
    /// reservation.
    pub(crate) fn many(referent: Referent<'a>) -> Self {
        Self {
            limit: MANY,
            ..Self::new(referent)
        }
    }

    /// Prepares another try. False when there have been enough.
    pub(crate) fn again(&mut self, py: Python<'_>) -> PyResult<bool> {
        py.check_signals()?;
        self.lost += 1;
        if self.lost >= self.limit {
            return Ok(false);
        }
        if self.lost >= FREE {
            // Ended first: the time that others wait is counted anew for each try.
            drop(self.reserved.take());
            self.reserved = self.referent.reserve().or_raise(py)?;
        }
        Ok(true)
    }

    /// As `again`, with an error when there have been enough.
    pub(crate) fn again_or_raise(&mut self, py: Python<'_>, what: &str) -> PyResult<()> {
        if self.again(py)? {
            return Ok(());
        }
        Err(PyRuntimeError::new_err(format!(
            "{what}: the shared object was changed during each of {} attempts; if a callback of \
             this operation changes it, take a copy first",
            self.lost
        )))
    }
}
