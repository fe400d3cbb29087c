//! Channels between two members.

mod common;

use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use coheld_shm::backing::MemfdBacking;
use coheld_shm::os::child::Child;
use coheld_shm::{HostPlace, Referent, Segment};
use coheld_store::kinds::referent as kind;
use coheld_store::{Channel, MENDER, StoreError};
use common::{Held, INLINE, channel, message, options, pair, sound};

const PATIENCE: Duration = Duration::from_millis(50);

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
    let (first, second) = pair();
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
    let (first, second) = pair();
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
    let (first, second) = pair();
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
    let (first, second) = pair();
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
    let (first, second) = pair();
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
    let (first, second) = pair();
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

#[test]
fn a_message_for_which_there_is_no_room_changes_nothing() {
    let segment = common::segment(1 << 20);
    let held = Held::new(&segment, kind::CHANNEL, 0);
    Channel::prepare(&held.referent, segment.own_tag().unwrap()).unwrap();
    let channel = Channel::open(&held.referent).unwrap();
    let refused = channel.post(&message(4 << 20, 1));
    assert!(matches!(refused, Err(StoreError::Shm(_))));
    assert!(channel.take_request().unwrap().is_none());
    channel.post(b"less").unwrap();
    assert_eq!(channel.take_request().unwrap().unwrap(), b"less");
    let refused = channel.answer(&message(4 << 20, 1));
    assert!(matches!(refused, Err(StoreError::Shm(_))));
    channel.answer(&message(40_000, 1)).unwrap();
    let reply = channel.take_reply().unwrap().unwrap();
    assert_eq!(reply, message(40_000, 1));
    assert_eq!(sound(&segment).blocks, 1);
}
