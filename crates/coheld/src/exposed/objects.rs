//! The objects that a program shares, and the host that answers for them.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::thread;

use coheld_wire::pickle::Graph;

use super::call::{Call, Called};
use super::stream::Batches;
use super::{Answer, Expose, answer};
use crate::call::{Exception, raise};
use crate::fork::guarded;
use crate::hosted::{Host, Reply, ReplyKind, Request, Serve, text_of_panic};
use crate::proxy::Interface;
use crate::value::pickle::read_part;
use crate::{Attachment, Error, Proxy, Value};

/// The name of a method that every object has: its result are the names of those that it exposes.
const EXPOSED: &str = "#EXPOSED";
/// The name of a method whose name is no text, which is the first argument.
const ODD_NAME: &str = "#ODD_NAME";
/// The name under which hosts give copies of their objects.
const COPY: &str = "#GETVALUE";

/// The objects that a manager of this process shares; the host begins with the first of them.
#[derive(Default)]
pub(crate) struct Sharing {
    /// A forked child begins its own: the objects are its parent's.
    begun: Mutex<Option<(u32, Begun)>>,
}

#[derive(Clone)]
struct Begun {
    host: Arc<Host>,
    objects: Arc<Objects>,
}

/// The objects of one host.
pub(super) struct Objects {
    this: Weak<Self>,
    attachment: Arc<Attachment>,
    host: OnceLock<Weak<Host>>,
    table: Mutex<BTreeMap<u64, Arc<dyn Object>>>,
}

/// An object of any type.
pub(super) trait Object: Send + Sync {
    /// The name of its type.
    fn name(&self) -> &'static str;

    /// The names of its methods.
    fn methods(&self) -> &'static [&'static str];

    /// Calls a method.
    fn call(&self, call: Call<'_>) -> Result<Answer, Error>;
}

/// An object whose type has the attribute.
struct Exposed<T: Expose>(T::Cell);

thread_local! {
    /// Where the objects are whose methods this thread is in; the latest comes last.
    static WITHIN: RefCell<Vec<Arc<Objects>>> = const { RefCell::new(Vec::new()) };
}

/// Shares an object from within a method of a shared object, beside that one: its host answers for
/// both.
///
/// ```
/// use coheld::Manager;
///
/// struct Shop;
/// struct Basket(Vec<String>);
///
/// #[coheld::expose]
/// impl Shop {
///     pub fn basket(&self) -> coheld::Result<BasketProxy> {
///         coheld::share(Basket(Vec::new()))
///     }
/// }
///
/// #[coheld::expose]
/// impl Basket {
///     pub fn add(&mut self, what: &str) -> usize {
///         self.0.push(what.to_owned());
///         self.0.len()
///     }
/// }
///
/// let manager = Manager::start()?;
/// let basket = manager.share(Shop)?.basket()?;
/// assert_eq!(basket.add("apple")?, 1);
/// assert!(coheld::share(Shop).is_err(), "this is no method of a shared object");
/// # Ok::<(), coheld::Error>(())
/// ```
pub fn share<T: Expose>(object: T) -> Result<T::Proxy, Error> {
    let objects = WITHIN.with_borrow(|within| within.last().cloned());
    let Some(objects) = objects else {
        return Err(Error::Refused {
            reason:
                "only methods of shared objects share others by `coheld::share`; anywhere else \
                     use `Manager::share`"
                    .into(),
        });
    };
    T::Proxy::try_from(objects.publish(Arc::new(Exposed::<T>(object.into())))?)
}

impl Sharing {
    /// Shares one more object.
    pub(crate) fn share<T: Expose>(
        &self,
        attachment: &Arc<Attachment>,
        object: T,
    ) -> Result<T::Proxy, Error> {
        let begun = self.begun(attachment)?;
        let object = Arc::new(Exposed::<T>(object.into()));
        T::Proxy::try_from(begun.objects.publish(object)?)
    }

    fn begun(&self, attachment: &Arc<Attachment>) -> Result<Begun, Error> {
        let process = std::process::id();
        let own = |begun: &mut Option<(u32, Begun)>| {
            let begun = begun.as_ref().filter(|(its, _)| *its == process);
            begun.map(|(_, begun)| begun.clone())
        };
        if let Some(begun) = guarded(&self.begun, own) {
            return Ok(begun);
        }
        let begun = Begun::new(attachment)?;
        let (kept, other) = guarded(&self.begun, |slot| match own(slot) {
            // Another thread was first; this host goes without ever having had an object.
            Some(first) => (first, Some((process, begun))),
            None => (begun.clone(), slot.replace((process, begun))),
        });
        drop(other);
        Ok(kept)
    }

    /// Ends all of them.
    pub(crate) fn stop(&self) {
        let begun = guarded(&self.begun, Option::take);
        if let Some((_, begun)) = begun {
            begun.host.stop();
        }
    }
}

impl Drop for Sharing {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Begun {
    fn new(attachment: &Arc<Attachment>) -> Result<Self, Error> {
        let objects = Arc::new_cyclic(|this| Objects {
            this: Weak::clone(this),
            attachment: Arc::clone(attachment),
            host: OnceLock::new(),
            table: Mutex::default(),
        });
        let host = Host::start(attachment, Arc::<Objects>::clone(&objects), false)?;
        // Nothing is published before.
        let _ = objects.host.set(Arc::downgrade(&host));
        Ok(Self { host, objects })
    }
}

impl Objects {
    /// Makes an object one that others call.
    pub(super) fn publish(&self, object: Arc<dyn Object>) -> Result<Proxy, Error> {
        let host = self.host.get().and_then(Weak::upgrade);
        let host = host.ok_or_else(|| Error::Refused {
            reason: "the manager that shared the objects of this process has been dropped".into(),
        })?;
        let interface = Interface::new(object.name(), object.methods().iter().copied());
        let number = host.next_number();
        guarded(&self.table, |table| table.insert(number, object));
        match host.publish_as(number) {
            Ok(handle) => Proxy::with_interface(handle, Some(interface)),
            Err(error) => {
                drop(guarded(&self.table, |table| table.remove(&number)));
                Err(error)
            }
        }
    }

    fn find(&self, number: u64) -> Option<Arc<dyn Object>> {
        guarded(&self.table, |table| table.get(&number).cloned())
    }

    fn try_answer(&self, object: &Arc<dyn Object>, request: &Request<'_>) -> Result<Reply, Error> {
        let called = Called {
            object: object.name(),
            method: request.method,
        };
        if request.flags & Request::XMLRPC != 0 {
            let why = "an object of a Rust program is called with pickles, not with XML";
            return Err(raise(Exception::RemoteError, why));
        }
        // First of all: what comes with them has to be taken or let go, whatever is called.
        let (arguments, keywords) = read_arguments(request.body, &self.attachment)?;
        let returned = match request.method {
            EXPOSED => {
                let names = object.methods().iter().copied();
                Answer::Value(Value::Tuple(names.map(Value::from).collect()))
            }
            "__str__" | "__repr__" => {
                let process = std::process::id();
                let text = format!("<{} object of process {process}>", called.object);
                Answer::Value(Value::from(text))
            }
            COPY => {
                let message = format!("a {} of a Rust program cannot be copied", called.object);
                return Err(raise(Exception::TypeError, message));
            }
            ODD_NAME => {
                let name = arguments.first().cloned().unwrap_or(Value::None);
                let message = format!("'{}' object has no method {name}", called.object);
                return Err(raise(Exception::AttributeError, message));
            }
            _ => object.call(Call {
                called,
                arguments,
                keywords,
            })?,
        };
        Ok(match returned {
            Answer::Value(value) => answer::reply(&value),
            Answer::Items(items) => {
                let batches = self.publish(Arc::new(Batches::new(items)))?;
                answer::reply(&Value::Proxy(batches))
            }
        })
    }
}

/// The arguments of a message, by place and by name. What Rust has no value for is a pickle.
#[expect(
    clippy::type_complexity,
    reason = "the two kinds of arguments that there are"
)]
fn read_arguments(
    body: &[u8],
    attachment: &Arc<Attachment>,
) -> Result<(Vec<Value>, Vec<(String, Value)>), Error> {
    let bad = || Error::Protocol {
        why: "a call came without arguments, or with none that could be read",
    };
    let graph = Graph::read(body).map_err(|_| bad())?;
    let &[by_place, by_name] = graph.tuple(graph.root()).ok_or_else(bad)? else {
        return Err(bad());
    };
    let by_place = graph.sequence(by_place).ok_or_else(bad)?.iter();
    let by_place = by_place.map(|number| read_part(&graph, *number, attachment));
    // One after another, so that all leases are used up though one of them fails.
    let by_place = by_place.collect::<Vec<_>>();
    let mut named = Vec::new();
    for (name, value) in graph.dict(by_name).ok_or_else(bad)? {
        let name = graph.text(name).ok_or_else(bad)?.to_owned();
        named.push((name, read_part(&graph, value, attachment)));
    }
    let by_place = by_place.into_iter().collect::<Result<_, _>>()?;
    let named = named.into_iter().map(|(name, value)| Ok((name, value?)));
    Ok((by_place, named.collect::<Result<_, Error>>()?))
}

impl<T: Expose> Object for Exposed<T> {
    fn name(&self) -> &'static str {
        T::NAME
    }

    fn methods(&self) -> &'static [&'static str] {
        T::METHODS
    }

    fn call(&self, call: Call<'_>) -> Result<Answer, Error> {
        T::answer(&self.0, call)
    }
}

impl Serve for Objects {
    fn answer(&self, request: &Request<'_>) -> Reply {
        let Some(object) = self.find(request.object) else {
            let text = format!("no object has the number {} any more\n", request.object);
            return Reply::new(ReplyKind::Traceback, text);
        };
        let _within = self.this.upgrade().map(Within::enter);
        let (name, method) = (object.name(), request.method);
        let answered = catch_unwind(AssertUnwindSafe(|| self.try_answer(&object, request)));
        match answered {
            Ok(Ok(reply)) => reply,
            Ok(Err(error)) => answer::reply_error(&error, format_args!("{name}.{method}()")),
            Err(panic) => {
                let text = text_of_panic(&*panic);
                Reply::new(
                    ReplyKind::Traceback,
                    format!("{name}.{method}() panicked: {text}\n"),
                )
            }
        }
    }

    fn released(&self, number: u64) {
        drop(guarded(&self.table, |table| table.remove(&number)));
    }

    fn spawn(&self, work: Box<dyn FnOnce() + Send>) -> Result<(), Error> {
        let builder = thread::Builder::new().name("coheld-object".into());
        let spawned = builder.spawn(work);
        spawned.map(drop).map_err(Error::io("starting a thread"))
    }
}

/// As long as it lives, this thread is in a method of these objects.
struct Within(());

impl Within {
    fn enter(objects: Arc<Objects>) -> Self {
        WITHIN.with_borrow_mut(|within| within.push(objects));
        Self(())
    }
}

impl Drop for Within {
    fn drop(&mut self) {
        let last = WITHIN.try_with(|within| within.borrow_mut().pop());
        drop(last);
    }
}
