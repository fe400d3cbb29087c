//! `ArrayProxy`.

use std::marker::PhantomData;
use std::sync::Arc;

use coheld_store::{Array, Slice, StoreError};

use super::common::{deserialize_proxy, lockable, typed_proxy};
use super::{ArrayView, Kind, Proxy};
use crate::value::ValueError;
use crate::{Attachment, Error, Value};

/// A machine type of which arrays can be made. Implemented for the integers up to 64 bits and for
/// the floats.
///
/// ```
/// use coheld::proxy::Item;
///
/// assert_eq!(<f32 as Item>::SIZE, 4);
/// assert_eq!(<u8 as Item>::TYPECODES, b"B");
/// ```
pub trait Item: Copy + sealed::Sealed {
    /// The typecodes of Python's `array` that this type reads. New arrays get the first one.
    const TYPECODES: &'static [u8];
    /// Bytes of an item.
    const SIZE: u8;
    #[doc(hidden)]
    fn to_bits(self) -> u64;
    #[doc(hidden)]
    fn from_bits(bits: u64) -> Self;
}

mod sealed {
    pub trait Sealed {}
}

macro_rules! items {
    ($($item:ty as $unsigned:ty: $codes:literal),* $(,)?) => {$(
        impl sealed::Sealed for $item {}

        impl Item for $item {
            const TYPECODES: &'static [u8] = $codes;
            const SIZE: u8 = size_of::<$item>() as u8;

            #[inline]
            fn to_bits(self) -> u64 {
                u64::from(<$unsigned>::from_le_bytes(self.to_le_bytes()))
            }

            #[inline]
            fn from_bits(bits: u64) -> Self {
                Self::from_le_bytes((bits as $unsigned).to_le_bytes())
            }
        }
    )*};
}

items! {
    i8 as u8: b"b", u8 as u8: b"B", i16 as u16: b"h", u16 as u16: b"H", i32 as u32: b"i",
    u32 as u32: b"I", i64 as u64: b"ql", u64 as u64: b"QL", f32 as u32: b"f", f64 as u64: b"d",
}

/// A shared array of a machine type.
///
/// ```
/// use coheld::Manager;
///
/// let manager = Manager::start()?;
/// let array = manager.array(&[1.5, 2.5, 3.5])?;
/// array.set(-1, 4.5)?;
/// assert_eq!(array.to_vec()?, [1.5, 2.5, 4.5]);
/// # Ok::<(), coheld::Error>(())
/// ```
pub struct ArrayProxy<T> {
    proxy: Proxy,
    content: PhantomData<fn() -> T>,
}

typed_proxy!(ArrayProxy<T>);
lockable!(ArrayProxy<T>);
deserialize_proxy!([T: Item] ArrayProxy<T>);

impl<T: Item> TryFrom<Proxy> for ArrayProxy<T> {
    type Error = Error;

    fn try_from(proxy: Proxy) -> Result<Self, Error> {
        let proxy = proxy.expect(&[Kind::Array])?;
        let found = Array::new(&proxy.referent()?).typecode()?;
        if T::TYPECODES.contains(&found) {
            return Ok(Self::over(proxy));
        }
        let (found, wanted) = (char::from(found), char::from(T::TYPECODES[0]));
        let why = format!("the array has the typecode '{found}', not '{wanted}'");
        Err(ValueError::Mismatch(why).into())
    }
}

impl<T> ArrayProxy<T> {
    fn over(proxy: Proxy) -> Self {
        Self {
            proxy,
            content: PhantomData,
        }
    }

    /// Number of items.
    pub fn len(&self) -> Result<usize, Error> {
        Ok(Array::new(&self.proxy.referent()?).len()? as usize)
    }

    /// Whether there is no item.
    pub fn is_empty(&self) -> Result<bool, Error> {
        Ok(self.len()? == 0)
    }
}

impl<T: Item> ArrayProxy<T> {
    /// A new array with these items.
    ///
    /// ```
    /// use coheld::ArrayProxy;
    ///
    /// let manager = coheld::Manager::start()?;
    /// let zeros = ArrayProxy::create(manager.attachment(), &[0_u8; 16])?;
    /// assert_eq!(zeros.len()?, 16);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn create(attachment: &Arc<Attachment>, items: &[T]) -> Result<Self, Error> {
        let auxiliary = Array::auxiliary(T::TYPECODES[0], T::SIZE);
        let made = Self::over(Proxy::create(attachment, Kind::Array, auxiliary)?);
        made.replace(items)?;
        Ok(made)
    }

    /// The item at `index`; negative ones count from the end.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let array = manager.array(&[7_i32, 8, 9])?;
    /// assert_eq!((array.get(0)?, array.get(-1)?), (7, 9));
    /// assert!(array.get(3).unwrap_err().is_missing());
    /// # Ok::<(), coheld::Error>(())
    /// ```
    #[inline]
    pub fn get(&self, index: i64) -> Result<T, Error> {
        Ok(T::from_bits(
            Array::new(&self.proxy.referent()?).get(index)?,
        ))
    }

    /// Replaces the item at `index`.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let pixels = manager.array(&[0_u8; 4])?;
    /// pixels.set(2, 255)?;
    /// assert_eq!(pixels.to_vec()?, [0, 0, 255, 0]);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    #[inline]
    pub fn set(&self, index: i64, item: T) -> Result<(), Error> {
        Ok(Array::new(&self.proxy.referent()?).set(index, item.to_bits())?)
    }

    /// The items where they are, to work on without the lock and without copies.
    ///
    /// From now on the array keeps its length: what would change it is
    /// [`StoreError::Viewed`].
    ///
    /// ```
    /// use coheld::Manager;
    ///
    /// let manager = Manager::start()?;
    /// let array = manager.array(&[1.5, 2.5, 3.5])?;
    /// let view = array.view()?;
    /// array.set(0, 4.5)?;
    /// assert!(view.set(2, 0.5));
    /// assert_eq!(view.iter().sum::<f64>(), 7.5);
    /// assert_eq!(array.to_vec()?, [4.5, 2.5, 0.5]);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn view(&self) -> Result<ArrayView<T>, Error> {
        let extent = Array::new(&self.proxy.referent()?).extent()?;
        if extent.item_size != T::SIZE {
            let why = "the items of an array have another size than its typecode says";
            return Err(StoreError::Corrupted(why).into());
        }
        Ok(ArrayView::over(self.proxy.clone(), extent))
    }

    /// All items at one moment.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let array = manager.array(&[0.5, 1.5])?;
    /// assert_eq!(array.to_vec()?.iter().sum::<f64>(), 2.0);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn to_vec(&self) -> Result<Vec<T>, Error> {
        self.slice_by(Slice::FULL)
    }

    /// Iterates over the items that there are at this moment; later changes are not seen.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let array = manager.array(&[1_u64, 2, 3])?;
    /// assert_eq!(array.iter()?.sum::<u64>(), 6);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    #[allow(
        clippy::iter_not_returning_iterator,
        reason = "taking the copy can fail"
    )]
    pub fn iter(&self) -> Result<std::vec::IntoIter<T>, Error> {
        Ok(self.to_vec()?.into_iter())
    }

    /// The items from `start` up to before `stop`, as Python's `array[start:stop]`.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let array = manager.array(&[1_i64, 2, 3, 4])?;
    /// assert_eq!(array.slice(1, 3)?, [2, 3]);
    /// assert_eq!(array.slice(-1, 9)?, [4]);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn slice(&self, start: i64, stop: i64) -> Result<Vec<T>, Error> {
        self.slice_by(Slice::range(start, stop))
    }

    /// The items that a slice with any bounds and step picks.
    ///
    /// ```
    /// use coheld::Slice;
    ///
    /// let manager = coheld::Manager::start()?;
    /// let array = manager.array(&[1_u16, 2, 3, 4])?;
    /// let every_other = Slice { start: None, stop: None, step: Some(2) };
    /// assert_eq!(array.slice_by(every_other)?, [1, 3]);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn slice_by(&self, slice: Slice) -> Result<Vec<T>, Error> {
        let bytes = Array::new(&self.proxy.referent()?).slice(slice)?;
        let bits = bytes.chunks_exact(usize::from(T::SIZE)).map(bits_of_bytes);
        Ok(bits.map(T::from_bits).collect())
    }

    /// Makes the items the whole content.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let array = manager.array(&[1.0, 2.0])?;
    /// array.replace(&[3.0, 4.0, 5.0])?;
    /// assert_eq!(array.len()?, 3);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn replace(&self, items: &[T]) -> Result<(), Error> {
        let size = usize::from(T::SIZE);
        let mut bytes = Vec::with_capacity(items.len() * size);
        for item in items {
            bytes.extend_from_slice(&item.to_bits().to_le_bytes()[..size]);
        }
        Ok(Array::new(&self.proxy.referent()?).replace(&bytes)?)
    }
}

fn bits_of_bytes(bytes: &[u8]) -> u64 {
    let mut wide = [0; 8];
    wide[..bytes.len()].copy_from_slice(bytes);
    u64::from_le_bytes(wide)
}

/// The item of an array with any typecode, as a value.
pub(crate) fn value_of_bits(typecode: u8, bits: u64) -> Option<Value> {
    Some(match typecode {
        b'b' => Value::from(i8::from_bits(bits)),
        b'B' => Value::from(u8::from_bits(bits)),
        b'h' => Value::from(i16::from_bits(bits)),
        b'H' => Value::from(u16::from_bits(bits)),
        b'i' => Value::from(i32::from_bits(bits)),
        b'I' => Value::from(u32::from_bits(bits)),
        b'l' | b'q' => Value::from(i64::from_bits(bits)),
        b'L' | b'Q' => Value::from(bits),
        b'f' => Value::from(f64::from(f32::from_bits(bits as u32))),
        b'd' => Value::from(f64::from_bits(bits)),
        b'u' | b'w' => Value::from(char::from_u32(bits as u32)?.to_string()),
        _ => return None,
    })
}

/// The item of an array with any typecode for a value; `None` if the value does not fit.
pub(crate) fn bits_of_value(typecode: u8, value: &Value) -> Option<u64> {
    macro_rules! integer {
        ($int:ty) => {
            <$int>::try_from(value.as_int()?).ok()?.to_bits()
        };
    }
    Some(match typecode {
        b'b' => integer!(i8),
        b'B' => integer!(u8),
        b'h' => integer!(i16),
        b'H' => integer!(u16),
        b'i' => integer!(i32),
        b'I' => integer!(u32),
        b'l' | b'q' => integer!(i64),
        b'L' | b'Q' => match value {
            Value::BigInt(large) => u64::try_from(large.to_i128()?).ok()?,
            _ => integer!(u64),
        },
        b'f' => Item::to_bits(value.as_float()? as f32),
        b'd' => value.as_float()?.to_bits(),
        b'u' | b'w' => {
            let mut characters = value.as_str()?.chars();
            let only = characters.next().filter(|_| characters.next().is_none())?;
            u64::from(u32::from(only))
        }
        _ => return None,
    })
}
