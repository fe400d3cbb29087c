//! Types of Rust programs as shared objects.
//!
//! [`#[coheld::expose]`](macro@crate::expose) on an `impl` block makes a type one that others call:
//! [`Manager::share`](crate::Manager::share) keeps an object of it in this process and gives a
//! typed proxy, which any process can have and which has the same methods. Python gets a proxy with
//! the same methods, too, by whatever way the proxy comes to it: out of a shared dict, as an
//! argument, as a result.
//!
//! ```
//! use coheld::exposed::ExposedProxy as _;
//! use coheld::{Error, Manager};
//!
//! struct Account {
//!     balance: i64,
//! }
//!
//! #[coheld::expose]
//! impl Account {
//!     /// What is in it.
//!     pub fn balance(&self) -> i64 {
//!         self.balance
//!     }
//!
//!     /// Takes some of it out.
//!     pub fn withdraw(&mut self, amount: i64) -> Result<i64, String> {
//!         if amount > self.balance {
//!             return Err(format!("there is only {}", self.balance));
//!         }
//!         self.balance -= amount;
//!         Ok(self.balance)
//!     }
//! }
//!
//! let manager = Manager::start()?;
//! let account: AccountProxy = manager.share(Account { balance: 7 })?;
//! assert_eq!(account.withdraw(3)?, 4);
//! let error = account.withdraw(5).unwrap_err();
//! assert_eq!(error.to_string(), "there is only 4");
//!
//! // For another process: a token, or any shared object that the proxy is put into.
//! let board = manager.dict::<String, AccountProxy>()?;
//! board.insert("account", &account)?;
//! println!("{}", account.token()?);
//! # Ok::<(), Error>(())
//! ```
//!
//! The object stays in the process that shared it, as long as its [`Manager`](crate::Manager) is
//! there and anybody refers to it. Each thread that calls is answered by a thread of its own, so
//! methods of several callers run at the same time: those that take `&self` do. If there is one
//! that takes `&mut self`, the object is behind a lock, which that method has for itself (see
//! [`Locked`]).
//!
//! What a method may take and return is whatever serde can write and read, and proxies. References
//! are taken (`&str`, `&[T]`, `&T`), not returned. An `Option` may be left out by callers in
//! Python. What it can return besides:
//!
//! * a `Result`: its error becomes [`Error::Raised`] at the caller, with the
//!   name of its type and its text, and `coheld.MethodError` in Python. Errors of this crate keep
//!   their kind, so that the `KeyError` of a dict is one at the caller;
//! * an iterator: the caller gets a [`Streamed`], for which items are made as it asks for them,
//!   some at a time; in Python an iterator;
//! * proxies of new objects, which the method shares with [`share`].
//!
//! A panic in a method is an error at its caller; the object and its host go on.

mod answer;
mod call;
mod cell;
mod client;
mod objects;
mod stream;

pub(crate) use self::objects::Sharing;
pub use self::{
    cell::{Locked, Unlocked},
    client::ExposedProxy,
    objects::share,
    stream::Streamed,
};
// What the code that `expose` generates consists of; nothing of it is promised.
#[doc(hidden)]
pub use self::{
    answer::{Answer, fallible, returned, streamed},
    call::{Arguments, Call, Parameter},
    client::{argument, ask, deserialize, expect, serialize, stream},
};

use crate::{Error, Proxy};

/// A type whose methods can be called by other processes. The attribute
/// [`expose`](macro@crate::expose) implements it.
///
/// ```
/// use coheld::exposed::Expose;
///
/// struct Counter(u64);
///
/// #[coheld::expose]
/// impl Counter {
///     pub fn count(&mut self) -> u64 {
///         self.0 += 1;
///         self.0
///     }
/// }
///
/// assert_eq!((Counter::NAME, Counter::METHODS), ("Counter", &["count"][..]));
/// let manager = coheld::Manager::start()?;
/// let counter: <Counter as Expose>::Proxy = manager.share(Counter(0))?;
/// assert_eq!(counter.count()?, 1);
/// # Ok::<(), coheld::Error>(())
/// ```
pub trait Expose: Sized + Send + 'static {
    /// The proxies of its objects.
    type Proxy: TryFrom<Proxy, Error = Error>;
    /// How an object of it is kept: [`Unlocked`] or [`Locked`].
    #[doc(hidden)]
    type Cell: From<Self> + Send + Sync + 'static;
    /// The name of the type, as Python shows it.
    const NAME: &'static str;
    /// The names of the methods.
    const METHODS: &'static [&'static str];

    /// Calls a method.
    #[doc(hidden)]
    fn answer(cell: &Self::Cell, call: Call<'_>) -> Result<Answer, Error>;
}
