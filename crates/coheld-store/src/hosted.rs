//! Hosted referents: what lies in the segment of an object that lives in some process, its host.
//!
//! ```text
//! auxiliary   the kind it had before it moved there; 0 if it was always hosted
//! root        0
//! word 0      offset of the host's inbox
//! word 1      generation of the inbox | tag of the host's member << 32
//! word 2      number of the object in the host's table, from 1
//! ```
//!
//! Holders, edges and leases are those of any referent. The words never change once the referent is
//! of this kind.

use coheld_shm::{Fate, Guard, HostPlace, Look, Referent};

use crate::error::{Result, StoreError};
use crate::kinds::referent as kind;
use crate::list::check_version;
use crate::word;

const INBOX: u64 = 0;
const WHO: u64 = 1;
const NUMBER: u64 = 2;

/// A hosted referent.
#[derive(Clone, Copy)]
pub struct Hosted<'a> {
    referent: &'a Referent<'a>,
}

/// What the words say, with the kind before.
#[derive(Clone, Copy)]
struct Found {
    place: HostPlace,
    number: u64,
    former: u8,
}

impl<'a> Hosted<'a> {
    /// Treats `referent` as hosted.
    #[inline]
    pub fn new(referent: &'a Referent<'a>) -> Self {
        Self { referent }
    }

    /// The host, and the number of the object there.
    #[inline]
    pub fn place(&self) -> Result<(HostPlace, u64)> {
        let found = self.look()?;
        Ok((found.place, found.number))
    }

    /// The kind that the referent had before it moved to its host.
    pub fn former_kind(&self) -> Result<Option<u8>> {
        let former = self.look()?.former;
        Ok((former != 0).then_some(former))
    }

    #[inline]
    fn look(&self) -> Result<Found> {
        if let Some(found) = self.referent.glance(|look| read(look).ok()) {
            return Ok(found);
        }
        read(&self.referent.lock()?)
    }

    /// Says where the object of a referent is that was created with the kind HOSTED. Its creator
    /// does, before anybody else knows it.
    pub fn fill(referent: &Referent<'_>, place: HostPlace, number: u64) -> Result<()> {
        let guard = referent.lock_uninterrupted()?;
        match guard.kind() {
            kind::HOSTED => {
                write(&guard, place, number);
                Ok(())
            }
            found => Err(StoreError::WrongKind {
                expected: kind::HOSTED,
                found,
            }),
        }
    }
}

fn read<'s>(look: &impl Look<'s>) -> Result<Found> {
    let found = look.kind();
    if found != kind::HOSTED {
        return Err(StoreError::WrongKind {
            expected: kind::HOSTED,
            found,
        });
    }
    let number = look.word(NUMBER);
    match HostPlace::from_words(look.word(INBOX), look.word(WHO)) {
        Some(place) if number != 0 => Ok(Found {
            place,
            number,
            former: look.auxiliary() as u8,
        }),
        _ => Err(StoreError::Corrupted("a hosted object names no host")),
    }
}

fn write(guard: &Guard<'_>, place: HostPlace, number: u64) {
    guard.set_word(INBOX, place.inbox);
    guard.set_word(WHO, place.who());
    guard.set_word(NUMBER, number);
}

/// Makes a dict or a set a hosted referent, if `version` is still its version, else
/// [`StoreError::Changed`]. What it held is released: the host has an object made of it.
pub fn move_to_host(
    referent: &Referent<'_>,
    place: HostPlace,
    number: u64,
    version: u64,
) -> Result<()> {
    let mut operation = referent.segment().begin()?;
    let guard = referent.lock()?;
    let former = guard.kind();
    match former {
        kind::DICT | kind::SET => {}
        kind::HOSTED => return Err(StoreError::Moved),
        found => {
            return Err(StoreError::WrongKind {
                expected: kind::DICT,
                found,
            });
        }
    }
    check_version(&guard, Some(version))?;
    operation.retire(guard.root(), Fate::Keep, Fate::Tree)?;
    // CRASH: a dict with words in its header, which mean nothing to a dict; nobody has to mend it.
    write(&guard, place, number);
    guard.set_auxiliary(former.into());
    let (cell, identity) = guard.identity_as(kind::HOSTED);
    // COMMIT: it is hosted.
    operation.commit(&guard, cell, identity)?;
    // CRASH: the root still names the table, which the lane owns by now; `mend` forgets it.
    guard.segment().store(guard.root_cell(), word::EMPTY)?;
    drop(guard);
    Ok(operation.finish()?)
}

/// Finds out that a dict or set has moved to a host meanwhile.
#[inline]
pub(crate) fn check_here<'s>(look: &impl Look<'s>) -> Result<()> {
    if look.kind() == kind::HOSTED {
        Err(StoreError::Moved)
    } else {
        Ok(())
    }
}

/// What a dead mover has left.
pub(crate) fn mend(guard: &Guard<'_>) {
    // A failure is an offset outside of the segment, and this one is in a referent.
    let _ = guard.segment().store(guard.root_cell(), word::EMPTY);
}
