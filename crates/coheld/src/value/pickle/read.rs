//! Plain data out of pickles.
//!
//! The value is built out of the graph of the pickle, with bounds on depth and size: a few bytes
//! can stand for a structure that fills any memory.

use coheld_store::Slice;
use coheld_wire::pickle::{Call, Graph, Node, Number};

use super::arrival::interface;
use super::{DEPTH_LIMIT, EDGE_FUNCTION, PROXY_MODULE, Pickle};
use crate::proxy::{Kind, Proxy};
use crate::value::{BigInt, Value};

/// Values that a pickle may make for each of its bytes, and in addition. Shared parts are copied,
/// so the value may be larger than the pickle.
const EXPANSION: u64 = 64;
const EXPANSION_BASE: u64 = 1 << 20;

/// The value of a pickle; `None` if there is anything in it that Rust has no value for. `proxies`
/// are the proxies in it by number.
pub(crate) fn read(pickle: &[u8], proxies: &[Proxy]) -> Option<Value> {
    let graph = Graph::read(pickle).ok()?;
    read_node(&graph, graph.root(), proxies)
}

/// The value of one node.
pub(crate) fn read_node(graph: &Graph<'_>, number: Number, proxies: &[Proxy]) -> Option<Value> {
    read_with(graph, number, &mut |number| edge(graph, number, proxies))
}

/// The same where `find` gives the proxies for nodes that stand for some.
pub(super) fn read_with(
    graph: &Graph<'_>,
    number: Number,
    find: &mut dyn FnMut(Number) -> Option<Value>,
) -> Option<Value> {
    let budget = graph.length() as u64 * EXPANSION + EXPANSION_BASE;
    let mut builder = Builder {
        graph,
        find,
        budget,
    };
    builder.build(number, 0)
}

/// The proxy inside a stored value that a node stands for.
fn edge(graph: &Graph<'_>, number: Number, proxies: &[Proxy]) -> Option<Value> {
    let call = graph.call(number)?;
    let &[place, class, typeid, serializer, ref exposed @ ..] = call.arguments else {
        return None;
    };
    let is_edge = (call.module, call.name) == EDGE_FUNCTION && call.changes.is_empty();
    if !is_edge || graph.text(serializer) != Some("pickle") {
        return None;
    }
    let place = usize::try_from(graph.int(place)?).ok()?;
    let proxy = proxies.get(place)?;
    if exposed.is_empty() && is_builtin_proxy(graph, class, typeid) {
        return Some(Value::Proxy(proxy.clone()));
    }
    // The classes of programs are more than their data; the proxies that consist of the names of
    // their methods are not.
    let interface = interface(graph, class, graph.text(typeid)?, exposed.first().copied())?;
    let proxy = Proxy::with_interface(proxy.handle().clone(), Some(interface));
    Some(Value::Proxy(proxy.ok()?))
}

struct Builder<'b, 'p> {
    graph: &'b Graph<'p>,
    find: &'b mut dyn FnMut(Number) -> Option<Value>,
    budget: u64,
}

impl Builder<'_, '_> {
    fn build(&mut self, number: Number, depth: usize) -> Option<Value> {
        if depth > DEPTH_LIMIT {
            return None;
        }
        self.charge(1)?;
        Some(match &self.graph[number] {
            Node::None => Value::None,
            Node::Bool(value) => Value::Bool(*value),
            Node::Int(value) => Value::Int(*value),
            Node::Float(value) => Value::Float(*value),
            Node::BigInt(bytes) => {
                self.charge(bytes.len())?;
                Value::from(BigInt::from_bytes(bytes))
            }
            Node::Text(text) => {
                self.charge(text.len())?;
                Value::Str(text.as_ref().to_owned())
            }
            Node::Surrogates(bytes) => {
                self.charge(bytes.len())?;
                Value::Surrogates(bytes.to_vec())
            }
            Node::Bytes(bytes) => {
                self.charge(bytes.len())?;
                Value::Bytes(bytes.to_vec())
            }
            Node::Tuple(items) => Value::Tuple(self.items(items, depth)?),
            Node::List(items) => Value::List(self.items(items, depth)?),
            Node::Set(items) => Value::Set(self.items(items, depth)?),
            Node::Dict(items) => {
                let pair = |pair: &[Number]| {
                    Some((
                        self.build(pair[0], depth + 1)?,
                        self.build(pair[1], depth + 1)?,
                    ))
                };
                Value::Dict(items.chunks_exact(2).map(pair).collect::<Option<_>>()?)
            }
            _ => {
                let call = self.graph.call(number)?;
                match self.called(call) {
                    Some(value) => value,
                    None => (self.find)(number)?,
                }
            }
        })
    }

    /// The calls that stand for data: a slice, a pickle inside.
    fn called(&mut self, call: Call<'_>) -> Option<Value> {
        if !call.changes.is_empty() {
            return None;
        }
        let graph = self.graph;
        match (call.module, call.name, call.arguments) {
            ("builtins", "slice", &[start, stop, step]) => Some(Value::Slice(Slice {
                start: bound(graph, start)?,
                stop: bound(graph, stop)?,
                step: bound(graph, step)?,
            })),
            ("pickle", "loads", &[pickle]) => {
                let bytes = graph.bytes(pickle)?;
                self.charge(bytes.len())?;
                Some(Value::Pickle(Pickle::new(bytes.to_vec())))
            }
            _ => None,
        }
    }

    fn items(&mut self, items: &[Number], depth: usize) -> Option<Vec<Value>> {
        let build = |item: &Number| self.build(*item, depth + 1);
        items.iter().map(build).collect()
    }

    fn charge(&mut self, cost: usize) -> Option<()> {
        self.budget = self.budget.checked_sub(cost as u64)?;
        Some(())
    }
}

/// A bound of a slice: outer `None` if it is none.
#[allow(
    clippy::option_option,
    reason = "a bound may be absent, or not be a bound at all"
)]
fn bound(graph: &Graph<'_>, number: Number) -> Option<Option<i64>> {
    match graph[number] {
        Node::None => Some(None),
        Node::Int(bound) => Some(Some(bound)),
        _ => None,
    }
}

/// Whether the class is one of Coheld's own. The classes of programs are more than their data.
fn is_builtin_proxy(graph: &Graph<'_>, class: Number, typeid: Number) -> bool {
    let (Some((PROXY_MODULE, class)), Some(typeid)) = (graph.global(class), graph.text(typeid))
    else {
        return false;
    };
    let mut kinds = Kind::ALL.iter();
    kinds.any(|kind| kind.proxy_name() == class && kind.typeid() == typeid)
}
