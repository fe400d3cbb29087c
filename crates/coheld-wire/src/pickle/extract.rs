//! Nodes of a graph as pickles of their own, with all that is shared and whatever contains itself.
//!
//! A value without cycles is written as Python's pickler does it: the parts, the object,
//! a note to remember it if it occurs again, and then what is put into it.
//!
//! Where something contains itself, that order depends on where one begins, and from another
//! beginning a frozenset may be made of a list that is still empty. So there the instructions of
//! the original pickle are repeated in their order, each on objects that are remembered: whatever
//! an object saw of others when it was made or filled, it will see again.
//!
//! What is left to be done is kept on a stack of our own, so depth costs no stack of the thread.

use std::collections::HashMap;
use std::fmt;

use super::graph::{Change, Graph, Made, Node, Number};
use super::survey::Survey;
use super::term::Term;
use super::{Writer, opcode};

/// Why a value could not be written. Only what a program supplies can be the reason, never a
/// graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExtractError {
    /// A node was replaced by a term that contains it.
    ContainsItself,
    /// A node is named where no graph is.
    NoGraph,
}

impl fmt::Display for ExtractError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::ContainsItself => "a part of a pickle was replaced by something that contains it",
            Self::NoGraph => "a node is named outside of its graph",
        })
    }
}

impl std::error::Error for ExtractError {}

/// What may take the place of a node. It is asked once for each node but `None`, bools, integers
/// and floats, in a fixed order.
pub type Rewrite<'r, 't> = dyn FnMut(Number) -> Option<Term<'t>> + 'r;

impl Graph<'_> {
    /// The pickle, of protocol 4, of one node by itself.
    pub fn extract(&self, number: Number) -> Vec<u8> {
        // Nothing is replaced, so nothing can be wrong.
        self.extract_with(number, &mut |_| None).unwrap_or_default()
    }

    /// The pickle of one node by itself, with other things in the place of some nodes.
    pub fn extract_with(
        &self,
        number: Number,
        rewrite: &mut Rewrite<'_, '_>,
    ) -> Result<Vec<u8>, ExtractError> {
        let mut writer = Writer::new();
        writer.embed(self, number, rewrite)?;
        Ok(writer.finish())
    }
}

impl Writer {
    /// Writes a node of a graph as the next value, with other things in the place of some nodes.
    /// What it shares with a node embedded before comes out as a copy.
    pub fn embed(
        &mut self,
        graph: &Graph<'_>,
        number: Number,
        rewrite: &mut Rewrite<'_, '_>,
    ) -> Result<(), ExtractError> {
        let survey = Survey::new(graph, number, rewrite);
        let (length, place) = (self.length(), self.next_place());
        let mut extraction = Extraction::new(self, Some((graph, &survey)));
        let outcome = if survey.is_cyclic(number) {
            extraction.repeat(graph, &survey, number)
        } else {
            extraction.run(Task::Node(number))
        };
        if outcome.is_err() {
            self.rewind(length, place);
        }
        outcome
    }

    /// Writes a term as the next value. [`Term::Node`] is not possible here.
    pub fn term(&mut self, term: &Term<'_>) -> Result<(), ExtractError> {
        let (length, place) = (self.length(), self.next_place());
        let outcome = Extraction::new(self, None).run(Task::Term(term));
        if outcome.is_err() {
            self.rewind(length, place);
        }
        outcome
    }
}

/// Something to be written yet.
enum Task<'x> {
    Node(Number),
    Nodes(&'x [Number]),
    Term(&'x Term<'x>),
    Terms(&'x [Term<'x>]),
    Pairs(&'x [(Term<'x>, Term<'x>)]),
    Op(u8),
    Close(Close),
    /// Has the reader remember the node that is written now.
    Remember(Number),
    /// Puts the items into a list, dict or set that is written now.
    Fill(&'x Node<'x>),
    Changes(&'x [Change]),
}

/// The end of a container whose items are written.
enum Close {
    Tuple(usize),
    List(usize),
    Dict(usize),
    Call(usize),
}

/// One step of the original pickle. The order is that in which they are repeated.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Event {
    time: u32,
    number: Number,
    step: Step,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Make,
    Fill,
    Change(usize),
}

struct Extraction<'x> {
    writer: &'x mut Writer,
    source: Option<(&'x Graph<'x>, &'x Survey<'x>)>,
    /// Where the reader remembers a node.
    places: HashMap<Number, u32>,
    tasks: Vec<Task<'x>>,
}

impl<'x> Extraction<'x> {
    fn new(writer: &'x mut Writer, source: Option<(&'x Graph<'x>, &'x Survey<'x>)>) -> Self {
        Self {
            writer,
            source,
            places: HashMap::new(),
            tasks: Vec::new(),
        }
    }

    /// Does this and whatever follows from it.
    fn run(&mut self, first: Task<'x>) -> Result<(), ExtractError> {
        self.tasks.push(first);
        self.finish()
    }

    fn finish(&mut self) -> Result<(), ExtractError> {
        while let Some(task) = self.tasks.pop() {
            self.carry_out(&task)?;
        }
        Ok(())
    }

    fn carry_out(&mut self, task: &Task<'x>) -> Result<(), ExtractError> {
        match *task {
            Task::Node(number) => self.node(number)?,
            Task::Term(term) => self.begin_term(term),
            Task::Nodes(items) => {
                if let Some((first, rest)) = items.split_first() {
                    self.tasks.push(Task::Nodes(rest));
                    self.node(*first)?;
                }
            }
            Task::Terms(items) => {
                if let Some((first, rest)) = items.split_first() {
                    self.tasks.push(Task::Terms(rest));
                    self.begin_term(first);
                }
            }
            Task::Pairs(pairs) => {
                if let Some(((key, value), rest)) = pairs.split_first() {
                    self.tasks.push(Task::Pairs(rest));
                    self.tasks.push(Task::Term(value));
                    self.begin_term(key);
                }
            }
            Task::Op(code) => self.writer.op(code),
            Task::Close(Close::Tuple(length)) => self.writer.close_tuple(length),
            Task::Close(Close::List(length)) => self.writer.close_list(length),
            Task::Close(Close::Dict(length)) => self.writer.close_dict(length),
            Task::Close(Close::Call(length)) => self.writer.close_call(length),
            Task::Remember(number) => self.remember(number),
            Task::Fill(node) => self.fill(node),
            Task::Changes(changes) => {
                if let Some((first, rest)) = changes.split_first() {
                    self.tasks.push(Task::Changes(rest));
                    self.change(first);
                }
            }
        }
        Ok(())
    }

    fn node(&mut self, number: Number) -> Result<(), ExtractError> {
        let (graph, survey) = self.source.ok_or(ExtractError::NoGraph)?;
        match &graph[number] {
            Node::None => self.writer.none(),
            Node::Bool(value) => self.writer.bool(*value),
            Node::Int(value) => self.writer.int(*value),
            Node::Float(value) => self.writer.float(*value),
            node => {
                if let Some(place) = self.places.get(&number) {
                    self.writer.recall(*place);
                } else if survey.is_cyclic(number) {
                    return Err(ExtractError::ContainsItself);
                } else {
                    self.whole(node, number, survey);
                }
            }
        }
        Ok(())
    }

    /// Begins a node that leads to no cycle: all of it. What is to be done last comes first.
    fn whole(&mut self, node: &'x Node<'x>, number: Number, survey: &'x Survey<'x>) {
        let replacement = survey.replacement(number);
        match node {
            _ if replacement.is_some() => (),
            Node::List(_) | Node::Dict(_) | Node::Set(_) => self.tasks.push(Task::Fill(node)),
            Node::Object(object) => self.tasks.push(Task::Changes(&object.changes)),
            _ => (),
        }
        if survey.is_shared(number) {
            self.tasks.push(Task::Remember(number));
        }
        self.make(node, replacement);
    }

    /// Begins to make an object, or what replaces it, without anything that happens to it later.
    fn make(&mut self, node: &'x Node<'x>, replacement: Option<&'x Term<'x>>) {
        if let Some(term) = replacement {
            return self.tasks.push(Task::Term(term));
        }
        match node {
            Node::None => self.writer.none(),
            Node::Bool(value) => self.writer.bool(*value),
            Node::Int(value) => self.writer.int(*value),
            Node::Float(value) => self.writer.float(*value),
            Node::BigInt(bytes) => self.writer.big_int(bytes),
            Node::Text(text) => self.writer.text(text),
            Node::Surrogates(text) => self.writer.surrogates(text),
            Node::Bytes(bytes) => self.writer.bytes(bytes),
            Node::ByteArray(bytes) => self.writer.byte_array(bytes),
            Node::Global(module, name) => self.writer.global(module, name),
            Node::List(_) => self.writer.op(opcode::EMPTY_LIST),
            Node::Dict(_) => self.writer.op(opcode::EMPTY_DICT),
            Node::Set(_) => self.writer.op(opcode::EMPTY_SET),
            Node::Tuple(items) => {
                self.writer.open_tuple(items.len());
                self.tasks.push(Task::Close(Close::Tuple(items.len())));
                self.tasks.push(Task::Nodes(items));
            }
            Node::FrozenSet(items) => {
                self.writer.op(opcode::MARK);
                self.tasks.push(Task::Op(opcode::FROZENSET));
                self.tasks.push(Task::Nodes(items));
            }
            Node::Object(object) => {
                self.tasks.push(Task::Op(match object.made {
                    Made::Call { .. } => opcode::REDUCE,
                    Made::New { .. } => opcode::NEWOBJ,
                    Made::NewWith { .. } => opcode::NEWOBJ_EX,
                }));
                let parts = object.made.parts().rev();
                self.tasks.extend(parts.map(Task::Node));
            }
        }
    }

    /// Puts the items into the list, dict or set written last.
    fn fill(&mut self, node: &'x Node<'x>) {
        match node {
            Node::List(items) => self.put(items, 1, [opcode::APPEND, opcode::APPENDS]),
            Node::Dict(items) => self.put(items, 2, [opcode::SETITEM, opcode::SETITEMS]),
            Node::Set(items) => self.put(items, 0, [opcode::ADDITEMS; 2]),
            _ => (),
        }
    }

    /// Changes the object written last.
    fn change(&mut self, change: &'x Change) {
        match change {
            Change::Append(items) => self.put(items, 1, [opcode::APPEND, opcode::APPENDS]),
            Change::SetItems(items) => self.put(items, 2, [opcode::SETITEM, opcode::SETITEMS]),
            Change::Add(items) => self.put(items, 0, [opcode::ADDITEMS; 2]),
            Change::State(state) => {
                self.tasks.push(Task::Op(opcode::BUILD));
                self.tasks.push(Task::Node(*state));
            }
        }
    }

    /// Puts items into the object written last, without a mark if there are `single` of them.
    fn put(&mut self, items: &'x [Number], single: usize, codes: [u8; 2]) {
        if items.is_empty() {
            return;
        }
        if items.len() == single {
            self.tasks.push(Task::Op(codes[0]));
        } else {
            self.writer.op(opcode::MARK);
            self.tasks.push(Task::Op(codes[1]));
        }
        self.tasks.push(Task::Nodes(items));
    }

    fn begin_term(&mut self, term: &'x Term<'x>) {
        match term {
            Term::None => self.writer.none(),
            Term::Bool(value) => self.writer.bool(*value),
            Term::Int(value) => self.writer.int(*value),
            Term::Float(value) => self.writer.float(*value),
            Term::Text(text) => self.writer.text(text),
            Term::Bytes(bytes) => self.writer.bytes(bytes),
            Term::Global(module, name) => self.writer.global(module, name),
            Term::Tuple(items) => {
                self.writer.open_tuple(items.len());
                self.tasks.push(Task::Close(Close::Tuple(items.len())));
                self.tasks.push(Task::Terms(items));
            }
            Term::List(items) => {
                self.writer.open_list(items.len());
                self.tasks.push(Task::Close(Close::List(items.len())));
                self.tasks.push(Task::Terms(items));
            }
            Term::Dict(pairs) => {
                self.writer.open_dict(pairs.len());
                self.tasks.push(Task::Close(Close::Dict(pairs.len())));
                self.tasks.push(Task::Pairs(pairs));
            }
            Term::Call {
                module,
                name,
                arguments,
            } => {
                self.writer.open_call(module, name, arguments.len());
                self.tasks.push(Task::Close(Close::Call(arguments.len())));
                self.tasks.push(Task::Terms(arguments));
            }
            Term::Instance {
                module,
                name,
                state,
            } => {
                self.writer.global(module, name);
                self.writer.op(opcode::EMPTY_TUPLE);
                self.writer.op(opcode::NEWOBJ);
                self.tasks.push(Task::Op(opcode::BUILD));
                self.tasks.push(Task::Term(state));
            }
            Term::Node(number) => self.tasks.push(Task::Node(*number)),
        }
    }

    fn remember(&mut self, number: Number) {
        self.places.insert(number, self.writer.next_place());
        self.writer.remember();
    }

    /// Repeats what made and filled all nodes that lead to a cycle.
    fn repeat(
        &mut self,
        graph: &'x Graph<'x>,
        survey: &'x Survey<'x>,
        root: Number,
    ) -> Result<(), ExtractError> {
        let mut events = Vec::new();
        for number in survey.cyclic() {
            let is_replaced = survey.replacement(number).is_some();
            push_events(graph, number, is_replaced, &mut events);
        }
        events.sort_unstable();
        // The one node that is on the stack of the reader.
        let mut held = None;
        for Event { number, step, .. } in events {
            let node = &graph[number];
            if step == Step::Make {
                if held.is_some() {
                    self.writer.op(opcode::POP);
                }
                self.make(node, survey.replacement(number));
                self.finish()?;
                self.remember(number);
                held = Some(number);
                continue;
            }
            self.hold(&mut held, number)?;
            match (node, step) {
                (Node::Object(object), Step::Change(index)) => self.change(&object.changes[index]),
                _ => self.fill(node),
            }
            self.finish()?;
        }
        self.hold(&mut held, root)
    }

    /// Gets a node that was made onto the stack of the reader.
    fn hold(&mut self, held: &mut Option<Number>, number: Number) -> Result<(), ExtractError> {
        if *held == Some(number) {
            return Ok(());
        }
        if held.replace(number).is_some() {
            self.writer.op(opcode::POP);
        }
        self.node(number)
    }
}

/// The steps in which a node came about.
fn push_events(graph: &Graph<'_>, number: Number, is_replaced: bool, events: &mut Vec<Event>) {
    let times = graph.times[number.place()];
    let mut push = |time, step| events.push(Event { time, number, step });
    push(times.made, Step::Make);
    if is_replaced {
        return;
    }
    match &graph[number] {
        Node::List(items) | Node::Dict(items) | Node::Set(items) if !items.is_empty() => {
            push(times.filled, Step::Fill);
        }
        Node::Object(object) => {
            let times = object.times.iter().enumerate();
            times.for_each(|(index, time)| push(*time, Step::Change(index)));
        }
        _ => (),
    }
}
