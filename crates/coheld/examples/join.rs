//! Joins the manager of another program and counts in its dict, as the guide for Rust shows.

use coheld::{DictProxy, Manager, Token};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let token: Token = std::env::args()
        .nth(1)
        .ok_or("the token of a dict, please")?
        .parse()?;
    let authkey = coheld::authkey_from_environment()?;
    let counts = DictProxy::<String, i64>::from_token(&token, &authkey)?;
    counts.increment("rose", 1)?;

    // The manager itself, to make objects in its memory.
    let manager = Manager::connect(&token.address, &authkey)?;
    let list = manager.list::<i64>()?;
    list.append(&counts.increment("lists", 1)?)?;
    Ok(())
}
