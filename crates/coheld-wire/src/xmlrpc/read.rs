//! Values out of XML.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use quick_xml::Reader;
use quick_xml::events::{BytesRef, Event};

use super::{DEPTH_LIMIT, Value, XmlError};

/// As the standard has it, with or without padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The one value of a message.
pub fn read(message: &[u8]) -> Result<Value, XmlError> {
    let text = str::from_utf8(message).map_err(|error| XmlError::Malformed {
        offset: error.valid_up_to() as u64,
        why: "the text is not UTF-8",
    })?;
    let mut reader = Reader::from_str(text);
    reader.config_mut().expand_empty_elements = true;
    let mut parser = Parser { reader };
    for name in ["params", "param", "value"] {
        parser.open(name)?;
    }
    let value = parser.value(0)?;
    // The end of the value has been read with it.
    parser.close()?;
    parser.close()?;
    match parser.next_tag()? {
        Part::End => Ok(value),
        _ => parser.fail("something follows the message"),
    }
}

struct Parser<'m> {
    reader: Reader<&'m [u8]>,
}

/// What comes next, without comments.
enum Part<'m> {
    Open(Tag<'m>),
    Close,
    Text(String),
    End,
}

/// The name of an element, without its prefix.
type Tag<'m> = std::borrow::Cow<'m, str>;

impl<'m> Parser<'m> {
    fn fail<T>(&self, why: &'static str) -> Result<T, XmlError> {
        let offset = self.reader.buffer_position();
        Err(XmlError::Malformed { offset, why })
    }

    fn next(&mut self) -> Result<Part<'m>, XmlError> {
        loop {
            let Ok(event) = self.reader.read_event() else {
                return self.fail("the XML is not well-formed");
            };
            return Ok(match event {
                Event::Start(tag) | Event::Empty(tag) => {
                    Part::Open(tag.local_name().into_inner().to_owned().into())
                }
                Event::End(_) => Part::Close,
                Event::Text(text) => Part::Text(text.xml10_content().into_owned()),
                Event::CData(text) => Part::Text(text.xml10_content().into_owned()),
                Event::GeneralRef(reference) => match character(&reference) {
                    Some(character) => Part::Text(character.to_string()),
                    None => return self.fail("an entity is not one of the five of XML"),
                },
                Event::DocType(_) => return self.fail("a document type is not accepted"),
                Event::Comment(_) | Event::PI(_) | Event::Decl(_) => continue,
                Event::Eof => Part::End,
            });
        }
    }

    /// The next part that is not blank.
    fn next_tag(&mut self) -> Result<Part<'m>, XmlError> {
        loop {
            match self.next()? {
                Part::Text(text) if text.trim_ascii().is_empty() => (),
                Part::Text(_) => return self.fail("text stands where an element is expected"),
                part => return Ok(part),
            }
        }
    }

    fn open(&mut self, name: &str) -> Result<(), XmlError> {
        match self.next_tag()? {
            Part::Open(found) if found == name => Ok(()),
            _ => self.fail("an element of XML-RPC is missing, or another one in its place"),
        }
    }

    fn close(&mut self) -> Result<(), XmlError> {
        match self.next_tag()? {
            Part::Close => Ok(()),
            _ => self.fail("an element has more in it than it may"),
        }
    }

    /// Text up to the next tag, and that tag.
    fn text(&mut self) -> Result<(String, Part<'m>), XmlError> {
        let mut all = String::new();
        loop {
            match self.next()? {
                Part::Text(text) => all.push_str(&text),
                part => return Ok((all, part)),
            }
        }
    }

    /// All of an element that has only text.
    fn content(&mut self) -> Result<String, XmlError> {
        match self.text()? {
            (text, Part::Close) => Ok(text),
            _ => self.fail("an element stands where text is expected"),
        }
    }

    /// The value of an element that is open already, up to its end.
    fn value(&mut self, depth: usize) -> Result<Value, XmlError> {
        if depth > DEPTH_LIMIT {
            return Err(XmlError::TooDeep);
        }
        let kind = match self.text()? {
            (text, Part::Close) => return Ok(Value::String(text)),
            (blank, Part::Open(kind)) if blank.trim_ascii().is_empty() => kind,
            _ => return self.fail("a value is cut off, or mixed with text"),
        };
        let value = match kind.as_ref() {
            "array" => self.array(depth)?,
            "struct" => self.members(depth)?,
            kind => {
                let text = self.content()?;
                match simple(kind, text) {
                    Some(value) => value,
                    None => return self.fail("a value is not of its type, or of an unknown one"),
                }
            }
        };
        self.close()?;
        Ok(value)
    }

    fn array(&mut self, depth: usize) -> Result<Value, XmlError> {
        self.open("data")?;
        let mut items = Vec::new();
        while self.is_another("value")? {
            items.push(self.value(depth + 1)?);
        }
        self.close()?;
        Ok(Value::Array(items))
    }

    fn members(&mut self, depth: usize) -> Result<Value, XmlError> {
        let mut members = Vec::new();
        while self.is_another("member")? {
            self.open("name")?;
            let name = self.content()?;
            self.open("value")?;
            members.push((name, self.value(depth + 1)?));
            self.close()?;
        }
        Ok(Value::Struct(members))
    }

    /// Whether one more such element follows, rather than the end of those.
    fn is_another(&mut self, name: &str) -> Result<bool, XmlError> {
        match self.next_tag()? {
            Part::Open(found) if found == name => Ok(true),
            Part::Close => Ok(false),
            _ => self.fail("an element of XML-RPC is missing, or another one in its place"),
        }
    }
}

fn character(reference: &BytesRef<'_>) -> Option<char> {
    if let Some(character) = reference.resolve_char_ref().ok()? {
        return Some(character);
    }
    Some(match reference.xml10_content().as_ref() {
        "lt" => '<',
        "gt" => '>',
        "amp" => '&',
        "apos" => '\'',
        "quot" => '"',
        _ => return None,
    })
}

/// The value of an element that has only text.
fn simple(kind: &str, text: String) -> Option<Value> {
    Some(match kind {
        "nil" if text.trim_ascii().is_empty() => Value::Nil,
        "boolean" => match text.trim_ascii() {
            "0" => Value::Bool(false),
            "1" => Value::Bool(true),
            _ => return None,
        },
        "int" | "i1" | "i2" | "i4" | "i8" | "biginteger" => {
            Value::Int(text.trim_ascii().parse().ok()?)
        }
        "double" | "float" => Value::Double(text.trim_ascii().parse().ok()?),
        "string" => Value::String(text),
        "base64" => {
            let mut digits = text.into_bytes();
            digits.retain(|byte| !byte.is_ascii_whitespace());
            Value::Base64(BASE64.decode(digits).ok()?)
        }
        "dateTime.iso8601" => Value::DateTime(text),
        _ => return None,
    })
}
