//! A manager as a Rust program sees it.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use coheld_shm::os::socket_file;

use crate::control::{self, Ending, Server, Stopper};
use crate::exposed::{Expose, Sharing};
use crate::wire::{self, Link, Serializer};
use crate::{Address, Attachment, Error, Handle, Proxy, SegmentOptions, Token, key};

/// How long to wait for a manager's answers.
const PATIENCE: Duration = Duration::from_secs(10);

/// A segment and whoever hands it out: this process, or another one.
///
/// ```
/// use coheld::{Manager, SetProxy};
///
/// let manager = Manager::start()?;
/// let words = manager.set::<String>()?;
/// words.add("held")?;
///
/// // Any process can join it, with the address and the key.
/// let joined = Manager::connect(manager.address(), manager.authkey())?;
/// assert_eq!(joined.number_of_objects(), 1);
/// let same = SetProxy::<String>::from_token(&words.token()?, joined.authkey())?;
/// assert!(same.contains("held")?);
/// # Ok::<(), coheld::Error>(())
/// ```
pub struct Manager {
    // Dropped first: whoever calls an object of this process is told that it is gone.
    sharing: Sharing,
    attachment: Arc<Attachment>,
    running: Option<Running>,
}

/// A server in a thread of this process.
struct Running {
    stopper: Stopper,
    thread: Option<JoinHandle<Result<Ending, Error>>>,
    directory: Option<PathBuf>,
    /// The process that has the thread; a forked child does not.
    process: u32,
}

impl Manager {
    /// Starts a manager in a thread of this process, with a new key unless the environment has one.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// assert_eq!(manager.number_of_objects(), 0);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn start() -> Result<Self, Error> {
        Self::start_with(&SegmentOptions::default())
    }

    /// As `start`, with a segment of your choice.
    ///
    /// ```
    /// use coheld::{Manager, SegmentOptions};
    ///
    /// let options = SegmentOptions { capacity: 1 << 30, ..SegmentOptions::default() };
    /// let manager = Manager::start_with(&options)?;
    /// assert_eq!(manager.list::<i64>()?.len()?, 0);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn start_with(options: &SegmentOptions) -> Result<Self, Error> {
        let authkey = match std::env::var_os(crate::AUTHKEY_VARIABLE) {
            Some(_) => key::authkey_from_environment()?,
            None => key::new_authkey()?,
        };
        let directory = private_directory()?;
        let address = Address::Path(directory.join("control"));
        let started = Self::start_at(address, &authkey, options);
        match started {
            Ok(mut manager) => {
                if let Some(running) = &mut manager.running {
                    running.directory = Some(directory);
                }
                Ok(manager)
            }
            Err(error) => {
                let _ = socket_file::remove_directory(&directory);
                Err(error)
            }
        }
    }

    /// Starts a manager at an address of your choice.
    ///
    /// ```
    /// use coheld::{Address, Manager, SegmentOptions, new_authkey};
    ///
    /// let name = format!("example of process {}", std::process::id());
    /// let (address, key) = (Address::Abstract(name.into()), new_authkey()?);
    /// let manager = Manager::start_at(address.clone(), &key, &SegmentOptions::default())?;
    /// assert_eq!(manager.address(), &address);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn start_at(
        address: Address,
        authkey: &[u8],
        options: &SegmentOptions,
    ) -> Result<Self, Error> {
        let server = Server::bind(address, authkey, options)?;
        let (attachment, stopper) = (Arc::clone(server.attachment()), server.stopper());
        let builder = thread::Builder::new().name("coheld-manager".into());
        let thread = builder.spawn(move || server.serve());
        let thread = Some(thread.map_err(Error::io("starting a thread"))?);
        let running = Running {
            stopper,
            thread,
            directory: None,
            process: std::process::id(),
        };
        Ok(Self {
            sharing: Sharing::default(),
            attachment,
            running: Some(running),
        })
    }

    /// Connects to the manager at `address`.
    ///
    /// ```
    /// use coheld::Manager;
    ///
    /// let manager = Manager::start()?;
    /// assert!(Manager::connect(manager.address(), b"another key").is_err());
    /// let joined = Manager::connect(manager.address(), manager.authkey())?;
    /// assert_eq!(joined.attachment().segment_id(), manager.attachment().segment_id());
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn connect(address: &Address, authkey: &[u8]) -> Result<Self, Error> {
        let attachment = control::connect(address, authkey, PATIENCE)?;
        Ok(Self {
            sharing: Sharing::default(),
            attachment,
            running: None,
        })
    }

    /// Connects with the key in the environment variable `COHELD_AUTHKEY`.
    ///
    /// ```
    /// use coheld::{AUTHKEY_VARIABLE, Address, Manager};
    ///
    /// let address: Address = "unix:/nowhere/at/all".parse()?;
    /// let connected = Manager::connect_from_environment(&address);
    /// assert!(connected.is_err(), "no manager is there, whatever {AUTHKEY_VARIABLE} says");
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn connect_from_environment(address: &Address) -> Result<Self, Error> {
        Self::connect(address, &key::authkey_from_environment()?)
    }

    /// The referent that `token` names. Attaches to its segment first, if need be.
    ///
    /// ```
    /// use coheld::{ListProxy, Manager, Proxy};
    ///
    /// let manager = Manager::start()?;
    /// let token = manager.list::<i64>()?.token()?;
    /// let handle = Manager::attach_token(&token, manager.authkey())?;
    /// let list: ListProxy<i64> = Proxy::from_handle(handle)?.try_into()?;
    /// assert!(list.is_empty()?);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn attach_token(token: &Token, authkey: &[u8]) -> Result<Handle, Error> {
        let attachment = attach(&token.segment_id, &token.address, authkey)?;
        Handle::redeem_token(&attachment, token)
    }

    /// The object that a [server without Python](crate::server) shares by this name.
    ///
    /// ```
    /// use coheld::{Address, DictProxy, Manager, Server};
    ///
    /// let name = format!("another example of process {}", std::process::id());
    /// let mut builder = Server::builder(Address::Abstract(name.into()), b"key");
    /// let server = builder.share("results", "dict".parse()?).bind()?;
    /// let (address, stopper) = (server.address().clone(), server.stopper());
    /// let serving = std::thread::spawn(|| server.serve());
    ///
    /// let manager = Manager::connect(&address, b"key")?;
    /// let results: DictProxy<String, f64> = manager.shared("results")?.try_into()?;
    /// results.insert("pi", &3.14)?;
    /// assert!(manager.shared("something else").is_err());
    /// stopper.stop();
    /// serving.join().unwrap()?;
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn shared(&self, name: &str) -> Result<Proxy, Error> {
        let link = Link::connect(self.address(), self.authkey(), Serializer::Pickle)?;
        let remote = link.create(name, PATIENCE)?;
        let place = wire::place_of(&self.attachment.segment_id(), remote.ident());
        let place = place.ok_or(Error::BadToken {
            why: "the manager was started anew meanwhile",
        })?;
        // The reference that was counted for the link keeps it until there is one here.
        Proxy::from_handle(Handle::acquire(
            &self.attachment,
            place.offset,
            place.generation,
        )?)
    }

    /// Makes an object of this process one that others call, through the proxy that it gives.
    ///
    /// Its type has the attribute [`expose`](macro@crate::expose); see [`exposed`](crate::exposed).
    /// The object goes when nobody refers to it any more. When this manager is dropped or shut
    /// down, all objects that it shares go, and calls of them fail with [`Error::HostGone`].
    ///
    /// ```
    /// struct Greeter(String);
    ///
    /// #[coheld::expose]
    /// impl Greeter {
    ///     pub fn greet(&self, name: &str) -> String {
    ///         format!("{}, {name}", self.0)
    ///     }
    /// }
    ///
    /// let manager = coheld::Manager::start()?;
    /// let greeter = manager.share(Greeter("Hello".to_owned()))?;
    /// assert_eq!(greeter.greet("Ada")?, "Hello, Ada");
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn share<T: Expose>(&self, object: T) -> Result<T::Proxy, Error> {
        self.sharing.share(&self.attachment, object)
    }

    /// This process's access to the segment.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let list = manager.list::<i64>()?;
    /// let same = list.as_proxy().handle().attachment().segment_id();
    /// assert_eq!(manager.attachment().segment_id(), same);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    #[must_use]
    pub fn attachment(&self) -> &Arc<Attachment> {
        &self.attachment
    }

    /// Where the manager listens.
    ///
    /// ```
    /// use coheld::Address;
    ///
    /// let manager = coheld::Manager::start()?;
    /// let text = manager.address().to_string();
    /// assert!(text.starts_with("unix:"));
    /// assert_eq!(&text.parse::<Address>()?, manager.address());
    /// # Ok::<(), coheld::Error>(())
    /// ```
    #[must_use]
    pub fn address(&self) -> &Address {
        self.attachment.address()
    }

    /// The key that others need to connect.
    ///
    /// ```
    /// use coheld::{Manager, new_authkey};
    ///
    /// let (one, other) = (Manager::start()?, new_authkey()?);
    /// assert_ne!(one.authkey(), other);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    #[must_use]
    pub fn authkey(&self) -> &[u8] {
        self.attachment.authkey()
    }

    /// Stops the manager, here or in its process. Who is attached stays attached.
    ///
    /// ```
    /// use coheld::Manager;
    ///
    /// let manager = Manager::start()?;
    /// let (list, address) = (manager.list::<i64>()?, manager.address().clone());
    /// manager.shutdown()?;
    /// assert!(Manager::connect(&address, b"key").is_err());
    /// list.append(&1)?;
    /// assert_eq!(list.len()?, 1, "who is attached goes on");
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn shutdown(mut self) -> Result<(), Error> {
        self.sharing.stop();
        match self.running.take() {
            Some(running) => running.end(),
            None => control::shutdown(self.address(), self.authkey(), PATIENCE),
        }
    }
}

impl fmt::Debug for Manager {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the key.
        formatter
            .debug_struct("Manager")
            .field("address", self.address())
            .field("is_here", &self.running.is_some())
            .finish_non_exhaustive()
    }
}

/// This process's access to a segment; attaches to it first, if need be.
pub(crate) fn attach(
    segment_id: &[u8; 16],
    address: &Address,
    authkey: &[u8],
) -> Result<Arc<Attachment>, Error> {
    if let Some(attachment) = Attachment::find(segment_id) {
        return Ok(attachment);
    }
    let attachment = control::connect(address, authkey, PATIENCE)?;
    if attachment.segment_id() != *segment_id {
        return Err(Error::BadToken {
            why: "its manager was started anew since",
        });
    }
    Ok(attachment)
}

impl Running {
    fn end(mut self) -> Result<(), Error> {
        self.stop().map_or(Ok(()), |ended| ended.map(drop))
    }

    fn stop(&mut self) -> Option<Result<Ending, Error>> {
        if self.process != std::process::id() {
            return None;
        }
        let thread = self.thread.take()?;
        self.stopper.stop();
        let ended = thread.join();
        if let Some(directory) = self.directory.take()
            && let Err(error) = socket_file::remove_directory(&directory)
        {
            log::warn!("{} stays behind: {error}", directory.display());
        }
        // A panic was reported when it happened.
        ended.ok()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(Err(error)) = self.stop() {
            log::warn!("the manager did not end well: {error}");
        }
    }
}

/// A new directory that nobody else may look into.
fn private_directory() -> Result<PathBuf, Error> {
    let name = format!("coheld-{}", key::encode(&key::random::<8>()?));
    let directory = std::env::temp_dir().join(name);
    let made = socket_file::make_private_directory(&directory);
    made.map_err(Error::io("making a directory for the socket of a manager"))?;
    Ok(directory)
}
