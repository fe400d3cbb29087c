//! The proxies through the public interface, in one process.

use std::collections::{BTreeMap, HashMap};

use coheld::{
    ArrayProxy, BigInt, Bytes, DictProxy, Error, Exception, Handle, Kind, ListProxy, Manager,
    Pickle, Proxy, Slice, Value, ValueError,
};
use serde::{Deserialize, Serialize};

fn manager() -> Manager {
    Manager::start().unwrap()
}

/// The exception and the text of a call that has to fail.
fn raised(proxy: impl Into<Proxy>, name: &str, arguments: &[Value]) -> (Exception, String) {
    match proxy.into().call_method(name, arguments) {
        Err(Error::Raised(raised)) => (raised.exception, raised.message),
        other => panic!("{name} gave {other:?}"),
    }
}

#[test]
fn bytes_stay_while_somebody_refers_to_them() {
    let manager = manager();
    for length in [0, 5, 8, 65_535, 65_536, 300_000] {
        let content: Vec<u8> = (0..length).map(|index| (index % 251) as u8).collect();
        let dict = manager.dict::<String, Value>().unwrap();
        let list = manager.list::<Bytes>().unwrap();
        dict.insert("k", &Value::Bytes(content.clone())).unwrap();
        list.append(&Bytes(content.clone())).unwrap();
        assert_eq!(dict.get("k").unwrap(), Some(Value::Bytes(content.clone())));
        assert_eq!(list.get(0).unwrap().0, content);
        let (first, second) = (
            dict.get_ref("k").unwrap().unwrap(),
            list.get_ref(-1).unwrap(),
        );
        dict.insert("k", &Value::Bytes(vec![1; length])).unwrap();
        list.clear().unwrap();
        drop((dict, list));
        let noise = manager.list::<Bytes>().unwrap();
        (0..4).for_each(|_| noise.append(&Bytes(vec![9; length])).unwrap());
        assert_eq!((&*first, second.as_ref()), (&*content, &*content));
    }
    let dict = manager.dict::<String, Value>().unwrap();
    assert!(dict.get_ref("k").unwrap().is_none());
    for value in [Value::None, Value::from("text"), Value::from(&dict)] {
        dict.insert("k", &value).unwrap();
        let refused = dict.get_ref("k");
        assert!(
            matches!(refused, Err(Error::Value(ValueError::Mismatch(_)))),
            "{refused:?}"
        );
    }
}

#[test]
fn pickles_come_with_the_buffers_beside_them() {
    let manager = manager();
    let list = manager.list::<Value>().unwrap();
    let inner = manager.list::<i64>().unwrap();
    let buffers: Vec<Handle> = [b"read-only", b"can write"]
        .into_iter()
        .zip([false, true])
        .map(|(bytes, writable)| Handle::of_buffer(manager.attachment(), bytes, writable).unwrap())
        .collect();
    let mut edges = vec![inner.as_proxy().handle().edge_word()];
    edges.extend(buffers.iter().map(Handle::edge_word));
    // (<the first buffer>, <the second one>), the first one read-only, in a frame.
    let pickle = b"\x80\x05\x95\x05\0\0\0\0\0\0\0\x97\x98\x97\x86.";
    let referent = list.as_proxy().handle().referent().unwrap();
    let stored = coheld_store::List::new(&referent);
    stored
        .append(&coheld_store::Input::pickle(pickle, &edges))
        .unwrap();
    // One buffer too few.
    stored
        .append(&coheld_store::Input::pickle(pickle, &edges[..2]))
        .unwrap();
    drop(buffers);
    let Value::Pickle(found) = list.get(0).unwrap() else {
        panic!("a bytearray is none of the plain values");
    };
    let whole = b"\x80\x05\x8e\x09\0\0\0\0\0\0\0read-only\x96\x09\0\0\0\0\0\0\0can write\x86.";
    assert_eq!(found.as_bytes(), whole);
    assert!(matches!(list.get(1), Err(Error::Store(_))));
}

#[test]
fn an_array_is_worked_on_in_place() {
    let manager = manager();
    let array = manager.array(&[1_u16, 2, 3, 4, 5]).unwrap();
    let view = array.view().unwrap();
    let again = view.clone();
    std::thread::scope(|scope| {
        scope.spawn(move || assert!(again.set(1, 20) && !again.set(5, 1)));
    });
    array.set(0, 10).unwrap();
    assert_eq!(view.iter().collect::<Vec<_>>(), [10, 20, 3, 4, 5]);
    assert_eq!((view.get(4), view.get(5), view.len()), (Some(5), None, 5));
    let mut part = [0; 3];
    assert_eq!((view.copy_to_slice(3, &mut part), part), (2, [4, 5, 0]));
    assert_eq!(view.copy_from_slice(2, &[30, 40, 50, 60]), 3);
    assert!(matches!(
        array.replace(&[1]),
        Err(Error::Store(coheld_store::StoreError::Viewed))
    ));
    array.replace(&[7; 5]).unwrap();
    drop(array);
    assert_eq!(view.iter().map(u32::from).sum::<u32>(), 35);
}

#[test]
fn every_kind_of_value_comes_back() {
    let manager = manager();
    let list = manager.list::<Value>().unwrap();
    let inner = manager.set::<i64>().unwrap();
    let values = vec![
        Value::None,
        Value::Bool(true),
        Value::Int(5),
        Value::Int(i64::MIN),
        Value::Int(1 << 60),
        Value::from(u64::MAX),
        Value::from(-(1_i128 << 90)),
        Value::Float(0.25),
        Value::Float(1e300),
        Value::from(""),
        Value::from("short"),
        Value::from("longer than seven bytes"),
        Value::Surrogates(vec![0xed, 0xa0, 0x80]),
        Value::Bytes(vec![1, 2, 3]),
        Value::Bytes(vec![9; 100]),
        Value::Tuple(vec![Value::from(1), Value::from("x")]),
        Value::List(vec![Value::None]),
        Value::Dict(vec![
            (Value::from("b"), Value::from(1)),
            (Value::from("a"), Value::from(2)),
        ]),
        Value::Set(vec![Value::from(1)]),
        Value::from(&inner),
        Value::List(vec![
            Value::from(&inner),
            Value::from(1),
            Value::from(&list),
        ]),
        Value::Pickle(Pickle::new(
            b"\x80\x05cfractions\nFraction\n\x8c\x031/2\x85R.".to_vec(),
        )),
    ];
    for value in &values {
        list.append(value).unwrap();
    }
    assert_eq!(list.to_vec().unwrap(), values);
    for (index, value) in (0..).zip(&values) {
        assert_eq!(list.get(index).unwrap(), *value, "{value}");
        assert_eq!(list.get(index).unwrap().to_string(), value.to_string());
    }
    // Moved to another list, nothing is lost.
    let other = manager.list::<Value>().unwrap();
    other.extend(list.to_vec().unwrap()).unwrap();
    assert_eq!(other.to_vec().unwrap(), values);
    // A list that contains itself is kept by itself, until that is taken out.
    list.clear().unwrap();
    other.clear().unwrap();
    assert_eq!(manager.number_of_objects(), 3);
    drop((list, other, values));
    assert_eq!(manager.number_of_objects(), 1);
    drop(inner);
    assert_eq!(manager.number_of_objects(), 0);
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Job {
    name: String,
    size: Option<u32>,
    state: State,
    tags: Vec<(String, f32)>,
    place: [i8; 2],
    extra: BTreeMap<i64, Value>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum State {
    Waiting,
    Running(u64),
    Failed { code: i32, why: String },
    Moved(i8, char),
}

#[test]
fn structs_and_enums_are_values() {
    let manager = manager();
    let jobs = manager.list::<Job>().unwrap();
    let states = [
        State::Waiting,
        State::Running(u64::MAX),
        State::Failed {
            code: -1,
            why: "no reason".into(),
        },
        State::Moved(3, 'x'),
    ];
    let inner = manager.list::<i64>().unwrap();
    let made = states.map(|state| Job {
        name: "job".into(),
        size: None,
        state,
        tags: vec![("a".into(), 0.5)],
        place: [1, -1],
        extra: BTreeMap::from([(1, Value::from(&inner)), (2, Value::Tuple(vec![]))]),
    });
    jobs.extend(made.clone()).unwrap();
    assert_eq!(jobs.to_vec().unwrap(), made);
    // Python sees dicts.
    let dynamic: ListProxy<Value> = Proxy::from(&jobs).try_into().unwrap();
    let Value::Dict(first) = dynamic.get(0).unwrap() else {
        panic!("not a dict")
    };
    assert_eq!(first[0], (Value::from("name"), Value::from("job")));
    assert_eq!(first[2].1, Value::from("Waiting"));
}

#[test]
fn proxies_nest_to_any_depth() {
    let manager = manager();
    let outer = manager
        .dict::<String, DictProxy<String, ListProxy<i64>>>()
        .unwrap();
    let middle = manager.dict().unwrap();
    let inner = manager.list::<i64>().unwrap();
    middle.insert("inner", &inner).unwrap();
    outer.insert("middle", &middle).unwrap();
    drop(middle);
    drop(inner);
    assert_eq!(manager.number_of_objects(), 3);
    let found = outer
        .get("middle")
        .unwrap()
        .unwrap()
        .get("inner")
        .unwrap()
        .unwrap();
    found.append(&7).unwrap();
    drop(found);
    let again = outer.values().unwrap()[0].items().unwrap();
    assert_eq!(again[0].1.to_vec().unwrap(), [7]);
    drop(again);
    outer.clear().unwrap();
    assert_eq!(manager.number_of_objects(), 1);

    let mixed = manager.list::<Value>().unwrap();
    mixed.append_proxy(&outer).unwrap();
    mixed.append_proxy(mixed.clone()).unwrap();
    let proxy = mixed.get(0).unwrap().as_proxy().unwrap().clone();
    assert_eq!(proxy, Proxy::from(&outer));
    assert!(ListProxy::<Value>::try_from(proxy).is_err());
    mixed.clear().unwrap();
}

#[test]
fn a_wrong_type_is_an_error_and_nothing_is_lost() {
    let manager = manager();
    let list = manager.list::<Value>().unwrap();
    list.append_proxy(manager.list::<i64>().unwrap()).unwrap();
    list.append(&Value::from("text")).unwrap();
    let wrong: ListProxy<i64> = Proxy::from(&list).try_into().unwrap();
    for index in 0..2 {
        assert!(matches!(
            wrong.get(index),
            Err(Error::Value(ValueError::Mismatch(_)))
        ));
    }
    assert!(wrong.to_vec().is_err());
    assert_eq!(wrong.len().unwrap(), 2);
    list.set(0, &Value::Surrogates(vec![0xed, 0xa0, 0x80]))
        .unwrap();
    let texts: ListProxy<String> = Proxy::from(&list).try_into().unwrap();
    let message = texts.get(0).unwrap_err().to_string();
    assert!(message.contains("lone surrogates"), "{message}");
    assert_eq!(manager.number_of_objects(), 1);

    let other = Manager::start().unwrap();
    let foreign = other.list::<i64>().unwrap();
    assert!(matches!(
        list.append_proxy(&foreign),
        Err(Error::Value(ValueError::OtherManager))
    ));
    let nested = Value::List(vec![Value::from(&foreign)]);
    assert!(list.append(&nested).is_err());
}

#[test]
fn lists_do_what_vectors_do() {
    let manager = manager();
    let list = manager.list::<i64>().unwrap();
    list.extend([5, 3, 9, 1]).unwrap();
    list.sort().unwrap();
    assert_eq!(list.to_vec().unwrap(), [1, 3, 5, 9]);
    list.sort_by_key(|number| -number).unwrap();
    assert_eq!(list.iter().unwrap().collect::<Vec<_>>(), [9, 5, 3, 1]);
    list.reverse().unwrap();
    list.insert(1, &2).unwrap();
    assert_eq!(list.index_of(&2).unwrap(), Some(1));
    assert!(list.remove_value(&2).unwrap() && !list.remove_value(&2).unwrap());
    assert_eq!(list.slice(1, -1).unwrap(), [3, 5]);
    assert_eq!(
        list.slice_by(Slice {
            step: Some(-2),
            ..Slice::FULL
        })
        .unwrap(),
        [9, 3]
    );
    assert_eq!(list.pop_front().unwrap(), Some(1));
    assert_eq!(list.pop().unwrap(), Some(9));
    assert_eq!(list.remove(0).unwrap(), 3);
    assert!(list.remove(7).is_err());
    list.clear().unwrap();
    assert_eq!(list.pop().unwrap(), None);
    assert_eq!(list.get(0).unwrap_err().exception(), Exception::IndexError);

    let pairs = manager.list::<(String, f64)>().unwrap();
    pairs
        .extend([("b".into(), 1.0), ("a".into(), 2.0)])
        .unwrap();
    assert!(pairs.contains(&("a".to_owned(), 2.0)).unwrap());
    pairs.sort_by(|one, two| one.0.cmp(&two.0)).unwrap();
    assert_eq!(pairs.get(0).unwrap().1.to_bits(), 2f64.to_bits());
}

#[test]
fn keys_are_equal_when_python_says_so() {
    let manager = manager();
    let dict = manager.dict::<Value, i64>().unwrap();
    dict.insert(&Value::from(1), &1).unwrap();
    for same in [Value::Bool(true), Value::Float(1.0)] {
        assert_eq!(dict.get(&same).unwrap(), Some(1));
    }
    let large = Value::from(BigInt::from(1_i128 << 100));
    dict.insert(&large, &2).unwrap();
    assert_eq!(dict.get(&Value::Float(2f64.powi(100))).unwrap(), Some(2));
    let tuple = Value::Tuple(vec![Value::from(1), Value::Tuple(vec![Value::from("a")])]);
    dict.insert(&tuple, &3).unwrap();
    let same = Value::Tuple(vec![
        Value::Float(1.0),
        Value::Tuple(vec![Value::from("a")]),
    ]);
    assert_eq!(dict.get(&same).unwrap(), Some(3));
    assert_eq!(dict.keys().unwrap()[2], tuple);
    let refused = dict.insert(&Value::List(vec![]), &4).unwrap_err();
    assert_eq!(refused.to_string(), "unhashable type: 'list'");

    let typed = manager.dict::<(u8, String), Bytes>().unwrap();
    typed
        .extend([((1, "a".into()), Bytes(vec![1; 50]))])
        .unwrap();
    assert_eq!(
        typed.get(&(1, "a".to_owned())).unwrap(),
        Some(Bytes(vec![1; 50]))
    );
    let map: HashMap<_, _> = typed.items().unwrap().into_iter().collect();
    assert_eq!(map.len(), 1);
}

#[test]
fn dicts_do_what_maps_do() {
    let manager = manager();
    let dict = manager.dict::<String, String>().unwrap();
    assert_eq!(dict.set_default("a", "first".into()).unwrap(), "first");
    assert_eq!(dict.set_default("a", "second".into()).unwrap(), "first");
    dict.insert("b", "a value of many bytes").unwrap();
    assert!(dict.contains_key("b").unwrap());
    assert_eq!(dict.pop_last().unwrap().unwrap().0, "b");
    assert_eq!(dict.remove("b").unwrap(), None);
    dict.replace([("z".to_owned(), "1".to_owned())]).unwrap();
    assert_eq!(dict.items().unwrap(), [("z".to_owned(), "1".to_owned())]);
    dict.clear().unwrap();
    assert!(dict.pop_last().unwrap().is_none() && dict.is_empty().unwrap());

    let counts = manager.dict::<String, i64>().unwrap();
    counts.insert("n", &i64::MAX).unwrap();
    assert!(counts.increment("n", 1).is_err());
    assert_eq!(counts.get("n").unwrap(), Some(i64::MAX));
}

#[test]
fn arrays_keep_their_items() {
    let manager = manager();
    let bytes = manager.array(&[1_u8, 2, 255]).unwrap();
    bytes.set(0, 7).unwrap();
    assert_eq!(bytes.to_vec().unwrap(), [7, 2, 255]);
    assert_eq!(bytes.get(-1).unwrap(), 255);
    let signed = manager.array(&[i64::MIN, -1]).unwrap();
    assert_eq!(signed.slice(0, 1).unwrap(), [i64::MIN]);
    let floats = manager.array(&[0.5_f32]).unwrap();
    floats.replace(&[1.5, 2.5]).unwrap();
    assert_eq!(floats.len().unwrap(), 2);
    let wrong = ArrayProxy::<i8>::try_from(Proxy::from(&floats)).unwrap_err();
    assert!(
        wrong.to_string().contains("typecode 'f', not 'b'"),
        "{wrong}"
    );
    assert_eq!(
        Proxy::from(&bytes).value().unwrap(),
        Value::List([7, 2, 255].map(Value::from).to_vec())
    );
}

#[test]
fn methods_by_name_answer_as_python_does() {
    let manager = manager();
    let list = Proxy::from(manager.list::<Value>().unwrap());
    let squares = Value::List((0..10).map(|number| Value::from(number * number)).collect());
    list.call_method("extend", &[squares]).unwrap();
    let answer = list
        .call_method("__getitem__", &[Value::Slice(Slice::range(2, 7))])
        .unwrap();
    assert_eq!(answer.to_string(), "[4, 9, 16, 25, 36]");
    assert_eq!(list.call_method("__len__", &[]).unwrap(), Value::from(10));
    assert_eq!(
        list.call_method("index", &[Value::from(81)]).unwrap(),
        Value::from(9)
    );
    list.call_method("sort", &[]).unwrap();

    let (twenty, none) = (Value::from(20), Value::None);
    assert_eq!(
        raised(list.clone(), "__getitem__", std::slice::from_ref(&twenty)),
        (Exception::IndexError, "list index out of range".into())
    );
    assert_eq!(
        raised(list.clone(), "__setitem__", &[twenty.clone(), none.clone()]),
        (
            Exception::IndexError,
            "list assignment index out of range".into()
        )
    );
    assert_eq!(
        raised(list.clone(), "remove", &[Value::from("x")]),
        (
            Exception::ValueError,
            "list.remove(x): x not in list".into()
        )
    );
    assert_eq!(
        raised(list.clone(), "index", &[Value::from("x")]),
        (Exception::ValueError, "'x' is not in list".into())
    );
    list.call_method("append", &[Value::from("x")]).unwrap();
    assert_eq!(
        raised(list.clone(), "sort", &[]).1,
        "'<' not supported between instances of 'str' and 'int'"
    );
    list.call_method("clear", &[]).unwrap();
    assert_eq!(raised(list.clone(), "pop", &[]).1, "pop from empty list");
    assert_eq!(
        raised(list.clone(), "push", &[]).0,
        Exception::AttributeError
    );
    assert_eq!(raised(list.clone(), "append", &[]).0, Exception::TypeError);

    let set = manager.set::<i64>().unwrap();
    assert_eq!(
        raised(&set, "remove", std::slice::from_ref(&twenty)),
        (Exception::KeyError, "20".into())
    );
    assert_eq!(raised(&set, "pop", &[]).1, "'pop from an empty set'");
    assert_eq!(
        raised(&set, "add", &[Value::List(vec![])]),
        (Exception::TypeError, "unhashable type: 'list'".into())
    );
    let space = manager.namespace().unwrap();
    assert_eq!(
        raised(&space, "__getattribute__", &[Value::from("x")]),
        (
            Exception::AttributeError,
            "'Namespace' object has no attribute 'x'".into()
        )
    );
    let array = manager.array(&[1_u8]).unwrap();
    assert_eq!(
        raised(&array, "__getitem__", &[twenty]),
        (Exception::IndexError, "array index out of range".into())
    );
    assert_eq!(
        raised(&array, "__setitem__", &[Value::from(0), Value::from(256)]).0,
        Exception::OverflowError
    );
    assert_eq!(Proxy::from(&array).kind(), Kind::Array);
}

#[test]
fn proxies_are_shared_by_threads() {
    fn assert_shared<T: Send + Sync + Clone>() {}
    assert_shared::<ListProxy<Value>>();
    assert_shared::<DictProxy<String, std::rc::Rc<str>>>();
    let manager = manager();
    let counts = manager.dict::<String, i64>().unwrap();
    let list = manager.list::<i64>().unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for number in 0..1_000 {
                    counts.increment("n", 1).unwrap();
                    list.append(&number).unwrap();
                }
            });
        }
    });
    assert_eq!(counts.get("n").unwrap(), Some(4_000));
    assert_eq!(list.len().unwrap(), 4_000);
}
