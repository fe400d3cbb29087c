//! Values that change by what they were, safe against others.

use std::thread;

use coheld::{BigInt, DictProxy, Error, Exception, Manager, Value, ValueProxy};

fn manager() -> Manager {
    Manager::start().unwrap()
}

/// Beyond what lies in a word.
const LARGE: i64 = 1 << 59;

#[test]
fn a_value_is_incremented() {
    let manager = manager();
    let value = manager.value(&1_i64).unwrap();
    assert_eq!(value.increment(41).unwrap(), 42);
    assert_eq!(value.increment(-43).unwrap(), -1);
    // Out of the word and back into it, on both sides.
    for limit in [LARGE - 1, -LARGE] {
        value.set(&limit).unwrap();
        let step = limit.signum();
        assert_eq!(value.increment(step).unwrap(), limit + step);
        assert_eq!(value.increment(step).unwrap(), limit + 2 * step);
        assert_eq!(value.increment(-2 * step).unwrap(), limit);
        assert_eq!(value.get().unwrap(), limit);
    }
    value.set(&i64::MAX).unwrap();
    assert!(value.increment(1).is_err());
    assert_eq!(value.get().unwrap(), i64::MAX);
}

#[test]
fn an_entry_is_incremented() {
    let manager = manager();
    let counts = manager.dict::<String, i64>().unwrap();
    assert_eq!(counts.increment("n", 2).unwrap(), 2);
    assert_eq!(counts.increment("n", LARGE).unwrap(), LARGE + 2);
    assert_eq!(counts.increment("n", LARGE).unwrap(), 2 * LARGE + 2);
    assert_eq!(counts.increment("n", -2 * LARGE).unwrap(), 2);
    assert_eq!(counts.increment("large", LARGE).unwrap(), LARGE);
    counts.insert("n", &i64::MIN).unwrap();
    assert!(counts.increment("n", -1).is_err());
    assert_eq!(counts.get("n").unwrap(), Some(i64::MIN));
}

#[test]
fn what_is_no_number_stays_as_it_is() {
    let manager = manager();
    let value = manager.value(&Value::from("text")).unwrap();
    let counter = ValueProxy::<i64>::try_from(value.as_proxy().clone()).unwrap();
    for content in [Value::from("text"), Value::None, Value::from(0.5)] {
        value.set(&content).unwrap();
        assert!(counter.increment(1).is_err());
        assert_eq!(value.get().unwrap(), content);
    }
}

#[test]
fn a_value_is_updated() {
    let manager = manager();
    let value = manager.value(&vec![1, 2]).unwrap();
    let push = |mut numbers: Vec<i32>| {
        numbers.push(3);
        numbers
    };
    assert_eq!(value.update(push).unwrap(), [1, 2, 3]);
    assert_eq!(value.get().unwrap(), [1, 2, 3]);
}

#[test]
fn an_entry_is_updated() {
    let manager = manager();
    let texts = manager.dict::<u8, String>().unwrap();
    assert_eq!(texts.update(&1, |old| old).unwrap(), None);
    assert!(texts.is_empty().unwrap());
    let longer = |old: Option<String>| Some(old.unwrap_or_default() + "some more text");
    texts.update(&1, longer).unwrap();
    let twice = "some more text".repeat(2);
    assert_eq!(texts.update(&1, longer).unwrap(), Some(twice.clone()));
    assert_eq!(texts.get(&1).unwrap(), Some(twice));
    assert_eq!(texts.update(&1, |_| None).unwrap(), None);
    assert!(texts.is_empty().unwrap());
}

/// The function sees what the other one stored, and nothing of either is lost.
#[test]
fn an_update_that_came_too_late_is_done_again() {
    let manager = manager();
    let texts = manager.dict::<String, String>().unwrap();
    let mut tries = 0;
    let last = texts.update("a", |old| {
        tries += 1;
        if tries <= 3 {
            let text = format!("{tries}");
            texts.insert("a", &text).unwrap();
        }
        Some(old.unwrap_or_default() + "!")
    });
    assert_eq!(last.unwrap().as_deref(), Some("3!"));
    assert_eq!(tries, 4);
}

#[test]
fn a_value_is_exchanged_if_it_is_equal() {
    let manager = manager();
    let value = manager.value(&Value::Int(1)).unwrap();
    let long = Value::from("a text of many bytes");
    let list = Value::List(vec![Value::Int(1), Value::None]);
    let steps = [
        (Value::Bool(true), Value::Float(2.0)),
        (Value::Int(2), Value::from("short")),
        (Value::from("short"), long.clone()),
        (long.clone(), list.clone()),
        (list, Value::from(1_i128 << 100)),
        (Value::Float(2f64.powi(100)), Value::None),
    ];
    for (old, new) in steps {
        for other in [Value::Int(7), Value::from("other"), Value::List(vec![])] {
            assert!(!value.compare_exchange(&other, &new).unwrap());
        }
        assert_eq!(value.get().unwrap(), old);
        assert!(value.compare_exchange(&old, &new).unwrap());
        let found = value.get().unwrap();
        assert_eq!((found.type_name(), &found), (new.type_name(), &new));
    }
    value.set(&Value::Float(f64::NAN)).unwrap();
    let exchanged = value.compare_exchange(&Value::Float(f64::NAN), &long);
    assert!(!exchanged.unwrap());
}

#[test]
fn an_entry_is_exchanged_if_it_is_equal() {
    let manager = manager();
    let dict = manager.dict::<Value, Value>().unwrap();
    let (key, long) = (Value::Int(1), Value::from("a text of many bytes"));
    assert!(!dict.compare_exchange(&key, &Value::None, &long).unwrap());
    assert!(dict.is_empty().unwrap());
    dict.insert(&key, &Value::None).unwrap();
    let same_key = Value::Float(1.0);
    assert!(
        dict.compare_exchange(&same_key, &Value::None, &long)
            .unwrap()
    );
    assert!(!dict.compare_exchange(&key, &Value::None, &long).unwrap());
    assert!(dict.compare_exchange(&key, &long, &Value::Int(2)).unwrap());
    let two = Value::Float(2.0);
    assert!(dict.compare_exchange(&key, &two, &Value::Int(3)).unwrap());
    assert_eq!(dict.items().unwrap(), [(Value::Int(1), Value::Int(3))]);
}

#[test]
fn methods_by_name() {
    let manager = manager();
    let value = manager.value(&Value::Int(1)).unwrap();
    let call = |name: &str, arguments: &[Value]| value.call_method(name, arguments);
    assert_eq!(call("increment", &[]).unwrap(), Value::Int(2));
    let large = Value::from(1_i128 << 100);
    let sum = Value::from((1_i128 << 100) + 2);
    assert_eq!(call("increment", &[large]).unwrap(), sum);
    let less = Value::BigInt(BigInt::from(-(1_i128 << 100)));
    assert_eq!(call("increment", &[less]).unwrap(), Value::Int(2));
    let exchanged = call("compare_exchange", &[Value::Float(2.0), Value::from("a")]);
    assert_eq!(exchanged.unwrap(), Value::Bool(true));
    assert_eq!(call("increment", &["b".into()]).unwrap(), "ab".into());
    let Err(Error::Raised(raised)) = call("increment", &[]) else {
        panic!("a number cannot be added to text");
    };
    assert_eq!(raised.exception, Exception::TypeError);
    assert_eq!(
        raised.message,
        "can only concatenate str (not \"int\") to str"
    );
    assert_eq!(value.get().unwrap(), "ab".into());

    let dict = manager.dict::<Value, Value>().unwrap();
    let call = |name: &str, arguments: &[Value]| dict.call_method(name, arguments);
    assert_eq!(call("increment", &["n".into()]).unwrap(), Value::Int(1));
    let by_two = ["n".into(), Value::Int(2)];
    assert_eq!(call("increment", &by_two).unwrap(), Value::Int(3));
    let with_initial = ["m".into(), Value::Int(2), Value::Float(0.5)];
    assert_eq!(call("increment", &with_initial).unwrap(), Value::Float(2.5));
    let exchange = ["n".into(), Value::Int(3), Value::None];
    assert_eq!(call("compare_exchange", &exchange).unwrap(), true.into());
    assert_eq!(call("compare_exchange", &exchange).unwrap(), false.into());
    assert!(call("increment", &["n".into()]).is_err());
    assert_eq!(dict.get(&"n".into()).unwrap(), Some(Value::None));
}

/// Small and large steps, functions and exchanges at once: every one of them counts.
#[test]
fn threads_lose_nothing() {
    const EACH: i64 = 1_000;
    let manager = manager();
    let value = manager.value(&0_i64).unwrap();
    let dict = manager.dict::<String, i64>().unwrap();
    thread::scope(|scope| {
        scope.spawn(|| (0..EACH).for_each(|_| count(&value, &dict, 1)));
        scope.spawn(|| (0..EACH).for_each(|_| count(&value, &dict, LARGE / EACH)));
        scope.spawn(|| {
            for _ in 0..EACH {
                value.update(|old| old + 1).unwrap();
                dict.update("n", |old| Some(old.unwrap_or(0) + 1)).unwrap();
            }
        });
        scope.spawn(|| (0..EACH).for_each(|_| exchange(&value, &dict)));
    });
    let total = EACH * (1 + LARGE / EACH + 1 + 1);
    assert_eq!(value.get().unwrap(), total);
    assert_eq!(dict.get("n").unwrap(), Some(total));
}

fn count(value: &ValueProxy<i64>, dict: &DictProxy<String, i64>, step: i64) {
    value.increment(step).unwrap();
    dict.increment("n", step).unwrap();
}

fn exchange(value: &ValueProxy<i64>, dict: &DictProxy<String, i64>) {
    loop {
        let old = value.get().unwrap();
        if value.compare_exchange(&old, &(old + 1)).unwrap() {
            break;
        }
    }
    loop {
        let old = dict.increment("n", 0).unwrap();
        if dict.compare_exchange("n", &old, &(old + 1)).unwrap() {
            break;
        }
    }
}
