//! Looking over a whole segment: does every word, block, edge and index say the same?
//!
//! The heap knows which blocks are in use, the referents know which they own; the two must agree
//! to the block. Nothing is locked: for [`verify`] the segment has to be at rest (in tests, after a
//! recovery). [`examine`] bears others that use it meanwhile. Private memory is taken freely, no
//! lock is held.

mod live;
mod table;
mod walk;

use core::fmt;

use coheld_shm::Segment;

pub use self::live::{Examination, LOOKS, Look, Size, examine, look};
use self::walk::Walk;
use crate::error::StoreError;
use crate::kinds;

/// What a sound segment holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Referents that are alive.
    pub referents: u64,
    /// Blocks in use.
    pub blocks: u64,
    /// Bytes of these blocks, headers and rounding included.
    pub bytes: u64,
    /// Data edges.
    pub edges: u64,
}

/// Something that is wrong in a segment.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Problem {
    /// A lane holds the traces of an operation, though none is under way.
    LaneInUse,
    /// A block is in use and nothing owns it.
    Leaked {
        /// Offset of the block.
        block: u64,
        /// Its kind, as its header says.
        kind: u8,
        /// Its size.
        bytes: u64,
    },
    /// A word names a block that is not in use.
    Dangling {
        /// The word.
        word: u64,
        /// Offset of the referent in which it was found.
        referent: u64,
    },
    /// Two words own one block.
    OwnedTwice {
        /// Offset of the block.
        block: u64,
        /// Offset of the referent in which the second one was found.
        referent: u64,
    },
    /// A word holds an edge to a referent that is not there.
    LostEdge {
        /// The word.
        word: u64,
        /// Offset of the referent in which it was found.
        referent: u64,
    },
    /// A referent counts another number of edges than there are.
    EdgeCount {
        /// Offset of the referent.
        referent: u64,
        /// Edges that it counts.
        counted: u64,
        /// Edges that were found.
        found: u64,
    },
    /// A referent is there though nobody refers to it.
    Unreferenced {
        /// Offset of the referent.
        referent: u64,
    },
    /// A referent is half made or half taken apart.
    NotAlive {
        /// Offset of the referent.
        referent: u64,
    },
    /// The structure of a referent contradicts itself.
    Broken {
        /// Offset of the referent.
        referent: u64,
        /// Its kind (`kinds::referent`).
        kind: u8,
        /// What is wrong with it.
        what: &'static str,
        /// Offset of the place.
        at: u64,
    },
    /// A part could not even be read.
    Unreadable {
        /// Offset of the referent.
        referent: u64,
        /// Why not.
        error: String,
    },
}

impl Problem {
    /// The block or referent that it is about; 0 for the segment.
    #[must_use]
    pub fn place(&self) -> u64 {
        match *self {
            Self::LaneInUse => 0,
            Self::Leaked { block, .. } | Self::OwnedTwice { block, .. } => block,
            Self::Dangling { referent, .. }
            | Self::LostEdge { referent, .. }
            | Self::EdgeCount { referent, .. }
            | Self::Unreferenced { referent }
            | Self::NotAlive { referent }
            | Self::Broken { referent, .. }
            | Self::Unreadable { referent, .. } => referent,
        }
    }

    /// The name of this kind of problem, for programs.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::LaneInUse => "lane-in-use",
            Self::Leaked { .. } => "leaked",
            Self::Dangling { .. } => "dangling",
            Self::OwnedTwice { .. } => "owned-twice",
            Self::LostEdge { .. } => "lost-edge",
            Self::EdgeCount { .. } => "edge-count",
            Self::Unreferenced { .. } => "unreferenced",
            Self::NotAlive { .. } => "not-alive",
            Self::Broken { .. } => "broken",
            Self::Unreadable { .. } => "unreadable",
        }
    }

    fn unreadable(referent: u64, error: &StoreError) -> Self {
        Self::Unreadable {
            referent,
            error: error.to_string(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LaneInUse => formatter.write_str("a lane holds the traces of an operation"),
            Self::Leaked { block, kind, bytes } => write!(
                formatter,
                "the block at {block:#x} (kind {kind}, {bytes} bytes) is in use, nothing owns it"
            ),
            Self::Dangling { word, referent } => write!(
                formatter,
                "the word {word:#x} in the referent at {referent:#x} names no block in use"
            ),
            Self::OwnedTwice { block, referent } => write!(
                formatter,
                "the block at {block:#x} has two owners, one in the referent at {referent:#x}"
            ),
            Self::LostEdge { word, referent } => write!(
                formatter,
                "the word {word:#x} in the referent at {referent:#x} is an edge to no referent"
            ),
            Self::EdgeCount {
                referent,
                counted,
                found,
            } => write!(
                formatter,
                "the referent at {referent:#x} counts {counted} edges, there are {found}"
            ),
            Self::Unreferenced { referent } => {
                write!(formatter, "nobody refers to the referent at {referent:#x}")
            }
            Self::NotAlive { referent } => write!(
                formatter,
                "the referent at {referent:#x} is half made or half taken apart"
            ),
            Self::Broken {
                referent,
                kind,
                what,
                at,
            } => write!(
                formatter,
                "the {} at {referent:#x} is broken: {what} (at {at:#x})",
                kinds::referent::name(*kind)
            ),
            Self::Unreadable { referent, error } => {
                write!(
                    formatter,
                    "the referent at {referent:#x} cannot be read: {error}"
                )
            }
        }
    }
}

/// Looks a segment over that is at rest. All problems, if there are any.
pub fn verify(segment: &Segment) -> Result<Report, Vec<Problem>> {
    let mut walk = Walk::new(segment);
    if !segment.lanes_idle() {
        walk.problems.push(Problem::LaneInUse);
    }
    walk.collect();
    for index in 0..walk.referents.len() {
        walk.visit_referent(index);
    }
    walk.compare();
    if walk.problems.is_empty() {
        Ok(walk.report)
    } else {
        Err(walk.problems)
    }
}
