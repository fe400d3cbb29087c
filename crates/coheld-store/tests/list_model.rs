//! Random programs on a list, against a `Vec`.
#![allow(
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "indices of small models change their sign all the time"
)]

mod common;

use coheld_shm::Segment;
use coheld_store::{IndexProblem, List, Search, Slice, StoreError, kinds};
use common::{Held, Item, any_item, bind, inputs, items, segment, sound};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    Append(Item),
    Insert(i64, Item),
    Set(i64, Item),
    Get(i64),
    Pop(i64),
    Delete(i64),
    Extend(Vec<Item>),
    Slice(Slice),
    SetSlice(Slice, Vec<Item>),
    DeleteSlice(Slice),
    DeleteEvery(usize),
    Replace(Vec<Item>),
    Rotate(usize),
    Reverse,
    Clear,
    Repeat(i64),
    Find(Item, i64, i64),
}

fn index() -> impl Strategy<Value = i64> {
    prop_oneof![
        8 => -12_i64..12,
        1 => Just(i64::MIN),
        1 => Just(i64::MAX),
        3 => Just(0),
        3 => Just(-1),
    ]
}

fn slice() -> impl Strategy<Value = Slice> {
    let bound = || proptest::option::of(index());
    let step = prop_oneof![
        Just(None),
        Just(Some(1)),
        Just(Some(-1)),
        (-4_i64..5).prop_map(Some),
        index().prop_map(Some)
    ];
    (bound(), bound(), step).prop_map(|(start, stop, step)| Slice { start, stop, step })
}

fn step() -> impl Strategy<Value = Step> {
    let values = || proptest::collection::vec(any_item(), 0..14);
    prop_oneof![
        4 => any_item().prop_map(Step::Append),
        3 => (index(), any_item()).prop_map(|(index, item)| Step::Insert(index, item)),
        3 => (index(), any_item()).prop_map(|(index, item)| Step::Set(index, item)),
        2 => index().prop_map(Step::Get),
        4 => index().prop_map(Step::Pop),
        2 => index().prop_map(Step::Delete),
        2 => values().prop_map(Step::Extend),
        2 => slice().prop_map(Step::Slice),
        3 => (slice(), values()).prop_map(|(slice, values)| Step::SetSlice(slice, values)),
        2 => slice().prop_map(Step::DeleteSlice),
        1 => (1_usize..5).prop_map(Step::DeleteEvery),
        1 => values().prop_map(Step::Replace),
        1 => (0_usize..20).prop_map(Step::Rotate),
        1 => Just(Step::Reverse),
        1 => Just(Step::Clear),
        1 => (-1_i64..4).prop_map(Step::Repeat),
        2 => (any_item(), index(), index()).prop_map(|(item, a, b)| Step::Find(item, a, b)),
    ]
}

/// The indices of a slice by the rules of Python's manual, one at a time.
fn picked(slice: Slice, length: usize) -> Vec<usize> {
    let (length, step) = (length as i128, i128::from(slice.step.unwrap_or(1)));
    let clip = |bound: i64, low: i128, high: i128| {
        let bound = i128::from(bound);
        (if bound < 0 { bound + length } else { bound }).clamp(low, high)
    };
    let (low, high) = if step > 0 {
        (0, length)
    } else {
        (-1, length - 1)
    };
    let (first, last) = if step > 0 { (low, high) } else { (high, low) };
    let mut at = slice.start.map_or(first, |bound| clip(bound, low, high));
    let stop = slice.stop.map_or(last, |bound| clip(bound, low, high));
    let mut indices = Vec::new();
    while (step > 0 && at < stop) || (step < 0 && at > stop) {
        indices.push(at as usize);
        at += step;
    }
    indices
}

fn at(index: i64, length: usize) -> Option<usize> {
    let index = i128::from(index) + if index < 0 { length as i128 } else { 0 };
    (0..length as i128)
        .contains(&index)
        .then_some(index as usize)
}

/// Does one step on both, and compares what they answer.
fn perform(segment: &Segment, list: List<'_>, model: &mut Vec<Item>, edges: &[u64], step: &Step) {
    let length = model.len();
    let bound = |values: &[Item]| {
        values
            .iter()
            .map(|item| bind(item, edges))
            .collect::<Vec<_>>()
    };
    match step {
        Step::Append(item) => {
            let item = bind(item, edges);
            list.append(&item.input()).unwrap();
            model.push(item);
        }
        Step::Insert(index, item) => {
            let item = bind(item, edges);
            list.insert(*index, &item.input()).unwrap();
            let index = i128::from(*index) + if *index < 0 { length as i128 } else { 0 };
            model.insert(index.clamp(0, length as i128) as usize, item);
        }
        Step::Set(index, item) => {
            let item = bind(item, edges);
            let done = list.set(*index, &item.input());
            match at(*index, length) {
                Some(index) => {
                    done.unwrap();
                    model[index] = item;
                }
                None => assert!(matches!(done, Err(StoreError::Index(IndexProblem::Assign)))),
            }
        }
        Step::Get(index) => {
            let got = list.get(*index);
            match at(*index, length) {
                Some(index) => assert_eq!(Item::taken(segment, got.unwrap()), model[index]),
                None => assert!(matches!(got, Err(StoreError::Index(IndexProblem::Get)))),
            }
        }
        Step::Pop(index) => {
            let got = list.pop(*index);
            match at(*index, length) {
                Some(index) => {
                    assert_eq!(Item::taken(segment, got.unwrap()), model.remove(index));
                }
                None if length == 0 => assert!(matches!(got, Err(StoreError::Empty))),
                None => assert!(matches!(got, Err(StoreError::Index(IndexProblem::Pop)))),
            }
        }
        Step::Delete(index) => {
            let done = list.delete(*index, None);
            match at(*index, length) {
                Some(index) => {
                    done.unwrap();
                    model.remove(index);
                }
                None => assert!(matches!(done, Err(StoreError::Index(IndexProblem::Assign)))),
            }
        }
        Step::Extend(values) => {
            let values = bound(values);
            list.extend(&inputs(&values), None).unwrap();
            model.extend(values);
        }
        Step::Replace(values) => {
            *model = bound(values);
            list.replace(&inputs(model), None).unwrap();
        }
        Step::Clear => {
            list.clear().unwrap();
            model.clear();
        }
        Step::Reverse => {
            list.reverse().unwrap();
            model.reverse();
        }
        Step::Rotate(by) => {
            let mut order: Vec<u32> = (0..length as u32).collect();
            order.rotate_left(if length == 0 { 0 } else { by % length });
            list.permute(&order, Some(list.version().unwrap())).unwrap();
            *model = order
                .iter()
                .map(|&index| model[index as usize].clone())
                .collect();
        }
        Step::Repeat(times) => {
            if length <= 200 {
                list.repeat(*times).unwrap();
                let times = usize::try_from(*times).unwrap_or(0);
                *model = std::iter::repeat_n(model.clone(), times)
                    .flatten()
                    .collect();
            }
        }
        Step::DeleteEvery(stride) => {
            let indices: Vec<u64> = (0..length as u64).step_by(*stride).collect();
            list.delete_indices(&indices, None).unwrap();
            let mut index = 0;
            model.retain(|_| {
                index += 1;
                (index - 1) % stride != 0
            });
        }
        Step::Find(item, start, stop) => {
            if let Item::Word(word) = item {
                check_search(list, model, *word, *start, *stop);
            }
        }
        Step::Slice(_) | Step::SetSlice(..) | Step::DeleteSlice(_) => {
            perform_slice(segment, list, model, edges, step);
        }
    }
}

fn perform_slice(
    segment: &Segment,
    list: List<'_>,
    model: &mut Vec<Item>,
    edges: &[u64],
    step: &Step,
) {
    let (Step::Slice(slice) | Step::SetSlice(slice, _) | Step::DeleteSlice(slice)) = step else {
        return;
    };
    if slice.step == Some(0) {
        assert!(matches!(list.slice(*slice), Err(StoreError::ZeroStep)));
        assert!(matches!(
            list.set_slice(*slice, &[], None),
            Err(StoreError::ZeroStep)
        ));
        assert!(matches!(
            list.delete_slice(*slice, None),
            Err(StoreError::ZeroStep)
        ));
        return;
    }
    let indices = picked(*slice, model.len());
    match step {
        Step::SetSlice(_, values) => {
            let values: Vec<Item> = values.iter().map(|item| bind(item, edges)).collect();
            let done = list.set_slice(*slice, &inputs(&values), None);
            if slice.step.unwrap_or(1) == 1 {
                done.unwrap();
                let length = model.len() as i128;
                let start = slice.start.map_or(0, |start| {
                    let start = i128::from(start);
                    (if start < 0 { start + length } else { start }).clamp(0, length) as usize
                });
                model.splice(start..start + indices.len(), values);
            } else if indices.len() == values.len() {
                done.unwrap();
                for (index, value) in indices.into_iter().zip(values) {
                    model[index] = value;
                }
            } else {
                let (given, wanted) = (values.len() as u64, indices.len() as u64);
                match done {
                    Err(StoreError::SliceSize {
                        given: found,
                        wanted: asked,
                    }) => {
                        assert_eq!((found, asked), (given, wanted));
                    }
                    other => panic!("{other:?} for {given} values in {wanted} places"),
                }
            }
        }
        Step::DeleteSlice(_) => {
            list.delete_slice(*slice, None).unwrap();
            let mut index = 0;
            model.retain(|_| {
                index += 1;
                !indices.contains(&(index - 1))
            });
        }
        _ => {
            let expected: Vec<Item> = indices.iter().map(|&index| model[index].clone()).collect();
            assert_eq!(items(segment, list.slice(*slice).unwrap()), expected);
        }
    }
}

/// Numbers of the model compare by value; everything here is an integer, `True` or short text.
fn check_search(list: List<'_>, model: &[Item], word: u64, start: i64, stop: i64) {
    let one = |word: u64| {
        if word == coheld_store::word::TRUE {
            1 << 4 | 1
        } else {
            word
        }
    };
    let plain = |item: &Item| match item {
        Item::Word(found) => Some(one(*found) == one(word)),
        Item::Block { kind, .. } if *kind != kinds::block::PICKLE => Some(false),
        _ => None,
    };
    let range = picked(Slice::range(start, stop), model.len());
    let mut expected = Search::Absent;
    for index in range {
        match plain(&model[index]) {
            Some(true) => {
                let version = list.version().unwrap();
                expected = Search::Found {
                    index: index as u64,
                    version,
                };
                break;
            }
            Some(false) => {}
            None => {
                expected = Search::Unknown;
                break;
            }
        }
    }
    assert_eq!(list.find(word, start, stop).unwrap(), expected);
    let count = model
        .iter()
        .map(plain)
        .map(|equal| equal.map(u64::from))
        .sum::<Option<u64>>();
    assert_eq!(list.count(word).unwrap(), count);
}

fn run(steps: &[Step]) {
    let segment = segment(4 << 20);
    let inner: Vec<Held<'_>> = (0..3)
        .map(|_| Held::new(&segment, kinds::referent::VALUE, 0))
        .collect();
    let edges: Vec<u64> = inner.iter().map(Held::edge).collect();
    let held = Held::new(&segment, kinds::referent::LIST, 0);
    let list = List::new(&held.referent);
    let mut model = Vec::new();
    for step in steps {
        perform(&segment, list, &mut model, &edges, step);
        assert_eq!(list.len().unwrap(), model.len() as u64, "after {step:?}");
        assert_eq!(
            items(&segment, list.snapshot().unwrap()),
            model,
            "after {step:?}"
        );
        sound(&segment);
    }
    held.release();
    assert_eq!(sound(&segment).blocks, 0);
    inner.into_iter().for_each(Held::release);
    assert_eq!(sound(&segment).referents, 0);
}

proptest! {
    #[test]
    fn a_list_is_a_vec(steps in proptest::collection::vec(step(), 1..40)) {
        run(&steps);
    }
}
