//! The order of the crates: each uses only those before it, and only one speaks to the kernel.

use crate::Problem;

/// The layers from the bottom up. Crates of one layer do not use each other.
const LAYERS: &[&[&str]] = &[
    &["coheld-shm"],
    &["coheld-store"],
    &["coheld-wire", "coheld-macros"],
    &["coheld"],
    &["coheld-python", "coheld-cli"],
];

/// Crates that exist for tests and measurements: they may use every layer, and no layer may use
/// them.
const HELPERS: &[&str] = &["coheld-bench", "coheld-crash", "coheld-fuzz", "coheld-tidy"];

/// Outside crates that only some of ours may use, with the reason.
const RESERVED: &[(&str, &[&str], &str)] = &[
    (
        "libc",
        &["coheld-shm", "coheld-crash"],
        "system calls belong in coheld-shm/src/os",
    ),
    (
        "rustix",
        &["coheld-shm"],
        "system calls belong in coheld-shm/src/os",
    ),
    ("pyo3", &["coheld-python"], "only the binding knows Python"),
];

/// Problems of one `crates/*/Cargo.toml`.
#[must_use]
pub fn check(file: &str, manifest: &str) -> Vec<Problem> {
    let Some(name) = package_name(manifest) else {
        return vec![Problem::new(file, 0, "no `name` in `[package]`")];
    };
    let mut problems = Vec::new();
    if layer(name).is_none() && !HELPERS.contains(&name) {
        let message = format!("`{name}` has no place in the order of layers (coheld-tidy)");
        problems.push(Problem::new(file, 0, message));
    }
    for (line, dependency) in dependencies(manifest) {
        if let Some(message) = objection(name, dependency) {
            problems.push(Problem::new(file, line, message));
        }
    }
    problems
}

fn objection(name: &str, dependency: &str) -> Option<String> {
    if let Some((_, owners, reason)) = RESERVED
        .iter()
        .find(|(reserved, ..)| *reserved == dependency)
    {
        return (!owners.contains(&name))
            .then(|| format!("`{name}` must not use `{dependency}`: {reason}"));
    }
    if HELPERS.contains(&dependency) {
        return Some(format!(
            "`{name}` must not use `{dependency}`, which exists for tests and measurements"
        ));
    }
    let below = layer(dependency)?;
    let own = layer(name)?;
    (below >= own).then(|| {
        format!(
            "`{name}` must not use `{dependency}`: it is not in a layer below, see ARCHITECTURE.md"
        )
    })
}

fn layer(name: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&name))
}

fn package_name(manifest: &str) -> Option<&str> {
    entries(manifest).find_map(|(_, section, key, value)| {
        (section == "package" && key == "name").then(|| value.trim_matches('"'))
    })
}

/// The names in every dependency section: normal, development, build, and of any target.
fn dependencies(manifest: &str) -> impl Iterator<Item = (usize, &str)> {
    let named = entries(manifest)
        .filter(|(_, section, ..)| section.ends_with("dependencies"))
        .map(|(line, _, key, _)| (line, key.split('.').next().unwrap_or(key)));
    // The long form, `[dependencies.name]`.
    let headed = manifest.lines().enumerate().filter_map(|(index, line)| {
        let section = line.trim().strip_prefix('[')?.strip_suffix(']')?;
        let (kind, name) = section.rsplit_once('.')?;
        kind.ends_with("dependencies").then_some((index + 1, name))
    });
    named.chain(headed)
}

/// `(line, section, key, value)` of each `key = value` line; enough TOML for a manifest.
fn entries(manifest: &str) -> impl Iterator<Item = (usize, &str, &str, &str)> {
    let mut section = "";
    manifest
        .lines()
        .enumerate()
        .filter_map(move |(index, line)| {
            let line = line.trim();
            if let Some(name) = line
                .strip_prefix('[')
                .and_then(|rest| rest.strip_suffix(']'))
            {
                section = name;
                return None;
            }
            if line.starts_with('#') {
                return None;
            }
            let (key, value) = line.split_once('=')?;
            Some((
                index + 1,
                section,
                key.trim().trim_matches('"'),
                value.trim(),
            ))
        })
}

#[cfg(test)]
mod tests {
    use super::check;

    fn lines(manifest: &str) -> Vec<usize> {
        check("Cargo.toml", manifest)
            .into_iter()
            .map(|problem| problem.line)
            .collect()
    }

    #[test]
    fn a_layer_may_use_the_layers_below() {
        let manifest =
            "[package]\nname = \"coheld\"\n[dependencies]\ncoheld-shm.workspace = true\n";
        assert_eq!(lines(manifest), []);
    }

    #[test]
    fn an_arrow_that_points_up_is_found_in_every_form() {
        for dependency in [
            "[dependencies]\ncoheld = { path = \"x\" }",
            "[dev-dependencies]\ncoheld.workspace = true",
            "[target.\"cfg(loom)\".dependencies]\n\"coheld\" = \"1\"",
        ] {
            let manifest = format!("[package]\nname = \"coheld-store\"\n{dependency}\n");
            assert_eq!(lines(&manifest), [4], "{dependency}");
        }
        let headed = "[package]\nname = \"coheld-store\"\n[dependencies.coheld]\npath = \"x\"\n";
        assert_eq!(lines(headed), [3]);
    }

    #[test]
    fn only_the_bottom_layer_may_speak_to_the_kernel() {
        let manifest = "[package]\nname = \"coheld\"\n[dependencies]\nlibc.workspace = true\n";
        assert_eq!(lines(manifest), [4]);
    }

    #[test]
    fn nothing_may_use_a_test_crate_and_every_crate_has_a_place() {
        let manifest = "[package]\nname = \"coheld\"\n[dependencies]\ncoheld-crash = \"1\"\n";
        assert_eq!(lines(manifest), [4]);
        assert_eq!(lines("[package]\nname = \"coheld-other\"\n"), [0]);
    }
}
