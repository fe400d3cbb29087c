//! Waiting without a thread: what `coheld.aio` is made of.

mod standing;
mod watch;

pub(crate) use self::{
    standing::{Standing, barrier_timeout, waited_place},
    watch::Watch,
};
