//! Random programs against `IndexMap`.

use indexmap::IndexMap;
use proptest::prelude::*;

use super::*;
use crate::{CanonicalBuilder, OutputRef, Set, StoreError, TupleKey};

/// A key of the model. Some that are equal have several forms.
#[derive(Clone, Debug)]
enum Form {
    Integer(i64),
    Float(f64),
    Text(String),
    Bytes(Vec<u8>),
    Tuple(i64, String),
}

/// What makes two forms the same key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Identity {
    Number(i128),
    Other(u64),
    Text(String),
    Bytes(Vec<u8>),
    Tuple(i64, String),
}

impl Form {
    fn identity(&self) -> Identity {
        match self {
            Self::Integer(value) => Identity::Number((*value).into()),
            Self::Float(value) if value.fract() == 0.0 => Identity::Number(*value as i128),
            Self::Float(value) => Identity::Other(value.to_bits()),
            Self::Text(text) => Identity::Text(text.clone()),
            Self::Bytes(bytes) => Identity::Bytes(bytes.clone()),
            Self::Tuple(number, text) => Identity::Tuple(*number, text.clone()),
        }
    }

    /// Calls `then` with the key; its bytes live only here.
    fn with<T>(&self, hasher: &KeyHasher, then: impl FnOnce(&Key<'_>) -> T) -> T {
        let mut scratch = [0; 8];
        match self {
            Self::Integer(value) => then(&Key::int(*value, &mut scratch, hasher)),
            Self::Float(value) => {
                let input = Input::float(*value, &mut scratch);
                then(&Key::from_input(&input, hasher).unwrap())
            }
            Self::Text(text) => then(&Key::str(text, hasher)),
            Self::Bytes(bytes) => then(&Key::bytes(bytes, hasher)),
            Self::Tuple(number, text) => then(&Key::from_tuple(&tuple(*number, text), hasher)),
        }
    }

    /// The stored form.
    fn stored(&self) -> Stored {
        let mut scratch = [0; 8];
        match self {
            Self::Integer(value) => Stored::of_input(&Input::int(*value, &mut scratch)),
            Self::Float(value) => Stored::of_input(&Input::float(*value, &mut scratch)),
            Self::Text(text) => Stored::of_input(&Input::str(text)),
            Self::Bytes(bytes) => Stored::of_input(&Input::bytes(bytes)),
            Self::Tuple(number, text) => Stored::of_input(&tuple(*number, text).input()),
        }
    }
}

fn tuple(number: i64, text: &str) -> TupleKey {
    let mut builder = CanonicalBuilder::new();
    builder.begin_tuple(2);
    builder.int(number);
    builder.str(text.as_bytes());
    builder.finish(b"the original").unwrap()
}

/// A value or key as it comes back.
#[derive(Clone, Debug, PartialEq)]
enum Stored {
    Word(u64),
    Block(u8, Vec<u8>),
}

impl Stored {
    fn of_input(input: &Input<'_>) -> Self {
        match input {
            Input::Word(word) => Self::Word(*word),
            Input::Block { kind, bytes, .. } => Self::Block(*kind, bytes.to_vec()),
            Input::Edge(_) => unreachable!("the model has no proxies"),
        }
    }

    fn of_output(output: Output) -> Self {
        match output {
            Output::Word(word) => Self::Word(word),
            Output::Block { kind, bytes, .. } => Self::Block(kind, bytes),
            Output::Edge(_) => unreachable!("the model has no proxies"),
        }
    }

    fn of_reference(output: OutputRef<'_>) -> Self {
        match output {
            OutputRef::Word(word) => Self::Word(word),
            OutputRef::Block { kind, bytes, .. } => Self::Block(kind, bytes.to_vec()),
            OutputRef::Edge(_) => unreachable!("the model has no proxies"),
        }
    }

    fn input(&self) -> Input<'_> {
        match self {
            Self::Word(word) => Input::Word(*word),
            Self::Block(kind, bytes) => Input::Block {
                kind: *kind,
                bytes,
                edges: &[],
            },
        }
    }
}

type Model = IndexMap<Identity, (Stored, Stored)>;

#[derive(Clone, Debug)]
enum Action {
    Insert(Form, Stored),
    SetDefault(Form, Stored),
    Get(Form),
    Remove(Form),
    Delete(Form),
    PopLast,
    Update(Vec<(Form, Stored)>),
    Replace(Vec<(Form, Stored)>),
    RemoveAll(Vec<Form>),
    Count(Form),
    Clear,
}

fn form() -> impl Strategy<Value = Form> {
    prop_oneof![
        8 => (0i64..40).prop_map(Form::Integer),
        2 => (0i32..40).prop_map(|value| Form::Float(value.into())),
        1 => (0i32..4).prop_map(|value| Form::Float(f64::from(value) + 0.5)),
        2 => (0i32..4).prop_map(|power| Form::Float(2f64.powi(57 + power))),
        2 => (0u32..4).prop_map(|power| Form::Integer(1i64 << (57 + power))),
        6 => (0i64..40).prop_map(|value| Form::Text(format!("k{value}"))),
        6 => (0i64..40).prop_map(|value| Form::Text(long(value))),
        1 => (0i64..4).prop_map(|value| Form::Bytes(long(value).into_bytes())),
        3 => (0i64..6).prop_map(|value| Form::Tuple(value, long(value))),
    ]
}

fn value() -> impl Strategy<Value = Stored> {
    prop_oneof![
        4 => (0i64..1000).prop_map(|value| Stored::Word(word::from_int(value).unwrap())),
        2 => (0usize..200).prop_map(|length| {
            Stored::Block(kinds::block::PICKLE, vec![length as u8; length])
        }),
        1 => (0i64..10).prop_map(|value| Stored::of_input(&Input::str(&long(value)))),
    ]
}

fn action() -> impl Strategy<Value = Action> {
    let pairs = || proptest::collection::vec((form(), value()), 0..12);
    prop_oneof![
        20 => (form(), value()).prop_map(|(form, value)| Action::Insert(form, value)),
        4 => (form(), value()).prop_map(|(form, value)| Action::SetDefault(form, value)),
        6 => form().prop_map(Action::Get),
        8 => form().prop_map(Action::Remove),
        6 => form().prop_map(Action::Delete),
        5 => Just(Action::PopLast),
        4 => pairs().prop_map(Action::Update),
        1 => pairs().prop_map(Action::Replace),
        2 => proptest::collection::vec(form(), 0..6).prop_map(Action::RemoveAll),
        3 => form().prop_map(Action::Count),
        1 => Just(Action::Clear),
    ]
}

/// Brings a pair into the model as Python would.
fn insert(model: &mut Model, form: &Form, value: &Stored) {
    let entry = model
        .entry(form.identity())
        .or_insert_with(|| (form.stored(), value.clone()));
    entry.1 = value.clone();
}

/// Calls `then` with all pairs as keys and inputs.
fn with_pairs<T>(
    pairs: &[(Form, Stored)],
    hasher: &KeyHasher,
    then: impl FnOnce(&[(Key<'_>, Input<'_>)]) -> T,
) -> T {
    let stored: Vec<Stored> = pairs.iter().map(|(form, _)| form.stored()).collect();
    let keys: Vec<(Key<'_>, Input<'_>)> = stored
        .iter()
        .zip(pairs)
        .map(|(key, (_, value))| {
            (
                Key::from_input(&key.input(), hasher).unwrap(),
                value.input(),
            )
        })
        .collect();
    then(&keys)
}

fn run(fixture: &Fixture, model: &mut Model, action: &Action) -> Result<(), StoreError> {
    let referent = fixture.referent();
    let dict = Dict::new(&referent);
    let hasher = &fixture.hasher;
    match action {
        Action::Insert(form, value) => {
            form.with(hasher, |key| dict.insert(key, &value.input()))?;
            insert(model, form, value);
        }
        Action::SetDefault(form, value) => {
            let found = form.with(hasher, |key| dict.set_default(key, &value.input()))?;
            let expected = model.get(&form.identity()).map(|(_, value)| value.clone());
            assert_eq!(found.map(Stored::of_output), expected);
            if expected.is_none() {
                insert(model, form, value);
            }
        }
        Action::Get(form) => {
            let found = form
                .with(hasher, |key| dict.get(key))?
                .map(Stored::of_output);
            let expected = model.get(&form.identity()).map(|(_, value)| value.clone());
            assert_eq!(found, expected);
            assert_eq!(
                form.with(hasher, |key| dict.contains(key))?,
                expected.is_some()
            );
        }
        Action::Remove(form) => {
            let found = form
                .with(hasher, |key| dict.remove(key))?
                .map(Stored::of_output);
            assert_eq!(
                found,
                model.shift_remove(&form.identity()).map(|(_, value)| value)
            );
        }
        Action::Delete(form) => {
            let found = form.with(hasher, |key| dict.delete(key))?;
            assert_eq!(found, model.shift_remove(&form.identity()).is_some());
        }
        Action::PopLast => {
            let found = dict
                .pop_last()?
                .map(|(key, value)| (Stored::of_output(key), Stored::of_output(value)));
            assert_eq!(found, model.pop().map(|(_, pair)| pair));
        }
        Action::Update(pairs) => {
            with_pairs(pairs, hasher, |pairs| dict.update(pairs))?;
            for (form, value) in pairs {
                insert(model, form, value);
            }
        }
        Action::Replace(pairs) => {
            with_pairs(pairs, hasher, |pairs| dict.replace(pairs, None))?;
            model.clear();
            for (form, value) in pairs {
                insert(model, form, value);
            }
        }
        Action::RemoveAll(forms) => {
            let pairs: Vec<_> = forms
                .iter()
                .map(|form| (form.clone(), Stored::Word(word::NONE)))
                .collect();
            with_pairs(&pairs, hasher, |pairs| {
                let keys: Vec<Key<'_>> = pairs.iter().map(|(key, _)| *key).collect();
                dict.remove_all(&keys, None)
            })?;
            for form in forms {
                model.shift_remove(&form.identity());
            }
        }
        Action::Count(form) => count(&dict, hasher, model, form)?,
        Action::Clear => {
            dict.clear()?;
            model.clear();
        }
    }
    Ok(())
}

fn count(
    dict: &Dict<'_>,
    hasher: &KeyHasher,
    model: &mut Model,
    form: &Form,
) -> Result<(), StoreError> {
    let add = |word: Option<u64>| word::from_int(word.and_then(word::to_int).unwrap_or(0) + 1);
    let old = match model.get(&form.identity()) {
        Some((_, Stored::Word(word))) => Some(*word),
        Some((_, Stored::Block(..))) | None => None,
    };
    let is_block = old.is_none() && model.contains_key(&form.identity());
    let updated = form.with(hasher, |key| dict.update_word(key, add))?;
    if is_block {
        assert_eq!(updated, super::super::Updated::NotInline);
    } else {
        let new = add(old).unwrap();
        assert_eq!(updated, super::super::Updated::Stored { old, new });
        insert(model, form, &Stored::Word(new));
    }
    Ok(())
}

fn compare(fixture: &Fixture, model: &Model) {
    let referent = fixture.referent();
    let dict = Dict::new(&referent);
    let expected: Vec<Stored> = model
        .values()
        .flat_map(|(key, value)| [key.clone(), value.clone()])
        .collect();
    let items = dict.snapshot_items().unwrap();
    assert_eq!(
        items.iter().map(Stored::of_reference).collect::<Vec<_>>(),
        expected
    );
    assert_eq!(dict.len().unwrap(), model.len() as u64);
    let values = dict.snapshot_values().unwrap();
    let expected: Vec<Stored> = model.values().map(|(_, value)| value.clone()).collect();
    assert_eq!(
        values.iter().map(Stored::of_reference).collect::<Vec<_>>(),
        expected
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn a_dict_is_an_index_map(actions in proptest::collection::vec(action(), 1..150)) {
        let fixture = Fixture::new();
        let mut model = Model::new();
        let mut version = 0;
        for action in &actions {
            run(&fixture, &mut model, action).unwrap();
            compare(&fixture, &model);
            check_table(&fixture.referent());
            let now = fixture.referent().lock().unwrap().version();
            assert!(now >= version);
            version = now;
        }
        fixture.check();
        Dict::new(&fixture.referent()).clear().unwrap();
        fixture.check_empty();
    }

    #[test]
    fn a_set_is_an_index_set(
        actions in proptest::collection::vec((0u8..6, form()), 1..200)
    ) {
        let fixture = Fixture::of_kind(kinds::referent::SET);
        let referent = fixture.referent();
        let set = Set::new(&referent);
        let mut model: IndexMap<Identity, Stored> = IndexMap::new();
        for (action, form) in &actions {
            match action {
                0..3 => {
                    let added = form.with(&fixture.hasher, |key| set.add(key)).unwrap();
                    assert_eq!(added, !model.contains_key(&form.identity()));
                    model.entry(form.identity()).or_insert_with(|| form.stored());
                }
                3 => {
                    let found = form.with(&fixture.hasher, |key| set.discard(key)).unwrap();
                    assert_eq!(found, model.shift_remove(&form.identity()).is_some());
                }
                4 => {
                    let found = form.with(&fixture.hasher, |key| set.contains(key)).unwrap();
                    assert_eq!(found, model.contains_key(&form.identity()));
                }
                _ => {
                    let found = set.pop_any().unwrap().map(Stored::of_output);
                    assert_eq!(found, model.pop().map(|(_, key)| key));
                }
            }
            check_table(&referent);
        }
        let all = set.snapshot().unwrap();
        assert_eq!(
            all.iter().map(Stored::of_reference).collect::<Vec<_>>(),
            model.values().cloned().collect::<Vec<_>>()
        );
        fixture.check();
        set.clear().unwrap();
        fixture.check_empty();
    }
}
