//! Views: what a shared object holds, where it lies, without its lock.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;

use coheld_store::{Extent, Output};

use super::{Item, Proxy};
use crate::value::{ValueError, value_of_output};
use crate::{Attachment, Error, Handle, Value};

/// The items of a shared array where they are: [`ArrayProxy::view`](crate::ArrayProxy::view).
///
/// It keeps the array. Each item is read and written whole, but by no lock: what takes several
/// items or steps needs [`ArrayProxy::get_lock`](crate::ArrayProxy::get_lock), if others write too.
/// There is no slice of the items to be had, since other processes may change them at any time.
///
/// ```
/// let manager = coheld::Manager::start()?;
/// let array = manager.array(&[1_u16, 2, 3])?;
/// let view = array.view()?;
/// assert!(view.set(0, 7) && !view.set(3, 7));
/// let mut items = [0; 2];
/// assert_eq!(view.copy_to_slice(1, &mut items), 2);
/// assert_eq!((view.len(), view.get(0), items), (3, Some(7), [2, 3]));
/// assert_eq!(view.copy_from_slice(2, &[8, 9]), 1);
/// assert_eq!(array.to_vec()?, [7, 2, 8]);
/// # Ok::<(), coheld::Error>(())
/// ```
#[derive(Clone)]
pub struct ArrayView<T> {
    proxy: Proxy,
    extent: Extent,
    content: PhantomData<fn() -> T>,
}

impl<T: Item> ArrayView<T> {
    pub(super) fn over(proxy: Proxy, extent: Extent) -> Self {
        Self {
            proxy,
            extent,
            content: PhantomData,
        }
    }

    /// Number of items, which never changes.
    pub fn len(&self) -> usize {
        self.extent.count as usize
    }

    /// Whether there is no item.
    pub fn is_empty(&self) -> bool {
        self.extent.count == 0
    }

    /// The item at `index`; `None` beyond the end.
    #[inline]
    pub fn get(&self, index: usize) -> Option<T> {
        let segment = self.proxy.attachment().segment();
        let bits = segment.load_item(self.place(index)?, T::SIZE).ok()?;
        Some(T::from_bits(bits))
    }

    /// Replaces the item at `index`; whether there is one.
    #[inline]
    pub fn set(&self, index: usize, item: T) -> bool {
        let segment = self.proxy.attachment().segment();
        let place = self.place(index);
        place.is_some_and(|at| segment.store_item(at, T::SIZE, item.to_bits()).is_ok())
    }

    /// The items one after the other, each as it is when its turn comes.
    pub fn iter(&self) -> impl Iterator<Item = T> + '_ {
        (0..self.len()).map_while(|index| self.get(index))
    }

    /// Copies the items from `start` on into `items`, as many as there are; how many those were.
    pub fn copy_to_slice(&self, start: usize, items: &mut [T]) -> usize {
        let mut copied = 0;
        for (index, into) in (start..self.len()).zip(items) {
            match self.get(index) {
                Some(item) => *into = item,
                None => break,
            }
            copied += 1;
        }
        copied
    }

    /// Copies `items` to the places from `start` on, as many as fit; how many those were.
    pub fn copy_from_slice(&self, start: usize, items: &[T]) -> usize {
        let places = (start..self.len()).zip(items);
        places
            .take_while(|(index, item)| self.set(*index, **item))
            .count()
    }

    #[inline]
    fn place(&self, index: usize) -> Option<u64> {
        let within = index < self.len();
        within.then(|| self.extent.offset + index as u64 * u64::from(T::SIZE))
    }
}

impl<T> fmt::Debug for ArrayView<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Extent { count, .. } = self.extent;
        write!(formatter, "ArrayView({count} items of {:?})", self.proxy)
    }
}

/// The bytes of a value of a shared object: [`DictProxy::get_ref`](crate::DictProxy::get_ref).
///
/// Large bytes (64 KiB or more) are those in shared memory. They never change, and stay for as long
/// as this lives, whatever becomes of the object that they are a value of.
///
/// ```
/// use coheld::{Bytes, Manager};
///
/// let manager = Manager::start()?;
/// let list = manager.list::<Bytes>()?;
/// list.extend([Bytes(vec![7; 100_000]), Bytes(b"few".to_vec())])?;
/// let (many, few) = (list.get_ref(0)?, list.get_ref(-1)?);
/// list.clear()?;
/// assert_eq!((many.len(), &few[..]), (100_000, &b"few"[..]));
/// assert!(list.get_ref(0).unwrap_err().is_missing());
/// # Ok::<(), coheld::Error>(())
/// ```
pub struct BytesRef {
    content: Content,
}

enum Content {
    Shared { handle: Handle, extent: Extent },
    Own(Vec<u8>),
}

impl BytesRef {
    /// The bytes that were read out of an object behind `attachment`.
    pub(super) fn of(output: Output, attachment: &Arc<Attachment>) -> Result<Self, Error> {
        let value = match output {
            Output::Edge(lease) => {
                let handle = Handle::redeem(attachment, lease)?;
                if let Some(extent) = handle.bytes()? {
                    // Once here, so that it cannot fail later.
                    attachment.segment().frozen(extent.offset, extent.count)?;
                    let content = Content::Shared { handle, extent };
                    return Ok(Self { content });
                }
                Value::Proxy(Proxy::from_handle(handle)?)
            }
            output => value_of_output(output, attachment)?,
        };
        match value {
            Value::Bytes(bytes) => Ok(Self {
                content: Content::Own(bytes),
            }),
            other => {
                let why = format!("expected bytes, found {}", other.type_name());
                Err(ValueError::Mismatch(why).into())
            }
        }
    }
}

impl Deref for BytesRef {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match &self.content {
            Content::Own(bytes) => bytes,
            // It was possible when this was made, and neither bounds nor capacity change.
            Content::Shared { handle, extent } => {
                let segment = handle.attachment().segment();
                let bytes = segment.frozen(extent.offset, extent.count);
                bytes.unwrap_or_default()
            }
        }
    }
}

impl AsRef<[u8]> for BytesRef {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl fmt::Debug for BytesRef {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "BytesRef({} bytes)", self.len())
    }
}
