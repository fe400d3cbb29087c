//! The leases of the proxies in a message.

use std::sync::Arc;

use coheld_shm::Lease;

use crate::Attachment;

/// References that travel with a message to whoever reads it. Dropping this leaves them to the
/// reader; a message that nobody reads has them given back.
///
/// ```
/// use coheld::hosted::Leases;
///
/// let manager = coheld::Manager::start()?;
/// let list = manager.list::<i64>()?;
/// let mut leases = Leases::new();
/// leases.add(manager.attachment(), list.as_proxy().handle().lease()?);
/// drop(list);
/// assert_eq!(manager.number_of_objects(), 1);
/// leases.give_back();
/// assert_eq!(manager.number_of_objects(), 0);
/// # Ok::<(), coheld::Error>(())
/// ```
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
    ///
    /// ```
    /// use coheld::hosted::Leases;
    ///
    /// let manager = coheld::Manager::start()?;
    /// let event = manager.event()?;
    /// let (mut all, mut part) = (Leases::new(), Leases::new());
    /// part.add(manager.attachment(), event.as_proxy().handle().lease()?);
    /// all.append(part);
    /// drop(event);
    /// all.give_back();
    /// assert_eq!(manager.number_of_objects(), 0);
    /// # Ok::<(), coheld::Error>(())
    /// ```
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
