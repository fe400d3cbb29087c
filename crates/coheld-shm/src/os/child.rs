//! Forked processes, and what they are allowed, for the tests of crates that may not use `unsafe`.

use std::panic::{AssertUnwindSafe, catch_unwind};

use rustix::process::Resource;

use super::refused;
use crate::Error;

/// Seconds after which a child ends by itself: its test may have been killed.
const LONGEST_CHILD: u32 = 30;

/// A forked process, killed when this is dropped unless it was waited for.
#[derive(Debug)]
pub struct Child {
    pid: libc::pid_t,
    collected: bool,
}

impl Child {
    /// Forks. The child runs `work` and ends; its answer is what [`Self::said_yes`] returns.
    ///
    /// Only this thread is in the child, so `work` must not want locks that others may hold.
    pub fn fork(work: impl FnOnce() -> bool) -> Result<Self, Error> {
        // SAFETY: the child runs `work` and ends without returning to its caller. It may allocate:
        // the C library takes care of its allocator at a fork.
        Self::after(unsafe { libc::fork() }, work)
    }

    /// As `fork`, unnoticed by the C library: no handler runs.
    ///
    /// No other thread may be allocating at this moment.
    pub fn fork_without_handlers(work: impl FnOnce() -> bool) -> Result<Self, Error> {
        let none = 0_u64;
        // SAFETY: without a new stack and without shared memory this is a fork; then as above.
        let pid = unsafe { libc::syscall(libc::SYS_clone, libc::SIGCHLD, none, none, none, none) };
        Self::after(pid as libc::pid_t, work)
    }

    fn after(pid: libc::pid_t, work: impl FnOnce() -> bool) -> Result<Self, Error> {
        if pid < 0 {
            return Err(super::last_refusal("fork"));
        }
        if pid == 0 {
            // SAFETY: only asks for a signal.
            unsafe { libc::alarm(LONGEST_CHILD) };
            let said_yes = matches!(catch_unwind(AssertUnwindSafe(work)), Ok(true));
            // SAFETY: ends this process at once.
            unsafe { libc::_exit(i32::from(!said_yes)) };
        }
        Ok(Self {
            pid,
            collected: false,
        })
    }

    /// The process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.pid.cast_unsigned()
    }

    /// Waits for the child to end; whether its work answered `true`.
    pub fn said_yes(mut self) -> Result<bool, Error> {
        let status = self.collect()?;
        Ok(status == 0)
    }

    /// Kills the child without any warning and collects it.
    pub fn kill(mut self) -> Result<(), Error> {
        self.end()
    }

    fn end(&mut self) -> Result<(), Error> {
        if !self.collected {
            let pid = rustix::process::Pid::from_raw(self.pid);
            let killed = pid.map(|pid| {
                // A child that was not collected, so the id is still its own.
                rustix::process::kill_process(pid, rustix::process::Signal::KILL)
            });
            if let Some(Err(errno)) = killed {
                return Err(refused("kill", errno));
            }
            self.collect()?;
        }
        Ok(())
    }

    fn collect(&mut self) -> Result<i32, Error> {
        let mut status = -1;
        // SAFETY: `status` lives for the whole call.
        while unsafe { libc::waitpid(self.pid, &raw mut status, 0) } != self.pid {
            let error = super::last_refusal("waitpid");
            if !matches!(
                error,
                Error::Os {
                    errno: libc::EINTR,
                    ..
                }
            ) {
                return Err(error);
            }
        }
        self.collected = true;
        Ok(status)
    }
}

/// Has the calling process, which must have one thread only, go on as another user.
pub fn become_user(user: u32) -> Result<(), Error> {
    rustix::thread::set_thread_uid(rustix::process::Uid::from_raw(user))
        .map_err(|errno| refused("setuid", errno))
}

/// Lets the calling process have as many descriptors open as it may allow itself, or `wanted` if
/// that is less; how many these are.
pub fn raise_descriptor_limit(wanted: u64) -> Result<u64, Error> {
    let mut limit = rustix::process::getrlimit(Resource::Nofile);
    let most = limit.maximum.unwrap_or(u64::MAX).min(wanted);
    let current = limit.current.unwrap_or(u64::MAX).max(most);
    limit.current = Some(current);
    rustix::process::setrlimit(Resource::Nofile, limit)
        .map_err(|errno| refused("setrlimit(RLIMIT_NOFILE)", errno))?;
    Ok(current)
}

/// Lets the calling process have `limit` descriptors open and no more.
pub fn lower_descriptor_limit(limit: u64) -> Result<(), Error> {
    let mut new = rustix::process::getrlimit(Resource::Nofile);
    new.current = Some(limit);
    rustix::process::setrlimit(Resource::Nofile, new)
        .map_err(|errno| refused("setrlimit(RLIMIT_NOFILE)", errno))
}

impl Drop for Child {
    fn drop(&mut self) {
        // Refused only if somebody else has collected it.
        let _ = self.end();
    }
}
