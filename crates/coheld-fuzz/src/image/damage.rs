//! Damage: bytes of an image that are others than they were.

use std::fmt;
use std::str::FromStr;

use super::scene::Scene;
use crate::random::Random;

/// Most changes of one damage.
const MOST: usize = 4;
/// Bytes of a line of the processor, which is what a failing memory loses.
const LINE: usize = 64;

/// Numbers at which lengths, counts and tags go wrong.
const NUMBERS: [u64; 14] = [
    0,
    1,
    6,
    7,
    8,
    0xff,
    0xffff,
    0x7fff_ffff,
    0xffff_ffff,
    0x1_0000_0000,
    0xffff_ffff_ffff,
    0x7fff_ffff_ffff_ffff,
    u64::MAX - 7,
    u64::MAX,
];

/// What is different in a damaged image, and what is done with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Which scene is damaged.
    pub scene: u64,
    /// In which order it is worked on afterwards.
    pub order: u64,
    /// Offsets and what is written there.
    pub changes: Vec<(usize, Vec<u8>)>,
}

impl Damage {
    /// The damage of a round.
    pub fn of_round(scene: &Scene, seed: u64, round: u64) -> Self {
        let mixed = seed.rotate_left(32) ^ round.wrapping_mul(0xd6e8_feb8_6659_fd93);
        let mut random = Random::new(mixed);
        let count = match random.below(3) {
            0 => 2 + random.below(MOST - 1),
            _ => 1,
        };
        Self {
            scene: scene.number,
            order: random.number(),
            changes: (0..count).map(|_| change(scene, &mut random)).collect(),
        }
    }

    /// The image with this damage.
    pub fn apply(&self, image: &[u8]) -> Vec<u8> {
        let mut damaged = image.to_vec();
        for (offset, bytes) in &self.changes {
            let end = damaged.len().min(offset + bytes.len());
            if let Some(target) = damaged.get_mut(*offset..end) {
                target.copy_from_slice(&bytes[..target.len()]);
            }
        }
        damaged
    }
}

fn change(scene: &Scene, random: &mut Random) -> (usize, Vec<u8>) {
    let image = &scene.image;
    let at = place(scene, random);
    let old = word_at(image, at);
    let word = |value: u64| (at, value.to_le_bytes().to_vec());
    match random.below(12) {
        0 | 1 => word(old ^ 1 << random.below(64)),
        2 => word(NUMBERS[random.below(NUMBERS.len())]),
        3 => word(old.wrapping_add(1)),
        4 => word(old.wrapping_sub(1)),
        // One half of it: two numbers often share a word.
        5 => {
            let number = NUMBERS[random.below(NUMBERS.len())] & 0xffff_ffff;
            let shift = 32 * random.below(2);
            word(old & !(0xffff_ffff << shift) | number << shift)
        }
        6 => word(old.wrapping_add((1 << (8 * random.below(8))) * (1 + random.number() % 9))),
        7 => word(random.number()),
        // Something that means something elsewhere.
        8 | 9 => word(word_at(image, place(scene, random))),
        10 => {
            let (offset, generation) = *random.choose(&scene.places).unwrap_or(&(0, 0));
            let edge = coheld_shm::word::of_edge(offset, generation);
            let tag = [edge, coheld_shm::word::of_block(offset), offset][random.below(3)];
            word(tag)
        }
        _ => line(image, at, random),
    }
}

/// A whole line: zero, all ones, garbage, or another line.
fn line(image: &[u8], at: usize, random: &mut Random) -> (usize, Vec<u8>) {
    let at = at / LINE * LINE;
    let bytes = match random.below(4) {
        0 => vec![0; LINE],
        1 => vec![0xff; LINE],
        2 => (0..LINE).map(|_| random.number() as u8).collect(),
        _ => {
            let other = random.below(image.len() / LINE) * LINE;
            image[other..other + LINE].to_vec()
        }
    };
    (at, bytes)
}

/// Where to change something: each part of the image as often as the others, words that are in use
/// or beside one that is, and now and then anywhere.
fn place(scene: &Scene, random: &mut Random) -> usize {
    let part = random.choose(&scene.parts);
    let used = part.and_then(|part| random.choose(part)).copied();
    let near = match random.below(6) {
        0 => 8,
        1 => -8,
        _ => 0,
    };
    match (used, random.below(20)) {
        (Some(used), 1..) => used.saturating_add_signed(near).min(scene.image.len() - 8),
        _ => random.below(scene.image.len() / 8) * 8,
    }
}

fn word_at(image: &[u8], at: usize) -> u64 {
    let bytes = image
        .get(at..at + 8)
        .and_then(|bytes| bytes.try_into().ok());
    bytes.map_or(0, u64::from_le_bytes)
}

impl fmt::Display for Damage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "scene {} order {:x}", self.scene, self.order)?;
        for (offset, bytes) in &self.changes {
            write!(formatter, "{offset:#x} ")?;
            for byte in bytes {
                write!(formatter, "{byte:02x}")?;
            }
            writeln!(formatter)?;
        }
        Ok(())
    }
}

/// A text is no damage.
#[derive(Debug, PartialEq, Eq)]
pub struct NotDamage;

impl FromStr for Damage {
    type Err = NotDamage;

    /// Reads what `Display` has written; lines that begin with `#` say where it comes from.
    fn from_str(text: &str) -> Result<Self, NotDamage> {
        let mut lines = text.lines().filter(|line| !line.starts_with('#'));
        let head: Vec<&str> = lines.next().ok_or(NotDamage)?.split(' ').collect();
        let ["scene", scene, "order", order] = head[..] else {
            return Err(NotDamage);
        };
        let change = |line: &str| {
            let (offset, digits) = line.split_once(' ')?;
            let offset = usize::from_str_radix(offset.strip_prefix("0x")?, 16).ok()?;
            let bytes = (0..digits.len() / 2)
                .map(|at| u8::from_str_radix(digits.get(2 * at..2 * at + 2)?, 16).ok())
                .collect::<Option<Vec<u8>>>()?;
            Some((offset, bytes))
        };
        Ok(Self {
            scene: scene.parse().map_err(|_| NotDamage)?,
            order: u64::from_str_radix(order, 16).map_err(|_| NotDamage)?,
            changes: lines.map(change).collect::<Option<_>>().ok_or(NotDamage)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_is_read_as_it_was_written() {
        let damage = Damage {
            scene: 3,
            order: 0xfeed,
            changes: vec![(0x1000, vec![0, 255]), (8, vec![7; 8])],
        };
        assert_eq!(damage.to_string().parse(), Ok(damage.clone()));
        let noted = format!("# seed 1, round 5\n{damage}");
        assert_eq!(noted.parse(), Ok(damage));
        assert_eq!("scene 1".parse::<Damage>(), Err(NotDamage));
        let mut image = vec![9; 16];
        let change = |offset, bytes| Damage {
            scene: 0,
            order: 0,
            changes: vec![(offset, bytes)],
        };
        image[14..].copy_from_slice(&[1, 2]);
        assert_eq!(change(14, vec![1, 2, 3]).apply(&[9; 16]), image);
        assert_eq!(change(99, vec![1]).apply(&[9; 16]), [9; 16]);
    }
}
