//! The image that is damaged: a segment with a bit of everything in it, in the middle of its life.

use std::mem::forget;

use coheld_shm::backing::HeapBacking;
use coheld_shm::{Fate, HostPlace, Options, Referent, Segment, word as ownership};
use coheld_store::kinds::referent as kind;
use coheld_store::{
    Array, Barrier, Buffer, Channel, Condition, Dict, Event, Hosted, Input, Key, KeyHasher, List,
    Lock, MENDER, Namespace, Purpose, Queue, Result, Semaphore, Set, Standing, TupleKey, Value,
    Wait, move_to_host,
};

use crate::random::Random;

/// Bytes of the image. Every size class that is in use takes a page of 64 KiB.
const CAPACITY: u64 = 3 << 20;
/// Words that are at least so far apart belong to different parts.
const GAP: usize = 1024;

/// A segment at one moment.
pub struct Scene {
    /// Which of them.
    pub number: u64,
    /// All of its bytes.
    pub image: Vec<u8>,
    /// Place and generation of each referent.
    pub places: Vec<(u64, u32)>,
    /// Kind of each referent.
    pub kinds: Vec<u8>,
    /// Slots of members that died.
    pub dead: Vec<u32>,
    /// Offsets of the words that are not zero: those of the header, of the members, of each page of
    /// the heap.
    pub parts: Vec<Vec<usize>>,
}

/// Who takes part.
struct Cast {
    /// Lives.
    maker: Segment,
    /// Lives, and waits for many things.
    waiter: Segment,
    /// Dies with things in its hands.
    doomed: Segment,
    /// Dies in the middle of what it does.
    hasty: Segment,
    places: Vec<(u64, u32)>,
    kinds: Vec<u8>,
}

impl Scene {
    /// Makes the scene of this number: the same things, in other numbers and sizes.
    ///
    /// # Panics
    ///
    /// If the store refuses something that it must not.
    #[must_use]
    pub fn new(number: u64) -> Self {
        let backing = HeapBacking::new(CAPACITY);
        let options = Options {
            member_limit: 8,
            lanes_per_member: 4,
            secret: [number, 7],
            flags: u32::from(number % 2 == 1) * coheld_store::sync::OWNER_DEATH_IS_AN_ERROR,
            ..Options::default()
        };
        let maker = Segment::create(Box::new(backing.clone()), &options);
        let member = || Segment::attach(Box::new(backing.clone()));
        let mut cast = Cast {
            maker: maker.expect("a fresh segment"),
            waiter: member().expect("a member"),
            doomed: member().expect("a member"),
            hasty: member().expect("a member"),
            places: Vec::new(),
            kinds: Vec::new(),
        };
        for member in [&cast.maker, &cast.waiter, &cast.doomed, &cast.hasty] {
            member.set_mender(MENDER);
            member.join().expect("a free slot");
        }
        let mut random = Random::new(number);
        cast.fill(&mut random)
            .expect("there is room for everything");
        let dead: Vec<u32> = [&cast.doomed, &cast.hasty]
            .iter()
            .filter_map(|member| member.own_slot())
            .collect();
        let image = backing.image();
        let Cast { places, kinds, .. } = cast;
        Self {
            number,
            parts: parts(&image),
            image,
            places,
            kinds,
            dead,
        }
    }
}

fn parts(image: &[u8]) -> Vec<Vec<usize>> {
    let used = image.chunks_exact(8).enumerate();
    let used = used.filter(|(_, word)| *word != [0; 8]);
    let mut parts: Vec<Vec<usize>> = Vec::new();
    for at in used.map(|(index, _)| 8 * index) {
        match parts.last_mut() {
            Some(part) if part.last().is_some_and(|last| at - last < GAP) => part.push(at),
            _ => parts.push(vec![at]),
        }
    }
    parts
}

impl Cast {
    /// A referent that the maker holds.
    fn make(&mut self, kind: u8, auxiliary: u64) -> Result<(u64, u32)> {
        let place = self.maker.create_referent(kind, auxiliary)?;
        self.places.push(place);
        self.kinds.push(kind);
        Ok(place)
    }

    fn fill(&mut self, random: &mut Random) -> Result<()> {
        let values = self.containers(random)?;
        self.waiting(random)?;
        self.channels(random)?;
        self.left_by_the_dead(values)?;
        self.large_bytes()
    }

    /// Bytes that are a referent of their own, in a list. Last, so that everything else lies where
    /// the kept damages mean it.
    fn large_bytes(&mut self) -> Result<()> {
        let buffer = self.make(kind::BUFFER, 0)?;
        Buffer::new(&seen(&self.maker, buffer)?).fill(&[8; 3000])?;
        let list = self.make(kind::LIST, 0)?;
        List::new(&seen(&self.maker, list)?).append(&Input::Edge(edge(buffer)))
    }

    /// Lists, dicts, sets, namespaces, values, arrays. The place of a value that others name.
    fn containers(&mut self, random: &mut Random) -> Result<(u64, u32)> {
        let inner = self.make(kind::VALUE, 0)?;
        Value::new(&seen(&self.maker, inner)?).set(&Input::str("a text of some length"))?;
        let array = self.make(kind::ARRAY, Array::auxiliary(b'i', 4))?;
        let numbers = vec![3; 4 * (20 + random.below(40))];
        Array::new(&seen(&self.maker, array)?).replace(&numbers)?;
        let edges = [edge(inner), edge(array)];
        let pickle = vec![9; 30 + random.below(50)];
        let long = "a long text ".repeat(20 + random.below(200));
        let mut numbers = [[0; 8]; 3];
        let [one, two, three] = &mut numbers;
        let values = [
            Input::int(1, one),
            Input::int(i64::MAX, two),
            Input::float(1.0 / 3.0, three),
            Input::str("short"),
            Input::str(&long),
            Input::bytes(&pickle),
            Input::pickle(&pickle, &edges),
            Input::Edge(edge(inner)),
        ];
        for count in [1, 8 + random.below(60)] {
            let place = self.make(kind::LIST, 0)?;
            let list = seen(&self.maker, place)?;
            let list = List::new(&list);
            for index in 0..count {
                list.append(&values[index % values.len()])?;
            }
            list.pop(0).map(|output| release(&self.maker, output))?;
            list.insert(0, &values[4])?;
        }
        // Large enough to have pages of its own.
        let place = self.make(kind::LIST, 0)?;
        List::new(&seen(&self.maker, place)?).extend(&vec![values[0]; 9_000], None)?;
        let hasher = KeyHasher::new(self.maker.secret());
        let names: Vec<String> = (0..40 + random.below(30))
            .map(|index| format!("key {}", "x".repeat(index)))
            .collect();
        let tuple = tuple_key()?;
        for kind in [kind::DICT, kind::NAMESPACE] {
            let place = self.make(kind, 0)?;
            let dict = seen(&self.maker, place)?;
            let dict = if kind == kind::DICT {
                Dict::new(&dict)
            } else {
                Namespace::new(&dict).dict()
            };
            for (name, value) in names.iter().zip(values.iter().cycle()) {
                dict.insert(&Key::str(name, &hasher), value)?;
            }
            for name in names.iter().step_by(3) {
                dict.delete(&Key::str(name, &hasher))?;
            }
            if kind == kind::DICT {
                dict.insert(&Key::from_tuple(&tuple, &hasher), &values[6])?;
            }
        }
        let place = self.make(kind::SET, 0)?;
        let set = seen(&self.maker, place)?;
        let set = Set::new(&set);
        for name in &names {
            set.add(&Key::str(name, &hasher))?;
        }
        set.add(&Key::from_tuple(&tuple, &hasher))?;
        if let Some(output) = set.pop_any()? {
            release(&self.maker, output);
        }
        let doubled = self.make(kind::VALUE, 0)?;
        Value::new(&seen(&self.maker, doubled)?).set(&values[6])?;
        // A lease that somebody has taken along, and one that has been read and not adopted.
        self.maker.lease(doubled.0, doubled.1)?;
        self.waiter.lease_edge(edge(inner))?;
        self.doomed.lease_edge(edge(array))?;
        Ok(inner)
    }

    /// What members wait for, and members that wait for it.
    fn waiting(&mut self, random: &mut Random) -> Result<()> {
        for kind in [kind::LOCK, kind::RLOCK] {
            for owner in 0..3 {
                let place = self.make(kind, 0)?;
                let member = [&self.maker, &self.doomed, &self.waiter][owner];
                Lock::new(&seen(member, place)?).acquire(Wait::No)?;
                self.stand(place, Purpose::Acquire, 1 + random.below(2))?;
            }
        }
        for kind in [kind::SEMAPHORE, kind::BOUNDED_SEMAPHORE] {
            let place = self.make(kind, 0)?;
            Semaphore::new(&seen(&self.maker, place)?).initialize(2)?;
            for member in [&self.doomed, &self.waiter] {
                Semaphore::new(&seen(member, place)?).acquire(Wait::No)?;
            }
            self.stand(place, Purpose::Acquire, 2)?;
        }
        let event = self.make(kind::EVENT, 0)?;
        self.stand(event, Purpose::Event, 2)?;
        let set = self.make(kind::EVENT, 0)?;
        Event::new(&seen(&self.maker, set)?).set()?;
        let lock = self.make(kind::RLOCK, 0)?;
        let condition = self.make(kind::CONDITION, 0)?;
        Condition::new(&seen(&self.maker, condition)?).initialize(&Input::Edge(edge(lock)))?;
        for member in [&self.waiter, &self.doomed, &self.maker] {
            let referent = seen(member, condition)?;
            let condition = Condition::new(&referent);
            condition.acquire(Wait::No)?;
            if std::ptr::eq(member, &raw const self.maker) {
                condition.notify(1)?;
                condition.release()?;
            } else {
                forget(condition.stand()?);
            }
        }
        let barrier = self.make(kind::BARRIER, 3)?;
        let configuration = Input::pickle(b"(None, None)", &[]);
        Barrier::new(&seen(&self.maker, barrier)?).initialize(&configuration)?;
        for member in [&self.waiter, &self.doomed] {
            let referent = seen(member, barrier)?;
            forget(Barrier::new(&referent).arrive::<()>(Wait::Forever, None)?);
        }
        self.queues()
    }

    fn queues(&mut self) -> Result<()> {
        let text = Input::str("an item that needs a block");
        let mut number = [0; 8];
        let number = Input::int(5, &mut number);
        for kind in [kind::QUEUE, kind::JOINABLE_QUEUE] {
            let full = self.make(kind, Queue::auxiliary(4))?;
            let queue = seen(&self.maker, full)?;
            for item in [text, number, text, text] {
                Queue::new(&queue).put(&item, Wait::No)?;
            }
            self.stand(full, Purpose::Put, 2)?;
            self.stand(full, Purpose::Join, 1)?;
            let empty = self.make(kind, Queue::auxiliary(0))?;
            self.stand(empty, Purpose::Get, 2)?;
            let queue = seen(&self.maker, empty)?;
            // Whoever is told of it has not come yet.
            Queue::new(&queue).put(&text, Wait::No)?;
        }
        Ok(())
    }

    /// Channels and what is reached through them.
    fn channels(&mut self, random: &mut Random) -> Result<()> {
        let inbox = self.make(kind::QUEUE, 0)?;
        let host = HostPlace {
            inbox: inbox.0,
            generation: inbox.1,
            tag: self.waiter.own_tag()?,
        };
        for length in [40, 1_000, 5_000 + random.below(100_000)] {
            let place = self.make(kind::CHANNEL, 0)?;
            let client = seen(&self.maker, place)?;
            Channel::prepare(&client, self.maker.own_tag()?)?;
            let client = Channel::open(&client)?;
            client.post(&vec![3; length])?;
            let at_host = seen(&self.waiter, place)?;
            let at_host = Channel::open(&at_host)?;
            at_host.accept(self.waiter.own_tag()?)?;
            if length != 1_000 {
                at_host.take_request()?;
                at_host.answer(&vec![4; length])?;
            }
        }
        let hosted = self.make(kind::HOSTED, 0)?;
        Hosted::fill(&seen(&self.maker, hosted)?, host, 12)?;
        let moved = self.make(kind::DICT, 0)?;
        let moved = seen(&self.maker, moved)?;
        let hasher = KeyHasher::new(self.maker.secret());
        Dict::new(&moved).insert(&Key::str("k", &hasher), &Input::str("v"))?;
        let (_, version) = Dict::new(&moved).size_and_version()?;
        move_to_host(&moved, host, 13, version)?;
        self.maker.set_manager_host(host);
        Ok(())
    }

    /// Operations that a member was in the middle of when it died, and what else is half done.
    fn left_by_the_dead(&mut self, inner: (u64, u32)) -> Result<()> {
        let mut number = [0; 8];
        let number = Input::int(5, &mut number);
        // The lock of a list, an undo journal, a new block and an old one.
        let list = self.make(kind::LIST, 0)?;
        List::new(&seen(&self.maker, list)?).extend(&[number; 12], None)?;
        {
            let hasty = &self.hasty;
            let referent = seen(hasty, list)?;
            let mut operation = hasty.begin()?;
            let journal = operation.allocate_journal(4, coheld_store::kinds::block::JOURNAL)?;
            operation.allocate(
                200,
                coheld_store::kinds::block::BYTES,
                Fate::Tree,
                Fate::Keep,
            )?;
            operation.edge(edge(inner), Fate::Tree, Fate::Keep)?;
            let guard = referent.lock()?;
            let root = hasty.block(guard.root())?.payload();
            operation.arm_journal(&guard, journal, [root, root + 8, guard.root_cell()])?;
            hasty.store(root, 7)?;
            forget(guard);
            forget(operation);
        }
        // The lock of a dict, with nothing done.
        let dict = self.make(kind::DICT, 0)?;
        forget(seen(&self.hasty, dict)?.lock()?);
        // A lock of one that lives.
        let value = self.make(kind::VALUE, 0)?;
        forget(seen(&self.waiter, value)?.lock()?);
        // A referent that only the dead hold, and one that others give way for.
        let reserved = self.make(kind::LIST, 0)?;
        List::new(&seen(&self.maker, reserved)?).extend(&[number; 3], None)?;
        let gone = self.make(kind::SET, 0)?;
        seen(&self.doomed, gone)?;
        self.maker.release(gone.0, gone.1)?;
        // A child that is being forked.
        self.maker.prepare_fork([inner, reserved])?;
        forget(seen(&self.doomed, reserved)?.reserve()?);
        Ok(())
    }

    /// Has the member that waits, and one that is dead by now, stand in line.
    fn stand(&self, place: (u64, u32), purpose: Purpose, count: usize) -> Result<()> {
        for member in [&self.waiter, &self.doomed].into_iter().take(count) {
            forget(Standing::new(&seen(member, place)?, purpose)?);
        }
        Ok(())
    }
}

fn edge(place: (u64, u32)) -> u64 {
    ownership::of_edge(place.0, place.1)
}

/// A member's view of a referent that it holds from now on.
fn seen(member: &Segment, place: (u64, u32)) -> Result<Referent<'_>> {
    member.acquire(place.0, place.1)?;
    Ok(member.referent(place.0, place.1)?)
}

/// Gives back what an output keeps.
pub fn release(segment: &Segment, output: coheld_store::Output) {
    let leases = match output {
        coheld_store::Output::Word(_) => Vec::new(),
        coheld_store::Output::Block { edges, .. } => edges,
        coheld_store::Output::Edge(lease) => vec![lease],
    };
    for lease in leases {
        // Of a damaged image, it may fail.
        let _ = segment.drop_lease(lease);
    }
}

/// The key `(1, "two", b"three")`.
pub fn tuple_key() -> Result<TupleKey> {
    let mut builder = coheld_store::CanonicalBuilder::new();
    builder.begin_tuple(3);
    builder.int(1);
    builder.str(b"two");
    builder.bytes(b"three");
    builder.finish(b"(I1\nS'two'\nC\x05threet.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scene_is_a_segment_with_every_kind_of_referent() {
        let scene = Scene::new(1);
        for kind in kind::LIST..=kind::CHANNEL {
            assert!(scene.kinds.contains(&kind), "{}", kind::name(kind));
        }
        assert!(scene.parts.len() > 10, "{}", scene.parts.len());
        assert_eq!(scene.dead.len(), 2);
        assert_eq!(Scene::new(1).image.len(), scene.image.len());
    }
}
