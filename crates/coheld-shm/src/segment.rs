//! The segment: checked access to shared memory, and what a process knows about it privately.
//!
//! Invariants: `base..base + map.capacity` is mapped (or allocated) for as long as the backing
//! lives, and every access goes through one of the checked functions below. Nothing here hands out
//! a reference to payload bytes, but to those that nobody writes any more (`frozen`).

use std::sync::OnceLock;

use crate::{
    Error, Guard, Host,
    backing::Backing,
    layout::{self, CLASSES, Class, LAYOUT_HASH, LAYOUT_VERSION, MAGIC, Map, field},
    line::{Lost, Wakes},
    sync::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Mutex, Ordering},
};

/// How a segment is made.
#[derive(Clone, Debug)]
pub struct Options {
    /// Most processes at once, 1 to 1,024.
    pub member_limit: u32,
    /// Operations that one process can have under way at once, 1 to 64.
    pub lanes_per_member: u32,
    /// Secret of the hash function, so that nobody outside can make keys collide.
    pub secret: [u64; 2],
    /// Name of the segment; tokens carry it.
    pub id: [u8; 16],
    /// Bits for the layer above, the same for every member. See [`Segment::flags`].
    pub flags: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            member_limit: 1024,
            lanes_per_member: 16,
            secret: [0; 2],
            id: [0; 16],
            flags: 0,
        }
    }
}

/// What the layer above does for referents that the dead have left.
///
/// Both are called under the referent's lock, have to be idempotent, must not allocate, and must
/// bear any bytes.
#[derive(Clone, Copy)]
pub struct Mender {
    /// Mends a structure whose lock was taken over.
    pub mend: fn(&Guard<'_>),
    /// Gives what a lost waiter was to have to somebody else.
    pub pass_on: fn(&Guard<'_>, Lost, &mut Wakes<'_>),
}

/// A mapped segment, as one process sees it. Shared as `Arc<Segment>`.
pub struct Segment {
    base: *mut u8,
    /// The backing's member cell, kept at hand because every lock looks at it.
    member_cell: *const AtomicU32,
    pub(crate) map: Map,
    pub(crate) backing: Box<dyn Backing>,
    host: OnceLock<&'static dyn Host>,
    mender: OnceLock<Mender>,
    /// Lanes of this process in use (private memory).
    pub(crate) lanes_busy: AtomicU64,
    /// Adopting cells of this process in use (private memory).
    pub(crate) adopting_busy: AtomicU64,
    /// Number of sweeps of lines by this process (private memory).
    pub(crate) sweeps: AtomicU32,
    /// How spinning has paid in this process (private memory).
    pub(crate) spins: AtomicU32,
    /// Serialises joining; taken on slow paths only.
    pub(crate) joining: Mutex<()>,
}

// SAFETY: `base` points at memory that the owned `backing` keeps valid for the life of `self`, and
// all access to it is through atomics or copies of bytes that a lock in the segment serialises.
unsafe impl Send for Segment {}
// SAFETY: as for `Send`; every other field is `Sync` by itself.
unsafe impl Sync for Segment {}

impl Segment {
    /// Makes a new segment in `backing`, whose bytes are all zero.
    pub fn create(backing: Box<dyn Backing>, options: &Options) -> Result<Self, Error> {
        let capacity = backing.capacity();
        let map = Map::new(capacity, options.member_limit, options.lanes_per_member);
        let map = map.ok_or(Error::TooSmall {
            capacity,
            least: Map::least_capacity(options.member_limit, options.lanes_per_member),
        })?;
        backing.commit(0, map.lanes)?;
        let segment = Self::over(backing, map);
        let id = [read_half(&options.id, 0), read_half(&options.id, 8)];
        for (offset, value) in [
            (field!(0, Header.layout_hash), LAYOUT_HASH),
            (field!(0, Header.capacity), capacity),
            (field!(0, Header.secret), options.secret[0]),
            (field!(0, Header.secret) + 8, options.secret[1]),
            (field!(0, Header.id), id[0]),
            (field!(0, Header.id) + 8, id[1]),
        ] {
            segment.control(offset).store(value, Ordering::Relaxed);
        }
        for (offset, value) in [
            (field!(0, Header.version), LAYOUT_VERSION),
            (field!(0, Header.member_limit), options.member_limit),
            (field!(0, Header.lanes_per_member), options.lanes_per_member),
            (field!(0, Header.flags), options.flags),
        ] {
            segment.control32(offset).store(value, Ordering::Relaxed);
        }
        // COMMIT: with the magic the segment exists.
        // Release: pairs with the Acquire in `attach`.
        segment
            .control(field!(0, Header.magic))
            .store(MAGIC, Ordering::Release);
        Ok(segment)
    }

    /// Maps an existing segment after checking that both builds mean the same by its bytes.
    pub fn attach(backing: Box<dyn Backing>) -> Result<Self, Error> {
        let capacity = backing.capacity();
        if capacity < layout::MEMBERS {
            return Err(Error::NotASegment {
                why: "it is smaller than a header",
            });
        }
        let smallest = Map {
            capacity,
            member_limit: 0,
            lanes_per_member: 0,
            lanes: 0,
            waiter_limit: 0,
            waiters: 0,
            page_table: 0,
            bitmaps: 0,
            heap: 0,
            pages: 0,
        };
        let mut segment = Self::over(backing, smallest);
        // Acquire: pairs with the Release in `create`.
        if segment
            .control(field!(0, Header.magic))
            .load(Ordering::Acquire)
            != MAGIC
        {
            return Err(Error::NotASegment {
                why: "its first bytes are not Coheld's",
            });
        }
        let version = segment
            .control32(field!(0, Header.version))
            .load(Ordering::Relaxed);
        let hash = segment
            .control(field!(0, Header.layout_hash))
            .load(Ordering::Relaxed);
        if (version, hash) != (LAYOUT_VERSION, LAYOUT_HASH) {
            return Err(Error::LayoutMismatch {
                found_version: version,
                expected_version: LAYOUT_VERSION,
                found_hash: hash,
                expected_hash: LAYOUT_HASH,
            });
        }
        if segment
            .control(field!(0, Header.capacity))
            .load(Ordering::Relaxed)
            != capacity
        {
            return Err(Error::NotASegment {
                why: "its size is not the one it was made with",
            });
        }
        let member_limit = segment
            .control32(field!(0, Header.member_limit))
            .load(Ordering::Relaxed);
        let lanes = segment
            .control32(field!(0, Header.lanes_per_member))
            .load(Ordering::Relaxed);
        segment.map = Map::new(capacity, member_limit, lanes).ok_or(Error::NotASegment {
            why: "its tables do not fit into it",
        })?;
        Ok(segment)
    }

    fn over(backing: Box<dyn Backing>, map: Map) -> Self {
        Self {
            base: backing.base(),
            member_cell: std::ptr::from_ref(backing.member_cell()).cast(),
            map,
            backing,
            host: OnceLock::new(),
            mender: OnceLock::new(),
            lanes_busy: AtomicU64::new(0),
            adopting_busy: AtomicU64::new(0),
            sweeps: AtomicU32::new(0),
            spins: AtomicU32::new(0),
            joining: Mutex::new(()),
        }
    }

    /// Private word with the tag of this process; 0 before joining and in a child just forked.
    #[inline(always)]
    pub(crate) fn member_cell(&self) -> &AtomicU32 {
        // SAFETY: `member_cell` came from `self.backing`, which lives as long as `self` and never
        // moves the cell.
        unsafe { &*self.member_cell }
    }

    /// Tells how to wait; the first call counts.
    pub fn set_host(&self, host: &'static dyn Host) {
        let _ = self.host.set(host);
    }

    /// Tells how to mend referents; the first call counts.
    pub fn set_mender(&self, mender: Mender) {
        let _ = self.mender.set(mender);
    }

    pub(crate) fn host(&self) -> Option<&'static dyn Host> {
        self.host.get().copied()
    }

    pub(crate) fn mender(&self) -> Option<Mender> {
        self.mender.get().copied()
    }

    /// The memory below, for handing it over.
    pub fn backing(&self) -> &dyn Backing {
        &*self.backing
    }

    /// Bytes that the segment can grow to, control tables included.
    pub fn capacity(&self) -> u64 {
        self.map.capacity
    }

    /// Most members at once.
    pub fn member_limit(&self) -> u32 {
        self.map.member_limit
    }

    /// Secret of the hash function.
    #[inline]
    pub fn secret(&self) -> [u64; 2] {
        let at = field!(0, Header.secret);
        [
            self.control(at).load(Ordering::Relaxed),
            self.control(at + 8).load(Ordering::Relaxed),
        ]
    }

    /// The bits that the segment was created with.
    pub fn flags(&self) -> u32 {
        self.control32(field!(0, Header.flags))
            .load(Ordering::Relaxed)
    }

    /// Name of the segment.
    pub fn id(&self) -> [u8; 16] {
        let at = field!(0, Header.id);
        let mut id = [0; 16];
        id[..8].copy_from_slice(&self.control(at).load(Ordering::Relaxed).to_le_bytes());
        id[8..].copy_from_slice(&self.control(at + 8).load(Ordering::Relaxed).to_le_bytes());
        id
    }

    /// The 8-byte cell at an offset read from the segment.
    #[inline]
    pub(crate) fn cell(&self, offset: u64) -> Result<&AtomicU64, Error> {
        if !offset.is_multiple_of(8) || offset > self.map.capacity - 8 {
            return Err(Error::Corrupted {
                what: "offset of a cell",
                offset,
            });
        }
        Ok(self.control(offset))
    }

    /// The 8-byte cell at an offset that the layout computed.
    ///
    /// Should such an offset ever stray, it lands on the scrap word of the header, not outside.
    #[inline(always)]
    pub(crate) fn control(&self, offset: u64) -> &AtomicU64 {
        let sound = offset.is_multiple_of(8) && offset <= self.map.capacity - 8;
        debug_assert!(sound, "control offset {offset:#x} outside the segment");
        let offset = if sound {
            offset
        } else {
            field!(0, Header.scrap)
        };
        // SAFETY: `offset` is at most `capacity - 8`, so the pointer stays inside the mapping.
        let pointer = unsafe { self.base.add(offset as usize) };
        // SAFETY: `base` is page aligned and `offset` a multiple of 8; the cell is valid for the
        // life of `self.backing`, and shared memory is only ever accessed atomically or copied
        // under a lock.
        unsafe { AtomicU64::from_ptr(pointer.cast()) }
    }

    /// The 4-byte cell at an offset that the layout computed.
    #[inline(always)]
    pub(crate) fn control32(&self, offset: u64) -> &AtomicU32 {
        let sound = offset.is_multiple_of(4) && offset <= self.map.capacity - 4;
        debug_assert!(sound, "control offset {offset:#x} outside the segment");
        let offset = if sound {
            offset
        } else {
            field!(0, Header.scrap)
        };
        // SAFETY: `offset` is at most `capacity - 4`, so the pointer stays inside the mapping.
        let pointer = unsafe { self.base.add(offset as usize) };
        // SAFETY: `base` is page aligned and `offset` a multiple of 4; as for `control`.
        unsafe { AtomicU32::from_ptr(pointer.cast()) }
    }

    /// Reads the word at `offset`.
    #[inline]
    pub fn load(&self, offset: u64) -> Result<u64, Error> {
        // Acquire: a word read under a lock is ordered by the lock; readers without one pair with
        // the Release in `store`.
        Ok(self.cell(offset)?.load(Ordering::Acquire))
    }

    /// Writes the word at `offset`.
    #[inline]
    pub fn store(&self, offset: u64, value: u64) -> Result<(), Error> {
        // Release: pairs with the Acquire in `load`.
        self.cell(offset)?.store(value, Ordering::Release);
        Ok(())
    }

    #[inline]
    fn bytes(&self, offset: u64, length: usize) -> Result<*mut u8, Error> {
        let sound = offset
            .checked_add(length as u64)
            .is_some_and(|end| end <= self.map.capacity);
        if !sound {
            return Err(Error::Corrupted {
                what: "range of bytes",
                offset,
            });
        }
        // SAFETY: `offset + length <= capacity`, so the pointer stays inside the mapping.
        Ok(unsafe { self.base.add(offset as usize) })
    }

    /// The address of `length` bytes in this process, for memory that others than Rust look at.
    ///
    /// It is good as long as this segment lives, and names what the caller means as long as the
    /// caller keeps the owner of those bytes (a referent, by a holder bit).
    pub fn address(&self, offset: u64, length: u64) -> Result<*mut u8, Error> {
        self.bytes(offset, usize::try_from(length).unwrap_or(usize::MAX))
    }

    /// Bytes that no member writes any more, where they lie.
    ///
    /// Which bytes those are is for the layer above to know: the content of a buffer, which is
    /// written before its referent is known to anybody and never again, and stays for as long as
    /// the referent is held. Who calls this holds it for longer than the reference lives. Members
    /// trust each other in this as in everything else about the segment.
    pub fn frozen(&self, offset: u64, length: u64) -> Result<&[u8], Error> {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let start = self.bytes(offset, length)?;
        // SAFETY: `offset + length <= capacity` (checked by `bytes`), so all of it is mapped for
        // the life of `self`, which the reference borrows. The content of a buffer is written
        // before the commit that makes its referent known, and its block is freed only with the
        // referent, which the caller holds: so nobody stores there while the reference lives.
        Ok(unsafe { core::slice::from_raw_parts(start, length) })
    }

    /// Reads an item of `size` bytes (1, 2, 4 or 8) at a multiple of that.
    #[inline]
    pub fn load_item(&self, offset: u64, size: u8) -> Result<u64, Error> {
        let at = self.item(offset, size)?;
        // Acquire: pairs with the Release in `store_item` of whoever wrote the item.
        let order = Ordering::Acquire;
        Ok(match size {
            // SAFETY: `item` has checked that the byte lies in the mapping; it is only ever
            // accessed atomically or copied.
            1 => u64::from(unsafe { AtomicU8::from_ptr(at) }.load(order)),
            // SAFETY: as above, with `at` a multiple of 2.
            2 => u64::from(unsafe { AtomicU16::from_ptr(at.cast()) }.load(order)),
            // SAFETY: as above, with `at` a multiple of 4.
            4 => u64::from(unsafe { AtomicU32::from_ptr(at.cast()) }.load(order)),
            // SAFETY: as above, with `at` a multiple of 8.
            _ => unsafe { AtomicU64::from_ptr(at.cast()) }.load(order),
        })
    }

    /// Writes an item of `size` bytes at a multiple of that, and nothing of its neighbours.
    #[inline]
    pub fn store_item(&self, offset: u64, size: u8, bits: u64) -> Result<(), Error> {
        let at = self.item(offset, size)?;
        // Release: pairs with the Acquire in `load_item`, and in `load` of the word around it.
        let order = Ordering::Release;
        match size {
            // SAFETY: `item` has checked that the byte lies in the mapping; it is only ever
            // accessed atomically or copied.
            1 => unsafe { AtomicU8::from_ptr(at) }.store(bits as u8, order),
            // SAFETY: as above, with `at` a multiple of 2.
            2 => unsafe { AtomicU16::from_ptr(at.cast()) }.store(bits as u16, order),
            // SAFETY: as above, with `at` a multiple of 4.
            4 => unsafe { AtomicU32::from_ptr(at.cast()) }.store(bits as u32, order),
            // SAFETY: as above, with `at` a multiple of 8.
            _ => unsafe { AtomicU64::from_ptr(at.cast()) }.store(bits, order),
        }
        Ok(())
    }

    /// Where an item lies, if it lies in the segment and its offset is a multiple of its size. The
    /// base is page aligned, so the address is a multiple as well.
    #[inline]
    fn item(&self, offset: u64, size: u8) -> Result<*mut u8, Error> {
        if !matches!(size, 1 | 2 | 4 | 8) || !offset.is_multiple_of(u64::from(size)) {
            return Err(Error::Corrupted {
                what: "place of an item",
                offset,
            });
        }
        self.bytes(offset, usize::from(size))
    }

    /// Copies bytes out; the caller holds the lock that orders them.
    #[inline]
    pub fn copy_out(&self, offset: u64, into: &mut [u8]) -> Result<(), Error> {
        let from = self.bytes(offset, into.len())?;
        // SAFETY: `from` is valid for `into.len()` bytes (checked above), and private memory
        // cannot overlap the segment.
        unsafe { core::ptr::copy_nonoverlapping(from, into.as_mut_ptr(), into.len()) };
        Ok(())
    }

    /// Copies bytes out behind what `into` holds, without touching its spare room twice.
    ///
    /// The room has to be there: under a lock nothing is allocated.
    pub fn append_out(&self, offset: u64, length: usize, into: &mut Vec<u8>) -> Result<(), Error> {
        self.append(offset, length, into)
    }

    /// The same for words.
    pub fn append_words(
        &self,
        offset: u64,
        count: usize,
        into: &mut Vec<u64>,
    ) -> Result<(), Error> {
        self.append(offset, count, into)
    }

    /// `T` is a type for which any bytes are a value: `u8` or `u64`.
    #[inline]
    fn append<T: Copy>(&self, offset: u64, count: usize, into: &mut Vec<T>) -> Result<(), Error> {
        let from = self.bytes(offset, count.saturating_mul(size_of::<T>()))?;
        let spare = into.spare_capacity_mut();
        if spare.len() < count {
            return Err(Error::TooLarge {
                what: "copy into private memory",
                requested: count as u64,
                limit: spare.len() as u64,
            });
        }
        let bytes = count * size_of::<T>();
        // SAFETY: `from` is valid for `bytes` bytes (checked by `bytes`), `spare` has at least
        // `count` places (checked above), and private memory cannot overlap the segment.
        unsafe { core::ptr::copy_nonoverlapping(from, spare.as_mut_ptr().cast(), bytes) };
        let filled = into.len() + count;
        // SAFETY: the first `count` places of the spare capacity have just been written.
        unsafe { into.set_len(filled) };
        Ok(())
    }

    /// Copies bytes in; the caller owns them or holds the lock that orders them.
    #[inline]
    pub fn copy_in(&self, offset: u64, from: &[u8]) -> Result<(), Error> {
        let into = self.bytes(offset, from.len())?;
        // SAFETY: `into` is valid for `from.len()` bytes (checked above), and private memory
        // cannot overlap the segment.
        unsafe { core::ptr::copy_nonoverlapping(from.as_ptr(), into, from.len()) };
        Ok(())
    }

    /// Copies `words` words inside the segment; the ranges must not overlap.
    pub fn copy_words(&self, from: u64, to: u64, words: u64) -> Result<(), Error> {
        let length = usize::try_from(words.saturating_mul(8)).unwrap_or(usize::MAX);
        if from.abs_diff(to) < length as u64 {
            return Err(Error::Corrupted {
                what: "overlapping copy",
                offset: from,
            });
        }
        let source = self.bytes(from, length)?;
        let target = self.bytes(to, length)?;
        // SAFETY: both ranges lie in the mapping (checked by `bytes`) and are at least `length`
        // apart (checked above).
        unsafe { core::ptr::copy_nonoverlapping(source, target, length) };
        Ok(())
    }

    /// Fills `words` words with zero.
    pub fn zero_words(&self, at: u64, words: u64) -> Result<(), Error> {
        let length = usize::try_from(words.saturating_mul(8)).unwrap_or(usize::MAX);
        let target = self.bytes(at, length)?;
        // SAFETY: the range lies in the mapping (checked by `bytes`).
        unsafe { core::ptr::write_bytes(target, 0, length) };
        Ok(())
    }

    /// Compares bytes of the segment with private ones, in steps and without a reference to them.
    #[inline]
    pub fn equals(&self, offset: u64, bytes: &[u8]) -> Result<bool, Error> {
        self.bytes(offset, bytes.len())?;
        let mut at = offset;
        let mut buffer = [0_u8; 64];
        for chunk in bytes.chunks(buffer.len()) {
            let part = &mut buffer[..chunk.len()];
            self.copy_out(at, part)?;
            if part != chunk {
                return Ok(false);
            }
            at += chunk.len() as u64;
        }
        Ok(true)
    }

    pub(crate) fn class(&self, class: usize) -> u64 {
        CLASSES + class as u64 * size_of::<Class>() as u64
    }
}

fn read_half(id: &[u8; 16], at: usize) -> u64 {
    let mut half = [0; 8];
    half.copy_from_slice(&id[at..at + 8]);
    u64::from_le_bytes(half)
}
