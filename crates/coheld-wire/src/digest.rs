//! The message digests of the handshake, by their names on the wire.

use hmac::{Hmac, KeyInit, Mac, SimpleHmac};
use subtle::ConstantTimeEq;

/// A digest that `CPython` accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Digest {
    /// What releases up to 3.11 use. Not safe by itself, but as a MAC of a random challenge it is.
    Md5,
    /// What later releases use.
    Sha256,
    /// May be chosen by whoever answers.
    Sha384,
    /// May be chosen by whoever answers.
    Sha3_256,
    /// May be chosen by whoever answers.
    Sha3_384,
}

impl Digest {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Md5,
        Self::Sha256,
        Self::Sha384,
        Self::Sha3_256,
        Self::Sha3_384,
    ];

    /// The name on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Md5 => "md5",
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha3_256 => "sha3_256",
            Self::Sha3_384 => "sha3_384",
        }
    }

    /// The digest of that name.
    #[must_use]
    pub fn by_name(name: &[u8]) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|digest| digest.name().as_bytes() == name)
    }

    /// Bytes of its output.
    #[must_use]
    pub fn length(self) -> usize {
        match self {
            Self::Md5 => 16,
            Self::Sha256 | Self::Sha3_256 => 32,
            Self::Sha384 | Self::Sha3_384 => 48,
        }
    }

    /// The HMAC of `message` under `key`. Any key will do, also an empty one.
    #[must_use]
    pub fn authenticate(self, key: &[u8], message: &[u8]) -> Vec<u8> {
        match self {
            Self::Md5 => code::<Hmac<md5::Md5>>(key, message),
            Self::Sha256 => code::<Hmac<sha2::Sha256>>(key, message),
            Self::Sha384 => code::<Hmac<sha2::Sha384>>(key, message),
            Self::Sha3_256 => code::<SimpleHmac<sha3::Sha3_256>>(key, message),
            Self::Sha3_384 => code::<SimpleHmac<sha3::Sha3_384>>(key, message),
        }
    }

    /// Whether `code` is the HMAC of `message` under `key`, in a time that does not depend on
    /// where they differ.
    #[must_use]
    pub fn verify(self, key: &[u8], message: &[u8], code: &[u8]) -> bool {
        self.authenticate(key, message).ct_eq(code).into()
    }
}

fn code<M: Mac + KeyInit>(key: &[u8], message: &[u8]) -> Vec<u8> {
    let mut mac = <M as KeyInit>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(message);
    mac.finalize().into_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        use core::fmt::Write;
        bytes.iter().fold(String::new(), |mut text, byte| {
            write!(text, "{byte:02x}").unwrap();
            text
        })
    }

    /// RFC 2202, RFC 4231 and NIST, test case 2.
    #[test]
    fn known_vectors() {
        let (key, message) = (b"Jefe", b"what do ya want for nothing?");
        let known = [
            (Digest::Md5, "750c783e6ab0b503eaa86e310a5db738"),
            (
                Digest::Sha256,
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            ),
            (
                Digest::Sha384,
                "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e\
                 8e2240ca5e69e2c78b3239ecfab21649",
            ),
            (
                Digest::Sha3_256,
                "c7d4072e788877ae3596bbb0da73b887c9171f93095b294ae857fbe2645e1ba5",
            ),
            (
                Digest::Sha3_384,
                "f1101f8cbf9766fd6764d2ed61903f21ca9b18f57cf3e1a23ca13508a93243ce\
                 48c045dc007f26a21b3f5e0e9df4c20a",
            ),
        ];
        for (digest, expected) in known {
            let code = digest.authenticate(key, message);
            assert_eq!(hex(&code), expected, "{}", digest.name());
            assert_eq!(code.len(), digest.length());
            assert!(digest.verify(key, message, &code));
            assert!(!digest.verify(key, message, &code[1..]));
            assert!(!digest.verify(b"", message, &code));
            assert_eq!(Digest::by_name(digest.name().as_bytes()), Some(digest));
        }
        assert_eq!(Digest::by_name(b"sha1"), None);
    }
}
