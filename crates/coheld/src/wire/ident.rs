//! The names of shared objects for those who reach them through connections.
//!
//! A place in a segment is a name that the next segment of the same manager uses again. So a name
//! that leaves this machine begins with a part of the segment's own: who comes back after a restart
//! is told that the object is gone, and does not get another one.

use crate::token::Place;

/// Digits that say which segment it is.
const TAG_DIGITS: usize = 8;

/// The name of the object at `place` in a segment. Clients take it for the number that it is in the
/// standard library: hexadecimal digits.
#[must_use]
pub fn ident(segment_id: &[u8; 16], place: Place) -> String {
    format!("{}{}", tag(segment_id), place.text())
}

/// The place that a name of `ident` stands for; `None` if it is none of this segment.
#[must_use]
pub fn place_of(segment_id: &[u8; 16], ident: &str) -> Option<Place> {
    Place::parse(ident.strip_prefix(&*tag(segment_id))?)
}

fn tag(segment_id: &[u8; 16]) -> String {
    let number = u128::from_be_bytes(*segment_id);
    format!("{number:032x}").split_off(32 - TAG_DIGITS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_belongs_to_one_segment() {
        let place = Place {
            kind: 2,
            offset: 0x12_3450,
            generation: 7,
        };
        let (one, other) = ([0xab; 16], [0x0c; 16]);
        let name = ident(&one, place);
        assert!(name.bytes().all(|byte| byte.is_ascii_hexdigit()), "{name}");
        assert_eq!(place_of(&one, &name), Some(place));
        assert_eq!(place_of(&other, &name), None);
        assert_eq!(ident(&other, place)[..TAG_DIGITS], *"0c0c0c0c");
        for text in ["", "0", "abababab", &place.text()] {
            assert_eq!(place_of(&one, text), None, "{text}");
        }
    }
}
