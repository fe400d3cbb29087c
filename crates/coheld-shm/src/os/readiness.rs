//! Waiting for any of several descriptors.

use core::time::Duration;
use std::os::fd::BorrowedFd;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags};
use rustix::fs::Timespec;

use super::refused;
use crate::Error;

/// Waits until one of `descriptors` is readable or at its end, at most `timeout` (`None`: for
/// ever). The indices of all that are, in their order.
///
/// The system keeps nothing about them between two calls, so there is nothing that a forked child
/// could have in common with its parent.
pub fn wait_readable(
    descriptors: &[BorrowedFd<'_>],
    timeout: Option<Duration>,
) -> Result<Vec<usize>, Error> {
    let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    let mut entries: Vec<_> = descriptors
        .iter()
        .map(|descriptor| PollFd::new(descriptor, PollFlags::IN))
        .collect();
    loop {
        let left = deadline.map(|deadline| {
            let left = deadline.saturating_duration_since(Instant::now());
            Timespec {
                tv_sec: left.as_secs().min(1 << 31).cast_signed(),
                tv_nsec: left.subsec_nanos().into(),
            }
        });
        match rustix::event::poll(&mut entries, left.as_ref()) {
            Ok(_) => break,
            Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(refused("poll", errno)),
        }
    }
    let is_ready = |entry: &PollFd<'_>| !entry.revents().is_empty();
    let entries = entries.iter().enumerate();
    Ok(entries
        .filter(|(_, entry)| is_ready(entry))
        .map(|(index, _)| index)
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    #[test]
    fn all_that_are_readable_or_ended_are_told() {
        let (mut one, mut first) = UnixStream::pair().unwrap();
        let (_two, second) = UnixStream::pair().unwrap();
        let (three, third) = UnixStream::pair().unwrap();
        let no_time = Some(Duration::ZERO);
        let all = |first: &UnixStream| {
            let all = [first.as_fd(), second.as_fd(), third.as_fd()];
            wait_readable(&all, no_time)
        };
        assert_eq!(all(&first), Ok(vec![]));
        one.write_all(b"x").unwrap();
        drop(three);
        assert_eq!(all(&first), Ok(vec![0, 2]));
        first.read_exact(&mut [0]).unwrap();
        assert_eq!(all(&first), Ok(vec![2]));
        assert_eq!(wait_readable(&[third.as_fd()], None), Ok(vec![0]));
        assert_eq!(wait_readable(&[], no_time), Ok(vec![]));
    }
}
