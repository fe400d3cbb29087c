//! Where everything lies. `docs/layout.md` draws it; this file is the truth.
//!
//! All offsets are bytes from the start of the segment, all integers little-endian. A change of
//! anything here changes [`LAYOUT_HASH`], so that two builds that disagree refuse each other.

use core::mem::offset_of;

/// First eight bytes of a segment.
pub const MAGIC: u64 = u64::from_le_bytes(*b"COHELD\0\x01");
/// Version of the layout; `docs/layout.md` describes this one.
pub const LAYOUT_VERSION: u32 = 5;

/// Unit of the heap: a slab or a part of a run.
pub const PAGE: u64 = 64 * 1024;
/// Header in front of each block's payload.
pub const BLOCK_HEADER: u64 = 16;
/// Bytes of a referent.
pub const REFERENT_SIZE: u64 = 256;
/// Most members a segment can be made for (bounded by the holder bitmap of a referent).
pub const MEMBER_LIMIT: u32 = 1024;
/// Most lanes a member can have (bounded by one bitmap word).
pub const LANE_LIMIT: u32 = 64;
/// Referents that a member can be adopting at once without a counted lease.
pub const ADOPTING_CELLS: u32 = 8;
/// Words of a referent's header that its kind uses as it likes.
pub const REFERENT_WORDS: u64 = 3;
/// Cells of waiters for each member slot, on average: any member may use any of them.
pub const WAITERS_PER_MEMBER: u32 = 16;
/// Entries of a lane.
pub const LANE_ENTRIES: u64 = 16;

/// Header of the segment.
#[repr(C)]
pub(crate) struct Header {
    pub magic: u64,
    pub version: u32,
    pub flags: u32,
    pub layout_hash: u64,
    pub capacity: u64,
    pub member_limit: u32,
    pub lanes_per_member: u32,
    pub secret: [u64; 2],
    pub id: [u64; 2],
    pub scrap: u64,
    /// Cells of waiters from here on have never been used.
    pub waiter_high: u64,
    /// The inbox of the manager's host.
    pub manager_inbox: u64,
    /// Generation of that referent in bits 0-31, tag of the host's member in bits 32-63; 0: none.
    pub manager_host: u64,
    /// Milliseconds that a call to a host takes at most unless its caller says otherwise; 0: any.
    pub call_limit: u64,
    spare: [u64; 2],
    // A cache line of its own: written whenever pages change hands.
    pub page_lock: u32,
    page_lock_spare: u32,
    pub page_hint: u64,
    pub page_high: u64,
    /// Slots from here on have never been used.
    pub member_high: u64,
}

/// One size class.
#[repr(C)]
pub(crate) struct Class {
    pub lock: u32,
    spare: u32,
    /// First page with a free block, plus one; 0 when there is none.
    pub head: u64,
    rest: [u64; 6],
}

/// One member.
#[repr(C)]
pub(crate) struct Member {
    pub state: u64,
    pub pid: u32,
    pub reaper: u32,
    pub start_time: u64,
    pub pid_namespace: u64,
    pub reserved_at: u64,
    /// Rung when one of its waiters that asked for it is signalled: 1 until it has been heard.
    pub bell: u32,
    unused: u32,
    spare: [u64; 2],
    /// Edges that the member has read and not yet made its own.
    pub adopting: [u64; ADOPTING_CELLS as usize],
}

/// One lane: what an operation is about to do.
#[repr(C)]
pub(crate) struct Lane {
    pub referent: u64,
    pub commit_at: u64,
    pub commit_value: u64,
    pub graveyard: u64,
    pub pending_operation: u64,
    pub pending_word: u64,
    pub pending_cell: u64,
    pub pending_done: u64,
    pub pending_extra: u64,
    spare: [u64; 7],
    pub entries: [[u64; 2]; LANE_ENTRIES as usize],
    rest: [u64; 16],
}

/// One thread that waits; see `line`.
#[repr(C)]
pub(crate) struct WaiterCell {
    /// Tag of its member; 0 when the cell is free.
    pub owner: u32,
    /// 1: whoever signals it rings the bell of its member, and nobody sleeps on `signal`.
    pub rings: u32,
    /// What it sleeps on: other than 0 once it is served.
    pub signal: u32,
    /// What it waits for, as numbered by the kind of the referent.
    pub role: u32,
    /// The referent in whose line it stands; 0 for none.
    pub referent: u64,
    /// Next and previous cell in line, plus one; 0 for none.
    pub next: u32,
    pub previous: u32,
    /// Its place in line.
    pub ticket: u64,
    /// What the kind of the referent keeps with it.
    pub payload: u64,
    /// The next ticket of the line when it was signalled.
    pub signalled_at: u64,
    /// When it was signalled, in milliseconds of the monotonic clock.
    pub signalled_when: u64,
}

/// One heap page.
#[repr(C)]
pub(crate) struct PageEntry {
    /// kind in bits 0-7, size class in bits 8-15, length of a run in bits 32-63.
    pub state: u64,
    /// Used blocks of a slab.
    pub used: u64,
    /// Next and previous page of the class with free blocks, plus one.
    pub next: u32,
    pub previous: u32,
    spare: u64,
}

/// One referent.
#[repr(C)]
pub(crate) struct ReferentHeader {
    pub lock: u32,
    spare: u32,
    /// kind in bits 0-7, state in bits 8-15, generation in bits 32-63.
    pub identity: u64,
    pub version: u64,
    pub root: u64,
    pub journal: u64,
    pub edges: u64,
    /// count in bits 0-23, deadline (seconds since boot) in bits 24-63.
    pub leases: u64,
    pub next: u64,
    pub auxiliary: u64,
    /// tag of the member that asks the others to wait in bits 0-31, until when (seconds since boot)
    /// in bits 32-63.
    pub reservation: u64,
    /// First and last waiter in line (bits 0-31 and 32-63): number of the cell plus one.
    pub line: u64,
    /// next ticket in bits 0-47; how many have passed the first in line, in bits 48-55 for role 0
    /// and in bits 56-63 for the others.
    pub tickets: u64,
    /// What the kind uses as it likes.
    pub words: [u64; REFERENT_WORDS as usize],
    /// The edge of the lock that belongs to the referent; 0 for none.
    pub companion: u64,
    pub holders: [u64; MEMBER_LIMIT as usize / 64],
}

const _: () = {
    assert!(usize::BITS == 64, "Coheld needs a 64-bit target");
    assert!(offset_of!(Header, page_lock) == 128);
    assert!(size_of::<Header>() <= 4096);
    assert!(size_of::<Class>() == 64);
    assert!(size_of::<Member>() == 128);
    assert!(offset_of!(Lane, entries) == 128);
    assert!(size_of::<Lane>() == 512);
    assert!(size_of::<WaiterCell>() == 64);
    assert!(size_of::<PageEntry>() == 32);
    assert!(offset_of!(ReferentHeader, holders) == 128);
    assert!(size_of::<ReferentHeader>() == REFERENT_SIZE as usize);
    assert!(1 << super::member::slot::SLOT_BITS == MEMBER_LIMIT);
};

/// Start of the class table.
pub(crate) const CLASSES: u64 = 0x1000;
/// Start of the member table.
pub(crate) const MEMBERS: u64 = 0x2000;

/// Total bytes of the blocks of each size class, header included; class 0 holds referents.
///
/// Four classes to the doubling keep the waste under a fifth; the last ones fill a page evenly.
pub(crate) const CLASS_SIZES: [u32; 36] = [
    REFERENT_SIZE as u32,
    32,
    48,
    64,
    80,
    96,
    112,
    128,
    160,
    192,
    224,
    256,
    320,
    384,
    448,
    512,
    640,
    768,
    896,
    1024,
    1280,
    1536,
    1792,
    2048,
    2560,
    3072,
    3584,
    4096,
    5120,
    6144,
    7168,
    8192,
    10912,
    16384,
    21840,
    32768,
];
/// Bytes of the blocks of a size class, header included.
#[must_use]
pub fn class_size(class: usize) -> Option<u32> {
    CLASS_SIZES.get(class).copied()
}

/// The class of referents.
pub(crate) const REFERENT_CLASS: usize = 0;
/// Largest total size that a slab serves; above it a block gets pages of its own.
pub(crate) const SLAB_LIMIT: u64 = CLASS_SIZES[CLASS_SIZES.len() - 1] as u64;
/// Bitmap bytes of one page: a bit for each of 2,048 blocks of the smallest class.
pub(crate) const BITMAP_BYTES: u64 = PAGE / 32 / 8;

const _: () = assert!(CLASSES + 64 * CLASS_SIZES.len() as u64 <= MEMBERS);

/// Digest of every size and offset above (FNV-1a).
pub const LAYOUT_HASH: u64 = {
    let facts = [
        LAYOUT_VERSION as u64,
        PAGE,
        BLOCK_HEADER,
        size_of::<Header>() as u64,
        offset_of!(Header, manager_inbox) as u64,
        offset_of!(Header, call_limit) as u64,
        offset_of!(Header, page_lock) as u64,
        size_of::<Class>() as u64,
        offset_of!(Class, head) as u64,
        size_of::<Member>() as u64,
        offset_of!(Member, bell) as u64,
        offset_of!(Member, adopting) as u64,
        ADOPTING_CELLS as u64,
        size_of::<Lane>() as u64,
        offset_of!(Lane, graveyard) as u64,
        offset_of!(Lane, pending_extra) as u64,
        offset_of!(Lane, entries) as u64,
        size_of::<WaiterCell>() as u64,
        offset_of!(WaiterCell, rings) as u64,
        offset_of!(WaiterCell, signal) as u64,
        offset_of!(WaiterCell, referent) as u64,
        offset_of!(WaiterCell, next) as u64,
        offset_of!(WaiterCell, ticket) as u64,
        offset_of!(WaiterCell, payload) as u64,
        offset_of!(WaiterCell, signalled_at) as u64,
        offset_of!(WaiterCell, signalled_when) as u64,
        size_of::<PageEntry>() as u64,
        offset_of!(PageEntry, next) as u64,
        size_of::<ReferentHeader>() as u64,
        offset_of!(ReferentHeader, root) as u64,
        offset_of!(ReferentHeader, auxiliary) as u64,
        offset_of!(ReferentHeader, reservation) as u64,
        offset_of!(ReferentHeader, line) as u64,
        offset_of!(ReferentHeader, words) as u64,
        offset_of!(ReferentHeader, companion) as u64,
        offset_of!(ReferentHeader, holders) as u64,
        CLASSES,
        MEMBERS,
        MEMBER_LIMIT as u64,
        LANE_ENTRIES,
    ];
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut index = 0;
    while index < facts.len() {
        hash = (hash ^ facts[index]).wrapping_mul(0x0000_0100_0000_01b3);
        index += 1;
    }
    index = 0;
    while index < CLASS_SIZES.len() {
        hash = (hash ^ CLASS_SIZES[index] as u64).wrapping_mul(0x0000_0100_0000_01b3);
        index += 1;
    }
    hash
};

/// The parts whose place depends on how the segment was made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Map {
    pub capacity: u64,
    pub member_limit: u32,
    pub lanes_per_member: u32,
    pub lanes: u64,
    pub waiter_limit: u32,
    pub waiters: u64,
    pub page_table: u64,
    pub bitmaps: u64,
    pub heap: u64,
    pub pages: u64,
}

impl Map {
    /// Lays a segment out; `None` when the capacity leaves no room for a single heap page.
    pub fn new(capacity: u64, member_limit: u32, lanes_per_member: u32) -> Option<Self> {
        let fits = (1..=MEMBER_LIMIT).contains(&member_limit)
            && (1..=LANE_LIMIT).contains(&lanes_per_member)
            && capacity <= super::word::OFFSET_MASK;
        if !fits {
            return None;
        }
        let members_end = MEMBERS + u64::from(member_limit) * size_of::<Member>() as u64;
        let lanes = members_end.next_multiple_of(4096);
        let lane_count = u64::from(member_limit) * u64::from(lanes_per_member);
        let waiters = (lanes + lane_count * size_of::<Lane>() as u64).next_multiple_of(4096);
        let waiter_limit = member_limit * WAITERS_PER_MEMBER;
        let waiters_end = waiters + u64::from(waiter_limit) * size_of::<WaiterCell>() as u64;
        let page_table = waiters_end.next_multiple_of(4096);
        // Room for the tables of every page that could exist; the unused rest stays unbacked.
        let most = capacity / PAGE;
        let bitmaps = (page_table + most * size_of::<PageEntry>() as u64).next_multiple_of(4096);
        let heap = (bitmaps + most * BITMAP_BYTES).next_multiple_of(PAGE);
        let pages = capacity.checked_sub(heap)? / PAGE;
        (pages > 0).then_some(Self {
            capacity,
            member_limit,
            lanes_per_member,
            lanes,
            waiter_limit,
            waiters,
            page_table,
            bitmaps,
            heap,
            pages,
        })
    }

    /// The smallest capacity that leaves room for a heap.
    pub fn least_capacity(member_limit: u32, lanes_per_member: u32) -> u64 {
        let fits = |capacity: &u64| Self::new(*capacity, member_limit, lanes_per_member).is_some();
        (1..)
            .map(|pages| pages * PAGE)
            .take(1 << 12)
            .find(fits)
            .unwrap_or(u64::MAX)
    }

    pub fn member(&self, slot: u32) -> u64 {
        MEMBERS + u64::from(slot) * size_of::<Member>() as u64
    }

    pub fn lane(&self, slot: u32, index: u32) -> u64 {
        let number = u64::from(slot) * u64::from(self.lanes_per_member) + u64::from(index);
        self.lanes + number * size_of::<Lane>() as u64
    }

    pub fn page_entry(&self, page: u64) -> u64 {
        self.page_table + page * size_of::<PageEntry>() as u64
    }

    pub fn bitmap(&self, page: u64) -> u64 {
        self.bitmaps + page * BITMAP_BYTES
    }

    pub fn page_start(&self, page: u64) -> u64 {
        self.heap + page * PAGE
    }

    /// The page that holds `offset`, if it is in the heap.
    #[inline]
    pub fn page_of(&self, offset: u64) -> Option<u64> {
        let page = offset.checked_sub(self.heap)? / PAGE;
        (page < self.pages).then_some(page)
    }
}

/// Offset of a field of a structure at `base`.
macro_rules! field {
    ($base:expr, $structure:ident . $field:ident) => {
        $base + core::mem::offset_of!($crate::layout::$structure, $field) as u64
    };
}
pub(crate) use field;
