//! The side of the new process: it reads the arguments, runs the function, and says what came.

use std::any::Any;
use std::cell::RefCell;
use std::io::{self, Write as _};
use std::os::unix::net::UnixStream;
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::thread;

use coheld_shm::os::again::{Order, Parent, end_at_once};
use coheld_shm::os::parent::ProcessWatch;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::message::{Kind, receive, send};
use super::parcel;
use crate::hosted::text_of_panic;
use crate::{Error, Value, fork};

/// How a process ends that could not do what it was started for. As other programs do.
const FAILURE: i32 = 1;
/// How one ends whose function has panicked: as Rust's own do.
const PANICKED: i32 = 101;

thread_local! {
    /// Where the last panic of the thread was, and its message.
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Does what this process was started for, and ends it; returns if it was started for nothing.
pub(super) fn init() {
    match Order::of_this_process() {
        None => {}
        Some(Ok(order)) => order.run(),
        Some(Err(error)) => {
            // There may be nobody to read it.
            let _ = writeln!(io::stderr(), "{error}");
            std::process::exit(FAILURE);
        }
    }
}

/// Runs `function` for `parent`, and ends this process.
pub(super) fn body<A: DeserializeOwned, R: Serialize>(function: fn(A) -> R, parent: Parent) {
    let Parent { id, socket } = parent;
    note_panics();
    let (kind, body, code) = run(function, id, &socket);
    // If it does not want to know, it does not have to.
    let _ = send(&socket, kind, &body);
    fork::leave_all();
    std::process::exit(code);
}

fn run<A: DeserializeOwned, R: Serialize>(
    function: fn(A) -> R,
    parent: u32,
    socket: &UnixStream,
) -> (Kind, Vec<u8>, i32) {
    let in_words = |kind, error: Error| (kind, error.to_string().into_bytes(), FAILURE);
    let arguments = match arguments::<A>(parent, socket) {
        Ok(arguments) => arguments,
        Err(error) => return in_words(Kind::Unreadable, error),
    };
    let _ = send(socket, Kind::Begun, &[]);
    let returned = panic::catch_unwind(AssertUnwindSafe(|| {
        let returned = function(arguments);
        Value::of(&returned)
            .map_err(Error::from)
            .and_then(|value| parcel::pack(&value))
    }));
    match returned {
        // The parent reads the leases, or they run out.
        Ok(Ok((parcel, _leases))) => (Kind::Returned, parcel, 0),
        Ok(Err(error)) => in_words(Kind::Unwritable, error),
        Err(payload) => (Kind::Panicked, message(&*payload).into_bytes(), PANICKED),
    }
}

fn arguments<A: DeserializeOwned>(parent: u32, socket: &UnixStream) -> Result<A, Error> {
    let received = receive(socket).map_err(Error::io("reading the arguments"))?;
    let (Kind::Arguments, body) = received else {
        return Err(Error::Protocol {
            why: "a message other than the arguments came first",
        });
    };
    let Some((&ends_with_parent, parcel)) = body.split_first() else {
        return Err(Error::Protocol {
            why: "the message with the arguments is empty",
        });
    };
    if ends_with_parent != 0 {
        watch(parent)?;
    }
    Ok(parcel::unpack(parcel)?.read()?)
}

/// Has this process end when its parent does.
fn watch(parent: u32) -> Result<(), Error> {
    let Some(parent) = ProcessWatch::open_parent(parent)? else {
        end_at_once();
    };
    let builder = thread::Builder::new().name("coheld-parent".into());
    let watcher = builder.spawn(move || match parent.wait(None) {
        Ok(_) => end_at_once(),
        Err(error) => log::warn!("the end of the parent process will not be noticed: {error}"),
    });
    watcher.map(drop).map_err(Error::io("starting a thread"))
}

/// Has panics leave their place and message for [`message`], beside whatever else happens then.
fn note_panics() {
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        PANIC.set(Some(describe(info)));
        before(info);
    }));
}

fn describe(info: &PanicHookInfo<'_>) -> String {
    let message = text_of_panic(info.payload());
    match info.location() {
        Some(place) => format!("at {place}: {message}"),
        None => format!("with: {message}"),
    }
}

/// What a panic says. The hook may be another one by now.
fn message(payload: &(dyn Any + Send)) -> String {
    PANIC
        .take()
        .unwrap_or_else(|| format!("with: {}", text_of_panic(payload)))
}
