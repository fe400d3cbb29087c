//! The key of a manager.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use crate::arguments::Key;
use crate::failure::{Failure, Kind};

/// Permissions of others than the owner.
const OTHERS: u32 = 0o077;

/// The key in the file, or else in the environment.
pub(crate) fn find(key: &Key) -> Result<Vec<u8>, Failure> {
    match &key.authkey_file {
        Some(file) => read(file, key.insecure_permissions),
        None => Ok(coheld::authkey_from_environment()?),
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "the one file that this program reads, which is not a part of the library"
)]
fn read(file: &Path, insecure: bool) -> Result<Vec<u8>, Failure> {
    let refused = |error: std::io::Error| {
        let message = format!("the key in {} cannot be read: {error}", file.display());
        Failure::new(Kind::Usage, message)
    };
    let permissions = std::fs::metadata(file).map_err(refused)?.mode() & 0o777;
    if permissions & OTHERS != 0 && !insecure {
        let message = format!(
            "other users may have access to the key in {}: its permissions are {permissions:03o}",
            file.display()
        );
        let hint = format!("chmod 600 {}, or --insecure-permissions", file.display());
        return Err(Failure::new(Kind::Usage, message).hint(hint));
    }
    let mut key = std::fs::read(file).map_err(refused)?;
    if key.ends_with(b"\n") {
        key.pop();
    }
    if key.is_empty() {
        let message = format!("{} is empty", file.display());
        return Err(Failure::new(Kind::Usage, message)
            .hint("make a key: head -c 32 /dev/urandom | base64 > FILE"));
    }
    Ok(key)
}
