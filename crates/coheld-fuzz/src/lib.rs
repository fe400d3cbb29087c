//! A fuzzer for what others have written: it changes good messages and images of segments at random
//! and looks what becomes of them.
//!
//! It needs no special compiler and is deterministic: a seed and a number of rounds name one run.
//! What counts as a failure is a panic, a broken promise of a [`Target`], more memory than in
//! proportion to the message, or a round that does not end. Of images see [`image`].

#![forbid(unsafe_code)]

pub mod corpus;
pub mod decoders;
pub mod image;
pub mod mutate;
pub mod random;
pub mod round;
pub mod targets;
pub mod watch;

use peak_alloc::PeakAlloc;

pub use self::round::{Failure, Limit, Report, run};
pub use self::targets::Target;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Bytes that `work` had allocated at its peak, beyond what was allocated before.
fn measured(work: impl FnOnce()) -> usize {
    MEMORY.reset_peak_usage();
    let before = MEMORY.current_usage();
    work();
    MEMORY.peak_usage().saturating_sub(before)
}
