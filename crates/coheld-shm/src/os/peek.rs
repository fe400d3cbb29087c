//! What `/proc` shows of other processes of this user: which segments they have open, whether they
//! run or are stopped. The kernel lets a process see that of processes that it might debug anyway.

use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::memfd::{self, FileId};
use super::{process, refused};
use crate::Error;

/// What the kernel names the descriptors of segments.
const NAME: &str = "/memfd:coheld";
/// The same where `memfd_create` is forbidden; files of other programs may be called alike.
const OTHER_NAME: &str = "/dev/shm/#";

/// What a process does at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activity {
    /// It runs, or waits to.
    Runs,
    /// It sleeps.
    Sleeps,
    /// A signal or a debugger has stopped it; it may go on.
    Stopped,
    /// It has ended, and its parent has not collected it yet.
    Zombie,
}

/// A process as `/proc` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessLook {
    /// What it does.
    pub activity: Activity,
    /// When it began, in clock ticks since boot.
    pub start_time: u64,
    /// The name of its program, up to 15 bytes.
    pub name: String,
}

/// A process, if there is one with this number.
#[must_use]
pub fn process(pid: u32) -> Option<ProcessLook> {
    let (state, start_time, name) = process::status(pid)?;
    let activity = match state {
        b'T' | b't' => Activity::Stopped,
        b'Z' | b'X' | b'x' => Activity::Zombie,
        b'R' => Activity::Runs,
        _ => Activity::Sleeps,
    };
    Some(ProcessLook {
        activity,
        start_time,
        name,
    })
}

/// Every process that `/proc` lists.
#[must_use]
pub fn processes() -> Vec<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    numbers.collect()
}

/// The segments that a process has open, each once; to be written to only if that is said.
///
/// Closing any of them ends the locks by which the calling process proves that it lives, if it is
/// a member of the same segment. So a member must not call this.
pub fn segments_of(pid: u32, writable: bool) -> Result<Vec<OwnedFd>, Error> {
    let mut found: Vec<(FileId, OwnedFd)> = Vec::new();
    for path in descriptors_of(pid)? {
        let target = fs::read_link(&path).unwrap_or_default();
        let begins_with = |name| {
            target
                .to_str()
                .is_some_and(|target| target.starts_with(name))
        };
        if !begins_with(NAME) && !begins_with(OTHER_NAME) {
            continue;
        }
        let access = if writable {
            OFlags::RDWR
        } else {
            OFlags::RDONLY
        };
        let Ok(file) = rustix::fs::open(&path, access | OFlags::CLOEXEC, Mode::empty()) else {
            // Closed meanwhile.
            continue;
        };
        if begins_with(OTHER_NAME) && memfd::readable_size(file.as_fd()).is_err() {
            continue;
        }
        let id = memfd::file_id(&file)?;
        if found.iter().all(|(known, _)| *known != id) {
            found.push((id, file));
        }
    }
    Ok(found.into_iter().map(|(_, file)| file).collect())
}

fn descriptors_of(pid: u32) -> Result<Vec<PathBuf>, Error> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).map_err(|error| {
        let errno = error.raw_os_error().unwrap_or(0);
        refused("reading /proc/PID/fd", Errno::from_raw_os_error(errno))
    })?;
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    Ok(paths)
}

/// Clock ticks in a second, the unit of start times: the same on every Linux.
pub const TICKS_PER_SECOND: u64 = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_seen() {
        let own = std::process::id();
        let look = process(own).unwrap();
        assert!(matches!(look.activity, Activity::Runs | Activity::Sleeps));
        assert!(processes().contains(&own));
        let file = memfd::create().unwrap();
        let id = memfd::file_id(&file).unwrap();
        let open = segments_of(own, false).unwrap();
        assert!(open.iter().any(|file| memfd::file_id(file) == Ok(id)));
    }

    #[test]
    fn a_process_that_is_not_there_is_an_error() {
        // Numbers of processes stay below 2^22.
        assert_eq!(process(u32::MAX / 2), None);
        assert!(segments_of(u32::MAX / 2, false).is_err());
    }
}
