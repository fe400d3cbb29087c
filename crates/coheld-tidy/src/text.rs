//! The look of every text file.

use crate::Problem;

/// Columns that a line of code may have.
const COLUMNS: usize = 100;
/// Lines after which a file has to say in its head why it is that long.
const LINES: usize = 600;
/// Lines that count as the head of a file.
const HEAD: usize = 40;

/// What must not be left in code, and why. Written in two parts so as not to find itself.
const LEFTOVERS: &[(&str, &str)] = &[
    (concat!("todo", "!("), "finish it or leave it out"),
    (concat!("unimplemented", "!("), "finish it or leave it out"),
    (concat!("dbg", "!("), "take it out"),
];

/// Paths that exist on one machine only.
const MACHINE_PATHS: &[&str] = &[concat!("/ro", "ot/"), concat!("/wo", "rk/")];

/// Problems that any text file can have.
#[must_use]
pub fn check_any(file: &str, text: &str) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (number, line) in numbered(text) {
        let mut report = |message: String| problems.push(Problem::new(file, number, message));
        if let Some(character) = line.chars().find(|character| !character.is_ascii()) {
            report(format!("`{}` is not ASCII", character.escape_unicode()));
        }
        if line.ends_with([' ', '\t', '\r']) {
            report("blanks at the end of the line".to_owned());
        }
        for path in MACHINE_PATHS {
            if line.contains(path) {
                report(format!("`{path}` exists on one machine only"));
            }
        }
    }
    if !text.is_empty() && !text.ends_with('\n') {
        problems.push(Problem::new(file, 0, "no line end at the end of the file"));
    }
    if text.ends_with("\n\n") {
        problems.push(Problem::new(file, 0, "empty lines at the end of the file"));
    }
    problems
}

/// Problems that a file of code (Rust, Python, TOML, shell, make) can have beyond those.
#[must_use]
pub fn check_code(file: &str, text: &str) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (number, line) in numbered(text) {
        let columns = line.chars().count();
        if columns > COLUMNS {
            let message = format!("{columns} columns; {COLUMNS} is the limit");
            problems.push(Problem::new(file, number, message));
        }
        for (leftover, remedy) in LEFTOVERS {
            if line.contains(leftover) {
                let message = format!(
                    "`{}` in the sources: {remedy}",
                    leftover.trim_end_matches('(')
                );
                problems.push(Problem::new(file, number, message));
            }
        }
    }
    problems
}

/// A long file of Rust or Python says why in its head, in a comment with `Size:`.
#[must_use]
pub fn check_size(file: &str, text: &str) -> Option<Problem> {
    let lines = text.lines().count();
    let reason = text.lines().take(HEAD).any(|line| line.contains("Size:"));
    (lines > LINES && !reason).then(|| {
        let message = format!(
            "{lines} lines; above {LINES} the head of the file says why in a comment with `Size:`"
        );
        Problem::new(file, 0, message)
    })
}

fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.split_terminator('\n')
        .enumerate()
        .map(|(index, line)| (index + 1, line))
}

#[cfg(test)]
mod tests {
    use super::{LINES, check_any, check_code, check_size};

    #[test]
    fn each_rule_of_plain_text_finds_its_line() {
        let clean = "one\ntwo\n";
        assert_eq!(check_any("file", clean), []);
        for bad in ["one\ntw\u{f6}\n", "one\ntwo \n", "one\ntwo\r\n"] {
            let problems = check_any("file", bad);
            assert_eq!(problems.len(), 1, "{bad:?}");
            assert_eq!(problems[0].line, 2, "{bad:?}");
        }
        let path = concat!("one\n/ro", "ot/x\n");
        assert_eq!(check_any("file", path)[0].line, 2);
        assert_eq!(check_any("file", "one").len(), 1);
        assert_eq!(check_any("file", "one\n\n").len(), 1);
        assert_eq!(check_any("file", ""), []);
    }

    #[test]
    fn long_lines_and_leftovers_are_found() {
        let fits = "x".repeat(100);
        assert_eq!(check_code("file", &fits), []);
        assert_eq!(check_code("file", &format!("{fits}x")).len(), 1);
        assert_eq!(check_code("file", concat!("    todo", "!()\n"))[0].line, 1);
    }

    #[test]
    fn a_long_file_needs_its_reason() {
        let long = "//\n".repeat(LINES + 1);
        assert!(check_size("file", &long).is_some());
        assert!(check_size("file", &format!("//! Size: one table.\n{long}")).is_none());
        assert!(check_size("file", &"//\n".repeat(LINES)).is_none());
    }
}
