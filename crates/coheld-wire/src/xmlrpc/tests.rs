//! The bytes of Python, round trips, and what is refused.

use proptest::prelude::*;

use super::*;
use crate::message::ReplyKind;

/// `xmlrpc.client.dumps((...,), None, None, None, 1)` of what is beside it in the test.
const PYTHON: &str = "<params>\n<param>\n<value><array><data>\n\
    <value><string>a&lt;&amp;&gt;\n</string></value>\n<value><int>5</int></value>\n\
    <value><nil/></value><value><boolean>1</boolean></value>\n\
    <value><double>1.5</double></value>\n<value><base64>\n\
    eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4\n\
    eHh4eHh4eHh4eHh4eA==\n</base64></value>\n<value><struct>\n<member>\n<name>k</name>\n\
    <value><array><data>\n<value><int>1</int></value>\n</data></array></value>\n</member>\n\
    </struct></value>\n<value><dateTime.iso8601>20260101T00:00:00</dateTime.iso8601></value>\n\
    </data></array></value>\n</param>\n</params>\n";

#[test]
fn the_text_is_that_of_python() {
    let value = Value::Array(vec![
        Value::String("a<&>\n".into()),
        Value::Int(5),
        Value::Nil,
        Value::Bool(true),
        Value::Double(1.5),
        Value::Base64(vec![b'x'; 70]),
        Value::Struct(vec![("k".into(), Value::Array(vec![Value::Int(1)]))]),
        Value::DateTime("20260101T00:00:00".into()),
    ]);
    assert_eq!(write(&value).unwrap(), PYTHON.as_bytes());
    assert_eq!(read(PYTHON.as_bytes()), Ok(value));
}

fn inside(value: &str) -> Result<Value, XmlError> {
    let text = format!("<?xml version='1.0'?><params><param>{value}</param></params>");
    read(text.as_bytes())
}

#[test]
fn what_others_may_write_is_read() {
    let text = |text: &str| Ok(Value::String(text.into()));
    assert_eq!(inside("<value>bare &#65;</value>"), text("bare A"));
    assert_eq!(inside("<value></value>"), text(""));
    assert_eq!(inside("<value/>"), text(""));
    assert_eq!(inside("<value><string/></value>"), text(""));
    assert_eq!(inside("<value><![CDATA[<&]]>\r\nx</value>"), text("<&\nx"));
    assert_eq!(inside("<value>a<!-- b -->c&#13;</value>"), text("ac\r"));
    assert_eq!(inside("<value> <i8> -7 </i8> </value>"), Ok(Value::Int(-7)));
    assert_eq!(inside("<value><ex:nil/></value>"), Ok(Value::Nil));
    let infinite = Ok(Value::Double(f64::INFINITY));
    assert_eq!(inside("<value><double>inf</double></value>"), infinite);
    let bytes = Ok(Value::Base64(b"ab".to_vec()));
    assert_eq!(inside("<value><base64> YW\nI </base64></value>"), bytes);
}

#[test]
fn what_is_wrong_is_told() {
    let cases = [
        ("", "an element of XML-RPC is missing"),
        ("<value>", "the XML is not well-formed"),
        ("<value><int>x</int></value>", "a value is not of its type"),
        ("<value><what>x</what></value>", "or of an unknown one"),
        (
            "<value><boolean>2</boolean></value>",
            "a value is not of its type",
        ),
        (
            "<value><base64>*</base64></value>",
            "a value is not of its type",
        ),
        ("<value><nil>1</nil></value>", "a value is not of its type"),
        ("<value>&nbsp;</value>", "an entity is not one of the five"),
        (
            "<value>&#xd800;</value>",
            "an entity is not one of the five",
        ),
        (
            "<value>a<int>1</int></value>",
            "a value is cut off, or mixed",
        ),
        (
            "<value><int>1</int>a</value>",
            "text stands where an element",
        ),
        (
            "<value><int><int/></int></value>",
            "an element stands where text",
        ),
        ("<value/><value/>", "an element has more in it than it may"),
        (
            "<value><array><int/></array></value>",
            "an element of XML-RPC is missing",
        ),
    ];
    for (value, expected) in cases {
        let found = inside(value).unwrap_err().to_string();
        assert!(found.contains(expected), "{value}: {found}");
    }
    let doctype = "<!DOCTYPE p [<!ENTITY a 'b'>]><params/>";
    let found = read(doctype.as_bytes()).unwrap_err().to_string();
    assert!(found.contains("a document type is not accepted"), "{found}");
    let found = read(b"<params>\xff").unwrap_err().to_string();
    assert_eq!(found, "bad XML-RPC: the text is not UTF-8 (near byte 8)");
    let trailing = format!("{PYTHON}<x/>");
    let found = read(trailing.as_bytes()).unwrap_err().to_string();
    assert!(found.contains("something follows the message"), "{found}");
}

#[test]
fn depth_has_a_limit_in_both_directions() {
    let nested = |depth: usize| {
        let mut value = Value::Nil;
        for _ in 0..depth {
            value = Value::Array(vec![value]);
        }
        value
    };
    let deepest = nested(DEPTH_LIMIT);
    assert_eq!(read(&write(&deepest).unwrap()), Ok(deepest));
    assert_eq!(write(&nested(DEPTH_LIMIT + 1)), Err(XmlError::TooDeep));
    let level = ("<value><array><data>", "</data></array></value>");
    let deeper = DEPTH_LIMIT + 2;
    let text = level.0.repeat(deeper) + &level.1.repeat(deeper);
    assert_eq!(inside(&text), Err(XmlError::TooDeep));
}

#[test]
fn messages_come_back() {
    let request = Request {
        ident: None,
        method: "create".into(),
        arguments: vec![Value::String("list".into())],
        keywords: vec![("k".into(), Value::Nil)],
    };
    assert_eq!(Request::read(&request.write().unwrap()), Ok(request));
    for kind in ReplyKind::ALL {
        let result = Value::Int(3);
        let reply = Reply { kind, result };
        assert_eq!(Reply::read(&reply.write().unwrap()), Ok(reply));
    }
    let bad = write(&Value::Int(1)).unwrap();
    let why = "it is no array of four";
    assert_eq!(Request::read(&bad), Err(XmlError::NotAMessage { why }));
    let why = "it is no array of two";
    assert_eq!(Reply::read(&bad), Err(XmlError::NotAMessage { why }));
}

#[test]
fn characters_that_xml_has_not_are_refused() {
    let written = write(&Value::String("a\0".into()));
    assert_eq!(written, Err(XmlError::Unwritable('\0')));
}

fn values() -> impl Strategy<Value = Value> {
    let text = "[a-z<>&'\"\r\n\t \u{e9}\u{1f600}\\]]{0,12}";
    let leaf = prop_oneof![
        Just(Value::Nil),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        any::<f64>().prop_map(Value::Double),
        text.prop_map(Value::String),
        proptest::collection::vec(any::<u8>(), 0..130).prop_map(Value::Base64),
        "[0-9T:]{0,17}".prop_map(Value::DateTime),
    ];
    leaf.prop_recursive(5, 40, 5, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::Array),
            proptest::collection::vec((text, inner), 0..4).prop_map(Value::Struct),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read(value in values()) {
        prop_assert_eq!(read(&write(&value).unwrap()), Ok(value));
    }
}
