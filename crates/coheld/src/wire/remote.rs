//! A reference to an object of a manager that this process shares no memory with.
#![allow(
    clippy::disallowed_types,
    reason = "a note of this process about itself"
)]

use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::{Link, lines};
use crate::Error;

/// Keeps an object alive that is reached through a [`Link`], as long as it lives itself.
pub struct Remote {
    link: Arc<Link>,
    ident: String,
    /// The segment that the object is in, if its manager has one.
    segment: Option<[u8; 16]>,
    /// How often this process had forked when it got the reference.
    forks: u64,
    /// The process that a manager of the standard library has counted this reference for.
    owner: AtomicU32,
}

impl Remote {
    pub(super) fn adopted(link: &Arc<Link>, ident: String) -> Self {
        Self {
            link: Arc::clone(link),
            ident,
            segment: link.segment(),
            forks: lines::forks(),
            owner: AtomicU32::new(process::id()),
        }
    }

    /// The way to the manager.
    #[must_use]
    pub fn link(&self) -> &Arc<Link> {
        &self.link
    }

    /// The name of the object.
    #[must_use]
    pub fn ident(&self) -> &str {
        &self.ident
    }

    /// In a child that was forked: has a manager of the standard library count the reference for
    /// this process, too. One of Coheld does so for all references of the child at once.
    pub fn inherit(&self) -> Result<(), Error> {
        let process = process::id();
        if self.segment.is_some() || self.owner.swap(process, Ordering::Relaxed) == process {
            return Ok(());
        }
        let counted = self.link.count(&self.ident);
        if counted.is_err() {
            self.owner.store(0, Ordering::Relaxed);
        }
        counted
    }

    /// Makes sure that the manager is the one that had the object. To be called when it does not
    /// know the object.
    pub fn check(&self) -> Result<(), Error> {
        if self.segment == self.link.segment() {
            return Ok(());
        }
        Err(self.link.lost(
            "it was started anew since this object was made, and the object is gone with the \
             former one",
        ))
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        if self.segment != self.link.segment() {
            // Its manager is gone, and with it the count.
            return;
        }
        if self.segment.is_none() && *self.owner.get_mut() != process::id() {
            // It has been counted for the parent only.
            return;
        }
        let ident = std::mem::take(&mut self.ident);
        // A child that was forked since may be about to take over what it has inherited.
        let later = self.forks != lines::forks();
        self.link.end_reference(ident, later);
    }
}

impl core::fmt::Debug for Remote {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(
            formatter,
            "Remote({} at {})",
            self.ident,
            self.link.address()
        )
    }
}
