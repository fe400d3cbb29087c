//! Claiming one of up to 64 things by a bit.

use crate::sync::{AtomicU64, Ordering};

/// Sets the lowest clear bit below `limit` and returns its number; `None` when all are taken.
pub(crate) fn claim(word: &AtomicU64, limit: u32) -> Option<u32> {
    let usable = if limit >= 64 {
        u64::MAX
    } else {
        (1 << limit) - 1
    };
    let mut current = word.load(Ordering::Relaxed);
    loop {
        let free = !current & usable;
        if free == 0 {
            return None;
        }
        let bit = free.trailing_zeros();
        // Acquire: pairs with the Release in `give_back` by the previous user of the thing.
        match word.compare_exchange_weak(
            current,
            current | 1 << bit,
            Ordering::Acquire,
            Ordering::Relaxed,
        ) {
            Ok(_) => return Some(bit),
            Err(now) => current = now,
        }
    }
}

/// Clears a claimed bit.
pub(crate) fn give_back(word: &AtomicU64, bit: u32) {
    // Release: pairs with the Acquire in `claim`.
    word.fetch_and(!(1 << bit), Ordering::Release);
}
