//! A server without Python and its clients, all of them in this process.

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use coheld::control::{Ending, Stopper};
use coheld::server::Server;
use coheld::wire::{Link, Serializer};
use coheld::{Address, Error, ListProxy, SegmentOptions, Value};
use coheld_wire::pickle::{Graph, Node, Number, Term, Writer};

const KEY: &[u8] = b"key of the test";

/// A server in a thread, which ends with this.
struct Served {
    address: Address,
    stopper: Stopper,
    thread: Option<JoinHandle<Result<Ending, Error>>>,
    local: Arc<coheld::Attachment>,
}

impl Served {
    fn start(shares: &[(&str, &str)]) -> Self {
        let host = "127.0.0.1".to_owned();
        let mut builder = Server::builder(Address::Tcp { host, port: 0 }, KEY);
        builder.options(SegmentOptions {
            capacity: 1 << 30,
            ..SegmentOptions::default()
        });
        for (name, creation) in shares {
            builder.share(*name, creation.parse().unwrap());
        }
        let server = builder.bind().unwrap();
        let address = server.address().clone();
        let stopper = server.stopper();
        let local = Arc::clone(server.attachment());
        let thread = Some(thread::spawn(|| server.serve()));
        Self {
            address,
            stopper,
            thread,
            local,
        }
    }

    fn client(&self) -> Client {
        Client {
            link: Link::connect(&self.address, KEY, Serializer::Pickle).unwrap(),
        }
    }

    fn stop(mut self) -> Ending {
        self.stopper.stop();
        self.thread.take().unwrap().join().unwrap().unwrap()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stopper.stop();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Client {
    link: Arc<Link>,
}

/// A reply.
struct Answer(Vec<u8>);

impl Answer {
    /// Its kind, and its result as text.
    fn shown(&self) -> (String, String) {
        let graph = Graph::read(&self.0).unwrap();
        let &[kind, result] = graph.tuple(graph.root()).unwrap() else {
            panic!("a reply is a pair");
        };
        (graph.text(kind).unwrap().to_owned(), show(&graph, result))
    }

    fn result(&self) -> String {
        let (kind, shown) = self.shown();
        assert_eq!(kind, "#RETURN", "{shown}");
        shown
    }

    fn error(&self) -> String {
        let (kind, shown) = self.shown();
        assert_eq!(kind, "#ERROR", "{shown}");
        shown
    }

    fn traceback(&self) -> String {
        let (kind, shown) = self.shown();
        assert_eq!(kind, "#TRACEBACK", "{shown}");
        shown
    }
}

/// What a node stands for, nearly as Python shows it.
fn show(graph: &Graph<'_>, number: Number) -> String {
    let all = |items: &[Number]| {
        let items = items.iter().map(|&item| show(graph, item));
        items.collect::<Vec<_>>().join(", ")
    };
    match &graph[number] {
        Node::None => "None".to_owned(),
        Node::Bool(value) => value.to_string(),
        Node::Int(value) => value.to_string(),
        Node::Float(value) => value.to_string(),
        Node::Text(text) => text.clone().into_owned(),
        Node::Bytes(bytes) => format!("b{:?}", String::from_utf8_lossy(bytes)),
        Node::Tuple(items) => format!("({})", all(items)),
        Node::List(items) => format!("[{}]", all(items)),
        Node::Set(items) => format!("{{{}}}", all(items)),
        Node::Dict(items) => format!("dict({})", all(items)),
        Node::Global(module, name) => format!("{module}.{name}"),
        Node::Object(_) => match graph.call(number) {
            Some(call) => format!("{}({})", call.name, all(call.arguments)),
            None => "an object".to_owned(),
        },
        other => format!("{other:?}"),
    }
}

impl Client {
    fn send(
        &self,
        ident: Option<&str>,
        method: &str,
        arguments: &[Term<'_>],
        named: &[(&str, Term<'_>)],
    ) -> Answer {
        let named = named.iter().cloned();
        let request = Term::Tuple(vec![
            ident.map_or(Term::None, Term::text),
            Term::text(method),
            Term::Tuple(arguments.to_vec()),
            Term::Dict(
                named
                    .map(|(name, value)| (Term::text(name), value))
                    .collect(),
            ),
        ]);
        let mut writer = Writer::new();
        writer.term(&request).unwrap();
        let limit = Some(Duration::from_secs(20));
        Answer(self.link.call(&writer.finish(), method, limit).unwrap())
    }

    fn ask(&self, function: &str, arguments: &[Term<'_>]) -> Answer {
        self.send(None, function, arguments, &[])
    }

    fn create(&self, typeid: &str, arguments: &[Term<'_>]) -> String {
        let arguments = [&[Term::text(typeid)], arguments].concat();
        let answer = self.ask("create", &arguments);
        let graph = Graph::read(&answer.0).unwrap();
        let result = graph.tuple(graph.root()).unwrap()[1];
        let made = graph.tuple(result);
        let made = made.unwrap_or_else(|| panic!("{}", show(&graph, result)));
        graph.text(made[0]).unwrap().to_owned()
    }

    fn call(&self, ident: &str, method: &str, arguments: &[Term<'_>]) -> Answer {
        self.send(Some(ident), method, arguments, &[])
    }

    fn count(&self) -> i64 {
        self.ask("number_of_objects", &[]).result().parse().unwrap()
    }
}

fn list<const N: usize>(items: [i64; N]) -> Term<'static> {
    Term::List(items.map(Term::Int).into())
}

/// A proxy of an object, as the standard library pickles it.
fn proxy<'t>(class: (&'t str, &'t str), typeid: &'t str, ident: &'t str) -> Term<'t> {
    let fields = [
        Term::text(typeid),
        Term::text("/somewhere"),
        Term::text(ident),
    ];
    let token = Term::Instance {
        module: "multiprocessing.managers".into(),
        name: "Token".into(),
        state: Box::new(Term::Tuple(fields.into())),
    };
    let arguments = [
        Term::global(class.0, class.1),
        token,
        Term::text("pickle"),
        Term::Dict(Vec::new()),
    ];
    Term::call("multiprocessing.managers", "RebuildProxy", arguments)
}

const LIST_PROXY: (&str, &str) = ("multiprocessing.managers", "ListProxy");

#[test]
fn every_kind_is_made_and_called() {
    let served = Served::start(&[]);
    let client = served.client();
    let text = |text: &'static str| Term::text(text);
    let array = [text("h"), list([1, -2])];
    for (typeid, arguments, method, given, expected) in [
        (
            "list",
            &[list([3, 1])][..],
            "__getitem__",
            &[Term::Int(-1)][..],
            "1",
        ),
        (
            "list",
            &[list([3, 1])],
            "__imul__",
            &[Term::Int(2)],
            "[3, 1, 3, 1]",
        ),
        (
            "dict",
            &[Term::Dict(vec![(text("a"), Term::Int(1))])],
            "items",
            &[],
            "[(a, 1)]",
        ),
        (
            "dict",
            &[Term::List(vec![list([1, 2])])],
            "__iter__",
            &[],
            "iter([1])",
        ),
        (
            "set",
            &[list([1, 1])],
            "__or__",
            &[Term::List(vec![Term::Int(2)])],
            "{1, 2}",
        ),
        ("Value", &[text("i"), Term::Int(5)], "get", &[], "5"),
        ("Array", &array, "__len__", &[], "2"),
        (
            "Array",
            &array,
            "#GETVALUE",
            &[],
            "array(h, b\"\\u{1}\\0\u{fffd}\u{fffd}\")",
        ),
        ("Lock", &[], "acquire", &[], "true"),
        ("RLock", &[], "acquire", &[Term::Bool(false)], "true"),
        (
            "Semaphore",
            &[Term::Int(0)],
            "acquire",
            &[Term::Bool(false)],
            "false",
        ),
        ("BoundedSemaphore", &[], "acquire", &[], "true"),
        ("Event", &[], "is_set", &[], "false"),
        ("Condition", &[], "acquire", &[], "true"),
        ("Barrier", &[Term::Int(1)], "wait", &[], "0"),
        ("Queue", &[Term::Int(3)], "full", &[], "false"),
        ("JoinableQueue", &[], "join", &[], "None"),
    ] {
        let ident = client.create(typeid, arguments);
        assert_eq!(
            client.call(&ident, method, given).result(),
            expected,
            "{typeid}"
        );
        assert!(!client.call(&ident, "__str__", &[]).result().is_empty());
        assert!(
            client
                .ask("get_methods", &[Term::text(&ident)])
                .result()
                .len()
                > 5
        );
    }
    let named = [("x", Term::Int(1)), ("y", list([2]))];
    let made = client
        .send(None, "create", &[text("Namespace")], &named)
        .result();
    let ident = made.trim_start_matches('(').split(',').next().unwrap();
    assert_eq!(
        client.call(ident, "__repr__", &[]).result(),
        "Namespace(x=1, y=[2])"
    );
}

#[test]
fn a_shared_name_is_the_same_object_for_all() {
    let served = Served::start(&[
        ("tasks", "Queue:2"),
        ("results", "dict"),
        ("gate", "Barrier:2"),
    ]);
    let (one, two) = (served.client(), served.client());
    let ident = one.create("tasks", &[]);
    one.call(&ident, "put", &[Term::text("item")]).result();
    assert_eq!(two.create("tasks", &[]), ident);
    assert_eq!(two.call(&ident, "get", &[]).result(), "item");
    let names = one.ask("#names", &[]).result();
    assert_eq!(
        names,
        "[(tasks, Queue, 0), (results, dict, 0), (gate, Barrier, None)]"
    );
    let taken = one
        .ask("create", &[Term::text("tasks"), Term::Int(1)])
        .traceback();
    assert!(taken.contains("takes no arguments"), "{taken}");
    // It outlives all of its clients.
    one.ask("drop", &[Term::text(&ident)]).result();
    drop((one, two));
    assert_eq!(served.client().create("tasks", &[]), ident);
}

#[test]
fn arguments_have_names() {
    let served = Served::start(&[]);
    let client = served.client();
    let queue = client.create("Queue", &[Term::Int(1)]);
    let named = |ident: &str, method, arguments: &[Term<'_>], named: &[(&str, Term<'_>)]| {
        client.send(Some(ident), method, arguments, named)
    };
    named(&queue, "put", &[], &[("item", Term::Int(1))]).result();
    let soon = [("timeout", Term::Float(0.01))];
    assert_eq!(
        named(&queue, "put", &[Term::Int(2)], &soon).error(),
        "Full()"
    );
    named(&queue, "get", &[], &soon).result();
    assert_eq!(
        named(&queue, "get", &[], &[("block", Term::Bool(false))]).error(),
        "Empty()"
    );
    let shared = client.create("list", &[list([2, 3, 1])]);
    named(&shared, "sort", &[], &[("reverse", Term::Bool(true))]).result();
    assert_eq!(client.call(&shared, "copy", &[]).result(), "[3, 2, 1]");
    let refused = named(&shared, "append", &[], &[("object", Term::None)]).error();
    assert!(
        refused.contains("unexpected keyword argument 'object'"),
        "{refused}"
    );
}

#[test]
fn objects_of_classes_stay_what_they_are_and_keep_what_is_in_them() {
    let served = Served::start(&[]);
    let client = served.client();
    let (inner, outer) = (
        client.create("list", &[list([7])]),
        client.create("list", &[]),
    );
    let thing = Term::call(
        "app",
        "Thing",
        [proxy(LIST_PROXY, "list", &inner), Term::Int(1)],
    );
    let odd = Term::call("app", "Thing", [proxy(("app", "Mine"), "list", &inner)]);
    client.call(&outer, "append", &[thing]).result();
    client.call(&outer, "append", &[odd]).result();
    client
        .call(&outer, "append", &[proxy(LIST_PROXY, "list", &inner)])
        .result();
    client.ask("drop", &[Term::text(&inner)]).result();
    assert_eq!(client.count(), 2);
    let shown = client.call(&outer, "copy", &[]).result();
    let record = |class: &str| format!("RebuildProxy({class}, an object, pickle, dict())");
    let usual = record("multiprocessing.managers.ListProxy");
    let expected = format!(
        "[Thing({usual}, 1), Thing({}), {usual}]",
        record("app.Mine")
    );
    assert_eq!(shown, expected);
    // Whoever has got it holds it.
    client.call(&outer, "clear", &[]).result();
    assert_eq!(client.call(&inner, "copy", &[]).result(), "[7]");
    for _ in 0..3 {
        client.ask("drop", &[Term::text(&inner)]).result();
    }
    assert!(
        client
            .call(&inner, "copy", &[])
            .traceback()
            .contains("KeyError")
    );
    assert_eq!(client.count(), 1);
}

#[test]
fn proxies_of_others_are_values_like_any_other() {
    let served = Served::start(&[]);
    let client = served.client();
    let shared = client.create("list", &[]);
    client
        .call(&shared, "append", &[proxy(LIST_PROXY, "list", "7f00")])
        .result();
    let back = client
        .call(&shared, "__getitem__", &[Term::Int(0)])
        .result();
    assert!(back.starts_with("RebuildProxy("), "{back}");
    // One of a server that was here before, by its name.
    let mut gone = shared.clone();
    gone.replace_range(..1, if gone.starts_with('0') { "1" } else { "0" });
    assert!(
        client
            .call(&gone, "copy", &[])
            .traceback()
            .contains("KeyError")
    );
}

#[test]
fn what_shares_memory_and_what_does_not_meet() {
    let served = Served::start(&[("numbers", "list")]);
    let client = served.client();
    let ident = client.create("numbers", &[]);
    let place = coheld::wire::place_of(&served.local.segment_id(), &ident).unwrap();
    let handle = coheld::Handle::acquire(&served.local, place.offset, place.generation).unwrap();
    let numbers: ListProxy<Value> = coheld::Proxy::from_handle(handle)
        .unwrap()
        .try_into()
        .unwrap();
    numbers
        .append(&Value::from(vec![Value::from(1), Value::from("two")]))
        .unwrap();
    client
        .call(&ident, "append", &[Term::Tuple(vec![Term::None])])
        .result();
    assert_eq!(
        client.call(&ident, "copy", &[]).result(),
        "[[1, two], (None)]"
    );
    assert_eq!(numbers.get(1).unwrap(), Value::Tuple(vec![Value::None]));
}

#[test]
fn errors_are_those_of_python() {
    let served = Served::start(&[]);
    let client = served.client();
    let shared = client.create("list", &[list([1])]);
    let dict = client.create("dict", &[]);
    let key = Term::Tuple(vec![Term::Int(1), Term::text("k")]);
    for (ident, method, argument, expected) in [
        (
            &shared,
            "__getitem__",
            Term::Int(5),
            "IndexError(list index out of range)",
        ),
        (
            &shared,
            "remove",
            Term::Int(5),
            "ValueError(list.remove(x): x not in list)",
        ),
        (
            &shared,
            "extend",
            Term::Int(5),
            "TypeError('int' object is not iterable)",
        ),
        (&dict, "__getitem__", key.clone(), "KeyError((1, k))"),
        (
            &dict,
            "__getitem__",
            list([]),
            "TypeError(unhashable type: 'list')",
        ),
    ] {
        assert_eq!(client.call(ident, method, &[argument]).error(), expected);
    }
    let odd = Term::call("app", "Thing", []);
    let refused = client.call(&dict, "__getitem__", &[odd]).error();
    assert!(
        refused.contains("can be hashed by Python only"),
        "{refused}"
    );
    let refused = client.call(&shared, "nothing", &[]).traceback();
    assert!(
        refused.contains("AttributeError: method 'nothing' of <class 'list'>"),
        "{refused}"
    );
    assert!(
        refused.trim_end().ends_with("KeyError: 'nothing'"),
        "{refused}"
    );
    assert!(
        client
            .ask("nothing", &[])
            .traceback()
            .contains("'nothing' unrecognized")
    );
    assert!(
        client
            .ask("create", &[Term::text("Pool")])
            .traceback()
            .contains("no Python")
    );
    assert!(
        client
            .ask("create", &[Term::text("list"), Term::Int(1)])
            .traceback()
            .contains("TypeError")
    );
    let lock = client.create("Lock", &[]);
    let (kind, text) = client.call(&lock, "#GETVALUE", &[]).shown();
    assert_eq!(kind, "#UNSERIALIZABLE", "{text}");
}

#[test]
fn a_short_request_takes_no_endless_memory() {
    let served = Served::start(&[]);
    let client = served.client();
    let shared = client.create("list", &[list([1])]);
    let many = Term::Int(1_000_000_000_000);
    for method in ["__mul__", "__rmul__", "__imul__"] {
        let refused = client
            .call(&shared, method, std::slice::from_ref(&many))
            .error();
        let refused_well = ["MemoryError", "OverflowError"]
            .iter()
            .any(|it| refused.contains(it));
        assert!(refused_well, "{method}: {refused}");
    }
    let range = Term::call("builtins", "range", [Term::Int(0), many, Term::Int(1)]);
    let refused = client.call(&shared, "extend", &[range]).traceback();
    assert!(refused.contains("MemoryError"), "{refused}");
    // A text that is in a thousand places of a message, once; and that in an iterator.
    let mut pickle = b"\x80\x04(".to_vec();
    pickle.extend_from_slice(&[0x8c, shared.len() as u8]);
    pickle.extend_from_slice(shared.as_bytes());
    pickle.extend_from_slice(b"\x8c\x06extend(]X");
    pickle.extend_from_slice(&1_000_000_u32.to_le_bytes());
    pickle.extend_from_slice(&vec![b'x'; 1_000_000]);
    pickle.extend_from_slice(b"\x94a(");
    pickle.extend_from_slice(&b"h\0".repeat(1_000));
    pickle.extend_from_slice(b"et}t.");
    let answer = Answer(client.link.call(&pickle, "extend", None).unwrap());
    assert!(answer.traceback().contains("MemoryError"));
    assert_eq!(client.call(&shared, "copy", &[]).result(), "[1]");
}

#[test]
fn the_end_of_the_server_is_the_end_of_all_calls() {
    let served = Served::start(&[]);
    let client = served.client();
    let queue = client.create("Queue", &[]);
    let waiting = {
        let link = Arc::clone(&client.link);
        let request = Term::Tuple(vec![
            Term::text(queue),
            Term::text("get"),
            Term::Tuple(Vec::new()),
            Term::Dict(Vec::new()),
        ]);
        let mut writer = Writer::new();
        writer.term(&request).unwrap();
        thread::spawn(move || link.call(&writer.finish(), "get", None))
    };
    assert_eq!(served.stop(), Ending::Stopped);
    assert!(waiting.join().unwrap().is_err());
    let refused = Link::connect(client.link.address(), KEY, Serializer::Pickle);
    assert!(refused.is_err());
}
