//! Authentication keys: any bytes that both sides know.

use std::env;

use coheld_wire::auth::Md5;

use crate::Error;

/// The environment variable with the key for programs that were not given one, in hexadecimal.
///
/// ```
/// use coheld::{AUTHKEY_VARIABLE, Manager};
///
/// let manager = Manager::start()?;
/// let setting = format!("{AUTHKEY_VARIABLE}={}", manager.authkey_text());
/// assert!(setting.starts_with("COHELD_AUTHKEY="));
/// # Ok::<(), coheld::Error>(())
/// ```
pub const AUTHKEY_VARIABLE: &str = "COHELD_AUTHKEY";

/// The environment variable that says whether MD5 will do for authentication, which is all that
/// Python up to 3.11 can do: `refuse` if it will not.
///
/// ```
/// // For a client that talks to nobody who can do nothing better.
/// let mut client = std::process::Command::new("client");
/// client.env(coheld::MD5_VARIABLE, "refuse");
/// assert_eq!(client.get_envs().count(), 1);
/// ```
pub const MD5_VARIABLE: &str = "COHELD_MD5";

/// Whether MD5 will do.
pub(crate) fn md5_policy() -> Md5 {
    match env::var_os(MD5_VARIABLE) {
        Some(policy) if policy == "refuse" => Md5::Refused,
        _ => Md5::Allowed,
    }
}

/// A new random key.
///
/// ```
/// let key = coheld::new_authkey()?;
/// assert_eq!(key.len(), 32);
/// assert_ne!(key, coheld::new_authkey()?);
/// # Ok::<(), coheld::Error>(())
/// ```
pub fn new_authkey() -> Result<Vec<u8>, Error> {
    Ok(random::<32>()?.to_vec())
}

/// The key in `COHELD_AUTHKEY`.
///
/// ```
/// use coheld::{AUTHKEY_VARIABLE, Error, authkey_from_environment};
///
/// match authkey_from_environment() {
///     Ok(key) => assert!(!key.is_empty()),
///     Err(error) => assert!(error.to_string().contains(AUTHKEY_VARIABLE)),
/// }
/// ```
pub fn authkey_from_environment() -> Result<Vec<u8>, Error> {
    let text = env::var(AUTHKEY_VARIABLE).map_err(|_| Error::NoAuthkey)?;
    decode(text.trim()).ok_or(Error::NoAuthkey)
}

/// Random bytes.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| Error::Io {
        doing: "asking the system for random bytes",
        source: std::io::Error::other(error.to_string()),
    })?;
    Ok(bytes)
}

/// Bytes as hexadecimal digits.
pub(crate) fn encode(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = |byte: u8| [byte >> 4, byte & 15];
    bytes
        .iter()
        .flat_map(|&byte| digits(byte))
        .map(|digit| char::from(DIGITS[usize::from(digit)]))
        .collect()
}

/// Hexadecimal digits as bytes.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u32> = text
        .chars()
        .map(|digit| digit.to_digit(16))
        .collect::<Option<_>>()?;
    let (pairs, rest) = digits.as_chunks::<2>();
    rest.is_empty().then(|| {
        pairs
            .iter()
            .map(|[high, low]| (high << 4 | low) as u8)
            .collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_digits_come_back_as_bytes() {
        assert_eq!(encode(&[0, 0xaf, 0x10]), "00af10");
        assert_eq!(decode("00AF10"), Some(vec![0, 0xaf, 0x10]));
        assert_eq!(decode("0"), None);
        assert_eq!(decode("0x"), None);
        assert_ne!(new_authkey().unwrap(), new_authkey().unwrap());
    }
}
