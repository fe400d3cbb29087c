//! Pickles out of values: one instruction or a few for each of them.

use super::{forms, opcode};

/// What [`Writer::new`] writes, which every Python from 3.8 on reads.
const PROTOCOL: u8 = 4;
/// Shortest content that Python puts into a frame.
const FRAMED: usize = 4;
/// The head of a pickle, and the place in which the length of its frame will stand.
const HEAD: usize = 11;

/// Writes one pickle, value after value.
///
/// A container is opened, filled and closed, with the same number of items at both ends:
///
/// ```
/// use coheld_wire::pickle::Writer;
///
/// let mut writer = Writer::new();
/// writer.open_tuple(2);
/// writer.text("answer");
/// writer.int(42);
/// writer.close_tuple(2);
/// assert_eq!(writer.finish(), b"\x80\x04\x95\x0c\0\0\0\0\0\0\0\x8c\x06answerK*\x86.");
/// ```
#[derive(Clone, Debug)]
pub struct Writer {
    bytes: Vec<u8>,
    is_framed: bool,
    remembered: u32,
}

impl Default for Writer {
    fn default() -> Self {
        Self::new()
    }
}

impl Writer {
    /// A pickle of protocol 4 in one frame, as Python's pickler writes short ones.
    pub fn new() -> Self {
        let mut bytes = vec![opcode::PROTO, PROTOCOL, opcode::FRAME];
        bytes.resize(HEAD, 0);
        Self {
            bytes,
            is_framed: true,
            remembered: 0,
        }
    }

    /// A pickle without a frame, which announces this protocol.
    pub fn unframed(protocol: u8) -> Self {
        Self {
            bytes: vec![opcode::PROTO, protocol],
            is_framed: false,
            remembered: 0,
        }
    }

    /// The pickle, if exactly one value has been written.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        self.bytes.push(opcode::STOP);
        if self.is_framed {
            let length = self.bytes.len() - HEAD;
            if length < FRAMED {
                self.bytes.drain(2..HEAD);
            } else {
                self.bytes[3..HEAD].copy_from_slice(&(length as u64).to_le_bytes());
            }
        }
        self.bytes
    }

    /// Bytes so far.
    pub fn length(&self) -> usize {
        self.bytes.len()
    }

    /// `None`.
    pub fn none(&mut self) {
        self.op(opcode::NONE);
    }

    /// `True` or `False`.
    pub fn bool(&mut self, value: bool) {
        self.op(if value {
            opcode::NEWTRUE
        } else {
            opcode::NEWFALSE
        });
    }

    /// An integer.
    pub fn int(&mut self, value: i64) {
        if let Ok(small) = u8::try_from(value) {
            self.bytes.extend_from_slice(&[opcode::BININT1, small]);
        } else if let Ok(small) = u16::try_from(value) {
            self.op(opcode::BININT2);
            self.bytes.extend_from_slice(&small.to_le_bytes());
        } else if let Ok(word) = i32::try_from(value) {
            self.op(opcode::BININT);
            self.bytes.extend_from_slice(&word.to_le_bytes());
        } else {
            self.big_int(&value.to_le_bytes());
        }
    }

    /// An integer of any size: two's complement, least significant byte first.
    pub fn big_int(&mut self, bytes: &[u8]) {
        let bytes = forms::minimal(bytes);
        match u8::try_from(bytes.len()) {
            Ok(length) => self.bytes.extend_from_slice(&[opcode::LONG1, length]),
            Err(_) => {
                self.op(opcode::LONG4);
                // An integer of two gigabytes would have run out of memory long before.
                self.bytes
                    .extend_from_slice(&(bytes.len() as u32).to_le_bytes());
            }
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// A float.
    pub fn float(&mut self, value: f64) {
        self.op(opcode::BINFLOAT);
        self.bytes.extend_from_slice(&value.to_be_bytes());
    }

    /// Text.
    pub fn text(&mut self, text: &str) {
        self.surrogates(text.as_bytes());
    }

    /// Text with lone surrogates, in UTF-8 as Python's `surrogatepass` writes it.
    pub fn surrogates(&mut self, text: &[u8]) {
        let kinds = [
            opcode::SHORT_BINUNICODE,
            opcode::BINUNICODE,
            opcode::BINUNICODE8,
        ];
        self.sized(kinds, text);
    }

    /// Bytes.
    pub fn bytes(&mut self, bytes: &[u8]) {
        let kinds = [opcode::SHORT_BINBYTES, opcode::BINBYTES, opcode::BINBYTES8];
        self.sized(kinds, bytes);
    }

    /// A bytearray.
    pub fn byte_array(&mut self, bytes: &[u8]) {
        self.open_call("builtins", "bytearray", 1);
        self.bytes(bytes);
        self.close_call(1);
    }

    /// A class or function of a module.
    pub fn global(&mut self, module: &str, name: &str) {
        self.text(module);
        self.text(name);
        self.op(opcode::STACK_GLOBAL);
    }

    /// Begins a tuple.
    pub fn open_tuple(&mut self, length: usize) {
        if length > 3 {
            self.op(opcode::MARK);
        }
    }

    /// Ends a tuple.
    pub fn close_tuple(&mut self, length: usize) {
        self.op(match length {
            0 => opcode::EMPTY_TUPLE,
            1 => opcode::TUPLE1,
            2 => opcode::TUPLE2,
            3 => opcode::TUPLE3,
            _ => opcode::TUPLE,
        });
    }

    /// Begins a list.
    pub fn open_list(&mut self, length: usize) {
        self.op(opcode::EMPTY_LIST);
        self.mark_several(length);
    }

    /// Ends a list.
    pub fn close_list(&mut self, length: usize) {
        self.put_in(length, opcode::APPEND, opcode::APPENDS);
    }

    /// Begins a dict. Each item is a key and then its value.
    pub fn open_dict(&mut self, length: usize) {
        self.op(opcode::EMPTY_DICT);
        self.mark_several(length);
    }

    /// Ends a dict.
    pub fn close_dict(&mut self, length: usize) {
        self.put_in(length, opcode::SETITEM, opcode::SETITEMS);
    }

    /// Begins a set.
    pub fn open_set(&mut self) {
        self.bytes
            .extend_from_slice(&[opcode::EMPTY_SET, opcode::MARK]);
    }

    /// Ends a set.
    pub fn close_set(&mut self) {
        self.op(opcode::ADDITEMS);
    }

    /// Begins the call of a class or function, whose arguments follow.
    pub fn open_call(&mut self, module: &str, name: &str, arguments: usize) {
        self.global(module, name);
        self.open_tuple(arguments);
    }

    /// Ends a call.
    pub fn close_call(&mut self, arguments: usize) {
        self.close_tuple(arguments);
        self.op(opcode::REDUCE);
    }

    /// Begins an instance of a class that is made without arguments; its state follows.
    pub fn open_instance(&mut self, module: &str, name: &str) {
        self.global(module, name);
        self.bytes
            .extend_from_slice(&[opcode::EMPTY_TUPLE, opcode::NEWOBJ]);
    }

    /// Ends an instance.
    pub fn close_instance(&mut self) {
        self.op(opcode::BUILD);
    }

    /// Has the reader remember the value that was written last, as Python's pickler does with
    /// whatever could occur again.
    pub fn remember(&mut self) {
        self.op(opcode::MEMOIZE);
        self.remembered = self.remembered.wrapping_add(1);
    }

    /// The place in which the next value to be remembered will be.
    pub(super) fn next_place(&self) -> u32 {
        self.remembered
    }

    /// A value that was remembered.
    pub(super) fn recall(&mut self, place: u32) {
        if let Ok(place) = u8::try_from(place) {
            self.bytes.extend_from_slice(&[opcode::BINGET, place]);
        } else {
            self.op(opcode::LONG_BINGET);
            self.bytes.extend_from_slice(&place.to_le_bytes());
        }
    }

    pub(super) fn op(&mut self, code: u8) {
        self.bytes.push(code);
    }

    /// Forgets whatever was written since there were so many bytes and remembered values.
    pub(super) fn rewind(&mut self, length: usize, remembered: u32) {
        self.bytes.truncate(length);
        self.remembered = remembered;
    }

    pub(super) fn mark_several(&mut self, length: usize) {
        if length > 1 {
            self.op(opcode::MARK);
        }
    }

    pub(super) fn put_in(&mut self, length: usize, one: u8, several: u8) {
        match length {
            0 => (),
            1 => self.op(one),
            _ => self.op(several),
        }
    }

    /// Bytes behind their length, with the instruction for one of 1, 4 or 8 bytes.
    fn sized(&mut self, kinds: [u8; 3], bytes: &[u8]) {
        let length = bytes.len() as u64;
        let width = match length {
            0..=0xff => 1,
            0x100..=0xffff_ffff => 4,
            _ => 8,
        };
        self.op(kinds[width / 4]);
        self.bytes.extend_from_slice(&length.to_le_bytes()[..width]);
        self.bytes.extend_from_slice(bytes);
    }
}
