//! The side of the process that has started another one.

use std::fmt;
use std::marker::PhantomData;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::process::{Child, ExitStatus};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use coheld_shm::os::parent::ProcessWatch;
use coheld_shm::os::readiness::wait_readable;
use serde::de::DeserializeOwned;

use super::message::{Inbox, Kind, Message};
use super::parcel;
use crate::Error;
use crate::hosted::Leases;

/// Processes whose handles were dropped; collected when the next one is started.
static DETACHED: Mutex<Vec<Child>> = Mutex::new(Vec::new());

/// A process that runs a function: what [`std::thread::JoinHandle`] is for a thread.
///
/// Dropping it lets the process go on; what the function returns is lost then.
///
/// ```standalone_crate
/// use coheld::process;
///
/// fn main() -> Result<(), coheld::Error> {
///     process::init();
///     let other = process::spawn(|number: u64| number * number, 12)?;
///     assert_ne!(other.id(), std::process::id());
///     assert_eq!(other.join()?, 144);
///     Ok(())
/// }
/// ```
pub struct JoinHandle<R> {
    started: Started,
    returns: PhantomData<fn() -> R>,
}

impl<R> JoinHandle<R> {
    pub(super) fn new(child: Child, socket: UnixStream, leases: Leases) -> Result<Self, Error> {
        socket
            .set_nonblocking(true)
            .map_err(Error::io("setting up the socket to a new process"))?;
        let started = Started {
            id: child.id(),
            watch: ProcessWatch::open(child.id())?,
            child: Some(child),
            socket,
            inbox: Inbox::default(),
            leases: Some(leases),
            last: None,
            is_silent: false,
        };
        Ok(Self {
            started,
            returns: PhantomData,
        })
    }

    /// The id of the process.
    pub fn id(&self) -> u32 {
        self.started.id
    }

    /// Waits until the function has returned or the process has ended, at most `limit`; whether
    /// [`join`](Self::join) would not have to wait any more.
    ///
    /// ```standalone_crate
    /// use std::time::Duration;
    /// use coheld::{Manager, EventProxy, process};
    ///
    /// fn main() -> Result<(), coheld::Error> {
    ///     process::init();
    ///     let manager = Manager::start()?;
    ///     let go_on = manager.event()?;
    ///     let wait = |go_on: EventProxy| go_on.wait().is_ok();
    ///     let mut other = process::spawn(wait, go_on.clone())?;
    ///     assert!(!other.wait_timeout(Duration::from_millis(1))?);
    ///     go_on.set()?;
    ///     assert!(other.join()?);
    ///     Ok(())
    /// }
    /// ```
    pub fn wait_timeout(&mut self, limit: Duration) -> Result<bool, Error> {
        self.started.wait(Some(limit))
    }

    /// Whether the function has returned or the process has ended.
    ///
    /// ```standalone_crate
    /// use coheld::process;
    ///
    /// fn main() -> Result<(), coheld::Error> {
    ///     process::init();
    ///     let mut other = process::spawn(|(): ()| "done".to_owned(), ())?;
    ///     while !other.is_finished() {
    ///         std::thread::yield_now();
    ///     }
    ///     assert_eq!(other.join()?, "done");
    ///     Ok(())
    /// }
    /// ```
    pub fn is_finished(&mut self) -> bool {
        // What goes wrong here goes wrong in `join` as well, which can say so.
        self.started.wait(Some(Duration::ZERO)).unwrap_or(true)
    }

    /// Kills the process, as `kill -9` does. It is nothing to one that has ended.
    ///
    /// Shared objects stay whole, locks that it held are freed.
    ///
    /// ```standalone_crate
    /// use coheld::{Error, EventProxy, Manager, process};
    ///
    /// fn main() -> Result<(), Error> {
    ///     process::init();
    ///     let manager = Manager::start()?;
    ///     let never = manager.event()?;
    ///     let mut other = process::spawn(|never: EventProxy| never.wait().is_ok(), never)?;
    ///     other.kill()?;
    ///     assert!(matches!(other.join(), Err(Error::Ended { .. })));
    ///     Ok(())
    /// }
    /// ```
    pub fn kill(&mut self) -> Result<(), Error> {
        let child = self.started.child.as_mut();
        child
            .map_or(Ok(()), Child::kill)
            .map_err(Error::io("killing a process"))
    }
}

impl<R: DeserializeOwned> JoinHandle<R> {
    /// Waits until the process has ended; what the function has returned.
    ///
    /// # Errors
    ///
    /// [`Error::Panicked`] if the function has, [`Error::Ended`] if the process ended without
    /// returning from it (it was killed, or called [`exit`](std::process::exit)),
    /// [`Error::NotStarted`] if the arguments could not be read there, and [`Error::NotReturned`]
    /// if the result could not be written.
    ///
    /// ```standalone_crate
    /// use coheld::{Error, process};
    ///
    /// fn parse(text: String) -> i64 {
    ///     text.parse().expect("a number was expected")
    /// }
    ///
    /// fn main() -> Result<(), Error> {
    ///     process::init();
    ///     assert_eq!(process::spawn(parse, "7".into())?.join()?, 7);
    ///     let error = process::spawn(parse, "seven".into())?.join().unwrap_err();
    ///     let Error::Panicked { message, .. } = &error else {
    ///         panic!("{error}");
    ///     };
    ///     assert!(message.contains("a number"));
    ///     Ok(())
    /// }
    /// ```
    pub fn join(mut self) -> Result<R, Error> {
        self.started.wait(None)?;
        let status = self.started.collect();
        let process = self.started.id;
        let words = |body: Vec<u8>| String::from_utf8_lossy(&body).into_owned();
        match self.started.last.take() {
            Some((Kind::Returned, parcel)) => Ok(parcel::unpack(&parcel)?.read()?),
            Some((Kind::Panicked, body)) => Err(Error::Panicked {
                process,
                message: words(body),
            }),
            Some((Kind::Unwritable, body)) => Err(Error::NotReturned {
                process,
                why: words(body),
            }),
            Some((Kind::Unreadable, body)) => Err(Error::NotStarted { why: words(body) }),
            Some((Kind::Arguments | Kind::Begun, _)) | None => {
                Err(Error::Ended { process, status })
            }
        }
    }
}

impl<R> fmt::Debug for JoinHandle<R> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "<process {}>", self.started.id)
    }
}

/// What is known of a process that was started.
struct Started {
    id: u32,
    /// `None` once it was collected.
    child: Option<Child>,
    /// `None` if it was gone before it could be watched.
    watch: Option<ProcessWatch>,
    socket: UnixStream,
    inbox: Inbox,
    /// Of its arguments, until it has read them.
    leases: Option<Leases>,
    /// What it has said at its end.
    last: Option<Message>,
    /// Whether nobody can say anything any more.
    is_silent: bool,
}

impl Started {
    /// Waits until it has said its last, or has ended; whether it has.
    fn wait(&mut self, limit: Option<Duration>) -> Result<bool, Error> {
        let deadline = limit.and_then(|limit| Instant::now().checked_add(limit));
        loop {
            if self.look()? {
                return Ok(true);
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                return Ok(false);
            }
            let watch = self.watch.iter().map(ProcessWatch::as_fd);
            // A child of the process may have the other end, or the process may have closed it.
            let socket = (!self.is_silent).then(|| self.socket.as_fd());
            let descriptors: Vec<_> = watch.chain(socket).collect();
            wait_readable(&descriptors, left)?;
        }
    }

    /// Reads what has come; whether that was all.
    fn look(&mut self) -> Result<bool, Error> {
        // In this order: whatever it has said before its end is there by now.
        let is_gone = match &self.watch {
            Some(watch) => watch.wait(Some(Duration::ZERO))?,
            None => true,
        };
        let reading = Error::io("reading from a process");
        self.is_silent |= self.inbox.fill(&self.socket).map_err(reading)?;
        while let Some(message) = self.next()? {
            self.leases = None;
            match message.0 {
                Kind::Begun => {}
                _ => self.last = Some(message),
            }
        }
        Ok(self.last.is_some() || is_gone)
    }

    fn next(&mut self) -> Result<Option<Message>, Error> {
        self.inbox.next().map_err(|_| Error::Protocol {
            why: "what came from a process is no message",
        })
    }

    /// Waits for its end, which is near; how it has ended, if nobody else has collected it.
    fn collect(&mut self) -> Option<ExitStatus> {
        if let Some(leases) = self.leases.take() {
            leases.give_back();
        }
        let status = self.child.take()?.wait();
        status.ok()
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        if let Some(child) = self.child.take() {
            let mut detached = DETACHED.lock().unwrap_or_else(PoisonError::into_inner);
            detached.push(child);
        }
    }
}

/// Collects the processes without handles that have ended.
pub(super) fn collect_detached() {
    let mut detached = DETACHED.lock().unwrap_or_else(PoisonError::into_inner);
    // Refused: somebody else has collected it.
    detached.retain_mut(|child| matches!(child.try_wait(), Ok(None)));
}
