//! `coheld ls`, `get`, `put` and `call`.

use coheld_wire::pickle::Term;
use serde_json::{Value, json};

use crate::arguments::{Call, Get, Ls, Put};
use crate::failure::{Failure, Kind};
use crate::remote::{Managed, Object};
use crate::{json, output};

/// What an object is, as its methods tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Queue,
    List,
    Dict,
    Set,
    Namespace,
    Value,
    Array,
    Other,
}

/// Methods by which an object is known, in this order.
const SHAPES: &[(&[&str], Shape)] = &[
    (&["put", "get", "qsize"], Shape::Queue),
    (&["keys", "get", "update"], Shape::Dict),
    (&["append", "pop"], Shape::List),
    (&["add", "discard"], Shape::Set),
    (&["__getattribute__", "__setattr__"], Shape::Namespace),
    (&["__getitem__", "__setitem__", "__len__"], Shape::Array),
    (&["get", "set"], Shape::Value),
];

fn shape(object: &Object) -> Shape {
    let found = SHAPES.iter().find(|(methods, _)| object.has(methods));
    found.map_or(Shape::Other, |(_, shape)| *shape)
}

/// Lists what is shared by name.
pub(crate) fn ls(arguments: &Ls) -> Result<(), Failure> {
    let manager = Managed::connect(&arguments.manager)?;
    let names =
        manager.ask("#names").map_err(|failure| {
            match failure.kind {
        Kind::Refused => Failure::new(Kind::Refused, "this manager does not tell its names").hint(
            "only managers of `coheld serve` do; ask for a name that the program has registered: \
             coheld get NAME",
        ),
        _ => failure,
    }
        })?;
    if !arguments.manager.json {
        output::print(&names, false);
        return Ok(());
    }
    let named = |entry: &Value| json!({ "name": entry[0], "type": entry[1], "length": entry[2] });
    let names: Vec<_> = names.as_array().into_iter().flatten().map(named).collect();
    output::print(&Value::Array(names), true);
    Ok(())
}

/// Prints an object, or a part of it.
pub(crate) fn get(arguments: &Get) -> Result<(), Failure> {
    let manager = Managed::connect(&arguments.manager)?;
    let object = manager.object(&arguments.name)?;
    let key = arguments.key.as_deref().map(json::parse);
    let value = match (shape(&object), &key) {
        (Shape::Queue, None) if arguments.wait > 0.0 => {
            object.call("get", &[Term::Bool(true), Term::Float(arguments.wait)])
        }
        (Shape::Queue, None) => object.call("get", &[Term::Bool(false)]),
        (Shape::Value, None) => object.call("get", &[]),
        (_, None) => object.call("#GETVALUE", &[]),
        (Shape::Dict | Shape::List | Shape::Array, Some(key)) if object.has(&["__getitem__"]) => {
            object.call("__getitem__", &[json::term(key)])
        }
        (Shape::Dict, Some(key)) => object.call("get", &[json::term(key)]),
        (Shape::Namespace, Some(_)) => {
            let name = arguments.key.as_deref().unwrap_or_default();
            object.call("__getattribute__", &[Term::text(name)])
        }
        (shape, Some(_)) => Err(no_key(shape)),
    };
    output::print(&value?, arguments.manager.json);
    Ok(())
}

/// Puts something into an object.
pub(crate) fn put(arguments: &Put) -> Result<(), Failure> {
    let manager = Managed::connect(&arguments.manager)?;
    let object = manager.object(&arguments.name)?;
    let values: Vec<_> = arguments
        .values
        .iter()
        .map(|text| json::parse(text))
        .collect();
    match (shape(&object), &values[..]) {
        (Shape::Queue, [value]) => object.call("put", &[json::term(value)]),
        (Shape::List, [value]) => object.call("append", &[json::term(value)]),
        (Shape::Set, [value]) => object.call("add", &[json::term(value)]),
        (Shape::Value, [value]) => object.call("set", &[json::term(value)]),
        (Shape::Dict | Shape::List | Shape::Array, [key, value])
            if object.has(&["__setitem__"]) =>
        {
            object.call("__setitem__", &[json::term(key), json::term(value)])
        }
        (Shape::Dict, [key, value]) => {
            let pairs = Term::Dict(vec![(json::term(key), json::term(value))]);
            object.call("update", &[pairs])
        }
        (Shape::Namespace, [_, value]) => {
            let name = Term::text(arguments.values[0].as_str());
            object.call("__setattr__", &[name, json::term(value)])
        }
        (Shape::Dict | Shape::Array | Shape::Namespace, [_]) => {
            let message = format!("{:?} needs a key and a value", arguments.name);
            Err(Failure::new(Kind::Usage, message).hint("coheld put NAME KEY VALUE"))
        }
        (shape, _) => Err(no_key(shape)),
    }?;
    Ok(())
}

/// Calls a method.
pub(crate) fn call(arguments: &Call) -> Result<(), Failure> {
    let manager = Managed::connect(&arguments.manager)?;
    let object = manager.object(&arguments.name)?;
    let values: Vec<_> = arguments
        .arguments
        .iter()
        .map(|text| json::parse(text))
        .collect();
    let terms: Vec<_> = values.iter().map(json::term).collect();
    let result = object.call(&arguments.method, &terms)?;
    output::print(&result, arguments.manager.json);
    Ok(())
}

fn no_key(shape: Shape) -> Failure {
    let message = match shape {
        Shape::Other => "an object of this kind is not put to or got from".to_owned(),
        shape => format!("a {} has no keys", format!("{shape:?}").to_lowercase()),
    };
    Failure::new(Kind::Usage, message).hint("any method can be called: coheld call NAME METHOD")
}
