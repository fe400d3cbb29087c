//! Small values that a program makes to be written into a pickle.

use std::borrow::Cow;

use super::graph::Number;

/// A value to be written: what takes the place of a node, or what a reply consists of.
#[derive(Clone, Debug, PartialEq)]
pub enum Term<'t> {
    /// `None`.
    None,
    /// `True` or `False`.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A float.
    Float(f64),
    /// Text.
    Text(Cow<'t, str>),
    /// Bytes.
    Bytes(Cow<'t, [u8]>),
    /// A tuple.
    Tuple(Vec<Term<'t>>),
    /// A list.
    List(Vec<Term<'t>>),
    /// A dict.
    Dict(Vec<(Term<'t>, Term<'t>)>),
    /// A class or function, by its module and its name in there.
    Global(Cow<'t, str>, Cow<'t, str>),
    /// The call of a class or function.
    Call {
        /// Its module.
        module: Cow<'t, str>,
        /// Its name.
        name: Cow<'t, str>,
        /// What it is called with.
        arguments: Vec<Term<'t>>,
    },
    /// An instance of a class that is made without arguments and then gets its state.
    Instance {
        /// The module of the class.
        module: Cow<'t, str>,
        /// Its name.
        name: Cow<'t, str>,
        /// The state.
        state: Box<Term<'t>>,
    },
    /// A node of the graph that is being written.
    Node(Number),
}

impl<'t> Term<'t> {
    /// Text.
    pub fn text(text: impl Into<Cow<'t, str>>) -> Self {
        Self::Text(text.into())
    }

    /// Bytes.
    pub fn bytes(bytes: impl Into<Cow<'t, [u8]>>) -> Self {
        Self::Bytes(bytes.into())
    }

    /// A class or function.
    pub fn global(module: impl Into<Cow<'t, str>>, name: impl Into<Cow<'t, str>>) -> Self {
        Self::Global(module.into(), name.into())
    }

    /// The call of a class or function.
    pub fn call(
        module: impl Into<Cow<'t, str>>,
        name: impl Into<Cow<'t, str>>,
        arguments: impl IntoIterator<Item = Self>,
    ) -> Self {
        Self::Call {
            module: module.into(),
            name: name.into(),
            arguments: arguments.into_iter().collect(),
        }
    }

    /// The nodes named in it, in order.
    pub(super) fn nodes(&self) -> Vec<Number> {
        let mut nodes = Vec::new();
        let mut rest = vec![self];
        while let Some(term) = rest.pop() {
            match term {
                Self::Node(number) => nodes.push(*number),
                Self::Tuple(items) | Self::List(items) => rest.extend(items.iter().rev()),
                Self::Call { arguments, .. } => rest.extend(arguments.iter().rev()),
                Self::Dict(pairs) => {
                    rest.extend(pairs.iter().rev().flat_map(|(key, value)| [value, key]));
                }
                Self::Instance { state, .. } => rest.push(state),
                _ => (),
            }
        }
        nodes
    }
}
