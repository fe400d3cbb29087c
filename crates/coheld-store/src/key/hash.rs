//! The hash of a canonical form.
//!
//! Part of the segment's layout: all members must compute the same number, so only algorithms with
//! a fixed definition are used (rapidhash V3 for bytes).

use rapidhash::v3::{RapidSecrets, rapidhash_v3_seeded};

/// Hashes keys with the secret of one segment. Made once per segment and process.
#[derive(Clone, Copy, Debug)]
pub struct KeyHasher {
    secret: [u64; 2],
    bytes: RapidSecrets,
}

/// Two of the default secrets of rapidhash: odd, with half of their bits set.
const WORD_FACTOR: u64 = 0x2d35_8dcc_aa6c_78a5;
const KIND_FACTOR: u64 = 0xa076_1d64_78bd_642f;

impl KeyHasher {
    /// The hasher of a segment, from `Segment::secret`.
    pub fn new(secret: [u64; 2]) -> Self {
        Self {
            secret: [secret[0], secret[1] ^ WORD_FACTOR],
            bytes: RapidSecrets::seed(secret[0] ^ secret[1].rotate_left(32)),
        }
    }

    /// Hash of a canonical inline word.
    #[inline]
    pub(super) fn of_word(&self, word: u64) -> u64 {
        // Two folded multiplications: one leaves the high bits of small integers too regular when
        // the secret happens to be small.
        let once = fold(word ^ self.secret[0], self.secret[1] | 1);
        fold(once ^ self.secret[1], WORD_FACTOR)
    }

    /// Hash of the canonical bytes of a block of `kind`.
    pub(super) fn of_bytes(&self, kind: u8, bytes: &[u8]) -> u64 {
        rapidhash_v3_seeded(bytes, &self.bytes) ^ u64::from(kind).wrapping_mul(KIND_FACTOR)
    }
}

/// The two halves of the 128-bit product, folded.
#[inline]
fn fold(left: u64, right: u64) -> u64 {
    let product = u128::from(left) * u128::from(right);
    product as u64 ^ (product >> 64) as u64
}
