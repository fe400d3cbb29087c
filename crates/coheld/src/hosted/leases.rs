//! The leases of the proxies in a message.

use std::sync::Arc;

use coheld_shm::Lease;

use crate::Attachment;

/// References that travel with a message to whoever reads it. Dropping this leaves them to the
/// reader; a message that nobody reads has them given back.
#[derive(Debug, Default)]
pub struct Leases(Vec<(Arc<Attachment>, Lease)>);

impl Leases {
    /// None.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds one.
    pub fn add(&mut self, attachment: &Arc<Attachment>, lease: Lease) {
        self.0.push((Arc::clone(attachment), lease));
    }

    /// Adds those of a part of the message.
    pub fn append(&mut self, mut other: Self) {
        self.0.append(&mut other.0);
    }

    /// Ends them all: the message is not read, and never will be.
    pub fn give_back(self) {
        for (attachment, lease) in self.0 {
            let ended = attachment
                .joined()
                .and_then(|segment| Ok(segment.drop_lease(lease)?));
            if let Err(error) = ended {
                // It runs out by itself.
                log::debug!("a lease could not be given back: {error}");
            }
        }
    }
}
