//! Cleaning up after processes that died, in the background.
//!
//! Whoever waits for a lock of a dead process mends it by itself; this thread is for what nobody
//! waits for: holds, reservations, lost leases, memory to be given back.

use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::conversation::Shared;
use crate::{Attachment, Error};

/// How often to look for dead members.
const REAP_EVERY: Duration = Duration::from_millis(200);
/// How many of those rounds lie between two looks at leases, free memory, and what clients have
/// left behind.
const TRIM_ROUNDS: u32 = 5;

/// The thread; it ends when this is dropped.
pub(super) struct Reaper {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Reaper {
    pub(super) fn start(shared: Arc<Shared>) -> Result<Self, Error> {
        let (stop, stopped) = mpsc::channel();
        let run = move || {
            let mut round = 0_u32;
            // Nothing is ever sent: the end of the channel is the message.
            while stopped.recv_timeout(REAP_EVERY) == Err(RecvTimeoutError::Timeout) {
                round = round.wrapping_add(1);
                let thoroughly = round.is_multiple_of(TRIM_ROUNDS);
                clean(&shared.attachment, thoroughly);
                if thoroughly && let Some(clients) = shared.clients.get() {
                    clients.sweep();
                }
            }
        };
        let builder = thread::Builder::new().name("coheld-reaper".into());
        let thread = builder.spawn(run).map_err(Error::io("starting a thread"))?;
        Ok(Self {
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for Reaper {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn clean(attachment: &Attachment, thoroughly: bool) {
    let segment = match attachment.joined() {
        Ok(segment) => segment,
        Err(error) => return log::warn!("dead members cannot be cleaned up after: {error}"),
    };
    let reaped = segment.reap_dead();
    if reaped > 0 {
        log::debug!("cleaned up after {reaped} dead members");
    }
    if thoroughly {
        let expired = segment.expire_leases();
        if expired > 0 {
            log::debug!("lost leases of {expired} referents have run out");
        }
        if let Err(error) = segment.trim() {
            log::warn!("free memory cannot be given back: {error}");
        }
    }
}
