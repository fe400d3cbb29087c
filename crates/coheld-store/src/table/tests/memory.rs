//! Running out of memory: an error, and nothing has changed.

use super::*;
use crate::StoreError;

/// The content as text, to be compared.
fn content(dict: &Dict<'_>) -> String {
    let items = dict.snapshot_items().unwrap();
    format!("{:?}", items.iter().collect::<Vec<_>>())
}

fn is_out_of_memory<T>(result: &Result<T, StoreError>) -> bool {
    matches!(
        result,
        Err(StoreError::Shm(coheld_shm::Error::OutOfMemory { .. }))
    )
}

#[test]
fn nothing_changes_when_memory_runs_out() {
    let fixture = Fixture::new();
    let referent = fixture.referent();
    let dict = Dict::new(&referent);
    let texts: Vec<String> = (0..100_000).map(long).collect();
    // No more memory than there is now.
    for text in &texts[..20] {
        dict.insert(&Key::str(text, &fixture.hasher), &integer(0))
            .unwrap();
    }
    fixture
        .backing
        .set_commit_limit(fixture.backing.committed() + (1 << 20));
    let mut stored = 20;
    loop {
        let before = dict.len().unwrap();
        let text = &texts[stored];
        let result = dict.insert(&Key::str(text, &fixture.hasher), &Input::str(text));
        if is_out_of_memory(&result) {
            assert_eq!(dict.len().unwrap(), before);
            break;
        }
        stored += 1;
    }
    fixture.check();
    let before = content(&dict);
    let pairs: Vec<_> = texts
        .iter()
        .map(|text| (Key::str(text, &fixture.hasher), Input::str(text)))
        .collect();
    assert!(is_out_of_memory(&dict.update(&pairs)));
    assert!(is_out_of_memory(&dict.replace(&pairs, None)));
    let large = vec![1; 8 << 20];
    assert!(is_out_of_memory(
        &dict.insert(&pairs[0].0, &Input::bytes(&large))
    ));
    assert!(is_out_of_memory(
        &dict.insert(&pairs[99_999].0, &Input::bytes(&large))
    ));
    assert!(is_out_of_memory(
        &dict.set_default(&pairs[99_999].0, &Input::bytes(&large))
    ));
    assert_eq!(content(&dict), before);
    fixture.check();
    // What needs no memory still works.
    assert!(dict.delete(&pairs[0].0).unwrap());
    dict.clear().unwrap();
    fixture.check_empty();
}
