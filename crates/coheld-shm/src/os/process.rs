//! Who a process is, and whether it still runs, by `/proc`.
//!
//! A process id alone says little: it is reused, it is another number in another pid namespace,
//! it stays while nobody collected the dead, and it survives `exec`. So an identity is process
//! id, start time and namespace, and a running member must also still map the segment.

use core::ffi::CStr;
use std::io::{BufRead, BufReader};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::clock;
use super::memfd::FileId;
use crate::backing::ProcessIdentity;

/// Room for `/proc/<pid>/stat` up to the start time, with a name of 15 bytes.
const STATUS_BYTES: usize = 1024;

/// What `/proc` says about a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Status {
    pid: u32,
    state: u8,
    start_time: u64,
}

/// Who the calling process is. Allocates nothing and takes no lock, so a forked child may ask.
#[must_use]
pub fn identity() -> ProcessIdentity {
    let pid = rustix::process::getpid()
        .as_raw_nonzero()
        .get()
        .cast_unsigned();
    let unseen = ProcessIdentity {
        pid,
        start_time: 0,
        pid_namespace: 0,
    };
    let start_time = match read_status(c"/proc/self/stat") {
        // This /proc belongs to another pid namespace: its numbers are not ours.
        Seen::Status(status) if status.pid != pid => return unseen,
        Seen::Status(status) => status.start_time,
        // There may be no descriptor to be had, but it is the right /proc.
        Seen::Refused if own_number() == Some(pid) => 0,
        Seen::Nothing | Seen::Refused => return unseen,
    };
    let pid_namespace = rustix::fs::stat(c"/proc/self/ns/pid").map_or(0, |status| status.st_ino);
    ProcessIdentity {
        pid,
        start_time,
        pid_namespace,
    }
}

/// What `/proc` calls the calling process; for that it takes no descriptor.
fn own_number() -> Option<u32> {
    let mut room = [core::mem::MaybeUninit::uninit(); 16];
    let link = rustix::fs::readlinkat_raw(rustix::fs::CWD, c"/proc/self", &mut room).ok()?;
    core::str::from_utf8(link.0).ok()?.parse().ok()
}

/// The user the calling process acts as.
#[must_use]
pub fn effective_user() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// How many descriptors the calling process may have open.
#[must_use]
pub fn descriptor_limit() -> u64 {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    // None: as many as there is memory for.
    limit.current.unwrap_or(u64::MAX)
}

/// Whether the process `other` still runs with `file` mapped, as far as `/proc` shows it to the
/// process `own`. A process that cannot be seen from here is taken for dead. Where no file can be
/// opened just now, for want of a descriptor for instance, it is as long as any process of that id
/// runs a program: taking a living process for dead is the worse mistake.
pub fn runs_with(own: &ProcessIdentity, other: &ProcessIdentity, file: FileId) -> bool {
    if own.pid_namespace == 0 || own.pid_namespace != other.pid_namespace || other.pid == 0 {
        return false;
    }
    let mut path = PathBuffer::default();
    let status = match read_status(path.of(other.pid, "stat")) {
        Seen::Status(status) => status,
        Seen::Nothing => return false,
        Seen::Refused => return runs_a_program(other.pid),
    };
    // Z: dead and not yet collected, X: being dismantled.
    if matches!(status.state, b'Z' | b'X' | b'x') {
        return false;
    }
    let times = [status.start_time, other.start_time];
    if !times.contains(&0) && status.start_time != other.start_time {
        return false;
    }
    maps_file(other.pid, file)
}

/// Whether a process runs a program: it has ended else, collected or not. That is asked without a
/// descriptor.
fn runs_a_program(pid: u32) -> bool {
    let mut path = PathBuffer::default();
    let mut room = [core::mem::MaybeUninit::uninit(); 1];
    match rustix::fs::readlinkat_raw(rustix::fs::CWD, path.of(pid, "exe"), &mut room) {
        Ok(_) => true,
        Err(refusal) => !says_gone(Some(refusal.raw_os_error())),
    }
}

/// Whether `/proc/<pid>/maps` lists `file`. Unreadable: assume that it does.
fn maps_file(pid: u32, file: FileId) -> bool {
    let maps = match std::fs::File::open(format!("/proc/{pid}/maps")) {
        Ok(maps) => maps,
        Err(error) => return !says_gone(error.raw_os_error()),
    };
    let mut lines = BufReader::new(maps);
    let mut line = Vec::new();
    loop {
        line.clear();
        match lines.read_until(b'\n', &mut line) {
            // A process that has ended meanwhile shows no mapping at all, and is dead.
            Ok(0) => return false,
            Ok(_) if line_names(&line, file) => return true,
            Ok(_) => {}
            Err(error) => return !says_gone(error.raw_os_error()),
        }
    }
}

/// Whether a refusal of a file of `/proc` means that there is no such process any more.
fn says_gone(refusal: Option<i32>) -> bool {
    matches!(refusal, Some(libc::ENOENT | libc::ESRCH))
}

/// Whether a line of `maps` is about `file`.
fn line_names(line: &[u8], file: FileId) -> bool {
    core::str::from_utf8(line).is_ok_and(|line| file_in(line) == Some(file))
}

/// The file of a line of `maps`: `range access offset major:minor inode path`.
fn file_in(line: &str) -> Option<FileId> {
    let mut fields = line.split_ascii_whitespace().skip(3);
    let (major, minor) = fields.next()?.split_once(':')?;
    let major = u32::from_str_radix(major, 16).ok()?;
    let minor = u32::from_str_radix(minor, 16).ok()?;
    Some(FileId {
        device: rustix::fs::makedev(major, minor),
        inode: fields.next()?.parse().ok()?,
    })
}

/// What the kernel has behind the mapping that begins at `start`: also for memory that was mapped
/// without a file there is one, which `/proc` alone shows.
pub fn mapped_file(start: *const u8) -> Option<FileId> {
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    let begin = format!("{:x}-", start.addr());
    file_in(maps.lines().find(|line| line.starts_with(&begin))?)
}

/// State, start time and name of the process `pid`.
pub(super) fn status(pid: u32) -> Option<(u8, u64, String)> {
    let mut path = PathBuffer::default();
    let (content, length) = read_file(path.of(pid, "stat")).ok()?;
    let status = status_in(&content[..length])?;
    Some((status.state, status.start_time, name_in(&content[..length])))
}

/// The name between the outermost parentheses.
fn name_in(content: &[u8]) -> String {
    let start = content.iter().position(|&byte| byte == b'(');
    let end = content.iter().rposition(|&byte| byte == b')');
    let name = start
        .zip(end)
        .and_then(|(start, end)| content.get(start + 1..end));
    String::from_utf8_lossy(name.unwrap_or_default()).into_owned()
}

/// What a look at the status of a process has shown.
enum Seen {
    Status(Status),
    /// There is no such process here.
    Nothing,
    /// The look was refused, which says nothing of the process.
    Refused,
}

fn read_status(path: &CStr) -> Seen {
    match read_file(path) {
        Ok((content, length)) => status_in(&content[..length]).map_or(Seen::Refused, Seen::Status),
        Err(refusal) if says_gone(Some(refusal.raw_os_error())) => Seen::Nothing,
        Err(_) => Seen::Refused,
    }
}

/// What a file of `/proc` says, with the start time as processes outside of any time namespace see
/// it; 0 if that cannot be learnt.
fn status_in(content: &[u8]) -> Option<Status> {
    let status = parse_status(content)?;
    let ahead = clock::ahead_if_known().map(|ahead| ahead.ticks);
    let start_time = ahead.map_or(0, |ahead| status.start_time.wrapping_add_signed(-ahead));
    Some(Status {
        start_time,
        ..status
    })
}

/// The first bytes of a file, and how many there are. Allocates nothing.
pub(super) fn read_file(path: &CStr) -> Result<([u8; STATUS_BYTES], usize), Errno> {
    let file = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let mut content = [0; STATUS_BYTES];
    let length = loop {
        match rustix::io::read(&file, &mut content[..]) {
            Ok(length) => break length,
            Err(Errno::INTR) => {}
            Err(refusal) => return Err(refusal),
        }
    };
    Ok((content, length))
}

/// Reads `pid (name) state ...`. The name may hold anything, also `) Z 1`, so what follows it is
/// found from the last parenthesis.
fn parse_status(content: &[u8]) -> Option<Status> {
    let name_start = content.iter().position(|&byte| byte == b'(')?;
    let name_end = content.iter().rposition(|&byte| byte == b')')?;
    let pid = core::str::from_utf8(&content[..name_start])
        .ok()?
        .trim()
        .parse()
        .ok()?;
    let rest = core::str::from_utf8(content.get(name_end + 1..)?).ok()?;
    let mut fields = rest.split_ascii_whitespace();
    let state = *fields.next()?.as_bytes().first()?;
    // The state is field 3 of the file, the start time field 22.
    let start_time = fields.nth(18)?.parse().ok()?;
    Some(Status {
        pid,
        state,
        start_time,
    })
}

/// A path of `/proc` put together without allocating.
#[derive(Default)]
struct PathBuffer([u8; 32]);

impl PathBuffer {
    fn of(&mut self, pid: u32, entry: &str) -> &CStr {
        use std::io::Write;
        let mut free = &mut self.0[..];
        // "/proc/4294967295/stat" is 21 bytes, so this fits with its zero.
        let written = write!(free, "/proc/{pid}/{entry}\0");
        debug_assert!(written.is_ok());
        CStr::from_bytes_until_nul(&self.0).unwrap_or(c"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_pretend_to_be_a_state() {
        let line = b"12 (a) Z (b)) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 777 0";
        let status = parse_status(line).unwrap();
        assert_eq!(
            status,
            Status {
                pid: 12,
                state: b'S',
                start_time: 777
            }
        );
        assert_eq!(name_in(line), "a) Z (b)");
        assert_eq!(parse_status(b""), None);
        assert_eq!(parse_status(b"12 (short) S 1"), None);
    }

    #[test]
    fn a_mapping_is_told_by_device_and_inode() {
        let line = b"7f0-7f1 rw-s 00000000 00:01 4711     /memfd:coheld (deleted)\n";
        let device = rustix::fs::makedev(0, 1);
        assert!(line_names(
            line,
            FileId {
                device,
                inode: 4711
            }
        ));
        assert!(!line_names(
            line,
            FileId {
                device,
                inode: 4712
            }
        ));
        assert!(!line_names(
            b"7f0-7f1 rw-p 0 00:00 0\n",
            FileId {
                device,
                inode: 4711
            }
        ));
        assert!(!line_names(
            b"",
            FileId {
                device,
                inode: 4711
            }
        ));
    }

    #[test]
    fn this_process_is_itself() {
        let own = identity();
        assert_eq!(own.pid, std::process::id());
        assert_ne!(own.start_time, 0);
        assert_eq!(own, identity());
    }
}
