//! Between JSON and pickles.
//!
//! What JSON has no form for becomes an object with one member whose name begins with `$`: bytes
//! as hexadecimal digits (`$bytes`), a shared object (`$proxy`), anything else of Python by the
//! name of its class (`$python`). A dict whose keys are not all text is a list of pairs.

use coheld_wire::pickle::{Graph, Made, Node, Number, Term};
use serde_json::{Map, Value, json};

/// How deep values are shown.
const DEPTH_LIMIT: usize = 200;

/// An argument as it is written: JSON, or else plain text.
pub(crate) fn parse(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::from(text))
}

/// A value of JSON, to be pickled.
pub(crate) fn term(value: &Value) -> Term<'_> {
    match value {
        Value::Null => Term::None,
        Value::Bool(value) => Term::Bool(*value),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(integer), _) => Term::Int(integer),
            (None, Some(float)) => Term::Float(float),
            (None, None) => Term::text(number.to_string()),
        },
        Value::String(text) => Term::text(text.as_str()),
        Value::Array(items) => Term::List(items.iter().map(term).collect()),
        Value::Object(entries) => Term::Dict(
            entries
                .iter()
                .map(|(key, value)| (Term::text(key.as_str()), term(value)))
                .collect(),
        ),
    }
}

/// What a pickle stands for.
pub(crate) fn show(graph: &Graph<'_>, number: Number) -> Value {
    let mut budget = 64 * graph.node_count() + 1024;
    shown(graph, number, 0, &mut budget)
}

fn shown(graph: &Graph<'_>, number: Number, depth: usize, budget: &mut usize) -> Value {
    if depth > DEPTH_LIMIT || *budget == 0 {
        return json!("...");
    }
    *budget -= 1;
    let mut all = |items: &[Number]| -> Vec<Value> {
        items
            .iter()
            .map(|&item| shown(graph, item, depth + 1, budget))
            .collect()
    };
    match &graph[number] {
        Node::None => Value::Null,
        Node::Bool(value) => json!(value),
        Node::Int(value) => json!(value),
        // `null` if it is none that JSON has.
        Node::Float(value) => json!(value),
        Node::BigInt(bytes) => json!(coheld::BigInt::from_bytes(bytes).to_string()),
        Node::Text(text) => json!(text),
        Node::Surrogates(bytes) => json!(String::from_utf8_lossy(bytes)),
        Node::Bytes(bytes) | Node::ByteArray(bytes) => json!({ "$bytes": digits(bytes) }),
        Node::Tuple(items) | Node::List(items) | Node::Set(items) | Node::FrozenSet(items) => {
            Value::Array(all(items))
        }
        Node::Dict(items) => dict(graph, &all(items), items),
        Node::Global(module, name) => json!({ "$python": format!("{module}.{name}") }),
        Node::Object(object) => {
            if let Some(value) = known(graph, number, &mut all) {
                return value;
            }
            let (Made::Call {
                function: class, ..
            }
            | Made::New { class, .. }
            | Made::NewWith { class, .. }) = object.made;
            let name = graph
                .global(class)
                .map(|(module, name)| format!("{module}.{name}"));
            json!({ "$python": name.unwrap_or_else(|| "object".to_owned()) })
        }
        _ => json!({ "$python": "object" }),
    }
}

fn dict(graph: &Graph<'_>, items: &[Value], numbers: &[Number]) -> Value {
    let pairs = items.chunks_exact(2).zip(numbers.chunks_exact(2));
    let named = pairs.map(|(pair, number)| {
        let name = graph.text(number[0])?;
        Some((name.to_owned(), pair[1].clone()))
    });
    match named.collect::<Option<Map<_, _>>>() {
        Some(named) => Value::Object(named),
        None => Value::Array(items.chunks_exact(2).map(|pair| json!(pair)).collect()),
    }
}

/// The objects that a manager answers with and that are data all the same.
fn known(
    graph: &Graph<'_>,
    number: Number,
    all: &mut impl FnMut(&[Number]) -> Vec<Value>,
) -> Option<Value> {
    if let Some((class, state)) = instance(graph, number) {
        let state = all(&[state]).pop()?;
        return match class {
            "Namespace" => Some(state),
            "Value" => state.get("_value").cloned(),
            _ => None,
        };
    }
    let call = graph.call(number)?;
    match (call.module, call.name, call.arguments) {
        ("builtins", "iter", &[items]) => all(&[items]).pop(),
        ("array", "array", &[typecode, items]) => array(graph.text(typecode)?, graph.bytes(items)?),
        (_, "RebuildProxy", &[_, token, ..]) => {
            let (_, state) = instance(graph, token)?;
            let &[typeid, _, ident] = graph.tuple(state)? else {
                return None;
            };
            Some(json!({ "$proxy": graph.text(typeid)?, "ident": graph.text(ident)? }))
        }
        _ => None,
    }
}

/// The class and the state of an instance of a class of the standard library's managers.
fn instance<'g>(graph: &'g Graph<'_>, number: Number) -> Option<(&'g str, Number)> {
    let Node::Object(object) = &graph[number] else {
        return None;
    };
    let Made::New { class, .. } = object.made else {
        return None;
    };
    match (graph.global(class)?, &object.changes[..]) {
        (("multiprocessing.managers", name), [coheld_wire::pickle::Change::State(state)]) => {
            Some((name, *state))
        }
        _ => None,
    }
}

fn array(typecode: &str, bytes: &[u8]) -> Option<Value> {
    macro_rules! items {
        ($($code:literal => $number:ty),*) => {
            match typecode {
                $($code => {
                    let (items, _) = bytes.as_chunks::<{ size_of::<$number>() }>();
                    Some(items.iter().map(|&item| json!(<$number>::from_le_bytes(item))).collect())
                })*
                _ => None,
            }
        };
    }
    items!("b" => i8, "B" => u8, "h" => i16, "H" => u16, "i" => i32, "I" => u32, "l" => i64,
           "L" => u64, "q" => i64, "Q" => u64, "f" => f32, "d" => f64)
}

fn digits(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use coheld_wire::pickle::Writer;

    fn back(value: &Value) -> Value {
        let mut writer = Writer::new();
        writer.term(&term(value)).unwrap();
        let pickle = writer.finish();
        let graph = Graph::read(&pickle).unwrap();
        show(&graph, graph.root())
    }

    #[test]
    fn json_comes_back_from_a_pickle() {
        for text in [
            "null",
            "true",
            "7",
            "-1.5",
            "\"a\"",
            "[1,[2]]",
            "{\"a\":{\"b\":[]}}",
        ] {
            assert_eq!(back(&parse(text)).to_string(), text);
        }
        assert_eq!(parse("plain text"), json!("plain text"));
    }

    #[test]
    fn what_json_does_not_have_is_shown() {
        let show = |term: &Term<'_>| {
            let mut writer = Writer::new();
            writer.term(term).unwrap();
            let pickle = writer.finish();
            let graph = Graph::read(&pickle).unwrap();
            show(&graph, graph.root())
        };
        assert_eq!(
            show(&Term::bytes(&b"\x01\xff"[..])),
            json!({ "$bytes": "01ff" })
        );
        let pairs = Term::Dict(vec![(Term::Int(1), Term::None)]);
        assert_eq!(show(&pairs), json!([[1, null]]));
        let array = Term::call(
            "array",
            "array",
            [Term::text("h"), Term::bytes(&[1, 0, 255, 255][..])],
        );
        assert_eq!(show(&array), json!([1, -1]));
        let date = Term::call("datetime", "date", []);
        assert_eq!(show(&date), json!({ "$python": "datetime.date" }));
    }
}
