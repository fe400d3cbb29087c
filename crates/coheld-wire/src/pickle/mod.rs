//! Pickles: read as graphs, taken apart, put together, never executed.
//!
//! [`Graph::read`] reads what Python's pickler writes in any protocol. A [`Node`] says what an
//! object is made from and what is put into it afterwards; nodes name each other by [`Number`], so
//! sharing and cycles are kept. [`Graph::extract`] makes a pickle of its own out of any node, and
//! so values that nobody here understands pass through unharmed. [`Writer`] writes values,
//! [`Term`]s and nodes of graphs.
//!
//! ```
//! use coheld_wire::pickle::{Graph, Term};
//!
//! // ("a", datetime.date(2026, 1, 1))
//! let pickle = b"\x80\x04\x8c\x01acdatetime\ndate\nC\x04\x07\xea\x01\x01\x85R\x86.";
//! let graph = Graph::read(pickle)?;
//! let items = graph.tuple(graph.root()).unwrap();
//! assert_eq!(graph.text(items[0]), Some("a"));
//! let date = graph.call(items[1]).unwrap();
//! assert_eq!((date.module, date.name), ("datetime", "date"));
//!
//! // The date by itself, and with something else in its place.
//! let date = graph.extract(items[1]);
//! let alone = Graph::read(&date)?;
//! assert_eq!(alone.call(alone.root()).unwrap().name, "date");
//! let other = graph.extract_with(graph.root(), &mut |number| {
//!     (number == items[1]).then(|| Term::call("datetime", "date", [2026, 1, 2].map(Term::Int)))
//! })?;
//! assert!(other.len() > date.len());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod extract;
mod forms;
mod graph;
mod in_band;
mod malformed;
mod names;
mod opcode;
mod read;
mod survey;
mod term;
mod write;

pub use self::extract::{ExtractError, Rewrite};
pub use self::graph::{Call, Change, Graph, Made, Node, Number, Object};
pub use self::in_band::in_band;
pub use self::malformed::{Malformed, Reason};
pub use self::term::Term;
pub use self::write::Writer;

#[cfg(test)]
mod tests;
