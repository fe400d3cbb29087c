//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use coheld::Address;
use coheld::server::Creation;

use crate::address;

/// Objects that processes share: a manager that needs no Python, and clients of any manager.
#[derive(Debug, Parser)]
#[command(
    name = "coheld",
    version,
    after_help = "Exit codes: 0 it worked; 1 the manager or a method refused; 2 the command line \
                  is wrong; 3 there is no manager to be reached."
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a manager until SIGINT or SIGTERM, or until a client shuts it down
    Serve(Serve),
    /// List the names that a manager shares (managers of `coheld serve` only)
    Ls(Ls),
    /// Print an object, or what is at a key or index of it; of a queue, take the next item
    Get(Get),
    /// Put an item into a queue, append to a list, add to a set, set a key, an index or a value
    Put(Put),
    /// Call a method of an object by its name in Python
    Call(Call),
}

/// Where a manager is, and the key that it asks for.
#[derive(Args, Debug)]
pub(crate) struct Manager {
    /// `HOST:PORT`, `unix:/PATH` or `abstract:NAME`; port 0: any that is free
    #[arg(long, env = "COHELD_ADDRESS", value_parser = address::parse)]
    pub(crate) address: Address,
    /// File with the key: its bytes, without a line feed at the end. Without it, the hexadecimal
    /// digits in `COHELD_AUTHKEY`
    #[arg(long, value_name = "FILE")]
    pub(crate) authkey_file: Option<PathBuf>,
    /// Take a key that other users of this machine can read
    #[arg(long)]
    pub(crate) insecure_permissions: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Serve {
    #[command(flatten)]
    pub(crate) manager: Manager,
    /// Share an object by a name: TYPE is a type of `SyncManager`, as in tasks=Queue:100,
    /// results=dict, gate=Semaphore:3, start=Barrier:2, samples=Array:d:1000
    #[arg(long, value_name = "NAME=TYPE", value_parser = share)]
    pub(crate) share: Vec<(String, Creation)>,
}

#[derive(Args, Debug)]
pub(crate) struct Ls {
    #[command(flatten)]
    pub(crate) manager: Manager,
}

#[derive(Args, Debug)]
pub(crate) struct Get {
    #[command(flatten)]
    pub(crate) manager: Manager,
    /// Wait so many seconds for an item of a queue
    #[arg(long, value_name = "SECONDS", default_value_t = 0.0)]
    pub(crate) wait: f64,
    /// The name by which the manager knows the object
    pub(crate) name: String,
    /// Key, index or attribute: as JSON, or plain text
    #[arg(allow_hyphen_values = true)]
    pub(crate) key: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct Put {
    #[command(flatten)]
    pub(crate) manager: Manager,
    /// The name by which the manager knows the object
    pub(crate) name: String,
    /// Key, index or attribute for objects that have such, and the value: as JSON, or plain text
    #[arg(required = true, num_args = 1..=2, value_names = ["KEY", "VALUE"],
          allow_hyphen_values = true)]
    pub(crate) values: Vec<String>,
}

#[derive(Args, Debug)]
pub(crate) struct Call {
    #[command(flatten)]
    pub(crate) manager: Manager,
    /// The name by which the manager knows the object
    pub(crate) name: String,
    /// The method
    pub(crate) method: String,
    /// Arguments: as JSON, or plain text
    #[arg(allow_hyphen_values = true)]
    pub(crate) arguments: Vec<String>,
}

fn share(text: &str) -> Result<(String, Creation), String> {
    let (name, creation) = text
        .split_once('=')
        .filter(|(name, _)| !name.is_empty())
        .ok_or("it has to be NAME=TYPE, as in tasks=Queue")?;
    let creation = creation
        .parse()
        .map_err(|error: coheld::Error| error.to_string())?;
    Ok((name.to_owned(), creation))
}
