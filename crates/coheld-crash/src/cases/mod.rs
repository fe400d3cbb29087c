//! The operations that are explored.

mod counter;
mod dict;
mod hosted;
mod list;
mod members;
mod nested;
pub mod recovery;
mod rest;
mod waiting;

use coheld_shm::{Referent, Segment};
use coheld_store::{Result, StoreError};

/// A referent of the case.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// Where it is.
    pub offset: u64,
    /// Which one.
    pub generation: u32,
}

/// What is done to prepared structures.
pub type Operation = fn(&Segment, &[Place]) -> Result<()>;

/// One operation on prepared structures.
pub struct Case {
    /// What it does.
    pub name: &'static str,
    /// Makes the structures; what it returns is read and compared.
    pub build: fn(&Segment) -> Result<Vec<Place>>,
    /// The operation.
    pub run: Operation,
    /// Whether the short run of the test suite includes it.
    pub sample: bool,
    /// Whether the process that dies begins as a stranger: neither a member, nor a holder of the
    /// places.
    pub stranger: bool,
}

/// Every case.
#[must_use]
pub fn all() -> Vec<Case> {
    [
        list::cases(),
        dict::cases(),
        nested::cases(),
        counter::cases(),
        waiting::cases(),
        hosted::cases(),
        rest::cases(),
        members::cases(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// A case in a table: what it does, what makes the structures, the operation, whether the short run
/// includes it, whether its process begins as a stranger.
type Row = (
    &'static str,
    fn(&Segment) -> Result<Vec<Place>>,
    Operation,
    bool,
    bool,
);

fn cases_of(rows: &[Row]) -> Vec<Case> {
    let case = |&(name, build, run, sample, stranger): &Row| Case {
        name,
        build,
        run,
        sample,
        stranger,
    };
    rows.iter().map(case).collect()
}

fn create(segment: &Segment, kind: u8) -> Result<Place> {
    create_with(segment, kind, 0)
}

fn create_with(segment: &Segment, kind: u8, auxiliary: u64) -> Result<Place> {
    let created = segment.create_referent(kind, auxiliary);
    let (offset, generation) = created.map_err(StoreError::from)?;
    Ok(Place { offset, generation })
}

fn at<'s>(segment: &'s Segment, place: &Place) -> Result<Referent<'s>> {
    Ok(segment.referent(place.offset, place.generation)?)
}
