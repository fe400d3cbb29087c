//! `+`, for `increment`.

use super::{Exception, raise};
use crate::{BigInt, Error, Value};

/// `one + two`, as Python has it.
pub(super) fn add(one: &Value, two: &Value) -> Result<Value, Error> {
    match (one, two) {
        (Value::Str(one), Value::Str(two)) => Ok(Value::Str(format!("{one}{two}"))),
        (Value::Bytes(one), Value::Bytes(two)) => Ok(Value::Bytes(joined(one, two))),
        (Value::List(one), Value::List(two)) => Ok(Value::List(joined(one, two))),
        (Value::Tuple(one), Value::Tuple(two)) => Ok(Value::Tuple(joined(one, two))),
        _ => numbers(one, two).unwrap_or_else(|| Err(refused(one, two))),
    }
}

fn joined<T: Clone>(one: &[T], two: &[T]) -> Vec<T> {
    [one, two].concat()
}

/// The sum of two numbers; `None` if they are not both numbers.
fn numbers(one: &Value, two: &Value) -> Option<Result<Value, Error>> {
    if let (Some(one), Some(two)) = (one.as_int(), two.as_int()) {
        return Some(Ok(Value::from(i128::from(one) + i128::from(two))));
    }
    if let (Some(one), Some(two)) = (integer(one), integer(two)) {
        return Some(Ok(Value::from(sum_of(&one, &two))));
    }
    let sum = one.as_float()? + two.as_float()?;
    let too_large = |value: &Value| {
        matches!(value, Value::BigInt(_)) && value.as_float().is_some_and(f64::is_infinite)
    };
    if too_large(one) || too_large(two) {
        let message = "int too large to convert to float";
        return Some(Err(raise(Exception::OverflowError, message)));
    }
    Some(Ok(Value::Float(sum)))
}

/// The integer of any size, if it is one.
fn integer(value: &Value) -> Option<BigInt> {
    match value {
        Value::BigInt(value) => Some(value.clone()),
        _ => value.as_int().map(BigInt::from),
    }
}

/// The sum in two's complement, with a byte more than the longer one for the carry.
fn sum_of(one: &BigInt, two: &BigInt) -> BigInt {
    let length = one.as_bytes().len().max(two.as_bytes().len()) + 1;
    let digit = |number: &BigInt, at: usize| {
        let sign = if number.is_negative() { 0xff } else { 0 };
        u16::from(number.as_bytes().get(at).copied().unwrap_or(sign))
    };
    let mut carry = 0;
    let bytes: Vec<u8> = (0..length)
        .map(|at| {
            let sum = digit(one, at) + digit(two, at) + carry;
            carry = sum >> 8;
            sum as u8
        })
        .collect();
    BigInt::from_bytes(&bytes)
}

/// The exception of Python for two values that have no sum.
#[cold]
fn refused(one: &Value, two: &Value) -> Error {
    let (first, second) = (one.type_name(), two.type_name());
    let message = match (one, two) {
        (Value::Pickle(_), _) | (_, Value::Pickle(_)) => {
            "only Python can add to an object of its own".to_owned()
        }
        (Value::Str(_) | Value::List(_) | Value::Tuple(_), _) => {
            format!("can only concatenate {first} (not \"{second}\") to {first}")
        }
        (Value::Bytes(_), _) => format!("can't concat {second} to bytes"),
        _ => format!("unsupported operand type(s) for +: '{first}' and '{second}'"),
    };
    raise(Exception::TypeError, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_of_any_size() {
        let numbers = [
            0,
            1,
            -1,
            255,
            -256,
            i128::from(i64::MAX),
            i128::from(i64::MIN),
            1 << 100,
            -(1 << 100),
            (1 << 126) - 1,
        ];
        for one in numbers {
            for two in numbers {
                let sum = add(&Value::from(one), &Value::from(two)).unwrap();
                assert_eq!(sum.to_string(), (one + two).to_string());
            }
        }
        let large = BigInt::from_bytes(&[0x7f; 40]);
        let sum = sum_of(&large, &BigInt::from_bytes(&[0x81; 40]));
        assert_eq!(sum.to_i128(), None);
        assert_eq!(sum_of(&large, &BigInt::from(0_i64)), large);
    }

    #[test]
    fn other_values() {
        let list = |numbers: &[i64]| {
            Value::List(numbers.iter().map(|&number| Value::Int(number)).collect())
        };
        for (one, two, sum) in [
            (Value::from("a"), Value::from("b"), Value::from("ab")),
            (list(&[1]), list(&[2]), list(&[1, 2])),
            (Value::Bool(true), Value::Bool(true), Value::Int(2)),
            (Value::Int(1), Value::Float(0.5), Value::Float(1.5)),
        ] {
            let found = add(&one, &two).unwrap();
            assert_eq!((found.type_name(), &found), (sum.type_name(), &sum));
        }
        for (one, two, message) in [
            (
                Value::None,
                Value::Int(1),
                "unsupported operand type(s) for +: 'NoneType' and 'int'",
            ),
            (
                Value::from("a"),
                Value::Int(1),
                "can only concatenate str (not \"int\") to str",
            ),
            (
                Value::from(BigInt::from_bytes(&[0x7f; 200])),
                Value::Float(1.0),
                "int too large to convert to float",
            ),
        ] {
            let error = add(&one, &two).unwrap_err();
            assert!(error.to_string().contains(message), "{error}");
        }
    }
}
