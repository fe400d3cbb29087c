//! The machine of pickle: instructions in, a graph out. Nothing is ever executed.
//!
//! There are no more nodes than bytes, so memory is in proportion to the pickle.

use std::borrow::Cow;
use std::collections::HashMap;

use super::graph::{Change, Graph, Made, Node, Number, Object, Times};
use super::{Malformed, Reason, forms, names, opcode};

/// The latest protocol there is.
const LATEST: u8 = 5;
/// The first protocol in which Python writes the names of today.
const MODERN_NAMES: u8 = 3;

impl<'p> Graph<'p> {
    /// Reads a pickle of any protocol up to 5, as far as Python's own pickler writes it. What
    /// follows behind its end is not looked at, see [`Graph::length`].
    pub fn read(pickle: &'p [u8]) -> Result<Self, Malformed> {
        let mut machine = Machine {
            pickle,
            at: 0,
            protocol: 0,
            clock: 0,
            nodes: Vec::new(),
            times: Vec::new(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: Memo::default(),
        };
        loop {
            let offset = machine.at;
            match machine.step() {
                Ok(None) => (),
                Ok(Some(root)) => {
                    return Ok(Self {
                        nodes: machine.nodes,
                        times: machine.times,
                        root,
                        length: machine.at,
                    });
                }
                Err(reason) => return Err(Malformed { offset, reason }),
            }
        }
    }
}

struct Machine<'p> {
    pickle: &'p [u8],
    at: usize,
    protocol: u8,
    /// Instructions so far.
    clock: u32,
    nodes: Vec<Node<'p>>,
    times: Vec<Times>,
    stack: Vec<Number>,
    /// Heights of the stack.
    marks: Vec<usize>,
    memo: Memo,
}

impl<'p> Machine<'p> {
    /// Carries out one instruction; the root if it is the last one.
    fn step(&mut self) -> Result<Option<Number>, Reason> {
        let code = self.byte()?;
        self.clock = self.clock.checked_add(1).ok_or(Reason::TooManyNodes)?;
        match code {
            opcode::STOP => return self.pop().map(Some),
            opcode::PROTO => {
                self.protocol = self.byte()?;
                if self.protocol > LATEST {
                    return Err(Reason::UnknownProtocol(self.protocol));
                }
            }
            opcode::FRAME => drop(self.take(8)?),
            opcode::MARK => self.marks.push(self.stack.len()),
            opcode::POP => self.discard()?,
            opcode::POP_MARK => drop(self.pop_to_mark()?),
            opcode::DUP => self.stack.push(self.top()?),
            opcode::MEMOIZE => {
                let place = u32::try_from(self.memo.count()).map_err(|_| Reason::TooManyNodes)?;
                self.memo.put(place, self.top()?);
            }
            opcode::PUT | opcode::BINPUT | opcode::LONG_BINPUT => {
                let place = self.memo_place(code)?;
                self.memo.put(place, self.top()?);
            }
            opcode::GET | opcode::BINGET | opcode::LONG_BINGET => {
                let place = self.memo_place(code)?;
                let found = self.memo.get(place).ok_or(Reason::NotInMemo)?;
                self.stack.push(found);
            }
            opcode::APPEND => {
                let item = self.pop()?;
                self.change(Kind::Append, &[item])?;
            }
            opcode::SETITEM => {
                let pair = self.pop_items(2)?;
                self.change(Kind::SetItems, &pair)?;
            }
            opcode::APPENDS => self.change_by_mark(Kind::Append)?,
            opcode::SETITEMS => self.change_by_mark(Kind::SetItems)?,
            opcode::ADDITEMS => self.change_by_mark(Kind::Add)?,
            opcode::BUILD => {
                let state = self.pop()?;
                let top = self.top()?;
                match &mut self.nodes[top.place()] {
                    Node::Object(object) => {
                        object.changes.push(Change::State(state));
                        object.times.push(self.clock);
                    }
                    _ => return Err(Reason::WrongTarget),
                }
            }
            _ => {
                let node = self.make(code)?;
                self.push(node)?;
            }
        }
        Ok(None)
    }

    /// What an instruction makes.
    fn make(&mut self, code: u8) -> Result<Node<'p>, Reason> {
        Ok(match code {
            opcode::NONE => Node::None,
            opcode::NEWTRUE => Node::Bool(true),
            opcode::NEWFALSE => Node::Bool(false),
            opcode::BININT1 => Node::Int(i64::from(self.byte()?)),
            opcode::BININT2 => Node::Int(i64::from(u16::from_le_bytes(self.array()?))),
            opcode::BININT => Node::Int(i64::from(i32::from_le_bytes(self.array()?))),
            opcode::LONG1 => long(self.sized(1)?),
            opcode::LONG4 => long(self.sized(4)?),
            opcode::BINFLOAT => Node::Float(f64::from_be_bytes(self.array()?)),
            opcode::SHORT_BINUNICODE => text(self.sized(1)?)?,
            opcode::BINUNICODE => text(self.sized(4)?)?,
            opcode::BINUNICODE8 => text(self.sized(8)?)?,
            opcode::SHORT_BINBYTES => Node::Bytes(self.sized(1)?),
            opcode::BINBYTES => Node::Bytes(self.sized(4)?),
            opcode::BINBYTES8 => Node::Bytes(self.sized(8)?),
            opcode::BYTEARRAY8 => Node::ByteArray(self.sized(8)?),
            opcode::EMPTY_TUPLE => Node::Tuple(Vec::new()),
            opcode::TUPLE1 => Node::Tuple(self.pop_items(1)?),
            opcode::TUPLE2 => Node::Tuple(self.pop_items(2)?),
            opcode::TUPLE3 => Node::Tuple(self.pop_items(3)?),
            opcode::TUPLE => Node::Tuple(self.pop_to_mark()?),
            opcode::EMPTY_LIST => Node::List(Vec::new()),
            opcode::LIST => Node::List(self.pop_to_mark()?),
            opcode::EMPTY_DICT => Node::Dict(Vec::new()),
            opcode::DICT => {
                let items = self.pop_to_mark()?;
                check_pairs(&items)?;
                Node::Dict(items)
            }
            opcode::EMPTY_SET => Node::Set(Vec::new()),
            opcode::FROZENSET => Node::FrozenSet(self.pop_to_mark()?),
            opcode::GLOBAL => {
                let (module, name) = (self.line()?, self.line()?);
                self.global(module, name)?
            }
            opcode::STACK_GLOBAL => {
                let (name, module) = (self.pop()?, self.pop()?);
                Node::Global(self.plain(module)?, self.plain(name)?)
            }
            opcode::REDUCE => {
                let (arguments, function) = (self.pop()?, self.pop()?);
                self.object(Made::Call {
                    function,
                    arguments,
                })?
            }
            opcode::NEWOBJ => {
                let (arguments, class) = (self.pop()?, self.pop()?);
                self.object(Made::New { class, arguments })?
            }
            opcode::NEWOBJ_EX => {
                let (keywords, arguments, class) = (self.pop()?, self.pop()?, self.pop()?);
                self.object(Made::NewWith {
                    class,
                    arguments,
                    keywords,
                })?
            }
            opcode::INST => {
                let (module, name) = (self.line()?, self.line()?);
                let arguments = self.pop_to_mark()?;
                let class = self.global(module, name)?;
                let class = self.add(class)?;
                self.old_instance(class, arguments)?
            }
            opcode::OBJ => {
                let mut arguments = self.pop_to_mark()?;
                if arguments.is_empty() {
                    return Err(Reason::StackEmpty);
                }
                let class = arguments.remove(0);
                self.old_instance(class, arguments)?
            }
            opcode::INT | opcode::LONG | opcode::FLOAT => {
                forms::number(code, self.line()?).ok_or(Reason::BadNumber)?
            }
            opcode::UNICODE => {
                let decoded = forms::raw_unicode(self.line()?).ok_or(Reason::BadText)?;
                text_of(decoded)?
            }
            opcode::STRING => {
                let text = forms::quoted(self.line()?).ok_or(Reason::BadText)?;
                Node::Text(text)
            }
            opcode::BINSTRING => ascii(self.sized(4)?)?,
            opcode::SHORT_BINSTRING => ascii(self.sized(1)?)?,
            other => return Err(refusal(other)),
        })
    }

    fn byte(&mut self) -> Result<u8, Reason> {
        Ok(self.take(1)?[0])
    }

    fn take(&mut self, count: usize) -> Result<&'p [u8], Reason> {
        let rest = &self.pickle[self.at..];
        let taken = rest.get(..count).ok_or(Reason::Truncated)?;
        self.at += count;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Reason> {
        self.take(N)?.try_into().map_err(|_| Reason::Truncated)
    }

    /// Bytes behind their number, which has some bytes itself.
    fn sized(&mut self, width: usize) -> Result<&'p [u8], Reason> {
        let mut wide = [0; 8];
        wide[..width].copy_from_slice(self.take(width)?);
        let length = usize::try_from(u64::from_le_bytes(wide));
        self.take(length.map_err(|_| Reason::Truncated)?)
    }

    fn line(&mut self) -> Result<&'p [u8], Reason> {
        let rest = &self.pickle[self.at..];
        let end = rest.iter().position(|byte| *byte == b'\n');
        let line = self.take(end.ok_or(Reason::Truncated)?)?;
        self.at += 1;
        Ok(line)
    }

    fn memo_place(&mut self, code: u8) -> Result<u32, Reason> {
        Ok(match code {
            opcode::BINPUT | opcode::BINGET => u32::from(self.byte()?),
            opcode::LONG_BINPUT | opcode::LONG_BINGET => u32::from_le_bytes(self.array()?),
            _ => forms::place(self.line()?).ok_or(Reason::BadNumber)?,
        })
    }

    fn push(&mut self, node: Node<'p>) -> Result<(), Reason> {
        let number = self.add(node)?;
        self.stack.push(number);
        Ok(())
    }

    fn add(&mut self, node: Node<'p>) -> Result<Number, Reason> {
        let number = u32::try_from(self.nodes.len()).map_err(|_| Reason::TooManyNodes)?;
        self.nodes.push(node);
        self.times.push(Times {
            made: self.clock,
            filled: self.clock,
        });
        Ok(Number(number))
    }

    /// Lowest height of the stack that belongs to the current series.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    fn top(&self) -> Result<Number, Reason> {
        match self.stack.last() {
            Some(top) if self.stack.len() > self.floor() => Ok(*top),
            _ => Err(Reason::StackEmpty),
        }
    }

    fn pop(&mut self) -> Result<Number, Reason> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    /// `POP` takes an object away, or a mark if that is on top: so protocol 0 leaves a tuple that
    /// turned out to contain itself.
    fn discard(&mut self) -> Result<(), Reason> {
        if self.marks.last() == Some(&self.stack.len()) {
            self.marks.pop();
            return Ok(());
        }
        self.pop().map(drop)
    }

    fn pop_items(&mut self, count: usize) -> Result<Vec<Number>, Reason> {
        match self.stack.len().checked_sub(count) {
            Some(at) if at >= self.floor() => Ok(self.stack.split_off(at)),
            _ => Err(Reason::StackEmpty),
        }
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Number>, Reason> {
        let mark = self.marks.pop().ok_or(Reason::NoMark)?;
        Ok(self.stack.split_off(mark))
    }

    fn change_by_mark(&mut self, kind: Kind) -> Result<(), Reason> {
        let items = self.pop_to_mark()?;
        self.change(kind, &items)
    }

    /// Puts something into the object on top.
    fn change(&mut self, kind: Kind, items: &[Number]) -> Result<(), Reason> {
        if kind == Kind::SetItems {
            check_pairs(items)?;
        }
        let top = self.top()?;
        match (&mut self.nodes[top.place()], kind) {
            (Node::List(all), Kind::Append)
            | (Node::Dict(all), Kind::SetItems)
            | (Node::Set(all), Kind::Add) => {
                all.extend_from_slice(items);
                self.times[top.place()].filled = self.clock;
            }
            (Node::Object(object), kind) => {
                object.times.push(self.clock);
                object.changes.push(match kind {
                    Kind::Append => Change::Append(items.to_vec()),
                    Kind::SetItems => Change::SetItems(items.to_vec()),
                    Kind::Add => Change::Add(items.to_vec()),
                });
            }
            _ => return Err(Reason::WrongTarget),
        }
        Ok(())
    }

    fn object(&self, made: Made) -> Result<Node<'p>, Reason> {
        let (arguments, keywords) = match made {
            Made::Call { arguments, .. } | Made::New { arguments, .. } => (arguments, None),
            Made::NewWith {
                arguments,
                keywords,
                ..
            } => (arguments, Some(keywords)),
        };
        let is_dict = |number: Number| matches!(self.nodes[number.place()], Node::Dict(_));
        let is_tuple = matches!(self.nodes[arguments.place()], Node::Tuple(_));
        if !is_tuple || !keywords.is_none_or(is_dict) {
            return Err(Reason::BadArguments);
        }
        Ok(Node::Object(Box::new(Object {
            made,
            changes: Vec::new(),
            times: Vec::new(),
        })))
    }

    /// An instance in the way of Python 2: classes are called only with arguments.
    fn old_instance(&mut self, class: Number, items: Vec<Number>) -> Result<Node<'p>, Reason> {
        let is_called = !items.is_empty();
        let arguments = self.add(Node::Tuple(items))?;
        self.object(if is_called {
            Made::Call {
                function: class,
                arguments,
            }
        } else {
            Made::New { class, arguments }
        })
    }

    fn global(&self, module: &'p [u8], name: &'p [u8]) -> Result<Node<'p>, Reason> {
        let (Ok(module), Ok(name)) = (str::from_utf8(module), str::from_utf8(name)) else {
            return Err(Reason::BadGlobal);
        };
        let (module, name) = match self.protocol {
            MODERN_NAMES.. => (module, name),
            _ => names::modern(module, name),
        };
        Ok(Node::Global(module, name))
    }

    /// Text of the pickle itself.
    fn plain(&self, number: Number) -> Result<&'p str, Reason> {
        match &self.nodes[number.place()] {
            Node::Text(Cow::Borrowed(text)) => Ok(text),
            _ => Err(Reason::BadGlobal),
        }
    }
}

/// What can be put into an object.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Append,
    SetItems,
    Add,
}

fn check_pairs(items: &[Number]) -> Result<(), Reason> {
    if items.len().is_multiple_of(2) {
        Ok(())
    } else {
        Err(Reason::KeyWithoutValue)
    }
}

fn long(bytes: &[u8]) -> Node<'_> {
    match forms::small(bytes) {
        Some(value) => Node::Int(value),
        None => Node::BigInt(bytes.into()),
    }
}

fn text(bytes: &[u8]) -> Result<Node<'_>, Reason> {
    match str::from_utf8(bytes) {
        Ok(text) => Ok(Node::Text(text.into())),
        Err(_) if forms::is_text(bytes) => Ok(Node::Surrogates(bytes.into())),
        Err(_) => Err(Reason::BadText),
    }
}

fn text_of(bytes: Vec<u8>) -> Result<Node<'static>, Reason> {
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Node::Text(text.into())),
        Err(error) if forms::is_text(error.as_bytes()) => {
            Ok(Node::Surrogates(error.into_bytes().into()))
        }
        Err(_) => Err(Reason::BadText),
    }
}

/// Strings of Python 2, which Python reads as ASCII.
fn ascii(bytes: &[u8]) -> Result<Node<'_>, Reason> {
    match str::from_utf8(bytes) {
        Ok(text) if text.is_ascii() => Ok(Node::Text(text.into())),
        _ => Err(Reason::BadText),
    }
}

fn refusal(code: u8) -> Reason {
    match code {
        opcode::PERSID | opcode::BINPERSID => Reason::PersistentId,
        opcode::EXT1 | opcode::EXT2 | opcode::EXT4 => Reason::ExtensionCode,
        opcode::NEXT_BUFFER | opcode::READONLY_BUFFER => Reason::OutOfBandBuffer,
        other => Reason::UnknownInstruction(other),
    }
}

/// Objects by their places. Picklers number the places one by one, but need not.
#[derive(Default)]
struct Memo {
    dense: Vec<Number>,
    /// Places beyond those.
    sparse: HashMap<u32, Number>,
}

impl Memo {
    fn count(&self) -> usize {
        self.dense.len() + self.sparse.len()
    }

    fn put(&mut self, place: u32, number: Number) {
        if let Some(known) = self.dense.get_mut(place as usize) {
            *known = number;
        } else if place as usize == self.dense.len() {
            self.dense.push(number);
            if !self.sparse.is_empty() {
                self.sparse.remove(&place);
            }
        } else {
            self.sparse.insert(place, number);
        }
    }

    fn get(&self, place: u32) -> Option<Number> {
        let dense = self.dense.get(place as usize).copied();
        dense.or_else(|| self.sparse.get(&place).copied())
    }
}
