//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use coheld::server::Creation;
use coheld::{Address, Token, observe};

use crate::address;

/// Objects that processes share: a manager that needs no Python, and clients of any manager.
#[derive(Debug, Parser)]
#[command(
    name = "coheld",
    version,
    after_help = "Exit codes: 0 it worked; 1 the manager or a method refused, or doctor has found \
                  something; 2 the command line is wrong; 3 there is no manager to be reached."
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
    /// Check the memory of a running program, and mend what the dead have left in it
    Doctor(Doctor),
    /// Show who works in the memory of a running program, on what, and who waits for whom
    Top(Top),
}

/// Where the key of a manager is.
#[derive(Args, Debug)]
pub(crate) struct Key {
    /// File with the key: its bytes, without a line feed at the end. Without it, the hexadecimal
    /// digits in `COHELD_AUTHKEY`
    #[arg(long, value_name = "FILE")]
    pub(crate) authkey_file: Option<PathBuf>,
    /// Take a key that other users of this machine can read
    #[arg(long)]
    pub(crate) insecure_permissions: bool,
}

/// Which memory to look at.
#[derive(Args, Debug)]
pub(crate) struct Target {
    /// A token (in Python `proxy._token.text`), or the address of a manager
    #[arg(value_name = "TOKEN", value_parser = Place::parse)]
    pub(crate) token: Option<Place>,
    /// The address of a manager, for a command line without a token
    #[arg(long, env = "COHELD_ADDRESS", value_parser = address::parse)]
    pub(crate) address: Option<Address>,
    /// Take the memory from this process, which has to be yours; needs no key and no manager
    #[arg(long)]
    pub(crate) pid: Option<u32>,
    /// Which segment, where the process has several: 32 hexadecimal digits
    #[arg(long, value_name = "ID", value_parser = segment_id)]
    pub(crate) segment: Option<[u8; 16]>,
    #[command(flatten)]
    pub(crate) key: Key,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// What names a segment: a referent in it, or its manager.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    Token(Token),
    Address(Address),
}

impl Place {
    fn parse(text: &str) -> Result<Self, String> {
        if text.trim_start().starts_with("coheld1") {
            let token = text.parse().map(Self::Token);
            return token.map_err(|error: coheld::Error| error.to_string());
        }
        address::parse(text).map(Self::Address)
    }
}

#[derive(Args, Debug)]
pub(crate) struct Doctor {
    #[command(flatten)]
    pub(crate) target: Target,
    /// Do what the reaper and the next owner of each lock would do: clean up after dead members,
    /// free their locks, end leases that have run out
    #[arg(long)]
    pub(crate) mend: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Top {
    #[command(flatten)]
    pub(crate) target: Target,
    /// Look again every so many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 1.0, value_parser = interval)]
    pub(crate) interval: f64,
    /// Show one picture and end; it takes one interval, in which changes are counted
    #[arg(long)]
    pub(crate) once: bool,
}

/// Where a manager is, and the key that it asks for.
#[derive(Args, Debug)]
pub(crate) struct Manager {
    /// `HOST:PORT`, `unix:/PATH` or `abstract:NAME`; port 0: any that is free
    #[arg(long, env = "COHELD_ADDRESS", value_parser = address::parse)]
    pub(crate) address: Address,
    #[command(flatten)]
    pub(crate) key: Key,
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

fn segment_id(text: &str) -> Result<[u8; 16], String> {
    observe::id_of(text).ok_or_else(|| "it has to be 32 hexadecimal digits".to_owned())
}

fn interval(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|seconds| (0.05..=86_400.0).contains(seconds))
        .ok_or_else(|| "it has to be a number of seconds from 0.05 to 86400".to_owned())
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
