//! The kinds of shared objects.

use std::fmt;

use coheld_store::kinds::referent;

/// What a shared object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// `list`.
    List,
    /// `dict`.
    Dict,
    /// `set`.
    Set,
    /// `Namespace`.
    Namespace,
    /// `Value`.
    Value,
    /// `Array`.
    Array,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 6] = [
        Self::List,
        Self::Dict,
        Self::Set,
        Self::Namespace,
        Self::Value,
        Self::Array,
    ];

    /// The kind with this number in the segment.
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            referent::LIST => Some(Self::List),
            referent::DICT => Some(Self::Dict),
            referent::SET => Some(Self::Set),
            referent::NAMESPACE => Some(Self::Namespace),
            referent::VALUE => Some(Self::Value),
            referent::ARRAY => Some(Self::Array),
            _ => None,
        }
    }

    /// Its number in the segment.
    pub const fn number(self) -> u8 {
        match self {
            Self::List => referent::LIST,
            Self::Dict => referent::DICT,
            Self::Set => referent::SET,
            Self::Namespace => referent::NAMESPACE,
            Self::Value => referent::VALUE,
            Self::Array => referent::ARRAY,
        }
    }

    /// The name under which Python's `SyncManager` makes it.
    pub const fn typeid(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Dict => "dict",
            Self::Set => "set",
            Self::Namespace => "Namespace",
            Self::Value => "Value",
            Self::Array => "Array",
        }
    }

    /// The name of the class of its proxies, in Python and in Rust.
    pub const fn proxy_name(self) -> &'static str {
        match self {
            Self::List => "ListProxy",
            Self::Dict => "DictProxy",
            Self::Set => "SetProxy",
            Self::Namespace => "NamespaceProxy",
            Self::Value => "ValueProxy",
            Self::Array => "ArrayProxy",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.typeid())
    }
}
