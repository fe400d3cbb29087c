//! An attachment: this process's access to one segment.

use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use coheld_shm::backing::MemfdBacking;
use coheld_shm::{Options, Reservation, Segment};
use coheld_store::kinds;

use crate::fork::behind_gate;
use crate::holders::Holders;
use crate::registry::{self, Access, Ticket};
use crate::{Address, Error, fork, host, key};

/// How long a new segment waits for its entry in the registry. Its name is random, so never.
const ENTRY_PATIENCE: Duration = Duration::from_secs(1);

/// How a segment is made.
///
/// ```
/// use coheld::{Manager, SegmentOptions};
/// use std::time::Duration;
///
/// let options = SegmentOptions {
///     capacity: 256 << 20,
///     call_limit: Some(Duration::from_secs(5)),
///     ..SegmentOptions::default()
/// };
/// let manager = Manager::start_with(&options)?;
/// assert!(manager.array(&vec![0_u8; 64 << 20]).is_ok());
/// # Ok::<(), coheld::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct SegmentOptions {
    /// Bytes that it may grow to. Only what is used takes memory.
    pub capacity: u64,
    /// Most processes at once, 1 to 1,024.
    pub member_limit: u32,
    /// To acquire a lock or a permit whose owner died is an error, once, instead of a remark.
    pub owner_died_is_error: bool,
    /// How long a call of a hosted object takes at most unless its caller says otherwise; `None`:
    /// as long as it takes.
    pub call_limit: Option<Duration>,
}

impl Default for SegmentOptions {
    fn default() -> Self {
        Self {
            capacity: 64 << 30,
            member_limit: Options::default().member_limit,
            owner_died_is_error: false,
            call_limit: None,
        }
    }
}

/// This process's access to one segment. One per segment and process, shared by all handles.
///
/// ```
/// use coheld::Manager;
/// use std::sync::Arc;
///
/// let manager = Manager::start()?;
/// let joined = Manager::connect(manager.address(), manager.authkey())?;
/// assert!(Arc::ptr_eq(manager.attachment(), joined.attachment()));
/// # Ok::<(), coheld::Error>(())
/// ```
pub struct Attachment {
    segment: Arc<Segment>,
    address: Address,
    authkey: Vec<u8>,
    holders: Holders,
    /// The child's slot while this process forks.
    reservation: Mutex<Option<Reservation>>,
}

impl Attachment {
    /// The attachment to a segment, if this process has one.
    ///
    /// ```
    /// use coheld::Attachment;
    ///
    /// let manager = coheld::Manager::start()?;
    /// let id = manager.attachment().segment_id();
    /// assert!(Attachment::find(&id).is_some());
    /// assert!(Attachment::find(&[0; 16]).is_none());
    /// # Ok::<(), coheld::Error>(())
    /// ```
    #[must_use]
    pub fn find(segment_id: &[u8; 16]) -> Option<Arc<Self>> {
        registry::find(segment_id)
    }

    /// Makes a new segment, whose manager listens at `address`.
    pub(crate) fn create(
        address: Address,
        authkey: &[u8],
        options: &SegmentOptions,
    ) -> Result<Arc<Self>, Error> {
        let id = key::random()?;
        let ticket = take_ticket(id, &address, authkey)?;
        let [first, second] = [key::random()?, key::random()?].map(u64::from_le_bytes);
        let backing = MemfdBacking::create(options.capacity)?;
        let backing = backing.with_companion(Box::new(ticket.companion()));
        let flags = if options.owner_died_is_error {
            coheld_store::sync::OWNER_DEATH_IS_AN_ERROR
        } else {
            0
        };
        let call_limit = options.call_limit;
        let options = Options {
            member_limit: options.member_limit,
            secret: [first, second],
            id,
            flags,
            ..Options::default()
        };
        let segment = Segment::create(Box::new(backing), &options)?;
        segment.set_call_limit(call_limit);
        Self::enter(segment, address, authkey, ticket)
    }

    /// Attaches to the segment in `file`, which `ticket` was given for.
    pub(crate) fn attach(
        file: OwnedFd,
        address: Address,
        authkey: &[u8],
        ticket: Ticket,
        expected_id: [u8; 16],
    ) -> Result<Arc<Self>, Error> {
        let backing = MemfdBacking::from_fd(file)?;
        let backing = backing.with_companion(Box::new(ticket.companion()));
        let segment = Segment::attach(Box::new(backing))?;
        if segment.id() != expected_id {
            return Err(Error::Protocol {
                why: "it handed over another segment than it said",
            });
        }
        Self::enter(segment, address, authkey, ticket)
    }

    fn enter(
        segment: Segment,
        address: Address,
        authkey: &[u8],
        ticket: Ticket,
    ) -> Result<Arc<Self>, Error> {
        fork::register();
        segment.set_host(&host::HOST);
        segment.set_mender(coheld_store::MENDER);
        segment.join()?;
        // After an `exec` the slot that this process had before looks alive to all others: same
        // process, same segment. Only this process knows better.
        segment.reap_dead();
        let attachment = Self::over(Arc::new(segment), address, authkey.to_vec());
        ticket.enter(&attachment);
        Ok(attachment)
    }

    /// An attachment over a mapping that this process has.
    pub(crate) fn over(segment: Arc<Segment>, address: Address, authkey: Vec<u8>) -> Arc<Self> {
        let (holders, reservation) = (Holders::default(), Mutex::default());
        Arc::new(Self {
            segment,
            address,
            authkey,
            holders,
            reservation,
        })
    }

    /// The segment.
    #[must_use]
    pub fn segment(&self) -> &Arc<Segment> {
        &self.segment
    }

    /// Name of the segment.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let token = manager.list::<i64>()?.token()?;
    /// assert_eq!(token.segment_id, manager.attachment().segment_id());
    /// # Ok::<(), coheld::Error>(())
    /// ```
    #[must_use]
    pub fn segment_id(&self) -> [u8; 16] {
        self.segment.id()
    }

    /// Whether no process that has the segment can take memory from under the others. They do not
    /// do that; it is no matter of course only where the system forbids sealed memory files.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// if !manager.attachment().is_sealed() {
    ///     eprintln!("trust whoever has this memory: they can take it away");
    /// }
    /// # Ok::<(), coheld::Error>(())
    /// ```
    #[must_use]
    pub fn is_sealed(&self) -> bool {
        self.segment.backing().is_sealed()
    }

    /// Where the manager listens.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// assert_eq!(manager.attachment().address(), manager.address());
    /// # Ok::<(), coheld::Error>(())
    /// ```
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The key that the manager was reached with.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// assert_eq!(manager.attachment().authkey(), manager.authkey());
    /// # Ok::<(), coheld::Error>(())
    /// ```
    #[must_use]
    pub fn authkey(&self) -> &[u8] {
        &self.authkey
    }

    /// The segment, with this process as a member: a child whose fork could not be prepared joins
    /// here, and takes hold again of what it has handles of. One load otherwise.
    #[inline]
    pub fn joined(&self) -> Result<&Segment, Error> {
        if self.segment.own_slot().is_none() {
            self.join_again()?;
        }
        Ok(&self.segment)
    }

    #[cold]
    fn join_again(&self) -> Result<(), Error> {
        self.segment.join()?;
        let mut places = self.holders.places();
        places.retain(|place| self.is_inherited(*place));
        for (offset, generation) in places {
            // What is gone is reported to whoever uses it.
            if let Err(error) = self.segment.acquire(offset, generation) {
                log::debug!("not held after a fork: {error}");
            }
        }
        Ok(())
    }

    /// Whether a forked child holds what its parent holds. A channel belongs to a call of the
    /// parent: held by the child it would outlive both ends.
    fn is_inherited(&self, (offset, generation): (u64, u32)) -> bool {
        let referent = self.segment.referent(offset, generation);
        referent.is_ok_and(|referent| referent.kind() != kinds::referent::CHANNEL)
    }

    pub(crate) fn holders(&self) -> &Holders {
        &self.holders
    }

    /// Takes a slot for the child that is about to be forked, with everything held here.
    pub(crate) fn prepare_fork(&self) {
        let mut places = self.holders.places_behind_gate();
        places.retain(|place| self.is_inherited(*place));
        // Without a reservation the child joins by itself when it first needs to.
        let reservation = self.segment.prepare_fork(places).unwrap_or_default();
        behind_gate(&self.reservation, |kept| *kept = reservation);
    }

    /// In the forked child: becomes the member that was prepared.
    pub(crate) fn adopt_fork(&self) {
        let reservation = behind_gate(&self.reservation, Option::take);
        self.segment.adopt_fork(reservation);
        self.holders.forget_unsettled_behind_gate();
    }
}

impl core::fmt::Debug for Attachment {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        // Not the key.
        formatter
            .debug_struct("Attachment")
            .field("segment_id", &key::encode(&self.segment_id()))
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

/// A ticket for a segment that nobody knows yet.
fn take_ticket(id: [u8; 16], address: &Address, authkey: &[u8]) -> Result<Ticket, Error> {
    match registry::access(id, address, authkey, Instant::now() + ENTRY_PATIENCE)? {
        Access::Attach(ticket) => Ok(ticket),
        Access::Attached(_) => Err(Error::Protocol {
            why: "two segments have one name",
        }),
    }
}
