//! Integers that do not fit in 64 bits.

use std::fmt::{self, Write as _};

/// An integer of any size, in two's complement, least significant byte first, without superfluous
/// bytes.
///
/// Coheld does not calculate with such integers; it carries them. [`BigInt::as_bytes`] is what
/// Python's `int.from_bytes(bytes, "little", signed=True)` reads.
///
/// ```
/// use coheld::BigInt;
///
/// let large = BigInt::from(-(1_i128 << 100));
/// assert_eq!(large.to_string(), "-1267650600228229401496703205376");
/// assert_eq!(large.to_i128(), Some(-(1_i128 << 100)));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BigInt {
    bytes: Vec<u8>,
}

/// Decimal digits that one division takes off.
const DIGITS: usize = 9;
const DIVISOR: u64 = 1_000_000_000;

impl BigInt {
    /// The integer with these bytes; they need not be minimal.
    ///
    /// ```
    /// use coheld::BigInt;
    ///
    /// assert_eq!(BigInt::from_bytes(&[0xff, 0xff]), BigInt::from(-1_i64));
    /// assert_eq!(BigInt::from_bytes(&[]).to_i64(), Some(0));
    /// ```
    pub fn from_bytes(bytes: &[u8]) -> Self {
        Self {
            bytes: minimal(bytes).to_vec(),
        }
    }

    /// The bytes: two's complement, least significant first. Zero has none.
    ///
    /// ```
    /// use coheld::BigInt;
    ///
    /// assert_eq!(BigInt::from(256_i64).as_bytes(), [0, 1]);
    /// assert!(BigInt::from(0_i64).as_bytes().is_empty());
    /// ```
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether it is below zero.
    ///
    /// ```
    /// use coheld::BigInt;
    ///
    /// assert!(BigInt::from(-1_i64).is_negative() && !BigInt::from(0_i64).is_negative());
    /// ```
    pub fn is_negative(&self) -> bool {
        self.bytes.last().is_some_and(|byte| byte & 0x80 != 0)
    }

    /// The integer, if it fits.
    ///
    /// ```
    /// use coheld::BigInt;
    ///
    /// assert_eq!(BigInt::from(7_i64).to_i64(), Some(7));
    /// assert_eq!(BigInt::from(u128::MAX).to_i64(), None);
    /// ```
    pub fn to_i64(&self) -> Option<i64> {
        i64::try_from(self.to_i128()?).ok()
    }

    /// The integer, if it fits.
    ///
    /// ```
    /// use coheld::BigInt;
    ///
    /// assert_eq!(BigInt::from(i128::MIN).to_i128(), Some(i128::MIN));
    /// assert_eq!(BigInt::from(u128::MAX).to_i128(), None);
    /// ```
    pub fn to_i128(&self) -> Option<i128> {
        let mut wide = [if self.is_negative() { 0xff } else { 0 }; 16];
        wide.get_mut(..self.bytes.len())?
            .copy_from_slice(&self.bytes);
        Some(i128::from_le_bytes(wide))
    }

    /// The nearest double; infinite beyond the range.
    ///
    /// ```
    /// use coheld::BigInt;
    ///
    /// assert_eq!(BigInt::from(1_i128 << 80).to_f64(), 2_f64.powi(80));
    /// ```
    pub fn to_f64(&self) -> f64 {
        match self.to_i128() {
            #[allow(
                clippy::cast_precision_loss,
                reason = "the nearest double is what is wanted"
            )]
            Some(small) => small as f64,
            // Decimal digits are read with correct rounding.
            None => self.to_string().parse().unwrap_or(f64::NAN),
        }
    }

    /// The absolute value in base 2^32, least significant first.
    fn magnitude(&self) -> Vec<u32> {
        let fill = if self.is_negative() { 0xff } else { 0 };
        let mut words: Vec<u32> = self
            .bytes
            .chunks(4)
            .map(|chunk| {
                let mut word = [fill; 4];
                word[..chunk.len()].copy_from_slice(chunk);
                u32::from_le_bytes(word)
            })
            .collect();
        if self.is_negative() {
            let mut carry = true;
            for word in &mut words {
                (*word, carry) = (!*word).overflowing_add(u32::from(carry));
            }
            if carry {
                words.push(1);
            }
        }
        words
    }
}

impl From<i64> for BigInt {
    fn from(value: i64) -> Self {
        Self::from_bytes(&value.to_le_bytes())
    }
}

impl From<i128> for BigInt {
    fn from(value: i128) -> Self {
        Self::from_bytes(&value.to_le_bytes())
    }
}

impl From<u128> for BigInt {
    fn from(value: u128) -> Self {
        let mut bytes = [0; 17];
        bytes[..16].copy_from_slice(&value.to_le_bytes());
        Self::from_bytes(&bytes)
    }
}

impl fmt::Display for BigInt {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words = self.magnitude();
        let mut groups = Vec::new();
        while let Some(last) = words.last() {
            if *last == 0 {
                words.pop();
                continue;
            }
            let mut rest = 0;
            for word in words.iter_mut().rev() {
                let dividend = rest << 32 | u64::from(*word);
                *word = (dividend / DIVISOR) as u32;
                rest = dividend % DIVISOR;
            }
            groups.push(rest);
        }
        let mut digits = groups.pop().unwrap_or(0).to_string();
        for group in groups.iter().rev() {
            write!(digits, "{group:0DIGITS$}")?;
        }
        formatter.pad_integral(!self.is_negative(), "", &digits)
    }
}

/// The bytes without those that only repeat the sign.
fn minimal(bytes: &[u8]) -> &[u8] {
    let mut rest = bytes;
    while let Some((&last, before)) = rest.split_last() {
        let sign_before = before.last().is_some_and(|byte| byte & 0x80 != 0);
        let superfluous = match last {
            0 => !sign_before,
            0xff => sign_before,
            _ => false,
        };
        if !superfluous {
            break;
        }
        rest = before;
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_those_of_the_number() {
        for value in [
            0,
            1,
            -1,
            127,
            128,
            -128,
            -129,
            999_999_999,
            1_000_000_000,
            i128::MAX,
        ] {
            assert_eq!(BigInt::from(value).to_string(), value.to_string());
            assert_eq!(BigInt::from(-value).to_string(), (-value).to_string());
            assert_eq!(BigInt::from(value).to_i128(), Some(value));
        }
        assert_eq!(BigInt::from(i128::MIN).to_string(), i128::MIN.to_string());
        assert_eq!(BigInt::from(u128::MAX).to_string(), u128::MAX.to_string());
        assert_eq!(BigInt::from_bytes(&[0xff; 40]).to_string(), "-1");
        let mut bytes = vec![0; 64];
        bytes.push(1);
        let text = BigInt::from_bytes(&bytes).to_string();
        assert!(text.starts_with("13407807929942597099574024998205846127479365820592393377"));
        assert_eq!(text.len(), 155);
    }

    #[test]
    fn doubles_are_the_nearest() {
        assert!((BigInt::from(1_i128 << 100).to_f64() - 2f64.powi(100)).abs() < f64::EPSILON);
        assert!(BigInt::from_bytes(&[0x7f; 200]).to_f64().is_infinite());
    }
}
