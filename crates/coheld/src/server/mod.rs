//! A manager without Python: all native objects, for processes that attach to its memory, and for
//! clients that speak the protocol of the standard library.
//!
//! ```
//! use coheld::{Address, Manager, QueueProxy, server::Server};
//!
//! let host = "127.0.0.1".to_owned();
//! let mut builder = Server::builder(Address::Tcp { host, port: 0 }, b"key");
//! builder.share("tasks", "Queue:100".parse()?).share("results", "dict".parse()?);
//! let server = builder.bind()?;
//! let (address, stopper) = (server.address().clone(), server.stopper());
//! // Python: `BaseManager(address=..., authkey=b"key").connect()`, after `register("tasks")`.
//! let serving = std::thread::spawn(|| server.serve());
//!
//! let manager = Manager::connect(&address, b"key")?;
//! let tasks: QueueProxy<String> = manager.shared("tasks")?.try_into()?;
//! tasks.put("first")?;
//! stopper.stop();
//! serving.join().unwrap()?;
//! # Ok::<(), coheld::Error>(())
//! ```
//!
//! Values that are no plain data stay the pickles that they are, and come back as they were. What
//! would have to look into them cannot: two of them are equal when their bytes are, so that
//! `list.index` and its like may miss an equal object, and they cannot be keys of a dict or
//! elements of a set.

mod arrival;
mod client;
mod connections;
mod create;
mod creation;
mod departure;
mod describe;
mod exposed;
mod functions;
mod object;
mod records;
mod xml;

use std::fmt;
use std::sync::Arc;

use self::connections::Connections;
pub use self::creation::Creation;
use crate::control;
pub use crate::control::{Ending, Stopper};
use crate::wire::{NewClient, References, ServeClient};
use crate::{Address, Attachment, Error, Proxy, SegmentOptions};

/// Describes a server before it is there.
///
/// ```
/// use coheld::{Address, Kind, SegmentOptions, server::{Creation, Server}};
///
/// let name = format!("a server of process {}", std::process::id());
/// let mut builder = Server::builder(Address::Abstract(name.into()), b"key");
/// builder
///     .options(SegmentOptions { capacity: 1 << 30, ..SegmentOptions::default() })
///     .share("tasks", Creation::of(Kind::Queue)?.sized(100));
/// let server = builder.bind()?;
/// assert!(server.shared("tasks").is_some() && server.shared("results").is_none());
/// # Ok::<(), coheld::Error>(())
/// ```
#[derive(Clone)]
pub struct Builder {
    address: Address,
    authkey: Vec<u8>,
    options: SegmentOptions,
    shares: Vec<(String, Creation)>,
}

/// A manager without Python. See the [module](self).
///
/// ```
/// use coheld::{Address, Server, server::Ending};
///
/// let name = format!("one more server of process {}", std::process::id());
/// let server = Server::builder(Address::Abstract(name.into()), b"key").bind()?;
/// let stopper = server.stopper();
/// let serving = std::thread::spawn(|| server.serve());
/// stopper.stop();
/// assert_eq!(serving.join().unwrap()?, Ending::Stopped);
/// # Ok::<(), coheld::Error>(())
/// ```
pub struct Server {
    control: control::Server,
    shared: Arc<Shared>,
}

/// What all clients have to do with.
struct Shared {
    references: Arc<References>,
    shares: Vec<(String, Proxy)>,
    connections: Connections,
    stopper: Stopper,
}

impl Builder {
    /// With a segment of your choice.
    ///
    /// ```
    /// use coheld::{Address, SegmentOptions, Server};
    ///
    /// let mut builder = Server::builder(Address::Abstract(b"nobody".to_vec()), b"key");
    /// builder.options(SegmentOptions { member_limit: 9999, ..SegmentOptions::default() });
    /// assert!(builder.bind().is_err(), "there are at most 1,024");
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn options(&mut self, options: SegmentOptions) -> &mut Self {
        self.options = options;
        self
    }

    /// With an object that is there from the beginning to the end, for all who ask for it by this
    /// name, as they do for `register`ed names of managers of Python.
    ///
    /// ```
    /// use coheld::{Address, Kind, Server};
    ///
    /// let name = format!("a sharing server of process {}", std::process::id());
    /// let mut builder = Server::builder(Address::Abstract(name.into()), b"key");
    /// builder.share("tasks", "Queue:100".parse()?).share("stop", "Event".parse()?);
    /// let server = builder.bind()?;
    /// assert_eq!(server.shared("stop").map(|proxy| proxy.kind()), Some(Kind::Event));
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn share(&mut self, name: impl Into<String>, creation: Creation) -> &mut Self {
        self.shares.push((name.into(), creation));
        self
    }

    /// Makes the segment and the shared objects, and begins to listen.
    ///
    /// ```
    /// use coheld::{Address, Server};
    ///
    /// let host = "127.0.0.1".to_owned();
    /// let server = Server::builder(Address::Tcp { host, port: 0 }, b"key").bind()?;
    /// let Address::Tcp { port, .. } = server.address() else { unreachable!() };
    /// assert_ne!(*port, 0, "the one that the system had free");
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn bind(&self) -> Result<Server, Error> {
        let control = control::Server::bind(self.address.clone(), &self.authkey, &self.options)?;
        let attachment = control.attachment();
        let mut shares = Vec::new();
        for (name, creation) in &self.shares {
            shares.push((name.clone(), creation.make(attachment)?));
        }
        let shared = Arc::new(Shared {
            references: Arc::new(References::new(attachment)),
            shares,
            connections: Connections::default(),
            stopper: control.stopper(),
        });
        control.serve_clients(Arc::new(Reception(Arc::clone(&shared))));
        Ok(Server { control, shared })
    }
}

impl Server {
    /// Begins to describe a server, which will listen at `address` and let in who has the key.
    ///
    /// ```
    /// use coheld::{Address, Server};
    ///
    /// let name = format!("a plain server of process {}", std::process::id());
    /// let address = Address::Abstract(name.into());
    /// let server = Server::builder(address.clone(), b"key").bind()?;
    /// assert_eq!(server.address(), &address);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    #[must_use]
    pub fn builder(address: Address, authkey: &[u8]) -> Builder {
        Builder {
            address,
            authkey: authkey.to_vec(),
            options: SegmentOptions::default(),
            shares: Vec::new(),
        }
    }

    /// Where it listens.
    ///
    /// ```
    /// use coheld::{Address, Server};
    ///
    /// let server = Server::builder("tcp:127.0.0.1:0".parse()?, b"key").bind()?;
    /// println!("clients connect to {}", server.address());
    /// assert_ne!(server.address(), &"tcp:127.0.0.1:0".parse::<Address>()?);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    #[must_use]
    pub fn address(&self) -> &Address {
        self.control.address()
    }

    /// This process's access to the segment.
    ///
    /// ```
    /// use coheld::{Address, QueueProxy, Server};
    ///
    /// let name = format!("a busy server of process {}", std::process::id());
    /// let server = Server::builder(Address::Abstract(name.into()), b"key").bind()?;
    /// // The process of the server may use its memory, too.
    /// let queue: QueueProxy<String> = QueueProxy::create(server.attachment(), 0)?;
    /// queue.put("hello")?;
    /// assert_eq!(queue.len()?, 1);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    #[must_use]
    pub fn attachment(&self) -> &Arc<Attachment> {
        self.control.attachment()
    }

    /// The object that is shared by this name.
    ///
    /// ```
    /// use coheld::{Address, ListProxy, Server};
    ///
    /// let name = format!("a filled server of process {}", std::process::id());
    /// let mut builder = Server::builder(Address::Abstract(name.into()), b"key");
    /// let server = builder.share("primes", "list".parse()?).bind()?;
    /// let primes: ListProxy<u64> = server.shared("primes").unwrap().clone().try_into()?;
    /// primes.extend([2, 3, 5])?;
    /// assert_eq!(primes.len()?, 3);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    #[must_use]
    pub fn shared(&self, name: &str) -> Option<&Proxy> {
        self.shared.find(name)
    }

    /// Stops the server, from any thread.
    ///
    /// ```
    /// use coheld::Server;
    /// use coheld::server::Ending;
    ///
    /// let server = Server::builder("tcp:127.0.0.1:0".parse()?, b"key").bind()?;
    /// let stopper = server.stopper();
    /// std::thread::spawn(move || stopper.stop());
    /// assert_eq!(server.serve()?, Ending::Stopped);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        self.control.stopper()
    }

    /// Has the server end with the process `creator`, which must be the parent of this process.
    ///
    /// ```
    /// use coheld::{Address, Server};
    ///
    /// let name = format!("an orphan of process {}", std::process::id());
    /// let mut server = Server::builder(Address::Abstract(name.into()), b"key").bind()?;
    /// server.end_with_parent(std::os::unix::process::parent_id())?;
    /// assert!(server.shared("nothing").is_none());
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn end_with_parent(&mut self, creator: u32) -> Result<(), Error> {
        self.control.end_with_parent(creator)
    }

    /// Serves until it is stopped, by a client, a [`Stopper`] or the end of its creator. Then all
    /// connections are ended; whoever is attached to the memory stays attached.
    ///
    /// ```
    /// use coheld::{Address, Manager, Server};
    ///
    /// let name = format!("a short server of process {}", std::process::id());
    /// let server = Server::builder(Address::Abstract(name.into()), b"key").bind()?;
    /// let address = server.address().clone();
    /// let serving = std::thread::spawn(|| server.serve());
    /// // A client stops it as well.
    /// Manager::connect(&address, b"key")?.shutdown()?;
    /// serving.join().unwrap()?;
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn serve(self) -> Result<Ending, Error> {
        let ending = self.control.serve();
        self.shared.connections.end();
        ending
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the key.
        formatter
            .debug_struct("Builder")
            .field("address", &self.address)
            .field("options", &self.options)
            .field("shares", &self.shares)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the key.
        formatter
            .debug_struct("Server")
            .field("address", self.address())
            .field("shared", &self.shared.names().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

impl Shared {
    fn find(&self, name: &str) -> Option<&Proxy> {
        let mut shares = self.shares.iter();
        shares
            .find(|(known, _)| known == name)
            .map(|(_, proxy)| proxy)
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.shares.iter().map(|(name, _)| name.as_str())
    }

    fn shares(&self) -> impl Iterator<Item = (&str, &Proxy)> {
        self.shares
            .iter()
            .map(|(name, proxy)| (name.as_str(), proxy))
    }
}

/// Where clients come in.
struct Reception(Arc<Shared>);

impl ServeClient for Reception {
    fn serve(&self, client: NewClient) {
        let shared = Arc::clone(&self.0);
        let stream = Arc::clone(client.connection.stream());
        self.0
            .connections
            .spawn(stream, move || client::serve(&shared, client));
    }

    fn sweep(&self) {
        self.0.references.sweep();
    }
}
