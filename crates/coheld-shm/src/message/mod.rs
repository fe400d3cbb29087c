//! Messages from one process to another: who posts, who waits, without a lock.
//!
//! What a message consists of is the business of the layer above; it is written before the message
//! is counted and read after. See `word` for the algorithm and `docs/locking.md` for who sleeps.
//!
//! ```text
//! +0   the word of the message (see `word`)
//! +4   how spinning has paid for who waits here: a guess that orders nothing
//! ```

pub(crate) mod word;

use std::time::Duration;

pub use self::word::Posted;
use self::word::{Post, Word};
use crate::{
    Error, Segment,
    line::spin,
    sync::{AtomicU32, MODEL},
};

/// Rounds that a caller spins who keeps the interpreter: some two microseconds, about as long as a
/// short call takes and too short for another thread of the process to miss it. Not by the clock: a
/// look at it is a twentieth of such a call.
const BRIEFLY: u32 = if MODEL { 1 } else { 64 };

/// The place of one direction's messages.
#[derive(Clone, Copy)]
pub struct Message<'s> {
    segment: &'s Segment,
    at: u64,
}

impl Segment {
    /// The message word at `at`, a multiple of 8 inside the segment.
    #[inline]
    pub fn message(&self, at: u64) -> Result<Message<'_>, Error> {
        self.cell(at)?;
        Ok(Message { segment: self, at })
    }
}

impl<'s> Message<'s> {
    #[inline]
    fn word(&self) -> Word<'s> {
        Word::new(self.segment.control32(self.at))
    }

    /// Whether there is another message than the reader knows, or never will be.
    #[inline]
    fn has_news(&self, known: u32) -> bool {
        let posted = self.look();
        posted.closed || posted.number != known
    }

    fn credit(&self) -> &'s AtomicU32 {
        self.segment.control32(self.at + 4)
    }

    /// How many messages there have been, and whether there will be more.
    #[inline]
    pub fn look(&self) -> Posted {
        self.word().look()
    }

    /// Counts a message that has been written, and wakes who waits for it. `false`: closed, and
    /// nothing has happened.
    #[inline]
    pub fn post(&self) -> bool {
        match self.word().post() {
            Post::Done => true,
            Post::Wake => {
                self.wake();
                true
            }
            Post::Closed => false,
        }
    }

    /// Says that there will be no more messages, and wakes who waits for one.
    pub fn close(&self) {
        self.word().close();
        self.wake();
    }

    fn wake(&self) {
        self.segment.backing.wake(self.at, u32::MAX);
    }

    /// Spins for some two microseconds until there is another message than number `known`, with
    /// the runtime as it is. Whether there is.
    pub fn spin(&self, known: u32) -> bool {
        if self.has_news(known) {
            return true;
        }
        if !spin::pays() {
            return false;
        }
        (0..BRIEFLY).any(|_| {
            spin::round();
            self.has_news(known)
        })
    }

    /// Waits until there is another message than number `known`, for `patience` at most; may
    /// return early.
    ///
    /// [`Error::Interrupted`] when a signal handler of the language raised meanwhile;
    /// [`Error::Forked`] in a child that one forked.
    pub fn wait(&self, known: u32, patience: Duration) -> Result<(), Error> {
        let segment = self.segment;
        let tag = segment.tag()?;
        let mut sleep = || {
            if !spin::until(self.credit(), &segment.spinning, || self.has_news(known)) {
                self.word().sleep(known, |expected| {
                    segment.backing.wait(self.at, expected, patience);
                });
            }
        };
        match segment.host() {
            Some(host) => {
                host.block(&mut sleep);
                if host.interrupted() {
                    return Err(Error::Interrupted);
                }
            }
            None => sleep(),
        }
        if segment.is_own(tag) {
            Ok(())
        } else {
            Err(Error::Forked)
        }
    }
}
