//! What the tests of the store share: a segment in ordinary memory, and values to put into it.
#![allow(dead_code, reason = "each test file uses its part")]

use std::time::Duration;

use coheld_shm::backing::HeapBacking;
use coheld_shm::{Lease, Options, Referent, Segment, word as ownership};
use coheld_store::{Channel, Input, Output, OutputRef, Report, Snapshot, kinds, verify, word};
use proptest::collection::vec;
use proptest::prelude::*;

/// A segment of `capacity` bytes, joined by this "process".
pub fn segment(capacity: u64) -> Segment {
    let backing = HeapBacking::new(capacity);
    let segment = Segment::create(Box::new(backing), &options()).expect("a fresh segment");
    segment.join().expect("a free slot");
    segment
}

/// Small tables, so that a segment of a few hundred KiB has room for values.
pub fn options() -> Options {
    Options {
        member_limit: 4,
        lanes_per_member: 4,
        ..Options::default()
    }
}

/// A referent that this process holds.
pub struct Held<'s> {
    pub referent: Referent<'s>,
}

impl<'s> Held<'s> {
    pub fn new(segment: &'s Segment, kind: u8, auxiliary: u64) -> Self {
        let (offset, generation) = segment
            .create_referent(kind, auxiliary)
            .expect("a referent");
        Self {
            referent: segment.referent(offset, generation).expect("its place"),
        }
    }

    /// The word of an edge to it.
    pub fn edge(&self) -> u64 {
        ownership::of_edge(self.referent.offset(), self.referent.generation())
    }

    /// Lets go of it.
    pub fn release(self) {
        let (offset, generation) = (self.referent.offset(), self.referent.generation());
        self.referent
            .segment()
            .release(offset, generation)
            .expect("it was held");
    }
}

/// A value as the tests see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    Word(u64),
    Block {
        kind: u8,
        bytes: Vec<u8>,
        edges: Vec<u64>,
    },
    Edge(u64),
}

impl Item {
    pub fn int(value: i64) -> Self {
        Self::Word(word::from_int(value).expect("a small integer"))
    }

    pub fn text(text: &str) -> Self {
        Self::of(&Input::str(text))
    }

    pub fn of(input: &Input<'_>) -> Self {
        match *input {
            Input::Word(word) => Self::Word(word),
            Input::Block { kind, bytes, edges } => Self::Block {
                kind,
                bytes: bytes.to_vec(),
                edges: edges.to_vec(),
            },
            Input::Edge(word) => Self::Edge(word),
        }
    }

    pub fn input(&self) -> Input<'_> {
        match self {
            Self::Word(word) => Input::Word(*word),
            Self::Block { kind, bytes, edges } => Input::Block {
                kind: *kind,
                bytes,
                edges,
            },
            Self::Edge(word) => Input::Edge(*word),
        }
    }

    /// What was read, with its leases given back.
    pub fn taken(segment: &Segment, output: Output) -> Self {
        let give_back = |lease: Lease| {
            segment.drop_lease(lease).expect("a live lease");
            lease.word
        };
        match output {
            Output::Word(word) => Self::Word(word),
            Output::Block { kind, bytes, edges } => Self::Block {
                kind,
                bytes,
                edges: edges.into_iter().map(give_back).collect(),
            },
            Output::Edge(lease) => Self::Edge(give_back(lease)),
        }
    }
}

/// The values of a snapshot, with its leases given back.
pub fn items(segment: &Segment, snapshot: Snapshot) -> Vec<Item> {
    let item = |output: OutputRef<'_>| match output {
        OutputRef::Word(word) => Item::Word(word),
        OutputRef::Block { kind, bytes, edges } => Item::Block {
            kind,
            bytes: bytes.to_vec(),
            edges: edges.iter().map(|lease| lease.word).collect(),
        },
        OutputRef::Edge(lease) => Item::Edge(lease.word),
    };
    let items = snapshot.iter().map(item).collect();
    snapshot.release(segment).expect("live leases");
    items
}

pub fn inputs(items: &[Item]) -> Vec<Input<'_>> {
    items.iter().map(Item::input).collect()
}

/// A sound segment's report; the problems otherwise.
pub fn sound(segment: &Segment) -> Report {
    match verify(segment) {
        Ok(report) => report,
        Err(problems) => {
            let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
            panic!("the segment is not sound:\n{}", lines.join("\n"));
        }
    }
}

/// Values of all shapes. An edge is given as the number of one of three referents.
pub fn any_item() -> impl Strategy<Value = Item> {
    prop_oneof![
        4 => (-3_i64..6).prop_map(Item::int),
        1 => Just(Item::Word(word::TRUE)),
        2 => "[a-z]{0,7}".prop_map(|text| Item::text(&text)),
        2 => "[a-z]{8,90}".prop_map(|text| Item::text(&text)),
        1 => (0_u64..3).prop_map(Item::Edge),
        1 => (vec(any::<u8>(), 0..40), vec(0_u64..3, 0..3))
            .prop_map(|(bytes, edges)| Item::Block { kind: kinds::block::PICKLE, bytes, edges }),
    ]
}

/// The item with the numbers of referents replaced by their edge words.
pub fn bind(item: &Item, edges: &[u64]) -> Item {
    match item {
        Item::Edge(number) => Item::Edge(edges[*number as usize]),
        Item::Block {
            kind,
            bytes,
            edges: numbers,
        } => Item::Block {
            kind: *kind,
            bytes: bytes.clone(),
            edges: numbers
                .iter()
                .map(|&number| edges[number as usize])
                .collect(),
        },
        Item::Word(_) => item.clone(),
    }
}

/// Members of one segment, and the memory that can declare them dead.
pub fn members(count: usize, options: &Options) -> (HeapBacking, Vec<Segment>) {
    let backing = HeapBacking::new(64 << 20);
    let mut members = vec![Segment::create(Box::new(backing.clone()), options).unwrap()];
    while members.len() < count {
        members.push(Segment::attach(Box::new(backing.clone())).unwrap());
    }
    for member in &members {
        member.set_mender(coheld_store::MENDER);
        member.join().unwrap();
    }
    (backing, members)
}

/// Another member's view of a referent.
pub fn seen<'s>(segment: &'s Segment, held: &Held<'_>) -> Referent<'s> {
    let (offset, generation) = (held.referent.offset(), held.referent.generation());
    segment.acquire(offset, generation).unwrap();
    segment.referent(offset, generation).unwrap()
}

/// The process that a member says it is.
pub fn process_of(member: &Segment) -> u32 {
    member.identity_of(member.own_slot().unwrap()).pid
}

/// Long enough to be sure that something hangs.
pub fn long() -> coheld_store::Wait {
    coheld_store::Wait::for_duration(Duration::from_secs(60))
}

/// Too short for anything to come.
pub fn short() -> coheld_store::Wait {
    coheld_store::Wait::for_duration(Duration::from_millis(15))
}

/// Waits for something that another thread does.
pub fn wait_until(what: impl Fn() -> bool) {
    while !what() {
        std::thread::yield_now();
    }
}

/// Two members of one segment.
pub fn pair() -> (Segment, Segment) {
    let (_, members) = members(2, &options());
    let mut members = members.into_iter();
    let mut next = || members.next().expect("a member");
    (next(), next())
}

/// A channel that `client` has made and that `host` holds too.
pub fn channel<'s>(client: &'s Segment, host: &'s Segment) -> [Held<'s>; 2] {
    let made = Held::new(client, kinds::referent::CHANNEL, 0);
    Channel::prepare(&made.referent, client.own_tag().unwrap()).unwrap();
    let (offset, generation) = (made.referent.offset(), made.referent.generation());
    host.acquire(offset, generation).unwrap();
    let referent = host.referent(offset, generation).unwrap();
    [made, Held { referent }]
}

/// The longest message of a channel that needs no block.
pub const INLINE: usize = 1856;

/// Some bytes.
pub fn message(length: usize, seed: u8) -> Vec<u8> {
    (0..length)
        .map(|at| (at as u8).wrapping_mul(31) ^ seed)
        .collect()
}
