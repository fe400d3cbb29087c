//! Where a manager listens.
//!
//! As text, `unix:/path`, `abstract:name` or `tcp:host:port`, with `%xx` for every byte that would
//! not survive a line of text.

use core::fmt::{self, Write as _};
use core::str::FromStr;
use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr, ToSocketAddrs as _};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::net;
use std::path::PathBuf;

use crate::Error;

/// Bytes of a Unix socket name, the terminating zero of a path not counted.
const NAME_LIMIT: usize = 107;

/// The address of a socket.
///
/// ```
/// use coheld::Address;
///
/// let address: Address = "tcp:localhost:50000".parse()?;
/// assert_eq!(address, Address::Tcp { host: "localhost".to_owned(), port: 50000 });
/// assert_eq!("unix:/tmp/a%20b".parse::<Address>()?, Address::Path("/tmp/a b".into()));
/// assert_eq!(Address::Abstract(b"name".to_vec()).to_string(), "abstract:name");
/// # Ok::<(), coheld::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Address {
    /// A file.
    Path(PathBuf),
    /// A name that is not in the file system; it ends with its listener.
    Abstract(Vec<u8>),
    /// A port of a machine.
    Tcp {
        /// Name or number of the machine; empty: all of its IPv4 addresses, as in the standard
        /// library, and `::`: all of its addresses.
        host: String,
        /// The port; 0 for a server that takes what the system has free.
        port: u16,
    },
}

/// The same in the form for the socket calls.
pub(crate) enum Place {
    Unix(net::SocketAddr),
    /// In the order in which they are to be tried.
    Tcp(Vec<SocketAddr>),
}

impl Address {
    /// From the form in which Python names a Unix socket: a path, or a zero byte and a name.
    ///
    /// ```
    /// use coheld::Address;
    ///
    /// assert_eq!(Address::from_bytes(b"/run/socket")?, Address::Path("/run/socket".into()));
    /// assert_eq!(Address::from_bytes(b"\0name")?, Address::Abstract(b"name".to_vec()));
    /// assert!(Address::from_bytes(b"").is_err());
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        match bytes {
            [] => Err(Error::BadAddress { why: "it is empty" }),
            [0, name @ ..] => Ok(Self::Abstract(name.to_vec())),
            path => Ok(Self::Path(OsString::from_vec(path.to_vec()).into())),
        }
    }

    /// The form for the socket calls. Looks the name of a machine up.
    pub(crate) fn to_place(&self) -> Result<Place, Error> {
        let (made, length) = match self {
            Self::Path(path) => (net::SocketAddr::from_pathname(path), path.as_os_str().len()),
            Self::Abstract(name) => (net::SocketAddr::from_abstract_name(name), name.len()),
            Self::Tcp { host, port } => return look_up(host, *port).map(Place::Tcp),
        };
        if length > NAME_LIMIT {
            return Err(Error::BadAddress {
                why: "it is longer than the 107 bytes of Linux",
            });
        }
        made.map(Place::Unix).map_err(|_| Error::BadAddress {
            why: "it has a zero byte in its path",
        })
    }
}

impl From<SocketAddr> for Address {
    fn from(place: SocketAddr) -> Self {
        Self::Tcp {
            host: place.ip().to_string(),
            port: place.port(),
        }
    }
}

/// The addresses of a machine: first those of IPv4, the only ones of the standard library.
fn look_up(host: &str, port: u16) -> Result<Vec<SocketAddr>, Error> {
    if host.is_empty() {
        return Ok(vec![(Ipv4Addr::UNSPECIFIED, port).into()]);
    }
    let doing = "looking up the name of a machine";
    let found = (host, port).to_socket_addrs().map_err(Error::io(doing))?;
    let (mut places, newer): (Vec<_>, Vec<_>) = found.partition(SocketAddr::is_ipv4);
    places.extend(newer);
    Ok(places)
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, name, port) = match self {
            Self::Path(path) => ("unix:", path.as_os_str().as_bytes(), None),
            Self::Abstract(name) => ("abstract:", name.as_slice(), None),
            Self::Tcp { host, port } => ("tcp:", host.as_bytes(), Some(port)),
        };
        formatter.write_str(scheme)?;
        for &byte in name {
            if byte.is_ascii_graphic() && byte != b'%' {
                formatter.write_char(byte.into())?;
            } else {
                write!(formatter, "%{byte:02x}")?;
            }
        }
        port.map_or(Ok(()), |port| write!(formatter, ":{port}"))
    }
}

impl FromStr for Address {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let (scheme, rest) = text.split_once(':').ok_or(Error::BadAddress {
            why: "it has no scheme",
        })?;
        let (rest, port) = match (scheme, rest.rsplit_once(':')) {
            ("tcp", Some((host, port))) => (host, port.parse().ok()),
            _ => (rest, None),
        };
        let name = unescape(rest).ok_or(Error::BadAddress {
            why: "a % without two digits",
        })?;
        match scheme {
            "tcp" => Ok(Self::Tcp {
                host: String::from_utf8(name).map_err(|_| Error::BadAddress {
                    why: "its host is not UTF-8",
                })?,
                port: port.ok_or(Error::BadAddress {
                    why: "it does not end with a port below 65536",
                })?,
            }),
            "unix" if !name.is_empty() => Ok(Self::Path(OsString::from_vec(name).into())),
            "abstract" => Ok(Self::Abstract(name)),
            "unix" => Err(Error::BadAddress { why: "it is empty" }),
            _ => Err(Error::BadAddress {
                why: "its scheme is none of unix:, abstract: and tcp:",
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

    fn comes_back(address: &Address) {
        let text = address.to_string();
        assert!(text.bytes().all(|byte| byte.is_ascii_graphic()), "{text}");
        assert_eq!(&text.parse::<Address>().unwrap(), address);
    }

    #[test]
    fn text_comes_back_the_same() {
        for bytes in [
            &b"/tmp/a b/100%\n"[..],
            b"\0name",
            b"\0\xff\0",
            b"/\xf0\x28",
        ] {
            comes_back(&Address::from_bytes(bytes).unwrap());
        }
        for host in ["localhost", "", "127.0.0.1", "::1", "no machine"] {
            let host = host.to_owned();
            comes_back(&Address::Tcp { host, port: 65535 });
        }
        for (place, text) in [
            ("127.0.0.1:80", "tcp:127.0.0.1:80"),
            ("[::1]:80", "tcp:::1:80"),
        ] {
            let place = place.parse::<SocketAddr>().unwrap();
            assert_eq!(Address::from(place).to_string(), text);
        }
    }

    #[test]
    fn nonsense_is_refused() {
        assert!(Address::from_bytes(b"").is_err());
        for text in [
            "",
            "unix:",
            "tcp:host",
            "tcp:host:",
            "tcp:host:65536",
            "tcp:%ff:1",
            "udp:host:1",
            "unix:%4",
            "unix:%zz",
            "plain",
        ] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
        let long = Address::Path("x".repeat(NAME_LIMIT + 1).into());
        assert!(matches!(long.to_place(), Err(Error::BadAddress { .. })));
        let newer: Address = "tcp:::1:80".parse().unwrap();
        assert!(matches!(newer.to_place(), Ok(Place::Tcp(places)) if places[0].is_ipv6()));
    }
}
