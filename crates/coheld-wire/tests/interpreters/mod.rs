//! The interpreters of Python on this machine.

use std::process::{Command, Stdio};

/// All that work: `python3`, those of other releases in the path, and those of `pyenv`.
pub fn all() -> Vec<String> {
    let releases = (8..=15).map(|minor| format!("python3.{minor}"));
    let mut names: Vec<String> = std::iter::once("python3".to_owned())
        .chain(releases)
        .collect();
    if let Some(home) = std::env::var_os("HOME") {
        let versions = std::path::Path::new(&home).join(".pyenv/versions");
        let installed = versions.read_dir().into_iter().flatten().flatten();
        names.extend(installed.filter_map(|entry| {
            let python = entry.path().join("bin/python3");
            python.to_str().map(ToOwned::to_owned)
        }));
    }
    let mut known = Vec::new();
    names
        .into_iter()
        .filter(|name| match version(name) {
            Some(version) if !known.contains(&version) => {
                known.push(version);
                true
            }
            _ => false,
        })
        .collect()
}

/// The exact version, if it is one that Coheld's protocol knows and `multiprocessing` works.
fn version(interpreter: &str) -> Option<String> {
    let program = "import multiprocessing, sys; assert sys.version_info >= (3, 8); \
                   print(sys.version)";
    let output = Command::new(interpreter)
        .args(["-c", program])
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then_some(text)
}
