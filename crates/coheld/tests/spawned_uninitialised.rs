//! A program that does not call `coheld::process::init` cannot start itself again: it would not
//! know that it is to run a function, and start itself again. A test binary is such a program.

use coheld::{Error, process};

#[test]
fn a_program_that_would_start_itself_for_ever_is_told() {
    let error = process::spawn(|(): ()| (), ()).unwrap_err();
    assert!(matches!(error, Error::NotStarted { .. }), "{error:?}");
    assert!(error.to_string().contains("init()"), "{error}");
}
