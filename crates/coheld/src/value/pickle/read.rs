//! Plain data out of pickles.
//!
//! The machine of pickle works on nodes that name each other by number, because a list may be
//! shared, or contain itself, before it is complete. The value is built at the end, with bounds on
//! depth and size: a few bytes can stand for a structure that fills any memory.

use std::collections::HashMap;

use coheld_store::Slice;

use super::{DEPTH_LIMIT, EDGE_FUNCTION, PROXY_MODULE, Pickle, opcode};
use crate::proxy::{Kind, Proxy};
use crate::value::{BigInt, Value};

/// Values that a pickle may make for each of its bytes, and in addition. Shared parts are copied,
/// so the value may be larger than the pickle.
const EXPANSION: u64 = 64;
const EXPANSION_BASE: u64 = 1 << 20;

/// The value of a pickle; `None` if there is anything in it that Rust has no value for. `proxies`
/// are the proxies in it by number.
pub(crate) fn read(pickle: &[u8], proxies: &[Proxy]) -> Option<Value> {
    let mut machine = Machine::new(pickle);
    let root = machine.run()?;
    let budget = pickle.len() as u64 * EXPANSION + EXPANSION_BASE;
    let mut builder = Builder {
        nodes: &machine.nodes,
        proxies,
        budget,
    };
    builder.build(root, 0)
}

/// The value of one node of a machine that has run on a pickle of `length` bytes without proxies.
pub(super) fn build(nodes: &[Node<'_>], number: Number, length: usize) -> Option<Value> {
    let budget = length as u64 * EXPANSION + EXPANSION_BASE;
    let mut builder = Builder {
        nodes,
        proxies: &[],
        budget,
    };
    builder.build(number, 0)
}

pub(super) type Number = usize;

pub(super) enum Node<'p> {
    Value(Value),
    Text(&'p [u8]),
    Bytes(&'p [u8]),
    Tuple(Vec<Number>),
    List(Vec<Number>),
    /// Keys and values alternate.
    Dict(Vec<Number>),
    Set(Vec<Number>),
    Global(&'p [u8], &'p [u8]),
    /// The proxy with this number.
    Proxy(usize),
    Slice([Option<i64>; 3]),
    /// A pickle inside this one.
    Pickle(&'p [u8]),
    /// What a function or a class that is called here would make: module, name, arguments.
    Object(&'p [u8], &'p [u8], Vec<Number>),
}

pub(super) struct Machine<'p> {
    rest: &'p [u8],
    pub(super) nodes: Vec<Node<'p>>,
    stack: Vec<Number>,
    /// Heights of the stack.
    marks: Vec<usize>,
    memo: HashMap<u32, Number>,
}

impl<'p> Machine<'p> {
    pub(super) fn new(pickle: &'p [u8]) -> Self {
        Self {
            rest: pickle,
            nodes: Vec::new(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
        }
    }

    pub(super) fn run(&mut self) -> Option<Number> {
        loop {
            match self.byte()? {
                opcode::STOP => return self.pop(),
                opcode::PROTO => drop(self.byte()?),
                opcode::FRAME => drop(self.take(8)?),
                instruction => self.step(instruction)?,
            }
        }
    }

    fn step(&mut self, instruction: u8) -> Option<()> {
        match instruction {
            opcode::NONE => self.push_value(Value::None),
            opcode::NEWTRUE => self.push_value(Value::Bool(true)),
            opcode::NEWFALSE => self.push_value(Value::Bool(false)),
            opcode::BININT1 => self.push_int(1),
            opcode::BININT2 => self.push_int(2),
            opcode::BININT => {
                let value = i32::from_le_bytes(self.array()?);
                self.push_value(Value::from(value))
            }
            opcode::LONG1 => self.push_long(1),
            opcode::LONG4 => self.push_long(4),
            opcode::BINFLOAT => {
                let value = f64::from_be_bytes(self.array()?);
                self.push_value(Value::Float(value))
            }
            opcode::SHORT_BINUNICODE => self.push_sized(1, Node::Text),
            opcode::BINUNICODE => self.push_sized(4, Node::Text),
            opcode::BINUNICODE8 => self.push_sized(8, Node::Text),
            opcode::SHORT_BINBYTES => self.push_sized(1, Node::Bytes),
            opcode::BINBYTES => self.push_sized(4, Node::Bytes),
            opcode::BINBYTES8 => self.push_sized(8, Node::Bytes),
            opcode::EMPTY_TUPLE => self.push(Node::Tuple(Vec::new())),
            opcode::EMPTY_LIST => self.push(Node::List(Vec::new())),
            opcode::EMPTY_DICT => self.push(Node::Dict(Vec::new())),
            opcode::EMPTY_SET => self.push(Node::Set(Vec::new())),
            opcode::TUPLE1 => self.push_tuple(1),
            opcode::TUPLE2 => self.push_tuple(2),
            opcode::TUPLE3 => self.push_tuple(3),
            opcode::MARK => {
                self.marks.push(self.stack.len());
                Some(())
            }
            opcode::TUPLE => {
                let items = self.pop_to_mark()?;
                self.push(Node::Tuple(items))
            }
            opcode::LIST => {
                let items = self.pop_to_mark()?;
                self.push(Node::List(items))
            }
            opcode::DICT => {
                let items = self.pop_to_mark()?;
                self.push(Node::Dict(items))
            }
            opcode::POP => self.pop().map(drop),
            opcode::POP_MARK => self.pop_to_mark().map(drop),
            opcode::APPEND => self.fill(1),
            opcode::SETITEM => self.fill(2),
            opcode::APPENDS | opcode::SETITEMS | opcode::ADDITEMS => {
                let items = self.pop_to_mark()?;
                self.extend(items)
            }
            opcode::MEMOIZE => self.remember(u32::try_from(self.memo.len()).ok()?),
            opcode::BINPUT => {
                let place = u32::from(self.byte()?);
                self.remember(place)
            }
            opcode::LONG_BINPUT => {
                let place = u32::from_le_bytes(self.array()?);
                self.remember(place)
            }
            opcode::BINGET => {
                let place = u32::from(self.byte()?);
                self.recall(place)
            }
            opcode::LONG_BINGET => {
                let place = u32::from_le_bytes(self.array()?);
                self.recall(place)
            }
            opcode::GLOBAL => {
                let (module, name) = (self.line()?, self.line()?);
                self.push(Node::Global(module, name))
            }
            opcode::STACK_GLOBAL => {
                let (name, module) = (self.pop()?, self.pop()?);
                match (&self.nodes[module], &self.nodes[name]) {
                    (&Node::Text(module), &Node::Text(name)) => {
                        self.push(Node::Global(module, name))
                    }
                    _ => None,
                }
            }
            opcode::REDUCE => self.reduce(),
            // More of an object that only Python makes.
            opcode::BUILD => {
                self.pop()?;
                let top = *self.stack.last()?;
                matches!(self.nodes[top], Node::Object(..)).then_some(())
            }
            _ => None,
        }
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    fn take(&mut self, count: usize) -> Option<&'p [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    /// An unsigned number of some bytes.
    fn unsigned(&mut self, width: usize) -> Option<u64> {
        let mut wide = [0; 8];
        wide[..width].copy_from_slice(self.take(width)?);
        Some(u64::from_le_bytes(wide))
    }

    fn line(&mut self) -> Option<&'p [u8]> {
        let end = self.rest.iter().position(|byte| *byte == b'\n')?;
        let line = self.take(end)?;
        self.byte()?;
        Some(line)
    }

    #[allow(
        clippy::unnecessary_wraps,
        reason = "every step says whether it went well"
    )]
    fn push(&mut self, node: Node<'p>) -> Option<()> {
        self.stack.push(self.nodes.len());
        self.nodes.push(node);
        Some(())
    }

    fn push_value(&mut self, value: Value) -> Option<()> {
        self.push(Node::Value(value))
    }

    fn push_int(&mut self, width: usize) -> Option<()> {
        let value = self.unsigned(width)?;
        self.push_value(Value::from(value))
    }

    fn push_long(&mut self, width: usize) -> Option<()> {
        let length = self.unsigned(width)?;
        let bytes = self.take(usize::try_from(length).ok()?)?;
        self.push_value(Value::from(BigInt::from_bytes(bytes)))
    }

    fn push_sized(&mut self, width: usize, node: fn(&'p [u8]) -> Node<'p>) -> Option<()> {
        let length = self.unsigned(width)?;
        let bytes = self.take(usize::try_from(length).ok()?)?;
        self.push(node(bytes))
    }

    fn push_tuple(&mut self, length: usize) -> Option<()> {
        let items = self.pop_items(length)?;
        self.push(Node::Tuple(items))
    }

    /// Lowest height of the stack that belongs to the current mark.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    fn pop(&mut self) -> Option<Number> {
        if self.stack.len() <= self.floor() {
            return None;
        }
        self.stack.pop()
    }

    fn pop_items(&mut self, count: usize) -> Option<Vec<Number>> {
        let at = self.stack.len().checked_sub(count)?;
        (at >= self.floor()).then(|| self.stack.split_off(at))
    }

    fn pop_to_mark(&mut self) -> Option<Vec<Number>> {
        let mark = self.marks.pop()?;
        (mark <= self.stack.len()).then(|| self.stack.split_off(mark))
    }

    fn fill(&mut self, count: usize) -> Option<()> {
        let items = self.pop_items(count)?;
        self.extend(items)
    }

    /// Adds items to the collection on top of the stack.
    fn extend(&mut self, items: Vec<Number>) -> Option<()> {
        let top = *self.stack.last()?;
        match &mut self.nodes[top] {
            Node::List(all) | Node::Dict(all) | Node::Set(all) => all.extend(items),
            _ => return None,
        }
        Some(())
    }

    fn remember(&mut self, place: u32) -> Option<()> {
        self.memo.insert(place, *self.stack.last()?);
        Some(())
    }

    fn recall(&mut self, place: u32) -> Option<()> {
        let node = *self.memo.get(&place)?;
        self.stack.push(node);
        Some(())
    }

    /// The calls that stand for data: a proxy, a slice, a pickle inside.
    fn reduce(&mut self) -> Option<()> {
        let (arguments, function) = (self.pop()?, self.pop()?);
        let (&Node::Global(module, name), Node::Tuple(numbers)) =
            (&self.nodes[function], &self.nodes[arguments])
        else {
            return None;
        };
        let arguments: Vec<&Node<'p>> = numbers.iter().map(|&item| &self.nodes[item]).collect();
        let made = match (module, name, arguments.as_slice()) {
            (b"builtins", b"slice", [start, stop, step]) => {
                Node::Slice([bound(start)?, bound(stop)?, bound(step)?])
            }
            (b"pickle", b"loads", [Node::Bytes(bytes)]) => Node::Pickle(bytes),
            (
                module,
                name,
                [
                    Node::Value(number),
                    class,
                    Node::Text(typeid),
                    Node::Text(b"pickle"),
                ],
            ) if module == EDGE_FUNCTION.0.as_bytes()
                && name == EDGE_FUNCTION.1.as_bytes()
                && is_builtin_proxy(class, typeid) =>
            {
                Node::Proxy(usize::try_from(number.as_int()?).ok()?)
            }
            _ => Node::Object(module, name, numbers.clone()),
        };
        self.push(made)
    }
}

/// A bound of a slice: outer `None` if it is none.
#[allow(
    clippy::option_option,
    reason = "a bound may be absent, or not be a bound at all"
)]
fn bound(node: &Node<'_>) -> Option<Option<i64>> {
    match node {
        Node::Value(Value::None) => Some(None),
        Node::Value(Value::Int(bound)) => Some(Some(*bound)),
        _ => None,
    }
}

/// Whether the class is one of Coheld's own. The classes of programs are more than their data.
fn is_builtin_proxy(class: &Node<'_>, typeid: &[u8]) -> bool {
    let &Node::Global(module, class) = class else {
        return false;
    };
    module == PROXY_MODULE.as_bytes()
        && Kind::ALL
            .iter()
            .any(|kind| kind.proxy_name().as_bytes() == class && kind.typeid().as_bytes() == typeid)
}

struct Builder<'b, 'p> {
    nodes: &'b [Node<'p>],
    proxies: &'b [Proxy],
    budget: u64,
}

impl Builder<'_, '_> {
    fn build(&mut self, number: Number, depth: usize) -> Option<Value> {
        if depth > DEPTH_LIMIT {
            return None;
        }
        Some(match &self.nodes[number] {
            Node::Value(value) => {
                self.charge(1)?;
                value.clone()
            }
            Node::Text(bytes) => {
                self.charge(bytes.len())?;
                text(bytes)
            }
            Node::Bytes(bytes) => {
                self.charge(bytes.len())?;
                Value::Bytes(bytes.to_vec())
            }
            Node::Tuple(items) => Value::Tuple(self.items(items, depth)?),
            Node::List(items) => Value::List(self.items(items, depth)?),
            Node::Set(items) => Value::Set(self.items(items, depth)?),
            Node::Dict(items) => {
                if items.len() % 2 != 0 {
                    return None;
                }
                let pair = |pair: &[Number]| {
                    Some((
                        self.build(pair[0], depth + 1)?,
                        self.build(pair[1], depth + 1)?,
                    ))
                };
                Value::Dict(items.chunks_exact(2).map(pair).collect::<Option<_>>()?)
            }
            &Node::Slice([start, stop, step]) => Value::Slice(Slice { start, stop, step }),
            Node::Proxy(number) => Value::Proxy(self.proxies.get(*number)?.clone()),
            Node::Pickle(bytes) => {
                self.charge(bytes.len())?;
                Value::Pickle(Pickle::new(bytes.to_vec()))
            }
            Node::Global(..) | Node::Object(..) => return None,
        })
    }

    fn items(&mut self, items: &[Number], depth: usize) -> Option<Vec<Value>> {
        self.charge(items.len())?;
        items
            .iter()
            .map(|&item| self.build(item, depth + 1))
            .collect()
    }

    fn charge(&mut self, cost: usize) -> Option<()> {
        self.budget = self.budget.checked_sub(cost as u64)?;
        Some(())
    }
}

/// Text, with or without lone surrogates.
fn text(bytes: &[u8]) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) => Value::from(text),
        Err(_) => Value::Surrogates(bytes.to_vec()),
    }
}
