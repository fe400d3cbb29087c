//! Everything that lists, dicts, sets, namespaces, values and arrays can do.

use coheld_shm::{Referent, Segment};
use coheld_store::{
    Array, Dict, Input, Key, KeyHasher, List, Namespace, Output, OutputRef, Result, Set, Slice,
    Snapshot, Value, arithmetic, key, word,
};

use super::scene::{release, tuple_key};

/// The largest list that is made longer: a damaged count may say anything.
const LARGE: usize = 20_000;

/// Looks at a value that was copied out, and gives back what it keeps.
fn take(segment: &Segment, output: Result<Output>) {
    if let Ok(output) = output {
        look_at(segment, &output);
        release(segment, output);
    }
}

fn take_some(segment: &Segment, output: Result<Option<Output>>) {
    if let Ok(Some(output)) = output {
        take(segment, Ok(output));
    }
}

fn look_at(segment: &Segment, output: &Output) {
    match output {
        Output::Word(word) => {
            let _ = word::decode(*word).map(|scalar| format!("{scalar:?}"));
            let _ = Key::from_word(*word, &KeyHasher::new(segment.secret())).map(|key| key.hash());
        }
        Output::Block { kind, bytes, .. } => {
            let hasher = KeyHasher::new(segment.secret());
            let _ = Key::from_block(*kind, bytes, &hasher).map(|key| key.hash());
            let _ = key::original_pickle(bytes).map(<[u8]>::len);
        }
        Output::Edge(_) => (),
    }
}

fn take_all(segment: &Segment, snapshot: Result<Snapshot>) {
    if let Ok(snapshot) = snapshot {
        let _ = snapshot.words();
        let mut bytes = 0;
        for output in snapshot.iter() {
            match output {
                OutputRef::Word(word) => bytes += usize::from(word::decode(word).is_ok()),
                OutputRef::Block { bytes: found, .. } => bytes += found.len(),
                OutputRef::Edge(_) => bytes += 1,
            }
        }
        let _ = (bytes, snapshot.inputs().len());
        let _ = snapshot.release(segment);
    }
}

pub fn list(referent: &Referent<'_>) {
    let (segment, list) = (referent.segment(), List::new(referent));
    let edge = coheld_shm::word::of_edge(referent.offset(), referent.generation());
    let edges = [edge];
    let news = [
        Input::str("new"),
        Input::str("quite a long text"),
        Input::pickle(&[1; 40], &edges),
    ];
    let stepped = Slice {
        start: None,
        stop: None,
        step: Some(-2),
    };
    for index in [-1, 0, 1, 5, 7_000] {
        take(segment, list.get(index));
    }
    let _ = (list.len(), list.version(), list.find(0x11, 0, 10));
    let _ = list.count(0x11);
    take_all(segment, list.snapshot());
    take_all(segment, list.slice(stepped));
    for value in &news {
        let _ = (list.append(value), list.set(1, value));
        let _ = list.insert(2, value);
    }
    for index in [0, 2, -1] {
        take(segment, list.pop(index));
    }
    let _ = (list.extend(&news, None), list.reverse());
    let _ = (list.delete(3, None), list.delete_indices(&[0, 2], None));
    let _ = list.set_slice(Slice::range(1, 3), &news, None);
    let _ = list.set_slice(stepped, &news, None);
    let _ = (
        list.permute(&[1, 0], None),
        list.delete_slice(stepped, None),
    );
    if list.len().is_ok_and(|length| length < LARGE as u64) {
        let _ = list.repeat(2);
    }
    let _ = (list.replace(&news, None), list.append(&news[1]));
    let _ = (list.delete_slice(Slice::range(0, 2), None), list.clear());
    let _ = list.append(&news[0]);
}

/// Keys that are there, and one that is not.
fn with_keys(segment: &Segment, work: impl FnOnce(&[Key<'_>])) {
    let hasher = KeyHasher::new(segment.secret());
    let tuple = tuple_key().expect("a key of a few bytes");
    let mut names = [
        "key ".to_owned(),
        "key x".into(),
        "key xxxxxxx".into(),
        "new".into(),
    ];
    names[2].push_str(&"x".repeat(20));
    let mut keys: Vec<Key<'_>> = names.iter().map(|name| Key::str(name, &hasher)).collect();
    let mut scratch = [0; 8];
    keys.push(Key::int(1, &mut scratch, &hasher));
    keys.push(Key::from_tuple(&tuple, &hasher));
    work(&keys);
}

pub fn dict(referent: &Referent<'_>) {
    let (segment, dict) = (referent.segment(), Dict::new(referent));
    let news = [Input::str("new"), Input::str("quite a long text")];
    with_keys(segment, |keys| {
        let _ = (dict.len(), dict.size_and_version());
        for key in keys {
            let _ = dict.contains(key);
            take_some(segment, dict.get(key));
        }
        take_all(segment, dict.snapshot_items());
        take_all(segment, dict.snapshot_keys());
        take_all(segment, dict.snapshot_values());
        for key in keys {
            let _ = (dict.insert(key, &news[1]), dict.insert(key, &news[0]));
            let _ = dict.update_word(key, |old| arithmetic::add(old.unwrap_or(0), 0x11));
            take_some(segment, dict.set_default(key, &news[1]));
        }
        if let Ok((_, version)) = dict.size_and_version() {
            let _ = dict.insert_if(&keys[0], &news[1], version);
            let _ = dict.delete_if(&keys[1], version + 1);
        }
        for key in &keys[..3] {
            take_some(segment, dict.remove(key));
            let _ = dict.delete(key);
        }
        let _ = dict.pop_last().map(|found| {
            found.map(|(key, value)| [key, value].map(|output| take(segment, Ok(output))))
        });
        let pairs: Vec<_> = keys.iter().map(|key| (*key, news[1])).collect();
        let _ = (dict.update(&pairs), dict.remove_all(&keys[..2], None));
        grow(segment, |key| dict.insert(key, &news[0]).is_ok());
        let _ = (dict.replace(&pairs, None), dict.clear());
        let _ = dict.insert(&keys[0], &news[0]);
    });
}

/// Adds keys until a table has moved to a larger one.
fn grow(segment: &Segment, mut add: impl FnMut(&Key<'_>) -> bool) {
    let hasher = KeyHasher::new(segment.secret());
    let mut scratch = [0; 8];
    for number in 100..220 {
        if !add(&Key::int(number, &mut scratch, &hasher)) {
            return;
        }
    }
}

pub fn namespace(referent: &Referent<'_>) {
    let (segment, namespace) = (referent.segment(), Namespace::new(referent));
    let value = Input::str("quite a long text");
    with_keys(segment, |keys| {
        for key in keys {
            take_some(segment, namespace.get(key));
            let _ = namespace.set(key, &value);
        }
        take_all(segment, namespace.snapshot_items());
        let _ = namespace.update(&[(keys[0], value), (keys[3], value)]);
        let _ = (namespace.delete(&keys[0]), namespace.delete(&keys[1]));
        let _ = namespace.size_and_version();
    });
}

pub fn set(referent: &Referent<'_>) {
    let (segment, set) = (referent.segment(), Set::new(referent));
    with_keys(segment, |keys| {
        let _ = (set.len(), set.size_and_version());
        take_all(segment, set.snapshot());
        for key in keys {
            let _ = (set.contains(key), set.add(key));
        }
        take_some(segment, set.pop_any());
        let _ = (set.discard(&keys[0]), set.discard(&keys[2]));
        let _ = (set.update(keys), set.remove_all(&keys[..2], None));
        grow(segment, |key| set.add(key).is_ok());
        let _ = (set.replace(&keys[..3], None), set.clear());
        let _ = set.add(&keys[0]);
    });
}

pub fn value(referent: &Referent<'_>) {
    let (segment, value) = (referent.segment(), Value::new(referent));
    take(segment, value.get());
    let edges = [coheld_shm::word::of_edge(
        referent.offset(),
        referent.generation(),
    )];
    let _ = value.set(&Input::pickle(&[1; 90], &edges));
    take(segment, value.get());
    if let Ok(version) = value.version() {
        let _ = value.set_if(&Input::str("new"), version);
    }
    let _ = value.set(&Input::Word(word::TRUE));
    let _ = value.update_word(|old| arithmetic::add(old, 0x11));
    take(segment, value.get());
}

pub fn array(referent: &Referent<'_>) {
    let array = Array::new(referent);
    let _ = (array.len(), array.typecode(), array.item_size());
    let _ = (array.get(1), array.set(-1, 5), array.to_bytes());
    let stepped = Slice {
        start: None,
        stop: None,
        step: Some(-3),
    };
    let _ = (array.slice(stepped), array.slice(Slice::range(1, 5)));
    let _ = array.set_slice(Slice::range(0, 2), &[1; 8], None);
    let _ = (array.replace(&[1; 64]), array.get(3), array.version());
}
