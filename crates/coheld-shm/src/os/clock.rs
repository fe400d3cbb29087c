//! The clock that all processes of a machine share and that no one can set.

use rustix::time::{ClockId, clock_gettime};

/// Seconds since boot, time spent suspended included.
#[must_use]
pub fn now_seconds() -> u64 {
    // The clock counts up from zero, so the sign never shows.
    clock_gettime(ClockId::Boottime).tv_sec.unsigned_abs()
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
