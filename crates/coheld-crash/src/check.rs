//! What the next process finds: recovery on a copy of the segment.

use coheld_shm::{Segment, backing::SnapshotBacking};
use coheld_store::{Dict, Input, List, Set, Value, kinds, verify};

use crate::cases::Place;

mod hosted;
mod waiting;

/// What the shared structures say, for comparison.
pub type State = Vec<String>;

/// Longer than any lease or reservation lasts.
const AGES: u64 = 1_000_000;

fn open(image: &[u8], dead: &[u32], elapsed: u64) -> Result<Segment, String> {
    let backing = SnapshotBacking::new(image, dead);
    backing.advance_clock(elapsed);
    let segment = Segment::attach(Box::new(backing)).map_err(|error| error.to_string())?;
    segment.set_mender(coheld_store::MENDER);
    segment.join().map_err(|error| error.to_string())?;
    Ok(segment)
}

fn recover(image: &[u8], dead: &[u32], elapsed: u64) -> Result<Segment, String> {
    let segment = open(image, dead, elapsed)?;
    let reaped = segment.reap_dead();
    if reaped != dead.len() {
        return Err(format!("{reaped} of {} dead members reaped", dead.len()));
    }
    verified(&segment, "after recovery")?;
    if !segment.lanes_idle() {
        return Err("a lane is not at rest after recovery".into());
    }
    Ok(segment)
}

fn verified(segment: &Segment, when: &str) -> Result<(), String> {
    verify(segment).map(drop).map_err(|problems| {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        format!("{when}: {}", lines.join("; "))
    })
}

/// Recovers a copy of `image`, in which the members `dead` have died, and reads every place.
pub fn state_of(image: &[u8], dead: &[u32], places: &[Place]) -> Result<State, String> {
    let segment = recover(image, dead, 0)?;
    places.iter().map(|place| read(&segment, place)).collect()
}

/// The slot of the member that is not `own`.
pub fn other_member(image: &[u8], own: u32) -> Result<u32, String> {
    let segment = open(image, &[], 0)?;
    let mine = segment.own_slot().unwrap_or(u32::MAX);
    (0..segment.member_limit())
        .find(|&slot| slot != own && slot != mine && segment.identity_of(slot).pid != 0)
        .ok_or_else(|| "the child is no member".into())
}

fn read(segment: &Segment, place: &Place) -> Result<String, String> {
    let text = |error: coheld_store::StoreError| error.to_string();
    let referent = segment
        .referent(place.offset, place.generation)
        .map_err(|error| error.to_string())?;
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
        _ => return Ok(format!("{:?}", Value::new(&referent).get().map_err(text)?)),
    };
    // Places of blocks differ between runs, contents do not; edges name their referent.
    let lines: Vec<String> = snapshot.iter().map(|value| format!("{value:?}")).collect();
    Ok(lines.join(", "))
}

/// Whether the structures can be worked on after recovery.
pub fn usable(image: &[u8], dead: &[u32], places: &[Place]) -> Result<(), String> {
    let segment = recover(image, dead, 0)?;
    let value = Input::str("a value that needs a block of its own");
    for place in places {
        let text = |error: coheld_store::StoreError| format!("after recovery: {error}");
        let referent = segment
            .referent(place.offset, place.generation)
            .map_err(|error| error.to_string())?;
        match referent.kind() {
            kinds::referent::LIST => {
                let list = List::new(&referent);
                list.append(&value).map_err(text)?;
                list.insert(0, &value).map_err(text)?;
                list.pop(-1).map_err(text)?;
            }
            kinds::referent::DICT => {
                let hasher = coheld_store::KeyHasher::new(segment.secret());
                let dict = Dict::new(&referent);
                for key in ["first new key", "second", "t"] {
                    let key = coheld_store::Key::str(key, &hasher);
                    dict.insert(&key, &value).map_err(text)?;
                    dict.remove(&key).map_err(text)?;
                    dict.insert(&key, &value).map_err(text)?;
                }
            }
            kinds::referent::VALUE => Value::new(&referent).set(&value).map_err(text)?,
            kinds::referent::LOCK..=kinds::referent::JOINABLE_QUEUE => {
                waiting::usable(&referent).map_err(text)?;
            }
            kinds::referent::HOSTED | kinds::referent::CHANNEL => {
                hosted::usable(&referent).map_err(text)?;
            }
            _ => {}
        }
    }
    verified(&segment, "after use")
}

fn expect(truth: bool, otherwise: &'static str) -> coheld_store::Result<()> {
    if truth {
        Ok(())
    } else {
        Err(coheld_store::StoreError::Corrupted(otherwise))
    }
}

/// With everybody dead nothing may be left, once the leases have run out.
pub fn empty_without(image: &[u8], dead: &[u32]) -> Result<(), String> {
    let segment = recover(image, dead, AGES)?;
    segment.expire_leases();
    let left = segment.statistics();
    if left.referents == 0 && left.blocks == 0 {
        Ok(())
    } else {
        Err(format!("with every holder dead: {left:?}"))
    }
}
