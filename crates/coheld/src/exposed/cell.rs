//! How the object of a host is kept, of which several threads call methods.

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};
use std::sync::{
    Condvar, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
};

use super::call::Called;
use crate::call::{Exception, raise};
use crate::{Error, host};

/// An object all of whose methods take `&self`: they run whenever they are called.
///
/// ```
/// use coheld::exposed::{Expose, Unlocked};
///
/// struct Maths;
///
/// #[coheld::expose]
/// impl Maths {
///     pub fn double(&self, number: i64) -> i64 {
///         2 * number
///     }
/// }
///
/// fn is_kept_as<T: Expose<Cell = C>, C>() {}
/// is_kept_as::<Maths, Unlocked<Maths>>();
/// ```
#[derive(Debug)]
pub struct Unlocked<T>(T);

impl<T> From<T> for Unlocked<T> {
    fn from(object: T) -> Self {
        Self(object)
    }
}

impl<T> Unlocked<T> {
    /// The object, for a method that takes `&self`.
    #[doc(hidden)]
    pub fn read(&self, _: &Called<'_>) -> Result<&T, Error> {
        Ok(&self.0)
    }
}

/// An object with methods that take `&mut self`: such a one waits until no other method runs, and
/// all others wait for it. Who waits for that goes before those who come later to read.
///
/// A method may call back, and so come to the object again by the same thread: of its caller, or of
/// another process that calls on its behalf. That is an error if one of the two takes `&mut self`,
/// which would wait for itself; two that take `&self` can do that.
///
/// A method that panicked leaves the object as it is then.
///
/// ```
/// struct Account(u64);
///
/// #[coheld::expose]
/// impl Account {
///     pub fn pay_in(&mut self, amount: u64) -> u64 {
///         self.0 += amount;
///         self.0
///     }
/// }
///
/// let manager = coheld::Manager::start()?;
/// let account = manager.share(Account(0))?;
/// std::thread::scope(|scope| {
///     for _ in 0..4 {
///         scope.spawn(|| account.pay_in(10));
///     }
/// });
/// assert_eq!(account.pay_in(2)?, 42);
/// # Ok::<(), coheld::Error>(())
/// ```
#[derive(Debug)]
pub struct Locked<T> {
    admission: Mutex<Admission>,
    changed: Condvar,
    object: RwLock<T>,
}

/// Who is in.
#[derive(Debug, Default)]
struct Admission {
    readers: usize,
    has_writer: bool,
    /// Those who wait to be the writer.
    waiting: usize,
}

thread_local! {
    /// The objects that methods of this thread are in, by the places of their locks, and whether
    /// they may change them.
    static WITHIN: RefCell<Vec<(usize, bool)>> = const { RefCell::new(Vec::new()) };
}

/// A thread that is in.
struct Pass<'c, T> {
    cell: &'c Locked<T>,
    changes: bool,
}

/// The object, while others may read it, too.
#[allow(missing_debug_implementations, reason = "only generated code has one")]
pub struct Reading<'c, T> {
    // Dropped first: who is admitted next finds the lock free.
    guard: RwLockReadGuard<'c, T>,
    _pass: Pass<'c, T>,
}

/// The object, for this thread alone.
#[allow(missing_debug_implementations, reason = "only generated code has one")]
pub struct Writing<'c, T> {
    guard: RwLockWriteGuard<'c, T>,
    _pass: Pass<'c, T>,
}

impl<T> From<T> for Locked<T> {
    fn from(object: T) -> Self {
        Self {
            admission: Mutex::default(),
            changed: Condvar::new(),
            object: RwLock::new(object),
        }
    }
}

impl<T> Locked<T> {
    /// The object, for a method that takes `&self`.
    #[doc(hidden)]
    pub fn read(&self, called: &Called<'_>) -> Result<Reading<'_, T>, Error> {
        let pass = self.enter(called, false)?;
        let guard = self.object.read().unwrap_or_else(PoisonError::into_inner);
        Ok(Reading { guard, _pass: pass })
    }

    /// The object, for a method that takes `&mut self`.
    #[doc(hidden)]
    pub fn write(&self, called: &Called<'_>) -> Result<Writing<'_, T>, Error> {
        let pass = self.enter(called, true)?;
        let guard = self.object.write().unwrap_or_else(PoisonError::into_inner);
        Ok(Writing { guard, _pass: pass })
    }

    fn place(&self) -> usize {
        std::ptr::from_ref(&self.admission).addr()
    }

    fn enter(&self, called: &Called<'_>, changes: bool) -> Result<Pass<'_, T>, Error> {
        let place = self.place();
        let (is_within, has_changes) = WITHIN.with_borrow(|within| {
            let mut own = within.iter().filter(|(known, _)| *known == place);
            let first = own.next();
            (first.is_some(), first.is_some_and(|(_, changes)| *changes))
        });
        if is_within && (changes || has_changes) {
            let message = format!(
                "{called} would wait for itself: this thread is in another method of the object, \
                 and one of the two takes `&mut self`"
            );
            return Err(raise(Exception::RuntimeError, message));
        }
        let mut admission = self.lock();
        if changes {
            admission.waiting += 1;
            while admission.has_writer || admission.readers > 0 {
                admission = self.wait(admission);
            }
            admission.waiting -= 1;
            admission.has_writer = true;
        } else {
            // Who is in already goes in again: the writer that waits would wait for that one.
            while admission.has_writer || (admission.waiting > 0 && !is_within) {
                admission = self.wait(admission);
            }
            admission.readers += 1;
        }
        drop(admission);
        WITHIN.with_borrow_mut(|within| within.push((place, changes)));
        Ok(Pass {
            cell: self,
            changes,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Admission> {
        // Held for a few steps only, none of which panics.
        self.admission
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&'a self, admission: MutexGuard<'a, Admission>) -> MutexGuard<'a, Admission> {
        // A runtime with a global lock may be above a caller of this process. It is let go of, and
        // taken again while this lock is not held.
        let mut waiting = Some(admission);
        host::released(|| {
            if let Some(admission) = waiting.take() {
                drop(self.changed.wait(admission));
            }
        });
        self.lock()
    }
}

impl<T> Drop for Pass<'_, T> {
    fn drop(&mut self) {
        let entry = (self.cell.place(), self.changes);
        let _ = WITHIN.try_with(|within| {
            let mut within = within.borrow_mut();
            if let Some(last) = within.iter().rposition(|known| *known == entry) {
                within.remove(last);
            }
        });
        let mut admission = self.cell.lock();
        if self.changes {
            admission.has_writer = false;
        } else {
            admission.readers -= 1;
        }
        drop(admission);
        self.cell.changed.notify_all();
    }
}

impl<T> Deref for Reading<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.guard
    }
}

impl<T> Deref for Writing<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.guard
    }
}

impl<T> DerefMut for Writing<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.guard
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::thread;

    use super::*;

    const CALLED: Called<'static> = Called {
        object: "Cell",
        method: "m",
    };

    #[test]
    fn readers_share_and_a_writer_is_alone() {
        let cell = Locked::from(1);
        let (is_in, to_be_in) = channel();
        let (go, gone) = channel();
        thread::scope(|scope| {
            let reading = cell.read(&CALLED).unwrap();
            let other = scope.spawn(|| *cell.read(&CALLED).unwrap());
            assert_eq!(other.join().unwrap(), 1);
            let cell = &cell;
            scope.spawn(move || {
                let mut writing = cell.write(&CALLED).unwrap();
                is_in.send(()).unwrap();
                *writing += 1;
                gone.recv().unwrap();
            });
            assert!(to_be_in.try_recv().is_err());
            drop(reading);
            to_be_in.recv().unwrap();
            let late = scope.spawn(|| *cell.read(&CALLED).unwrap());
            assert!(!late.is_finished());
            go.send(()).unwrap();
            assert_eq!(late.join().unwrap(), 2);
        });
    }

    #[test]
    fn who_is_in_reads_again_but_never_waits_for_itself() {
        let cell = Locked::from(1);
        let reading = cell.read(&CALLED).unwrap();
        thread::scope(|scope| {
            scope.spawn(|| *cell.write(&CALLED).unwrap() += 1);
            while cell.lock().waiting == 0 {
                thread::yield_now();
            }
            assert_eq!(*cell.read(&CALLED).unwrap(), 1);
            assert!(cell.write(&CALLED).is_err());
            drop(reading);
        });
        let writing = cell.write(&CALLED).unwrap();
        let Err(error) = cell.read(&CALLED) else {
            panic!("it reads while it writes");
        };
        assert!(error.to_string().contains("Cell.m() would wait for itself"));
        drop(writing);
        assert_eq!(*cell.read(&CALLED).unwrap(), 2);
    }

    #[test]
    fn a_panic_leaves_the_object_as_it_is() {
        let cell = Locked::from(1);
        let panicked = thread::scope(|scope| {
            let thread = scope.spawn(|| {
                *cell.write(&CALLED).unwrap() = 2;
                let mut writing = cell.write(&CALLED);
                if let Ok(writing) = &mut writing {
                    **writing = 3;
                    panic!("in the middle");
                }
            });
            thread.join().is_err()
        });
        assert!(panicked);
        assert_eq!(*cell.read(&CALLED).unwrap(), 3);
        *cell.write(&CALLED).unwrap() = 4;
        assert_eq!(*cell.read(&CALLED).unwrap(), 4);
    }
}
