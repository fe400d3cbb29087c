//! Where a manager listens.
//!
//! As text, `unix:/path` or `abstract:name`, with `%xx` for every byte that would not survive a
//! line of text.

use core::fmt::{self, Write as _};
use core::str::FromStr;
use std::ffi::OsString;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::net::SocketAddr;
use std::path::PathBuf;

use crate::Error;

/// Bytes of a Unix socket name, the terminating zero of a path not counted.
const NAME_LIMIT: usize = 107;

/// The address of a Unix socket.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Address {
    /// A file.
    Path(PathBuf),
    /// A name that is not in the file system; it ends with its listener.
    Abstract(Vec<u8>),
}

impl Address {
    /// From the form in which Python names it: a path, or a zero byte and a name.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        match bytes {
            [] => Err(Error::BadAddress { why: "it is empty" }),
            [0, name @ ..] => Ok(Self::Abstract(name.to_vec())),
            path => Ok(Self::Path(OsString::from_vec(path.to_vec()).into())),
        }
    }

    /// The form in which Python names it.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Path(path) => path.as_os_str().as_bytes().to_vec(),
            Self::Abstract(name) => [b"\0", name.as_slice()].concat(),
        }
    }

    /// The form for the socket calls.
    pub(crate) fn to_socket(&self) -> Result<SocketAddr, Error> {
        let (made, length) = match self {
            Self::Path(path) => (SocketAddr::from_pathname(path), path.as_os_str().len()),
            Self::Abstract(name) => (SocketAddr::from_abstract_name(name), name.len()),
        };
        if length > NAME_LIMIT {
            return Err(Error::BadAddress {
                why: "it is longer than the 107 bytes of Linux",
            });
        }
        made.map_err(|_| Error::BadAddress {
            why: "it has a zero byte in its path",
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, name) = match self {
            Self::Path(path) => ("unix:", path.as_os_str().as_bytes()),
            Self::Abstract(name) => ("abstract:", name.as_slice()),
        };
        formatter.write_str(scheme)?;
        for &byte in name {
            if byte.is_ascii_graphic() && byte != b'%' {
                formatter.write_char(byte.into())?;
            } else {
                write!(formatter, "%{byte:02x}")?;
            }
        }
        Ok(())
    }
}

impl FromStr for Address {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let (scheme, rest) = text.split_once(':').ok_or(Error::BadAddress {
            why: "it has no scheme",
        })?;
        let name = unescape(rest).ok_or(Error::BadAddress {
            why: "a % without two digits",
        })?;
        match scheme {
            "unix" if !name.is_empty() => Ok(Self::Path(OsString::from_vec(name).into())),
            "abstract" => Ok(Self::Abstract(name)),
            "unix" => Err(Error::BadAddress { why: "it is empty" }),
            _ => Err(Error::BadAddress {
                why: "its scheme is neither unix: nor abstract:",
            }),
        }
    }
}

fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut bytes = text.bytes();
    let mut name = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let mut digit = || char::from(bytes.next()?).to_digit(16);
            let (high, low) = (digit()?, digit()?);
            name.push((high << 4 | low) as u8);
        } else {
            name.push(byte);
        }
    }
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_bytes_come_back_the_same() {
        for bytes in [
            &b"/tmp/a b/100%\n"[..],
            b"\0name",
            b"\0\xff\0",
            b"/\xf0\x28",
        ] {
            let address = Address::from_bytes(bytes).unwrap();
            assert_eq!(address.to_bytes(), bytes);
            let text = address.to_string();
            assert!(text.bytes().all(|byte| byte.is_ascii_graphic()), "{text}");
            assert_eq!(text.parse::<Address>().unwrap(), address);
        }
    }

    #[test]
    fn nonsense_is_refused() {
        assert!(Address::from_bytes(b"").is_err());
        for text in ["", "unix:", "tcp:host", "unix:%4", "unix:%zz", "plain"] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
        let long = Address::Path("x".repeat(NAME_LIMIT + 1).into());
        assert!(matches!(long.to_socket(), Err(Error::BadAddress { .. })));
    }
}
