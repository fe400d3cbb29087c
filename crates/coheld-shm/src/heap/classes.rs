//! Which size class serves a block.

use crate::layout::{CLASS_SIZES, REFERENT_CLASS, SLAB_LIMIT};

/// The smallest class whose blocks hold `total` bytes, header included; `total <= SLAB_LIMIT`.
#[inline]
pub(super) fn class_for(total: u64) -> usize {
    debug_assert!(total <= SLAB_LIMIT);
    if total <= 1024 {
        return SMALL[(total as usize).div_ceil(16)] as usize;
    }
    CLASS_SIZES
        .partition_point(|&size| u64::from(size) < total)
        .min(CLASS_SIZES.len() - 1)
}

/// Class by sixteenths, up to 1 KiB.
const SMALL: [u8; 65] = {
    let mut table = [0; 65];
    let mut units = 0;
    while units < table.len() {
        let mut class = REFERENT_CLASS + 1;
        while CLASS_SIZES[class] < units as u32 * 16 {
            class += 1;
        }
        table[units] = class as u8;
        units += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_size_gets_the_smallest_class_that_holds_it() {
        for total in 1..=SLAB_LIMIT {
            let class = class_for(total);
            assert_ne!(class, REFERENT_CLASS);
            assert!(u64::from(CLASS_SIZES[class]) >= total);
            if class > 1 {
                assert!(
                    u64::from(CLASS_SIZES[class - 1]) < total,
                    "{total} in class {class}"
                );
            }
        }
    }

    #[test]
    fn blocks_keep_their_alignment() {
        for (class, size) in CLASS_SIZES.iter().enumerate().skip(1) {
            assert!(size.is_multiple_of(16), "class {class}");
            assert!(CLASS_SIZES[class - 1] < *size || class == 1);
        }
    }
}
