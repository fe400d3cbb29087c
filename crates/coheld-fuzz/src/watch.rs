//! The end of a program one of whose rounds does not end.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Longest time that one round may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often it is looked at.
const PAUSE: Duration = Duration::from_millis(200);

/// Since when there is a round, and what it is about.
type Current<T> = Mutex<Option<(Instant, T)>>;

/// Ends the program, and says what the round was about, if a round does not end.
pub struct Watch<T> {
    current: Arc<Current<T>>,
}

impl<T: fmt::Display + Send + 'static> Watch<T> {
    /// Begins to watch; ends when dropped.
    #[must_use]
    pub fn begin() -> Self {
        let current = Arc::new(Mutex::new(None));
        let watched = Arc::downgrade(&current);
        thread::spawn(move || {
            while let Some(current) = watched.upgrade() {
                look(&current);
                drop(current);
                thread::sleep(PAUSE);
            }
        });
        Self { current }
    }

    /// A round begins.
    pub fn round(&self, about: T) {
        self.set(Some((Instant::now(), about)));
    }

    /// There is no round at the moment.
    pub fn rest(&self) {
        self.set(None);
    }

    fn set(&self, current: Option<(Instant, T)>) {
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = current;
    }
}

#[allow(clippy::print_stderr, reason = "the program ends with this line")]
fn look<T: fmt::Display>(current: &Current<T>) {
    let current = current.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((since, about)) = &*current
        && since.elapsed() > PATIENCE
    {
        eprintln!("a round does not end\n{about}");
        std::process::abort();
    }
}
