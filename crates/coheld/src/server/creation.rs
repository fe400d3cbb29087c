//! What is to be made, as configurations write it.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use coheld_store::{Array, StoreError};

use crate::call::item_size;
use crate::{
    Attachment, BarrierProxy, ConditionProxy, Error, Kind, Proxy, QueueProxy, SemaphoreProxy,
    Value, ValueProxy,
};

/// A shared object that is to be made: of which kind, and of which size if the kind has one.
///
/// As text, the kind by its name in Python, and a number behind a colon for what has one: `Queue`,
/// `Queue:100`, `Semaphore:3`, `Barrier:2`. An array has the typecode of its items there, and may
/// have a number of items, which are zero: `Array:d:8`.
///
/// ```
/// use coheld::{Kind, server::Creation};
///
/// let queue: Creation = "Queue:100".parse()?;
/// assert_eq!(queue, Creation::of(Kind::Queue)?.sized(100));
/// assert!("Barrier".parse::<Creation>().is_err());
/// assert!("Pool".parse::<Creation>().is_err());
/// # Ok::<(), coheld::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Creation {
    kind: Kind,
    size: Option<u64>,
    typecode: u8,
}

/// Most bytes of an array that nobody has given the items of.
const LARGEST_ARRAY: u64 = 1 << 32;

/// The kinds that take a number.
const SIZED: &[Kind] = &[
    Kind::Queue,
    Kind::JoinableQueue,
    Kind::Semaphore,
    Kind::BoundedSemaphore,
    Kind::Barrier,
    Kind::Array,
];

impl Creation {
    /// An object of this kind, empty. An array is one of doubles, and a barrier is one for itself
    /// only, until they are told otherwise. Hosted objects are not made here.
    ///
    /// ```
    /// use coheld::{Kind, server::Creation};
    ///
    /// assert_eq!(Creation::of(Kind::List)?, "list".parse()?);
    /// assert!(Creation::of(Kind::Hosted).is_err());
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn of(kind: Kind) -> Result<Self, Error> {
        if kind == Kind::Hosted {
            return Err(Error::NeedsPython {
                what: "an object of a class of a program",
            });
        }
        Ok(Self {
            kind,
            size: None,
            typecode: b'd',
        })
    }

    /// With so much room, so many permits, parties or items.
    ///
    /// ```
    /// use coheld::{Kind, server::Creation};
    ///
    /// let seats = Creation::of(Kind::Semaphore)?.sized(3);
    /// assert_eq!(seats.to_string(), "Semaphore:3");
    /// # Ok::<(), coheld::Error>(())
    /// ```
    #[must_use]
    pub fn sized(self, size: u64) -> Self {
        let size = Some(size);
        Self { size, ..self }
    }

    /// What it will be.
    ///
    /// ```
    /// use coheld::{Kind, server::Creation};
    ///
    /// let creation: Creation = "Array:d:8".parse()?;
    /// assert_eq!(creation.kind(), Kind::Array);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    #[must_use]
    pub fn kind(self) -> Kind {
        self.kind
    }

    /// Makes it.
    pub(crate) fn make(self, attachment: &Arc<Attachment>) -> Result<Proxy, Error> {
        let size = self.size;
        Ok(match self.kind {
            Kind::Queue | Kind::JoinableQueue => {
                let size = usize::try_from(size.unwrap_or(0)).unwrap_or(0);
                let made: QueueProxy<Value> = match self.kind {
                    Kind::Queue => QueueProxy::create(attachment, size)?,
                    _ => QueueProxy::create_joinable(attachment, size)?,
                };
                made.into()
            }
            Kind::Semaphore => SemaphoreProxy::create(attachment, size.unwrap_or(1))?.into(),
            Kind::BoundedSemaphore => {
                SemaphoreProxy::create_bounded(attachment, size.unwrap_or(1))?.into()
            }
            Kind::Barrier => BarrierProxy::create(attachment, size.unwrap_or(1))?.into(),
            Kind::Condition => ConditionProxy::create(attachment)?.into(),
            Kind::Value => ValueProxy::create(attachment, &Value::None)?.into(),
            Kind::Array => array(attachment, self.typecode, size.unwrap_or(0))?,
            kind => Proxy::create(attachment, kind, 0)?,
        })
    }
}

/// A new array of zeros.
pub(super) fn array(
    attachment: &Arc<Attachment>,
    typecode: u8,
    count: u64,
) -> Result<Proxy, Error> {
    let size = u64::from(item_size(typecode).ok_or_else(bad_typecode)?);
    let mut items = Vec::new();
    let bytes = count.saturating_mul(size);
    if bytes > LARGEST_ARRAY || items.try_reserve_exact(bytes as usize).is_err() {
        return Err(StoreError::PrivateMemory { bytes }.into());
    }
    items.resize(bytes as usize, 0);
    array_of(attachment, typecode, &items)
}

/// A new array of items that are given as bytes.
pub(super) fn array_of(
    attachment: &Arc<Attachment>,
    typecode: u8,
    items: &[u8],
) -> Result<Proxy, Error> {
    let size = item_size(typecode).ok_or_else(bad_typecode)?;
    let made = Proxy::create(attachment, Kind::Array, Array::auxiliary(typecode, size))?;
    Array::new(&made.referent()?).replace(items)?;
    Ok(made)
}

/// In the words of Python.
pub(super) fn bad_typecode() -> Error {
    crate::call::raise(
        crate::Exception::ValueError,
        "bad typecode (must be b, B, u, w, h, H, i, I, l, L, q, Q, f or d)",
    )
}

impl FromStr for Creation {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let mut parts = text.split(':');
        let name = parts.next().unwrap_or_default();
        let kind = Kind::ALL.into_iter().find(|kind| kind.typeid() == name);
        let kind = kind.filter(|&kind| kind != Kind::Hosted);
        let mut creation = Self::of(kind.ok_or_else(|| unknown(name))?)?;
        if creation.kind == Kind::Array {
            let typecode = parts.next().unwrap_or_default().as_bytes();
            match typecode {
                &[code] if item_size(code).is_some() => creation.typecode = code,
                _ => return Err(bad_typecode()),
            }
        }
        if let Some(size) = parts.next() {
            let size = size.parse().ok().filter(|_| SIZED.contains(&creation.kind));
            let size = size.filter(|_| parts.next().is_none());
            creation.size = Some(size.ok_or_else(|| bad_size(text))?);
        }
        match (creation.kind, creation.size) {
            (Kind::Barrier, None | Some(0)) => Err(bad_size(text)),
            _ => Ok(creation),
        }
    }
}

fn unknown(name: &str) -> Error {
    let kinds = Kind::ALL.into_iter().filter(|&kind| kind != Kind::Hosted);
    let kinds: Vec<_> = kinds.map(Kind::typeid).collect();
    let message = format!("there is no type '{name}' here, only {}", kinds.join(", "));
    crate::call::raise(crate::Exception::ValueError, message)
}

fn bad_size(text: &str) -> Error {
    let message = format!(
        "'{text}' is no type of object: a number belongs behind Queue, JoinableQueue, Semaphore \
         and BoundedSemaphore if you like, behind Barrier in any case (as in Barrier:2), and \
         behind the typecode of an Array"
    );
    crate::call::raise(crate::Exception::ValueError, message)
}

impl fmt::Display for Creation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.kind)?;
        if self.kind == Kind::Array {
            write!(formatter, ":{}", char::from(self.typecode))?;
        }
        self.size
            .map_or(Ok(()), |size| write!(formatter, ":{size}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_comes_back() {
        for text in [
            "list",
            "Queue",
            "Queue:100",
            "Array:i",
            "Array:d:8",
            "Barrier:2",
        ] {
            assert_eq!(text.parse::<Creation>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "Queue:",
            "Queue:x",
            "Queue:1:2",
            "list:3",
            "Array",
            "Array:x",
            "Barrier",
            "Barrier:0",
            "hosted object",
        ] {
            assert!(text.parse::<Creation>().is_err(), "{text}");
        }
    }
}
