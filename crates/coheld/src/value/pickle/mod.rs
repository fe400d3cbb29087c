//! Pickles of plain data and of the proxies in it.
//!
//! Python stores whatever is not a scalar as a pickle of protocol 5. `coheld_wire` reads and writes
//! that language; this module makes values of the part in which no class of the program occurs:
//! numbers, text, bytes, lists, tuples, dicts, sets, slices and the proxies of the segment. Nothing
//! is ever executed. A pickle with anything else in it is kept as it is.
//!
//! A general crate would not do: order of dicts, tuples beside lists, and proxies have to survive.

mod arrival;
mod read;
mod reply;
mod write;

use std::fmt;

pub(crate) use self::{
    arrival::{read_message, read_part},
    read::read,
    reply::{read_exception, read_hosted},
    write::{Writer, write_message},
};
use crate::proxy::Proxy;

/// How deep values can be nested, in either direction.
pub(crate) const DEPTH_LIMIT: usize = 500;

/// The module and the function that a pickled proxy inside a shared value names.
pub(crate) const EDGE_FUNCTION: (&str, &str) = (MESSAGE_MODULE, "_rebuild_edge");
/// The function that makes proxies of any methods.
pub(crate) const AUTO_PROXY: (&str, &str) = (PROXY_MODULE, "AutoProxy");
/// The class of proxies of iterators.
pub(crate) const ITERATOR_PROXY: (&str, &str) = (PROXY_MODULE, "IteratorProxy");
/// The module of what proxies in messages are made by.
const MESSAGE_MODULE: &str = "coheld._coheld";
/// The module of the classes of proxies.
pub(crate) const PROXY_MODULE: &str = "coheld.managers";

/// An object that only Python can make sense of: its pickle, and the proxies in it.
///
/// It can be moved from one shared object to another; Python will not notice.
///
/// ```
/// use coheld::{Pickle, Value};
///
/// let manager = coheld::Manager::start()?;
/// let list = manager.list::<Value>()?;
/// // `fractions.Fraction(1, 2)`, which Python reads as such.
/// let half = b"cfractions\nFraction\n(I1\nI2\ntR.".to_vec();
/// list.append(&Value::Pickle(Pickle::new(half)))?;
/// assert!(matches!(list.get(0)?, Value::Pickle(_)));
/// # Ok::<(), coheld::Error>(())
/// ```
#[derive(Clone, PartialEq)]
pub struct Pickle {
    bytes: Vec<u8>,
    proxies: Vec<Proxy>,
}

impl Pickle {
    /// A pickle that some Python program has made, in any protocol.
    ///
    /// ```
    /// use coheld::Pickle;
    ///
    /// let none = Pickle::new(b"N.".to_vec());
    /// assert!(none.proxies().is_empty());
    /// ```
    pub fn new(bytes: Vec<u8>) -> Self {
        Self {
            bytes,
            proxies: Vec::new(),
        }
    }

    pub(crate) fn with_proxies(bytes: Vec<u8>, proxies: Vec<Proxy>) -> Self {
        Self { bytes, proxies }
    }

    /// The pickle.
    ///
    /// ```
    /// use coheld::Pickle;
    ///
    /// assert_eq!(Pickle::new(b"N.".to_vec()).as_bytes(), b"N.");
    /// ```
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The proxies in it, in the order of their numbers.
    ///
    /// ```
    /// use coheld::Pickle;
    ///
    /// assert_eq!(Pickle::new(b"(lp0\n.".to_vec()).proxies(), []);
    /// ```
    pub fn proxies(&self) -> &[Proxy] {
        &self.proxies
    }
}

impl fmt::Debug for Pickle {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (bytes, proxies) = (self.bytes.len(), self.proxies.len());
        write!(formatter, "<pickle of {bytes} bytes, {proxies} proxies>")
    }
}

#[cfg(test)]
mod tests;
