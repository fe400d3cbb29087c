//! Two processes count in one shared dict, and no count is lost.
//!
//! The program starts itself a second time and hands the dict over as a token on the command line.

use std::io::{self, Write as _};
use std::process::Command;

use coheld::{AUTHKEY_VARIABLE, DictProxy, Manager};

const ROUNDS: i64 = 100_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    if let Some(token) = std::env::args().nth(1) {
        let authkey = coheld::authkey_from_environment()?;
        let counts = DictProxy::from_token(&token.parse()?, &authkey)?;
        return Ok(count(&counts, "child")?);
    }

    let manager = Manager::start()?;
    let counts = manager.dict::<String, i64>()?;
    let mut child = Command::new(std::env::current_exe()?)
        .arg(counts.token()?.to_string())
        .env(AUTHKEY_VARIABLE, manager.authkey_text())
        .spawn()?;
    count(&counts, "parent")?;
    if !child.wait()?.success() {
        return Err("the child failed".into());
    }

    let mut output = io::stdout().lock();
    for (who, times) in counts.items()? {
        writeln!(output, "{who}: {times}")?;
    }
    assert_eq!(counts.get("both")?, Some(2 * ROUNDS));
    Ok(())
}

fn count(counts: &DictProxy<String, i64>, who: &str) -> Result<(), coheld::Error> {
    for _ in 0..ROUNDS {
        counts.increment("both", 1)?;
        counts.increment(who, 1)?;
    }
    Ok(())
}
