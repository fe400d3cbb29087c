//! The word of a message: how many there have been, who sleeps until the next one, whether there
//! will be none any more.
//!
//! ```text
//!  31      30      29                                   0
//! +-------+-------+--------------------------------------+
//! | asleep| closed| number of messages posted, wrapping  |
//! +-------+-------+--------------------------------------+
//!
//! poster:  write the message -> count it and take `asleep` away, in one exchange -> wake
//! reader:  look -> set `asleep`, unless a message came -> sleep while the word stays so -> look ..
//! ```
//!
//! A message that is counted before the reader sets `asleep` makes setting it fail; one that is
//! counted after takes the bit away, so that the sleep ends at once or does not begin, and its
//! poster wakes. In between there is nothing to be lost. One process posts, one reads; anybody may
//! close.

use crate::sync::{AtomicU32, Ordering};

/// The reader sleeps, or is about to.
const ASLEEP: u32 = 1 << 31;
/// There will be no more messages.
const CLOSED: u32 = 1 << 30;
/// The rest of the word.
const NUMBER: u32 = CLOSED - 1;

/// What a word says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Posted {
    /// Messages posted so far; wraps after 2^30.
    pub number: u32,
    /// Whether there will be no more.
    pub closed: bool,
}

/// What posting did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Post {
    /// The message is there; nobody has to be woken.
    Done,
    /// The message is there; its reader has to be woken.
    Wake,
    /// Nothing: the word is closed.
    Closed,
}

/// The word of one direction.
#[derive(Clone, Copy)]
pub(crate) struct Word<'a>(&'a AtomicU32);

impl<'a> Word<'a> {
    pub(crate) fn new(word: &'a AtomicU32) -> Self {
        Self(word)
    }

    /// What it says.
    #[inline]
    pub(crate) fn look(self) -> Posted {
        // Acquire: pairs with the Release in `post`; what the message consists of is there.
        let word = self.0.load(Ordering::Acquire);
        Posted {
            number: word & NUMBER,
            closed: word & CLOSED != 0,
        }
    }

    /// Counts a message that has been written.
    #[inline]
    pub(crate) fn post(self) -> Post {
        let mut current = self.0.load(Ordering::Relaxed);
        loop {
            if current & CLOSED != 0 {
                return Post::Closed;
            }
            let next = (current + 1) & NUMBER;
            // COMMIT: the message is there. CRASH: nobody is woken; the reader looks up by itself
            // when its patience ends.
            // Release: pairs with the Acquire in `look`.
            match self
                .0
                .compare_exchange(current, next, Ordering::Release, Ordering::Relaxed)
            {
                Ok(_) if current & ASLEEP != 0 => return Post::Wake,
                Ok(_) => return Post::Done,
                Err(found) => current = found,
            }
        }
    }

    /// Says that there will be no more messages. The caller wakes the reader in any case: whoever
    /// took the sleeper's bit away may have died before it did so.
    pub(crate) fn close(self) {
        let mut current = self.0.load(Ordering::Relaxed);
        while current & CLOSED == 0 {
            let next = current & NUMBER | CLOSED;
            // COMMIT: closed.
            // Release: pairs with the Acquire in `look`.
            match self
                .0
                .compare_exchange(current, next, Ordering::Release, Ordering::Relaxed)
            {
                Ok(_) => return,
                Err(found) => current = found,
            }
        }
    }

    /// The reader: sleeps by `wait` unless there is news. `wait` is given the value that the word
    /// has as long as there is none.
    pub(crate) fn sleep(self, known: u32, wait: impl FnOnce(u32)) {
        let awake = known & NUMBER;
        // Relaxed: the reader looks again before it reads anything.
        let marked =
            self.0
                .compare_exchange(awake, awake | ASLEEP, Ordering::Relaxed, Ordering::Relaxed);
        match marked {
            Ok(_) => wait(awake | ASLEEP),
            // It has slept before, and nothing has come.
            Err(found) if found == awake | ASLEEP => wait(found),
            Err(_) => {}
        }
    }
}
