//! Many values copied out of a referent at one moment.
//!
//! One hold of the lock copies words, blocks and leases into private memory that was reserved
//! before. If that was not enough, the hold has at least counted what is needed, and after a
//! reservation it is tried again.

use coheld_shm::{Guard, Lease, Referent, Segment};

use crate::error::{Result, StoreError};
use crate::input::Input;
use crate::output::Room;
use crate::{block, kinds, word};

/// Values of a referent at one moment, in the referent's order.
#[derive(Debug, Default)]
pub struct Snapshot {
    version: u64,
    /// One word per value; a block's offset is replaced by its number in `records`.
    words: Vec<u64>,
    records: Vec<Record>,
    /// The payloads of the blocks, one after the other.
    bytes: Vec<u8>,
    /// The leases of all edges in the order of the values. Those of values that are themselves
    /// proxies are here too.
    leases: Vec<Lease>,
    /// The words of the same edges.
    edges: Vec<u64>,
}

/// A block that was copied out.
#[derive(Clone, Copy, Debug)]
struct Record {
    kind: u8,
    /// Number of edges from `first_edge` on.
    edges: u32,
    first_edge: usize,
    start: usize,
    length: usize,
}

/// A value of a snapshot.
#[derive(Clone, Copy, Debug)]
pub enum OutputRef<'s> {
    /// A value that fits in a word.
    Word(u64),
    /// The content of a block.
    Block {
        /// One of `kinds::block`.
        kind: u8,
        /// The payload.
        bytes: &'s [u8],
        /// A lease on every referent that the value names, in order.
        edges: &'s [Lease],
    },
    /// A proxy by itself.
    Edge(Lease),
}

impl Snapshot {
    /// The version of the referent at that moment.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Number of values.
    pub fn len(&self) -> usize {
        self.words.len()
    }

    /// Whether there is no value.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// All values as words, if none of them is a block or an edge.
    pub fn words(&self) -> Option<&[u64]> {
        (self.records.is_empty() && self.edges.is_empty()).then_some(&self.words)
    }

    /// Every lease that was taken. Each has to be redeemed, or ends at its deadline.
    pub fn leases(&self) -> &[Lease] {
        &self.leases
    }

    /// One value.
    #[inline]
    pub fn get(&self, index: usize) -> Option<OutputRef<'_>> {
        let word = *self.words.get(index)?;
        let number = (word >> 4) as usize;
        match word::tag_of(word) {
            word::tag::BLOCK => {
                let record = self.records.get(number)?;
                let bytes = self.bytes.get(record.start..record.start + record.length)?;
                let edges = self.leases.get(record.edge_range())?;
                Some(OutputRef::Block {
                    kind: record.kind,
                    bytes,
                    edges,
                })
            }
            word::tag::EDGE => Some(OutputRef::Edge(*self.leases.get(number)?)),
            _ => Some(OutputRef::Word(word)),
        }
    }

    /// All values in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = OutputRef<'_>> + DoubleEndedIterator {
        (0..self.len()).map(|index| self.get(index).unwrap_or(OutputRef::Word(word::NONE)))
    }

    /// The values, ready to be stored again while the leases hold.
    pub fn inputs(&self) -> Vec<Input<'_>> {
        let input = |&word: &u64| {
            let number = (word >> 4) as usize;
            match word::tag_of(word) {
                word::tag::BLOCK => {
                    let record = &self.records[number];
                    Input::Block {
                        kind: record.kind,
                        bytes: &self.bytes[record.start..record.start + record.length],
                        edges: &self.edges[record.edge_range()],
                    }
                }
                word::tag::EDGE => Input::Edge(self.edges[number]),
                _ => Input::Word(word),
            }
        };
        self.words.iter().map(input).collect()
    }

    /// Ends the leases, for who does not make proxies of the edges.
    pub fn release(self, segment: &Segment) -> Result<()> {
        let mut released = Ok(());
        for lease in self.leases {
            released = released.and(segment.drop_lease(lease));
        }
        Ok(released?)
    }
}

impl Record {
    fn edge_range(&self) -> core::ops::Range<usize> {
        self.first_edge..self.first_edge + self.edges as usize
    }
}

/// A snapshot that is being taken.
pub struct Capture {
    taken: Snapshot,
    needed: Needed,
}

/// Private memory that the values need.
#[derive(Clone, Copy, Debug, Default)]
struct Needed {
    words: usize,
    records: usize,
    bytes: usize,
    edges: usize,
}

/// Takes a snapshot. `visit` pushes the values under the lock; it may be called several times.
pub fn capture(
    referent: &Referent<'_>,
    mut visit: impl FnMut(&Guard<'_>, &mut Capture) -> Result<()>,
) -> Result<Snapshot> {
    let mut capture = Capture {
        taken: Snapshot::default(),
        needed: Needed::default(),
    };
    loop {
        {
            let guard = referent.lock()?;
            capture.clear();
            visit(&guard, &mut capture)?;
            if capture.is_complete() {
                capture.taken.version = guard.version();
                // Last, when nothing else can go wrong: a lease that is forgotten lasts a while.
                let Snapshot { edges, leases, .. } = &mut capture.taken;
                for &edge in &*edges {
                    leases.push(guard.segment().lease_edge(edge)?);
                }
                return Ok(capture.taken);
            }
        }
        // Each value has a word of the segment; damage may claim more than there are.
        if capture.needed.words as u64 > referent.segment().capacity() / 8 {
            return Err(StoreError::Corrupted(
                "there are more values than the segment has room for",
            ));
        }
        capture.reserve()?;
    }
}

impl Capture {
    /// Announces at least so many values. Without room for them `visit` shall return at once: it
    /// will be called again with room, instead of counting first.
    #[inline]
    pub fn expect(&mut self, values: usize) -> bool {
        self.needed.words = values;
        let room = values <= self.taken.words.capacity();
        if room {
            // The values are counted one by one.
            self.needed.words = 0;
        }
        room
    }

    /// Adds a value of the locked referent: a word that the referent owns.
    #[inline]
    pub fn push(&mut self, guard: &Guard<'_>, found: u64) -> Result<()> {
        let word = match word::tag_of(found) {
            word::tag::BLOCK => self.push_block(guard.segment(), found)?,
            word::tag::EDGE => {
                let number = self.needed.edges as u64;
                self.push_edge(found);
                number << 4 | word::tag::EDGE
            }
            word::tag::EMPTY => return Err(StoreError::Corrupted("a value is missing")),
            _ => found,
        };
        self.needed.words += 1;
        push_within(&mut self.taken.words, word);
        Ok(())
    }

    /// Adds the values whose words are the `count` at `first`: at once, if none owns anything.
    ///
    /// `expect` has said that there is room for the words.
    pub fn push_run(&mut self, guard: &Guard<'_>, first: u64, count: usize) -> Result<()> {
        let segment = guard.segment();
        let before = self.taken.words.len();
        segment.append_words(first, count, &mut self.taken.words)?;
        if self.taken.words[before..]
            .iter()
            .all(|&found| word::is_inline(found))
        {
            self.needed.words += count;
            return Ok(());
        }
        self.taken.words.truncate(before);
        (0..count as u64).try_for_each(|index| self.push(guard, segment.load(first + 8 * index)?))
    }

    fn push_block(&mut self, segment: &Segment, found: u64) -> Result<u64> {
        let header = block::header_of_word(segment, found)?;
        if !(kinds::block::BIGINT..=kinds::block::KEY).contains(&header.kind) {
            return Err(StoreError::Corrupted("a block holds no value"));
        }
        let number = self.needed.records as u64;
        let (start, length) = (self.needed.bytes, header.length as usize);
        let first_edge = self.needed.edges;
        // A damaged word may name one large block many times: the sums cannot overflow before
        // the reservation fails.
        self.needed.bytes = start.saturating_add(length);
        self.needed.records += 1;
        if self.needed.bytes <= self.taken.bytes.capacity() {
            // Within the capacity: no allocation under the lock.
            self.taken.bytes.resize(self.needed.bytes, 0);
            segment.copy_out(header.payload, &mut self.taken.bytes[start..])?;
        }
        for index in 0..header.count {
            let edge = segment.load(header.owning_word(index))?;
            if word::tag_of(edge) != word::tag::EDGE {
                return Err(StoreError::Corrupted(
                    "a value owns something that is no edge",
                ));
            }
            self.push_edge(edge);
        }
        let record = Record {
            kind: header.kind,
            edges: header.count,
            first_edge,
            start,
            length,
        };
        push_within(&mut self.taken.records, record);
        Ok(number << 4 | word::tag::BLOCK)
    }

    fn push_edge(&mut self, edge: u64) {
        self.needed.edges += 1;
        push_within(&mut self.taken.edges, edge);
    }

    fn clear(&mut self) {
        self.taken.words.clear();
        self.taken.records.clear();
        self.taken.bytes.clear();
        self.taken.edges.clear();
        self.needed = Needed::default();
    }

    /// Whether everything that was pushed found room.
    fn is_complete(&self) -> bool {
        self.taken.words.len() == self.needed.words
            && self.taken.records.len() == self.needed.records
            && self.taken.bytes.len() == self.needed.bytes
            && self.taken.edges.len() == self.needed.edges
            && self.taken.leases.capacity() >= self.needed.edges
    }

    /// Reserves what the last look has counted. Not under a lock.
    fn reserve(&mut self) -> Result<()> {
        let needed = self.needed;
        self.clear();
        room(&mut self.taken.words, needed.words)?;
        room(&mut self.taken.records, needed.records)?;
        room(&mut self.taken.bytes, needed.bytes)?;
        room(&mut self.taken.edges, needed.edges)?;
        room(&mut self.taken.leases, needed.edges)
    }
}

/// The private memory that a copy of one value needs.
pub(crate) fn room_of(segment: &Segment, found: u64) -> Result<Room> {
    if word::tag_of(found) != word::tag::BLOCK {
        return Ok(Room::default());
    }
    let header = block::header_of_word(segment, found)?;
    Ok(Room {
        bytes: header.length,
        edges: u64::from(header.count),
    })
}

/// Pushes only if that does not allocate.
#[inline]
fn push_within<T>(items: &mut Vec<T>, item: T) {
    if items.len() < items.capacity() {
        items.push(item);
    }
}

/// Makes an empty vector hold `count` items.
fn room<T>(items: &mut Vec<T>, count: usize) -> Result<()> {
    let bytes = (count as u64).saturating_mul(size_of::<T>() as u64);
    items
        .try_reserve(count)
        .map_err(|_| StoreError::PrivateMemory { bytes })
}
