//! Messages of clients: what they ask for, and the values in it.
//!
//! Plain data becomes values of Rust. Whatever else Python can pickle stays what it is, a pickle by
//! itself, and the proxies in it become edges: the object that keeps it keeps theirs as well.
//! Nothing is ever executed.

use std::collections::HashSet;

use coheld_store::Slice;
use coheld_wire::message::Token;
use coheld_wire::pickle::{Change, Graph, Node, Number, Term};

use super::records::Record;
use crate::call::{self, Exception, array_items, raise};
use crate::value::pickle::{DEPTH_LIMIT, EDGE_FUNCTION, PROXY_MODULE};
use crate::wire::References;
use crate::{BigInt, Error, Pickle, Proxy, Value};

/// Most items of a range: the only argument that can be much longer than its message.
const RANGE_LIMIT: i64 = 1 << 24;

/// How many iterators may be over each other.
const ITERATOR_LIMIT: usize = 8;
/// Bytes that a request may copy of what it has in several places, however short it is.
const COPIES: usize = 16 << 20;

/// A request: a method of an object, or a function of the server if there is no object.
pub(super) struct Request<'m> {
    graph: &'m Graph<'m>,
    /// The name of the object.
    pub(super) ident: Option<&'m str>,
    /// The name of the method or function.
    pub(super) method: &'m str,
    arguments: &'m [Number],
    keywords: Vec<(&'m str, Number)>,
}

impl<'m> Request<'m> {
    /// The request in a message.
    pub(super) fn read(graph: &'m Graph<'m>) -> Result<Self, &'static str> {
        let parts = graph.sequence(graph.root());
        let Some(&[ident, method, arguments, keywords]) = parts else {
            return Err("a request is a tuple of an ident, a method, arguments and keywords");
        };
        let method = graph.text(method).ok_or("a method has a name")?;
        let arguments = graph.sequence(arguments);
        let arguments = arguments.ok_or("arguments are a tuple or a list")?;
        let pairs = graph.dict(keywords).ok_or("keywords are a dict")?;
        let named = |(name, value)| Some((graph.text(name)?, value));
        let keywords = pairs.map(named).collect::<Option<_>>();
        Ok(Self {
            graph,
            ident: graph.text(ident),
            method,
            arguments,
            keywords: keywords.ok_or("keywords are text")?,
        })
    }

    /// Number of arguments by place.
    pub(super) fn count(&self) -> usize {
        self.arguments.len()
    }

    /// An argument that is text.
    pub(super) fn text(&self, place: usize) -> Option<&'m str> {
        self.graph.text(*self.arguments.get(place)?)
    }

    /// All arguments, if all of them are text.
    pub(super) fn texts(&self) -> Option<Vec<&'m str>> {
        self.arguments
            .iter()
            .map(|&argument| self.graph.text(argument))
            .collect()
    }

    /// The name of the object in an argument that is a token.
    pub(super) fn token(&self, place: usize) -> Option<String> {
        Token::read(self.graph, *self.arguments.get(place)?).map(|token| token.id)
    }

    /// The arguments from one on. `opened` says how deep what an argument consists of is taken
    /// apart, for the arguments that are.
    pub(super) fn values(
        &self,
        from: usize,
        opened: impl Fn(usize) -> usize,
        references: &References,
    ) -> Result<Vec<Value>, Error> {
        let arguments = self.arguments.iter().enumerate().skip(from);
        let mut reader = Reader::new(self.graph, references);
        arguments
            .map(|(place, &argument)| reader.value(argument, opened(place)))
            .collect()
    }

    /// The arguments by name.
    pub(super) fn named(&self, references: &References) -> Result<Vec<(String, Value)>, Error> {
        let mut reader = Reader::new(self.graph, references);
        let named = self.keywords.iter();
        named
            .map(|&(name, value)| Ok((name.to_owned(), reader.value(value, 0)?)))
            .collect()
    }

    /// Whether an argument is a slice.
    pub(super) fn is_slice(&self, place: usize) -> bool {
        let argument = self.arguments.get(place);
        argument.is_some_and(|&argument| slice(self.graph, argument).is_some())
    }
}

/// Reads values out of a message.
struct Reader<'m> {
    graph: &'m Graph<'m>,
    references: &'m References,
    /// Nodes and bytes that may still become plain values: what is shared is copied, and copies of
    /// copies have no end.
    budget: usize,
    /// The same for pickles by themselves and the items of iterators.
    room: usize,
    /// Containers in the value that is read.
    met: HashSet<Number>,
}

impl<'m> Reader<'m> {
    fn new(graph: &'m Graph<'m>, references: &'m References) -> Self {
        Self {
            graph,
            references,
            budget: (4 * graph.length()).saturating_add(COPIES),
            room: (16 * graph.length()).saturating_add(4 * COPIES),
            met: HashSet::new(),
        }
    }

    /// One value. What has to be taken apart is, so many levels deep; whatever is below stays one
    /// thing.
    fn value(&mut self, number: Number, opened: usize) -> Result<Value, Error> {
        if opened > 0
            && let Some(value) = self.opened(number, opened - 1)?
        {
            return Ok(value);
        }
        self.met.clear();
        match self.plain(number, 0)? {
            Some(value) => Ok(value),
            None => self.opaque(number),
        }
    }

    fn values(&mut self, numbers: &[Number], opened: usize) -> Result<Vec<Value>, Error> {
        numbers
            .iter()
            .map(|&number| self.value(number, opened))
            .collect()
    }

    fn pairs(&mut self, numbers: &[Number]) -> Result<Vec<(Value, Value)>, Error> {
        numbers
            .chunks_exact(2)
            .map(|pair| Ok((self.value(pair[0], 0)?, self.value(pair[1], 0)?)))
            .collect()
    }

    fn charge(&mut self, cost: usize) -> Result<(), Error> {
        match self.room.checked_sub(cost) {
            Some(left) => self.room = left,
            None => {
                let message = "the arguments are much longer than the message that they came in";
                return Err(raise(Exception::MemoryError, message));
            }
        }
        Ok(())
    }

    /// What Python could iterate over, as its parts.
    fn opened(&mut self, number: Number, inner: usize) -> Result<Option<Value>, Error> {
        let graph = self.graph;
        Ok(Some(match &graph[number] {
            Node::List(items) => Value::List(self.values(items, inner)?),
            Node::Tuple(items) => Value::Tuple(self.values(items, inner)?),
            Node::Set(items) | Node::FrozenSet(items) => Value::Set(self.values(items, inner)?),
            Node::Dict(items) => Value::Dict(self.pairs(items)?),
            Node::ByteArray(bytes) => Value::Bytes(bytes.to_vec()),
            Node::Object(_) => return self.opened_object(number, inner),
            _ => return Ok(None),
        }))
    }

    fn opened_object(&mut self, number: Number, inner: usize) -> Result<Option<Value>, Error> {
        let graph = self.graph;
        let Some(call) = graph.call(number) else {
            return Ok(None);
        };
        let value = match (call.module, call.name, call.arguments, call.changes) {
            ("builtins", "range", &[start, stop, step], []) => {
                match (graph.int(start), graph.int(stop), graph.int(step)) {
                    (Some(start), Some(stop), Some(step)) => Value::List(range(start, stop, step)?),
                    _ => return Ok(None),
                }
            }
            ("array", "array", &[typecode, items], []) => {
                match (graph.text(typecode).map(str::as_bytes), graph.bytes(items)) {
                    (Some(&[typecode]), Some(items)) => Value::List(array_items(typecode, items)?),
                    _ => return Ok(None),
                }
            }
            ("builtins", "iter" | "reversed" | "zip" | "enumerate", ..) => {
                match self.iterated(number, inner, 0)? {
                    Some(items) => Value::List(items),
                    None => return Ok(None),
                }
            }
            ("collections", "Counter", &[items], []) => match &graph[items] {
                Node::Dict(items) => Value::Dict(self.pairs(items)?),
                _ => return Ok(None),
            },
            ("collections", "deque", _, changes) => {
                let mut all = Vec::new();
                for change in changes {
                    match change {
                        Change::Append(items) => all.extend(self.values(items, inner)?),
                        _ => return Ok(None),
                    }
                }
                Value::List(all)
            }
            ("collections", "OrderedDict" | "defaultdict", _, changes) => {
                let mut all = Vec::new();
                for change in changes {
                    match change {
                        Change::SetItems(items) => all.extend(self.pairs(items)?),
                        _ => return Ok(None),
                    }
                }
                Value::Dict(all)
            }
            _ => return Ok(None),
        };
        Ok(Some(value))
    }

    /// What is left in an iterator of Python's own, or what is in something that it iterates over.
    fn iterated(
        &mut self,
        number: Number,
        inner: usize,
        depth: usize,
    ) -> Result<Option<Vec<Value>>, Error> {
        if depth > ITERATOR_LIMIT {
            return Ok(None);
        }
        let items = self.items(number, inner, depth)?;
        self.charge(1 + items.as_ref().map_or(0, Vec::len))?;
        Ok(items)
    }

    fn items(
        &mut self,
        number: Number,
        inner: usize,
        depth: usize,
    ) -> Result<Option<Vec<Value>>, Error> {
        let graph = self.graph;
        match &graph[number] {
            Node::Text(text) => {
                return Ok(Some(call::elements(&Value::from(text.as_ref()))?));
            }
            Node::Bytes(bytes) => {
                return Ok(Some(call::elements(&Value::Bytes(bytes.to_vec()))?));
            }
            _ => {}
        }
        let Some(found) = graph.call(number) else {
            let opened = self.opened(number, inner)?;
            return opened.as_ref().map(call::elements).transpose();
        };
        let state = match found.changes {
            [Change::State(state)] => graph.int(*state),
            _ => None,
        };
        let mut parts = Vec::new();
        match (found.name, found.arguments) {
            ("iter", &[items]) => {
                let items = self.iterated(items, inner, depth + 1)?;
                let begun = usize::try_from(state.unwrap_or(0)).unwrap_or(0);
                return Ok(items.map(|items| items.into_iter().skip(begun).collect()));
            }
            ("reversed", &[items]) => {
                let items = self.iterated(items, inner, depth + 1)?;
                // The index of the next one; none without a state.
                let left = match (found.changes, state) {
                    ([], _) => usize::MAX,
                    (_, state) => usize::try_from(state.unwrap_or(-1) + 1).unwrap_or(0),
                };
                return Ok(items.map(|mut items| {
                    items.truncate(left);
                    items.reverse();
                    items
                }));
            }
            ("enumerate", &[items, first]) => {
                let Some(first) = graph.int(first) else {
                    return Ok(None);
                };
                let items = self.iterated(items, inner, depth + 1)?;
                let pair = |(place, item): (i64, Value)| {
                    Value::Tuple(vec![Value::Int(first.wrapping_add(place)), item])
                };
                return Ok(items.map(|items| (0..).zip(items).map(pair).collect()));
            }
            ("zip", iterators) => {
                for &iterator in iterators {
                    match self.iterated(iterator, inner.saturating_sub(1), depth + 1)? {
                        Some(items) => parts.push(items.into_iter()),
                        None => return Ok(None),
                    }
                }
            }
            _ => {
                let opened = self.opened(number, inner)?;
                return opened.as_ref().map(call::elements).transpose();
            }
        }
        let count = parts.iter().map(ExactSizeIterator::len).min().unwrap_or(0);
        let mut next = |_| Value::Tuple(parts.iter_mut().filter_map(Iterator::next).collect());
        Ok(Some((0..count).map(&mut next).collect()))
    }

    /// The value, if it is plain data and proxies alone. What is in several places of it at once
    /// is more: only its pickle says so.
    fn plain(&mut self, number: Number, depth: usize) -> Result<Option<Value>, Error> {
        let cost = 1 + match &self.graph[number] {
            Node::Text(text) => text.len(),
            Node::Surrogates(bytes) | Node::BigInt(bytes) => bytes.len(),
            Node::Bytes(bytes) => bytes.len(),
            _ => 0,
        };
        if self.budget < cost || depth > DEPTH_LIMIT {
            return Ok(None);
        }
        self.budget -= cost;
        if let Node::List(_) | Node::Dict(_) | Node::Set(_) = &self.graph[number]
            && !self.met.insert(number)
        {
            return Ok(None);
        }
        Ok(Some(match &self.graph[number] {
            Node::None => Value::None,
            &Node::Bool(value) => Value::Bool(value),
            &Node::Int(value) => Value::Int(value),
            &Node::Float(value) => Value::Float(value),
            Node::BigInt(bytes) => Value::from(BigInt::from_bytes(bytes)),
            Node::Text(text) => Value::from(text.as_ref()),
            Node::Surrogates(bytes) => Value::Surrogates(bytes.to_vec()),
            Node::Bytes(bytes) => Value::Bytes(bytes.to_vec()),
            Node::Tuple(items) => match self.all_plain(items, depth)? {
                Some(items) => Value::Tuple(items),
                None => return Ok(None),
            },
            Node::List(items) => match self.all_plain(items, depth)? {
                Some(items) => Value::List(items),
                None => return Ok(None),
            },
            Node::Set(items) => match self.all_plain(items, depth)? {
                Some(items) => Value::Set(items),
                None => return Ok(None),
            },
            Node::Dict(items) => match self.all_plain(items, depth)? {
                Some(items) => {
                    let mut items = items.into_iter();
                    let mut pairs = Vec::with_capacity(items.len() / 2);
                    while let (Some(key), Some(value)) = (items.next(), items.next()) {
                        pairs.push((key, value));
                    }
                    Value::Dict(pairs)
                }
                None => return Ok(None),
            },
            Node::Object(_) => {
                if let Some(slice) = slice(self.graph, number) {
                    return Ok(Some(Value::Slice(slice)));
                }
                match self.proxy(number)? {
                    Some((proxy, record)) if record.is_usual(self.graph) => Value::Proxy(proxy),
                    _ => return Ok(None),
                }
            }
            _ => return Ok(None),
        }))
    }

    fn all_plain(&mut self, items: &[Number], depth: usize) -> Result<Option<Vec<Value>>, Error> {
        let mut all = Vec::with_capacity(items.len());
        for &item in items {
            match self.plain(item, depth + 1)? {
                Some(value) => all.push(value),
                None => return Ok(None),
            }
        }
        Ok(Some(all))
    }

    /// The object of this server that a record names, if it is such a record.
    fn proxy(&self, number: Number) -> Result<Option<(Proxy, Record)>, Error> {
        let Some(record) = Record::read(self.graph, number) else {
            return Ok(None);
        };
        if !self.references.is_ours(&record.token.id) {
            return Ok(None);
        }
        let handle = self.references.find(&record.token.id)?;
        Ok(Some((Proxy::from_handle(handle)?, record)))
    }

    /// The value as a pickle by itself.
    fn opaque(&mut self, number: Number) -> Result<Value, Error> {
        let mut proxies = Vec::new();
        let mut failure = None;
        let mut rewrite = |inner: Number| match self.proxy(inner) {
            Ok(Some((proxy, record))) => {
                let edge = edge(self.graph, &record, &proxy, proxies.len());
                proxies.push(proxy);
                Some(edge)
            }
            Ok(None) => None,
            Err(error) => {
                failure = Some(error);
                None
            }
        };
        let bytes = self.graph.extract_with(number, &mut rewrite);
        if let Some(error) = failure {
            return Err(error);
        }
        let bytes = bytes.map_err(|error| raise(Exception::ValueError, error.to_string()))?;
        self.charge(bytes.len())?;
        Ok(Value::Pickle(Pickle::with_proxies(bytes, proxies)))
    }
}

/// What stands for a proxy inside the pickle of a stored value.
fn edge(graph: &Graph<'_>, record: &Record, proxy: &Proxy, number: usize) -> Term<'static> {
    let kind = proxy.kind();
    let usual = record.is_usual(graph);
    let (class, typeid) = if usual {
        let class = Term::global(PROXY_MODULE, kind.proxy_name());
        (class, kind.typeid().to_owned())
    } else {
        (Term::Node(record.class), record.token.typeid.clone())
    };
    let number = Term::Int(i64::try_from(number).unwrap_or(i64::MAX));
    let mut arguments = vec![number, class, Term::text(typeid), Term::text("pickle")];
    if let Some(exposed) = record.exposed
        && !usual
    {
        arguments.push(Term::Node(exposed));
    }
    Term::call(EDGE_FUNCTION.0, EDGE_FUNCTION.1, arguments)
}

/// The slice, if it is one. Bounds beyond all lists are as good as those at their ends.
fn slice(graph: &Graph<'_>, number: Number) -> Option<Slice> {
    let call = graph.call(number)?;
    let ("builtins", "slice", &[start, stop, step]) = (call.module, call.name, call.arguments)
    else {
        return None;
    };
    let bound = |number: Number| match &graph[number] {
        Node::None => Some(None),
        &Node::Int(value) => Some(Some(value)),
        Node::BigInt(bytes) => Some(Some(if BigInt::from_bytes(bytes).is_negative() {
            i64::MIN
        } else {
            i64::MAX
        })),
        _ => None,
    };
    Some(Slice {
        start: bound(start)?,
        stop: bound(stop)?,
        step: bound(step)?,
    })
}

fn range(start: i64, stop: i64, step: i64) -> Result<Vec<Value>, Error> {
    let (span, stride) = match step {
        0 => return Ok(Vec::new()),
        1.. => (i128::from(stop) - i128::from(start), i128::from(step)),
        _ => (i128::from(start) - i128::from(stop), -i128::from(step)),
    };
    let count = ((span + stride - 1) / stride).max(0);
    if count > RANGE_LIMIT.into() {
        let message = format!("a range of {count} integers is more than {RANGE_LIMIT}");
        return Err(raise(Exception::MemoryError, message));
    }
    // Never more than one step beyond the last one, which is not taken.
    let item = |place: i64| Value::Int(start + place * step);
    Ok((0..count as i64).map(item).collect())
}
