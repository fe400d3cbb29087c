//! Changes of messages.

use crate::random::Random;

/// Longest message that is made.
const LONGEST: usize = 1 << 16;

/// One message in so many is a long one.
const RARE: usize = 100;

/// Numbers at which lengths go wrong.
const LENGTHS: [u64; 12] = [
    0,
    1,
    3,
    0x7f,
    0xff,
    0x100,
    0xffff,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x1_0000_0000,
    u64::MAX,
];

/// Changes `message` in one place or a few. `others` are messages to take parts from, `words` are
/// pieces that mean something in its language.
pub fn mutate(message: &mut Vec<u8>, others: &[Vec<u8>], words: &[&[u8]], random: &mut Random) {
    for _ in 0..=random.below(4) {
        change(message, others, words, random);
    }
    if random.below(RARE) == 0 {
        grow(message, words, random);
    }
    message.truncate(LONGEST);
}

fn change(message: &mut Vec<u8>, others: &[Vec<u8>], words: &[&[u8]], random: &mut Random) {
    let place = random.below(message.len() + 1);
    let end = place + random.below((message.len() - place).min(64) + 1);
    match random.below(11) {
        0 => flip(message, place, random),
        1 => {
            if let Some(byte) = message.get_mut(place) {
                *byte = random.number() as u8;
            }
        }
        2 => drop(message.drain(place..end)),
        3 => message.insert(place, random.number() as u8),
        4 => {
            let piece = message[place..end].repeat(1 + random.below(4));
            splice(message, place..place, &piece);
        }
        5 => message.truncate(place),
        6 => {
            let piece = message[place..end].to_vec();
            let place = random.below(message.len() + 1);
            splice(message, place..place, &piece);
        }
        7 => overwrite(message, place, random),
        8 | 9 => {
            if let Some(word) = random.choose(words) {
                let replaced = if random.below(2) == 0 { place } else { end };
                splice(message, place..replaced, word);
            }
        }
        _ => {
            if let Some(other) = random.choose(others) {
                let from = random.below(other.len() + 1);
                let to = from + random.below(other.len() - from + 1);
                splice(message, place..end, &other[from..to]);
            }
        }
    }
}

/// Puts one piece in very many times.
fn grow(message: &mut Vec<u8>, words: &[&[u8]], random: &mut Random) {
    let word = random.choose(words).copied().unwrap_or_default();
    let place = random.below(message.len() + 1);
    let count = random.below(LONGEST / word.len().max(1));
    splice(message, place..place, &word.repeat(count));
}

fn splice(message: &mut Vec<u8>, range: std::ops::Range<usize>, piece: &[u8]) {
    message.splice(range, piece.iter().copied());
}

fn flip(message: &mut [u8], place: usize, random: &mut Random) {
    if let Some(byte) = message.get_mut(place) {
        *byte ^= 1 << random.below(8);
    }
}

/// Writes a number over what is there, in one of the widths and orders of bytes.
fn overwrite(message: &mut [u8], place: usize, random: &mut Random) {
    let value = LENGTHS[random.below(LENGTHS.len())];
    let width = [1, 2, 4, 8][random.below(4)];
    let little = value.to_le_bytes();
    let big = value.to_be_bytes();
    let bytes = match random.below(2) {
        0 => &little[..width],
        _ => &big[8 - width..],
    };
    if let Some(target) = message.get_mut(place..place + width) {
        target.copy_from_slice(bytes);
    }
}
