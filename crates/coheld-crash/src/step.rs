//! A child process that is stopped again and again: after each instruction, or each store.
#![allow(
    clippy::disallowed_methods,
    reason = "ptrace and fork have no safe wrapper here"
)]

use std::io;

use crate::stores;

/// A forked child that can be run one step at a time.
pub(crate) struct Child {
    pid: libc::pid_t,
    /// Whether a step is an instruction; else it is what leads up to the next store.
    traced: bool,
}

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// One more step is done.
    Stepped,
    /// The child announced the end of the operation.
    Stopped,
    /// The child is gone, with this wait status.
    Ended(i32),
}

impl Child {
    /// Forks; the child calls `prepare`, reports, waits to be stepped, calls `operation`, reports.
    ///
    /// The caller must have no other threads: the child goes on with the memory as it is.
    pub(crate) fn start(
        prepare: impl FnOnce() -> bool,
        operation: impl FnOnce() -> bool,
    ) -> io::Result<Self> {
        // SAFETY: the process has one thread (documented above), so the child's copy is whole.
        let pid = unsafe { libc::fork() };
        match pid {
            -1 => Err(io::Error::last_os_error()),
            0 => {
                let prepared = prepare();
                trace_me();
                stop_self();
                let done = prepared && operation();
                stop_self();
                // SAFETY: ends the child without running the parent's exit handlers.
                unsafe { libc::_exit(i32::from(!done)) }
            }
            _ => {
                let child = Self { pid, traced: true };
                match child.wait()? {
                    Step::Stopped => Ok(child),
                    step => Err(io::Error::other(format!(
                        "the child did not stop: {step:?}"
                    ))),
                }
            }
        }
    }

    /// The same for a child that stops after each store into `memory`.
    pub(crate) fn start_for_stores(
        memory: &[u8],
        prepare: impl FnOnce() -> bool,
        operation: impl FnOnce() -> bool,
    ) -> io::Result<Self> {
        if !stores::can_be_caught() {
            return Self::start(prepare, operation);
        }
        // SAFETY: as in `start`.
        let pid = unsafe { libc::fork() };
        match pid {
            -1 => Err(io::Error::last_os_error()),
            0 => {
                let prepared = prepare();
                stop_self();
                let done = prepared && stores::stop_at(memory).is_ok() && operation();
                stores::stop_no_more();
                // SAFETY: as in `start`.
                unsafe { libc::_exit(i32::from(!done)) }
            }
            _ => {
                let child = Self { pid, traced: false };
                match child.wait()? {
                    Step::Stepped => Ok(child),
                    step => Err(io::Error::other(format!(
                        "the child did not stop: {step:?}"
                    ))),
                }
            }
        }
    }

    fn wait(&self) -> io::Result<Step> {
        let mut status = 0;
        // SAFETY: `status` is valid for writing.
        let waited = unsafe { libc::waitpid(self.pid, &raw mut status, libc::WUNTRACED) };
        if waited == -1 {
            return Err(io::Error::last_os_error());
        }
        if !libc::WIFSTOPPED(status) {
            return Ok(Step::Ended(status));
        }
        Ok(match libc::WSTOPSIG(status) {
            libc::SIGTRAP => Step::Stepped,
            _ if !self.traced => Step::Stepped,
            _ => Step::Stopped,
        })
    }

    /// Runs one step.
    pub(crate) fn step(&mut self) -> io::Result<Step> {
        if !self.traced {
            // SAFETY: `pid` is our stopped child.
            unsafe { libc::kill(self.pid, libc::SIGCONT) };
            let step = self.wait()?;
            if matches!(step, Step::Ended(_)) {
                self.pid = 0;
            }
            return Ok(match step {
                Step::Ended(0) => Step::Stopped,
                step => step,
            });
        }
        let none = std::ptr::null_mut::<libc::c_void>();
        // SAFETY: `pid` is our stopped tracee; the request takes no memory of ours.
        let result = unsafe { libc::ptrace(libc::PTRACE_SINGLESTEP, self.pid, none, none) };
        if result == -1 {
            return Err(io::Error::last_os_error());
        }
        self.wait()
    }

    /// Lets the child run to its end; true when it reported success.
    pub(crate) fn finish(self) -> io::Result<bool> {
        if !self.traced {
            return Ok(true);
        }
        let none = std::ptr::null_mut::<libc::c_void>();
        // SAFETY: as in `step`.
        let result = unsafe { libc::ptrace(libc::PTRACE_CONT, self.pid, none, none) };
        if result == -1 {
            return Err(io::Error::last_os_error());
        }
        let ended = self.wait()?;
        let Step::Ended(status) = ended else {
            return Err(io::Error::other("the child stopped again"));
        };
        std::mem::forget(self);
        Ok(libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.pid == 0 {
            return;
        }
        // SAFETY: `pid` is our child and has not been waited for to its end.
        unsafe { libc::kill(self.pid, libc::SIGKILL) };
        let mut status = 0;
        // SAFETY: `status` is valid for writing.
        unsafe { libc::waitpid(self.pid, &raw mut status, 0) };
    }
}

fn trace_me() {
    let none = std::ptr::null_mut::<libc::c_void>();
    // SAFETY: asks to be traced by the parent; no memory is involved.
    unsafe { libc::ptrace(libc::PTRACE_TRACEME, 0, none, none) };
}

fn stop_self() {
    // SAFETY: a signal to the calling thread.
    unsafe { libc::raise(libc::SIGSTOP) };
}
