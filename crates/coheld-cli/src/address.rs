//! Addresses as people write them.

use coheld::Address;

/// `HOST:PORT`, or what [`Address`] reads.
pub(crate) fn parse(text: &str) -> Result<Address, String> {
    if ["unix:", "abstract:", "tcp:"]
        .iter()
        .any(|scheme| text.starts_with(scheme))
    {
        return text
            .parse()
            .map_err(|error: coheld::Error| error.to_string());
    }
    if text.starts_with('/') {
        return Ok(Address::Path(text.into()));
    }
    let (host, port) = text
        .rsplit_once(':')
        .ok_or("it has to be HOST:PORT, unix:/PATH or abstract:NAME")?;
    let port = port
        .parse()
        .map_err(|_| format!("{port:?} is not a port: a number below 65536"))?;
    let host = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    Ok(Address::Tcp {
        host: host.to_owned(),
        port,
    })
}

/// As `parse` reads it.
pub(crate) fn show(address: &Address) -> String {
    match address {
        Address::Tcp { host, port } if host.contains(':') => format!("[{host}]:{port}"),
        Address::Tcp { host, port } => format!("{host}:{port}"),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_come_back() {
        for text in [
            "127.0.0.1:80",
            "localhost:0",
            "[::1]:80",
            ":80",
            "unix:/tmp/x",
            "abstract:x",
        ] {
            assert_eq!(show(&parse(text).unwrap()), text);
        }
        assert_eq!(parse("/tmp/x"), parse("unix:/tmp/x"));
        for text in ["", "localhost", "localhost:", "localhost:65536", "unix:"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
