//! Mending: the states that a death can leave are made by hand here; the crash explorer makes them
//! by killing processes.

use super::*;
use crate::table::mend;

/// A dict with ten entries, two of them deleted.
fn filled() -> Fixture {
    let fixture = Fixture::new();
    {
        let referent = fixture.referent();
        let dict = Dict::new(&referent);
        for value in 0..12 {
            dict.insert(&integer_key(value, &fixture.hasher), &integer(value))
                .unwrap();
        }
        for value in [3, 7] {
            assert!(dict.delete(&integer_key(value, &fixture.hasher)).unwrap());
        }
    }
    fixture
}

fn image(table: &Table<'_>) -> Vec<u64> {
    let words = 2 + table.shape.payload() / 8;
    (0..words)
        .map(|index| table.segment.load(table.block + 8 * index).unwrap())
        .collect()
}

fn with_table(fixture: &Fixture, then: impl FnOnce(&Table<'_>)) {
    let referent = fixture.referent();
    let guard = referent.lock().unwrap();
    then(&Table::open(&guard).unwrap().unwrap());
}

fn mend_twice(fixture: &Fixture) {
    let referent = fixture.referent();
    let guard = referent.lock().unwrap();
    mend(&guard);
    let table = Table::open(&guard).unwrap().unwrap();
    let once = image(&table);
    mend(&guard);
    assert_eq!(image(&table), once);
}

#[test]
fn a_sound_table_stays_as_it_is() {
    let fixture = filled();
    let mut before = Vec::new();
    with_table(&fixture, |table| before = image(table));
    mend_twice(&fixture);
    with_table(&fixture, |table| assert_eq!(image(table), before));
}

#[test]
fn an_insertion_that_was_not_committed() {
    let fixture = filled();
    let key = integer_key(99, &fixture.hasher);
    with_table(&fixture, |table| {
        let vacancy = table.vacancy(key.hash32()).unwrap();
        let word = key.input().inline_word().unwrap();
        table
            .segment
            .store(table.key_cell(table.used), word)
            .unwrap();
        table
            .segment
            .store(table.value_cell(table.used), word::NONE)
            .unwrap();
        table
            .set_slot(vacancy.slot, Table::naming(key.hash32(), table.used))
            .unwrap();
    });
    mend_twice(&fixture);
    fixture.check();
    let referent = fixture.referent();
    assert!(!Dict::new(&referent).contains(&key).unwrap());
    Dict::new(&referent).insert(&key, &integer(1)).unwrap();
    fixture.check();
}

#[test]
fn an_insertion_that_was_committed() {
    let fixture = filled();
    let key = integer_key(99, &fixture.hasher);
    with_table(&fixture, |table| {
        let vacancy = table.vacancy(key.hash32()).unwrap();
        let word = key.input().inline_word().unwrap();
        table
            .segment
            .store(table.key_cell(table.used), word)
            .unwrap();
        table
            .segment
            .store(table.value_cell(table.used), word::NONE)
            .unwrap();
        table
            .set_slot(vacancy.slot, Table::naming(key.hash32(), table.used))
            .unwrap();
        table
            .segment
            .store(table.state_cell(), Table::state_of(table.used + 1))
            .unwrap();
    });
    mend_twice(&fixture);
    fixture.check();
    let referent = fixture.referent();
    assert!(Dict::new(&referent).contains(&key).unwrap());
    assert_eq!(Dict::new(&referent).len().unwrap(), 11);
}

#[test]
fn a_deletion_after_its_commit() {
    let fixture = filled();
    with_table(&fixture, |table| {
        table.segment.store(table.key_cell(5), word::EMPTY).unwrap();
    });
    mend_twice(&fixture);
    fixture.check();
    let referent = fixture.referent();
    assert!(
        !Dict::new(&referent)
            .contains(&integer_key(5, &fixture.hasher))
            .unwrap()
    );
    assert_eq!(Dict::new(&referent).len().unwrap(), 9);
}

#[test]
fn a_pop_after_its_commit() {
    let fixture = filled();
    with_table(&fixture, |table| {
        table
            .segment
            .store(table.state_cell(), Table::state_of(table.used - 1))
            .unwrap();
    });
    mend_twice(&fixture);
    fixture.check();
    let referent = fixture.referent();
    assert!(
        !Dict::new(&referent)
            .contains(&integer_key(11, &fixture.hasher))
            .unwrap()
    );
}

#[test]
fn deleted_entries_at_the_end_are_borne() {
    let fixture = filled();
    with_table(&fixture, |table| {
        for entry in [10, 11] {
            table
                .segment
                .store(table.key_cell(entry), word::EMPTY)
                .unwrap();
        }
    });
    mend_twice(&fixture);
    let referent = fixture.referent();
    let dict = Dict::new(&referent);
    let (key, _) = dict.pop_last().unwrap().unwrap();
    assert_eq!(key.inline_word(), word::from_int(9));
    fixture.check();
}
