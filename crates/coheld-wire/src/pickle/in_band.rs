//! Pickles whose buffers lie beside them, as pickles that have everything in them.

use super::{Malformed, Reason, opcode};

/// What follows the code of an instruction.
enum Argument {
    /// So many bytes.
    Bytes(usize),
    /// A length of so many bytes, then so many bytes as that says.
    Counted(usize),
    /// So many lines.
    Lines(usize),
}

const fn argument(code: u8) -> Argument {
    match code {
        opcode::BININT1 | opcode::BINGET | opcode::BINPUT | opcode::PROTO | opcode::EXT1 => {
            Argument::Bytes(1)
        }
        opcode::BININT2 | opcode::EXT2 => Argument::Bytes(2),
        opcode::BININT | opcode::EXT4 | opcode::LONG_BINGET | opcode::LONG_BINPUT => {
            Argument::Bytes(4)
        }
        opcode::BINFLOAT | opcode::FRAME => Argument::Bytes(8),
        opcode::SHORT_BINSTRING
        | opcode::SHORT_BINBYTES
        | opcode::SHORT_BINUNICODE
        | opcode::LONG1 => Argument::Counted(1),
        opcode::BINSTRING | opcode::BINUNICODE | opcode::BINBYTES | opcode::LONG4 => {
            Argument::Counted(4)
        }
        opcode::BINUNICODE8 | opcode::BINBYTES8 | opcode::BYTEARRAY8 => Argument::Counted(8),
        opcode::FLOAT
        | opcode::INT
        | opcode::LONG
        | opcode::STRING
        | opcode::UNICODE
        | opcode::PERSID
        | opcode::GET
        | opcode::PUT => Argument::Lines(1),
        opcode::GLOBAL | opcode::INST => Argument::Lines(2),
        _ => Argument::Bytes(0),
    }
}

/// A pickle of protocol 5 with each of its buffers in the place where it is asked for, as Python's
/// pickler writes them without a `buffer_callback`: a `bytearray`, or `bytes` if it was read-only.
///
/// ```
/// use coheld_wire::pickle::in_band;
///
/// let beside = b"\x80\x05\x97\x97\x98\x86.";
/// let within = in_band(beside, &[b"ab", b"c"])?;
/// assert_eq!(
///     within,
///     b"\x80\x05\x96\x02\0\0\0\0\0\0\0ab\x8e\x01\0\0\0\0\0\0\0c\x86."
/// );
/// # Ok::<(), coheld_wire::pickle::Malformed>(())
/// ```
pub fn in_band(pickle: &[u8], buffers: &[&[u8]]) -> Result<Vec<u8>, Malformed> {
    let more: usize = buffers.iter().map(|buffer| buffer.len() + 9).sum();
    let mut written = Vec::with_capacity(pickle.len() + more);
    let mut buffers = buffers.iter();
    let mut at = 0;
    loop {
        let offset = at;
        let fault = |reason| Malformed { offset, reason };
        let rest = pickle.get(at + 1..).unwrap_or_default();
        let Some(&code) = pickle.get(at) else {
            return Err(fault(Reason::Truncated));
        };
        let length = length_of(code, rest).ok_or(fault(Reason::Truncated))?;
        at += 1 + length;
        match code {
            opcode::NEXT_BUFFER => {
                let buffer = buffers.next().ok_or(fault(Reason::OutOfBandBuffer))?;
                let is_read_only = pickle.get(at) == Some(&opcode::READONLY_BUFFER);
                at += usize::from(is_read_only);
                written.push(if is_read_only {
                    opcode::BINBYTES8
                } else {
                    opcode::BYTEARRAY8
                });
                written.extend_from_slice(&(buffer.len() as u64).to_le_bytes());
                written.extend_from_slice(buffer);
            }
            // Of something else than a buffer.
            opcode::READONLY_BUFFER => return Err(fault(Reason::OutOfBandBuffer)),
            // Frames only help those who read from a file, and would have to be measured anew.
            opcode::FRAME => (),
            _ => written.extend_from_slice(&pickle[offset..at]),
        }
        if code == opcode::STOP {
            return Ok(written);
        }
    }
}

/// Bytes of an instruction's argument; `None`: there are not as many.
fn length_of(code: u8, rest: &[u8]) -> Option<usize> {
    let length = match argument(code) {
        Argument::Bytes(bytes) => bytes,
        Argument::Counted(bytes) => {
            let mut count = [0; 8];
            count[..bytes].copy_from_slice(rest.get(..bytes)?);
            usize::try_from(u64::from_le_bytes(count))
                .ok()?
                .checked_add(bytes)?
        }
        Argument::Lines(lines) => {
            let mut ends = rest.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
            ends.nth(lines - 1)?.0 + 1
        }
    };
    (length <= rest.len()).then_some(length)
}
