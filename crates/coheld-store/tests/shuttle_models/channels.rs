//! Channels.

use std::time::Duration;

use coheld_store::{Channel, StoreError, kinds::referent as kind};
use shuttle::thread::scope;

use crate::{World, check};

/// Longer than any model.
const PATIENCE: Duration = Duration::from_secs(600);
/// Does not fit into a channel.
const LARGE: usize = 2000;

fn channel() -> World {
    let world = World::new(2, kind::CHANNEL, 0);
    let referent = world.of(0);
    Channel::prepare(&referent, referent.segment().own_tag().unwrap()).unwrap();
    world
}

/// Answers with what comes until the channel is closed; how often.
fn serve(world: &World) -> usize {
    let referent = world.of(1);
    let channel = Channel::open(&referent).unwrap();
    let mut served = 0;
    loop {
        match channel.take_request() {
            Ok(Some(request)) => {
                served += 1;
                match channel.answer(&request) {
                    Err(StoreError::Closed) => return served,
                    answered => answered.unwrap(),
                }
            }
            Ok(None) => channel.wait_for_request(PATIENCE).unwrap(),
            Err(StoreError::Closed) => return served,
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn each_request_gets_its_reply() {
    check(|| {
        let world = channel();
        scope(|scope| {
            let server = scope.spawn(|| serve(&world));
            let referent = world.of(0);
            let client = Channel::open(&referent).unwrap();
            for request in [vec![1], vec![2; LARGE]] {
                client.post(&request).unwrap();
                let reply = loop {
                    if let Some(reply) = client.take_reply().unwrap() {
                        break reply;
                    }
                    client.wait_for_reply(PATIENCE).unwrap();
                };
                assert!(reply == request);
            }
            client.close().unwrap();
            assert_eq!(server.join().unwrap(), 2);
        });
    });
}

#[test]
fn the_end_of_a_channel_wakes_both_sides() {
    check(|| {
        let world = channel();
        scope(|scope| {
            let server = scope.spawn(|| serve(&world));
            let client = scope.spawn(|| {
                let referent = world.of(0);
                let client = Channel::open(&referent).unwrap();
                match client.post(b"a request") {
                    Err(StoreError::Closed) => return,
                    posted => posted.unwrap(),
                }
                loop {
                    match client.take_reply() {
                        Ok(Some(_)) | Err(StoreError::Closed) => return,
                        Ok(None) => client.wait_for_reply(PATIENCE).unwrap(),
                        Err(error) => panic!("{error}"),
                    }
                }
            });
            let referent = world.of(1);
            Channel::open(&referent).unwrap().close().unwrap();
            client.join().unwrap();
            assert!(server.join().unwrap() <= 1);
        });
    });
}
