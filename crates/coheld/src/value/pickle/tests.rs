//! Round trips, hostile pickles, and what other implementations make of ours.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::{Command, Stdio};

use super::{Writer, read, read_message, write_message};
use crate::Manager;
use crate::value::{BigInt, Value, ValueError};

fn write(value: &Value) -> Vec<u8> {
    Writer::pickle(value).unwrap().0
}

fn list(items: &[Value]) -> Value {
    Value::List(items.to_vec())
}

/// One value of every kind, nested.
fn everything() -> Value {
    let text = |length: usize| Value::from("x".repeat(length));
    Value::Dict(vec![
        (
            Value::from("z"),
            list(&[Value::None, Value::Bool(true), Value::Bool(false)]),
        ),
        (
            Value::from("a"),
            list(&[0, 255, 256, -1, 1 << 31, i64::MIN, i64::MAX].map(Value::from)),
        ),
        (Value::from(7), Value::from(BigInt::from(-(1_i128 << 100)))),
        (
            Value::Float(0.5),
            list(&[Value::Float(f64::INFINITY), Value::Float(-0.0)]),
        ),
        (Value::Tuple(vec![Value::from("t")]), Value::Tuple(vec![])),
        (Value::None, Value::Tuple((0..5).map(Value::from).collect())),
        (
            Value::Bytes(vec![0, 255]),
            list(&[text(255), text(256), Value::from("\u{e9}\u{1f600}")]),
        ),
        (
            Value::from("s"),
            Value::Set(vec![Value::from(1), Value::from("b")]),
        ),
        (
            Value::from("l"),
            Value::Surrogates(vec![b'a', 0xed, 0xa0, 0x80]),
        ),
        (Value::from("d"), Value::Dict(vec![])),
        (
            Value::from("p"),
            Value::Slice(coheld_store::Slice::range(2, 7)),
        ),
    ])
}

#[test]
fn what_was_written_is_read() {
    let value = everything();
    let read = read(&write(&value), &[]).unwrap();
    assert_eq!(read, value);
    // Equality does not look at the order of a dict, which has to be kept.
    assert_eq!(read.to_string(), value.to_string());
}

#[test]
fn proxies_in_messages_come_back_and_leave_nothing() {
    let manager = Manager::start().unwrap();
    let (one, two) = (manager.list::<i64>().unwrap(), manager.event().unwrap());
    let pair = list(&[Value::from(&one), Value::from(7)]);
    let value = Value::Tuple(vec![pair, Value::from(&two), Value::from(&one)]);
    let (message, _) = write_message(&value).unwrap();
    let read = read_message(&message, manager.attachment()).unwrap();
    assert_eq!(read, value);
    for end in 0..message.len() {
        let cut = read_message(&message[..end], manager.attachment());
        assert!(!matches!(cut, Ok(cut) if cut == value));
    }
    // No lease is left.
    drop((read, value, one, two));
    assert_eq!(manager.number_of_objects(), 0);
}

#[test]
fn every_length_of_integer_is_read() {
    for bits in 0..300 {
        let mut bytes = vec![0; bits / 8];
        bytes.push(1 << (bits % 8));
        bytes.push(0);
        let value = Value::from(BigInt::from_bytes(&bytes));
        assert_eq!(read(&write(&value), &[]), Some(value));
    }
}

#[test]
fn damaged_pickles_are_refused_without_harm() {
    let pickle = write(&everything());
    for end in 0..pickle.len() {
        assert!(read(&pickle[..end], &[]).is_none());
    }
    for place in 0..pickle.len() {
        for bit in 0..8 {
            let mut damaged = pickle.clone();
            damaged[place] ^= 1 << bit;
            drop(read(&damaged, &[]));
        }
    }
}

#[test]
fn a_pickle_that_contains_itself_is_refused() {
    // l = []; l.append(l)
    assert!(read(b"\x80\x05]\x94h\x00a.", &[]).is_none());
}

#[test]
fn a_pickle_that_grows_beyond_measure_is_refused() {
    // Each tuple holds the one before twice, forty times.
    let mut pickle = b"\x80\x05]q\x00".to_vec();
    for _ in 0..40 {
        pickle.extend_from_slice(b"h\x00h\x00\x86q\x00");
    }
    pickle.push(b'.');
    assert!(read(&pickle, &[]).is_none());
}

#[test]
fn depth_has_a_limit_in_both_directions() {
    let mut value = Value::None;
    for _ in 0..600 {
        value = list(&[value]);
    }
    assert!(matches!(
        Writer::pickle(&value),
        Err(ValueError::TooDeep { .. })
    ));
    let mut pickle = vec![b']'; 600];
    pickle.extend(vec![b'a'; 599]);
    pickle.push(b'.');
    assert!(read(&pickle, &[]).is_none());
}

#[test]
fn what_python_could_not_load_is_not_written() {
    let dict = Value::Dict(vec![(list(&[]), Value::None)]);
    assert!(matches!(
        Writer::pickle(&dict),
        Err(ValueError::NotHashable { type_name: "list" })
    ));
}

#[test]
fn classes_are_not_read() {
    // datetime.date(2026, 1, 1), fractions.Fraction(1, 2): kept as they are.
    assert!(
        read(
            b"\x80\x05\x8c\x08datetime\x8c\x04date\x93C\x04\x07\xea\x01\x01\x85R.",
            &[]
        )
        .is_none()
    );
    assert!(read(b"cos\nsystem\n\x8c\x02ls\x85R.", &[]).is_none());
}

#[test]
fn serde_pickle_agrees() {
    let value = Value::Dict(vec![(
        Value::from("k"),
        list(&[1_i64, -5, 1 << 40].map(Value::from)),
    )]);
    let theirs: BTreeMap<String, Vec<i64>> =
        serde_pickle::from_slice(&write(&value), serde_pickle::DeOptions::new()).unwrap();
    assert_eq!(theirs["k"], [1, -5, 1 << 40]);
    let pickle = serde_pickle::to_vec(&theirs, serde_pickle::SerOptions::new()).unwrap();
    assert_eq!(read(&pickle, &[]), Some(value));
}

/// Runs a program of Python 3 on a pickle; `None` if there is no Python.
fn python(program: &str, input: &[u8]) -> Option<Vec<u8>> {
    let mut child = Command::new("python3")
        .args(["-c", program])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .ok()?;
    child.stdin.take()?.write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "python failed");
    Some(output.stdout)
}

#[test]
fn python_reads_what_rust_writes_and_the_other_way_round() {
    let value = everything();
    // It loads ours, says what it sees, and pickles it again in its own way.
    let program = "
import pickle, sys
value = pickle.loads(sys.stdin.buffer.read())
assert list(value) == ['z', 'a', 7, 0.5, ('t',), None, b'\\x00\\xff', 's', 'l', 'd', 'p'], value
assert value[7] == -(1 << 100)
assert value['a'] == [0, 255, 256, -1, 1 << 31, -(1 << 63), (1 << 63) - 1]
assert value['s'] == {1, 'b'} and value['l'] == 'a\\ud800' and value['p'] == slice(2, 7, None)
assert type(value[None]) is tuple and value[b'\\x00\\xff'][2] == '\\u00e9\\U0001f600'
value['shared'] = [value['a'], value['a']]
sys.stdout.buffer.write(pickle.dumps(value, 5))
";
    let Some(pickle) = python(program, &write(&value)) else {
        return;
    };
    let Value::Dict(mut expected) = value else {
        unreachable!()
    };
    let shared = expected[1].1.clone();
    expected.push((Value::from("shared"), list(&[shared.clone(), shared])));
    assert_eq!(read(&pickle, &[]), Some(Value::Dict(expected)));
}
