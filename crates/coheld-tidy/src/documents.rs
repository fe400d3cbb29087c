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

/// What a link may lead to.
pub enum Target<'t> {
    /// A document with this text.
    Document(&'t str),
    /// Any other file, or a folder.
    Other,
}

/// Links to files of the repository lead somewhere, and what stands behind a `#` is a heading
/// there: `find` says what a path leads to. What a page of the book links to is in the book.
#[must_use]
pub fn check_links<'t>(
    file: &str,
    document: &str,
    find: impl Fn(&str) -> Option<Target<'t>>,
) -> Vec<Problem> {
    let folder = file.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut problems = Vec::new();
    for (number, line) in prose(document) {
        for target in targets(line) {
            let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
            if path.contains("://") {
                continue;
            }
            let mut report = |what: &str| {
                problems.push(Problem::new(file, number, format!("`{target}` {what}")));
            };
            let path = join(folder, path);
            let found = if target.starts_with('#') {
                Some(Target::Document(document))
            } else if is_of_book(file) && !path.starts_with(BOOK) {
                report("leads out of the book: name the file instead");
                continue;
            } else {
                find(&path)
            };
            match found {
                None => report("leads nowhere"),
                Some(Target::Document(text)) if !anchor.is_empty() => {
                    if !anchors(text).iter().any(|known| known == anchor) {
                        report("names no heading of that document");
                    }
                }
                Some(_) => {}
            }
        }
    }
    problems
}

/// The table of contents of the book has each of its pages, once.
#[must_use]
pub fn check_summary(file: &str, summary: &str, pages: &[&str]) -> Vec<Problem> {
    let listed: Vec<&str> = prose(summary).flat_map(|(_, line)| targets(line)).collect();
    let of_page = |page: &&str| {
        let name = page.strip_prefix(BOOK)?;
        let times = listed.iter().filter(|target| **target == name).count();
        (times != 1 && *page != file).then(|| {
            let message = format!("`{name}` stands here {times} times instead of once");
            Problem::new(file, 0, message)
        })
    };
    pages.iter().filter_map(of_page).collect()
}

/// The blocks of Rust in a document are tests: `lib_rs` names the document, and none is ignored.
#[must_use]
pub fn check_rust(file: &str, document: &str, lib_rs: &str) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut is_named = lib_rs.contains(&format!("\"{file}\""));
    for (index, line) in document.lines().enumerate() {
        if !line.starts_with("```rust") {
            continue;
        }
        if !is_named {
            let message = "its blocks of Rust are no tests: name it in crates/coheld/src/lib.rs";
            problems.push(Problem::new(file, 0, message));
            is_named = true;
        }
        if line.contains("ignore") {
            let message = "this block is not even compiled: make it one that is";
            problems.push(Problem::new(file, index + 1, message));
        }
    }
    problems
}

/// The folder of the book.
const BOOK: &str = "docs/";

fn is_of_book(file: &str) -> bool {
    file.starts_with(BOOK)
}

/// The lines outside of code blocks, with their numbers.
fn prose(document: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut in_code = false;
    document
        .lines()
        .enumerate()
        .filter_map(move |(index, line)| {
            let is_fence = line.trim_start().starts_with("```");
            in_code ^= is_fence;
            (!in_code && !is_fence).then_some((index + 1, line))
        })
}

/// What the links and pictures of a line lead to.
fn targets(line: &str) -> impl Iterator<Item = &str> {
    line.split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
}

/// The names by which links lead to the headings of a document, here and on the pages of mdBook.
fn anchors(document: &str) -> Vec<String> {
    let mut anchors: Vec<String> = Vec::new();
    for (_, line) in prose(document) {
        let heading = line.trim_start_matches('#');
        if heading.len() == line.len() || !heading.starts_with(' ') {
            continue;
        }
        let name: String = heading
            .trim()
            .to_ascii_lowercase()
            .chars()
            .filter_map(|character| match character {
                ' ' => Some('-'),
                '-' | '_' => Some(character),
                _ => character.is_ascii_alphanumeric().then_some(character),
            })
            .collect();
        let times = anchors.iter().filter(|known| is_copy(known, &name)).count();
        anchors.push(if times == 0 {
            name
        } else {
            format!("{name}-{times}")
        });
    }
    anchors
}

/// Whether `known` names a heading of this name, the first or a later one.
fn is_copy(known: &str, name: &str) -> bool {
    known.strip_prefix(name).is_some_and(|rest| {
        rest.is_empty()
            || rest
                .strip_prefix('-')
                .is_some_and(|number| number.parse::<usize>().is_ok())
    })
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
    use super::{Target, check_layout, check_links, check_rust, check_summary, layout_version};

    #[test]
    fn the_version_is_read_and_compared() {
        let code = "/// Says.\npub const LAYOUT_VERSION: u32 = 3;\n";
        assert_eq!(layout_version(code), Some("3"));
        assert_eq!(layout_version("const OTHER: u32 = 3;"), None);
        assert_eq!(check_layout("x.md", "Layout version: 3.\n", "3"), None);
        assert!(check_layout("x.md", "Layout version: 33.\n", "3").is_some());
    }

    /// The problems that a line with these links has as a part of `file`.
    fn problems(file: &str, links: &str) -> Vec<String> {
        let find = |path: &str| match path {
            "docs/layout.md" => Some(Target::Document("# Layout\n\n## The `lock` word, again\n")),
            "README.md" => Some(Target::Document("# Coheld\n")),
            "docs" | "docs/bench.svg" => Some(Target::Other),
            _ => None,
        };
        check_links(file, links, find)
            .into_iter()
            .map(|problem| problem.to_string())
            .collect()
    }

    #[test]
    fn a_link_is_resolved_from_the_folder_of_its_document() {
        let good = "[a](layout.md#the-lock-word-again) ![b](bench.svg) [c](https://example.org/#x)";
        assert_eq!(problems("docs/locking.md", good), [""; 0]);
        assert_eq!(
            problems("CHANGELOG.md", "[a](README.md) [b](docs)"),
            [""; 0]
        );
        let found = problems("docs/locking.md", "\n[a](README.md)");
        assert_eq!(found, ["docs/locking.md:2: `README.md` leads nowhere"]);
    }

    #[test]
    fn an_anchor_is_a_heading_of_its_document() {
        let here = "## Who is dead\n## Who is dead\n[a](#who-is-dead) [b](#who-is-dead-1)\n";
        assert_eq!(problems("README.md", here), [""; 0]);
        for bad in ["# Here\n[a](#there)\n", "[a](docs/layout.md#the-lock)"] {
            let found = problems("README.md", bad);
            assert_eq!(found.len(), 1, "{bad}");
            assert!(found[0].ends_with("names no heading of that document"));
        }
    }

    #[test]
    fn code_is_no_prose() {
        let code = "```python\n# Here\nvalues[0](nowhere.md)\n```\n";
        assert_eq!(problems("README.md", code), [""; 0]);
        assert_eq!(problems("README.md", &format!("{code}[a](#here)")).len(), 1);
    }

    #[test]
    fn a_page_of_the_book_stays_in_the_book() {
        let found = problems("docs/locking.md", "[a](../README.md)");
        assert_eq!(found.len(), 1);
        assert!(found[0].contains("leads out of the book"), "{found:?}");
    }

    #[test]
    fn documents_with_rust_are_tests() {
        let (code, lib_rs) = ("```rust\nfn main() {}\n```\n", "Readme = \"README.md\";");
        assert_eq!(check_rust("README.md", code, lib_rs), []);
        assert_eq!(check_rust("docs/a.md", "```python\n```\n", lib_rs), []);
        assert_eq!(check_rust("docs/a.md", &code.repeat(2), lib_rs).len(), 1);
        let ignored = "\n```rust,ignore\n```\n";
        assert_eq!(check_rust("README.md", ignored, lib_rs)[0].line, 2);
    }

    #[test]
    fn the_summary_has_each_page_once() {
        let pages = ["docs/SUMMARY.md", "docs/a.md", "docs/b.md"];
        let whole = "[A](a.md)\n- [B](b.md)\n";
        assert_eq!(check_summary("docs/SUMMARY.md", whole, &pages), []);
        for bad in ["[A](a.md)\n", "[A](a.md)\n- [B](b.md)\n- [B](b.md)\n"] {
            assert_eq!(check_summary("docs/SUMMARY.md", bad, &pages).len(), 1);
        }
    }
}
