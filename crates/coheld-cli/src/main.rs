//! The command `coheld`: a manager without Python, clients for managers of any kind, and tools that
//! look at the memory of a running program.
//!
//! On the standard output is data and nothing else; what a person wants to know is on the standard
//! error output. The exit code is 0 if it worked, 1 if the manager or a method refused or the
//! doctor has found something, 2 if the command line is wrong, and 3 if there is no manager to be
//! reached.

#![forbid(unsafe_code)]

mod address;
mod arguments;
mod clients;
mod doctor;
mod failure;
mod json;
mod key;
mod output;
mod picture;
mod remote;
mod segment;
mod serve;
mod top;

use std::process::ExitCode;

use clap::Parser as _;

use arguments::{Arguments, Command};

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match &arguments.command {
        Command::Serve(serve) => serve::run(serve),
        Command::Ls(ls) => clients::ls(ls),
        Command::Get(get) => clients::get(get),
        Command::Put(put) => clients::put(put),
        Command::Call(call) => clients::call(call),
        Command::Doctor(doctor) => match doctor::run(doctor) {
            Ok(code) => return code,
            Err(failure) => Err(failure),
        },
        Command::Top(top) => top::run(top),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output::complain(&failure);
            failure.code()
        }
    }
}
