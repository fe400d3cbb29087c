//! Channels between two members, and dicts that move to a host.

mod common;

use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use coheld_shm::backing::{HeapBacking, MemfdBacking};
use coheld_shm::os::child::Child;
use coheld_shm::{HostPlace, Referent, Segment};
use coheld_store::kinds::referent as kind;
use coheld_store::{
    Channel, Dict, Hosted, Input, Key, KeyHasher, MENDER, Set, StoreError, move_to_host,
};
use common::{Held, options, sound};
use proptest::prelude::*;

/// The longest message that needs no block.
const INLINE: usize = 1856;
const PATIENCE: Duration = Duration::from_millis(50);

/// A segment and a second member's view of it.
fn members() -> (Segment, Segment) {
    let backing = HeapBacking::new(64 << 20);
    let other = backing.clone();
    let first = Segment::create(Box::new(backing), &options()).unwrap();
    let second = Segment::attach(Box::new(other)).unwrap();
    for member in [&first, &second] {
        member.set_mender(MENDER);
        member.join().unwrap();
    }
    (first, second)
}

/// A channel that `client` has made and that `host` holds too.
fn channel<'s>(client: &'s Segment, host: &'s Segment) -> [Held<'s>; 2] {
    let made = Held::new(client, kind::CHANNEL, 0);
    Channel::prepare(&made.referent, client.own_tag().unwrap()).unwrap();
    let (offset, generation) = (made.referent.offset(), made.referent.generation());
    host.acquire(offset, generation).unwrap();
    let referent = host.referent(offset, generation).unwrap();
    [made, Held { referent }]
}

fn message(length: usize, seed: u8) -> Vec<u8> {
    (0..length)
        .map(|at| (at as u8).wrapping_mul(31) ^ seed)
        .collect()
}

fn call(client: &Channel<'_>, request: &[u8]) -> Result<Vec<u8>, StoreError> {
    client.post(request)?;
    loop {
        if let Some(reply) = client.take_reply()? {
            return Ok(reply);
        }
        if !client.spin_for_reply() {
            client.wait_for_reply(PATIENCE)?;
        }
    }
}

/// Answers with the request, the last byte first, until the channel is closed.
fn serve(referent: &Referent<'_>) -> u32 {
    let channel = Channel::open(referent).unwrap();
    channel
        .accept(referent.segment().own_tag().unwrap())
        .unwrap();
    let mut served = 0;
    loop {
        let request = match channel.take_request() {
            Ok(request) => request,
            Err(StoreError::Closed) => return served,
            Err(error) => panic!("{error}"),
        };
        let Some(mut request) = request else {
            channel.wait_for_request(PATIENCE).unwrap();
            continue;
        };
        request.reverse();
        served += 1;
        match channel.answer(&request) {
            Ok(()) => {}
            Err(StoreError::Closed) => return served,
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn every_request_gets_its_reply() {
    let (first, second) = members();
    let [mine, theirs] = channel(&first, &second);
    let lengths = [0, 1, 100, INLINE - 1, INLINE, INLINE + 1, 70_000, 3 << 20];
    scope(|scope| {
        let server = scope.spawn(|| serve(&theirs.referent));
        let client = Channel::open(&mine.referent).unwrap();
        for round in 0..200 {
            let request = message(lengths[round % lengths.len()], round as u8);
            let mut reply = call(&client, &request).unwrap();
            reply.reverse();
            assert!(reply == request, "another reply in round {round}");
        }
        assert_eq!(client.client().unwrap(), first.own_tag().unwrap());
        assert_eq!(client.host().unwrap(), second.own_tag().unwrap());
        client.close().unwrap();
        assert_eq!(server.join().unwrap(), 200);
    });
    // What was read is given back at once: only the channel's own block is left.
    assert_eq!(sound(&first).blocks, 1);
    mine.release();
    theirs.release();
    let report = sound(&second);
    assert_eq!((report.referents, report.blocks), (0, 0));
}

#[test]
fn a_message_out_of_turn_is_refused() {
    let (first, second) = members();
    let [mine, theirs] = channel(&first, &second);
    let client = Channel::open(&mine.referent).unwrap();
    let host = Channel::open(&theirs.referent).unwrap();
    assert!(matches!(host.answer(b"early"), Err(StoreError::OutOfTurn)));
    client.post(b"one").unwrap();
    assert!(matches!(client.post(b"two"), Err(StoreError::OutOfTurn)));
    assert!(matches!(host.answer(b"unread"), Err(StoreError::OutOfTurn)));
    assert_eq!(host.take_request().unwrap().unwrap(), b"one");
    assert!(host.take_request().unwrap().is_none());
    host.answer(b"1").unwrap();
    assert!(matches!(host.answer(b"again"), Err(StoreError::OutOfTurn)));
    assert!(matches!(client.post(b"two"), Err(StoreError::OutOfTurn)));
    assert_eq!(client.take_reply().unwrap().unwrap(), b"1");
    assert!(client.take_reply().unwrap().is_none());
    client.post(b"two").unwrap();
    assert_eq!(host.take_request().unwrap().unwrap(), b"two");
    let again = Channel::prepare(&mine.referent, first.own_tag().unwrap());
    assert!(matches!(again, Err(StoreError::OutOfTurn)));
    sound(&first);
}

#[test]
fn a_reply_that_came_before_the_end_can_be_taken_after_it() {
    let (first, second) = members();
    let [mine, theirs] = channel(&first, &second);
    let client = Channel::open(&mine.referent).unwrap();
    let host = Channel::open(&theirs.referent).unwrap();
    let large = message(INLINE + 1, 3);
    client.post(b"last").unwrap();
    host.take_request().unwrap().unwrap();
    host.answer(&large).unwrap();
    host.close().unwrap();
    assert!(client.is_closed().unwrap());
    assert!(matches!(client.post(b"more"), Err(StoreError::Closed)));
    assert_eq!(client.take_reply().unwrap().unwrap(), large);
    assert!(matches!(client.take_reply(), Err(StoreError::Closed)));
    assert!(client.spin_for_reply());
    client.wait_for_reply(Duration::from_secs(60)).unwrap();
    sound(&first);
}

#[test]
fn a_client_that_leaves_is_not_served_any_more() {
    let (first, second) = members();
    let [mine, theirs] = channel(&first, &second);
    let client = Channel::open(&mine.referent).unwrap();
    let host = Channel::open(&theirs.referent).unwrap();
    client.post(&message(100_000, 1)).unwrap();
    client.close().unwrap();
    assert!(matches!(host.take_request(), Err(StoreError::Closed)));
    assert!(matches!(host.answer(b"late"), Err(StoreError::Closed)));
    host.wait_for_request(Duration::from_secs(60)).unwrap();
    // The request that nobody took goes with the channel.
    assert_eq!(sound(&first).blocks, 2);
    mine.release();
    theirs.release();
    assert_eq!(sound(&first).blocks, 0);
}

#[test]
fn the_end_wakes_who_sleeps() {
    let (first, second) = members();
    let [mine, theirs] = channel(&first, &second);
    scope(|scope| {
        let reader = scope.spawn(|| {
            let client = Channel::open(&mine.referent).unwrap();
            client.post(b"to nobody").unwrap();
            let begun = Instant::now();
            while !client.is_closed().unwrap() {
                client.wait_for_reply(Duration::from_secs(60)).unwrap();
            }
            begun.elapsed()
        });
        sleep(Duration::from_millis(50));
        Channel::open(&theirs.referent).unwrap().close().unwrap();
        assert!(reader.join().unwrap() < Duration::from_secs(30));
    });
}

#[test]
fn what_is_no_channel_is_not_opened() {
    let segment = common::segment(1 << 20);
    let list = Held::new(&segment, kind::LIST, 0);
    let found = Channel::open(&list.referent).map(drop);
    assert!(matches!(
        found,
        Err(StoreError::WrongKind {
            expected: kind::CHANNEL,
            found: kind::LIST
        })
    ));
    let bare = Held::new(&segment, kind::CHANNEL, 0);
    assert!(Channel::open(&bare.referent).is_err());
    assert!(Channel::prepare(&list.referent, 1).is_err());
    assert_eq!(sound(&segment).blocks, 0);
}

/// Serves in a child until it is killed or told to end; the parent's view of it.
fn serving_child(segment: &Segment, place: (u64, u32)) -> Child {
    Child::fork(|| {
        segment.acquire(place.0, place.1).unwrap();
        let referent = segment.referent(place.0, place.1).unwrap();
        serve(&referent);
        segment.release(place.0, place.1).unwrap();
        true
    })
    .unwrap()
}

fn shared() -> Segment {
    let backing = MemfdBacking::create(64 << 20).unwrap();
    let segment = Segment::create(Box::new(backing), &options()).unwrap();
    segment.set_mender(MENDER);
    segment.join().unwrap();
    segment
}

#[test]
fn two_processes_call_each_other() {
    let segment = shared();
    let held = Held::new(&segment, kind::CHANNEL, 0);
    Channel::prepare(&held.referent, segment.own_tag().unwrap()).unwrap();
    let child = serving_child(
        &segment,
        (held.referent.offset(), held.referent.generation()),
    );
    let client = Channel::open(&held.referent).unwrap();
    for round in 0..2_000 {
        let length = if round % 50 == 0 { 10_000 } else { round };
        let request = message(length, round as u8);
        let mut reply = call(&client, &request).unwrap();
        reply.reverse();
        assert!(reply == request, "another reply in round {round}");
    }
    client.close().unwrap();
    assert!(child.said_yes().unwrap());
    held.release();
    segment.reap_dead();
    let report = sound(&segment);
    assert_eq!((report.referents, report.blocks), (0, 0));
}

#[test]
fn a_host_that_is_killed_is_found_dead() {
    let segment = shared();
    for round in 0..20 {
        let held = Held::new(&segment, kind::CHANNEL, 0);
        Channel::prepare(&held.referent, segment.own_tag().unwrap()).unwrap();
        let place = (held.referent.offset(), held.referent.generation());
        let child = serving_child(&segment, place);
        let client = Channel::open(&held.referent).unwrap();
        for _ in 0..round {
            call(&client, &message(3_000, 5)).unwrap();
        }
        while client.host().unwrap() == 0 {
            sleep(Duration::from_millis(1));
        }
        let host = client.host().unwrap();
        assert!(segment.is_alive(host) && segment.is_current_member(host));
        client.post(&message(3_000, 5)).unwrap();
        child.kill().unwrap();
        assert!(!segment.is_alive(host));
        // It may have answered just before.
        client.wait_for_reply(Duration::from_millis(1)).unwrap();
        client.take_reply().unwrap();
        segment.reap_dead();
        assert!(!segment.is_current_member(host));
        held.release();
        let report = sound(&segment);
        assert_eq!((report.referents, report.blocks), (0, 0));
    }
}

#[test]
fn the_host_of_the_manager_is_found_in_the_header() {
    let (first, second) = members();
    assert_eq!(second.manager_host(), None);
    assert_eq!(second.call_limit(), None);
    let place = HostPlace {
        inbox: 0x12340,
        generation: 7,
        tag: first.own_tag().unwrap(),
    };
    first.set_manager_host(place);
    first.set_call_limit(Some(Duration::from_millis(1500)));
    assert_eq!(second.manager_host(), Some(place));
    assert_eq!(second.call_limit(), Some(Duration::from_millis(1500)));
    first.set_call_limit(None);
    assert_eq!(second.call_limit(), None);
    assert!(!first.is_current_member(0));
    assert!(first.is_current_member(second.own_tag().unwrap()));
}

// ---- Hosted referents -------------------------------------------------------------------------

const PLACE: HostPlace = HostPlace {
    inbox: 0x4_0000,
    generation: 3,
    tag: 1 << 10,
};

#[test]
fn a_hosted_referent_says_where_its_object_is() {
    let (first, second) = members();
    let held = Held::new(&first, kind::HOSTED, 0);
    let hosted = Hosted::new(&held.referent);
    assert!(hosted.place().is_err(), "nobody has filled it");
    Hosted::fill(&held.referent, PLACE, 9).unwrap();
    let (offset, generation) = (held.referent.offset(), held.referent.generation());
    let theirs = second.referent(offset, generation).unwrap();
    assert_eq!(Hosted::new(&theirs).place().unwrap(), (PLACE, 9));
    assert_eq!(hosted.former_kind().unwrap(), None);
    assert_eq!(sound(&first).referents, 1);
    held.release();
    assert!(matches!(
        Hosted::new(&theirs).place(),
        Err(StoreError::Shm(coheld_shm::Error::ReferentGone { .. }))
    ));
}

fn moved<T>(found: Result<T, StoreError>) -> bool {
    matches!(found, Err(StoreError::Moved))
}

#[test]
fn everybody_notices_that_a_dict_has_moved() {
    let (first, second) = members();
    let inner = Held::new(&first, kind::LIST, 0);
    let held = Held::new(&first, kind::DICT, 0);
    let (offset, generation) = (held.referent.offset(), held.referent.generation());
    let hasher = KeyHasher::new(first.secret());
    let key = Key::str("a key in a block", &hasher);
    let dict = Dict::new(&held.referent);
    dict.insert(&key, &Input::Edge(inner.edge())).unwrap();
    dict.insert(&Key::str("n", &hasher), &Input::NONE).unwrap();
    second.acquire(offset, generation).unwrap();
    let theirs = second.referent(offset, generation).unwrap();
    let other = Dict::new(&theirs);
    assert!(other.contains(&key).unwrap());

    let version = dict.version().unwrap();
    dict.insert(&Key::str("m", &hasher), &Input::NONE).unwrap();
    let changed = move_to_host(&held.referent, PLACE, 5, version);
    assert!(matches!(changed, Err(StoreError::Changed)));
    assert_eq!(dict.len().unwrap(), 3);
    let version = dict.version().unwrap();
    move_to_host(&held.referent, PLACE, 5, version).unwrap();
    assert_eq!(Hosted::new(&theirs).place().unwrap(), (PLACE, 5));
    let former = Hosted::new(&theirs).former_kind().unwrap();
    assert_eq!(former, Some(kind::DICT));

    for dict in [dict, other, Dict::new(&theirs)] {
        assert!(moved(dict.len()));
        assert!(moved(dict.version()));
        assert!(moved(dict.contains(&key)));
        assert!(moved(dict.get(&key)));
        assert!(moved(dict.insert(&key, &Input::NONE)));
        assert!(moved(dict.insert_if(&key, &Input::NONE, version)));
        assert!(moved(dict.insert(&key, &Input::str("a text in a block"))));
        assert!(moved(dict.set_default(&key, &Input::NONE)));
        assert!(moved(dict.remove(&key)));
        assert!(moved(dict.delete(&key)));
        assert!(moved(dict.delete_if(&key, version)));
        assert!(moved(dict.pop_last()));
        assert!(moved(dict.update(&[(key, Input::NONE)])));
        let pair = (Key::str("n", &hasher), Input::NONE);
        assert!(moved(dict.update(&[(key, Input::NONE), pair])));
        assert!(moved(dict.replace(&[(key, Input::NONE)], None)));
        assert!(moved(dict.replace(&[], Some(version))));
        assert!(moved(dict.remove_all(&[key], None)));
        assert!(moved(dict.remove_all(&[], Some(version))));
        assert!(moved(dict.clear()));
        assert!(moved(dict.update_word(&key, |_| None)));
        assert!(moved(dict.snapshot_keys()));
        assert!(moved(dict.snapshot_values()));
        assert!(moved(dict.snapshot_items()));
    }
    let again = move_to_host(&held.referent, PLACE, 6, version + 1);
    assert!(moved(again));
    assert_eq!(sound(&first).blocks, 0, "what it held was released");
    // It is still the same referent for everything else.
    held.release();
    assert_eq!(sound(&first).referents, 2);
    second.release(offset, generation).unwrap();
    inner.release();
    assert_eq!(sound(&first).referents, 0);
}

#[test]
fn a_set_moves_and_other_kinds_do_not() {
    let segment = common::segment(1 << 20);
    let hasher = KeyHasher::new(segment.secret());
    let held = Held::new(&segment, kind::SET, 0);
    let set = Set::new(&held.referent);
    move_to_host(&held.referent, PLACE, 1, set.version().unwrap()).unwrap();
    let key = Key::str("k", &hasher);
    assert!(moved(set.len()));
    assert!(moved(set.version()));
    assert!(moved(set.contains(&key)));
    assert!(moved(set.add(&key)));
    assert!(moved(set.discard(&key)));
    assert!(moved(set.pop_any()));
    assert!(moved(set.update(&[key])));
    assert!(moved(set.replace(&[], None)));
    assert!(moved(set.clear()));
    assert!(moved(set.snapshot()));
    let former = Hosted::new(&held.referent).former_kind().unwrap();
    assert_eq!(former, Some(kind::SET));
    for other in [kind::LIST, kind::NAMESPACE, kind::VALUE, kind::CHANNEL] {
        let held = Held::new(&segment, other, 0);
        let refused = move_to_host(&held.referent, PLACE, 1, 0);
        assert!(matches!(refused, Err(StoreError::WrongKind { .. })));
        held.release();
    }
    sound(&segment);
}

/// Readers without the lock see the dict or notice the move; never an empty dict.
#[test]
fn a_glance_does_not_take_a_moved_dict_for_an_empty_one() {
    let (first, second) = members();
    let hasher = KeyHasher::new(first.secret());
    let key = Key::str("k", &hasher);
    for _ in 0..200 {
        let held = Held::new(&first, kind::DICT, 0);
        let (offset, generation) = (held.referent.offset(), held.referent.generation());
        let dict = Dict::new(&held.referent);
        dict.insert(&key, &Input::NONE).unwrap();
        scope(|scope| {
            let reader = scope.spawn(|| {
                let theirs = second.referent(offset, generation).unwrap();
                let dict = Dict::new(&theirs);
                loop {
                    match dict.contains(&key) {
                        Ok(there) => assert!(there),
                        Err(StoreError::Moved) => return,
                        Err(error) => panic!("{error}"),
                    }
                }
            });
            let version = dict.version().unwrap();
            move_to_host(&held.referent, PLACE, 1, version).unwrap();
            reader.join().unwrap();
        });
        held.release();
    }
    assert_eq!(sound(&first).referents, 0);
}

// ---- Against a model --------------------------------------------------------------------------

#[derive(Clone, Debug)]
enum Step {
    Post(Vec<u8>),
    TakeRequest,
    Answer(Vec<u8>),
    TakeReply,
    CloseByClient,
    CloseByHost,
    Reopen,
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let length = prop_oneof![0..200_usize, INLINE - 2..INLINE + 3, 5_000..40_000_usize];
    (length, any::<u8>()).prop_map(|(length, seed)| message(length, seed))
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => bytes().prop_map(Step::Post),
        6 => Just(Step::TakeRequest),
        6 => bytes().prop_map(Step::Answer),
        6 => Just(Step::TakeReply),
        1 => Just(Step::CloseByClient),
        1 => Just(Step::CloseByHost),
        2 => Just(Step::Reopen),
    ]
}

/// What a channel should do.
#[derive(Default)]
enum Turn {
    #[default]
    Idle,
    Posted(Vec<u8>),
    Taken,
    Answered(Vec<u8>),
}

/// Results without their bytes, for comparison.
fn outcome<T>(found: Result<T, StoreError>) -> Result<T, &'static str> {
    found.map_err(|error| match error {
        StoreError::Closed => "closed",
        StoreError::OutOfTurn => "out of turn",
        error => panic!("{error}"),
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn channels_do_as_the_model(steps in proptest::collection::vec(step(), 1..60)) {
        let backing = HeapBacking::new(8 << 20);
        let first = Segment::create(Box::new(backing.clone()), &options()).unwrap();
        let second = Segment::attach(Box::new(backing)).unwrap();
        let [mut mine, mut theirs] = channel(&first, &second);
        let (mut turn, mut closed) = (Turn::default(), false);
        for step in steps {
            let client = Channel::open(&mine.referent).unwrap();
            let host = Channel::open(&theirs.referent).unwrap();
            match step {
                Step::Post(bytes) => {
                    let expected = match turn {
                        _ if closed => Err("closed"),
                        Turn::Idle => Ok(()),
                        _ => Err("out of turn"),
                    };
                    prop_assert_eq!(outcome(client.post(&bytes)), expected);
                    if expected.is_ok() {
                        turn = Turn::Posted(bytes);
                    }
                }
                Step::TakeRequest => {
                    let found = outcome(host.take_request());
                    match (closed, std::mem::take(&mut turn)) {
                        (true, before) => {
                            prop_assert_eq!(found, Err("closed"));
                            turn = before;
                        }
                        (false, Turn::Posted(bytes)) => {
                            prop_assert!(found == Ok(Some(bytes)));
                            turn = Turn::Taken;
                        }
                        (false, before) => {
                            prop_assert!(found == Ok(None));
                            turn = before;
                        }
                    }
                }
                Step::Answer(bytes) => {
                    let expected = match turn {
                        _ if closed => Err("closed"),
                        Turn::Taken => Ok(()),
                        _ => Err("out of turn"),
                    };
                    prop_assert_eq!(outcome(host.answer(&bytes)), expected);
                    if expected.is_ok() {
                        turn = Turn::Answered(bytes);
                    }
                }
                Step::TakeReply => {
                    let found = outcome(client.take_reply());
                    match std::mem::take(&mut turn) {
                        Turn::Answered(bytes) => prop_assert!(found == Ok(Some(bytes))),
                        before => {
                            let expected = if closed { Err("closed") } else { Ok(None) };
                            prop_assert!(found == expected);
                            turn = before;
                        }
                    }
                }
                Step::CloseByClient => {
                    client.close().unwrap();
                    closed = true;
                }
                Step::CloseByHost => {
                    host.close().unwrap();
                    closed = true;
                }
                Step::Reopen => {
                    mine.release();
                    theirs.release();
                    prop_assert_eq!(sound(&first).blocks, 0);
                    [mine, theirs] = channel(&first, &second);
                    (turn, closed) = (Turn::Idle, false);
                }
            }
            let report = sound(&first);
            // The channel's own block, and one message at most that nobody has taken.
            prop_assert!(report.blocks <= 2 && report.referents == 1);
        }
    }
}
