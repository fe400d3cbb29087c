//! A pickle as a graph: what each object is made from, and what is done to it afterwards.

use std::borrow::Cow;
use std::fmt;
use std::ops::Index;

/// The number of a node in its graph.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Number(pub(super) u32);

impl Number {
    pub(super) fn place(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Debug for Number {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "#{}", self.0)
    }
}

/// One object of a pickle. Other objects are named by number, because an object may be shared, or
/// contain itself.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Node<'p> {
    /// `None`.
    None,
    /// `True` or `False`.
    Bool(bool),
    /// An integer of 64 bits.
    Int(i64),
    /// An integer that may have more: two's complement, least significant byte first.
    BigInt(Cow<'p, [u8]>),
    /// A float.
    Float(f64),
    /// Text.
    Text(Cow<'p, str>),
    /// Text with lone surrogates: UTF-8 as Python's `surrogatepass` writes it.
    Surrogates(Cow<'p, [u8]>),
    /// Bytes.
    Bytes(&'p [u8]),
    /// A bytearray.
    ByteArray(&'p [u8]),
    /// A tuple.
    Tuple(Vec<Number>),
    /// A list.
    List(Vec<Number>),
    /// A dict: keys and values alternate.
    Dict(Vec<Number>),
    /// A set.
    Set(Vec<Number>),
    /// A frozenset.
    FrozenSet(Vec<Number>),
    /// A class or function, by its module and its name in there.
    Global(&'p str, &'p str),
    /// What a class or function would make.
    Object(Box<Object>),
}

/// An object that only its class can make.
#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    /// How it is made.
    pub made: Made,
    /// What happens to it afterwards, in this order.
    pub changes: Vec<Change>,
    /// When.
    pub(super) times: Vec<u32>,
}

/// How an object is made. Arguments are a node of kind [`Node::Tuple`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Made {
    /// `function(*arguments)`.
    Call {
        /// Mostly a [`Node::Global`].
        function: Number,
        /// The tuple.
        arguments: Number,
    },
    /// `class.__new__(class, *arguments)`.
    New {
        /// Mostly a [`Node::Global`].
        class: Number,
        /// The tuple.
        arguments: Number,
    },
    /// `class.__new__(class, *arguments, **keywords)`.
    NewWith {
        /// Mostly a [`Node::Global`].
        class: Number,
        /// The tuple.
        arguments: Number,
        /// The dict.
        keywords: Number,
    },
}

impl Made {
    /// The nodes that it is made from, in the order of the instructions.
    pub(super) fn parts(self) -> impl DoubleEndedIterator<Item = Number> {
        let parts = match self {
            Self::Call {
                function: first,
                arguments,
            }
            | Self::New {
                class: first,
                arguments,
            } => [Some(first), Some(arguments), None],
            Self::NewWith {
                class,
                arguments,
                keywords,
            } => [Some(class), Some(arguments), Some(keywords)],
        };
        parts.into_iter().flatten()
    }
}

/// What happens to an object after it was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Items are appended, as to a list.
    Append(Vec<Number>),
    /// Items are set, as in a dict: keys and values alternate.
    SetItems(Vec<Number>),
    /// Elements are added, as to a set.
    Add(Vec<Number>),
    /// It gets its state, as `__setstate__` does.
    State(Number),
}

impl Change {
    /// The nodes that it puts into the object.
    pub(super) fn items(&self) -> &[Number] {
        match self {
            Self::Append(items) | Self::SetItems(items) | Self::Add(items) => items,
            Self::State(state) => std::slice::from_ref(state),
        }
    }
}

/// The graph of a pickle, which [`Graph::read`] makes.
#[derive(Clone, Debug)]
pub struct Graph<'p> {
    pub(super) nodes: Vec<Node<'p>>,
    /// By number.
    pub(super) times: Vec<Times>,
    pub(super) root: Number,
    pub(super) length: usize,
}

/// By which instruction of the pickle something happened to a node.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    pub(super) made: u32,
    /// When the last items were put into a list, dict or set.
    pub(super) filled: u32,
}

impl<'p> Graph<'p> {
    /// The object that the pickle stands for.
    pub fn root(&self) -> Number {
        self.root
    }

    /// Bytes of the pickle up to its end. Bytes behind it do not belong to it.
    pub fn length(&self) -> usize {
        self.length
    }

    /// How many nodes there are.
    pub fn node_count(&self) -> usize {
        self.nodes.len()
    }

    /// The text, if it is one without lone surrogates.
    pub fn text(&self, number: Number) -> Option<&str> {
        match &self[number] {
            Node::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The text, if it is one, with marks in the place of lone surrogates.
    pub fn text_lossy(&self, number: Number) -> Option<Cow<'_, str>> {
        match &self[number] {
            Node::Text(text) => Some(Cow::Borrowed(text)),
            Node::Surrogates(bytes) => Some(String::from_utf8_lossy(bytes)),
            _ => None,
        }
    }

    /// The bytes, if it is such.
    pub fn bytes(&self, number: Number) -> Option<&'p [u8]> {
        match self[number] {
            Node::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The integer, if it is one of 64 bits.
    pub fn int(&self, number: Number) -> Option<i64> {
        match self[number] {
            Node::Int(value) => Some(value),
            _ => None,
        }
    }

    /// Whether it is `None`.
    pub fn is_none(&self, number: Number) -> bool {
        matches!(self[number], Node::None)
    }

    /// The items of a tuple.
    pub fn tuple(&self, number: Number) -> Option<&[Number]> {
        match &self[number] {
            Node::Tuple(items) => Some(items),
            _ => None,
        }
    }

    /// The items of a tuple or list.
    pub fn sequence(&self, number: Number) -> Option<&[Number]> {
        match &self[number] {
            Node::Tuple(items) | Node::List(items) => Some(items),
            _ => None,
        }
    }

    /// Keys and values of a dict.
    pub fn dict(&self, number: Number) -> Option<impl Iterator<Item = (Number, Number)> + '_> {
        match &self[number] {
            Node::Dict(items) => Some(items.chunks_exact(2).map(|pair| (pair[0], pair[1]))),
            _ => None,
        }
    }

    /// Module and name of a class or function.
    pub fn global(&self, number: Number) -> Option<(&'p str, &'p str)> {
        match self[number] {
            Node::Global(module, name) => Some((module, name)),
            _ => None,
        }
    }

    /// Module, name, arguments and later changes of an object that the call of a global makes.
    pub fn call(&self, number: Number) -> Option<Call<'_>> {
        let Node::Object(object) = &self[number] else {
            return None;
        };
        let Made::Call {
            function,
            arguments,
        } = object.made
        else {
            return None;
        };
        let (module, name) = self.global(function)?;
        Some(Call {
            module,
            name,
            arguments: self.tuple(arguments)?,
            changes: &object.changes,
        })
    }
}

/// The call of a global, see [`Graph::call`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call<'g> {
    /// The module of the class or function.
    pub module: &'g str,
    /// Its name.
    pub name: &'g str,
    /// What it is called with.
    pub arguments: &'g [Number],
    /// What happens to the object afterwards.
    pub changes: &'g [Change],
}

/// A number belongs to the graph that it came from; in another one it may mean nothing.
impl<'p> Index<Number> for Graph<'p> {
    type Output = Node<'p>;

    fn index(&self, number: Number) -> &Node<'p> {
        &self.nodes[number.place()]
    }
}
