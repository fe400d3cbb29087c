//! What lanes have of blocks and referents: neither is anybody's who looks from outside.

use crate::{
    Segment,
    lane::entry_word,
    layout::{LANE_ENTRIES, field},
    sync::Ordering,
    word,
};

/// Longest chain of a graveyard that is followed: more is damage, or grows faster than it is read.
const CHAIN_LIMIT: u32 = 1 << 20;

impl Segment {
    /// Every word that operations under way have in their hands, those of the dead included:
    /// blocks, edges, and referents that are being made or taken apart.
    pub fn words_in_lanes(&self) -> Vec<u64> {
        let mut words = Vec::new();
        for slot in 0..self.member_high() {
            self.each_lane(slot, |lane| self.collect_lane(lane, &mut words));
        }
        words
    }

    fn collect_lane(&self, lane: u64, words: &mut Vec<u64>) {
        // Acquire: what is seen of an operation is at least what it has written down before.
        let load = |offset| self.control(offset).load(Ordering::Acquire);
        let entries = (0..LANE_ENTRIES).map(|index| load(entry_word(lane, index)));
        words.extend(entries.filter(|&entry| word::owns(entry)));
        if let Some(pending) = self.pending(lane) {
            words.extend(Some(pending.word).filter(|&pending| word::owns(pending)));
        }
        let mut buried = load(field!(lane, Lane.graveyard));
        for _ in 0..CHAIN_LIMIT {
            if buried == 0 || self.check_referent(buried).is_err() {
                break;
            }
            words.push(buried | word::TAG_REFERENT);
            buried = load(field!(buried, ReferentHeader.next));
        }
    }
}
