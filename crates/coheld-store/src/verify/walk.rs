//! The walk from the roots of all referents to every block and edge below them.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use coheld_shm::{ReferentView, Segment, word as ownership};

use super::{Problem, Report, table};
use crate::block::{self, Header};
use crate::error::Result;
use crate::kinds::{self, referent as kind};
use crate::word;

/// A block in use, as the heap says.
struct Used {
    bytes: u64,
    owned: bool,
    /// It has an owner who was seen in the middle of a change, or it is in an operation's hands.
    perhaps: bool,
}

/// A walk under way.
pub(super) struct Walk<'s> {
    pub segment: &'s Segment,
    pub referents: Vec<ReferentView>,
    pub problems: Vec<Problem>,
    pub report: Report,
    blocks: HashMap<u64, Used>,
    /// Edges that were found, by referent.
    edges: HashMap<u64, u64>,
    /// Edges in the hands of operations, by referent: each may be one of those that were found.
    pub spare: HashMap<u64, u64>,
    /// Where in `referents` each of them is.
    places: HashMap<u64, usize>,
    /// The referent that is being walked.
    current: ReferentView,
    /// Whether the segment is in use: what is not in the lists may have come since.
    live: bool,
    /// Bytes of the blocks below the referent that is being walked.
    held: u64,
    /// These blocks, and the referents that edges there lead to.
    blocks_here: Vec<u64>,
    edges_here: Vec<u64>,
}

impl<'s> Walk<'s> {
    pub fn new(segment: &'s Segment) -> Self {
        Self {
            segment,
            referents: Vec::new(),
            problems: Vec::new(),
            report: Report::default(),
            blocks: HashMap::new(),
            edges: HashMap::new(),
            spare: HashMap::new(),
            places: HashMap::new(),
            current: ReferentView::default(),
            live: false,
            held: 0,
            blocks_here: Vec::new(),
            edges_here: Vec::new(),
        }
    }

    /// As `new`, for a segment that others use meanwhile.
    pub fn of_live(segment: &'s Segment) -> Self {
        Self {
            live: true,
            ..Self::new(segment)
        }
    }

    /// Lists what the heap has in use.
    pub fn collect(&mut self) {
        let Self {
            segment,
            referents,
            blocks,
            places,
            report,
            ..
        } = self;
        segment.each_referent(|view| {
            places.insert(view.offset, referents.len());
            referents.push(view);
        });
        segment.each_block(|offset, bytes| {
            report.blocks += 1;
            report.bytes += bytes;
            blocks.insert(
                offset,
                Used {
                    bytes,
                    owned: false,
                    perhaps: false,
                },
            );
        });
    }

    /// Walks everything below one referent.
    pub fn visit_referent(&mut self, index: usize) {
        self.visit(self.referents[index]);
        self.keep();
    }

    /// The same for a referent as it was seen just now; the bytes of its blocks. What was found
    /// counts once it is kept.
    pub fn visit(&mut self, view: ReferentView) -> u64 {
        self.held = 0;
        self.current = view;
        self.visit_current();
        self.held
    }

    /// What the last visit has found is what there is.
    pub fn keep(&mut self) {
        self.blocks_here.clear();
        for target in self.edges_here.drain(..) {
            *self.edges.entry(target).or_default() += 1;
        }
    }

    /// The last visit saw a mixture of old and new: it owns nothing, and what it has met may have
    /// an owner all the same.
    pub fn forget(&mut self) {
        self.edges_here.clear();
        for block in self.blocks_here.drain(..) {
            if let Some(used) = self.blocks.get_mut(&block) {
                (used.owned, used.perhaps) = (false, true);
            }
        }
    }

    fn visit_current(&mut self) {
        let view = self.current;
        if !view.alive {
            self.problems.push(Problem::NotAlive {
                referent: view.offset,
            });
            return;
        }
        self.report.referents += 1;
        if view.holders == 0 && !view.leased && view.edges == 0 {
            self.problems.push(Problem::Unreferenced {
                referent: view.offset,
            });
        }
        if view.companion != word::EMPTY {
            self.visit_lock(view.companion);
        }
        let walked = match view.kind {
            _ if view.root == word::EMPTY => Ok(()),
            kind::LIST | kind::QUEUE | kind::JOINABLE_QUEUE => self.visit_list(view.root),
            kind::VALUE | kind::BARRIER => self.visit_value(view.root),
            kind::ARRAY => self.visit_plain(view.root, kinds::block::ARRAY),
            kind::BUFFER => self.visit_plain(view.root, kinds::block::BYTES),
            kind::SEMAPHORE | kind::BOUNDED_SEMAPHORE => {
                self.visit_plain(view.root, kinds::block::PERMITS)
            }
            kind::CONDITION => {
                self.visit_lock(view.root);
                Ok(())
            }
            kind::DICT | kind::SET | kind::NAMESPACE => table::visit(self, view.root),
            kind::CHANNEL => self.visit_channel(view.root),
            kind::HOSTED => {
                self.broken("it has a root, though its content is elsewhere", view.root);
                Ok(())
            }
            _ => {
                self.broken("its kind is unknown", view.offset);
                Ok(())
            }
        };
        if let Err(error) = walked {
            self.problems.push(Problem::unreadable(view.offset, &error));
        }
    }

    /// Notes that the structure of the current referent contradicts itself.
    pub fn broken(&mut self, what: &'static str, at: u64) {
        let ReferentView {
            offset: referent,
            kind,
            ..
        } = self.current;
        self.problems.push(Problem::Broken {
            referent,
            kind,
            what,
            at,
        });
    }

    /// Takes note of the owner of a block; its header if the block is in use and now owned once.
    pub fn own(&mut self, owner: u64) -> Result<Option<Header>> {
        let referent = self.current.offset;
        let used = word::block_offset(owner).and_then(|offset| {
            self.meet(offset);
            self.blocks.get_mut(&offset).map(|used| (offset, used))
        });
        let Some((offset, used)) = used else {
            self.problems.push(Problem::Dangling {
                word: owner,
                referent,
            });
            return Ok(None);
        };
        if core::mem::replace(&mut used.owned, true) {
            self.problems.push(Problem::OwnedTwice {
                block: offset,
                referent,
            });
            return Ok(None);
        }
        let bytes = used.bytes;
        self.held += bytes;
        self.blocks_here.push(offset);
        let room = bytes - block::HEADER;
        let header = block::header(self.segment, offset)?;
        let words_end = 8 * (u64::from(header.start) + u64::from(header.count));
        if header.length > room || words_end > room {
            self.broken("a block is longer than its room", offset);
            return Ok(None);
        }
        Ok(Some(header))
    }

    /// Takes note of a block that has been allocated since the blocks were listed.
    fn meet(&mut self, offset: u64) {
        if self.live
            && let Entry::Vacant(vacant) = self.blocks.entry(offset)
            && let Some(bytes) = self.segment.used_block(offset)
        {
            let (owned, perhaps) = (false, false);
            vacant.insert(Used {
                bytes,
                owned,
                perhaps,
            });
        }
    }

    /// Takes note that a block, with everything below it, is in the hands of an operation.
    pub fn excuse(&mut self, block: u64, depth: u32) {
        let Some(used) = self.blocks.get_mut(&block) else {
            return;
        };
        used.perhaps = true;
        let Ok(header) = block::header(self.segment, block) else {
            return;
        };
        let room = (used.bytes - block::HEADER) / 8;
        if depth > 0 && u64::from(header.start) + u64::from(header.count) <= room {
            for index in 0..header.count {
                let inner = self.segment.load(header.owning_word(index));
                match inner.map(|inner| (word::block_offset(inner), inner)) {
                    Ok((Some(offset), _)) => self.excuse(offset, depth - 1),
                    Ok((None, inner)) if word::tag_of(inner) == word::tag::EDGE => {
                        *self.spare.entry(ownership::offset(inner)).or_default() += 1;
                    }
                    _ => {}
                }
            }
        }
    }

    fn visit_list(&mut self, root: u64) -> Result<()> {
        let Some(header) = self.own(root)? else {
            return Ok(());
        };
        if header.kind != kinds::block::WORDS {
            self.broken("its array is of another kind", header.payload);
            return Ok(());
        }
        if 8 * (u64::from(header.start) + u64::from(header.count)) > header.length {
            self.broken("its window exceeds its array", header.payload);
            return Ok(());
        }
        (0..header.count).try_for_each(|index| {
            let cell = header.owning_word(index);
            self.visit_value(self.segment.load(cell)?)
        })
    }

    /// Walks a block that owns nothing.
    fn visit_plain(&mut self, root: u64, kind: u8) -> Result<()> {
        let Some(header) = self.own(root)? else {
            return Ok(());
        };
        if header.kind != kind || header.count != 0 {
            self.broken("its items are of another kind", header.payload);
        }
        Ok(())
    }

    /// Walks the block of a channel and the messages that it owns.
    fn visit_channel(&mut self, root: u64) -> Result<()> {
        let Some(header) = self.own(root)? else {
            return Ok(());
        };
        if header.kind != kinds::block::CHANNEL || (header.start, header.count) != (0, 2) {
            self.broken("its messages are of another kind", header.payload);
            return Ok(());
        }
        (0..header.count).try_for_each(|index| {
            match self.segment.load(header.owning_word(index))? {
                word::EMPTY => Ok(()),
                large => self.visit_plain(large, kinds::block::BYTES),
            }
        })
    }

    /// Walks a word that has to refer to a lock.
    fn visit_lock(&mut self, found: u64) {
        if word::tag_of(found) == word::tag::EDGE {
            self.visit_edge(found);
        } else {
            self.broken("its lock is no referent", found);
        }
    }

    /// Walks a word that has to be a value.
    pub fn visit_value(&mut self, found: u64) -> Result<()> {
        match word::tag_of(found) {
            word::tag::BLOCK => {
                let Some(header) = self.own(found)? else {
                    return Ok(());
                };
                self.visit_value_block(&header)
            }
            word::tag::EDGE => {
                self.visit_edge(found);
                Ok(())
            }
            word::tag::EMPTY => {
                self.broken("a value is missing", found);
                Ok(())
            }
            _ => {
                if word::decode(found).is_err() {
                    self.broken("a word is no value", found);
                }
                Ok(())
            }
        }
    }

    fn visit_value_block(&mut self, header: &Header) -> Result<()> {
        if !(kinds::block::BIGINT..=kinds::block::KEY).contains(&header.kind) {
            self.broken("a block holds no value", header.payload);
        }
        if header.kind != kinds::block::PICKLE && header.count != 0 {
            self.broken("a plain value owns words", header.payload);
        }
        if header.count != 0 && u64::from(header.start) != header.length.div_ceil(8) {
            self.broken("edges do not follow their pickle", header.payload);
        }
        for index in 0..header.count {
            let edge = self.segment.load(header.owning_word(index))?;
            if word::tag_of(edge) == word::tag::EDGE {
                self.visit_edge(edge);
            } else {
                self.broken("a pickle owns something that is no edge", header.payload);
            }
        }
        Ok(())
    }

    fn visit_edge(&mut self, edge: u64) {
        let target = ownership::offset(edge);
        let names = |view: ReferentView| {
            view.alive && view.generation as u16 == ownership::edge_generation(edge)
        };
        let listed = self.places.get(&target).map(|&place| self.referents[place]);
        let alive = listed.is_some_and(names)
            || self.live && self.segment.referent_at(target).is_some_and(names);
        if alive {
            self.edges_here.push(target);
            self.report.edges += 1;
        } else {
            let referent = self.current.offset;
            self.problems.push(Problem::LostEdge {
                word: edge,
                referent,
            });
        }
    }

    /// Compares what was found with what the heap and the referents say.
    pub fn compare(&mut self) {
        for (&block, used) in &self.blocks {
            let gone = || self.live && self.segment.used_block(block).is_none();
            if !used.owned && !used.perhaps && !gone() {
                let kind = self.segment.load(block).map_or(0, block::kind_of);
                self.problems.push(Problem::Leaked {
                    block,
                    kind,
                    bytes: used.bytes,
                });
            }
        }
        for view in &self.referents {
            let found = self.edges.get(&view.offset).copied().unwrap_or(0);
            let spare = self.spare.get(&view.offset).copied().unwrap_or(0);
            if !(found.saturating_sub(spare)..=found + spare).contains(&view.edges) {
                let (referent, counted) = (view.offset, view.edges);
                self.problems.push(Problem::EdgeCount {
                    referent,
                    counted,
                    found,
                });
            }
        }
    }
}
