//! The rules of `coheld-tidy` over the whole repository.

use coheld_tidy::{
    Problem, documents, fence, layers, text,
    tree::{self, Source},
};

fn files(extensions: &'static [&'static str]) -> impl Iterator<Item = Source> {
    tree::sources(&tree::root())
        .into_iter()
        .filter(move |source| source.is(extensions))
}

fn file(path: &str) -> Source {
    tree::sources(&tree::root())
        .into_iter()
        .find(|source| source.path == path)
        .unwrap_or_else(|| panic!("{path} is missing"))
}

#[track_caller]
fn expect_none(problems: impl IntoIterator<Item = Problem>) {
    let listed: Vec<String> = problems
        .into_iter()
        .map(|problem| problem.to_string())
        .collect();
    assert!(
        listed.is_empty(),
        "{} problems:\n{}",
        listed.len(),
        listed.join("\n")
    );
}

#[test]
fn every_file_is_plain_text() {
    let sources = tree::sources(&tree::root());
    assert!(
        sources.len() > 20,
        "only {} files found: is the root right?",
        sources.len()
    );
    expect_none(
        sources
            .iter()
            .flat_map(|source| text::check_any(&source.path, &source.text)),
    );
}

#[test]
fn code_keeps_to_the_width_and_is_finished() {
    let sources = files(&["rs", "py", "pyi", "toml", "sh"]);
    expect_none(sources.flat_map(|source| text::check_code(&source.path, &source.text)));
}

#[test]
fn long_files_say_why() {
    let sources = files(&["rs", "py"]);
    expect_none(sources.filter_map(|source| text::check_size(&source.path, &source.text)));
}

#[test]
fn no_crate_uses_a_crate_above_it() {
    let manifests: Vec<Source> = files(&["toml"])
        .filter(|source| source.path.starts_with("crates/") && source.path.ends_with("/Cargo.toml"))
        .collect();
    assert!(
        manifests.len() >= 6,
        "only {} crates found",
        manifests.len()
    );
    expect_none(
        manifests
            .iter()
            .flat_map(|source| layers::check(&source.path, &source.text)),
    );
}

#[test]
fn unsafe_code_is_fenced_and_argued() {
    let sources = files(&["rs"]);
    expect_none(sources.flat_map(|source| fence::check_unsafe(&source.path, &source.text)));
}

#[test]
fn atomics_and_system_calls_stay_with_their_owners() {
    let sources = files(&["rs"]);
    expect_none(sources.flat_map(|source| fence::check_owners(&source.path, &source.text)));
}

#[test]
fn no_clock_that_can_be_set_is_asked() {
    let found = fence::check_clocks("python/coheld/_clients.py", "now = time.time()");
    assert_eq!(found.len(), 1);
    let sources = files(&["rs", "py"]);
    expect_none(sources.flat_map(|source| fence::check_clocks(&source.path, &source.text)));
}

#[test]
fn crates_without_unsafe_forbid_it() {
    let roots = files(&["rs"]).filter(|source| source.path.ends_with("/src/lib.rs"));
    expect_none(roots.filter_map(|source| fence::check_promise(&source.path, &source.text)));
}

#[test]
fn every_crash_tag_names_its_mender() {
    let sources = files(&["rs"]);
    expect_none(sources.flat_map(|source| fence::check_crash_tags(&source.path, &source.text)));
}

#[test]
fn the_layout_document_describes_this_layout() {
    let code = file("crates/coheld-shm/src/layout.rs");
    let version = documents::layout_version(&code.text).expect("LAYOUT_VERSION in layout.rs");
    let document = file("docs/layout.md");
    expect_none(documents::check_layout(
        &document.path,
        &document.text,
        version,
    ));
}

#[test]
fn links_between_documents_lead_somewhere() {
    let root = tree::root();
    let documents: Vec<Source> = files(&["md"]).collect();
    let find = |path: &str| {
        let document = documents.iter().find(|source| source.path == path);
        let other = || root.join(path).exists().then_some(documents::Target::Other);
        document
            .map(|source| documents::Target::Document(&source.text))
            .or_else(other)
    };
    expect_none(
        documents
            .iter()
            .flat_map(|source| documents::check_links(&source.path, &source.text, find)),
    );
}

#[test]
fn blocks_of_rust_in_documents_are_tests() {
    let lib_rs = file("crates/coheld/src/lib.rs");
    expect_none(
        files(&["md"])
            .flat_map(|source| documents::check_rust(&source.path, &source.text, &lib_rs.text)),
    );
}

#[test]
fn the_book_has_all_pages() {
    let summary = file("docs/SUMMARY.md");
    let documents: Vec<Source> = files(&["md"]).collect();
    let pages: Vec<&str> = documents
        .iter()
        .map(|source| source.path.as_str())
        .filter(|path| path.starts_with("docs/"))
        .collect();
    assert!(pages.len() > 10, "only {} pages found", pages.len());
    expect_none(documents::check_summary(
        &summary.path,
        &summary.text,
        &pages,
    ));
}
