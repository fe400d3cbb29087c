//! Where `unsafe`, atomics and system calls may stand; what stands above an `unsafe`; what each
//! `CRASH:` tag has to say.

use crate::Problem;

/// Crates whose sources may contain `unsafe`.
const UNSAFE_CRATES: &[&str] = &["coheld-shm", "coheld-python", "coheld-crash"];
/// The only other file: what LMDB asks of its users.
const UNSAFE_FILE: &str = "benches/field/src/map.rs";
/// Lines above an `unsafe` in which its reason has to begin.
const REACH: usize = 5;
/// Words by which a `CRASH:` comment names who mends what the death left.
const MENDERS: &[&str] = &[
    "mend",
    "recover",
    "reap",
    "roll",
    "undo",
    "redo",
    "finish",
    "resolve",
    "settle",
    "rebuil",
    "free",
    "release",
    "sweep",
    "heal",
    "take",
    "puts",
    "graveyard",
    "itself",
    "themselves",
    "nothing",
];

/// Names that only some places may use: the name, where it is looked for, its owners. Clippy
/// bans the types as well, but a crate that owns them has to switch that off as a whole.
const OWNED: &[(&str, &str, &[&str])] = &[
    (
        "sync::atomic",
        "crates/coheld-shm/src/",
        &["sync.rs", "backing/", "os/"],
    ),
    ("std::cell", "crates/coheld-shm/src/", &[]),
    (
        "std::fs",
        "crates/coheld-shm/src/",
        &["os/", "backing/memfd/tests.rs"],
    ),
    (
        "libc::",
        "crates/coheld-shm/src/",
        &["os/", "backing/memfd/tests.rs"],
    ),
    (
        "rustix::",
        "crates/coheld-shm/src/",
        &["os/", "backing/memfd/tests.rs"],
    ),
];

/// Clocks that somebody may set: a lease, or a limit of time, that rests on one of them would end
/// early or never.
const SETTABLE_CLOCKS: &[&str] = &["SystemTime", "ClockId::Realtime", "REALTIME", "time.time("];

/// Uses of clocks that can be set, in what is shipped.
#[must_use]
pub fn check_clocks(file: &str, text: &str) -> Vec<Problem> {
    let is_shipped = file.starts_with("python/coheld/")
        || (file.contains("/src/") && !file.starts_with("crates/coheld-tidy/"));
    let mut problems = Vec::new();
    for (index, line) in text.lines().enumerate().filter(|_| is_shipped) {
        if let Some(clock) = SETTABLE_CLOCKS.iter().find(|clock| line.contains(**clock)) {
            let message = format!("`{clock}` is a clock that can be set; take a monotonic one");
            problems.push(Problem::new(file, index + 1, message));
        }
    }
    problems
}

/// Names that stand outside of the places that own them.
#[must_use]
pub fn check_owners(file: &str, text: &str) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (name, below, owners) in OWNED {
        let Some(inside) = file.strip_prefix(below) else {
            continue;
        };
        if owners.iter().any(|owner| inside.starts_with(owner)) {
            continue;
        }
        for (index, line) in text.lines().enumerate() {
            if code_of(line).contains(name) {
                let message = format!("`{name}` belongs to {}", owners.join(", "));
                problems.push(Problem::new(file, index + 1, message));
            }
        }
    }
    problems
}

/// Problems with `unsafe` in the Rust file `file` (its path begins with `crates/<crate>/`).
#[must_use]
pub fn check_unsafe(file: &str, text: &str) -> Vec<Problem> {
    let allowed = UNSAFE_CRATES.contains(&crate_of(file)) || file == UNSAFE_FILE;
    let lines: Vec<&str> = text.lines().collect();
    let mut problems = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let code = code_of(line);
        if !words(&code).any(|word| word == "unsafe") {
            continue;
        }
        if !allowed {
            let message = format!("`unsafe` may stand only in {}", UNSAFE_CRATES.join(", "));
            problems.push(Problem::new(file, index + 1, message));
            continue;
        }
        let opens = code.contains("unsafe {") || code.contains("unsafe impl");
        let above = &lines[index.saturating_sub(REACH)..=index];
        if opens && !above.iter().any(|line| line.contains("// SAFETY:")) {
            let message = format!("no `// SAFETY:` within {REACH} lines above this `unsafe`");
            problems.push(Problem::new(file, index + 1, message));
        }
    }
    problems
}

/// Crates that promise to hold no `unsafe` say so to the compiler.
#[must_use]
pub fn check_promise(file: &str, text: &str) -> Option<Problem> {
    let bare =
        !UNSAFE_CRATES.contains(&crate_of(file)) && !text.contains("#![forbid(unsafe_code)]");
    bare.then(|| {
        Problem::new(
            file,
            0,
            "say `#![forbid(unsafe_code)]` at the head of the crate",
        )
    })
}

/// Each `// CRASH:` comment names who mends what a death at that place leaves.
#[must_use]
pub fn check_crash_tags(file: &str, text: &str) -> Vec<Problem> {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let mut problems = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        // In a documentation comment or a string the tag is only spoken of.
        let Some(start) = line.find("// CRASH:") else {
            continue;
        };
        if line[..start].contains(['/', '"', '`']) {
            continue;
        }
        let rest = lines[index + 1..]
            .iter()
            .take_while(|next| next.starts_with("//") && !next.starts_with("// CRASH:"))
            .map(|next| next.trim_start_matches('/'));
        let said = std::iter::once(&line[start + "// CRASH:".len()..]).chain(rest);
        let said = said.collect::<Vec<_>>().join(" ").to_lowercase();
        if !MENDERS.iter().any(|word| said.contains(word)) {
            problems.push(Problem::new(
                file,
                index + 1,
                "this `CRASH:` does not say who mends it",
            ));
        }
    }
    problems
}

fn crate_of(file: &str) -> &str {
    file.strip_prefix("crates/")
        .and_then(|rest| rest.split('/').next())
        .unwrap_or("")
}

/// The line without its `//` comment and without what its string literals hold.
fn code_of(line: &str) -> String {
    let mut code = String::new();
    let mut quoted = false;
    let mut characters = line.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\\' if quoted => drop(characters.next()),
            '"' => quoted = !quoted,
            '/' if !quoted && characters.peek() == Some(&'/') => break,
            _ if quoted => {}
            _ => code.push(character),
        }
    }
    code
}

fn words(code: &str) -> impl Iterator<Item = &str> {
    code.split(|character: char| !character.is_alphanumeric() && character != '_')
}

#[cfg(test)]
mod tests {
    use super::{check_crash_tags, check_owners, check_promise, check_unsafe};

    // In two parts, so that the rules do not find their own examples.
    const BLOCK: &str = concat!("uns", "afe { work() }\n");
    const SHM: &str = "crates/coheld-shm/src/x.rs";
    const STORE: &str = "crates/coheld-store/src/x.rs";

    #[test]
    fn unsafe_stands_only_in_its_crates_and_with_its_reason() {
        let reasoned = format!("// SAFETY: `end` <= `capacity`.\n{BLOCK}");
        assert_eq!(check_unsafe(SHM, &reasoned), []);
        assert_eq!(check_unsafe(STORE, &reasoned).len(), 1);
        assert_eq!(check_unsafe(SHM, BLOCK).len(), 1);
        let far = format!("// SAFETY: too far up.\n\n\n\n\n\n{BLOCK}");
        assert_eq!(check_unsafe(SHM, &far).len(), 1);
    }

    #[test]
    fn the_word_in_comments_and_in_longer_words_is_not_meant() {
        let text = "#![forbid(unsafe_code)]\n// unsafe { } is not used here\nsay(\"unsafe {\");\n";
        assert_eq!(check_unsafe(STORE, text), []);
        assert_eq!(check_promise(STORE, text), None);
        assert!(check_promise(STORE, "//! A crate.\n").is_some());
        assert_eq!(check_promise(SHM, "//! A crate.\n"), None);
    }

    #[test]
    fn names_stay_with_their_owners() {
        let text = "use core::sync::atomic::AtomicU32; // std::fs\n";
        assert_eq!(check_owners("crates/coheld-shm/src/sync.rs", text), []);
        assert_eq!(
            check_owners("crates/coheld-shm/src/heap/mod.rs", text).len(),
            1
        );
        assert_eq!(check_owners("crates/coheld-shm/tests/x.rs", text), []);
    }

    #[test]
    fn a_crash_tag_names_its_mender_in_any_line_of_its_comment() {
        let tag = concat!("// CRA", "SH:");
        let one = format!("{tag} the block is claimed by nobody.\n");
        assert_eq!(check_crash_tags(SHM, &one).len(), 1);
        let two = format!("{tag} the block is claimed,\n// and the reaper frees it.\nlet x;\n");
        assert_eq!(check_crash_tags(SHM, &two), []);
        let next = format!("{tag} claimed by nobody.\nfree();\n");
        assert_eq!(check_crash_tags(SHM, &next).len(), 1);
    }
}
