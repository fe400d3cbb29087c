//! When two values are equal, and how a value looks: as in Python.

use std::fmt;

use super::{BigInt, Value};

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::None, Self::None) => true,
            (Self::Str(one), Self::Str(two)) => one == two,
            (Self::Bytes(one), Self::Bytes(two))
            | (Self::Surrogates(one), Self::Surrogates(two)) => one == two,
            (Self::Tuple(one), Self::Tuple(two)) | (Self::List(one), Self::List(two)) => one == two,
            (Self::Set(one), Self::Set(two)) => {
                one.len() == two.len() && one.iter().all(|item| two.contains(item))
            }
            (Self::Dict(one), Self::Dict(two)) => {
                one.len() == two.len() && one.iter().all(|pair| two.contains(pair))
            }
            (Self::Slice(one), Self::Slice(two)) => {
                (one.start, one.stop, one.step) == (two.start, two.stop, two.step)
            }
            (Self::Proxy(one), Self::Proxy(two)) => one == two,
            (Self::Pickle(one), Self::Pickle(two)) => one == two,
            _ => numbers_equal(self, other),
        }
    }
}

fn numbers_equal(one: &Value, two: &Value) -> bool {
    match (number(one), number(two)) {
        (Some(Number::Int(one)), Some(Number::Int(two))) => one == two,
        #[allow(clippy::float_cmp, reason = "the equality of Python is exact")]
        (Some(Number::Float(one)), Some(Number::Float(two))) => one == two,
        (Some(Number::Big(one)), Some(Number::Big(two))) => one == two,
        (Some(Number::Int(int)), Some(Number::Float(float)))
        | (Some(Number::Float(float)), Some(Number::Int(int))) => equals_float(&int.into(), float),
        (Some(Number::Big(int)), Some(Number::Float(float)))
        | (Some(Number::Float(float)), Some(Number::Big(int))) => equals_float(int, float),
        _ => false,
    }
}

enum Number<'v> {
    Int(i64),
    Big(&'v BigInt),
    Float(f64),
}

fn number(value: &Value) -> Option<Number<'_>> {
    match value {
        Value::Bool(value) => Some(Number::Int(i64::from(*value))),
        Value::Int(value) => Some(Number::Int(*value)),
        Value::BigInt(value) => Some(Number::Big(value)),
        Value::Float(value) => Some(Number::Float(*value)),
        _ => None,
    }
}

/// Whether a double is exactly this integer.
fn equals_float(int: &BigInt, float: f64) -> bool {
    // The display of an integral double has all of its digits.
    float.is_finite() && float.fract() == 0.0 && int.to_string() == format!("{:.0}", float + 0.0)
}

impl fmt::Display for Value {
    /// As Python's `repr`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => formatter.write_str("None"),
            Self::Bool(true) => formatter.write_str("True"),
            Self::Bool(false) => formatter.write_str("False"),
            Self::Int(value) => write!(formatter, "{value}"),
            Self::BigInt(value) => write!(formatter, "{value}"),
            Self::Float(value) => write_float(formatter, *value),
            Self::Str(text) => write_text(formatter, text),
            Self::Surrogates(bytes) => write_text(formatter, &String::from_utf8_lossy(bytes)),
            Self::Bytes(bytes) => write!(formatter, "b'{}'", bytes.escape_ascii()),
            Self::Tuple(items) if items.len() == 1 => write!(formatter, "({},)", items[0]),
            Self::Tuple(items) => write_items(formatter, "(", items, ")"),
            Self::List(items) => write_items(formatter, "[", items, "]"),
            Self::Set(items) if items.is_empty() => formatter.write_str("set()"),
            Self::Set(items) => write_items(formatter, "{", items, "}"),
            Self::Dict(pairs) => {
                formatter.write_str("{")?;
                for (index, (key, value)) in pairs.iter().enumerate() {
                    let comma = if index == 0 { "" } else { ", " };
                    write!(formatter, "{comma}{key}: {value}")?;
                }
                formatter.write_str("}")
            }
            Self::Slice(slice) => {
                let bound = |value: Option<i64>| value.map_or(Self::None, Self::Int);
                let (start, stop, step) =
                    (bound(slice.start), bound(slice.stop), bound(slice.step));
                write!(formatter, "slice({start}, {stop}, {step})")
            }
            Self::Proxy(proxy) => write!(formatter, "{proxy:?}"),
            Self::Pickle(pickle) => write!(formatter, "{pickle:?}"),
        }
    }
}

fn write_items(
    formatter: &mut fmt::Formatter<'_>,
    open: &str,
    items: &[Value],
    close: &str,
) -> fmt::Result {
    formatter.write_str(open)?;
    for (index, item) in items.iter().enumerate() {
        let comma = if index == 0 { "" } else { ", " };
        write!(formatter, "{comma}{item}")?;
    }
    formatter.write_str(close)
}

fn write_float(formatter: &mut fmt::Formatter<'_>, value: f64) -> fmt::Result {
    let size = value.abs();
    if value.is_nan() {
        formatter.write_str("nan")
    } else if size >= 1e16 && size.is_finite() || size < 1e-4 && size > 0.0 {
        let text = format!("{value:e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, exponent) = match exponent.strip_prefix('-') {
            Some(exponent) => ('-', exponent),
            None => ('+', exponent),
        };
        write!(formatter, "{digits}e{sign}{exponent:0>2}")
    } else {
        write!(formatter, "{value:?}")
    }
}

fn write_text(formatter: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    let quote = if text.contains('\'') && !text.contains('"') {
        '"'
    } else {
        '\''
    };
    write!(formatter, "{quote}")?;
    for character in text.chars() {
        match character {
            '\n' => formatter.write_str("\\n")?,
            '\r' => formatter.write_str("\\r")?,
            '\t' => formatter.write_str("\\t")?,
            '\\' => formatter.write_str("\\\\")?,
            _ if character == quote => write!(formatter, "\\{character}")?,
            _ if character.is_ascii_control() => {
                write!(formatter, "\\x{:02x}", u32::from(character))?;
            }
            _ => write!(formatter, "{character}")?,
        }
    }
    write!(formatter, "{quote}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_meet_as_in_python() {
        assert_eq!(Value::Int(1), Value::Bool(true));
        assert_eq!(Value::Int(1), Value::Float(1.0));
        assert_eq!(Value::Int(0), Value::Float(-0.0));
        assert_ne!(
            Value::Int(9_007_199_254_740_993),
            Value::Float(9_007_199_254_740_992.0)
        );
        assert_eq!(Value::from(1_u128 << 100), Value::Float(2f64.powi(100)));
        assert_ne!(Value::Float(f64::NAN), Value::Float(f64::NAN));
        assert_ne!(Value::from("1"), Value::Int(1));
        assert_ne!(Value::Tuple(vec![]), Value::List(vec![]));
    }

    #[test]
    fn values_look_as_in_python() {
        let shown = [
            (Value::Float(1.0), "1.0"),
            (Value::Float(1e16), "1e+16"),
            (Value::Float(1.5e-7), "1.5e-07"),
            (Value::Float(f64::INFINITY), "inf"),
            (Value::from("it's"), "\"it's\""),
            (Value::from("a\n\u{1}"), "'a\\n\\x01'"),
            (Value::Bytes(vec![b'a', 0, 255]), "b'a\\x00\\xff'"),
            (Value::Tuple(vec![Value::Int(1)]), "(1,)"),
            (Value::Set(vec![]), "set()"),
            (
                Value::Dict(vec![(Value::from("k"), Value::Bool(true))]),
                "{'k': True}",
            ),
        ];
        for (value, text) in shown {
            assert_eq!(value.to_string(), text);
        }
    }
}
