//! The clocks that all processes of a machine share and that no one can set.
//!
//! In a time namespace they are ahead of the machine's or behind them, by what the namespace was
//! made with. What processes tell each other has to be without that.

use rustix::io::Errno;
use rustix::time::{ClockId, clock_gettime};

use super::process;

/// Nanoseconds of a clock tick, the unit of start times.
const TICK: i64 = 1_000_000_000 / super::peek::TICKS_PER_SECOND.cast_signed();

/// How far the clocks of this process are ahead of the machine's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ahead {
    /// `now_milliseconds`, in milliseconds.
    pub monotonic: i64,
    /// `now_seconds`, in seconds.
    pub boottime: i64,
    /// Start times in `/proc`, in clock ticks.
    pub ticks: i64,
}

/// How far the clocks of this process are ahead. Allocates nothing and takes no lock, so a forked
/// child may ask. All zero where that cannot be learnt: nobody has time namespaces then.
#[must_use]
pub fn ahead() -> Ahead {
    ahead_if_known().unwrap_or_default()
}

/// The same; `None` if it can be learnt, but not just now, without a descriptor left for instance.
pub(super) fn ahead_if_known() -> Option<Ahead> {
    let namespace = |path| rustix::fs::stat(path).ok().map(|status| status.st_ino);
    // What the file shows is meant for children. It is this process's as well, unless it has just
    // made a namespace for them.
    if namespace(c"/proc/self/ns/time") != namespace(c"/proc/self/ns/time_for_children") {
        return Some(Ahead::default());
    }
    match process::read_file(c"/proc/self/timens_offsets") {
        Ok((content, length)) => {
            let content = core::str::from_utf8(&content[..length]);
            Some(parse(content.unwrap_or_default()))
        }
        Err(Errno::MFILE | Errno::NFILE | Errno::NOMEM) => None,
        Err(_) => Some(Ahead::default()),
    }
}

/// Reads lines of a clock, seconds and nanoseconds.
fn parse(content: &str) -> Ahead {
    let mut ahead = Ahead::default();
    for line in content.lines() {
        let mut fields = line.split_ascii_whitespace();
        let clock = fields.next();
        let mut number = || fields.next()?.parse::<i64>().ok();
        let (Some(seconds), Some(nanoseconds)) = (number(), number()) else {
            continue;
        };
        match clock {
            Some("monotonic") => ahead.monotonic = seconds * 1000 + nanoseconds / 1_000_000,
            Some("boottime") => {
                ahead.boottime = seconds;
                ahead.ticks = seconds * (1_000_000_000 / TICK) + nanoseconds / TICK;
            }
            _ => {}
        }
    }
    ahead
}

/// Seconds since boot, time spent suspended included; in a time namespace, by its clock.
#[must_use]
pub fn now_seconds() -> u64 {
    // The clock counts up from zero, so the sign never shows.
    clock_gettime(ClockId::Boottime).tv_sec.unsigned_abs()
}

/// Milliseconds of a clock that stands still while the machine is suspended; in a time namespace,
/// by its clock. No system call.
#[must_use]
pub fn now_milliseconds() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec.unsigned_abs() * 1000 + now.tv_nsec.unsigned_abs() / 1_000_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namespaces_are_read() {
        let ahead = parse("monotonic   -86400  500000000\nboottime     3600  20000000\n");
        assert_eq!(
            ahead,
            Ahead {
                monotonic: -86_399_500,
                boottime: 3600,
                ticks: 360_002
            }
        );
        assert_eq!(parse("monotonic"), Ahead::default());
        assert_eq!(parse(""), Ahead::default());
    }

    #[test]
    fn time_does_not_go_back() {
        let before = super::now_seconds();
        assert!(before > 0);
        assert!(super::now_seconds() >= before);
    }
}
