//! The files of listening sockets, and the directories that keep them private.
#![allow(
    clippy::disallowed_methods,
    reason = "this module is the owner of socket files"
)]

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// The file of a socket that this process listens at.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    /// Device and inode, so that none but this very file is removed.
    identity: (u64, u64),
}

impl SocketFile {
    /// The file at `path`, closed to other users from now on.
    pub fn restrict(path: &Path) -> io::Result<Self> {
        let metadata = fs::symlink_metadata(path)?;
        fs::set_permissions(path, Permissions::from_mode(0o600))?;
        Ok(Self {
            path: path.to_owned(),
            identity: (metadata.dev(), metadata.ino()),
        })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Removes the file, unless somebody has put another one in its place or was faster.
    pub fn remove(&self) -> io::Result<()> {
        match fs::symlink_metadata(&self.path) {
            Ok(found) if (found.dev(), found.ino()) == self.identity => fs::remove_file(&self.path),
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// Makes a directory that no other user may look into.
pub fn make_private_directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(path)
}

/// Removes an empty directory.
pub fn remove_directory(path: &Path) -> io::Result<()> {
    fs::remove_dir(path)
}
