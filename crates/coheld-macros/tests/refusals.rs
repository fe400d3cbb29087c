//! What cannot be exposed, and what the compiler says about it: each file of `refused` beside its
//! messages. `TRYBUILD=overwrite cargo test -p coheld-macros` writes the messages down anew.

#[test]
fn each_refusal_says_what_to_do() {
    trybuild::TestCases::new().compile_fail("tests/refused/*.rs");
}
