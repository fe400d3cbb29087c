//! Numbers as keys: integers, bools and floats that are equal must have one canonical form.

use crate::input::minimal;
use crate::word;

/// Floats from this magnitude on are all integral and too large for a word's integer.
const LARGE: f64 = 576_460_752_303_423_488.0; // 2^59, exactly

/// The inline canonical form of an inline constant, integer or float, if it has one. Integral
/// floats from `2^59` on have none: they meet big integers.
#[inline]
pub(super) fn canonical_word(word: u64) -> Option<u64> {
    match word {
        word::FALSE => word::from_int(0),
        word::TRUE => word::from_int(1),
        _ => match word::to_float(word) {
            Some(value) => canonical_float(value),
            None => Some(word),
        },
    }
}

/// The inline canonical form of a float, if it has one.
#[inline]
pub(super) fn canonical_float(value: f64) -> Option<u64> {
    if value.is_nan() {
        return Some(word::NAN);
    }
    if is_integral(value) {
        // In range: -2^59 is the smallest integer of a word, 2^59 is refused by `from_int`.
        return if value.abs() <= LARGE {
            word::from_int(value as i64)
        } else {
            None
        };
    }
    word::from_float(value)
}

/// Whether a float is an integer.
#[inline]
pub(super) fn is_integral(value: f64) -> bool {
    value.is_finite() && same(value.trunc(), value)
}

/// Whether two floats are the same number.
#[inline]
#[allow(
    clippy::float_cmp,
    reason = "keys are equal or not, there is no margin"
)]
pub(super) fn same(left: f64, right: f64) -> bool {
    left == right
}

/// A float's integer in minimal two's complement, little endian, on the stack.
pub(super) struct IntegerBytes {
    bytes: [u8; Self::ROOM],
}

impl IntegerBytes {
    /// 1024 bits of magnitude, a sign, and the spill of an eight-byte write.
    const ROOM: usize = 136;

    /// `value` is finite, and its magnitude is at least `2^53`, so that it has no fraction.
    pub(super) fn of(value: f64) -> Self {
        let bits = value.to_bits();
        let mantissa = bits & ((1 << 52) - 1) | 1 << 52;
        // At most 2046 - 1075 = 971, so the last byte written is at 971 / 8 + 7 = 128.
        let shift = (bits >> 52 & 0x7FF).saturating_sub(1075).min(971) as usize;
        let mut bytes = [0; Self::ROOM];
        let low = mantissa << (shift % 8);
        bytes[shift / 8..shift / 8 + 8].copy_from_slice(&low.to_le_bytes());
        if value.is_sign_negative() {
            let mut carry = true;
            for byte in &mut bytes {
                let (sum, overflow) = (!*byte).overflowing_add(u8::from(carry));
                *byte = sum;
                carry = overflow;
            }
        }
        Self { bytes }
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        minimal(&self.bytes)
    }
}
