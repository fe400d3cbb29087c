//! The messages of the control plane, each in one frame.
//!
//! | request | reply |
//! |---|---|
//! | `COHELD` 1 `ATTACH` | `COHELD` 1 `OK` and the 16 bytes of the segment's name |
//! | `COHELD` 1 `PING` | `COHELD` 1 `OK` |
//! | `COHELD` 1 `SHUTDOWN` | `COHELD` 1 `OK` |
//! | `COHELD` 1 `JOIN` and a session | `COHELD` 1 `OK` and the 16 bytes of the segment's name |
//! | anything else | `COHELD` 1 `ERROR` and a text |
//!
//! A manager that has no memory to hand out answers `ATTACH` with `COHELD` 1 `ALONE` and a text.
//!
//! A client that has got the name either goes away or sends `SEND`, and gets one byte with the
//! file descriptor of the segment.
//!
//! No descriptor goes through TCP. There the name of the segment is followed by the name of an
//! abstract Unix socket, where the manager listens as well; a client asks again at that one.
//!
//! After `JOIN` the connection goes on in the protocol of the standard library. A session is 16
//! random bytes, followed by those of the session that it was forked from, if there is one.
//!
//! The name comes before the descriptor because a process that has the segment already must not
//! receive a second descriptor of it, see `registry`.

use crate::wire::Introduction;
use crate::{Address, Error};

/// What every message begins with; the last byte is the version.
pub(super) const MARK: &[u8] = b"COHELD\x01";
const OK: &[u8] = b"OK";
const ERROR: &[u8] = b"ERROR";
const ALONE: &[u8] = b"ALONE";

/// The client's word that it wants the descriptor.
pub(super) const SEND: &[u8] = b"SEND";
/// Length of the name of a segment.
const ID_LENGTH: usize = 16;

/// What a client can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Request {
    Attach,
    Ping,
    Shutdown,
    Join(Introduction),
}

const JOIN: &[u8] = b"JOIN";

impl Request {
    pub(super) fn encode(self) -> Vec<u8> {
        match self {
            Self::Attach => [MARK, b"ATTACH"].concat(),
            Self::Ping => [MARK, b"PING"].concat(),
            Self::Shutdown => [MARK, b"SHUTDOWN"].concat(),
            Self::Join(Introduction { session, parent }) => {
                let parent = parent.as_ref().map_or(&[][..], |parent| parent);
                [MARK, JOIN, &session, parent].concat()
            }
        }
    }

    /// The request in a message, or what to tell the client.
    pub(super) fn decode(message: &[u8]) -> Result<Self, &'static str> {
        let request = message.strip_prefix(MARK).ok_or(
            "this is the control address of a Coheld manager, and the request is not in its \
             protocol; use the same version of Coheld in all processes",
        )?;
        match request {
            b"ATTACH" => Ok(Self::Attach),
            b"PING" => Ok(Self::Ping),
            b"SHUTDOWN" => Ok(Self::Shutdown),
            _ => Self::decode_join(request)
                .ok_or("no such request in this version; use the same version in all processes"),
        }
    }

    fn decode_join(request: &[u8]) -> Option<Self> {
        let (session, parent) = request.strip_prefix(JOIN)?.split_first_chunk()?;
        let parent = match parent {
            [] => None,
            parent => Some(parent.try_into().ok()?),
        };
        let session = *session;
        Some(Self::Join(Introduction { session, parent }))
    }
}

/// A reply that grants the request.
pub(super) fn granted(body: &[u8]) -> Vec<u8> {
    [MARK, OK, body].concat()
}

/// A reply that does not.
pub(super) fn refused(reason: &str) -> Vec<u8> {
    [MARK, ERROR, reason.as_bytes()].concat()
}

/// A reply that says that there is no memory to be had, for whoever can do without it.
pub(super) fn alone(reason: &str) -> Vec<u8> {
    [MARK, ALONE, reason.as_bytes()].concat()
}

/// Whether a message is one of this protocol. The standard library answers in its own.
pub(super) fn is_ours(message: &[u8]) -> bool {
    message.starts_with(MARK)
}

/// The body of a reply of the manager at `address`, or its refusal.
pub(super) fn read_reply<'a>(message: &'a [u8], address: &Address) -> Result<&'a [u8], Error> {
    let reply = message.strip_prefix(MARK).ok_or(Error::Protocol {
        why: "no reply of ours",
    })?;
    if let Some(body) = reply.strip_prefix(OK) {
        return Ok(body);
    }
    if let Some(reason) = reply.strip_prefix(ALONE) {
        return Err(Error::OutOfReach {
            address: address.clone(),
            why: String::from_utf8_lossy(reason).into_owned(),
        });
    }
    let reason = reply.strip_prefix(ERROR).ok_or(Error::Protocol {
        why: "no such reply",
    })?;
    Err(Error::Refused {
        reason: String::from_utf8_lossy(reason).into_owned(),
    })
}

/// What `ATTACH` is granted with: the name of the segment, and where to ask for it if not here.
pub(super) fn segment(id: [u8; ID_LENGTH], elsewhere: Option<&[u8]>) -> Vec<u8> {
    [&id, elsewhere.unwrap_or_default()].concat()
}

/// The two from the body of a reply.
pub(super) fn read_segment(body: &[u8]) -> Result<([u8; ID_LENGTH], Option<&[u8]>), Error> {
    let (id, elsewhere) = body.split_first_chunk().ok_or(Error::Protocol {
        why: "not the name of a segment",
    })?;
    Ok((*id, Some(elsewhere).filter(|name| !name.is_empty())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_and_replies_come_back() {
        let join = |parent| {
            let session = [1; 16];
            Request::Join(Introduction { session, parent })
        };
        let simple = [Request::Attach, Request::Ping, Request::Shutdown];
        for request in [&simple[..], &[join(None), join(Some([2; 16]))]].concat() {
            assert_eq!(Request::decode(&request.encode()), Ok(request));
        }
        assert!(Request::decode(b"COHELD\x01DANCE").is_err());
        assert!(Request::decode(b"COHELD\x01JOIN0123456789abcde").is_err());
        assert!(Request::decode(b"COHELD\x01JOIN0123456789abcdef+").is_err());
        assert!(Request::decode(b"\x80\x04\x95").is_err());
        let here = Address::Abstract(b"here".to_vec());
        assert_eq!(read_reply(&granted(b"body"), &here).unwrap(), b"body");
        let refusal = read_reply(&refused("not now"), &here).unwrap_err();
        assert_eq!(refusal.to_string(), "the manager refused: not now");
        let refusal = read_reply(&alone("no memory"), &here).unwrap_err();
        assert!(matches!(refusal, Error::OutOfReach { why, .. } if why == "no memory"));
        let refusal = read_reply(b"hello", &here).unwrap_err();
        assert!(matches!(refusal, Error::Protocol { .. }));
        for elsewhere in [None, Some(&b"name"[..])] {
            let body = segment([7; ID_LENGTH], elsewhere);
            assert_eq!(read_segment(&body).unwrap(), ([7; ID_LENGTH], elsewhere));
        }
        assert!(read_segment(b"short").is_err());
    }
}
