//! Wrong bytes in a table: an error or another answer, but no panic and no endless loop.

use coheld_shm::Guard;

use super::*;
use crate::table::mend;

/// A dict with a few entries of each kind.
fn filled() -> Fixture {
    let fixture = Fixture::new();
    {
        let referent = fixture.referent();
        let dict = Dict::new(&referent);
        for value in 0..9 {
            let text = long(value);
            dict.insert(&Key::str(&text, &fixture.hasher), &Input::str(&text))
                .unwrap();
            dict.insert(&integer_key(value, &fixture.hasher), &integer(value))
                .unwrap();
        }
        assert!(dict.delete(&integer_key(0, &fixture.hasher)).unwrap());
    }
    fixture
}

/// Everything one can do; what comes of it does not matter.
fn try_everything(fixture: &Fixture) {
    let referent = fixture.referent();
    let dict = Dict::new(&referent);
    let text = long(3);
    let keys = [
        Key::str(&text, &fixture.hasher),
        integer_key(3, &fixture.hasher),
    ];
    let _ = dict.len();
    for key in &keys {
        let _ = dict.get(key);
        let _ = dict.contains(key);
    }
    let _ = dict.snapshot_items();
    mend(&referent.lock().unwrap());
    for key in &keys {
        let _ = dict.insert(key, &integer(5));
        let _ = dict.update_word(key, |_| word::from_int(7));
        let _ = dict.set_default(key, &Input::str(&text));
    }
    let new: Vec<_> = (100..140)
        .map(|value| integer_key(value, &fixture.hasher))
        .collect();
    for key in &new[..20] {
        let _ = dict.insert(key, &integer(1));
    }
    let pairs: Vec<_> = new.iter().map(|key| (*key, Input::str(&text))).collect();
    let _ = dict.update(&pairs[10..12]);
    let _ = dict.update(&pairs);
    let _ = dict.remove(&keys[0]);
    let _ = dict.delete(&keys[1]);
    let _ = dict.remove_all(&new[5..9], None);
    let _ = dict.pop_last();
    let _ = dict.snapshot_keys();
    let _ = dict.clear();
}

/// The words of the table's block, header included.
fn words_of(guard: &Guard<'_>) -> (u64, u64) {
    let table = Table::open(guard).unwrap().unwrap();
    (table.block, 2 + table.shape.payload() / 8)
}

#[test]
fn each_word_of_a_table_may_be_wrong() {
    let count = {
        let fixture = filled();
        words_of(&fixture.referent().lock().unwrap()).1
    };
    let wrong = [
        0,
        1,
        u64::MAX,
        0xFFFF_FFFF,
        6,
        7,
        (1 << 48) - 10,
        1 << 40 | 6,
        1 << 32 | 1,
    ];
    for index in 0..count {
        for (step, value) in wrong.iter().enumerate() {
            // Each word gets some of the values, neighbours get different ones.
            if !(index as usize + step).is_multiple_of(3) {
                continue;
            }
            let fixture = filled();
            let (block, _) = words_of(&fixture.referent().lock().unwrap());
            fixture.segment.store(block + 8 * index, *value).unwrap();
            try_everything(&fixture);
        }
    }
}

#[test]
fn a_full_index_is_an_error() {
    let fixture = filled();
    let referent = fixture.referent();
    {
        let guard = referent.lock().unwrap();
        let table = Table::open(&guard).unwrap().unwrap();
        for slot in 0..table.shape.index {
            table.set_slot(slot, 0xDEAD_BEEF_0000_0001).unwrap();
        }
    }
    let dict = Dict::new(&referent);
    let error = dict.get(&integer_key(77, &fixture.hasher)).unwrap_err();
    assert!(error.is_corrupted());
    assert!(
        dict.insert(&integer_key(77, &fixture.hasher), &integer(1))
            .is_err()
    );
}

#[test]
fn a_root_may_be_any_word() {
    for root in [
        1,
        6,
        7,
        22,
        u64::MAX,
        0xFFFF_FFFF_FFF6,
        1 << 20 | 6,
        4096 | 6,
        8,
    ] {
        let fixture = filled();
        let cell = fixture.referent().lock().unwrap().root_cell();
        fixture.segment.store(cell, root).unwrap();
        let referent = fixture.referent();
        mend(&referent.lock().unwrap());
        let key = integer_key(1, &fixture.hasher);
        assert!(
            Dict::new(&referent).get(&key).unwrap_err().is_corrupted(),
            "{root:#x}"
        );
        assert!(Dict::new(&referent).insert(&key, &integer(1)).is_err());
        assert!(Dict::new(&referent).snapshot_items().is_err());
    }
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(200))]

    #[test]
    fn any_bytes_are_borne(changes in proptest::collection::vec((0u64..128, 0u64..), 1..12)) {
        let fixture = filled();
        let (block, count) = words_of(&fixture.referent().lock().unwrap());
        for (index, value) in changes {
            fixture.segment.store(block + 8 * (index % count), value).unwrap();
        }
        try_everything(&fixture);
    }
}
