//! Channels against a model.

mod common;

use coheld_shm::Segment;
use coheld_shm::backing::HeapBacking;
use coheld_store::{Channel, StoreError};
use common::{INLINE, channel, message, options, sound};
use proptest::prelude::*;

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
