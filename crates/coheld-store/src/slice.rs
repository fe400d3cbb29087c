//! Slices as Python defines them: absent bounds, negative bounds, any step but zero.

use crate::error::{Result, StoreError};

/// `start:stop:step` as it was written. Bounds beyond 64 bits are given as the nearest `i64`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Slice {
    /// First index, negative from the end; absent: from the side where the step begins.
    pub start: Option<i64>,
    /// Index to stop before, negative from the end; absent: to the other side.
    pub stop: Option<i64>,
    /// Distance between two indices; absent: 1.
    pub step: Option<i64>,
}

/// The indices that a slice picks from a sequence of a certain length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// First index. With an empty slice: where an assignment inserts.
    pub start: i64,
    /// Distance between two indices, never 0.
    pub step: i64,
    /// Number of indices.
    pub count: u64,
}

impl Slice {
    /// The whole sequence.
    pub const FULL: Self = Self {
        start: None,
        stop: None,
        step: None,
    };

    /// `start:stop`.
    #[must_use]
    pub const fn range(start: i64, stop: i64) -> Self {
        Self {
            start: Some(start),
            stop: Some(stop),
            step: None,
        }
    }

    /// Whether an assignment may change the length of the sequence.
    #[must_use]
    pub fn is_contiguous(&self) -> bool {
        self.step.unwrap_or(1) == 1
    }

    /// What `slice.indices(length)` says in Python. [`StoreError::ZeroStep`] for a step of 0.
    pub fn resolve(&self, length: u64) -> Result<Resolved> {
        // The smallest step is clipped so that it can be negated, as CPython does.
        let step = self.step.unwrap_or(1).max(-i64::MAX);
        if step == 0 {
            return Err(StoreError::ZeroStep);
        }
        let length = i64::try_from(length).unwrap_or(i64::MAX);
        let (low, high) = if step < 0 {
            (-1, length - 1)
        } else {
            (0, length)
        };
        let bound = |value: i64| {
            if value < 0 {
                value.saturating_add(length).max(low)
            } else {
                value.min(high)
            }
        };
        let (first, last) = if step < 0 { (high, low) } else { (low, high) };
        let start = self.start.map_or(first, bound);
        let stop = self.stop.map_or(last, bound);
        let distance = if step < 0 { start - stop } else { stop - start };
        let count = if distance > 0 {
            (distance.cast_unsigned() - 1) / step.unsigned_abs() + 1
        } else {
            0
        };
        Ok(Resolved { start, step, count })
    }
}

impl Resolved {
    /// `start`, where the step is positive (with it the start is not negative).
    #[inline]
    #[must_use]
    pub fn first(&self) -> u64 {
        self.start.cast_unsigned()
    }

    /// The `number`-th index that the slice picks; `number` is below `count`.
    #[inline]
    #[must_use]
    pub fn index(&self, number: u64) -> u64 {
        (self.start + self.step * number.cast_signed()).cast_unsigned()
    }

    /// The same indices in ascending order.
    #[must_use]
    pub fn ascending(self) -> Self {
        if self.step > 0 || self.count == 0 {
            return self;
        }
        let start = self.start + self.step * (self.count.cast_signed() - 1);
        Self {
            start,
            step: -self.step,
            count: self.count,
        }
    }
}

/// Which of `count` elements an index of Python means, if any.
#[inline]
pub(crate) fn locate(index: i64, count: u64) -> Option<u64> {
    let index = if index < 0 {
        index.checked_add_unsigned(count)?
    } else {
        index
    };
    (index >= 0 && index.cast_unsigned() < count).then_some(index.cast_unsigned())
}

/// The position before which `insert(index, x)` puts its element: every index is good.
#[inline]
pub(crate) fn clamp(index: i64, count: u64) -> u64 {
    let index = if index < 0 {
        index.saturating_add_unsigned(count).max(0)
    } else {
        index
    };
    index.cast_unsigned().min(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picked(start: Option<i64>, stop: Option<i64>, step: Option<i64>, length: u64) -> Vec<u64> {
        let resolved = Slice { start, stop, step }.resolve(length).unwrap();
        (0..resolved.count)
            .map(|number| resolved.index(number))
            .collect()
    }

    #[test]
    fn slices_pick_what_python_picks() {
        assert_eq!(picked(None, None, None, 4), [0, 1, 2, 3]);
        assert_eq!(picked(None, None, Some(-1), 4), [3, 2, 1, 0]);
        assert_eq!(picked(Some(-3), Some(-1), None, 4), [1, 2]);
        assert_eq!(picked(Some(-100), Some(100), Some(3), 8), [0, 3, 6]);
        assert_eq!(picked(Some(100), Some(-100), Some(-3), 8), [7, 4, 1]);
        assert_eq!(picked(Some(5), Some(2), None, 8), [0; 0]);
        assert_eq!(picked(Some(2), Some(5), Some(-1), 8), [0; 0]);
        assert_eq!(picked(None, None, Some(i64::MIN), 4), [3]);
        assert_eq!(picked(None, None, Some(i64::MAX), 4), [0]);
        assert_eq!(picked(Some(i64::MIN), Some(i64::MAX), Some(1), 2), [0, 1]);
        assert_eq!(picked(None, None, None, 0), [0; 0]);
        assert_eq!(picked(None, None, Some(-1), 0), [0; 0]);
    }

    #[test]
    fn an_empty_slice_says_where_an_assignment_inserts() {
        assert_eq!(Slice::range(5, 2).resolve(8).unwrap().start, 5);
        assert_eq!(Slice::range(50, 60).resolve(8).unwrap().start, 8);
    }

    #[test]
    fn a_step_of_zero_is_refused() {
        let slice = Slice {
            start: None,
            stop: None,
            step: Some(0),
        };
        assert!(matches!(slice.resolve(3), Err(StoreError::ZeroStep)));
    }

    #[test]
    fn ascending_picks_the_same_indices() {
        let slice = Slice {
            start: None,
            stop: None,
            step: Some(-3),
        };
        let ascending = slice.resolve(8).unwrap().ascending();
        let indices: Vec<u64> = (0..ascending.count).map(|n| ascending.index(n)).collect();
        assert_eq!(indices, [1, 4, 7]);
    }
}
