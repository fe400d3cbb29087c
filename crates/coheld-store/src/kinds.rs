//! Numbers that name the kinds of blocks and of referents in a segment.
//!
//! They are part of the segment's layout: a number is never used again for something else.

/// Kinds of heap blocks, kept in bits 48 to 55 of a block's meta word.
pub mod block {
    /// An integer that does not fit in a word: two's complement, little endian, minimal.
    pub const BIGINT: u8 = 1;
    /// Text in UTF-8.
    pub const STR: u8 = 2;
    /// Text with lone surrogates, in the generalized UTF-8 of Python's `surrogatepass`.
    pub const STR_SURROGATE: u8 = 3;
    /// Bytes.
    pub const BYTES: u8 = 4;
    /// A double that does not fit in a word: eight bytes, little endian.
    pub const FLOAT: u8 = 5;
    /// Any other object: a pickle, followed by the data edges it names.
    pub const PICKLE: u8 = 6;
    /// A tuple used as a key: length of the canonical form, canonical form, pickle of the original.
    pub const KEY: u8 = 7;
    /// The items of a list.
    pub const WORDS: u8 = 8;
    /// The entries and the index of a dict, set or namespace.
    pub const TABLE: u8 = 9;
    /// The raw items of an array.
    pub const ARRAY: u8 = 10;
    /// The undo journal of a referent (used by `coheld-shm`).
    pub const JOURNAL: u8 = 11;
    /// Words that an operation owns in bulk: new ones before the commit, old ones after it.
    pub const BATCH: u8 = 12;
    /// How many permits of a semaphore each member has.
    pub const PERMITS: u8 = 13;
    /// The messages of a channel.
    pub const CHANNEL: u8 = 14;
}

/// Kinds of referents, kept in the low byte of a referent's identity word.
pub mod referent {
    /// `list`.
    pub const LIST: u8 = 1;
    /// `dict`.
    pub const DICT: u8 = 2;
    /// `set`.
    pub const SET: u8 = 3;
    /// `Namespace`: a dict whose keys are attribute names.
    pub const NAMESPACE: u8 = 4;
    /// `Value`: one word.
    pub const VALUE: u8 = 5;
    /// `Array`: items of one machine type.
    pub const ARRAY: u8 = 6;
    /// `Lock`.
    pub const LOCK: u8 = 7;
    /// `RLock`.
    pub const RLOCK: u8 = 8;
    /// `Semaphore`.
    pub const SEMAPHORE: u8 = 9;
    /// `BoundedSemaphore`.
    pub const BOUNDED_SEMAPHORE: u8 = 10;
    /// `Event`.
    pub const EVENT: u8 = 11;
    /// `Condition`: refers to its lock.
    pub const CONDITION: u8 = 12;
    /// `Barrier`.
    pub const BARRIER: u8 = 13;
    /// `Queue`.
    pub const QUEUE: u8 = 14;
    /// `JoinableQueue`: a queue under another name.
    pub const JOINABLE_QUEUE: u8 = 15;
    /// An object that lives in some process, its host.
    pub const HOSTED: u8 = 16;
    /// What a client and a host exchange messages through.
    pub const CHANNEL: u8 = 17;
    /// The bytes of a large value, which never change.
    pub const BUFFER: u8 = 18;

    /// The word that errors use for a kind.
    pub const fn name(kind: u8) -> &'static str {
        match kind {
            LIST => "list",
            DICT => "dict",
            SET => "set",
            NAMESPACE => "Namespace",
            VALUE => "Value",
            ARRAY => "Array",
            LOCK => "Lock",
            RLOCK => "RLock",
            SEMAPHORE => "Semaphore",
            BOUNDED_SEMAPHORE => "BoundedSemaphore",
            EVENT => "Event",
            CONDITION => "Condition",
            BARRIER => "Barrier",
            QUEUE => "Queue",
            JOINABLE_QUEUE => "JoinableQueue",
            HOSTED => "hosted object",
            CHANNEL => "channel",
            BUFFER => "buffer",
            _ => "unknown object",
        }
    }
}
