//! Frames: a length, then that many bytes.
//!
//! ```text
//! n <= 0x7fffffff:  [n: i32 big endian]                [n bytes]
//! otherwise:        [-1: i32]  [n: u64 big endian]     [n bytes]
//! ```
//!
//! A reader accepts the long form for short messages too, and takes any other negative length as
//! an empty message, as `CPython` does.

use core::fmt;

/// Longest message with the short header.
const SHORT_LIMIT: u64 = 0x7fff_ffff;
/// Room taken for a message before its bytes arrive. A header is cheap to send; memory is not.
const TRUSTED_RESERVE: u64 = 64 * 1024;

/// The header of one frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    bytes: [u8; 12],
    length: usize,
}

impl Header {
    /// The header of a message of `length` bytes.
    #[must_use]
    pub fn new(length: u64) -> Self {
        let mut bytes = [0; 12];
        if length <= SHORT_LIMIT {
            bytes[..4].copy_from_slice(&(length as u32).to_be_bytes());
            return Self { bytes, length: 4 };
        }
        bytes[..4].copy_from_slice(&(-1_i32).to_be_bytes());
        bytes[4..].copy_from_slice(&length.to_be_bytes());
        Self { bytes, length: 12 }
    }

    /// The bytes to send before the message.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

/// Header and message in one piece, for a single write: two small writes in a row would wait for
/// each other on TCP.
#[must_use]
pub fn encode(message: &[u8]) -> Vec<u8> {
    let header = Header::new(message.len() as u64);
    let mut frame = Vec::with_capacity(header.as_bytes().len() + message.len());
    frame.extend_from_slice(header.as_bytes());
    frame.extend_from_slice(message);
    frame
}

/// A message is longer than the reader is ready to take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong {
    /// Announced length in bytes.
    pub length: u64,
    /// Longest message the reader takes.
    pub limit: u64,
}

impl fmt::Display for TooLong {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { length, limit } = self;
        // CPython's text comes first, so that it can be looked for.
        write!(
            formatter,
            "bad message length: {length} bytes, the limit here is {limit}"
        )
    }
}

impl std::error::Error for TooLong {}

/// Where a stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Before a message, or after its header: `CPython` raises `EOFError`.
    BetweenMessages,
    /// Within a header or a message: `CPython` raises `OSError("got end of file during message")`.
    InsideMessage,
}

/// Cuts a stream into messages, however its bytes arrive.
#[derive(Debug)]
pub struct Decoder {
    limit: u64,
    stage: Stage,
    /// What has arrived of the stage, and perhaps room behind it.
    buffer: Vec<u8>,
    arrived: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Reading the 4 bytes that every header has.
    Short,
    /// Reading the 8 bytes of a long header.
    Long,
    /// Reading a message of this length.
    Message(u64),
}

impl Decoder {
    /// A decoder that refuses messages of more than `limit` bytes.
    #[must_use]
    pub fn new(limit: u64) -> Self {
        Self {
            limit,
            stage: Stage::Short,
            buffer: Vec::new(),
            arrived: 0,
        }
    }

    /// Changes the limit, from the next header on.
    pub fn set_limit(&mut self, limit: u64) {
        self.limit = limit;
    }

    /// How many bytes may be read without going beyond the current message; at least 1. Readers
    /// that leave the rest of the stream to somebody else read no more than this.
    #[must_use]
    pub fn wanted(&self) -> u64 {
        self.stage.length() - self.arrived as u64
    }

    /// What has arrived of a message that is not complete yet.
    #[must_use]
    pub fn begun(&self) -> &[u8] {
        match self.stage {
            Stage::Message(_) => &self.buffer[..self.arrived],
            Stage::Short | Stage::Long => &[],
        }
    }

    /// Takes bytes from the front of `input`; a message as soon as it is complete. Call again
    /// until `input` is empty.
    ///
    /// After an error the stream has no frame boundaries any more and must be given up.
    pub fn take(&mut self, input: &mut &[u8]) -> Result<Option<Vec<u8>>, TooLong> {
        loop {
            let wanted = usize::try_from(self.wanted()).unwrap_or(usize::MAX);
            let (taken, rest) = input.split_at(wanted.min(input.len()));
            self.buffer.truncate(self.arrived);
            self.buffer.extend_from_slice(taken);
            self.arrived = self.buffer.len();
            *input = rest;
            if self.wanted() > 0 {
                return Ok(None);
            }
            if let Some(message) = self.advance()? {
                return Ok(Some(message));
            }
        }
    }

    /// Room for at most `most` bytes of a message that has begun, to read it to where it is needed
    /// instead of handing it to [`take`](Self::take). Empty between messages.
    pub fn room(&mut self, most: usize) -> &mut [u8] {
        let Stage::Message(_) = self.stage else {
            return &mut [];
        };
        let wanted = usize::try_from(self.wanted()).unwrap_or(usize::MAX);
        let end = self.arrived.saturating_add(wanted.min(most));
        if self.buffer.len() < end {
            self.buffer.resize(end, 0);
        }
        &mut self.buffer[self.arrived..end]
    }

    /// Notes that so many bytes have been read into the [`room`](Self::room); returns the message
    /// if it is complete.
    pub fn filled(&mut self, count: usize) -> Option<Vec<u8>> {
        let Stage::Message(_) = self.stage else {
            return None;
        };
        self.arrived = self.buffer.len().min(self.arrived + count);
        (self.wanted() == 0).then(|| self.finish())
    }

    /// Has the message that has begun put into this buffer, if there is more room in it than in
    /// the present one; returns the other one.
    #[must_use]
    pub fn exchange_buffer(&mut self, mut buffer: Vec<u8>) -> Vec<u8> {
        if buffer.capacity() > self.buffer.capacity() {
            buffer.clear();
            buffer.extend_from_slice(&self.buffer[..self.arrived]);
            core::mem::swap(&mut self.buffer, &mut buffer);
        }
        buffer
    }

    /// What it means if the stream ends now.
    #[must_use]
    pub fn at_end(&self) -> End {
        let unstarted = self.arrived == 0 && self.stage != Stage::Long;
        if unstarted {
            End::BetweenMessages
        } else {
            End::InsideMessage
        }
    }

    /// Goes on from a stage whose bytes are all there.
    fn advance(&mut self) -> Result<Option<Vec<u8>>, TooLong> {
        match self.stage {
            Stage::Short => {
                let length = i32::from_be_bytes(self.header());
                if length == -1 {
                    self.stage = Stage::Long;
                    Ok(None)
                } else {
                    self.begin_message(u64::try_from(length).unwrap_or(0))
                }
            }
            Stage::Long => {
                let length = u64::from_be_bytes(self.header());
                self.begin_message(length)
            }
            Stage::Message(_) => Ok(Some(self.finish())),
        }
    }

    /// Takes the complete message out of the buffer.
    fn finish(&mut self) -> Vec<u8> {
        self.stage = Stage::Short;
        let mut message = core::mem::take(&mut self.buffer);
        message.truncate(core::mem::take(&mut self.arrived));
        message
    }

    /// Takes the complete header out of the buffer.
    fn header<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        bytes.copy_from_slice(&self.buffer);
        self.buffer.clear();
        self.arrived = 0;
        bytes
    }

    fn begin_message(&mut self, length: u64) -> Result<Option<Vec<u8>>, TooLong> {
        if length > self.limit {
            return Err(TooLong {
                length,
                limit: self.limit,
            });
        }
        if length == 0 {
            self.stage = Stage::Short;
            return Ok(Some(Vec::new()));
        }
        self.stage = Stage::Message(length);
        self.buffer.reserve(length.min(TRUSTED_RESERVE) as usize);
        Ok(None)
    }
}

impl Stage {
    fn length(self) -> u64 {
        match self {
            Self::Short => 4,
            Self::Long => 8,
            Self::Message(length) => length,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(decoder: &mut Decoder, mut input: &[u8]) -> Vec<Vec<u8>> {
        let mut messages = Vec::new();
        while !input.is_empty() {
            messages.extend(decoder.take(&mut input).unwrap());
        }
        messages
    }

    #[test]
    fn headers_are_the_bytes_of_cpython() {
        assert_eq!(Header::new(0).as_bytes(), [0, 0, 0, 0]);
        assert_eq!(Header::new(27).as_bytes(), [0, 0, 0, 27]);
        assert_eq!(
            Header::new(0x7fff_ffff).as_bytes(),
            [0x7f, 0xff, 0xff, 0xff]
        );
        let long = [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0x80, 0, 0, 0];
        assert_eq!(Header::new(0x8000_0000).as_bytes(), long);
        assert_eq!(encode(b"abc"), [0, 0, 0, 3, b'a', b'b', b'c']);
    }

    #[test]
    fn messages_come_out_whole_however_the_bytes_arrive() {
        let mut stream = encode(b"first");
        stream.extend(encode(b""));
        stream.extend([0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 2, b'o', b'k']);
        stream.extend(encode(&vec![7; 100_000]));
        let whole = all(&mut Decoder::new(1 << 20), &stream);
        let mut decoder = Decoder::new(1 << 20);
        let single: Vec<_> = stream
            .iter()
            .flat_map(|byte| all(&mut decoder, &[*byte]))
            .collect();
        assert_eq!(whole, single);
        assert_eq!(whole.len(), 4);
        assert_eq!(
            (&*whole[0], &*whole[1], &*whole[2]),
            (&b"first"[..], &b""[..], &b"ok"[..])
        );
        assert_eq!(whole[3].len(), 100_000);
    }

    #[test]
    fn messages_can_be_read_to_where_they_are_needed() {
        let message: Vec<_> = (0..100_000_u32).map(|number| number as u8).collect();
        let stream = encode(&message);
        let mut decoder = Decoder::new(1 << 20);
        assert!(decoder.room(100).is_empty());
        assert_eq!(decoder.filled(100), None);
        let (begun, mut rest) = stream.split_at(10);
        assert_eq!(decoder.take(&mut &begun[..]), Ok(None));
        assert!(decoder.exchange_buffer(vec![9; 200_000]).len() < 100_000);
        assert_eq!(decoder.begun(), &message[..6]);
        let whole = loop {
            // Not all of the room is used, and some bytes come the other way.
            let room = decoder.room(7_000);
            let count = room.len().min(6_000);
            room[..count].copy_from_slice(&rest[..count]);
            rest = &rest[count..];
            if let Some(whole) = decoder.filled(count) {
                break whole;
            }
            let (few, others) = rest.split_at(rest.len().min(10));
            rest = others;
            if let Some(whole) = decoder.take(&mut &few[..]).unwrap() {
                break whole;
            }
        };
        assert!(whole == message && rest.is_empty());
        assert_eq!(decoder.at_end(), End::BetweenMessages);
        assert_eq!(all(&mut decoder, &encode(b"next")), [b"next"]);
    }

    #[test]
    fn other_negative_lengths_are_empty_messages() {
        let messages = all(&mut Decoder::new(10), &[0xff, 0xff, 0xff, 0xfe]);
        assert_eq!(messages, [b""]);
    }

    #[test]
    fn a_long_message_is_refused_by_its_header() {
        let refused = Decoder::new(256).take(&mut &[0, 0, 1, 1][..]);
        assert_eq!(
            refused,
            Err(TooLong {
                length: 257,
                limit: 256
            })
        );
        let mut huge = &[0xff; 12][..];
        assert!(Decoder::new(u64::MAX - 1).take(&mut huge).is_err());
        assert!(
            refused
                .unwrap_err()
                .to_string()
                .starts_with("bad message length")
        );
    }

    #[test]
    fn the_place_of_the_end_is_known() {
        let mut decoder = Decoder::new(256);
        assert_eq!(decoder.at_end(), End::BetweenMessages);
        assert_eq!(decoder.wanted(), 4);
        all(&mut decoder, &[0]);
        assert_eq!(decoder.at_end(), End::InsideMessage);
        all(&mut decoder, &[0, 0, 2]);
        assert_eq!(decoder.at_end(), End::BetweenMessages);
        assert_eq!(decoder.wanted(), 2);
        assert_eq!(decoder.begun(), b"");
        all(&mut decoder, &[1]);
        assert_eq!(decoder.at_end(), End::InsideMessage);
        assert_eq!(decoder.wanted(), 1);
        assert_eq!(decoder.begun(), [1]);
    }
}
