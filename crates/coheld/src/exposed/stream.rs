//! Iterators that run in the process of a host while another one takes their items.

use std::collections::VecDeque;
use std::fmt;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;

use super::answer::{Answer, Items};
use super::call::Call;
use super::client;
use super::objects::Object;
use crate::call::{Exception, raise};
use crate::hosted::text_of_panic;
use crate::proxy::ITERATOR;
use crate::{Error, Proxy, Value, call};

/// The name of the method that gives several items at once: a list of them, and whether there may
/// be more.
const BATCH: &str = "#BATCH";
/// The name of the method that gives one, as in Python.
const NEXT: &str = "__next__";
/// How many items are made for one message at most.
const MOST: usize = 256;
/// How long items are made for one message, though there would be room for more.
const PATIENCE: Duration = Duration::from_millis(5);

/// An iterator of a host.
pub(super) struct Batches(Mutex<State>);

struct State {
    /// None once it has ended.
    items: Option<Items>,
    /// What ended a batch, for the next one.
    failure: Option<Error>,
}

impl Batches {
    pub(super) fn new(items: Items) -> Self {
        Self(Mutex::new(State {
            items: Some(items),
            failure: None,
        }))
    }
}

impl State {
    /// The next item. One that has failed is not the last one: that is up to the iterator.
    fn next(&mut self) -> Result<Option<Value>, Error> {
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        // Taken out meanwhile: after a panic it is not used any more.
        let Some(mut items) = self.items.take() else {
            return Ok(None);
        };
        // Caught here, so that the items before it are not lost.
        let next = catch_unwind(AssertUnwindSafe(|| items.next()));
        let next = next.map_err(|panic| {
            let message = format!("an iterator panicked: {}", text_of_panic(&*panic));
            raise(Exception::RemoteError, message)
        })?;
        if next.is_some() {
            self.items = Some(items);
        }
        next.transpose()
    }

    fn batch(&mut self) -> Result<Value, Error> {
        let begun = Instant::now();
        let mut made = Vec::new();
        let is_over = loop {
            match self.next() {
                Ok(Some(item)) => made.push(item),
                Ok(None) => break true,
                Err(error) if made.is_empty() => return Err(error),
                Err(error) => {
                    self.failure = Some(error);
                    break false;
                }
            }
            if made.len() == MOST || begun.elapsed() >= PATIENCE {
                break false;
            }
        };
        Ok(Value::Tuple(vec![Value::List(made), Value::Bool(!is_over)]))
    }
}

impl Object for Batches {
    fn name(&self) -> &'static str {
        ITERATOR
    }

    fn methods(&self) -> &'static [&'static str] {
        &[NEXT]
    }

    fn call(&self, call: Call<'_>) -> Result<Answer, Error> {
        let is_batch = match call.method() {
            BATCH => true,
            NEXT => false,
            // What Python's generators have; there is nobody here whom it could be told.
            "close" => {
                self.lock().items = None;
                return Ok(Answer::Value(Value::None));
            }
            _ => return Err(call.unknown(self.methods())),
        };
        call.arguments(&[])?;
        let mut state = self.lock();
        if is_batch {
            return state.batch().map(Answer::Value);
        }
        let next = state.next()?;
        let next = next.ok_or_else(|| raise(Exception::StopIteration, ""));
        next.map(Answer::Value)
    }
}

impl Batches {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The items of an iterator of another process.
///
/// They come some at a time, as many as that process makes within a few milliseconds; it makes no
/// more before these are taken. An error is an item, too; after one of the iterator itself there
/// may be more, after any other one there are none.
///
/// ```
/// struct Words(Vec<String>);
///
/// #[coheld::expose]
/// impl Words {
///     /// The words that begin with a prefix.
///     pub fn beginning_with(&self, prefix: String) -> Box<dyn Iterator<Item = String> + Send> {
///         let words = self.0.clone();
///         Box::new(words.into_iter().filter(move |word| word.starts_with(&prefix)))
///     }
/// }
///
/// let manager = coheld::Manager::start()?;
/// let words = ["held", "alone", "here"].map(String::from);
/// let words = manager.share(Words(words.into()))?;
/// let found: Vec<String> = words.beginning_with("he".into())?.collect::<Result<_, _>>()?;
/// assert_eq!(found, ["held", "here"]);
/// # Ok::<(), coheld::Error>(())
/// ```
pub struct Streamed<T> {
    come: VecDeque<Value>,
    /// None: there are no more.
    source: Option<Source>,
    item: PhantomData<fn() -> T>,
}

struct Source {
    proxy: Proxy,
    /// Whether it gives one item at a time only, as the iterators of Python do.
    is_single: bool,
}

impl<T> Streamed<T> {
    /// The items of what a method returned.
    pub(super) fn over(returned: Value, method: &str) -> Result<Self, Error> {
        let (come, source) = match returned {
            Value::List(items) | Value::Tuple(items) | Value::Set(items) => (items.into(), None),
            Value::Proxy(proxy) => {
                let is_single = false;
                (VecDeque::new(), Some(Source { proxy, is_single }))
            }
            other => {
                let found = other.type_name();
                let message = format!("{method}() returned {found}, and not an iterator");
                return Err(raise(Exception::TypeError, message));
            }
        };
        Ok(Self {
            come,
            source,
            item: PhantomData,
        })
    }

    /// The next item as it came; `None` at the end.
    fn next_value(&mut self) -> Result<Option<Value>, Error> {
        while self.come.is_empty() {
            let Some(source) = &mut self.source else {
                return Ok(None);
            };
            let (items, has_more) = source.more()?;
            self.come.extend(items);
            if !has_more {
                self.source = None;
            }
        }
        Ok(self.come.pop_front())
    }
}

impl Source {
    fn more(&mut self) -> Result<(Vec<Value>, bool), Error> {
        if !self.is_single {
            let batch = call::call_method(&self.proxy, BATCH, &[]);
            match &batch {
                Ok(Value::Tuple(parts)) => {
                    if let [Value::List(items), Value::Bool(has_more)] = parts.as_slice() {
                        return Ok((items.clone(), *has_more));
                    }
                }
                // An iterator of Python has no such method.
                Err(Error::Raised(raised))
                    if matches!(
                        raised.exception,
                        Exception::RemoteError | Exception::AttributeError
                    ) && raised.message.contains(&format!("'{BATCH}'")) =>
                {
                    self.is_single = true;
                }
                Err(_) => return batch.map(|_| (Vec::new(), false)),
                Ok(_) => {}
            }
            if !self.is_single {
                return Err(Error::Protocol {
                    why: "an iterator gave something else than items",
                });
            }
        }
        match call::call_method(&self.proxy, NEXT, &[]) {
            Ok(item) => Ok((vec![item], true)),
            Err(Error::Raised(raised)) if raised.exception == Exception::StopIteration => {
                Ok((Vec::new(), false))
            }
            Err(error) => Err(error),
        }
    }
}

impl<T: DeserializeOwned> Iterator for Streamed<T> {
    type Item = Result<T, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.next_value() {
            Ok(Some(value)) => Some(client::read(&value, NEXT)),
            Ok(None) => None,
            Err(error) => {
                // The host is gone, say: then every further call would fail in the same way.
                if !matches!(error, Error::Raised(_)) {
                    self.source = None;
                }
                Some(Err(error))
            }
        }
    }
}

impl<T> fmt::Debug for Streamed<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let come = self.come.len();
        write!(formatter, "<items of another process, {come} of them here>")
    }
}
