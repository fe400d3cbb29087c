//! Functions of the program run by other processes, as [`std::thread::spawn`] has threads run them.
//!
//! [`spawn`] starts the program once more and has the new process run one function, with arguments
//! of any type that serde knows. Proxies of shared objects may be among them, and in the result.
//!
//! ```standalone_crate
//! use coheld::{DictProxy, Manager, process};
//!
//! fn count((counts, text): (DictProxy<String, i64>, String)) -> usize {
//!     let words = text.split_whitespace();
//!     words
//!         .map(|word| counts.increment(word, 1).expect("the dict is there"))
//!         .count()
//! }
//!
//! fn main() -> Result<(), coheld::Error> {
//!     process::init();
//!
//!     let manager = Manager::start()?;
//!     let counts = manager.dict()?;
//!     let texts = ["to be or not to be", "let it be"];
//!     let mut processes = Vec::new();
//!     for text in texts {
//!         processes.push(process::spawn(count, (counts.clone(), text.to_owned()))?);
//!     }
//!     let mut words = 0;
//!     for process in processes {
//!         words += process.join()?;
//!     }
//!     assert_eq!(words, 9);
//!     assert_eq!(counts.get("be")?, Some(3));
//!     Ok(())
//! }
//! ```
//!
//! # What is the same as with threads
//!
//! * [`JoinHandle::join`] gives what the function has returned, or says that it has panicked. It
//!   also says if the process was killed, or ended in another way.
//! * A process that nobody joins goes on, and ends when the one that started it ends, in whatever
//!   way; see [`Builder::outlives_parent`].
//!
//! # What is not
//!
//! * The program has to call [`init`] before it does anything else.
//! * The function is a `fn`, or a closure that captures nothing: the new process has a memory of
//!   its own. Arguments and results are copied, static variables are new.
//! * The new process has the environment, the current directory, the standard output and the
//!   standard error of this one, but an empty standard input and none of its arguments.
//! * The function has to be part of the program itself, not of a library that it has loaded; so
//!   it cannot be used from within an extension module of Python.

mod child;
mod handle;
mod message;
mod parcel;

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::ErrorKind;
use std::process::Command;
use std::sync::OnceLock;

use coheld_shm::os::again;
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use self::handle::JoinHandle;
use self::message::{Kind, send};
use crate::{Error, Value};

static INITIALISED: OnceLock<()> = OnceLock::new();

/// Has this process do what it was started for, if [`spawn`] has started it; it does not return
/// then. To be called at the start of `main`.
///
/// ```standalone_crate
/// fn main() -> Result<(), coheld::Error> {
///     coheld::process::init();
///     // Only the first process comes here.
///     let other = coheld::process::spawn(|(): ()| std::process::id(), ())?;
///     assert_ne!(other.join()?, std::process::id());
///     Ok(())
/// }
/// ```
pub fn init() {
    let _ = INITIALISED.set(());
    child::init();
}

/// Has another process run `function(arguments)`. See [the module](self).
///
/// ```standalone_crate
/// use coheld::{ListProxy, Manager, process};
///
/// fn fill((list, count): (ListProxy<u64>, u64)) {
///     list.extend(0..count).expect("the list is there");
/// }
///
/// fn main() -> Result<(), coheld::Error> {
///     process::init();
///     let manager = Manager::start()?;
///     let list = manager.list()?;
///     process::spawn(fill, (list.clone(), 3))?.join()?;
///     assert_eq!(list.to_vec()?, [0, 1, 2]);
///     Ok(())
/// }
/// ```
///
/// # Errors
///
/// [`Error::NotStarted`] if [`init`] was not called, or the function is not one of the program;
/// [`Error::Value`] if the arguments cannot be written; [`Error::Io`] if the system refuses.
pub fn spawn<A, R>(function: fn(A) -> R, arguments: A) -> Result<JoinHandle<R>, Error>
where
    A: Serialize + DeserializeOwned,
    R: Serialize + DeserializeOwned,
{
    Builder::new().spawn(function, arguments)
}

/// What configures the command that a process is started with.
type Configure = Box<dyn FnOnce(&mut Command)>;

/// How a process is started: what [`std::thread::Builder`] is for a thread.
///
/// ```standalone_crate
/// use std::process::Stdio;
/// use coheld::process;
///
/// fn look((): ()) -> Option<String> {
///     std::env::var("PLACE").ok()
/// }
///
/// fn main() -> Result<(), coheld::Error> {
///     process::init();
///     let builder = process::Builder::new();
///     let builder = builder.command(|command| {
///         command.env("PLACE", "here").stdout(Stdio::null());
///     });
///     let looked = builder.spawn(look, ())?.join()?;
///     assert_eq!(looked.as_deref(), Some("here"));
///     Ok(())
/// }
/// ```
#[derive(Default)]
pub struct Builder {
    configure: Option<Configure>,
    outlives_parent: bool,
    test: Option<OsString>,
}

impl fmt::Debug for Builder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Builder")
            .field("outlives_parent", &self.outlives_parent)
            .field("test", &self.test)
            .finish_non_exhaustive()
    }
}

impl Builder {
    /// As [`spawn`] does it.
    ///
    /// ```standalone_crate
    /// use coheld::process::{self, Builder};
    ///
    /// fn main() -> Result<(), coheld::Error> {
    ///     process::init();
    ///     assert_eq!(Builder::new().spawn(|(x, y): (i64, i64)| x + y, (2, 3))?.join()?, 5);
    ///     Ok(())
    /// }
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the environment, the current directory, the standard output and whatever else there is
    /// to set, but for the standard input. Arguments that are added stand before the last one, by
    /// which the new process knows what it is.
    ///
    /// ```standalone_crate
    /// use coheld::process::{self, Builder};
    ///
    /// fn main() -> Result<(), coheld::Error> {
    ///     process::init();
    ///     let builder = Builder::new().command(|command| drop(command.current_dir("/")));
    ///     let place = builder.spawn(|(): ()| std::env::current_dir().ok(), ())?.join()?;
    ///     assert_eq!(place.as_deref(), Some("/".as_ref()));
    ///     Ok(())
    /// }
    /// ```
    #[must_use]
    pub fn command(mut self, configure: impl FnOnce(&mut Command) + 'static) -> Self {
        self.configure = Some(Box::new(configure));
        self
    }

    /// Whether the process goes on when this one ends. If it does not, it ends within no time, as
    /// if it had been killed: so nothing goes on when a program was killed.
    ///
    /// ```standalone_crate
    /// use coheld::process::{self, Builder};
    ///
    /// fn main() -> Result<(), coheld::Error> {
    ///     process::init();
    ///     let other = Builder::new().outlives_parent(true).spawn(|(): ()| 7, ())?;
    ///     assert_eq!(other.join()?, 7);
    ///     Ok(())
    /// }
    /// ```
    #[must_use]
    pub fn outlives_parent(mut self, outlives: bool) -> Self {
        self.outlives_parent = outlives;
        self
    }

    /// For programs whose `main` is that of Rust's tests: has the new process run the test of this
    /// name alone, with its modules, which has to call [`init`].
    ///
    /// ```no_run
    /// # use coheld::process::Builder;
    /// #[test]
    /// fn processes() {
    ///     // As a usual test it passes.
    ///     coheld::process::init();
    /// }
    ///
    /// #[test]
    /// fn a_process_adds() {
    ///     let builder = Builder::new().through_test("processes");
    ///     let process = builder.spawn(|(a, b): (i64, i64)| a + b, (1, 2)).unwrap();
    ///     assert_eq!(process.join().unwrap(), 3);
    /// }
    /// ```
    #[must_use]
    pub fn through_test(mut self, name: &str) -> Self {
        self.test = Some(name.into());
        self
    }

    /// Has another process run `function(arguments)`: see [`spawn`].
    ///
    /// ```standalone_crate
    /// use coheld::process::{self, Builder};
    ///
    /// fn main() -> Result<(), coheld::Error> {
    ///     process::init();
    ///     let processes = (0..3).map(|n| Builder::new().spawn(|n: i64| n * n, n));
    ///     let squares: Result<Vec<_>, _> = processes.map(|process| process?.join()).collect();
    ///     assert_eq!(squares?, [0, 1, 4]);
    ///     Ok(())
    /// }
    /// ```
    pub fn spawn<A, R>(self, function: fn(A) -> R, arguments: A) -> Result<JoinHandle<R>, Error>
    where
        A: Serialize + DeserializeOwned,
        R: Serialize + DeserializeOwned,
    {
        if self.test.is_none() && INITIALISED.get().is_none() {
            // It would go on here, and start a process that would go on here.
            return Err(Error::NotStarted {
                why: "call coheld::process::init() at the start of main".into(),
            });
        }
        handle::collect_detached();
        let mut body = vec![u8::from(!self.outlives_parent)];
        let (mut parcel, leases) = parcel::pack(&Value::of(&arguments)?)?;
        body.append(&mut parcel);
        drop(arguments);

        let test = self.test.as_deref();
        let options = ["--exact", "--nocapture"].map(OsStr::new);
        let arguments: Vec<&OsStr> = test.into_iter().chain(options).collect();
        let arguments = if test.is_some() { &*arguments } else { &[] };
        let configure = self.configure.unwrap_or(Box::new(|_: &mut Command| {}));
        let (child, socket) = match again::start(function, child::body, arguments, configure) {
            Ok(started) => started,
            Err(error) => {
                leases.give_back();
                return Err(if error.kind() == ErrorKind::Unsupported {
                    let why = error.to_string();
                    Error::NotStarted { why }
                } else {
                    Error::io("starting a process")(error)
                });
            }
        };
        // If it has ended, `join` will say how.
        let _ = send(&socket, Kind::Arguments, &body);
        JoinHandle::new(child, socket, leases)
    }
}
