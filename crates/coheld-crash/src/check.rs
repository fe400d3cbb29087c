//! What the next process finds: recovery on a copy of the segment.

use std::io;
use std::sync::Arc;

use coheld_shm::{Error, MemberState, MemberView, Referent, Segment};
use coheld_store::{Array, Dict, Input, Key, KeyHasher, List, Set, Value, kinds, verify};

use crate::{
    cases::{Operation, Place},
    image::Image,
    stage::{Stage, StageBacking},
};

mod hosted;
mod waiting;

/// What the shared structures say, for comparison.
pub type State = Vec<String>;

/// Longer than any lease or reservation lasts.
pub(crate) const AGES: u64 = 1_000_000;

/// Judges images, on memory of its own.
pub(crate) struct Judge {
    stage: Arc<Stage>,
    /// Seconds that have passed between the death and what is done about it. If any have, leases
    /// are looked after as well, as the manager does.
    pub elapsed: u64,
}

impl Judge {
    pub(crate) fn new(length: usize) -> io::Result<Self> {
        let stage = Stage::new(length)?;
        Ok(Self { stage, elapsed: 0 })
    }

    /// A copy of `image` in which only the members in `alive` live, joined by this process.
    fn open(&mut self, image: &Image, alive: &[u32], elapsed: u64) -> Result<Segment, String> {
        self.stage.set(image);
        let backing = StageBacking::new(&self.stage, alive, elapsed);
        let segment = Segment::attach(Box::new(backing)).map_err(|error| error.to_string())?;
        segment.set_mender(coheld_store::MENDER);
        segment.join().map_err(|error| error.to_string())?;
        Ok(segment)
    }

    fn recover(&mut self, image: &Image, alive: &[u32], elapsed: u64) -> Result<Segment, String> {
        let segment = self.open(image, alive, elapsed)?;
        let lost = || {
            let members = segment.members().into_iter();
            let lost = |member: &MemberView| {
                !matches!(member.state, MemberState::Alive | MemberState::Reserved)
            };
            members.filter(lost).count()
        };
        let expected = lost();
        let reaped = segment.reap_dead();
        if reaped != expected || lost() > 0 {
            return Err(format!("{reaped} of {expected} dead members reaped"));
        }
        if elapsed > 0 {
            segment.expire_leases();
        }
        verified(&segment, "after recovery")?;
        if !segment.lanes_idle() {
            return Err("a lane is not at rest after recovery".into());
        }
        Ok(segment)
    }

    /// Recovers a copy of `image`, in which only the members in `alive` live, does what `then`
    /// says, and reads every place.
    pub(crate) fn state_of(
        &mut self,
        image: &Image,
        alive: &[u32],
        places: &[Place],
        then: Option<Operation>,
    ) -> Result<State, String> {
        let segment = self.recover(image, alive, self.elapsed)?;
        if let Some(operation) = then {
            operation(&segment, places).map_err(|error| error.to_string())?;
        }
        places.iter().map(|place| read(&segment, place)).collect()
    }

    /// Whether the structures can be worked on after recovery.
    pub(crate) fn usable(
        &mut self,
        image: &Image,
        alive: &[u32],
        places: &[Place],
    ) -> Result<(), String> {
        let segment = self.recover(image, alive, self.elapsed)?;
        for place in places {
            if let Some(referent) = find(&segment, place)? {
                use_it(&referent).map_err(|error| format!("after recovery: {error}"))?;
            }
        }
        verified(&segment, "after use")
    }

    /// With everybody dead nothing may be left, once leases and reservations have run out.
    pub(crate) fn empty_without_anybody(&mut self, image: &Image) -> Result<(), String> {
        let segment = self.recover(image, &[], AGES)?;
        let left = segment.statistics();
        if left.referents == 0 && left.blocks == 0 && left.members == 1 {
            Ok(())
        } else {
            Err(format!("with every holder dead: {left:?}"))
        }
    }
}

fn verified(segment: &Segment, when: &str) -> Result<(), String> {
    verify(segment).map(drop).map_err(|problems| {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        format!("{when}: {}", lines.join("; "))
    })
}

/// The referent of a place, unless nobody referred to it any more.
fn find<'s>(segment: &'s Segment, place: &Place) -> Result<Option<Referent<'s>>, String> {
    let referent = segment
        .referent(place.offset, place.generation)
        .map_err(|error| error.to_string())?;
    match referent.lock() {
        Ok(_) => Ok(Some(referent)),
        Err(Error::ReferentGone { .. }) => Ok(None),
        Err(error) => Err(error.to_string()),
    }
}

fn read(segment: &Segment, place: &Place) -> Result<String, String> {
    let text = |error: coheld_store::StoreError| error.to_string();
    let Some(referent) = find(segment, place)? else {
        return Ok("gone".into());
    };
    let kind = referent.kind();
    if (kinds::referent::LOCK..=kinds::referent::JOINABLE_QUEUE).contains(&kind) {
        return waiting::read(&referent).map_err(text);
    }
    if matches!(kind, kinds::referent::HOSTED | kinds::referent::CHANNEL) {
        return hosted::read(&referent).map_err(text);
    }
    let snapshot = match kind {
        kinds::referent::LIST => List::new(&referent).snapshot().map_err(text)?,
        kinds::referent::DICT => Dict::new(&referent).snapshot_items().map_err(text)?,
        kinds::referent::SET => Set::new(&referent).snapshot().map_err(text)?,
        kinds::referent::ARRAY => {
            let bytes = Array::new(&referent).to_bytes().map_err(text)?;
            return Ok(format!("{bytes:?}"));
        }
        _ => return Ok(format!("{:?}", Value::new(&referent).get().map_err(text)?)),
    };
    // Places of blocks differ between runs, contents do not; edges name their referent.
    let lines: Vec<String> = snapshot.iter().map(|value| format!("{value:?}")).collect();
    Ok(lines.join(", "))
}

/// Works with a referent.
fn use_it(referent: &Referent<'_>) -> coheld_store::Result<()> {
    let value = Input::str("a value that needs a block of its own");
    let hasher = KeyHasher::new(referent.segment().secret());
    match referent.kind() {
        kinds::referent::LIST => {
            let list = List::new(referent);
            list.append(&value)?;
            list.insert(0, &value)?;
            list.pop(-1).map(drop)
        }
        kinds::referent::DICT => {
            let dict = Dict::new(referent);
            for key in ["first new key", "second", "t"] {
                let key = Key::str(key, &hasher);
                dict.insert(&key, &value)?;
                dict.remove(&key)?;
                dict.insert(&key, &value)?;
            }
            Ok(())
        }
        kinds::referent::SET => {
            let set = Set::new(referent);
            for key in ["first new key, in a block", "t"] {
                let key = Key::str(key, &hasher);
                set.add(&key)?;
                set.discard(&key)?;
                set.add(&key)?;
            }
            Ok(())
        }
        kinds::referent::VALUE => Value::new(referent).set(&value),
        kinds::referent::ARRAY => Array::new(referent).set(0, 1),
        kinds::referent::LOCK..=kinds::referent::JOINABLE_QUEUE => waiting::usable(referent),
        kinds::referent::HOSTED | kinds::referent::CHANNEL => hosted::usable(referent),
        _ => Ok(()),
    }
}

fn expect(truth: bool, otherwise: &'static str) -> coheld_store::Result<()> {
    if truth {
        Ok(())
    } else {
        Err(coheld_store::StoreError::Corrupted(otherwise))
    }
}
