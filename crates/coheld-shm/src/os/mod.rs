//! The operating system, and the only user of `libc` and `rustix` in the workspace.
//!
//! Small typed calls, no policy. The memory itself is offered to the rest of this crate through
//! [`crate::backing`]; what the layers above need of processes and sockets is public.
#![allow(
    clippy::disallowed_methods,
    reason = "the owner of the kernel and the file system"
)]

pub mod again;
#[doc(hidden)]
pub mod child;
pub mod clock;
pub mod fork;
pub(crate) mod futex;
pub(crate) mod memfd;
pub mod parent;
pub mod passing;
pub mod peek;
pub mod process;
mod program;
pub mod readiness;
pub(crate) mod record_lock;
pub mod socket_file;
pub mod terminal;

use crate::Error;

/// The refusal of `call`.
fn refused(call: &'static str, errno: rustix::io::Errno) -> Error {
    Error::Os {
        call,
        errno: errno.raw_os_error(),
    }
}

/// The refusal of `call`, made through libc just now.
fn last_refusal(call: &'static str) -> Error {
    let errno = std::io::Error::last_os_error().raw_os_error().unwrap_or(0);
    Error::Os { call, errno }
}
