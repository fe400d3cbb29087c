//! With real processes: what the kernel says about them is the point of this backing.
#![allow(
    clippy::disallowed_methods,
    reason = "real processes are made and killed here"
)]

use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::sync::{Mutex, PoisonError};

use super::*;

const SLOT: u32 = 5;
const CAPACITY: u64 = 4 * 1024 * 1024;

/// Held around each fork. Tests run side by side, and a child forked while another test has a pipe
/// open would keep that pipe from ending.
static FORKING: Mutex<()> = Mutex::new(());

/// A forked child, killed and collected at the end of the test.
struct Child {
    pid: libc::pid_t,
    identity: ProcessIdentity,
    collected: bool,
}

impl Child {
    /// Forks. The child takes `SLOT`, runs `afterwards`, reports its identity and sleeps; with
    /// `program`, it executes that instead of sleeping.
    fn start(backing: &MemfdBacking, afterwards: impl FnOnce(), program: bool) -> Self {
        let forking = FORKING.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut reports, mut report) = std::io::pipe().unwrap();
        // SAFETY: the child only makes system calls on memory of its own before it ends.
        let pid = unsafe { libc::fork() };
        assert!(pid >= 0, "fork");
        if pid == 0 {
            let taken = backing.take_slot(SLOT) == Ok(true);
            let identity = backing.identity();
            afterwards();
            let words = [
                u64::from(identity.pid),
                identity.start_time,
                identity.pid_namespace,
            ];
            for word in words {
                let _ = report.write_all(&(word * u64::from(taken)).to_le_bytes());
            }
            let sleep = [c"/bin/sleep".as_ptr(), c"600".as_ptr(), core::ptr::null()];
            if program {
                // SAFETY: a null-terminated vector of C strings that live for ever. Closing the
                // pipe (close-on-exec) tells the parent that it happened.
                unsafe { libc::execv(sleep[0], sleep.as_ptr()) };
            }
            drop(report);
            loop {
                // SAFETY: waits for a signal; touches nothing.
                unsafe { libc::pause() };
            }
        }
        drop(report);
        drop(forking);
        let mut words = [0; 24];
        reports.read_exact(&mut words).unwrap();
        // The end of the pipe: the child is where it is to stay.
        assert_eq!(reports.read(&mut [0]).unwrap(), 0);
        let word = |index: usize| u64::from_le_bytes(words[index * 8..][..8].try_into().unwrap());
        let identity = ProcessIdentity {
            pid: word(0) as u32,
            start_time: word(1),
            pid_namespace: word(2),
        };
        assert_eq!(
            identity.pid,
            pid.cast_unsigned(),
            "the child could not take its slot"
        );
        assert_ne!(identity.start_time, 0);
        Self {
            pid,
            identity,
            collected: false,
        }
    }

    /// Kills the child and leaves it uncollected.
    fn kill(&self) {
        // SAFETY: a child that was not collected, so the id is still its own.
        assert_eq!(unsafe { libc::kill(self.pid, libc::SIGKILL) }, 0);
        // SAFETY: all zero is a valid `siginfo_t`.
        let mut report = unsafe { core::mem::zeroed::<libc::siginfo_t>() };
        let flags = libc::WEXITED | libc::WNOWAIT;
        // SAFETY: `report` lives for the whole call.
        let waited = unsafe {
            libc::waitid(
                libc::P_PID,
                self.pid.cast_unsigned(),
                &raw mut report,
                flags,
            )
        };
        assert_eq!(waited, 0);
    }

    fn collect(&mut self) {
        // SAFETY: a null status is allowed.
        unsafe { libc::waitpid(self.pid, core::ptr::null_mut(), 0) };
        self.collected = true;
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if !self.collected {
            // SAFETY: a child that was not collected, so the id is still its own.
            unsafe { libc::kill(self.pid, libc::SIGKILL) };
            self.collect();
        }
    }
}

fn backing() -> MemfdBacking {
    MemfdBacking::create(CAPACITY).unwrap()
}

fn close(descriptor: i32) {
    // SAFETY: what a careless daemon does; that is what is being tested.
    assert_eq!(unsafe { libc::close(descriptor) }, 0);
}

/// Runs `check` in a forked child; whether it said yes.
fn holds_in_child(check: impl FnOnce() -> bool) -> bool {
    let forking = FORKING.lock().unwrap_or_else(PoisonError::into_inner);
    // SAFETY: the child runs `check` and ends without unwinding into the harness.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0, "fork");
    if pid == 0 {
        // Of this process; the check may fork as well.
        drop(forking);
        let holds = std::panic::catch_unwind(std::panic::AssertUnwindSafe(check));
        // SAFETY: ends this process at once.
        unsafe { libc::_exit(i32::from(!matches!(holds, Ok(true)))) };
    }
    drop(forking);
    let mut status = -1;
    // SAFETY: `status` lives for the whole call.
    assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
    status == 0
}

#[test]
fn a_killed_member_is_dead_before_and_after_it_is_collected() {
    let backing = backing();
    let mut child = Child::start(&backing, || {}, false);
    assert!(backing.is_alive(SLOT, &child.identity));
    assert_eq!(backing.take_slot(SLOT), Ok(false));
    child.kill();
    assert!(
        !backing.is_alive(SLOT, &child.identity),
        "a zombie counts as alive"
    );
    child.collect();
    assert!(!backing.is_alive(SLOT, &child.identity));
    assert_eq!(backing.take_slot(SLOT), Ok(true));
}

#[test]
fn a_member_that_closed_every_descriptor_is_alive() {
    let backing = backing();
    let descriptor = backing.descriptor().unwrap();
    let child = Child::start(&backing, || close(descriptor), false);
    assert_eq!(record_lock::is_taken(descriptor, SLOT), Ok(false));
    assert!(backing.is_alive(SLOT, &child.identity));
    let earlier = ProcessIdentity {
        start_time: child.identity.start_time - 1,
        ..child.identity
    };
    assert!(
        !backing.is_alive(SLOT, &earlier),
        "an earlier process of the same id"
    );
    let elsewhere = ProcessIdentity {
        pid_namespace: 1,
        ..child.identity
    };
    assert!(
        !backing.is_alive(SLOT, &elsewhere),
        "the same id in another namespace"
    );
    child.kill();
    assert!(!backing.is_alive(SLOT, &child.identity));
}

/// Takes the right to open anything from this process.
fn allow_no_more_descriptors() {
    let limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: `limit` lives for the whole call.
    let status = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) };
    assert_eq!(status, 0);
    let refused = std::fs::File::open("/proc/self/stat").unwrap_err();
    assert_eq!(refused.raw_os_error(), Some(libc::EMFILE));
}

/// It was taken for dead by whoever had no descriptor left to look at it: its locks were taken over
/// while it worked. Its end is seen all the same.
#[test]
fn a_member_is_alive_for_those_that_cannot_look() {
    let backing = backing();
    let descriptor = backing.descriptor().unwrap();
    let mut child = Child::start(&backing, || close(descriptor), false);
    let identity = child.identity;
    let is_seen = |alive: bool| {
        holds_in_child(|| {
            backing.identity();
            allow_no_more_descriptors();
            backing.is_alive(SLOT, &identity) == alive
        })
    };
    assert!(is_seen(true));
    child.kill();
    assert!(is_seen(false), "a zombie counts as alive");
    child.collect();
    assert!(is_seen(false));
}

/// Nor is it different for one that has become a member without a descriptor to look at itself.
#[test]
fn a_member_knows_itself_without_descriptors() {
    let backing = backing();
    let descriptor = backing.descriptor().unwrap();
    let own = backing.identity();
    let child = Child::start(
        &backing,
        || {
            allow_no_more_descriptors();
            close(descriptor);
        },
        false,
    );
    assert!(backing.is_alive(SLOT, &child.identity));
    child.kill();
    assert!(!backing.is_alive(SLOT, &child.identity));

    let child = Child::start(&backing, || close(descriptor), false);
    assert!(holds_in_child(|| {
        allow_no_more_descriptors();
        let identity = backing.identity();
        (identity.pid, identity.start_time) == (std::process::id(), 0)
            && identity.pid_namespace == own.pid_namespace
            && backing.is_alive(SLOT, &child.identity)
    }));
    child.kill();
}

#[test]
fn a_member_that_became_another_program_is_dead() {
    let backing = backing();
    let child = Child::start(&backing, || {}, true);
    assert!(!backing.is_alive(SLOT, &child.identity));
}

#[test]
fn the_lock_of_a_child_says_alive_whatever_proc_says() {
    let backing = backing();
    let child = Child::start(&backing, || {}, false);
    // As seen from a pid namespace where the process id means nothing.
    let unseen = ProcessIdentity {
        pid: 1,
        start_time: 1,
        pid_namespace: 1,
    };
    assert!(backing.is_alive(SLOT, &unseen));
    child.kill();
    assert!(!backing.is_alive(SLOT, &unseen));
}

#[test]
fn a_fork_child_is_a_new_process_with_the_same_memory() {
    let backing = backing();
    backing.member_cell().store(9, Ordering::Relaxed);
    let own = backing.identity();
    assert!(!backing.is_alive(0, &own), "a slot from before an exec");
    assert_eq!(backing.take_slot(0), Ok(true));
    assert!(backing.is_alive(0, &own));
    assert!(holds_in_child(|| {
        let word = backing.word(64).unwrap();
        word.store(77, Ordering::Relaxed);
        backing.member_cell().load(Ordering::Relaxed) == 0
            && backing.identity() != own
            && backing.take_slot(0) == Ok(false)
            && backing.is_alive(0, &own)
    }));
    assert_eq!(backing.member_cell().load(Ordering::Relaxed), 9);
    assert_eq!(backing.word(64).unwrap().load(Ordering::Relaxed), 77);
}

#[test]
fn memory_is_committed_and_given_back() {
    let backing = backing();
    backing.commit(4096, 2 * 1024 * 1024).unwrap();
    let word = backing.word(8192).unwrap();
    word.store(5, Ordering::Relaxed);
    backing.commit(8192, 4096).unwrap();
    assert_eq!(word.load(Ordering::Relaxed), 5);
    backing.discard(8192, 4096).unwrap();
    assert_eq!(word.load(Ordering::Relaxed), 0);
    let beyond = backing.commit(CAPACITY, 1);
    assert_eq!(
        beyond,
        Err(Error::OutOfMemory {
            requested: 1,
            capacity: CAPACITY
        })
    );
    assert!(backing.discard(u64::MAX, 2).is_err());
}

#[test]
fn memory_is_committed_without_the_descriptor() {
    assert!(holds_in_child(|| {
        let backing = backing();
        let descriptor = backing.descriptor().unwrap();
        close(descriptor);
        // The number is used by the program for something of its own now.
        let other = std::fs::File::open("/dev/null").unwrap();
        assert_eq!(other.as_raw_fd(), descriptor);
        assert_eq!(backing.descriptor(), None);
        backing.commit(8192, 8192).unwrap();
        let word = backing.word(8192).unwrap();
        word.store(5, Ordering::Relaxed);
        backing.commit(8192, 8192).unwrap();
        assert_eq!(word.load(Ordering::Relaxed), 5);
        backing.discard(8192, 4096).unwrap();
        assert_eq!(word.load(Ordering::Relaxed), 0);
        assert_eq!(backing.take_slot(1), Ok(true));
        drop(backing);
        // Not closed by us: it is not ours any more.
        other.metadata().is_ok()
    }));
}

#[test]
fn waiting_works_between_processes() {
    let backing = backing();
    let word = backing.word(128).unwrap();
    let child = Child::start(&backing, || {}, false);
    drop(child);
    assert!(holds_in_child(|| {
        word.store(1, Ordering::SeqCst);
        backing.wake(128, 1);
        true
    }));
    backing.wait(128, 0, Duration::from_secs(60));
    backing.wait(128, 1, Duration::from_millis(2));
    backing.wait(2, 0, Duration::from_secs(60));
    backing.wait(u64::MAX - 3, 0, Duration::from_secs(60));
}

/// Leases of a process whose clock is ahead would have lasted so much longer, those of others would
/// have run out at once there.
#[test]
fn clocks_agree_across_time_namespaces() {
    const NEW_TIME: libc::c_int = 0x80;
    const AHEAD: u64 = 20 * 3600;
    let backing = backing();
    assert!(holds_in_child(|| {
        // SAFETY: takes no memory; what it changes is for children.
        if unsafe { libc::unshare(NEW_TIME) } != 0 {
            // No time namespaces here: there is nothing to be told apart.
            return true;
        }
        let offsets = format!("monotonic {AHEAD} 0\nboottime {AHEAD} 0\n");
        std::fs::write("/proc/self/timens_offsets", offsets).unwrap();
        let seconds = backing.now_seconds();
        let milliseconds = backing.now_milliseconds();
        let start_time = backing.identity().start_time;
        holds_in_child(|| {
            let close = |now: u64, then: u64, each: u64| now >= then && now - then < 60 * each;
            clock::now_seconds() >= seconds + AHEAD
                && close(backing.now_seconds(), seconds, 1)
                && close(backing.now_milliseconds(), milliseconds, 1000)
                && close(backing.identity().start_time, start_time, 100)
        })
    }));
}

#[test]
fn less_is_asked_for_until_it_is_granted() {
    const GRANTED: u64 = 1 << 30;
    for errno in [libc::ENOMEM, libc::EINVAL] {
        let grant = |capacity| match capacity {
            0..=GRANTED => Ok(NonNull::dangling()),
            _ => Err(Error::Os {
                call: "mmap",
                errno,
            }),
        };
        let (_, capacity) = mapped_within_limits(1 << 36, grant).unwrap();
        assert_eq!(capacity, GRANTED);
    }
    let refuse = |_| {
        Err(Error::Os {
            call: "mmap",
            errno: libc::EPERM,
        })
    };
    assert!(mapped_within_limits(1 << 36, refuse).is_err());
}

#[test]
fn limits_of_the_process_make_the_segment_smaller() {
    for resource in [libc::RLIMIT_AS, libc::RLIMIT_FSIZE] {
        assert!(holds_in_child(|| {
            let limit = libc::rlimit {
                rlim_cur: 4 << 30,
                rlim_max: 4 << 30,
            };
            // SAFETY: `limit` lives for the whole call.
            assert_eq!(unsafe { libc::setrlimit(resource, &raw const limit) }, 0);
            let capacity = MemfdBacking::create(64 << 30).unwrap().capacity();
            (1 << 30..=4 << 30).contains(&capacity)
        }));
    }
}

#[test]
fn what_is_not_a_sealed_memory_file_is_refused() {
    let plain = OwnedFd::from(std::fs::File::open("/dev/null").unwrap());
    assert!(matches!(
        MemfdBacking::from_fd(plain),
        Err(Error::NotASegment { .. })
    ));
    let unsealed = memfd::create().unwrap();
    memfd::resize(unsealed.as_fd(), CAPACITY).unwrap();
    assert!(matches!(
        MemfdBacking::from_fd(unsealed),
        Err(Error::NotASegment { .. })
    ));
    let tiny = memfd::create().unwrap();
    memfd::resize(tiny.as_fd(), 4096).unwrap();
    memfd::seal(tiny.as_fd()).unwrap();
    assert!(matches!(
        MemfdBacking::from_fd(tiny),
        Err(Error::NotASegment { .. })
    ));
}

#[test]
fn a_file_that_was_handed_over_is_the_same_memory() {
    let first = backing();
    let copy = first.file().unwrap().try_clone_to_owned().unwrap();
    let second = MemfdBacking::from_fd(copy).unwrap();
    assert_eq!(second.capacity(), CAPACITY);
    first.word(4).unwrap().store(3, Ordering::Relaxed);
    assert_eq!(second.word(4).unwrap().load(Ordering::Relaxed), 3);
}
