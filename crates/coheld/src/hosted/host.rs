//! A host: the process that has objects which others call.
//!
//! One thread of it, without any runtime, looks after the inbox: it accepts new channels, looks at
//! objects that may have lost their last reference, and five times a second at all of them. Each
//! channel has a thread of its own, which the runtime makes; see `worker`. So have the objects that
//! nobody refers to any more, see `dropping`.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use coheld_shm::HostPlace;
use coheld_store::{Hosted, Queue, kinds};

use super::shared::Shared;
use super::{Serve, housekeeping, local};
use crate::{Attachment, Error, Handle, host};

/// How long stopping waits for threads that are idle, and for objects that go.
const STOP_PATIENCE: Duration = Duration::from_secs(1);
/// How long to sleep before looking at them again.
const NAP: Duration = Duration::from_millis(1);

/// Where this process has its objects. Stopped when dropped, except in a forked child, which is no
/// host: there it does nothing at all.
///
/// ```
/// # use coheld::hosted::{Reply, ReplyKind, Request, Serve};
/// use coheld::hosted::{Host, lives};
/// use std::sync::Arc;
///
/// # struct Nothing;
/// # impl Serve for Nothing {
/// #     fn answer(&self, _: &Request<'_>) -> Reply {
/// #         Reply::new(ReplyKind::Return, b"N.")
/// #     }
/// #     fn released(&self, _: u64) {}
/// #     fn spawn(&self, work: Box<dyn FnOnce() + Send>) -> coheld::Result<()> {
/// #         std::thread::spawn(work);
/// #         Ok(())
/// #     }
/// # }
/// // `Nothing` is a type that implements `Serve`.
/// let manager = coheld::Manager::start()?;
/// let host = Host::start(manager.attachment(), Arc::new(Nothing), false)?;
/// let (number, handle) = host.publish()?;
/// assert_eq!(host.published(), [(number, handle.offset(), handle.generation())]);
/// assert!(lives(&handle)?);
/// host.stop();
/// assert!(!lives(&handle)?);
/// # Ok::<(), coheld::Error>(())
/// ```
pub struct Host {
    shared: Arc<Shared>,
}

impl Host {
    /// Starts a host. `as_manager` makes it the one that answers for the manager.
    pub fn start(
        attachment: &Arc<Attachment>,
        serve: Arc<dyn Serve>,
        as_manager: bool,
    ) -> Result<Arc<Self>, Error> {
        let segment = attachment.joined()?;
        let tag = segment.own_tag()?;
        let inbox = Handle::create(attachment, kinds::referent::QUEUE, Queue::auxiliary(0))?;
        let place = HostPlace {
            inbox: inbox.offset(),
            generation: inbox.generation(),
            tag,
        };
        let shared = Arc::new(Shared::new(attachment, serve, place, inbox));
        let run = {
            let shared = Arc::clone(&shared);
            move || housekeeping::run(&shared)
        };
        let host = Arc::new(Self { shared });
        local::enter(&host.shared);
        let builder = thread::Builder::new().name("coheld-host".into());
        builder.spawn(run).map_err(|refused| {
            host.shared.keeper_ends();
            Error::io("starting a thread")(refused)
        })?;
        if as_manager {
            segment.set_manager_host(place);
        }
        Ok(host)
    }

    /// Where it is.
    #[must_use]
    pub fn place(&self) -> HostPlace {
        self.shared.place()
    }

    /// This process's access to the segment.
    #[must_use]
    pub fn attachment(&self) -> &Arc<Attachment> {
        self.shared.attachment()
    }

    /// A number for an object, which no other one gets.
    #[must_use]
    pub fn next_number(&self) -> u64 {
        self.shared.next_number()
    }

    /// Makes a referent for one more object. The object lives as long as somebody refers to it:
    /// at first whoever has the handle, and never the host itself.
    pub fn publish(&self) -> Result<(u64, Handle), Error> {
        let number = self.next_number();
        Ok((number, self.publish_as(number)?))
    }

    /// The same with a number that the caller has from [`Self::next_number`], so that the object
    /// can be where it is looked for before anybody calls it.
    ///
    /// ```
    /// # use coheld::hosted::{Reply, ReplyKind, Request, Serve};
    /// use coheld::hosted::{Host, call};
    /// use std::collections::BTreeMap;
    /// use std::sync::{Arc, Mutex};
    ///
    /// #[derive(Default)]
    /// struct Texts(Mutex<BTreeMap<u64, String>>);
    /// # impl Serve for Texts {
    /// #     fn answer(&self, request: &Request<'_>) -> Reply {
    /// #         let texts = self.0.lock().unwrap();
    /// #         Reply::new(ReplyKind::Return, texts[&request.object].clone())
    /// #     }
    /// #     fn released(&self, number: u64) {
    /// #         self.0.lock().unwrap().remove(&number);
    /// #     }
    /// #     fn spawn(&self, work: Box<dyn FnOnce() + Send>) -> coheld::Result<()> {
    /// #         std::thread::spawn(work);
    /// #         Ok(())
    /// #     }
    /// # }
    ///
    /// let manager = coheld::Manager::start()?;
    /// let texts = Arc::new(Texts::default());
    /// let host = Host::start(manager.attachment(), texts.clone(), false)?;
    /// // The object is in the table of its host before anybody can call it.
    /// let number = host.next_number();
    /// texts.0.lock().unwrap().insert(number, "hello".to_owned());
    /// let handle = host.publish_as(number)?;
    /// assert_eq!(call(&handle, &Request::new("text", b""), None)?.body, b"hello");
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn publish_as(&self, number: u64) -> Result<Handle, Error> {
        let handle = Handle::create(self.attachment(), kinds::referent::HOSTED, 0)?;
        Hosted::fill(&handle.referent()?, self.place(), number)?;
        self.shared.enter(number, &handle)?;
        Ok(handle)
    }

    /// Moves a dict or a set here: from now on the referent of `handle` is that of the object
    /// `number`, unless it has changed since it had this version.
    ///
    /// [`StoreError::Changed`](crate::StoreError::Changed): it has.
    pub fn adopt(&self, handle: &Handle, number: u64, version: u64) -> Result<(), Error> {
        coheld_store::move_to_host(&handle.referent()?, self.place(), number, version)?;
        self.shared.enter(number, handle)
    }

    /// The objects published and not yet gone: number, offset and generation of the referent.
    #[must_use]
    pub fn published(&self) -> Vec<(u64, u64, u32)> {
        self.shared.published()
    }

    /// How many callers have a channel.
    #[must_use]
    pub fn channels(&self) -> usize {
        self.shared.workers().len()
    }

    /// Stops it: calls under way fail at their callers with [`Error::HostGone`], and so do all
    /// later ones. Threads that are in a call go on until it returns. All objects are dropped; for
    /// one that takes long nobody waits. Stopping again does nothing.
    pub fn stop(&self) {
        if self.shared.stop() {
            let deadline = Instant::now() + STOP_PATIENCE;
            while self.shared.is_winding_up() && Instant::now() < deadline {
                host::pause(NAP);
            }
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.stop();
    }
}

impl core::fmt::Debug for Host {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter
            .debug_struct("Host")
            .field("place", &self.place())
            .finish_non_exhaustive()
    }
}
