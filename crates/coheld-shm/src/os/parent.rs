//! Noticing the end of another process, for instance of the one that created us.

use core::time::Duration;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::process::{Pid, PidfdFlags};

use super::readiness::wait_readable;
use super::refused;
use crate::Error;

/// A watch on one process.
#[derive(Debug)]
pub struct ProcessWatch {
    process: OwnedFd,
}

impl ProcessWatch {
    /// Watches the process `pid`; `None` if there is no such process (any more).
    pub fn open(pid: u32) -> Result<Option<Self>, Error> {
        let Some(pid) = Pid::from_raw(pid.cast_signed()) else {
            return Ok(None);
        };
        match rustix::process::pidfd_open(pid, PidfdFlags::empty()) {
            Ok(process) => Ok(Some(Self { process })),
            Err(rustix::io::Errno::SRCH) => Ok(None),
            Err(errno) => Err(refused("pidfd_open", errno)),
        }
    }

    /// Watches the parent, which must be `expected`: if that one ended before this call, another
    /// process is the parent by now, and the answer is `None`.
    pub fn open_parent(expected: u32) -> Result<Option<Self>, Error> {
        let watch = Self::open(expected)?;
        // In this order: while the parent is still `expected`, its id was not given to another.
        let parent = rustix::process::getppid().map(|pid| pid.as_raw_nonzero().get());
        Ok(watch.filter(|_| parent == Some(expected.cast_signed())))
    }

    /// Waits until the process has ended, at most `timeout` (`None`: for ever); whether it has.
    pub fn wait(&self, timeout: Option<Duration>) -> Result<bool, Error> {
        Ok(!wait_readable(&[self.as_fd()], timeout)?.is_empty())
    }
}

impl AsFd for ProcessWatch {
    /// A descriptor that becomes readable when the process ends.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.process.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn the_end_of_a_process_is_seen_once_it_ends() {
        let mut child = Command::new("sleep").arg("600").spawn().unwrap();
        let watch = ProcessWatch::open(child.id()).unwrap().unwrap();
        assert_eq!(watch.wait(Some(Duration::from_millis(2))), Ok(false));
        child.kill().unwrap();
        assert_eq!(watch.wait(None), Ok(true));
        child.wait().unwrap();
        assert!(ProcessWatch::open(child.id()).unwrap().is_none());
    }

    #[test]
    fn only_the_real_parent_is_watched_as_parent() {
        let parent = std::os::unix::process::parent_id();
        assert!(ProcessWatch::open_parent(parent).unwrap().is_some());
        assert!(
            ProcessWatch::open_parent(std::process::id())
                .unwrap()
                .is_none()
        );
        assert!(ProcessWatch::open_parent(0).unwrap().is_none());
    }
}
