//! The clock that all processes of a machine share and that no one can set.

use rustix::time::{ClockId, clock_gettime};

/// Seconds since boot, time spent suspended included.
#[must_use]
pub fn now_seconds() -> u64 {
    // The clock counts up from zero, so the sign never shows.
    clock_gettime(ClockId::Boottime).tv_sec.unsigned_abs()
}

/// Milliseconds of a clock that stands still while the machine is suspended. No system call.
#[must_use]
pub fn now_milliseconds() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec.unsigned_abs() * 1000 + now.tv_nsec.unsigned_abs() / 1_000_000
}

#[cfg(test)]
mod tests {
    #[test]
    fn time_does_not_go_back() {
        let before = super::now_seconds();
        assert!(before > 0);
        assert!(super::now_seconds() >= before);
    }
}
