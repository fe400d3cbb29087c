//! What callers and hosts say to each other: requests and replies as bytes.
//!
//! ```text
//! request   object u64 | flags u8 | length of the method's name u16 | name | body
//! reply     body | kind u8 (bit 7: the last one of its channel)
//! ```
//!
//! The kind of a reply stands at its end so that a body, which may be large, is never moved to make
//! room for it. Numbers are little endian. Reading is total: any bytes are a message or an error.

use coheld_store::StoreError;

use super::{Leases, buffers};
use crate::Error;

/// Bytes of a request before the name of its method.
const HEAD: usize = 11;
/// Bit beside the kind of a reply: the host closes the channel after it.
const LAST: u8 = 1 << 7;

/// One call of one method.
///
/// ```
/// use coheld::hosted::Request;
///
/// let request = Request::new("append", b"a pickle").of_object(7);
/// assert_eq!((request.object, request.method, request.body), (7, "append", &b"a pickle"[..]));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request<'r> {
    /// The object's number in the table of its host; 0 is the host itself. Whoever calls through a
    /// [`Handle`](crate::Handle) need not know it.
    pub object: u64,
    /// See [`Request::XMLRPC`].
    pub flags: u8,
    /// The name of the method.
    pub method: &'r str,
    /// The pickle of the pair of positional and named arguments.
    pub body: &'r [u8],
}

impl<'r> Request<'r> {
    /// Flag: the result is to be written by `xmlrpc.client`, not by `pickle`.
    pub const XMLRPC: u8 = 1;

    /// Flag: a call inside a call, of an object of the host; the body says which, see `nesting`.
    pub(super) const NESTED: u8 = 2;
    /// Flag: no call, but the answer to one inside a call. The body is a reply.
    pub(super) const ANSWER: u8 = 4;

    /// Flag: whoever calls may leave before the answer, so nothing is to be asked of it meanwhile.
    pub(super) const LIMITED: u8 = 8;

    /// What goes before a body that is more than arguments.
    pub(super) const fn flagged(flags: u8) -> Self {
        let request = Self::new("", &[]);
        Self { flags, ..request }
    }

    /// A call of `method`, of an object that is found later.
    ///
    /// ```
    /// use coheld::hosted::Request;
    ///
    /// const PING: Request<'static> = Request::new("ping", b"");
    /// assert_eq!((PING.object, PING.flags), (0, 0));
    /// ```
    #[must_use]
    pub const fn new(method: &'r str, body: &'r [u8]) -> Self {
        Self {
            object: 0,
            flags: 0,
            method,
            body,
        }
    }

    /// The same call of another object.
    ///
    /// ```
    /// use coheld::hosted::Request;
    ///
    /// let request = Request::new("ping", b"");
    /// assert_eq!(request.of_object(3).object, 3);
    /// ```
    #[must_use]
    pub const fn of_object(self, object: u64) -> Self {
        Self { object, ..self }
    }

    /// The bytes before the name of the method and the body.
    pub(super) fn head(&self) -> Result<[u8; HEAD], Error> {
        let length = u16::try_from(self.method.len()).map_err(|_| Error::Protocol {
            why: "the name of a method is longer than 65,535 bytes",
        })?;
        let mut head = [0; HEAD];
        head[..8].copy_from_slice(&self.object.to_le_bytes());
        head[8] = self.flags;
        head[9..].copy_from_slice(&length.to_le_bytes());
        Ok(head)
    }

    /// The whole message, in parts; `head` is as by [`Self::head`].
    pub(super) fn parts<'a>(&'a self, head: &'a [u8; HEAD]) -> [&'a [u8]; 3] {
        [head, self.method.as_bytes(), self.body]
    }

    /// Reads a request.
    ///
    /// ```
    /// use coheld::hosted::Request;
    ///
    /// // Object 1, no flags, a name of four bytes.
    /// let message = b"\x01\0\0\0\0\0\0\0\0\x04\0pingbody";
    /// assert_eq!(Request::decode(message)?, Request::new("ping", b"body").of_object(1));
    /// assert!(Request::decode(b"too short").is_err());
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn decode(message: &'r [u8]) -> Result<Self, Error> {
        let cut = Error::Protocol {
            why: "a request was cut short",
        };
        let Some((object, rest)) = message.split_first_chunk() else {
            return Err(cut);
        };
        let Some((&[flags, low, high], rest)) = rest.split_first_chunk() else {
            return Err(cut);
        };
        let length = usize::from(u16::from_le_bytes([low, high]));
        let Some((method, body)) = rest.split_at_checked(length) else {
            return Err(cut);
        };
        let method = str::from_utf8(method).map_err(|_| Error::Protocol {
            why: "the name of a method is not UTF-8",
        })?;
        Ok(Self {
            object: u64::from_le_bytes(*object),
            flags,
            method,
            body,
        })
    }
}

/// What a reply is.
///
/// ```
/// use coheld::hosted::{Reply, ReplyKind};
///
/// for kind in ReplyKind::ALL {
///     assert_eq!(Reply::decode(Reply::new(kind, "body").encode())?.kind, kind);
/// }
/// # Ok::<(), coheld::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ReplyKind {
    /// The pickle of the result.
    Return = 1,
    /// The pickle of the pair of the pickle of an exception and the text of its traceback, which
    /// can be read where the exception cannot.
    Error = 2,
    /// The text of a traceback: the host failed, not the method.
    Traceback = 3,
    /// The text of what could not be pickled.
    Unserializable = 4,
    /// The pickle of the names of methods, a token and a class: the result is a hosted object.
    Proxy = 5,
    /// Not a reply yet: the method calls an object of the caller's process. See `nesting`.
    Nested = 6,
    /// There is no such host any more; in answer to a call inside a call.
    Gone = 7,
}

impl ReplyKind {
    /// Every kind.
    pub const ALL: [Self; 7] = [
        Self::Return,
        Self::Error,
        Self::Traceback,
        Self::Unserializable,
        Self::Proxy,
        Self::Nested,
        Self::Gone,
    ];

    fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == number)
    }
}

/// The answer to one call.
///
/// ```
/// use coheld::hosted::{Reply, ReplyKind};
///
/// let reply = Reply::new(ReplyKind::Return, b"N.");
/// let read = Reply::decode(reply.encode())?;
/// assert_eq!((read.kind, read.body), (ReplyKind::Return, b"N.".to_vec()));
/// assert!(Reply::decode(Vec::new()).is_err());
/// # Ok::<(), coheld::Error>(())
/// ```
#[derive(Debug)]
pub struct Reply {
    /// What the body is.
    pub kind: ReplyKind,
    /// See [`ReplyKind`].
    pub body: Vec<u8>,
    /// References that the body hands over; none in a reply that was read.
    pub leases: Leases,
}

impl Reply {
    /// A reply of this kind.
    #[must_use]
    pub fn new(kind: ReplyKind, body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        let leases = Leases::new();
        Self { kind, body, leases }
    }

    /// The bytes of the reply.
    #[must_use]
    pub fn encode(self) -> Vec<u8> {
        let Self { kind, mut body, .. } = self;
        body.push(kind as u8);
        body
    }

    /// The same for a reply after which the host closes the channel.
    pub(super) fn encode_as_last(self) -> Vec<u8> {
        let mut message = self.encode();
        if let Some(kind) = message.last_mut() {
            *kind |= LAST;
        }
        message
    }

    /// Whether the host closes the channel after this reply.
    pub(super) fn is_last(message: &[u8]) -> bool {
        message.last().is_some_and(|kind| kind & LAST != 0)
    }

    /// Whether it is a call inside the call.
    pub(super) fn is_nested(message: &[u8]) -> bool {
        message.last() == Some(&(ReplyKind::Nested as u8))
    }

    /// Has `send` deliver it; what it hands over, to be kept until its receiver has it for sure.
    /// A reply that does not fit becomes one that says so.
    ///
    /// [`StoreError::Closed`]: nobody will read it, and what it hands over was taken back.
    pub(super) fn deliver(
        mut self,
        send: impl Fn(&[u8]) -> Result<(), StoreError>,
    ) -> Result<Leases, Error> {
        let leases = std::mem::take(&mut self.leases);
        let reply = self.encode();
        match send(&reply) {
            Ok(()) => {
                buffers::keep(reply);
                Ok(leases)
            }
            Err(StoreError::Shm(
                error
                @ (coheld_shm::Error::OutOfMemory { .. } | coheld_shm::Error::TooLarge { .. }),
            )) => {
                let size = reply.len() - 1;
                drop(reply);
                leases.give_back();
                let text = format!("a result of {size} bytes does not fit: {error}\n");
                send(&Self::new(ReplyKind::Traceback, text).encode())?;
                Ok(Leases::new())
            }
            Err(error) => {
                if matches!(error, StoreError::Closed) {
                    leases.give_back();
                }
                Err(error.into())
            }
        }
    }

    /// Reads a reply.
    pub fn decode(mut message: Vec<u8>) -> Result<Self, Error> {
        let kind = message.pop().map(|kind| kind & !LAST);
        let kind = kind.and_then(ReplyKind::from_number);
        let kind = kind.ok_or(Error::Protocol {
            why: "a reply is of no known kind",
        })?;
        Ok(Self {
            kind,
            body: message,
            leases: Leases::new(),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encoded(request: &Request<'_>) -> Vec<u8> {
        request.parts(&request.head().unwrap()).concat()
    }

    proptest! {
        #[test]
        fn requests_come_back_as_they_were(
            object: u64,
            flags: u8,
            method in ".{0,40}",
            body: Vec<u8>,
        ) {
            let request = Request { object, flags, method: &method, body: &body };
            let message = encoded(&request);
            prop_assert_eq!(Request::decode(&message).unwrap(), request);
            for cut in 0..message.len().min(HEAD + method.len()) {
                prop_assert!(Request::decode(&message[..cut]).is_err());
            }
        }

        #[test]
        fn replies_come_back_as_they_were(number in 0..ReplyKind::ALL.len(), body: Vec<u8>) {
            let reply = Reply::new(ReplyKind::ALL[number], body.clone());
            let read = Reply::decode(reply.encode()).unwrap();
            prop_assert_eq!((read.kind, read.body), (ReplyKind::ALL[number], body));
        }

        #[test]
        fn any_bytes_are_a_message_or_an_error(bytes: Vec<u8>) {
            if let Ok(request) = Request::decode(&bytes) {
                prop_assert_eq!(&encoded(&request), &bytes);
            }
            if let Ok(reply) = Reply::decode(bytes.clone()) {
                let again = if Reply::is_last(&bytes) {
                    reply.encode_as_last()
                } else {
                    reply.encode()
                };
                prop_assert_eq!(again, bytes);
            }
        }
    }

    #[test]
    fn a_name_beyond_all_measure_is_refused() {
        let name = "n".repeat(70_000);
        let request = Request::new(&name, b"");
        assert!(request.head().is_err());
    }
}
