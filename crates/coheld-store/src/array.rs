//! `Array`: items of one machine type, as raw bytes.
//!
//! The referent's auxiliary word holds the typecode (byte 0, opaque here), the size of an item
//! (byte 1) and whether anybody has ever taken a view (bit 16); the root owns a block of kind ARRAY
//! with the items one after the other, or is empty.
//! An item is written by one store of its size, so that it is never torn, not even for who looks
//! without the lock, and its neighbours are left to those who write them through a view.
//!
//! A view is the items themselves, without the lock. So from the first one on they stay in their
//! block for the life of the referent: a slice is assigned in place, with an undo journal, and an
//! assignment that would change the length is refused. Without a view it makes a new block, which
//! takes less memory and cannot be seen half done.

use coheld_shm::{Fate, Guard, Look, Operation, Referent, Segment};

use crate::block::{self, HEADER};
use crate::error::{IndexProblem, Result, StoreError};
use crate::list::{check_kind, check_version};
use crate::slice::{self, Slice};
use crate::{kinds, word};

/// The bit of the auxiliary word that says that somebody has taken a view.
const VIEWED: u64 = 1 << 16;

/// Where the items of an array are for as long as its referent lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Offset of the first item; 0 if there is none.
    pub offset: u64,
    /// Number of items.
    pub count: u64,
    /// Bytes of an item: 1, 2, 4 or 8.
    pub item_size: u8,
    /// The typecode that the array was made with.
    pub typecode: u8,
}

/// An array of the segment.
#[derive(Clone, Copy)]
pub struct Array<'a> {
    referent: &'a Referent<'a>,
}

/// Where the items are; good until the lock is let go.
#[derive(Clone, Copy)]
struct Items {
    payload: u64,
    bytes: u64,
    item_size: u64,
}

impl Items {
    fn read<'s>(guard: &impl Look<'s>) -> Result<Self> {
        let item_size = guard.auxiliary() >> 8 & 0xff;
        if !matches!(item_size, 1 | 2 | 4 | 8) {
            return Err(StoreError::Corrupted(
                "the items of an array have an impossible size",
            ));
        }
        if guard.root() == word::EMPTY {
            return Ok(Self {
                payload: 0,
                bytes: 0,
                item_size,
            });
        }
        let header = block::header_of_word(guard.segment(), guard.root())?;
        if header.kind != kinds::block::ARRAY || !header.length.is_multiple_of(item_size) {
            return Err(StoreError::Corrupted("the items of an array are no items"));
        }
        Ok(Self {
            payload: header.payload,
            bytes: header.length,
            item_size,
        })
    }

    fn count(&self) -> u64 {
        self.bytes / self.item_size
    }

    /// Where item `index` lies.
    fn at(&self, index: u64) -> u64 {
        self.payload + index * self.item_size
    }

    /// The word around item `index`, and by how many bits the item is shifted in it.
    fn place(&self, index: u64) -> (u64, u32) {
        let at = self.at(index);
        (at & !7, (at & 7) as u32 * 8)
    }

    /// The bits of an item.
    fn mask(&self) -> u64 {
        u64::MAX >> (64 - 8 * self.item_size)
    }

    fn locate(&self, index: i64) -> Option<u64> {
        slice::locate(index, self.count())
    }
}

/// The bits of one item.
#[inline]
fn item<'s>(array: &impl Look<'s>, index: i64) -> Result<u64> {
    let items = Items::read(array)?;
    let (cell, shift) = items.place(items.locate(index).ok_or(IndexProblem::Get)?);
    Ok(array.segment().load(cell)? >> shift & items.mask())
}

impl<'a> Array<'a> {
    /// Treats `referent`, which is of kind `kinds::referent::ARRAY`, as an array.
    #[inline]
    pub fn new(referent: &'a Referent<'a>) -> Self {
        Self { referent }
    }

    /// The auxiliary word with which the referent of an array is created. `item_size` is 1, 2, 4
    /// or 8.
    #[must_use]
    pub const fn auxiliary(typecode: u8, item_size: u8) -> u64 {
        typecode as u64 | (item_size as u64) << 8
    }

    /// Number of items.
    pub fn len(&self) -> Result<u64> {
        Ok(Items::read(&self.referent.lock()?)?.count())
    }

    /// Whether there is no item.
    pub fn is_empty(&self) -> Result<bool> {
        Ok(self.len()? == 0)
    }

    /// The typecode that the array was made with.
    pub fn typecode(&self) -> Result<u8> {
        Ok(self.referent.lock()?.auxiliary() as u8)
    }

    /// Bytes of an item.
    pub fn item_size(&self) -> Result<u8> {
        Ok((self.referent.lock()?.auxiliary() >> 8) as u8)
    }

    /// The version: it moves with every change.
    pub fn version(&self) -> Result<u64> {
        Ok(self.referent.lock()?.version())
    }

    /// The bits of `array[index]`; those beyond the item's size are zero.
    #[inline]
    pub fn get(&self, index: i64) -> Result<u64> {
        if let Some(item) = self.referent.glance(|array| item(array, index).ok()) {
            return Ok(item);
        }
        item(&self.referent.lock()?, index)
    }

    /// `array[index] = item`, given as bits of which the item's size counts.
    #[inline]
    pub fn set(&self, index: i64, item: u64) -> Result<()> {
        let guard = self.referent.lock()?;
        let items = Items::read(&guard)?;
        let at = items.locate(index).ok_or(IndexProblem::Assign)?;
        // COMMIT: one aligned store of the item alone: a view may be writing its neighbours.
        guard.commit_item(items.at(at), items.item_size as u8, item)?;
        Ok(())
    }

    /// Where the items are. From now on they stay there, for who looks at them without the lock.
    pub fn extent(&self) -> Result<Extent> {
        let guard = self.referent.lock()?;
        check_kind(&guard, kinds::referent::ARRAY)?;
        let items = Items::read(&guard)?;
        let auxiliary = guard.auxiliary();
        if auxiliary & VIEWED == 0 {
            // COMMIT: one store; it is never taken back. CRASH: after it the items stay where they
            // are though nobody looks at them, which costs memory at the assignment of a slice; the
            // end of the referent mends that.
            guard.set_auxiliary(auxiliary | VIEWED);
        }
        Ok(Extent {
            offset: items.payload,
            count: items.count(),
            item_size: items.item_size as u8,
            typecode: auxiliary as u8,
        })
    }

    /// All items as bytes.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        self.slice(Slice::FULL)
    }

    /// `array[slice]` as bytes.
    pub fn slice(&self, slice: Slice) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        loop {
            let needed = {
                let guard = self.referent.lock()?;
                let items = Items::read(&guard)?;
                let needed = slice.resolve(items.count())?.count * items.item_size;
                if needed <= bytes.len() as u64 {
                    bytes.truncate(needed as usize);
                    read_slice(guard.segment(), items, slice, &mut bytes)?;
                    return Ok(bytes);
                }
                needed
            };
            let refused = |_| StoreError::PrivateMemory { bytes: needed };
            bytes
                .try_reserve_exact(needed as usize - bytes.len())
                .map_err(refused)?;
            bytes.resize(needed as usize, 0);
        }
    }

    /// `array[:] = items`: any number of items.
    pub fn replace(&self, items: &[u8]) -> Result<()> {
        self.set_slice(Slice::FULL, items, None)
    }

    /// `array[slice] = items`. With a step other than 1 the number of items must be that of the
    /// indices: [`StoreError::SliceSize`]. If anybody has taken a view, so must any other slice's:
    /// [`StoreError::Viewed`].
    pub fn set_slice(&self, slice: Slice, given: &[u8], expected: Option<u64>) -> Result<()> {
        let mut wanted = {
            let guard = self.referent.lock()?;
            check_version(&guard, expected)?;
            Wanted::of(&guard, slice, given)?
        };
        loop {
            let mut operation = self.referent.segment().begin()?;
            let block = match wanted {
                Wanted::Block { size: 0 } | Wanted::Journal { cells: 0 } => None,
                // Until the commit the lane owns the new block, afterwards the root does.
                Wanted::Block { size } => {
                    let kind = kinds::block::ARRAY;
                    Some(operation.allocate(size, kind, Fate::Shell, Fate::Keep)?)
                }
                Wanted::Journal { cells } => {
                    Some(operation.allocate_journal(cells, kinds::block::JOURNAL)?)
                }
            };
            let guard = self.referent.lock()?;
            check_kind(&guard, kinds::referent::ARRAY)?;
            check_version(&guard, expected)?;
            let now = Wanted::of(&guard, slice, given)?;
            if now != wanted {
                wanted = now;
                continue;
            }
            let old = Items::read(&guard)?;
            let root = match (wanted, block) {
                (Wanted::Journal { .. }, None) => return Ok(()),
                (Wanted::Journal { .. }, Some(journal)) => {
                    return write_in_place(&mut operation, &guard, journal, old, slice, given);
                }
                (Wanted::Block { .. }, None) => word::EMPTY,
                (Wanted::Block { .. }, Some(block)) => {
                    write_slice(guard.segment(), old, slice, given, block + HEADER)?;
                    word::from_block(block)
                }
            };
            if root == guard.root() {
                return Ok(());
            }
            operation.retire(guard.root(), Fate::Keep, Fate::Shell)?;
            // COMMIT: the root names the new items. CRASH: before it the lane gives back the new
            // block, after it the old one.
            operation.commit(&guard, guard.root_cell(), root)?;
            return Ok(());
        }
    }
}

/// What an assignment has to allocate beforehand.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    /// A block for all items afterwards.
    Block { size: u64 },
    /// A journal of the cells in which the items lie that are assigned.
    Journal { cells: u64 },
}

impl Wanted {
    fn of(guard: &Guard<'_>, slice: Slice, given: &[u8]) -> Result<Self> {
        let old = Items::read(guard)?;
        let size = new_size(old, slice, given)?;
        if guard.auxiliary() & VIEWED == 0 {
            return Ok(Self::Block { size });
        }
        if size != old.bytes {
            return Err(StoreError::Viewed);
        }
        Ok(Self::Journal {
            cells: cells(old, slice)?.count() as u64,
        })
    }
}

/// The cells in which the items of a slice lie, each once if the slice has the step 1.
fn cells(items: Items, slice: Slice) -> Result<impl Iterator<Item = u64>> {
    let picked = slice.resolve(items.count())?;
    let (first, step, count) = if picked.count == 0 {
        (0, 8, 0)
    } else if slice.is_contiguous() {
        let start = items.at(picked.first()) & !7;
        let end = items.at(picked.first() + picked.count);
        (start, 8, (end - start).div_ceil(8))
    } else {
        (0, 0, picked.count)
    };
    Ok((0..count).map(move |number| match step {
        0 => items.place(picked.index(number)).0,
        _ => first + step * number,
    }))
}

/// Assigns as many items as the slice has to the items where they are.
fn write_in_place(
    operation: &mut Operation<'_>,
    guard: &Guard<'_>,
    journal: u64,
    items: Items,
    slice: Slice,
    given: &[u8],
) -> Result<()> {
    let segment = guard.segment();
    operation.arm_journal(guard, journal, cells(items, slice)?)?;
    let picked = slice.resolve(items.count())?;
    let size = items.item_size as usize;
    // CRASH: some items are new and some old; the journal puts the old ones back.
    for (number, item) in (0..picked.count).zip(given.chunks_exact(size)) {
        let mut bits = [0; 8];
        bits[..size].copy_from_slice(item);
        let at = items.at(picked.index(number));
        segment.store_item(at, size as u8, u64::from_le_bytes(bits))?;
    }
    // COMMIT: in `coheld-shm`, the journal is disarmed.
    operation.commit_journal(guard);
    Ok(())
}

/// Bytes of the array after an assignment.
fn new_size(old: Items, slice: Slice, given: &[u8]) -> Result<u64> {
    let picked = slice.resolve(old.count())?;
    let size = given.len() as u64;
    if !size.is_multiple_of(old.item_size) {
        return Err(StoreError::WrongType);
    }
    let given = size / old.item_size;
    if !slice.is_contiguous() && given != picked.count {
        return Err(StoreError::SliceSize {
            given,
            wanted: picked.count,
        });
    }
    Ok((old.count() - picked.count + given) * old.item_size)
}

/// Copies the items of a slice out; `bytes` has their size.
fn read_slice(segment: &Segment, items: Items, slice: Slice, bytes: &mut [u8]) -> Result<()> {
    let picked = slice.resolve(items.count())?;
    if slice.is_contiguous() {
        segment.copy_out(items.payload + picked.first() * items.item_size, bytes)?;
        return Ok(());
    }
    for (number, item) in (0..picked.count).zip(bytes.chunks_exact_mut(items.item_size as usize)) {
        segment.copy_out(items.payload + picked.index(number) * items.item_size, item)?;
    }
    Ok(())
}

/// Writes the array after an assignment to the payload of a new block.
fn write_slice(
    segment: &Segment,
    old: Items,
    slice: Slice,
    given: &[u8],
    payload: u64,
) -> Result<()> {
    let picked = slice.resolve(old.count())?;
    if slice.is_contiguous() {
        let start = picked.first() * old.item_size;
        let end = start + picked.count * old.item_size;
        let behind = payload + start + given.len() as u64;
        copy_bytes(segment, old.payload, payload, start)?;
        segment.copy_in(payload + start, given)?;
        return copy_bytes(segment, old.payload + end, behind, old.bytes - end);
    }
    copy_bytes(segment, old.payload, payload, old.bytes)?;
    for (number, item) in (0..picked.count).zip(given.chunks_exact(old.item_size as usize)) {
        segment.copy_in(payload + picked.index(number) * old.item_size, item)?;
    }
    Ok(())
}

/// Copies bytes inside the segment by way of a small private buffer.
fn copy_bytes(segment: &Segment, from: u64, to: u64, length: u64) -> Result<()> {
    let mut buffer = [0; 1024];
    let mut done = 0;
    while done < length {
        let part = &mut buffer[..(length - done).min(1024) as usize];
        segment.copy_out(from + done, part)?;
        segment.copy_in(to + done, part)?;
        done += part.len() as u64;
    }
    Ok(())
}
