//! Sums and equality of values that fit in a word, as Python has them.
//!
//! Plain arithmetic: it may run under a referent lock. Whatever it cannot decide is left to Python
//! on a copy.

use crate::word;

/// `one + two` for numbers, when the sum fits in a word as well. `None`: it does not, or one of
/// them is no number.
#[inline]
pub fn add(one: u64, two: u64) -> Option<u64> {
    match (number(one)?, number(two)?) {
        // Both have 60 bits at most.
        (Number::Integer(one), Number::Integer(two)) => word::from_int(one + two),
        (one, two) => word::from_float(one.to_float() + two.to_float()),
    }
}

/// Whether two values that fit in words are equal: `True`, `1` and `1.0` are, a NaN equals nothing.
#[inline]
pub fn equal(one: u64, two: u64) -> bool {
    debug_assert!(
        word::is_inline(one) && word::is_inline(two),
        "only Python knows whether other values are equal"
    );
    one != word::NAN && (one == two || canonical(one) == canonical(two))
}

/// The same word for numbers that are equal: `True`, `1` and `1.0` are one.
#[inline]
pub(crate) fn canonical(value: u64) -> u64 {
    match value {
        word::FALSE => word::from_int(0).unwrap_or(value),
        word::TRUE => word::from_int(1).unwrap_or(value),
        _ => match word::to_float(value) {
            Some(float) => integer_of(float).and_then(word::from_int).unwrap_or(value),
            None => value,
        },
    }
}

/// The integer that equals a float, if there is one among those that a word could hold.
fn integer_of(float: f64) -> Option<i64> {
    // Not a number and the infinities have no fraction of zero.
    (float.fract() == 0.0 && float.abs() < 1e18).then_some(float as i64)
}

/// A number that fits in a word.
#[derive(Clone, Copy)]
enum Number {
    Integer(i64),
    Float(f64),
}

impl Number {
    /// As Python's `float()`: the nearest double, ties to even.
    #[inline]
    #[allow(clippy::cast_precision_loss, reason = "as Python's float() does")]
    fn to_float(self) -> f64 {
        match self {
            Self::Integer(value) => value as f64,
            Self::Float(value) => value,
        }
    }
}

#[inline]
fn number(value: u64) -> Option<Number> {
    if let Some(integer) = word::to_int(value) {
        return Some(Number::Integer(integer));
    }
    match value {
        word::FALSE => Some(Number::Integer(0)),
        word::TRUE => Some(Number::Integer(1)),
        _ => word::to_float(value).map(Number::Float),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn int(value: i64) -> u64 {
        word::from_int(value).unwrap()
    }

    fn float(value: f64) -> u64 {
        word::from_float(value).unwrap()
    }

    #[test]
    fn sums_are_those_of_python() {
        assert_eq!(add(int(40), int(2)), Some(int(42)));
        assert_eq!(add(int(1), int(-2)), Some(int(-1)));
        assert_eq!(add(word::TRUE, word::TRUE), Some(int(2)));
        assert_eq!(add(word::FALSE, int(3)), Some(int(3)));
        assert_eq!(add(int(1), float(0.5)), Some(float(1.5)));
        assert_eq!(add(float(0.5), word::TRUE), Some(float(1.5)));
        assert_eq!(add(float(0.1), float(0.2)), Some(float(0.1 + 0.2)));
        assert_eq!(add(float(0.5), float(-0.5)), Some(word::ZERO));
        assert_eq!(add(word::INFINITY, int(1)), Some(word::INFINITY));
        // The integer is rounded before it is added, half to even.
        let odd = (1_i64 << 53) + 1;
        assert_eq!(add(int(odd), float(0.0)), Some(float(2f64.powi(53))));
    }

    #[test]
    fn a_sum_that_needs_a_block_is_left_to_others() {
        let (most, least) = (int(word::INTEGER_MAX), int(word::INTEGER_MIN));
        assert_eq!(add(most, int(1)), None);
        assert_eq!(add(most, most), None);
        assert_eq!(add(least, int(-1)), None);
        assert_eq!(add(least, most), Some(int(-1)));
        assert_eq!(add(float(2f64.powi(63)), float(2f64.powi(63))), None);
        assert_eq!(
            add(float(2f64.powi(-64)), float(-1.5 * 2f64.powi(-64))),
            None
        );
        for other in [
            word::NONE,
            word::EMPTY,
            word::from_str("1").unwrap(),
            word::from_bytes(b"1").unwrap(),
            word::from_block(64),
        ] {
            assert_eq!(add(other, int(1)), None);
            assert_eq!(add(int(1), other), None);
        }
    }

    #[test]
    fn equality_is_that_of_python() {
        let text = |text| word::from_str(text).unwrap();
        for (one, two) in [
            (int(1), word::TRUE),
            (int(1), float(1.0)),
            (word::FALSE, word::NEGATIVE_ZERO),
            (word::ZERO, word::NEGATIVE_ZERO),
            (word::NONE, word::NONE),
            (word::INFINITY, word::INFINITY),
            (float(2f64.powi(58)), int(1 << 58)),
            (text("abc"), text("abc")),
        ] {
            assert!(equal(one, two) && equal(two, one));
        }
        for (one, two) in [
            (word::NAN, word::NAN),
            (word::NONE, word::FALSE),
            (text(""), word::NONE),
            (text("1"), int(1)),
            (text("a"), word::from_bytes(b"a").unwrap()),
            (word::INFINITY, word::NEGATIVE_INFINITY),
            (float(2f64.powi(58)), int((1 << 58) + 1)),
            (float(2f64.powi(60)), int(word::INTEGER_MAX)),
        ] {
            assert!(!equal(one, two) && !equal(two, one));
        }
    }
}
