//! Channels: how a client and a host exchange messages, one request and one reply at a time.
//!
//! A channel is a referent of kind CHANNEL whose root owns one block, drawn in `docs/layout.md`:
//! two message words (see `coheld_shm::Message`), each with an inline area, and two words that own
//! the messages that do not fit there. The client makes it and lets the host have it; each holds
//! it, so it goes when both have let go.
//!
//! A message belongs to whoever has posted it until it is counted, and to its reader from then on
//! until the reader has answered; so nobody needs the lock, except for a message in a block, which
//! changes owners. Numbers that are read from the block are checked before they are used.

use std::time::Duration;

use coheld_shm::{Fate, Glance, Look, Message, Referent, Segment};

use crate::block::{self, HEADER};
use crate::error::{Result, StoreError};
use crate::kinds::{self, referent as kind};
use crate::word;

/// Bytes of the block, header included: a size class, to the byte.
const SIZE: u64 = 4096;
/// Payload of the block.
const PAYLOAD: u64 = SIZE - HEADER;
/// Owning words of the block: a large request, a large reply.
const OWNED: u32 = 2;
/// Longest message that needs no block.
const INLINE: u64 = (SIZE - AREAS) / 2;

// Offsets from the start of the block. Both message words have cache lines of their own wherever
// the block begins.
pub(crate) const CLIENT: u64 = 0x20;
pub(crate) const HOST: u64 = 0x28;
const AREAS: u64 = 0x180;
/// Offsets from a message word.
const LENGTH: u64 = 8;
const TAKEN: u64 = 16;

/// One direction: where its parts are, from the start of the block.
#[derive(Clone, Copy)]
pub(crate) struct Direction {
    large: u64,
    pub(crate) message: u64,
    area: u64,
}

pub(crate) const REQUEST: Direction = Direction {
    large: HEADER,
    message: 0x80,
    area: AREAS,
};
pub(crate) const REPLY: Direction = Direction {
    large: HEADER + 8,
    message: 0x100,
    area: AREAS + INLINE,
};

/// A channel, as its client or its host sees it. One thread of each at a time.
#[derive(Clone, Copy)]
pub struct Channel<'a> {
    referent: &'a Referent<'a>,
    block: u64,
}

impl<'a> Channel<'a> {
    /// Gives a new referent of kind CHANNEL what it needs; its creator, the client, does.
    pub fn prepare(referent: &Referent<'_>, own_tag: u32) -> Result<()> {
        let segment = referent.segment();
        let mut operation = segment.begin()?;
        let kind = kinds::block::CHANNEL;
        let block = operation.allocate(PAYLOAD, kind, Fate::Shell, Fate::Keep)?;
        segment.zero_words(block + HEADER, PAYLOAD / 8)?;
        segment.store(block + block::STATE, block::state(0, OWNED))?;
        segment.store(block + CLIENT, own_tag.into())?;
        let guard = referent.lock_uninterrupted()?;
        match guard.kind() {
            kind::CHANNEL if guard.root() == word::EMPTY => {}
            kind::CHANNEL => return Err(StoreError::OutOfTurn),
            found => return Err(wrong_kind(found)),
        }
        // COMMIT: the channel can be used. CRASH: before it the lane gives the block back.
        operation.commit(&guard, guard.root_cell(), word::from_block(block))?;
        drop(guard);
        Ok(operation.finish()?)
    }

    /// The channel of a referent that its client has prepared.
    #[inline]
    pub fn open(referent: &'a Referent<'a>) -> Result<Self> {
        let look = |look: &Glance<'_>| Some((look.kind(), look.root()));
        let (found, root) = match referent.glance(look) {
            Some(found) => found,
            None => {
                let guard = referent.lock_uninterrupted()?;
                (guard.kind(), guard.root())
            }
        };
        if found != kind::CHANNEL {
            return Err(wrong_kind(found));
        }
        // The root stays what it is for the life of the referent, which the caller holds.
        let header = block::header_of_word(referent.segment(), root)?;
        let sound = header.kind == kinds::block::CHANNEL
            && header.length == PAYLOAD
            && (header.start, header.count) == (0, OWNED);
        if !sound {
            return Err(StoreError::Corrupted("a channel contradicts itself"));
        }
        Ok(Self {
            referent,
            block: header.payload - HEADER,
        })
    }

    fn segment(&self) -> &'a Segment {
        self.referent.segment()
    }

    fn load(&self, at: u64) -> Result<u64> {
        Ok(self.segment().load(self.block + at)?)
    }

    fn store(&self, at: u64, value: u64) -> Result<()> {
        Ok(self.segment().store(self.block + at, value)?)
    }

    fn message(&self, direction: Direction) -> Result<Message<'a>> {
        Ok(self.segment().message(self.block + direction.message)?)
    }

    /// Number of the last message of a direction that its reader has taken.
    fn taken(&self, direction: Direction) -> Result<u32> {
        Ok(self.load(direction.message + TAKEN)? as u32)
    }

    // ---- The client ---------------------------------------------------------------------------

    /// Sends a request.
    ///
    /// [`StoreError::OutOfTurn`] as long as the one before was not answered, or its answer not
    /// taken. [`StoreError::Closed`].
    pub fn post(&self, request: &[u8]) -> Result<()> {
        self.post_parts(&[request])
    }

    /// The same with a request that consists of several parts.
    pub fn post_parts(&self, request: &[&[u8]]) -> Result<()> {
        let posted = self.message(REQUEST)?.look();
        let answered = self.message(REPLY)?.look();
        if posted.closed || answered.closed {
            return Err(StoreError::Closed);
        }
        if answered.number != posted.number || self.taken(REPLY)? != answered.number {
            return Err(StoreError::OutOfTurn);
        }
        self.send(REQUEST, request)
    }

    /// The reply, if it is there. One that came before the channel was closed can be taken after.
    pub fn take_reply(&self) -> Result<Option<Vec<u8>>> {
        let mut reply = Vec::new();
        Ok(self.take_reply_into(&mut reply)?.then_some(reply))
    }

    /// The same into a buffer, which is empty; whether it was there.
    pub fn take_reply_into(&self, buffer: &mut Vec<u8>) -> Result<bool> {
        let posted = self.message(REPLY)?.look();
        if posted.number != self.taken(REPLY)? {
            self.receive(REPLY, posted.number, buffer)?;
            return Ok(true);
        }
        if posted.closed || self.message(REQUEST)?.look().closed {
            return Err(StoreError::Closed);
        }
        Ok(false)
    }

    /// Spins for two microseconds, without letting go of the interpreter. Whether there is a
    /// reply, or will be none.
    pub fn spin_for_reply(&self) -> bool {
        match (self.message(REPLY), self.taken(REPLY)) {
            (Ok(message), Ok(known)) => message.spin(known),
            // For `take_reply` to report.
            _ => true,
        }
    }

    /// Whether a reply has been sent that its client has not taken.
    pub fn has_unread_reply(&self) -> Result<bool> {
        Ok(self.message(REPLY)?.look().number != self.taken(REPLY)?)
    }

    /// Waits for a reply, for `patience` at most; may return early.
    pub fn wait_for_reply(&self, patience: Duration) -> Result<()> {
        self.wait(REPLY, patience)
    }

    // ---- The host -----------------------------------------------------------------------------

    /// Says which member answers.
    pub fn accept(&self, own_tag: u32) -> Result<()> {
        self.store(HOST, own_tag.into())
    }

    /// The request, if there is one that was not taken yet. None of a channel that is closed: its
    /// client does not wait for an answer any more.
    pub fn take_request(&self) -> Result<Option<Vec<u8>>> {
        let mut request = Vec::new();
        Ok(self.take_request_into(&mut request)?.then_some(request))
    }

    /// The same into a buffer, which is empty; whether there was one.
    pub fn take_request_into(&self, buffer: &mut Vec<u8>) -> Result<bool> {
        let posted = self.message(REQUEST)?.look();
        if posted.closed || self.message(REPLY)?.look().closed {
            return Err(StoreError::Closed);
        }
        if posted.number == self.taken(REQUEST)? {
            return Ok(false);
        }
        self.receive(REQUEST, posted.number, buffer)?;
        Ok(true)
    }

    /// Waits for a request, for `patience` at most; may return early.
    pub fn wait_for_request(&self, patience: Duration) -> Result<()> {
        self.wait(REQUEST, patience)
    }

    /// Answers the request that was taken last.
    ///
    /// [`StoreError::OutOfTurn`] without one. [`StoreError::Closed`].
    pub fn answer(&self, reply: &[u8]) -> Result<()> {
        self.answer_parts(&[reply])
    }

    /// The same with an answer that consists of several parts.
    pub fn answer_parts(&self, reply: &[&[u8]]) -> Result<()> {
        let posted = self.message(REQUEST)?.look();
        let answered = self.message(REPLY)?.look();
        if posted.closed || answered.closed {
            return Err(StoreError::Closed);
        }
        if self.taken(REQUEST)? != posted.number || answered.number == posted.number {
            return Err(StoreError::OutOfTurn);
        }
        self.send(REPLY, reply)
    }

    // ---- Both ---------------------------------------------------------------------------------

    /// Tag of the client's member.
    pub fn client(&self) -> Result<u32> {
        Ok(self.load(CLIENT)? as u32)
    }

    /// Tag of the host's member; 0 before it has accepted the channel.
    pub fn host(&self) -> Result<u32> {
        Ok(self.load(HOST)? as u32)
    }

    /// Ends the channel and wakes the other side. Anybody may.
    pub fn close(&self) -> Result<()> {
        // CRASH: one direction closed, which is enough for whoever looks; the other side looks up
        // by itself when its patience ends.
        self.message(REQUEST)?.close();
        self.message(REPLY)?.close();
        Ok(())
    }

    /// Whether either side has ended it.
    pub fn is_closed(&self) -> Result<bool> {
        let closed = self.message(REQUEST)?.look().closed;
        Ok(closed || self.message(REPLY)?.look().closed)
    }

    fn wait(&self, direction: Direction, patience: Duration) -> Result<()> {
        if self.is_closed()? {
            return Ok(());
        }
        let known = self.taken(direction)?;
        Ok(self.message(direction)?.wait(known, patience)?)
    }

    fn send(&self, direction: Direction, parts: &[&[u8]]) -> Result<()> {
        let size = parts.iter().map(|part| part.len() as u64).sum();
        if size <= INLINE {
            self.copy_in(self.block + direction.area, parts)?;
        } else {
            self.place(direction, parts, size)?;
        }
        self.store(direction.message + LENGTH, size)?;
        // COMMIT: in `coheld-shm`, the message is counted. CRASH: before it nobody looks at what
        // was written; a block that was placed stays until the next one or the channel's end.
        if self.message(direction)?.post() {
            Ok(())
        } else {
            Err(StoreError::Closed)
        }
    }

    fn copy_in(&self, mut at: u64, parts: &[&[u8]]) -> Result<()> {
        for part in parts {
            self.segment().copy_in(at, part)?;
            at += part.len() as u64;
        }
        Ok(())
    }

    /// Puts a message into a block of the channel's.
    fn place(&self, direction: Direction, parts: &[&[u8]], size: u64) -> Result<()> {
        let segment = self.segment();
        let mut operation = segment.begin()?;
        let block = operation.allocate(size, kinds::block::BYTES, Fate::Shell, Fate::Keep)?;
        self.copy_in(block + HEADER, parts)?;
        let guard = self.referent.lock_uninterrupted()?;
        // One that its reader did not live to take.
        let old = self.load(direction.large)?;
        operation.retire(old, Fate::Keep, Fate::Tree)?;
        // COMMIT: the channel owns the block. CRASH: before it the lane gives the new block back,
        // after it the old one.
        operation.commit(
            &guard,
            self.block + direction.large,
            word::from_block(block),
        )?;
        drop(guard);
        Ok(operation.finish()?)
    }

    fn receive(&self, direction: Direction, number: u32, bytes: &mut Vec<u8>) -> Result<()> {
        let length = self.load(direction.message + LENGTH)?;
        let large = length > INLINE;
        let from = if large {
            self.large(direction, length)?
        } else {
            self.block + direction.area
        };
        // What is longer than private memory could be does not fit into the segment either.
        let room = usize::try_from(length).unwrap_or(usize::MAX);
        bytes
            .try_reserve_exact(room)
            .map_err(|_| StoreError::PrivateMemory { bytes: length })?;
        self.segment().append_out(from, room, bytes)?;
        // COMMIT: the message is taken. CRASH: its block stays until the next one or the channel's
        // end.
        self.store(direction.message + TAKEN, number.into())?;
        if large {
            self.discard(direction)?;
        }
        Ok(())
    }

    /// Where the bytes of a large message are.
    fn large(&self, direction: Direction, length: u64) -> Result<u64> {
        let header = block::header_of_word(self.segment(), self.load(direction.large)?)?;
        if header.kind == kinds::block::BYTES && header.length == length {
            Ok(header.payload)
        } else {
            Err(StoreError::Corrupted("a message is not where it should be"))
        }
    }

    /// Gives the block of a message back that was taken.
    fn discard(&self, direction: Direction) -> Result<()> {
        let mut operation = self.segment().begin()?;
        let guard = self.referent.lock_uninterrupted()?;
        let old = self.load(direction.large)?;
        if old != word::EMPTY {
            operation.retire(old, Fate::Keep, Fate::Tree)?;
            // COMMIT: nobody owns the block. CRASH: after it the lane gives it back.
            operation.commit(&guard, self.block + direction.large, word::EMPTY)?;
        }
        drop(guard);
        Ok(operation.finish()?)
    }
}

fn wrong_kind(found: u8) -> StoreError {
    StoreError::WrongKind {
        expected: kind::CHANNEL,
        found,
    }
}

const _: () = {
    assert!(REPLY.area + INLINE == SIZE);
    assert!(REPLY.message - REQUEST.message >= 128);
    assert!(REQUEST.message - HOST >= 64 && AREAS - REPLY.message >= 128);
};
