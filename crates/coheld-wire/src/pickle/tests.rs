//! Round trips, awkward graphs, and pickles that are none.

use proptest::prelude::*;

use super::{ExtractError, Graph, Malformed, Node, Number, Reason, Term, Writer, in_band};

fn reason(pickle: &[u8]) -> Reason {
    Graph::read(pickle).unwrap_err().reason
}

/// What a graph without cycles says, in full.
fn described(graph: &Graph<'_>, number: Number) -> String {
    let all = |items: &[Number]| -> Vec<String> {
        items.iter().map(|item| described(graph, *item)).collect()
    };
    match &graph[number] {
        Node::Tuple(items) => format!("tuple{:?}", all(items)),
        Node::List(items) => format!("list{:?}", all(items)),
        Node::Dict(items) => format!("dict{:?}", all(items)),
        Node::Set(items) => format!("set{:?}", all(items)),
        Node::FrozenSet(items) => format!("frozenset{:?}", all(items)),
        Node::Object(object) => {
            let made: Vec<Number> = object.made.parts().collect();
            let changes = object.changes.iter().map(|change| all(change.items()));
            format!("{:?}{:?}", all(&made), changes.collect::<Vec<_>>())
        }
        other => format!("{other:?}"),
    }
}

#[test]
fn text_forms_are_read() {
    // [None, True, 7, -2**70, 1.5, 'a\u20ac', b'old', {1: 2}] in the instructions of protocol 0.
    let pickle = b"(lp0\nNaI01\naI7\naL-1180591620717411303424L\naF1.5\naVa\\u20ac\np1\na\
        S'old'\na(dp2\nI1\nI2\nsag1\na.";
    let graph = Graph::read(pickle).unwrap();
    let items = graph.sequence(graph.root()).unwrap();
    assert_eq!(graph[items[1]], Node::Bool(true));
    assert_eq!(graph.int(items[2]), Some(7));
    let power = [0, 0, 0, 0, 0, 0, 0, 0, 0xc0];
    assert_eq!(graph[items[3]], Node::BigInt(power[..].into()));
    assert_eq!(graph[items[4]], Node::Float(1.5));
    assert_eq!(graph.text(items[5]), Some("a\u{20ac}"));
    assert_eq!(graph.text(items[6]), Some("old"));
    assert_eq!(graph.dict(items[7]).unwrap().count(), 1);
    assert_eq!(items[8], items[5]);
}

#[test]
fn old_names_and_instances_are_read() {
    let graph = Graph::read(b"\x80\x02c__builtin__\nset\n.").unwrap();
    assert_eq!(graph.global(graph.root()), Some(("builtins", "set")));
    let graph = Graph::read(b"\x80\x03c__builtin__\nset\n.").unwrap();
    assert_eq!(graph.global(graph.root()), Some(("__builtin__", "set")));
    let graph = Graph::read(b"(I1\nicopy_reg\nmade\n.").unwrap();
    let call = graph.call(graph.root()).unwrap();
    assert_eq!((call.module, call.name), ("copyreg", "made"));
    assert_eq!(call.arguments.len(), 1);
    assert!(graph.node_count() <= graph.length());
    let graph = Graph::read(b"(cmodule\nname\no.").unwrap();
    assert!(matches!(&graph[graph.root()], Node::Object(_)));
    assert_eq!(graph.call(graph.root()), None);
}

#[test]
fn a_mark_may_be_dropped_like_an_object() {
    // As protocol 0 writes a tuple of one list that contains it.
    let graph = Graph::read(b"((lp0\n(g0\ntp1\na00g1\n.").unwrap();
    assert_eq!(graph.tuple(graph.root()).unwrap().len(), 1);
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    let found = Graph::read(b"\x80\x04]K\x01\xffa.").unwrap_err();
    let unknown = Reason::UnknownInstruction(0xff);
    assert_eq!(
        found,
        Malformed {
            offset: 5,
            reason: unknown
        }
    );
    let text = "bad pickle: unknown instruction 0xff (at byte 5)";
    assert_eq!(found.to_string(), text);
    let cases: [(&[u8], Reason); 22] = [
        (b"", Reason::Truncated),
        (b"\x80\x06N.", Reason::UnknownProtocol(6)),
        (b"X\xff\xff\xff\xffabc.", Reason::Truncated),
        (
            b"\x8d\xff\xff\xff\xff\xff\xff\xff\xffabc.",
            Reason::Truncated,
        ),
        (b"Pname\n.", Reason::PersistentId),
        (b"NQ.", Reason::PersistentId),
        (b"\x82\x01.", Reason::ExtensionCode),
        (b"\x97.", Reason::OutOfBandBuffer),
        (b".", Reason::StackEmpty),
        (b"a", Reason::StackEmpty),
        (b"N(\x85.", Reason::StackEmpty),
        (b"Nt.", Reason::NoMark),
        (b"h\x00.", Reason::NotInMemo),
        (b"\x8c\x01\xff.", Reason::BadText),
        (b"Ix\n.", Reason::BadNumber),
        (b"NN\x93.", Reason::BadGlobal),
        (b"c\xff\nx\n.", Reason::BadGlobal),
        (b"NNR.", Reason::BadArguments),
        (b"N)N\x92.", Reason::BadArguments),
        (b"NNb.", Reason::WrongTarget),
        (b")Na.", Reason::WrongTarget),
        (b"}(Nu.", Reason::KeyWithoutValue),
    ];
    for (pickle, expected) in cases {
        assert_eq!(reason(pickle), expected, "{pickle:?}");
    }
}

#[test]
fn what_is_shared_stays_shared() {
    // a = []; message = (1, [a, a, {"k": a}])
    let graph = Graph::read(b"K\x01](]q\x05h\x05}X\x01\0\0\0kh\x05se\x86.").unwrap();
    let list = graph.tuple(graph.root()).unwrap()[1];
    let alone = graph.extract(list);
    let alone = Graph::read(&alone).unwrap();
    let items = alone.sequence(alone.root()).unwrap();
    assert_eq!(items[0], items[1]);
    let (_, value) = alone.dict(items[2]).unwrap().next().unwrap();
    assert_eq!(value, items[0]);
}

#[test]
fn what_contains_itself_still_does() {
    // l = []; t = (l, 1); l.append(t)
    let graph = Graph::read(b"]q\0h\0K\x01\x86q\x01ah\x01.").unwrap();
    let tuple = graph.root();
    let list = graph.tuple(tuple).unwrap()[0];
    let alone = graph.extract(tuple);
    let alone = Graph::read(&alone).unwrap();
    let inner = alone.tuple(alone.root()).unwrap()[0];
    assert_eq!(alone.sequence(inner), Some(&[alone.root()][..]));
    let alone = graph.extract(list);
    let alone = Graph::read(&alone).unwrap();
    let inner = alone.sequence(alone.root()).unwrap()[0];
    assert_eq!(alone.tuple(inner).unwrap()[0], alone.root());
}

#[test]
fn any_depth_takes_little_of_the_stack() {
    let depth = 200_000;
    let mut pickle = vec![b']'; depth];
    pickle.extend(vec![b'a'; depth - 1]);
    pickle.push(b'.');
    let run = move || {
        let graph = Graph::read(&pickle).unwrap();
        let extract = graph.extract(graph.root());
        assert_eq!(extract[11..], pickle);
        drop(graph);
        // The same with a cycle at the bottom.
        let bottom = pickle.iter().position(|code| *code == b'a').unwrap();
        let mut pickle = pickle;
        pickle.splice(bottom..bottom, *b"q\0h\0a");
        let graph = Graph::read(&pickle).unwrap();
        let extract = graph.extract(graph.root());
        let again = Graph::read(&extract).unwrap();
        assert_eq!(again.node_count(), depth);
        assert_eq!(again.extract(again.root()), extract);
    };
    let thread = std::thread::Builder::new().stack_size(128 << 10);
    thread.spawn(run).unwrap().join().unwrap();
}

#[test]
fn nodes_are_replaced_wherever_they_occur() {
    // p = m.make("secret"); message = [p, (p, 5)]
    let graph = Graph::read(b"](cm\nmake\nX\x06\0\0\0secret\x85Rq\0h\0K\x05\x86e.").unwrap();
    let made = graph.sequence(graph.root()).unwrap()[0];
    let argument = graph.call(made).unwrap().arguments[0];
    let mut asked = 0;
    let replaced = graph.extract_with(graph.root(), &mut |number| {
        asked += 1;
        (number == made).then(|| Term::call("n", "edge", [Term::Int(7), Term::Node(argument)]))
    });
    // The list, what is replaced, its argument, the tuple.
    assert_eq!(asked, 4);
    let replaced = replaced.unwrap();
    let graph = Graph::read(&replaced).unwrap();
    let items = graph.sequence(graph.root()).unwrap();
    let call = graph.call(items[0]).unwrap();
    assert_eq!((call.module, call.name), ("n", "edge"));
    assert_eq!(graph.int(call.arguments[0]), Some(7));
    assert_eq!(graph.text(call.arguments[1]), Some("secret"));
    assert_eq!(graph.tuple(items[1]).unwrap()[0], items[0]);
}

#[test]
fn a_replacement_cannot_contain_what_it_replaces() {
    let graph = Graph::read(b"]K\x01a.").unwrap();
    let root = graph.root();
    let mut writer = Writer::new();
    writer.int(3);
    let before = writer.clone().finish();
    let wrapped = writer.embed(&graph, root, &mut |number| {
        Some(Term::Tuple(vec![Term::Node(number)]))
    });
    assert_eq!(wrapped, Err(ExtractError::ContainsItself));
    assert_eq!(writer.finish(), before);
    let itself = graph.extract_with(root, &mut |number| Some(Term::Node(number)));
    assert_eq!(itself, Err(ExtractError::ContainsItself));
    let outside = Writer::new().term(&Term::Node(root));
    assert_eq!(outside, Err(ExtractError::NoGraph));
}

#[test]
fn several_nodes_are_embedded_side_by_side() {
    let graph = Graph::read(b"]q\0(h\0h\0\x86h\0e.").unwrap();
    let mut writer = Writer::new();
    writer.open_tuple(2);
    for item in graph.sequence(graph.root()).unwrap() {
        writer.embed(&graph, *item, &mut |_| None).unwrap();
    }
    writer.close_tuple(2);
    let both = writer.finish();
    let both = Graph::read(&both).unwrap();
    let parts = both.tuple(both.root()).unwrap();
    let tuple = both.tuple(parts[0]).unwrap();
    assert_eq!(tuple[0], tuple[1]);
    assert_eq!(both.sequence(tuple[0]).unwrap()[1], tuple[0]);
    assert_ne!(tuple[0], parts[1]);
}

#[test]
fn short_content_has_no_frame() {
    let mut writer = Writer::new();
    writer.none();
    assert_eq!(writer.finish(), b"\x80\x04N.");
}

fn terms() -> impl Strategy<Value = Term<'static>> {
    let leaf = prop_oneof![
        Just(Term::None),
        any::<bool>().prop_map(Term::Bool),
        any::<i64>().prop_map(Term::Int),
        (0..70_000_i64).prop_map(Term::Int),
        any::<f64>().prop_map(Term::Float),
        any::<String>().prop_map(Term::text),
        proptest::collection::vec(any::<u8>(), 0..300).prop_map(Term::bytes),
    ];
    leaf.prop_recursive(5, 60, 6, |inner| {
        let several = proptest::collection::vec(inner.clone(), 0..6);
        let pairs = proptest::collection::vec((inner.clone(), inner.clone()), 0..4);
        prop_oneof![
            several.clone().prop_map(Term::Tuple),
            several.clone().prop_map(Term::List),
            pairs.prop_map(Term::Dict),
            several.prop_map(|items| Term::call("module", "name", items)),
            inner.prop_map(|state| Term::Instance {
                module: "module".into(),
                name: "Class".into(),
                state: Box::new(state),
            }),
        ]
    })
}

fn written(term: &Term<'_>) -> Vec<u8> {
    let mut writer = Writer::new();
    writer.term(term).unwrap();
    writer.finish()
}

proptest! {
    #[test]
    fn what_is_written_is_read_and_taken_out(terms in proptest::collection::vec(terms(), 1..4)) {
        let message = written(&Term::List(terms.clone()));
        let graph = Graph::read(&message).unwrap();
        let items = graph.sequence(graph.root()).unwrap();
        for (term, item) in terms.iter().zip(items) {
            let extract = graph.extract(*item);
            prop_assert_eq!(&extract, &written(term));
            let alone = Graph::read(&extract).unwrap();
            prop_assert_eq!(described(&alone, alone.root()), described(&graph, *item));
        }
    }

    #[test]
    fn integers_of_any_size_are_kept(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let mut writer = Writer::new();
        writer.big_int(&bytes);
        let pickle = writer.finish();
        let graph = Graph::read(&pickle).unwrap();
        let widened = |bytes: &[u8]| {
            let sign = bytes.last().is_some_and(|last| last & 0x80 != 0);
            let mut wide = bytes.to_vec();
            wide.resize(400, if sign { 0xff } else { 0 });
            wide
        };
        match &graph[graph.root()] {
            Node::Int(value) => prop_assert_eq!(widened(&value.to_le_bytes()), widened(&bytes)),
            Node::BigInt(read) => prop_assert_eq!(widened(read), widened(&bytes)),
            other => prop_assert!(false, "{other:?}"),
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(graph) = Graph::read(&bytes) {
            let extract = graph.extract(graph.root());
            let again = Graph::read(&extract).unwrap();
            prop_assert_eq!(again.extract(again.root()), extract);
        }
    }
}

#[test]
fn buffers_beside_a_pickle_take_their_places() {
    let reason = |pickle: &[u8], buffers: &[&[u8]]| in_band(pickle, buffers).unwrap_err().reason;
    assert_eq!(reason(b"\x80\x05\x97.", &[]), Reason::OutOfBandBuffer);
    assert_eq!(reason(b"\x80\x05N\x98.", &[b"x"]), Reason::OutOfBandBuffer);
    for cut in [
        &b""[..],
        b"\x80",
        b"\x80\x05",
        b"\x80\x05\x97",
        b"\x80\x05C\x05abcd.",
        b"\x80\x05\x8e\xff\xff\xff\xff\xff\xff\xff\xffa.",
        b"\x80\x05cbuiltins\nlist",
    ] {
        assert_eq!(reason(cut, &[b"x"]), Reason::Truncated, "{cut:?}");
    }
    // What looks like an instruction inside of text, bytes and names is none.
    for whole in [
        &b"\x80\x05\x8c\x02\x97\x98C\x03\x97\x97.\x86."[..],
        b"\x80\x05cbuil\x97\nlis\x98\n.",
        b"I97\n.",
        b"\x80\x02K\x97.",
    ] {
        assert_eq!(in_band(whole, &[]).unwrap(), whole);
    }
}
