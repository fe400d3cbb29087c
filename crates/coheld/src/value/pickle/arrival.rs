//! Values out of messages between callers and hosts.
//!
//! A proxy in a message is the call of `RebuildProxy` with a token, as Python pickles it between
//! processes, and brings a lease along. A lease is used up once; so the proxies of a message are
//! redeemed after it is clear that there is a value for all of it, each node of the graph one time.

use std::collections::BTreeMap;
use std::sync::Arc;

use coheld_wire::pickle::{Graph, Node, Number};

use super::read::read_with;
use super::{AUTO_PROXY, ITERATOR_PROXY};
use crate::proxy::{ITERATOR, Interface};
use crate::token::Place;
use crate::value::Value;
use crate::{Attachment, Error, Handle, Pickle, Proxy, key};

/// The proxies of a message, by the node that stands for them.
type Proxies = BTreeMap<Number, Proxy>;

/// The value of a message of a process that is attached to the same segment.
pub(crate) fn read_message(message: &[u8], attachment: &Arc<Attachment>) -> Result<Value, Error> {
    let Ok(graph) = Graph::read(message) else {
        return Ok(Value::Pickle(Pickle::new(message.to_vec())));
    };
    read_part(&graph, graph.root(), attachment)
}

/// The value of one node of a message; a pickle of its own if there is anything in it that Rust has
/// no value for.
pub(crate) fn read_part(
    graph: &Graph<'_>,
    number: Number,
    attachment: &Arc<Attachment>,
) -> Result<Value, Error> {
    let mut met = Vec::new();
    let read = read_with(graph, number, &mut |number| {
        // Something in its place, until it is known that the rest can be read.
        ProxyRecord::read(graph, number)?;
        met.push(number);
        Some(Value::None)
    });
    let Some(value) = read else {
        return Ok(Value::Pickle(Pickle::new(graph.extract(number))));
    };
    if met.is_empty() {
        return Ok(value);
    }
    let proxies = redeem(graph, &met, attachment)?;
    let read = read_with(graph, number, &mut |number| {
        proxies.get(&number).cloned().map(Value::Proxy)
    });
    read.ok_or(Error::Protocol {
        why: "a message was read in two ways",
    })
}

/// The proxies for these nodes. Every lease is used up, also if one of them fails.
fn redeem(
    graph: &Graph<'_>,
    numbers: &[Number],
    attachment: &Arc<Attachment>,
) -> Result<Proxies, Error> {
    let mut proxies = Proxies::new();
    let mut failure = None;
    for &number in numbers {
        let Some(record) = ProxyRecord::read(graph, number) else {
            continue;
        };
        if proxies.contains_key(&number) {
            continue;
        }
        match record.redeem(attachment) {
            Ok(proxy) => drop(proxies.insert(number, proxy)),
            Err(error) => failure = Some(error),
        }
    }
    failure.map_or(Ok(proxies), Err)
}

/// A pickled proxy.
struct ProxyRecord {
    token: HostedToken,
    interface: Option<Interface>,
}

/// What a token says.
#[derive(Debug, PartialEq)]
pub(crate) struct HostedToken {
    /// The name of the type.
    pub(crate) typeid: String,
    /// The identity of the referent in hexadecimal.
    pub(crate) id: String,
    /// The name of the segment in hexadecimal.
    pub(crate) segment: String,
    /// Whether a lease came with it.
    pub(crate) is_leased: bool,
}

impl HostedToken {
    /// Reads the token that a node is: `Token(typeid, address, id, segment[, is_leased])`.
    pub(crate) fn read(graph: &Graph<'_>, number: Number) -> Option<Self> {
        let token = graph.call(number).filter(|call| call.name == "Token")?;
        let &[typeid, _, id, segment, ref lease @ ..] = token.arguments else {
            return None;
        };
        let is_leased = lease.first().is_some_and(|lease| is_true(graph, *lease));
        Some(Self {
            typeid: graph.text(typeid)?.to_owned(),
            id: graph.text(id)?.to_owned(),
            segment: graph.text(segment)?.to_owned(),
            is_leased,
        })
    }

    /// The referent that it names.
    pub(crate) fn redeem(&self, attachment: &Arc<Attachment>) -> Result<Handle, Error> {
        let bad = |why| Error::BadToken { why };
        let attachment = if self.segment == key::encode(&attachment.segment_id()) {
            Arc::clone(attachment)
        } else {
            let id = key::decode(&self.segment).and_then(|id| id.try_into().ok());
            let other = id.and_then(|id| Attachment::find(&id));
            other.ok_or(bad(
                "it belongs to a segment that this process is not attached to",
            ))?
        };
        let place = Place::parse(&self.id);
        let place = place.ok_or(bad("its identity is not a hexadecimal number"))?;
        if self.is_leased {
            Handle::redeem(&attachment, place.lease())
        } else {
            Handle::acquire(&attachment, place.offset, place.generation)
        }
    }
}

impl ProxyRecord {
    /// Reads the proxy that a node is: `RebuildProxy(class, token, serializer, keywords)`.
    fn read(graph: &Graph<'_>, number: Number) -> Option<Self> {
        let call = graph.call(number)?;
        let &[class, token, _, keywords] = call.arguments else {
            return None;
        };
        if call.name != "RebuildProxy" || !call.changes.is_empty() {
            return None;
        }
        let mut token = HostedToken::read(graph, token)?;
        let mut exposed = None;
        for (name, value) in graph.dict(keywords)? {
            match graph.text(name)? {
                "lease" => token.is_leased |= is_true(graph, value),
                "exposed" => exposed = Some(value),
                _ => {}
            }
        }
        let interface = interface(graph, class, &token.typeid, exposed);
        Some(Self { token, interface })
    }

    fn redeem(&self, attachment: &Arc<Attachment>) -> Result<Proxy, Error> {
        let handle = self.token.redeem(attachment)?;
        Proxy::with_interface(handle, self.interface.clone())
    }
}

/// What a pickled proxy of a hosted object says of its methods.
pub(super) fn interface(
    graph: &Graph<'_>,
    class: Number,
    typeid: &str,
    exposed: Option<Number>,
) -> Option<Interface> {
    let class = graph.global(class)?;
    if class == ITERATOR_PROXY {
        return Some(Interface::new(ITERATOR, ["__next__"]));
    }
    if class != AUTO_PROXY {
        return None;
    }
    let names = graph.sequence(exposed?)?.iter();
    let names = names.map(|name| Some(graph.text(*name)?.to_owned()));
    Some(Interface::new(typeid, names.collect::<Option<Vec<_>>>()?))
}

fn is_true(graph: &Graph<'_>, number: Number) -> bool {
    graph[number] == Node::Bool(true)
}
