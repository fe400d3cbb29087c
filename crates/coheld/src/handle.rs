//! A handle: one proxy's reference to a referent.

use core::fmt;
use std::sync::{Arc, Weak};

use coheld_shm::{HostPlace, Lease, Referent, Segment, word};
use coheld_store::{Buffer, Extent, Hosted, StoreError, kinds};

use crate::holders::Added;
use crate::{Attachment, Error, Token, host, hosted};

/// Keeps a referent alive as long as it lives itself.
///
/// ```
/// let manager = coheld::Manager::start()?;
/// let list = manager.list::<i64>()?;
/// let handle = list.as_proxy().handle().clone();
/// drop(list);
/// assert_eq!(manager.number_of_objects(), 1, "the handle keeps it");
/// drop(handle);
/// assert_eq!(manager.number_of_objects(), 0);
/// # Ok::<(), coheld::Error>(())
/// ```
pub struct Handle {
    attachment: Arc<Attachment>,
    offset: u64,
    generation: u32,
    kind: u8,
}

impl Handle {
    /// Makes a new referent.
    ///
    /// ```
    /// use coheld::{Handle, Kind, Proxy};
    ///
    /// let manager = coheld::Manager::start()?;
    /// let handle = Handle::create(manager.attachment(), Kind::Event.number(), 0)?;
    /// assert_eq!(Proxy::from_handle(handle)?.kind(), Kind::Event);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn create(attachment: &Arc<Attachment>, kind: u8, auxiliary: u64) -> Result<Self, Error> {
        let place = attachment.joined()?.create_referent(kind, auxiliary)?;
        let word = word::of_edge(place.0, place.1);
        attachment.holders().add(word, || Ok(place))?;
        Ok(Self {
            attachment: Arc::clone(attachment),
            offset: place.0,
            generation: place.1,
            kind,
        })
    }

    /// Brings bytes into the segment as a referent of their own, which others can hold.
    pub fn of_bytes(attachment: &Arc<Attachment>, bytes: &[u8]) -> Result<Self, Error> {
        Self::of_buffer(attachment, bytes, false)
    }

    /// The same for the buffer of an object, which whoever gets a copy of the object may change, or
    /// not.
    pub fn of_buffer(
        attachment: &Arc<Attachment>,
        bytes: &[u8],
        is_changeable: bool,
    ) -> Result<Self, Error> {
        let auxiliary = u64::from(is_changeable);
        let made = Self::create(attachment, kinds::referent::BUFFER, auxiliary)?;
        Buffer::new(&made.referent()?).fill(bytes)?;
        Ok(made)
    }

    /// Whether copies of the bytes are to be changeable.
    pub fn is_changeable(&self) -> Result<bool, Error> {
        Ok(self.referent()?.lock()?.auxiliary() & 1 != 0)
    }

    /// Where the bytes are, if it refers to such a referent. They stay as long as this handle.
    pub fn bytes(&self) -> Result<Option<Extent>, Error> {
        if self.kind != kinds::referent::BUFFER {
            return Ok(None);
        }
        Ok(Some(Buffer::new(&self.referent()?).extent()?))
    }

    /// A copy of them.
    pub(crate) fn copy_of_bytes(&self) -> Result<Option<Vec<u8>>, Error> {
        let Some(extent) = self.bytes()? else {
            return Ok(None);
        };
        let mut copy = Vec::new();
        let refused = |_| StoreError::PrivateMemory {
            bytes: extent.count,
        };
        let length = extent.count as usize;
        copy.try_reserve_exact(length).map_err(refused)?;
        let segment = self.attachment.segment();
        segment.append_out(extent.offset, length, &mut copy)?;
        Ok(Some(copy))
    }

    /// Refers to an existing referent, which somebody else keeps meanwhile.
    ///
    /// ```
    /// use coheld::Handle;
    ///
    /// let manager = coheld::Manager::start()?;
    /// let list = manager.list::<i64>()?;
    /// let known = list.as_proxy().handle();
    /// let another = Handle::acquire(manager.attachment(), known.offset(), known.generation())?;
    /// drop(list);
    /// assert_eq!(manager.number_of_objects(), 1);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn acquire(
        attachment: &Arc<Attachment>,
        offset: u64,
        generation: u32,
    ) -> Result<Self, Error> {
        let segment = attachment.joined()?;
        let added = attachment
            .holders()
            .add(word::of_edge(offset, generation), || {
                segment.acquire(offset, generation)?;
                Ok((offset, generation))
            })?;
        Self::over(attachment, added.place())
    }

    /// Refers to the lock that belongs to this referent; the first who asks makes it.
    ///
    /// ```
    /// use coheld::{Proxy, RLockProxy};
    ///
    /// let manager = coheld::Manager::start()?;
    /// let list = manager.list::<i64>()?;
    /// let companion = list.as_proxy().handle().companion()?;
    /// let lock: RLockProxy = Proxy::from_handle(companion)?.try_into()?;
    /// assert_eq!(lock, list.get_lock()?);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn companion(&self) -> Result<Self, Error> {
        let referent = self.referent()?;
        let lock = coheld_store::sync::companion(&referent)?;
        // This handle keeps the referent, and the referent its lock.
        Self::acquire(&self.attachment, lock.offset(), lock.generation())
    }

    /// Turns a lease into a handle. Whether that works or not, the lease is used up.
    ///
    /// ```
    /// use coheld::Handle;
    ///
    /// let manager = coheld::Manager::start()?;
    /// let list = manager.list::<i64>()?;
    /// let lease = list.as_proxy().handle().lease()?;
    /// drop(list);
    /// let handle = Handle::redeem(manager.attachment(), lease)?;
    /// assert_eq!(manager.number_of_objects(), 1);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn redeem(attachment: &Arc<Attachment>, lease: Lease) -> Result<Self, Error> {
        let segment = attachment.joined()?;
        let added = attachment.holders().add(lease.word, || {
            Ok((lease.offset(), segment.redeem_lease(lease)?))
        })?;
        if let Added::Another(_) = added
            && let Err(error) = segment.drop_lease(lease)
        {
            // It runs out by itself; the handle is good all the same.
            log::debug!("a lease could not be given back: {error}");
        }
        Self::over(attachment, added.place())
    }

    /// Redeems the lease of a token that belongs to this attachment.
    ///
    /// ```
    /// use coheld::{Handle, Manager};
    ///
    /// let (manager, other) = (Manager::start()?, Manager::start()?);
    /// let token = manager.event()?.token()?;
    /// assert!(Handle::redeem_token(other.attachment(), &token).is_err());
    /// assert!(Handle::redeem_token(manager.attachment(), &token).is_ok());
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn redeem_token(attachment: &Arc<Attachment>, token: &Token) -> Result<Self, Error> {
        if token.segment_id != attachment.segment_id() {
            return Err(Error::BadToken {
                why: "it belongs to another segment",
            });
        }
        let handle = Self::redeem(attachment, token.lease())?;
        // A dict or set whose content has moved to a host is still the same.
        let is_same_kind = handle.kind == token.kind || handle.kind == kinds::referent::HOSTED;
        if !is_same_kind || handle.generation != token.generation {
            return Err(Error::BadToken {
                why: "another referent is in its place by now",
            });
        }
        Ok(handle)
    }

    /// A handle whose count has been taken.
    fn over(attachment: &Arc<Attachment>, place: (u64, u32)) -> Result<Self, Error> {
        let (offset, generation) = place;
        let attachment = Arc::clone(attachment);
        let mut handle = Self {
            attachment,
            offset,
            generation,
            kind: 0,
        };
        // If this fails, dropping the handle gives the count back.
        handle.kind = handle.referent()?.kind();
        Ok(handle)
    }

    /// Takes a lease, so that the referent outlives the way to another process.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let list = manager.list::<i64>()?;
    /// let _lease = list.as_proxy().handle().lease()?;
    /// drop(list);
    /// assert_eq!(manager.number_of_objects(), 1, "the lease keeps it for some time");
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn lease(&self) -> Result<Lease, Error> {
        Ok(self
            .attachment
            .joined()?
            .lease(self.offset, self.generation)?)
    }

    /// Takes a lease and names the referent for another process.
    ///
    /// ```
    /// use coheld::Proxy;
    ///
    /// let manager = coheld::Manager::start()?;
    /// let event = manager.event()?;
    /// let token = event.as_proxy().handle().token()?;
    /// assert_eq!(Proxy::from_token(&token, manager.authkey())?, *event.as_proxy());
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn token(&self) -> Result<Token, Error> {
        self.lease()?;
        Ok(Token {
            segment_id: self.attachment.segment_id(),
            kind: self.kind,
            offset: self.offset,
            generation: self.generation,
            address: self.attachment.address().clone(),
        })
    }

    /// The referent, for an operation.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let list = manager.list::<i64>()?;
    /// let handle = list.as_proxy().handle();
    /// assert_eq!(handle.referent()?.offset(), handle.offset());
    /// # Ok::<(), coheld::Error>(())
    /// ```
    #[inline]
    pub fn referent(&self) -> Result<Referent<'_>, Error> {
        Ok(self
            .attachment
            .joined()?
            .referent(self.offset, self.generation)?)
    }

    /// The attachment it belongs to.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let list = manager.list::<i64>()?;
    /// let attachment = list.as_proxy().handle().attachment();
    /// assert_eq!(attachment.address(), manager.address());
    /// # Ok::<(), coheld::Error>(())
    /// ```
    #[must_use]
    pub fn attachment(&self) -> &Arc<Attachment> {
        &self.attachment
    }

    /// Where the referent lies.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let (one, other) = (manager.event()?, manager.event()?);
    /// assert_ne!(one.as_proxy().handle().offset(), other.as_proxy().handle().offset());
    /// # Ok::<(), coheld::Error>(())
    /// ```
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Which of the referents of that place it is.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let event = manager.event()?;
    /// assert_eq!(event.token()?.generation, event.as_proxy().handle().generation());
    /// # Ok::<(), coheld::Error>(())
    /// ```
    #[must_use]
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// What the referent is; the numbers are those of `coheld-store`.
    ///
    /// ```
    /// use coheld::Kind;
    ///
    /// let manager = coheld::Manager::start()?;
    /// let event = manager.event()?;
    /// assert_eq!(event.as_proxy().handle().kind(), Kind::Event.number());
    /// # Ok::<(), coheld::Error>(())
    /// ```
    #[must_use]
    pub fn kind(&self) -> u8 {
        self.kind
    }

    /// The word by which another referent can hold this one.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let (one, other) = (manager.event()?, manager.event()?);
    /// assert_ne!(one.as_proxy().handle().edge_word(), other.as_proxy().handle().edge_word());
    /// # Ok::<(), coheld::Error>(())
    /// ```
    #[must_use]
    pub fn edge_word(&self) -> u64 {
        word::of_edge(self.offset, self.generation)
    }
}

impl Clone for Handle {
    fn clone(&self) -> Self {
        // Never the first, since `self` is counted, so nothing can fail.
        let place = (self.offset, self.generation);
        let _ = self
            .attachment
            .holders()
            .add(self.edge_word(), || Ok(place));
        let attachment = Arc::clone(&self.attachment);
        Self {
            attachment,
            offset: self.offset,
            generation: self.generation,
            kind: self.kind,
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let mut to_tell = None;
        let segment = self.attachment.segment();
        self.attachment.holders().remove(self.edge_word(), || {
            // A child that has not joined holds nothing yet.
            if segment.own_slot().is_none() {
                return;
            }
            let host = host_of(segment, self.offset, self.generation);
            match segment.release(self.offset, self.generation) {
                Ok(()) if host.is_some() && !is_there(segment, self.offset, self.generation) => {
                    to_tell = host;
                }
                Ok(()) => {}
                Err(error) => log::debug!("a referent could not be released: {error}"),
            }
        });
        // With the entry settled, so that nobody waits for it meanwhile.
        if let Some((place, number)) = to_tell {
            hosted::tell(segment, place, number);
        }
    }
}

/// Where the object of a hosted referent is. Asked while it is still held.
fn host_of(segment: &Segment, offset: u64, generation: u32) -> Option<(HostPlace, u64)> {
    let referent = segment.referent(offset, generation).ok()?;
    if referent.kind() != kinds::referent::HOSTED {
        return None;
    }
    host::uninterrupted(|| Hosted::new(&referent).place().ok())
}

/// Whether a referent still exists.
pub(crate) fn is_there(segment: &Segment, offset: u64, generation: u32) -> bool {
    let Ok(referent) = segment.referent(offset, generation) else {
        return false;
    };
    // If it cannot be said it is looked at again later.
    referent.glance(|_| Some(())).is_some()
        || !matches!(
            referent.lock_uninterrupted(),
            Err(coheld_shm::Error::ReferentGone { .. })
        )
}

/// A handle that is kept for later without keeping its attachment.
pub(crate) struct Parked {
    /// `None` once it has been woken.
    attachment: Option<Weak<Attachment>>,
    offset: u64,
    generation: u32,
    kind: u8,
}

impl Parked {
    /// Another handle of the same referent, parked.
    pub(crate) fn of(handle: &Handle) -> Self {
        let &Handle {
            ref attachment,
            offset,
            generation,
            kind,
        } = handle;
        // Never the first, since `handle` is counted, so nothing can fail.
        let place = (offset, generation);
        let _ = attachment.holders().add(handle.edge_word(), || Ok(place));
        Self {
            attachment: Some(Arc::downgrade(attachment)),
            offset,
            generation,
            kind,
        }
    }

    /// The handle; `None` if this process is not attached any more.
    pub(crate) fn wake(mut self) -> Option<Handle> {
        self.take()
    }

    /// The attachment, if there still is one.
    pub(crate) fn attachment(&self) -> Option<Arc<Attachment>> {
        self.attachment.as_ref()?.upgrade()
    }

    fn take(&mut self) -> Option<Handle> {
        Some(Handle {
            attachment: self.attachment.take()?.upgrade()?,
            offset: self.offset,
            generation: self.generation,
            kind: self.kind,
        })
    }
}

impl Drop for Parked {
    fn drop(&mut self) {
        drop(self.take());
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            offset,
            generation,
            kind,
            ..
        } = self;
        write!(
            formatter,
            "Handle(kind {kind} at {offset:#x}, generation {generation})"
        )
    }
}

impl Added {
    fn place(&self) -> (u64, u32) {
        let (Self::First(place) | Self::Another(place)) = self;
        *place
    }
}
