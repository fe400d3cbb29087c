//! Tokens: the name of a referent as one line of text, for another process.

use core::fmt;
use core::str::FromStr;

use coheld_shm::{Lease, word};

use crate::{Address, Error, key};

/// First field of every token: what it is, and in which version.
const MARK: &str = "coheld1";

/// The name of a referent. Alone it keeps nothing alive: take a lease when you make one.
///
/// ```
/// use coheld::Token;
///
/// let manager = coheld::Manager::start()?;
/// let token = manager.dict::<String, i64>()?.token()?;
/// let text = token.to_string();
/// assert!(text.starts_with("coheld1 "));
/// assert_eq!(text.parse::<Token>()?, token);
/// assert!("coheld1 and nothing else".parse::<Token>().is_err());
/// # Ok::<(), coheld::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Token {
    /// The segment that the referent lies in.
    pub segment_id: [u8; 16],
    /// What the referent is; the numbers are those of `coheld-store`.
    pub kind: u8,
    /// Where in the segment.
    pub offset: u64,
    /// Which of the referents of that place.
    pub generation: u32,
    /// Where its manager listens.
    pub address: Address,
}

impl Token {
    /// The lease that was taken when this token was made.
    ///
    /// ```
    /// use coheld::Handle;
    ///
    /// let manager = coheld::Manager::start()?;
    /// let token = manager.list::<i64>()?.token()?;
    /// let handle = Handle::redeem(manager.attachment(), token.lease())?;
    /// assert_eq!(handle.offset(), token.offset);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    #[must_use]
    pub fn lease(&self) -> Lease {
        Lease::counted(word::of_edge(self.offset, self.generation))
    }
}

// For the other crates of this project only; nothing of it is promised.
/// Where a referent lies in its segment: what identifies it among the others of its manager.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// What it is; the numbers are those of `coheld-store`.
    pub kind: u8,
    /// Where it begins.
    pub offset: u64,
    /// Which of the referents of that place.
    pub generation: u32,
}

/// Offsets are below two to this power.
const OFFSET_BITS: u32 = 48;
const GENERATION_BITS: u32 = 32;

impl Place {
    /// The text that stands for the place: as in the standard library, a number in hexadecimal.
    #[must_use]
    pub fn text(self) -> String {
        let number = u128::from(self.kind) << (OFFSET_BITS + GENERATION_BITS)
            | u128::from(self.generation) << OFFSET_BITS
            | u128::from(self.offset);
        format!("{number:x}")
    }

    /// The place that a text stands for.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let number = u128::from_str_radix(text, 16).ok()?;
        Some(Self {
            kind: u8::try_from(number >> (OFFSET_BITS + GENERATION_BITS)).ok()?,
            generation: (number >> OFFSET_BITS) as u32,
            offset: number as u64 & ((1 << OFFSET_BITS) - 1),
        })
    }

    /// The lease that travels with a pickled proxy of the referent.
    #[must_use]
    pub fn lease(self) -> Lease {
        Lease::counted(word::of_edge(self.offset, self.generation))
    }

    /// Whether it is the same referent, of whatever kind it was or is.
    #[must_use]
    pub fn is_at(self, other: Self) -> bool {
        (self.offset, self.generation) == (other.offset, other.generation)
    }
}

impl fmt::Display for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            segment_id,
            kind,
            offset,
            generation,
            address,
        } = self;
        let id = key::encode(segment_id);
        write!(
            formatter,
            "{MARK} {id} {kind} {offset:x} {generation:x} {address}"
        )
    }
}

impl FromStr for Token {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let bad = |why| Error::BadToken { why };
        let mut fields = text.trim().split(' ');
        let mut field = || fields.next().ok_or(bad("a field is missing"));
        if field()? != MARK {
            return Err(bad("it does not begin with coheld1"));
        }
        let id = key::decode(field()?).and_then(|id| id.try_into().ok());
        let segment_id = id.ok_or(bad("the segment is not 32 hexadecimal digits"))?;
        let kind = field()?
            .parse()
            .map_err(|_| bad("the kind is not a number"))?;
        let offset = u64::from_str_radix(field()?, 16);
        let offset = offset.map_err(|_| bad("the offset is not a number"))?;
        if offset & !word::OFFSET_MASK != 0 {
            return Err(bad("nothing can lie at its offset"));
        }
        let generation = u32::from_str_radix(field()?, 16);
        let generation = generation.map_err(|_| bad("the generation is not a number"))?;
        let address = field()?.parse()?;
        if fields.next().is_some() {
            return Err(bad("something follows the address"));
        }
        Ok(Self {
            segment_id,
            kind,
            offset,
            generation,
            address,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_one_line_of_text() {
        let host = "127.0.0.1".to_owned();
        for address in [
            Address::Path("/tmp/with space\n".into()),
            Address::Tcp { host, port: 50000 },
        ] {
            let token = Token {
                segment_id: [0xab; 16],
                kind: 2,
                offset: 0x12_3450,
                generation: 77,
                address,
            };
            let text = token.to_string();
            assert!(
                text.bytes().all(|byte| (b' '..=b'~').contains(&byte)),
                "{text}"
            );
            assert_eq!(text.parse::<Token>().unwrap(), token);
        }
    }

    #[test]
    fn a_place_is_a_number() {
        let place = Place {
            kind: 9,
            offset: 0x12_3450,
            generation: 77,
        };
        assert_eq!(Place::parse(&place.text()), Some(place));
        for text in ["", "x", "-1", &"f".repeat(23)] {
            assert_eq!(Place::parse(text), None, "{text}");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        let id = "ab".repeat(16);
        for text in [
            String::new(),
            "coheld9".into(),
            "coheld1 ab 1 10 1 unix:/x".into(),
            format!("coheld1 {id} 300 10 1 unix:/x"),
            format!("coheld1 {id} 1 11 1 unix:/x"),
            format!("coheld1 {id} 1 10 1"),
            format!("coheld1 {id} 1 10 1 tcp:x"),
            format!("coheld1 {id} 1 10 1 unix:/x more"),
        ] {
            assert!(text.parse::<Token>().is_err(), "{text}");
        }
    }
}
