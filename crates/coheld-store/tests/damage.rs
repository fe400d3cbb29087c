//! Damaged bytes: an error or a wrong value, never a crash, never a hang.

mod common;

use coheld_shm::backing::{HeapBacking, SnapshotBacking};
use coheld_shm::{HostPlace, Segment};
use coheld_store::{
    Array, Channel, Dict, Hosted, Input, Key, KeyHasher, List, Namespace, Set, Slice, Value, kinds,
    verify,
};
use common::{Held, Item, inputs, options};
use proptest::prelude::*;

/// Place and generation of each referent.
type Places = [(u64, u32); 6];

/// An image with a list, a value, an array, a dict, a channel and a hosted object, and where they
/// are.
fn image() -> (Vec<u8>, Places) {
    let backing = HeapBacking::new(1 << 20);
    let segment = Segment::create(Box::new(backing.clone()), &options()).unwrap();
    segment.join().unwrap();
    let list = Held::new(&segment, kinds::referent::LIST, 0);
    let value = Held::new(&segment, kinds::referent::VALUE, 0);
    let array = Held::new(&segment, kinds::referent::ARRAY, Array::auxiliary(b'h', 2));
    let pickle = Item::Block {
        kind: kinds::block::PICKLE,
        bytes: vec![7; 21],
        edges: vec![value.edge(), array.edge()],
    };
    let values = [
        Item::int(1),
        Item::text("more than seven"),
        Item::Edge(value.edge()),
        pickle,
        Item::int(5),
    ];
    List::new(&list.referent)
        .extend(&inputs(&values), None)
        .unwrap();
    Value::new(&value.referent)
        .set(&Input::str("a text of some length"))
        .unwrap();
    Array::new(&array.referent).replace(&[1; 30]).unwrap();
    let dict = Held::new(&segment, kinds::referent::DICT, 0);
    let hasher = KeyHasher::new(segment.secret());
    for (name, value) in ["a", "bc", "a long name", "another long name"]
        .iter()
        .zip(&values)
    {
        Dict::new(&dict.referent)
            .insert(&Key::str(name, &hasher), &value.input())
            .unwrap();
    }
    let place = |held: &Held<'_>| (held.referent.offset(), held.referent.generation());
    let channel = Held::new(&segment, kinds::referent::CHANNEL, 0);
    let own = segment.own_tag().unwrap();
    Channel::prepare(&channel.referent, own).unwrap();
    let open = Channel::open(&channel.referent).unwrap();
    open.post(&[3; 2000]).unwrap();
    open.take_request().unwrap();
    open.answer(&[5; 2000]).unwrap();
    let hosted = Held::new(&segment, kinds::referent::HOSTED, 0);
    let host = HostPlace {
        inbox: list.referent.offset(),
        generation: list.referent.generation(),
        tag: own,
    };
    Hosted::fill(&hosted.referent, host, 1).unwrap();
    let places = [&list, &value, &array, &dict, &channel, &hosted].map(place);
    (backing.image(), places)
}

/// The words whose damage is tried: all that are not zero, and those around them, in the heap.
fn targets(image: &[u8], places: &Places) -> Vec<usize> {
    let heap = places[0].0 as usize / 65_536 * 65_536;
    let used = |at: usize| image[at..at + 8] != [0; 8];
    (heap / 8 + 1..image.len() / 8 - 1)
        .map(|word| 8 * word)
        // The lock words are `coheld-shm`'s to test: a lock that names us is a lock we wait for.
        .filter(|&at| places.iter().all(|place| place.0 as usize != at))
        .filter(|&at| used(at) || used(at - 8) || used(at + 8))
        .collect()
}

/// Does a bit of everything; only that it ends is of interest.
fn exercise(segment: &Segment, places: &Places) {
    let _ = verify(segment);
    let [list, value, array, dict, channel, hosted] =
        places.map(|place| segment.referent(place.0, place.1));
    let (Ok(list), Ok(value), Ok(array), Ok(dict)) = (list, value, array, dict) else {
        return;
    };
    let (Ok(channel), Ok(hosted)) = (channel, hosted) else {
        return;
    };
    let news = [Item::int(8), Item::text("quite a long text")];
    let news = inputs(&news);
    if let Ok(guard) = list.lock() {
        drop(guard);
        let list = List::new(&list);
        for index in -1..5 {
            let _ = list.get(index);
        }
        let _ = (
            list.snapshot().map(|taken| taken.len()),
            list.find(0x11, 0, 10),
            list.count(0x11),
        );
        let _ = list
            .slice(Slice {
                start: None,
                stop: None,
                step: Some(-2),
            })
            .map(|it| it.len());
        let _ = (
            list.append(&news[0]),
            list.append(&news[1]),
            list.set(1, &news[0]),
        );
        let _ = (
            list.insert(0, &news[1]),
            list.pop(0),
            list.pop(2),
            list.pop(-1),
        );
        let _ = (list.reverse(), list.repeat(2), list.delete(3, None));
        let _ = (
            list.set_slice(Slice::range(1, 3), &news, None),
            list.permute(&[1, 0], None),
        );
        let _ = (list.delete_slice(Slice::range(0, 2), None), list.clear());
    }
    let value = Value::new(&value);
    let _ = (value.get(), value.set(&news[1]), value.set(&news[0]));
    let array = Array::new(&array);
    let _ = (
        array.get(1),
        array.set(-1, 5),
        array.to_bytes(),
        array.replace(&[1; 6]),
    );
    if dict.kind() == kinds::referent::DICT {
        exercise_dict(segment, Dict::new(&dict), &news);
    }
    if let Ok(channel) = Channel::open(&channel) {
        exercise_channel(channel);
    }
    let hosted = Hosted::new(&hosted);
    let _ = (hosted.place(), hosted.former_kind());
    for place in places {
        let _ = segment.release(place.0, place.1);
    }
    let _ = verify(segment);
}

fn exercise_channel(channel: Channel<'_>) {
    let _ = (channel.client(), channel.host(), channel.accept(1));
    let _ = channel.take_reply().map(|reply| reply.map(|it| it.len()));
    for length in [2000, 10] {
        let _ = channel.post(&vec![1; length]);
        let _ = channel.take_request().map(|it| it.map(|it| it.len()));
        let _ = channel.answer(&vec![2; length]);
        let _ = (channel.spin_for_reply(), channel.take_reply());
    }
    let _ = (channel.close(), channel.is_closed());
}

fn exercise_dict(segment: &Segment, dict: Dict<'_>, news: &[Input<'_>]) {
    let hasher = KeyHasher::new(segment.secret());
    let [first, second, third] = ["a", "a long name", "new"].map(|name| Key::str(name, &hasher));
    let _ = (
        dict.len(),
        dict.get(&first),
        dict.get(&second),
        dict.get(&third),
    );
    let _ = dict.snapshot_items().map(|taken| taken.len());
    let _ = (
        dict.insert(&second, &news[0]),
        dict.insert(&third, &news[1]),
    );
    let _ = (dict.remove(&first), dict.delete(&second), dict.pop_last());
    let _ = dict.update(&[(first, news[1]), (third, news[0])]);
    let _ = (dict.snapshot_keys().map(|taken| taken.len()), dict.clear());
}

/// A view of the image, damaged at one word, as a member that was in it.
fn damaged(image: &[u8], at: usize, word: u64) -> Option<Segment> {
    let mut image = image.to_vec();
    image[at..at + 8].copy_from_slice(&word.to_le_bytes());
    let segment = Segment::attach(Box::new(SnapshotBacking::new(&image, &[]))).ok()?;
    segment.join().ok()?;
    Some(segment)
}

#[test]
fn every_word_may_turn_into_anything() {
    let (image, places) = image();
    let heap = places[0].0;
    for at in targets(&image, &places) {
        let old = u64::from_le_bytes(image[at..at + 8].try_into().unwrap());
        for word in [
            0,
            6,
            7,
            u64::MAX,
            old ^ 16,
            old ^ 1,
            old + (1 << 32),
            old << 8,
            heap | 6,
            heap | 7,
        ] {
            if let Some(segment) = damaged(&image, at, word) {
                exercise(&segment, &places);
            }
        }
    }
}

/// The constructors took the kind in the segment for a promise of their callers: in a build with
/// debug assertions a damaged kind was a panic.
#[test]
fn a_referent_of_another_kind_is_an_error() {
    let segment = common::segment(1 << 20);
    let list = Held::new(&segment, kinds::referent::LIST, 0);
    List::new(&list.referent)
        .append(&Input::str("a text of some length"))
        .unwrap();
    let hasher = KeyHasher::new(segment.secret());
    let key = Key::str("a", &hasher);
    assert!(Dict::new(&list.referent).get(&key).is_err());
    assert!(Set::new(&list.referent).contains(&key).is_err());
    assert!(Namespace::new(&list.referent).get(&key).is_err());
}

proptest! {
    #[test]
    fn any_word_may_turn_into_anything(pick in any::<proptest::sample::Index>(), word: u64) {
        let (image, places) = image();
        let targets = targets(&image, &places);
        if let Some(segment) = damaged(&image, *pick.get(&targets), word) {
            exercise(&segment, &places);
        }
    }
}
