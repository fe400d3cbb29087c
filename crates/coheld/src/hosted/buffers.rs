//! Buffers for messages, used again by the thread that has done with them.
//!
//! A buffer of a megabyte that is allocated for each call costs more than the call: the system
//! hands its pages out one fault at a time, and zeroes each.

use std::cell::RefCell;

/// Buffers that a thread keeps; a call has two in use at a time.
const KEPT: usize = 3;
/// Bytes of the largest buffer that is kept.
const LARGEST: usize = 8 << 20;
/// Bytes of a buffer that is kept for as long as its thread lives; larger ones go when they are of
/// no use any more.
const SMALL: usize = 64 << 10;
/// That is after so many messages in a row that would have fitted into small ones.
const PATIENCE: u32 = 256;

thread_local! {
    static SPARE: RefCell<Spare> = const { RefCell::new(Spare::NONE) };
}

struct Spare {
    buffers: Vec<Vec<u8>>,
    /// Small messages since the last large one.
    small: u32,
}

impl Spare {
    const NONE: Self = Self {
        buffers: Vec::new(),
        small: 0,
    };

    fn keep(&mut self, mut buffer: Vec<u8>) {
        if buffer.len() > SMALL {
            self.small = 0;
        } else {
            self.small = self.small.saturating_add(1);
        }
        if self.small == PATIENCE {
            self.buffers.retain(|buffer| buffer.capacity() <= SMALL);
        }
        let is_useful = buffer.capacity() <= SMALL || self.small < PATIENCE;
        if self.buffers.len() < KEPT && buffer.capacity() <= LARGEST && is_useful {
            buffer.clear();
            self.buffers.push(buffer);
        }
    }
}

/// An empty buffer, perhaps with room in it.
#[must_use]
pub fn spare() -> Vec<u8> {
    // A thread that is ending has none.
    SPARE
        .try_with(|spare| spare.borrow_mut().buffers.pop())
        .ok()
        .flatten()
        .unwrap_or_default()
}

/// Keeps a buffer for another message of this thread.
pub fn keep(buffer: Vec<u8>) {
    let _ = SPARE.try_with(|spare| spare.borrow_mut().keep(buffer));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_buffers_stay_as_long_as_messages_are_large() {
        keep(Vec::with_capacity(2 * SMALL));
        assert!(spare().capacity() >= 2 * SMALL);
        keep(vec![0; 2 * SMALL]);
        for _ in 0..PATIENCE {
            let large = spare();
            assert!(large.is_empty());
            keep(large);
        }
        assert!(spare().capacity() <= SMALL);
        keep(Vec::with_capacity(LARGEST + 1));
        assert_eq!(spare().capacity(), 0);
    }

    #[test]
    fn few_are_kept() {
        for _ in 0..2 * KEPT {
            keep(vec![0; 100]);
        }
        let kept: Vec<_> = std::iter::repeat_with(spare).take(2 * KEPT).collect();
        assert_eq!(
            kept.iter().filter(|buffer| buffer.capacity() > 0).count(),
            KEPT
        );
    }
}
