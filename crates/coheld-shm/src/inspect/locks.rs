//! The inner locks, which are held for nanoseconds: who has one for longer is stopped or dead.

use crate::{
    Segment,
    layout::{CLASS_SIZES, field},
    lock::word::WAITERS,
    sync::Ordering,
};

/// What a lock protects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LockPlace {
    /// The referent at this offset.
    Referent(u64),
    /// The blocks of a size class.
    Class(usize),
    /// The page table.
    Pages,
}

/// A lock that is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LockView {
    /// What it protects.
    pub place: LockPlace,
    /// The tag of who has it.
    pub owner: u32,
    /// Whether somebody may be asleep on it.
    pub contended: bool,
}

impl Segment {
    /// Every lock that is held at the moment.
    pub fn held_locks(&self) -> Vec<LockView> {
        let mut held = Vec::new();
        let mut look = |place, at| {
            // Relaxed: a picture.
            let word = self.control32(at).load(Ordering::Relaxed);
            if word & !WAITERS != 0 {
                held.push(LockView {
                    place,
                    owner: word & !WAITERS,
                    contended: word & WAITERS != 0,
                });
            }
        };
        look(LockPlace::Pages, field!(0, Header.page_lock));
        for class in 0..CLASS_SIZES.len() {
            let at = field!(self.class(class), Class.lock);
            look(LockPlace::Class(class), at);
        }
        for offset in self.referents() {
            let at = field!(offset, ReferentHeader.lock);
            look(LockPlace::Referent(offset), at);
        }
        held
    }
}
