//! Members: the processes that work on a segment, each in a slot of its table.
//!
//! A member is named everywhere by its *tag*: slot number and generation in 31 bits. A slot that is
//! used again gets the next generation, so a tag never names two processes.

#[cfg(not(loom))]
pub(crate) mod fork;
#[cfg(not(loom))]
pub(crate) mod manager;
pub(crate) mod slot;
#[cfg(not(loom))]
pub(crate) mod table;
