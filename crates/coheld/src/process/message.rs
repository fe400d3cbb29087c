//! What a process and its child tell each other.
//!
//! A message is a byte that says what it is, the number of bytes that follow as 8 bytes, and these.
//! The parent sends one, `Arguments`; the child says `Begun` when it has read it, and one more at
//! its end.

use std::io::{self, ErrorKind, Read, Write};

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// What the function is to be called with: a byte, whether to end with the parent, and a
    /// parcel.
    Arguments = 1,
    /// The arguments have arrived and are the child's own.
    Begun = 2,
    /// The arguments could not be read; in words.
    Unreadable = 3,
    /// What the function has returned, as a parcel.
    Returned = 4,
    /// What it has returned could not be sent; in words.
    Unwritable = 5,
    /// It has panicked; in words.
    Panicked = 6,
}

impl Kind {
    fn of(number: u8) -> io::Result<Self> {
        Ok(match number {
            1 => Self::Arguments,
            2 => Self::Begun,
            3 => Self::Unreadable,
            4 => Self::Returned,
            5 => Self::Unwritable,
            6 => Self::Panicked,
            _ => return Err(ErrorKind::InvalidData.into()),
        })
    }
}

pub(super) type Message = (Kind, Vec<u8>);

const HEAD_BYTES: usize = 9;

/// Sends a message.
pub(super) fn send(mut socket: impl Write, kind: Kind, body: &[u8]) -> io::Result<()> {
    let mut head = [0; HEAD_BYTES];
    head[0] = kind as u8;
    head[1..].copy_from_slice(&(body.len() as u64).to_le_bytes());
    socket.write_all(&head)?;
    socket.write_all(body)
}

/// Waits for a message.
pub(super) fn receive(mut socket: impl Read) -> io::Result<Message> {
    let mut head = [0; HEAD_BYTES];
    socket.read_exact(&mut head)?;
    let (kind, length) = parse(head)?;
    let mut body = Vec::new();
    socket.take(length).read_to_end(&mut body)?;
    if body.len() as u64 == length {
        Ok((kind, body))
    } else {
        Err(ErrorKind::UnexpectedEof.into())
    }
}

fn parse(head: [u8; HEAD_BYTES]) -> io::Result<(Kind, u64)> {
    let [kind, length @ ..] = head;
    Ok((Kind::of(kind)?, u64::from_le_bytes(length)))
}

/// The messages out of what has come so far, for a socket that never blocks.
#[derive(Default)]
pub(super) struct Inbox {
    bytes: Vec<u8>,
}

impl Inbox {
    /// Takes what has come; whether nothing more can come.
    pub(super) fn fill(&mut self, mut socket: impl Read) -> io::Result<bool> {
        match socket.read_to_end(&mut self.bytes) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
            // The other side ended before it had read all that it was sent.
            Err(error) if error.kind() == ErrorKind::ConnectionReset => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// The next message that is there as a whole.
    pub(super) fn next(&mut self) -> io::Result<Option<Message>> {
        let Some((head, rest)) = self.bytes.split_first_chunk() else {
            return Ok(None);
        };
        let (kind, length) = parse(*head)?;
        let length = usize::try_from(length).map_err(|_| ErrorKind::InvalidData)?;
        if rest.len() < length {
            return Ok(None);
        }
        let mut body = self.bytes.split_off(HEAD_BYTES);
        self.bytes = body.split_off(length);
        Ok(Some((kind, body)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixStream;

    #[test]
    fn messages_come_in_whatever_pieces() {
        let mut bytes = Vec::new();
        send(&mut bytes, Kind::Begun, b"").unwrap();
        send(&mut bytes, Kind::Returned, &[7; 3000]).unwrap();
        let expected = [(Kind::Begun, vec![]), (Kind::Returned, vec![7; 3000])];

        let mut whole = &bytes[..];
        let got = [(); 2].map(|()| receive(&mut whole).unwrap());
        assert_eq!(got, expected);
        assert!(receive(&mut whole).is_err());
        assert!(receive(&bytes[9..1000]).is_err());

        let (mut one, other) = UnixStream::pair().unwrap();
        other.set_nonblocking(true).unwrap();
        let (mut inbox, mut got) = (Inbox::default(), Vec::new());
        for piece in bytes.chunks(500) {
            one.write_all(piece).unwrap();
            assert!(!inbox.fill(&other).unwrap());
            got.extend(inbox.next().unwrap());
        }
        assert_eq!(got, expected);
        drop(one);
        assert!(inbox.fill(&other).unwrap());
        assert!(inbox.next().unwrap().is_none());
    }

    #[test]
    fn nonsense_is_an_error() {
        assert!(receive(&[0; 20][..]).is_err());
        let mut inbox = Inbox { bytes: vec![9; 20] };
        assert!(inbox.next().is_err());
    }
}
