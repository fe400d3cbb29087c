//! Channels between two members, and dicts that move to a host.

mod common;

use std::thread::scope;
use std::time::Duration;

use coheld_shm::backing::HeapBacking;
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
