//! `coheld serve`.

use std::thread;

use coheld::Server;
use serde_json::json;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::arguments::Serve;
use crate::failure::{Failure, Kind};
use crate::{address, key, output};

/// Runs a manager until it is told to stop.
pub(crate) fn run(arguments: &Serve) -> Result<(), Failure> {
    let authkey = key::find(&arguments.manager.key)?;
    let mut builder = Server::builder(arguments.manager.address.clone(), &authkey);
    for (name, creation) in &arguments.share {
        builder.share(name, *creation);
    }
    // Before anybody can know that it listens.
    let mut signals = Signals::new([SIGINT, SIGTERM]).map_err(|error| {
        Failure::new(
            Kind::Refused,
            format!("signals cannot be waited for: {error}"),
        )
    })?;
    let server = builder.bind()?;
    let stopper = server.stopper();
    let handle = signals.handle();
    let waiting = thread::spawn(move || {
        for _ in signals.forever() {
            stopper.stop();
        }
    });
    let shown = address::show(server.address());
    if arguments.manager.json {
        output::print(&json!({ "address": shown }), true);
    } else {
        output::say(&format!("listening at {shown}"));
    }
    let ended = server.serve();
    handle.close();
    // A panic was reported when it happened.
    let _ = waiting.join();
    ended?;
    Ok(())
}
