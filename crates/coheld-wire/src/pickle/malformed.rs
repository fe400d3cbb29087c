//! What is wrong with a pickle.

use std::fmt;

/// Bytes that are no pickle, or one that is not read here, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// Where the instruction begins that is wrong.
    pub offset: usize,
    /// What is wrong with it.
    pub reason: Reason,
}

/// What is wrong with an instruction of a pickle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// There is no end.
    Truncated,
    /// Nothing in pickle begins with this byte.
    UnknownInstruction(u8),
    /// The object is in a place that only its sender knows.
    PersistentId,
    /// The class is named by a number that only its sender knows.
    ExtensionCode,
    /// The bytes are in a buffer beside the pickle.
    OutOfBandBuffer,
    /// A protocol that does not exist yet.
    UnknownProtocol(u8),
    /// It needs more objects than there are.
    StackEmpty,
    /// It needs the beginning of a series, and there is none.
    NoMark,
    /// It names a place in the memo where nothing is.
    NotInMemo,
    /// Text that is not UTF-8.
    BadText,
    /// Digits that are no number.
    BadNumber,
    /// A class or function without a plain name.
    BadGlobal,
    /// The arguments of a call are no tuple or no dict.
    BadArguments,
    /// The object on top is not of a kind that this could be done to.
    WrongTarget,
    /// A key without a value.
    KeyWithoutValue,
    /// There are more objects than can be counted.
    TooManyNodes,
}

impl fmt::Display for Malformed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (reason, offset) = (&self.reason, self.offset);
        write!(formatter, "bad pickle: {reason} (at byte {offset})")
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Truncated => "it is cut off",
            Self::UnknownInstruction(code) => {
                return write!(formatter, "unknown instruction {code:#04x}");
            }
            Self::PersistentId => "it names an object that only its sender has",
            Self::ExtensionCode => "it names a class by a number of copyreg's extension registry",
            Self::OutOfBandBuffer => "it needs a buffer that is not part of it",
            Self::UnknownProtocol(protocol) => {
                return write!(formatter, "unsupported pickle protocol: {protocol}");
            }
            Self::StackEmpty => "an instruction needs more objects than there are",
            Self::NoMark => "a series of objects has no beginning",
            Self::NotInMemo => "it names an object that was not remembered",
            Self::BadText => "text is not UTF-8",
            Self::BadNumber => "digits are no number",
            Self::BadGlobal => "the name of a class or function is no plain text",
            Self::BadArguments => "the arguments of a call are no tuple or no dict",
            Self::WrongTarget => "something is put into an object that takes no such thing",
            Self::KeyWithoutValue => "a dict has a key without a value",
            Self::TooManyNodes => "it has more than 4294967295 objects",
        })
    }
}

impl std::error::Error for Malformed {}
