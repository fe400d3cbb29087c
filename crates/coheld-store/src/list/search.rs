//! `in`, `index` and `count` for plain values, without copying the list.
//!
//! Python's equality runs no code of the user when both sides are plain. So the words can be
//! compared under the lock; as soon as an element might be anything (a pickle, a proxy) the answer
//! is "unknown" and the caller goes through a snapshot.

use coheld_shm::Segment;

use super::List;
use super::window::Window;
use crate::arithmetic::canonical;
use crate::error::Result;
use crate::{block, kinds, word};

/// Where a value is in a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Search {
    /// The first element that equals the value.
    Found {
        /// Its index.
        index: u64,
        /// The version of the list, for [`List::delete`].
        version: u64,
    },
    /// No element equals the value.
    Absent,
    /// An element whose equality only Python knows comes before any that equals the value.
    Unknown,
}

/// Whether an element equals the value that is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Equal,
    Different,
    Unknown,
}

impl List<'_> {
    /// `list.index(value, start, stop)` for a value that fits in a word.
    pub fn find(&self, value: u64, start: i64, stop: i64) -> Result<Search> {
        let needle = canonical(value);
        let guard = self.referent.lock()?;
        let window = Window::read(&guard)?;
        let mut index = window.clamp(start);
        while index < window.clamp(stop) {
            match compare(
                guard.segment(),
                needle,
                guard.segment().load(window.cell(index))?,
            )? {
                Answer::Equal => {
                    return Ok(Search::Found {
                        index,
                        version: guard.version(),
                    });
                }
                Answer::Different => {}
                Answer::Unknown => return Ok(Search::Unknown),
            }
            index += 1;
        }
        Ok(Search::Absent)
    }

    /// `list.count(value)` for a value that fits in a word; `None` if only Python knows.
    pub fn count(&self, value: u64) -> Result<Option<u64>> {
        let needle = canonical(value);
        let guard = self.referent.lock()?;
        let window = Window::read(&guard)?;
        let mut equal = 0;
        for index in 0..window.count {
            match compare(
                guard.segment(),
                needle,
                guard.segment().load(window.cell(index))?,
            )? {
                Answer::Equal => equal += 1,
                Answer::Different => {}
                Answer::Unknown => return Ok(None),
            }
        }
        Ok(Some(equal))
    }
}

#[inline]
fn compare(segment: &Segment, needle: u64, element: u64) -> Result<Answer> {
    match word::tag_of(element) {
        word::tag::EDGE => Ok(Answer::Unknown),
        word::tag::BLOCK => compare_block(segment, needle, element),
        // A NaN equals nothing: the one in the list is never the very object that is asked for.
        _ if canonical(element) == needle && needle != word::NAN => Ok(Answer::Equal),
        _ => Ok(Answer::Different),
    }
}

/// A plain value in a block is one that does not fit in a word, so it equals none that does,
/// except that an integer of more than 60 bits may equal a float.
fn compare_block(segment: &Segment, needle: u64, element: u64) -> Result<Answer> {
    use kinds::block::{BIGINT, BYTES, FLOAT, STR, STR_SURROGATE};
    Ok(match block::header_of_word(segment, element)?.kind {
        BIGINT if word::tag_of(needle) == word::tag::FLOAT => Answer::Unknown,
        BIGINT | STR | STR_SURROGATE | BYTES | FLOAT => Answer::Different,
        _ => Answer::Unknown,
    })
}
