//! Hosted referents, and dicts and sets that become ones.

mod common;

use std::thread::scope;

use coheld_shm::HostPlace;
use coheld_store::kinds::referent as kind;
use coheld_store::{Dict, Hosted, Input, Key, KeyHasher, Set, StoreError, move_to_host};
use common::{Held, pair, sound};

const PLACE: HostPlace = HostPlace {
    inbox: 0x4_0000,
    generation: 3,
    tag: 1 << 10,
};

#[test]
fn a_hosted_referent_says_where_its_object_is() {
    let (first, second) = pair();
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

#[allow(
    clippy::needless_pass_by_value,
    reason = "results of calls, as they come"
)]
fn moved<T>(found: Result<T, StoreError>) -> bool {
    matches!(found, Err(StoreError::Moved))
}

#[test]
fn everybody_notices_that_a_dict_has_moved() {
    let (first, second) = pair();
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
    let (first, second) = pair();
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
