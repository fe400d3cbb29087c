//! Objects of any Python class behind proxies: calling their methods, and being their host.

mod call;
mod entry;
mod host;
mod limit;
mod reply;
mod serving;
mod thread;
mod whereabouts;

pub(crate) use self::thread::start as start_thread;
pub(crate) use self::{
    call::{
        call_manager, call_method, call_odd_name, call_within, exposed_methods, move_to_manager,
    },
    host::Host,
    limit::{call_limit, limit_of, of_thread as limit_of_thread},
    reply::{auto_proxy, remote_exception},
    whereabouts::{attachment_of, host_lives},
};
