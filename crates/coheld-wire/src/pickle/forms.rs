//! The forms in which values are written: those of protocol 0, which are lines of text, and
//! integers and text as bytes.

use std::borrow::Cow;

use super::graph::Node;
use super::opcode;

/// Longest integer that is read from decimal digits, whose cost grows with the square of them.
const DIGIT_LIMIT: usize = 10_000;
/// Decimal digits taken at once.
const DIGITS: usize = 9;

/// The number of a line; `None` if it is none.
pub(super) fn number(code: u8, line: &[u8]) -> Option<Node<'static>> {
    let text = str::from_utf8(line).ok()?.trim();
    match code {
        opcode::FLOAT => text.parse().ok().map(Node::Float),
        opcode::INT if text == "00" => Some(Node::Bool(false)),
        opcode::INT if text == "01" => Some(Node::Bool(true)),
        _ => integer(text.strip_suffix('L').unwrap_or(text)),
    }
}

fn integer(text: &str) -> Option<Node<'static>> {
    if let Ok(value) = text.parse() {
        return Some(Node::Int(value));
    }
    let (is_negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    let plain = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
    if !plain || digits.len() > DIGIT_LIMIT {
        return None;
    }
    let mut words = Vec::new();
    let first = digits.len() % DIGITS;
    let groups = std::iter::once(&digits[..first]).chain(
        digits.as_bytes()[first..]
            .chunks_exact(DIGITS)
            .filter_map(|group| str::from_utf8(group).ok()),
    );
    for group in groups.filter(|group| !group.is_empty()) {
        let mut carry: u64 = group.parse().ok()?;
        for word in &mut words {
            let product = u64::from(*word) * 10_u64.pow(DIGITS as u32) + carry;
            *word = product as u32;
            carry = product >> 32;
        }
        words.push(carry as u32);
    }
    let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    bytes.push(0);
    if is_negative {
        let mut carry = true;
        for byte in &mut bytes {
            (*byte, carry) = (!*byte).overflowing_add(u8::from(carry));
        }
    }
    bytes.truncate(minimal(&bytes).len());
    Some(Node::BigInt(bytes.into()))
}

/// The integer, if it has no more than 64 bits.
pub(super) fn small(bytes: &[u8]) -> Option<i64> {
    let bytes = if bytes.len() > 8 {
        minimal(bytes)
    } else {
        bytes
    };
    let fill = match bytes.last() {
        Some(last) if last & 0x80 != 0 => 0xff,
        _ => 0,
    };
    let mut wide = [fill; 8];
    wide.get_mut(..bytes.len())?.copy_from_slice(bytes);
    Some(i64::from_le_bytes(wide))
}

/// An integer without the bytes that only repeat its sign.
pub(super) fn minimal(mut bytes: &[u8]) -> &[u8] {
    while let Some((&last, rest)) = bytes.split_last() {
        let sign = rest.last().is_some_and(|byte| byte & 0x80 != 0);
        if last != if sign { 0xff } else { 0 } {
            break;
        }
        bytes = rest;
    }
    bytes
}

/// A place in the memo.
pub(super) fn place(line: &[u8]) -> Option<u32> {
    str::from_utf8(line).ok()?.trim().parse().ok()
}

/// Text in Python's `raw-unicode-escape`, as UTF-8 that may have lone surrogates.
pub(super) fn raw_unicode(line: &[u8]) -> Option<Vec<u8>> {
    let mut text = Vec::with_capacity(line.len());
    let mut rest = line;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        let digits = match (byte, rest.first()) {
            (b'\\', Some(b'u')) => 4,
            (b'\\', Some(b'U')) => 8,
            (b'\\', Some(&second)) => {
                // A backslash that hides the one behind it.
                text.push(byte);
                push_code(&mut text, u32::from(second))?;
                rest = &rest[1..];
                continue;
            }
            _ => {
                push_code(&mut text, u32::from(byte))?;
                continue;
            }
        };
        let digits = rest.get(1..=digits)?;
        rest = &rest[digits.len() + 1..];
        push_code(&mut text, hexadecimal(digits)?)?;
    }
    Some(text)
}

fn hexadecimal(digits: &[u8]) -> Option<u32> {
    let plain = digits.iter().all(u8::is_ascii_hexdigit);
    let digits = str::from_utf8(digits).ok().filter(|_| plain)?;
    u32::from_str_radix(digits, 16).ok()
}

/// Appends one code point, which may be a surrogate.
fn push_code(text: &mut Vec<u8>, code: u32) -> Option<()> {
    if let Some(character) = char::from_u32(code) {
        let mut buffer = [0; 4];
        text.extend_from_slice(character.encode_utf8(&mut buffer).as_bytes());
        return Some(());
    }
    if !(0xd800..0xe000).contains(&code) {
        return None;
    }
    let low = |bits: u32| 0x80 | (code >> bits & 0x3f) as u8;
    text.extend_from_slice(&[0xe0 | (code >> 12) as u8, low(6), low(0)]);
    Some(())
}

/// A string of Python 2 in quotes. Only ASCII is text to Python.
pub(super) fn quoted(line: &[u8]) -> Option<Cow<'_, str>> {
    let (&quote, rest) = line.trim_ascii_end().split_first()?;
    let (&last, inner) = rest.split_last()?;
    if quote != last || !matches!(quote, b'\'' | b'"') || !inner.is_ascii() {
        return None;
    }
    if !inner.contains(&b'\\') {
        return str::from_utf8(inner).ok().map(Cow::from);
    }
    let mut text = String::with_capacity(inner.len());
    let mut rest = inner;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'\\' {
            text.push(char::from(byte));
            continue;
        }
        let (&escape, after) = rest.split_first()?;
        rest = after;
        let code = match escape {
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'\\' | b'\'' | b'"' => escape,
            b'x' => {
                let code = hexadecimal(rest.get(..2)?)?;
                rest = &rest[2..];
                u8::try_from(code).ok().filter(u8::is_ascii)?
            }
            _ => return None,
        };
        text.push(char::from(code));
    }
    Some(text.into())
}

/// Whether these bytes are UTF-8 but for lone surrogates.
pub(super) fn is_text(mut bytes: &[u8]) -> bool {
    while let Err(error) = str::from_utf8(bytes) {
        match bytes[error.valid_up_to()..] {
            [0xed, 0xa0..=0xbf, 0x80..=0xbf, ref rest @ ..] => bytes = rest,
            _ => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimal_digits_become_bytes() {
        let read = |text: &str| number(opcode::LONG, text.as_bytes());
        assert_eq!(read("-7L"), Some(Node::Int(-7)));
        assert_eq!(read("9223372036854775807L"), Some(Node::Int(i64::MAX)));
        let beyond = [0, 0, 0, 0, 0, 0, 0, 0x80, 0];
        assert_eq!(
            read("9223372036854775808L"),
            Some(Node::BigInt(beyond[..].into()))
        );
        let below = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0xff];
        assert_eq!(
            read("-9223372036854775809"),
            Some(Node::BigInt(below[..].into()))
        );
        // 2 ** 100.
        let mut power = [0; 13];
        power[12] = 0x10;
        let text = "1267650600228229401496703205376L";
        assert_eq!(read(text), Some(Node::BigInt(power[..].into())));
        for bad in ["", "L", "-", "1x", "1.5", "--99999999999999999999"] {
            assert_eq!(read(bad), None, "{bad}");
        }
        assert_eq!(read(&"9".repeat(DIGIT_LIMIT + 1)), None);
    }

    #[test]
    fn bytes_are_integers() {
        assert_eq!(small(&[]), Some(0));
        assert_eq!(small(&[0xff]), Some(-1));
        assert_eq!(small(&[0xff, 0]), Some(255));
        assert_eq!(small(&[0xff; 20]), Some(-1));
        assert_eq!(small(&[0, 0, 0, 0, 0, 0, 0, 0x80, 0]), None);
    }

    #[test]
    fn escapes_are_read() {
        assert_eq!(raw_unicode(b"a\xe9").unwrap(), "a\u{e9}".as_bytes());
        assert_eq!(
            raw_unicode(b"\\u20ac\\U0001f600x").unwrap(),
            "\u{20ac}\u{1f600}x".as_bytes()
        );
        assert_eq!(raw_unicode(b"\\\\u0041\\").unwrap(), b"\\\\u0041\\");
        assert_eq!(raw_unicode(b"\\ud800").unwrap(), [0xed, 0xa0, 0x80]);
        assert!(is_text(&[b'a', 0xed, 0xa0, 0x80, b'b']));
        assert!(!is_text(&[0xed, 0xa0]) && !is_text(&[0xff]));
        assert_eq!(raw_unicode(b"\\u12"), None);
        assert_eq!(raw_unicode(b"\\U00110000"), None);
        assert_eq!(raw_unicode(b"\\u+123"), None);
        assert_eq!(quoted(b"'a\\'\\x41\\n'").unwrap(), "a'A\n");
        assert_eq!(quoted(b"\"plain\"").unwrap(), "plain");
        for bad in [
            &b"'"[..],
            b"",
            b"'a\"",
            b"'\\x'",
            b"'\\",
            b"'\\xff'",
            b"'\xff'",
        ] {
            assert_eq!(quoted(bad), None);
        }
    }
}
