//! The files of the repository.
#![allow(
    clippy::disallowed_methods,
    reason = "reading the sources is this module's task"
)]

use std::{
    fs,
    path::{Path, PathBuf},
};

/// A text file of the repository.
#[derive(Debug, Clone)]
pub struct Source {
    /// The path relative to the root, with `/` between its parts.
    pub path: String,
    /// What it holds; bytes that are no UTF-8 are replaced, which the ASCII rule then reports.
    pub text: String,
}

impl Source {
    /// Whether the name ends in one of `extensions`.
    #[must_use]
    pub fn is(&self, extensions: &[&str]) -> bool {
        extensions.iter().any(|extension| {
            self.path
                .strip_suffix(extension)
                .is_some_and(|stem| stem.ends_with('.'))
        })
    }
}

/// What is built, fetched or cached, and so nobody's source.
const SKIPPED: &[&str] = &[
    ".git",
    ".hypothesis",
    ".mypy_cache",
    ".pytest_cache",
    ".ruff_cache",
    ".venv",
    ".venvs",
    "__pycache__",
    "dist",
    "target",
];

/// Endings of files that hold no text to check.
const BINARY: &[&str] = &[".so", ".lock", ".svg", ".png", ".whl", ".pickle", ".bin"];

/// The root of the repository.
///
/// # Panics
/// If this crate does not lie two levels below it.
#[must_use]
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors()
        .nth(2)
        .expect("crates/coheld-tidy lies in the repository")
        .to_owned()
}

/// Every text file below `root`, in order of path.
///
/// # Panics
/// If a file or folder cannot be read.
#[must_use]
pub fn sources(root: &Path) -> Vec<Source> {
    let mut found = Vec::new();
    collect(root, root, &mut found);
    found.sort_by(|one, other| one.path.cmp(&other.path));
    found
}

fn collect(root: &Path, folder: &Path, found: &mut Vec<Source>) {
    let entries =
        fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for entry in entries {
        let path = entry
            .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
            .path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if SKIPPED.contains(&name.as_str()) || path.is_symlink() {
            continue;
        }
        if path.is_dir() {
            collect(root, &path, found);
        } else if !BINARY.iter().any(|ending| name.ends_with(ending)) {
            let bytes =
                fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let relative = path.strip_prefix(root).expect("the walk began at the root");
            found.push(Source {
                path: relative.to_string_lossy().into_owned(),
                text: String::from_utf8_lossy(&bytes).into_owned(),
            });
        }
    }
}
