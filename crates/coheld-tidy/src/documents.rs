//! What the documents state about the code.

use crate::Problem;

/// The version of the segment's layout that `layout.rs` declares.
#[must_use]
pub fn layout_version(layout_rs: &str) -> Option<&str> {
    layout_rs.lines().find_map(|line| {
        let (_, declaration) = line.split_once("const LAYOUT_VERSION:")?;
        let (_, value) = declaration.split_once('=')?;
        Some(value.trim().trim_end_matches(';').trim())
    })
}

/// `docs/layout.md` describes exactly that version.
#[must_use]
pub fn check_layout(file: &str, document: &str, version: &str) -> Option<Problem> {
    let stated = format!("Layout version: {version}.");
    (!document.lines().any(|line| line.trim() == stated)).then(|| {
        let message = format!(
            "no line `{stated}`; a change of the layout raises the version and changes this page"
        );
        Problem::new(file, 0, message)
    })
}

/// Links to files of the repository lead somewhere: `exists` says which paths do.
#[must_use]
pub fn check_links(file: &str, document: &str, exists: impl Fn(&str) -> bool) -> Vec<Problem> {
    let folder = file.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut problems = Vec::new();
    for (index, line) in document.lines().enumerate() {
        for target in line
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            let path = target.split('#').next().unwrap_or(target);
            if path.is_empty() || path.contains("://") {
                continue;
            }
            if !exists(&join(folder, path)) {
                problems.push(Problem::new(
                    file,
                    index + 1,
                    format!("`{target}` leads nowhere"),
                ));
            }
        }
    }
    problems
}

/// `path` as seen from `folder`, with `..` resolved.
fn join(folder: &str, path: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            ".." => drop(parts.pop()),
            "." | "" => {}
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::{check_layout, check_links, layout_version};

    #[test]
    fn the_version_is_read_and_compared() {
        let code = "/// Says.\npub const LAYOUT_VERSION: u32 = 3;\n";
        assert_eq!(layout_version(code), Some("3"));
        assert_eq!(layout_version("const OTHER: u32 = 3;"), None);
        assert_eq!(check_layout("x.md", "Layout version: 3.\n", "3"), None);
        assert!(check_layout("x.md", "Layout version: 33.\n", "3").is_some());
    }

    #[test]
    fn a_link_is_resolved_from_the_folder_of_its_document() {
        let exists = |path: &str| path == "docs/layout.md" || path == "README.md";
        let good = "[a](layout.md#header) [b](../README.md) [c](https://example.org) [d](#here)";
        assert_eq!(check_links("docs/locking.md", good, exists), []);
        assert_eq!(
            check_links("docs/locking.md", "[a](README.md)", exists).len(),
            1
        );
    }
}
