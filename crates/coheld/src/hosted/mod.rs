//! Hosted objects: shared objects that live in one process, which others call.
//!
//! What Coheld has no native form for stays a plain object of the process that made it, its
//! [`Host`]. Its referent in the segment is like any other (identity, holders, edges, leases); only
//! the content is elsewhere, so a method is a [`call`]: a message to the host and one back.
//!
//! What arguments and results look like is between the caller and whoever serves; Python uses
//! pickles, which [`Proxy::call_method`](crate::Proxy::call_method) reads and writes.
//!
//! ```
//! use std::sync::Arc;
//! use std::thread;
//!
//! use coheld::hosted::{Host, Reply, ReplyKind, Request, Serve, call};
//! use coheld::{Error, Manager};
//!
//! struct Echo;
//!
//! impl Serve for Echo {
//!     fn answer(&self, request: &Request<'_>) -> Reply {
//!         Reply::new(ReplyKind::Return, request.body)
//!     }
//!
//!     fn released(&self, number: u64) {
//!         println!("nobody refers to object {number} any more");
//!     }
//!
//!     fn spawn(&self, work: Box<dyn FnOnce() + Send>) -> Result<(), Error> {
//!         thread::spawn(work);
//!         Ok(())
//!     }
//! }
//!
//! let manager = Manager::start()?;
//! let host = Host::start(manager.attachment(), Arc::new(Echo), false)?;
//! let (_number, handle) = host.publish()?;
//! // Any process that has a handle of the object may call it.
//! let reply = call(&handle, &Request::new("echo", b"hello"), None)?;
//! assert_eq!(reply.body, b"hello");
//! # Ok::<(), Error>(())
//! ```

// For the bindings to Python only; nothing of it is promised.
#[doc(hidden)]
pub mod buffers;
mod channels;
mod client;
mod count;
mod dropping;
mod host;
mod housekeeping;
mod inbox;
mod leases;
mod local;
mod message;
mod nesting;
mod shared;
mod worker;

pub use self::{
    client::{call, call_manager, lives},
    count::count_objects,
    host::Host,
    leases::Leases,
    message::{Reply, ReplyKind, Request},
};
pub(crate) use self::{inbox::tell, shared::text_of_panic};

pub use coheld_shm::HostPlace;

use crate::Error;

/// What a host does for its callers. Called from many threads at once.
///
/// ```
/// use std::sync::{Arc, mpsc};
/// use coheld::hosted::{Host, Reply, ReplyKind, Request, Serve};
/// use coheld::{Error, Manager};
///
/// struct Tell(mpsc::Sender<u64>);
///
/// impl Serve for Tell {
///     fn answer(&self, request: &Request<'_>) -> Reply {
///         Reply::new(ReplyKind::Traceback, format!("no method {}\n", request.method))
///     }
///
///     fn released(&self, number: u64) {
///         let _ = self.0.send(number);
///     }
///
///     fn spawn(&self, work: Box<dyn FnOnce() + Send>) -> Result<(), Error> {
///         std::thread::spawn(work);
///         Ok(())
///     }
/// }
///
/// let manager = Manager::start()?;
/// let (released, numbers) = mpsc::channel();
/// let host = Host::start(manager.attachment(), Arc::new(Tell(released)), false)?;
/// let (number, handle) = host.publish()?;
/// drop(handle);
/// assert_eq!(numbers.recv(), Ok(number));
/// # Ok::<(), coheld::Error>(())
/// ```
pub trait Serve: Send + Sync {
    /// Answers one call. A panic becomes a reply of kind [`ReplyKind::Traceback`].
    fn answer(&self, request: &Request<'_>) -> Reply;

    /// The same for a call of this thread itself, which is a caller in the process of the host.
    fn answer_here(&self, request: &Request<'_>) -> Reply {
        self.answer(request)
    }

    /// Drops an object that nobody refers to any more, or whose host is stopped. It may take any
    /// time: it is called on a thread that does nothing else, if one can be had.
    fn released(&self, number: u64);

    /// Runs `work`, which lasts as long as there is use for it, on a thread of its own.
    fn spawn(&self, work: Box<dyn FnOnce() + Send>) -> Result<(), Error>;
}
