//! The attribute of Coheld by which types of a program become shared objects.
//!
//! Programs use it as `coheld::expose`, and nothing of this crate directly.

#![forbid(unsafe_code)]

mod block;
mod generate;
mod method;
mod types;

use proc_macro::TokenStream;

/// Makes the type of an `impl` block one whose objects other processes call.
///
/// It goes on an `impl` block of a type without parameters. Beside the block, which stays as it is,
/// it makes a type for its proxies (`MathsProxy` for `Maths`), with the same methods and their
/// documentation; each of them returns a `coheld::Result`. `Manager::share` gives the first proxy
/// of an object. What methods can take and return is in the documentation of `coheld::exposed`.
///
/// # Which methods
///
/// The `pub` ones: private methods are not exposed, nor are those that are `pub(crate)` or marked
/// with `#[expose(skip)]`. If no method of the block is `pub`, all are exposed that are not marked;
/// so a block of a private type needs no `pub`. Blocks without the attribute are never exposed, and
/// a type can have one block with it.
///
/// Every exposed method takes `&self` or `&mut self`. Those that take `&self` run at the same time
/// when several callers call. If any method takes `&mut self`, the object is behind a lock, which
/// that one has for itself.
///
/// # Options
///
/// * `#[coheld::expose(proxy = Calculator)]` gives the type of the proxies another name.
/// * `#[coheld::expose(executor = block_on)]` lets methods be async: this function of the program
///   (`fn block_on<F: Future>(future: F) -> F::Output`) runs their futures to the end, each on the
///   thread that answers its caller. With the feature `tokio` there is `coheld::executor::tokio`.
///   The methods of the proxies are not async.
///
/// # Example
///
/// ```
/// # #[cfg(any())] { // The crate `coheld` uses this one.
/// struct Maths;
///
/// #[coheld::expose]
/// impl Maths {
///     /// The sum.
///     fn add(&self, x: i64, y: i64) -> i64 {
///         x + y
///     }
/// }
///
/// let manager = coheld::Manager::start()?;
/// let maths: MathsProxy = manager.share(Maths)?;
/// assert_eq!(maths.add(2, 3)?, 5);
/// # }
/// ```
#[proc_macro_attribute]
pub fn expose(options: TokenStream, item: TokenStream) -> TokenStream {
    let expanded = block::Block::read(options.into(), item.into());
    match expanded {
        Ok(block) => generate::all(&block).into(),
        Err(refusal) => refusal.into_tokens().into(),
    }
}
