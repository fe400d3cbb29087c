//! One direction of the authentication: one end proves that it has the key.
//!
//! ```text
//! challenger                                       responder
//!     #CHALLENGE# + body   ------------------------->
//!                          <-------------------------   response
//!     #WELCOME# or #FAILURE#  ---------------------->
//! ```
//!
//! | | releases up to 3.11 | later releases |
//! |---|---|---|
//! | body | 20 random bytes | `{sha256}` and 40 random bytes |
//! | response | HMAC-MD5 of the body | `{sha256}` and HMAC-SHA256 of the whole body |
//!
//! An old responder answers a new challenge with HMAC-MD5 over the whole body, and that is
//! accepted, so every pair of releases can talk. MD5 is used only with who can do no better, and
//! [`Md5::Refused`] shuts those out.

use core::fmt;

use crate::digest::Digest;

/// Longest message of a handshake that any end accepts.
pub const MESSAGE_LIMIT: u64 = 256;
/// Random bytes a challenge needs from its maker.
pub const NONCE_LENGTH: usize = 40;

const CHALLENGE: &[u8] = b"#CHALLENGE#";
const WELCOME: &[u8] = b"#WELCOME#";
const FAILURE: &[u8] = b"#FAILURE#";

/// Random bytes in a challenge of the releases up to 3.11.
const LEGACY_NONCE: usize = 20;

/// Which generation of `CPython` a challenge is like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Generation {
    /// Releases up to 3.11.
    Legacy,
    /// Release 3.12 and later. Older ones understand it as well.
    #[default]
    Modern,
}

/// Whether the other end may prove its key, or have ours proved, by HMAC-MD5: all that Python up
/// to 3.11 can.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Md5 {
    /// It may, if it can do no better.
    #[default]
    Allowed,
    /// It may not. Then our own challenges have to be of [`Generation::Modern`].
    Refused,
}

/// Why authentication failed. The texts are those of `CPython`, as far as it has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AuthenticationError {
    /// The other end has another key than we have.
    SentRejected,
    /// The other end did not prove that it has the key.
    ReceivedWrong,
    /// The other end spoke, but did not challenge us.
    ExpectedChallenge,
    /// A challenge that could be guessed.
    ChallengeTooShort {
        /// Its bytes.
        length: usize,
    },
    /// The other end can only do MD5, and [`Md5::Refused`] is in force.
    Md5Refused,
    /// No digest was named that is known here.
    UnsupportedDigest,
    /// The response is not as long as its digest.
    ResponseLength {
        /// The digest named.
        digest: Digest,
        /// Bytes of the response.
        found: usize,
    },
    /// The handshake is over; nothing more is expected.
    AlreadyOver,
}

impl fmt::Display for AuthenticationError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SentRejected => formatter.write_str("digest sent was rejected"),
            Self::ReceivedWrong => formatter.write_str("digest received was wrong"),
            Self::ExpectedChallenge => formatter.write_str("Protocol error, expected challenge"),
            Self::ChallengeTooShort { length } => {
                write!(formatter, "challenge too short: {length} bytes")
            }
            Self::Md5Refused => formatter.write_str(
                "the other end can authenticate by MD5 only, as Python up to 3.11 does, and MD5 is \
                 refused here; run it with Python 3.12 or later, or allow MD5 on this side",
            ),
            Self::UnsupportedDigest => formatter.write_str(
                "unsupported message length, missing digest prefix, or unsupported digest",
            ),
            Self::ResponseLength { digest, found } => {
                let (name, length) = (digest.name(), digest.length());
                write!(
                    formatter,
                    "expected '{name}' of length {length} got {found}"
                )
            }
            Self::AlreadyOver => formatter.write_str("the handshake is over already"),
        }
    }
}

impl std::error::Error for AuthenticationError {}

/// The end that wants proof.
pub struct Challenger {
    body: Vec<u8>,
}

impl Challenger {
    /// A challenge out of `nonce`, which must be random and used once.
    #[must_use]
    pub fn new(generation: Generation, nonce: &[u8; NONCE_LENGTH]) -> Self {
        let body = match generation {
            Generation::Legacy => nonce[..LEGACY_NONCE].to_vec(),
            Generation::Modern => prefixed(Digest::Sha256, nonce),
        };
        Self { body }
    }

    /// The message to send.
    #[must_use]
    pub fn challenge(&self) -> Vec<u8> {
        [CHALLENGE, &self.body].concat()
    }

    /// Judges the response. The message is to be sent in either case.
    pub fn judge(
        self,
        key: &[u8],
        response: &[u8],
        md5: Md5,
    ) -> (&'static [u8], Result<(), AuthenticationError>) {
        let outcome = self.check(key, response, md5);
        (if outcome.is_ok() { WELCOME } else { FAILURE }, outcome)
    }

    fn check(&self, key: &[u8], response: &[u8], md5: Md5) -> Result<(), AuthenticationError> {
        let (digest, code) = split_digest(response)?;
        let digest = digest.unwrap_or(Digest::Md5);
        if digest == Digest::Md5 && md5 == Md5::Refused {
            return Err(AuthenticationError::Md5Refused);
        }
        if code.len() != digest.length() {
            return Err(AuthenticationError::ResponseLength {
                digest,
                found: code.len(),
            });
        }
        if digest.verify(key, &self.body, code) {
            Ok(())
        } else {
            Err(AuthenticationError::ReceivedWrong)
        }
    }
}

/// Answers a challenge: the message to send.
pub fn answer(key: &[u8], message: &[u8], md5: Md5) -> Result<Vec<u8>, AuthenticationError> {
    let body = message
        .strip_prefix(CHALLENGE)
        .ok_or(AuthenticationError::ExpectedChallenge)?;
    if body.len() < LEGACY_NONCE {
        return Err(AuthenticationError::ChallengeTooShort { length: body.len() });
    }
    Ok(match split_digest(body)? {
        (None, _) if md5 == Md5::Refused => return Err(AuthenticationError::Md5Refused),
        (None, _) => Digest::Md5.authenticate(key, body),
        // Who names a digest knows the better ones too.
        (Some(Digest::Md5), _) => prefixed(Digest::Sha256, &Digest::Sha256.authenticate(key, body)),
        (Some(digest), _) => prefixed(digest, &digest.authenticate(key, body)),
    })
}

/// What to send in the place of an answer that is refused.
#[must_use]
pub fn refusal() -> Vec<u8> {
    FAILURE.to_vec()
}

/// Reads the verdict on what `answer` made.
pub fn accept_verdict(message: &[u8]) -> Result<(), AuthenticationError> {
    if message == WELCOME {
        Ok(())
    } else {
        Err(AuthenticationError::SentRejected)
    }
}

fn prefixed(digest: Digest, rest: &[u8]) -> Vec<u8> {
    [b"{", digest.name().as_bytes(), b"}", rest].concat()
}

/// Splits `{name}rest`; messages of the lengths that the old releases use have no name.
fn split_digest(message: &[u8]) -> Result<(Option<Digest>, &[u8]), AuthenticationError> {
    if message.len() == Digest::Md5.length() || message.len() == LEGACY_NONCE {
        return Ok((None, message));
    }
    let named = message.strip_prefix(b"{").and_then(|rest| {
        let end = rest.iter().position(|&byte| byte == b'}')?;
        Some((Digest::by_name(&rest[..end])?, &rest[end + 1..]))
    });
    match named {
        Some((digest, rest)) => Ok((Some(digest), rest)),
        None => Err(AuthenticationError::UnsupportedDigest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONCE: &[u8; NONCE_LENGTH] = b"0123456789012345678901234567890123456789";

    #[test]
    fn messages_have_the_lengths_of_cpython() {
        assert_eq!(
            Challenger::new(Generation::Legacy, NONCE).challenge().len(),
            31
        );
        let modern = Challenger::new(Generation::Modern, NONCE).challenge();
        assert_eq!(modern.len(), 59);
        assert!(modern.starts_with(b"#CHALLENGE#{sha256}0123"));
        assert_eq!(answer(b"key", &modern, Md5::Allowed).unwrap().len(), 40);
    }

    #[test]
    fn either_generation_is_answered_and_accepted() {
        for generation in [Generation::Legacy, Generation::Modern] {
            for key in [&b""[..], b"key", &[0xff; 300]] {
                let challenger = Challenger::new(generation, NONCE);
                let response = answer(key, &challenger.challenge(), Md5::Allowed).unwrap();
                assert_eq!(
                    challenger.judge(key, &response, Md5::Allowed),
                    (WELCOME, Ok(()))
                );
                let challenger = Challenger::new(generation, NONCE);
                let wrong = (FAILURE, Err(AuthenticationError::ReceivedWrong));
                assert_eq!(challenger.judge(b"other", &response, Md5::Allowed), wrong);
            }
        }
        accept_verdict(WELCOME).unwrap();
        let rejected = accept_verdict(FAILURE).unwrap_err();
        assert_eq!(rejected.to_string(), "digest sent was rejected");
    }

    #[test]
    fn a_responder_may_choose_its_digest() {
        for digest in Digest::ALL {
            let challenger = Challenger::new(Generation::Modern, NONCE);
            let code = digest.authenticate(b"key", &challenger.body);
            let response = prefixed(digest, &code);
            assert_eq!(
                challenger.judge(b"key", &response, Md5::Allowed).1,
                Ok(()),
                "{}",
                digest.name()
            );
        }
        // As a release up to 3.11 answers a challenge of a later one.
        let challenger = Challenger::new(Generation::Modern, NONCE);
        let code = Digest::Md5.authenticate(b"key", &challenger.body);
        assert_eq!(challenger.judge(b"key", &code, Md5::Allowed).1, Ok(()));
    }

    #[test]
    fn md5_is_for_those_who_can_do_no_better() {
        let refused = Err(AuthenticationError::Md5Refused);
        let legacy = Challenger::new(Generation::Legacy, NONCE).challenge();
        assert_eq!(answer(b"key", &legacy, Md5::Allowed).unwrap().len(), 16);
        assert_eq!(
            answer(b"key", &legacy, Md5::Refused),
            Err(AuthenticationError::Md5Refused)
        );
        // A challenge that asks for MD5 by name comes from a later release.
        let named = [CHALLENGE, b"{md5}", NONCE].concat();
        for md5 in [Md5::Allowed, Md5::Refused] {
            let response = answer(b"key", &named, md5).unwrap();
            assert!(response.starts_with(b"{sha256}"));
        }
        let challenger = || Challenger::new(Generation::Modern, NONCE);
        let code = Digest::Md5.authenticate(b"key", &challenger().body);
        for response in [code.clone(), prefixed(Digest::Md5, &code)] {
            let (verdict, outcome) = challenger().judge(b"key", &response, Md5::Refused);
            assert_eq!((verdict, outcome), (FAILURE, refused));
        }
        let response = answer(b"key", &challenger().challenge(), Md5::Refused).unwrap();
        assert_eq!(
            challenger().judge(b"key", &response, Md5::Refused).1,
            Ok(())
        );
        let text = AuthenticationError::Md5Refused.to_string();
        assert!(text.contains("Python up to 3.11") && text.contains("allow MD5"));
    }

    #[test]
    fn nonsense_is_told_apart() {
        use AuthenticationError as E;
        assert_eq!(
            answer(b"k", b"hello", Md5::Allowed),
            Err(E::ExpectedChallenge)
        );
        assert_eq!(
            answer(b"k", b"#CHALLENGE#short", Md5::Allowed),
            Err(E::ChallengeTooShort { length: 5 })
        );
        let unknown = [CHALLENGE, b"{sha1}", &[0; 40]].concat();
        assert_eq!(
            answer(b"k", &unknown, Md5::Allowed),
            Err(E::UnsupportedDigest)
        );
        let judge = |response: &[u8]| {
            Challenger::new(Generation::Modern, NONCE)
                .judge(b"k", response, Md5::Allowed)
                .1
                .unwrap_err()
        };
        assert_eq!(judge(b""), E::UnsupportedDigest);
        assert_eq!(judge(b"{sha256"), E::UnsupportedDigest);
        let short = E::ResponseLength {
            digest: Digest::Sha256,
            found: 3,
        };
        assert_eq!(judge(b"{sha256}abc"), short);
        assert_eq!(short.to_string(), "expected 'sha256' of length 32 got 3");
    }
}
