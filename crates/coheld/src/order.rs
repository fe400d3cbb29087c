//! Sorting by comparisons that need not agree with each other.
//!
//! Those of the standard library may panic over such: over NaN, say, or when a program compares
//! badly. Python's never do, and what they give is some order of the same elements. Neither are
//! they to go on after a comparison that has failed.

/// The numbers below `count`, in the order that `is_less` says; equal ones keep theirs.
pub(crate) fn sorted<E>(
    count: usize,
    mut is_less: impl FnMut(usize, usize) -> Result<bool, E>,
) -> Result<Vec<u32>, E> {
    let mut from: Vec<u32> = (0..count as u32).collect();
    let mut into = Vec::with_capacity(count);
    let mut width = 1;
    while width < count {
        for run in from.chunks(2 * width) {
            let (left, right) = run.split_at(width.min(run.len()));
            merge(left, right, &mut into, &mut is_less)?;
        }
        std::mem::swap(&mut from, &mut into);
        into.clear();
        width *= 2;
    }
    Ok(from)
}

/// Adds both to `into`, each of which is sorted.
fn merge<E>(
    mut left: &[u32],
    mut right: &[u32],
    into: &mut Vec<u32>,
    is_less: &mut impl FnMut(usize, usize) -> Result<bool, E>,
) -> Result<(), E> {
    // What is sorted already takes one comparison.
    if let (Some(&last), Some(&first)) = (left.last(), right.first())
        && is_less(first as usize, last as usize)?
    {
        while let (Some((&one, later)), Some((&other, later_still))) =
            (left.split_first(), right.split_first())
        {
            if is_less(other as usize, one as usize)? {
                into.push(other);
                right = later_still;
            } else {
                into.push(one);
                left = later;
            }
        }
    }
    into.extend_from_slice(left);
    into.extend_from_slice(right);
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_the_order_of_the_library(keys in prop::collection::vec(0_u8..20, 0..200)) {
            let mut expected: Vec<u32> = (0..keys.len() as u32).collect();
            expected.sort_by_key(|&number| keys[number as usize]);
            let sorted = sorted(keys.len(), |one, other| Ok::<_, ()>(keys[one] < keys[other]));
            prop_assert_eq!(sorted.unwrap(), expected);
        }

        #[test]
        fn nothing_is_lost_whatever_the_comparisons_say(
            count in 0_usize..200,
            answers in prop::collection::vec(any::<bool>(), 1..50),
        ) {
            let mut answers = answers.iter().cycle();
            let sorted = sorted(count, |_, _| Ok::<_, ()>(*answers.next().unwrap()));
            let mut sorted = sorted.unwrap();
            sorted.sort_unstable();
            prop_assert_eq!(sorted, (0..count as u32).collect::<Vec<_>>());
        }
    }

    #[test]
    fn the_first_failure_is_the_end() {
        let mut comparisons = 0;
        let sorted = sorted(100, |_, _| {
            comparisons += 1;
            if comparisons == 7 {
                Err("the seventh")
            } else {
                Ok(true)
            }
        });
        assert_eq!((sorted, comparisons), (Err("the seventh"), 7));
    }
}
