//! Values as XML, laid out as Python lays it out.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{DEPTH_LIMIT, Value, XmlError};

/// Bytes that make one line of base64.
const LINE: usize = 57;

/// The message of one value.
pub fn write(value: &Value) -> Result<Vec<u8>, XmlError> {
    let mut text = String::from("<params>\n<param>\n");
    push(&mut text, value, 0)?;
    text.push_str("</param>\n</params>\n");
    Ok(text.into_bytes())
}

fn push(text: &mut String, value: &Value, depth: usize) -> Result<(), XmlError> {
    if depth > DEPTH_LIMIT {
        return Err(XmlError::TooDeep);
    }
    text.push_str("<value>");
    match value {
        // Python writes no line end here.
        Value::Nil => {
            text.push_str("<nil/></value>");
            return Ok(());
        }
        Value::Bool(value) => simple(text, "boolean", if *value { "1" } else { "0" }),
        Value::Int(value) => simple(text, "int", &value.to_string()),
        Value::Double(value) => simple(text, "double", &format!("{value:?}")),
        Value::String(value) => {
            text.push_str("<string>");
            escape(text, value)?;
            text.push_str("</string>");
        }
        Value::Base64(bytes) => {
            text.push_str("<base64>\n");
            for line in bytes.chunks(LINE) {
                STANDARD.encode_string(line, text);
                text.push('\n');
            }
            text.push_str("</base64>");
        }
        Value::Array(items) => {
            text.push_str("<array><data>\n");
            items
                .iter()
                .try_for_each(|item| push(text, item, depth + 1))?;
            text.push_str("</data></array>");
        }
        Value::Struct(members) => {
            text.push_str("<struct>\n");
            for (name, value) in members {
                text.push_str("<member>\n<name>");
                escape(text, name)?;
                text.push_str("</name>\n");
                push(text, value, depth + 1)?;
                text.push_str("</member>\n");
            }
            text.push_str("</struct>");
        }
        Value::DateTime(value) => {
            text.push_str("<dateTime.iso8601>");
            escape(text, value)?;
            text.push_str("</dateTime.iso8601>");
        }
    }
    text.push_str("</value>\n");
    Ok(())
}

fn simple(text: &mut String, kind: &str, value: &str) {
    for part in ["<", kind, ">", value, "</", kind, ">"] {
        text.push_str(part);
    }
}

fn escape(text: &mut String, value: &str) -> Result<(), XmlError> {
    for character in value.chars() {
        match character {
            '&' => text.push_str("&amp;"),
            '<' => text.push_str("&lt;"),
            '>' => text.push_str("&gt;"),
            // A reader would make a line feed of it.
            '\r' => text.push_str("&#13;"),
            '\t' | '\n' => text.push(character),
            '\0'..='\x1f' | '\u{fffe}' | '\u{ffff}' => {
                return Err(XmlError::Unwritable(character));
            }
            _ => text.push(character),
        }
    }
    Ok(())
}
