//! The compiled half of the Python package `coheld`.
//!
//! One file for each Python class; everything that can be done without Python is done in the
//! crates below. Python code never runs while a lock of the segment is held.

#![expect(
    clippy::doc_markdown,
    reason = "the comments of classes and methods are their docstrings"
)]
#![expect(
    clippy::needless_pass_by_value,
    clippy::unnecessary_wraps,
    clippy::trivially_copy_pass_by_ref,
    reason = "signatures of methods are what Python calls"
)]

mod aio;
mod attachment;
mod attempts;
mod buffer;
mod callmethod;
mod codec;
mod copy;
mod create;
mod create_waited;
mod errors;
mod frames;
mod host;
mod hosted;
mod imported;
mod inspect;
mod interpreter;
mod key;
mod metaclass;
mod proxy;
mod rebuild;
mod server;
mod token;
mod wire;

/// The compiled half of the package `coheld`.
#[pyo3::pymodule]
mod _coheld {
    use pyo3::prelude::*;

    #[pymodule_export]
    use crate::{
        aio::{Standing, Watch, barrier_timeout, waited_place},
        attachment::{Attachment, find_manager, link_beside},
        create::create,
        create_waited::create_waited_for,
        frames::{pack_frame, unpack_frame},
        hosted::{Host, attachment_of, call_limit, call_manager, exposed_methods, host_lives},
        inspect::{debug_info, statistics},
        metaclass::set_metaclass,
        proxy::{
            AcquirerProxy, ArrayProxy, BarrierProxy, BaseProxy, ConditionProxy, DictIterator,
            DictProxy, EventProxy, JoinableQueueProxy, ListIterator, ListProxy, NamespaceProxy,
            QueueProxy, SetProxy, ValueProxy,
        },
        rebuild::{rebuild_edge, rebuild_proxy},
        server::{Server, ping, request_shutdown},
        token::Token,
        wire::{
            Connection, Link, References, dumps, foreign_name, introduce_links, leave_links, loads,
        },
    };

    /// Before anything can wait: how threads of Python wait.
    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        coheld::set_host(&crate::host::INTERPRETER);
        crate::proxy::name_module(module)
    }
}
