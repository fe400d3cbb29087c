//! Looking at a segment from outside: by a process that is no member and changes nothing.
//!
//! The memory comes from the manager, as for a member. Where that is gone or stopped, it comes from
//! any process that has the segment open: `/proc` lets a process take it that could debug the other
//! one, which is one of the same user. That is no wider a door than the manager's: whoever runs as
//! the same user can read the key out of a member's memory as well.

use std::fmt;
use std::os::fd::OwnedFd;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use coheld_shm::backing::{MemfdBacking, ObservedBacking};
use coheld_shm::os::peek;
use coheld_shm::{Segment, os::process};
use coheld_store::{Lock, MENDER, kinds::referent as kind};

use crate::{Address, Error, control, host, key, registry};

/// How long a manager has to answer before its members are asked.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long mending may take: it waits for locks, and those of stopped processes do not come.
const MENDING: Duration = Duration::from_secs(5);

/// A segment that this process looks at.
///
/// ```standalone_crate
/// use coheld::observe::{Observation, Purpose};
/// use coheld::{Manager, process};
///
/// /// In a process that is no member of the segment.
/// fn look((pid, id): (u32, [u8; 16])) -> bool {
///     let found = Observation::of_process(pid, Some(id), Purpose::Look);
///     let found = found.expect("it is of this user");
///     found.len() == 1 && found[0].segment().id() == id
/// }
///
/// fn main() -> Result<(), coheld::Error> {
///     process::init();
///     let manager = Manager::start()?;
///     let id = manager.attachment().segment_id();
///     let looked = process::spawn(look, (std::process::id(), id))?.join();
///     // Some systems let no process look at another one.
///     assert!(looked.is_err() || looked?);
///     Ok(())
/// }
/// ```
pub struct Observation {
    segment: Segment,
    file: OwnedFd,
    source: Source,
}

/// Where the memory came from.
///
/// ```
/// use coheld::observe::Source;
///
/// let source = Source::Manager("unix:/run/manager".parse()?);
/// assert_ne!(source, Source::Process(7));
/// # Ok::<(), coheld::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Source {
    /// From the manager.
    Manager(Address),
    /// From a process that has it open.
    Process(u32),
}

/// Whether an observation is only to look, or to mend too.
///
/// ```
/// use coheld::observe::Purpose;
///
/// let may_change = |purpose| purpose == Purpose::Mend;
/// assert!(!may_change(Purpose::Look));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Nothing can be changed.
    Look,
    /// [`Observation::mend`] can be called.
    Mend,
}

/// What was mended.
///
/// ```
/// use coheld::observe::Mended;
///
/// let nothing = Mended::default();
/// assert_eq!((nothing.members, nothing.locks, nothing.is_complete), (0, 0, false));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Mended {
    /// Dead members that were cleaned up after.
    pub members: usize,
    /// Locks of the program that were freed from dead owners.
    pub locks: usize,
    /// Referents whose leases had run out.
    pub leases: usize,
    /// Whether it came to an end. If not, some lock belongs to a process that is stopped.
    pub is_complete: bool,
}

impl Observation {
    /// The segment of the manager at `address`, or, with its id, that of its members.
    ///
    /// ```standalone_crate
    /// use coheld::observe::{Observation, Purpose, Source};
    /// use coheld::{Address, Manager, process};
    ///
    /// fn look((address, authkey): (String, Vec<u8>)) -> String {
    ///     let address: Address = address.parse().expect("it is one");
    ///     let found = Observation::of_manager(&address, &authkey, None, Purpose::Look);
    ///     let found = found.expect("the manager is there");
    ///     assert_eq!(found.source(), &Source::Manager(address));
    ///     coheld::observe::id_text(&found.segment().id())
    /// }
    ///
    /// fn main() -> Result<(), coheld::Error> {
    ///     process::init();
    ///     let manager = Manager::start()?;
    ///     let known = (manager.address().to_string(), manager.authkey().to_vec());
    ///     let id = process::spawn(look, known)?.join()?;
    ///     assert_eq!(id, coheld::observe::id_text(&manager.attachment().segment_id()));
    ///     Ok(())
    /// }
    /// ```
    pub fn of_manager(
        address: &Address,
        authkey: &[u8],
        id: Option<[u8; 16]>,
        purpose: Purpose,
    ) -> Result<Self, Error> {
        check_outside()?;
        let source = Source::Manager(address.clone());
        let asked = control::borrow_segment(address, authkey, PATIENCE);
        let refused = match asked {
            Ok((found, file)) if id.is_none_or(|id| id == found) => {
                return Self::open(file, source);
            }
            Ok(_) => Error::BadToken {
                why: "its manager was started anew since",
            },
            Err(error) => error,
        };
        // A key that is not the manager's opens no other door either.
        let is_gone = matches!(
            refused,
            Error::ConnectionRefused { .. }
                | Error::NotFound { .. }
                | Error::TimedOut { .. }
                | Error::Stopped { .. }
                | Error::BadToken { .. }
                | Error::Io { .. }
        );
        match id.filter(|_| is_gone).and_then(|id| search(id, purpose)) {
            Some(found) => Ok(found),
            None => Err(refused),
        }
    }

    /// The segments that a process has open, or the one with this id.
    ///
    /// ```
    /// use coheld::observe::{Observation, Purpose};
    ///
    /// // A member of a segment cannot look at one from outside.
    /// let manager = coheld::Manager::start()?;
    /// assert!(Observation::of_process(std::process::id(), None, Purpose::Look).is_err());
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn of_process(
        pid: u32,
        id: Option<[u8; 16]>,
        purpose: Purpose,
    ) -> Result<Vec<Self>, Error> {
        check_outside()?;
        let files = peek::segments_of(pid, purpose == Purpose::Mend)?;
        let mut found = Vec::new();
        let mut refused = None;
        for file in files {
            match Self::open(file, Source::Process(pid)) {
                Ok(observation) if id.is_none_or(|id| id == observation.segment.id()) => {
                    found.push(observation);
                }
                Ok(_) => {}
                Err(error) => refused = Some(error),
            }
        }
        match refused {
            Some(error) if found.is_empty() => Err(error),
            _ => Ok(found),
        }
    }

    fn open(file: OwnedFd, source: Source) -> Result<Self, Error> {
        Ok(Self {
            segment: view(&file)?,
            file,
            source,
        })
    }

    /// The segment, to be read only.
    ///
    /// ```standalone_crate
    /// use coheld::observe::{Observation, Purpose};
    /// use coheld::{Address, Manager, process};
    ///
    /// fn count((address, authkey): (String, Vec<u8>)) -> usize {
    ///     let address: Address = address.parse().expect("it is one");
    ///     let found = Observation::of_manager(&address, &authkey, None, Purpose::Look);
    ///     let (found, mut referents) = (found.expect("the manager is there"), 0);
    ///     found.segment().each_referent(|referent| referents += usize::from(referent.alive));
    ///     referents
    /// }
    ///
    /// fn main() -> Result<(), coheld::Error> {
    ///     process::init();
    ///     let manager = Manager::start()?;
    ///     let known = (manager.address().to_string(), manager.authkey().to_vec());
    ///     let before = process::spawn(count, known.clone())?.join()?;
    ///     let _list = manager.list::<i64>()?;
    ///     assert_eq!(process::spawn(count, known)?.join()?, before + 1);
    ///     Ok(())
    /// }
    /// ```
    #[must_use]
    pub fn segment(&self) -> &Segment {
        &self.segment
    }

    /// Where the memory came from.
    ///
    /// ```standalone_crate
    /// use coheld::observe::{Observation, Purpose, Source};
    /// use coheld::{Address, Manager, process};
    ///
    /// fn is_from_the_manager((address, authkey): (String, Vec<u8>)) -> bool {
    ///     let address: Address = address.parse().expect("it is one");
    ///     let found = Observation::of_manager(&address, &authkey, None, Purpose::Look);
    ///     matches!(found.expect("it is there").source(), Source::Manager(at) if *at == address)
    /// }
    ///
    /// fn main() -> Result<(), coheld::Error> {
    ///     process::init();
    ///     let manager = Manager::start()?;
    ///     let known = (manager.address().to_string(), manager.authkey().to_vec());
    ///     assert!(process::spawn(is_from_the_manager, known)?.join()?);
    ///     Ok(())
    /// }
    /// ```
    #[must_use]
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// Does what the reaper and the next owner of each lock would do. For that the process is a
    /// member for a moment. What cannot be done because a stopped process has a lock is left.
    ///
    /// ```standalone_crate
    /// use coheld::observe::{Observation, Purpose};
    /// use coheld::{Address, Manager, process};
    ///
    /// fn mend((address, authkey): (String, Vec<u8>)) -> bool {
    ///     let address: Address = address.parse().expect("it is one");
    ///     let found = Observation::of_manager(&address, &authkey, None, Purpose::Mend);
    ///     let mut found = found.expect("the manager is there");
    ///     let mended = found.mend().expect("it becomes a member for a moment");
    ///     mended.is_complete && mended.locks == 0 && found.segment().id() != [0; 16]
    /// }
    ///
    /// fn main() -> Result<(), coheld::Error> {
    ///     process::init();
    ///     let manager = Manager::start()?;
    ///     let known = (manager.address().to_string(), manager.authkey().to_vec());
    ///     assert!(process::spawn(mend, known)?.join()?);
    ///     Ok(())
    /// }
    /// ```
    pub fn mend(&mut self) -> Result<Mended, Error> {
        // What is looked through stays: to close its descriptor meanwhile would end the lock by
        // which others know that the member lives.
        join(&self.file).map(mend_in_time)
    }
}

impl fmt::Debug for Observation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Observation")
            .field("id", &id_text(&self.segment.id()))
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}

fn view(file: &OwnedFd) -> Result<Segment, Error> {
    let file = file.try_clone().map_err(Error::io("opening a segment"))?;
    Ok(Segment::attach(Box::new(ObservedBacking::new(file)?))?)
}

/// A member must not look from outside: to close the second descriptor of its segment would end the
/// lock by which the others know that it lives.
fn check_outside() -> Result<(), Error> {
    if registry::all().is_empty() {
        Ok(())
    } else {
        Err(Error::Protocol {
            why: "this process is a member of a segment itself, and cannot look at one from \
                  outside",
        })
    }
}

/// Any process that has the segment `id` open.
fn search(id: [u8; 16], purpose: Purpose) -> Option<Observation> {
    let own = process::identity().pid;
    let others = peek::processes().into_iter().filter(|&pid| pid != own);
    others
        // What cannot be looked at belongs to others, or has ended meanwhile.
        .filter_map(|pid| Observation::of_process(pid, Some(id), purpose).ok())
        .find_map(|mut found| found.pop())
}

fn join(file: &OwnedFd) -> Result<Segment, Error> {
    let file = file.try_clone().map_err(Error::io("opening a segment"))?;
    let segment = Segment::attach(Box::new(MemfdBacking::from_fd(file)?))?;
    segment.set_host(&host::HOST);
    segment.set_mender(MENDER);
    segment.join()?;
    Ok(segment)
}

/// Mends on a thread of its own, which may never end. If it does not, it is a dead member's like
/// any other once this process has ended.
fn mend_in_time(segment: Segment) -> Mended {
    let (report, reports) = mpsc::channel();
    let segment = Arc::new(segment);
    let work = move || {
        // First: the processes of the dead are told only as long as they have their slots.
        let locks = free_locks(&segment);
        let mut done = Mended {
            locks,
            ..Mended::default()
        };
        let _ = report.send(done);
        done.members = segment.reap_dead();
        let _ = report.send(done);
        done.leases = segment.expire_leases();
        segment.retire();
        done.is_complete = true;
        let _ = report.send(done);
    };
    if thread::Builder::new().spawn(work).is_err() {
        return Mended::default();
    }
    let deadline = std::time::Instant::now() + MENDING;
    let mut last = Mended::default();
    while !last.is_complete {
        let left = deadline.saturating_duration_since(std::time::Instant::now());
        match reports.recv_timeout(left) {
            Ok(done) => last = done,
            Err(_) => break,
        }
    }
    last
}

fn free_locks(segment: &Segment) -> usize {
    let mut locks = Vec::new();
    segment.each_referent(|view| {
        if view.alive && matches!(view.kind, kind::LOCK | kind::RLOCK) && view.words[0] != 0 {
            locks.push((view.offset, view.generation));
        }
    });
    let freed = locks.into_iter().filter(|&(offset, generation)| {
        let referent = segment.referent(offset, generation);
        referent.is_ok_and(|referent| Lock::new(&referent).free_from_dead().unwrap_or(false))
    });
    freed.count()
}

/// The text of a segment's id, as tokens have it.
///
/// ```
/// use coheld::observe::{id_of, id_text};
///
/// assert_eq!(id_text(&[0xab; 16]), "ab".repeat(16));
/// assert_eq!(id_of(&"ab".repeat(16)), Some([0xab; 16]));
/// ```
#[must_use]
pub fn id_text(id: &[u8; 16]) -> String {
    key::encode(id)
}

/// The id that a text names.
///
/// ```
/// use coheld::observe::id_of;
///
/// assert_eq!(id_of(&"0".repeat(32)), Some([0; 16]));
/// assert_eq!(id_of("no id"), None);
/// ```
#[must_use]
pub fn id_of(text: &str) -> Option<[u8; 16]> {
    key::decode(text)?.try_into().ok()
}
