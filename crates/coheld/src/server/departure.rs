//! Messages to clients.

use coheld_wire::pickle::{Graph, Number, Term, Writer};

use super::records;
use crate::call::{Exception, raise};
use crate::value::pickle::{DEPTH_LIMIT, EDGE_FUNCTION, PROXY_MODULE};
use crate::wire::{Client, References};
use crate::{Address, Error, Kind, Pickle, Proxy, Value, ValueError};

/// An exception for a client.
pub(super) struct Raise {
    pub(super) module: &'static str,
    pub(super) class: &'static str,
    pub(super) arguments: Vec<Value>,
}

/// What a client is answered.
pub(super) enum Reply {
    /// A value.
    Return(Value),
    /// An iterator over these.
    Iterator(Vec<Value>),
    /// An `array.array`: its typecode and its items as bytes.
    Array(u8, Vec<u8>),
    /// An object of a class of the standard library's managers, with these attributes.
    Instance(&'static str, Vec<(String, Value)>),
    /// What a method has raised.
    Error(Raise),
    /// Why there is no answer.
    Traceback(String),
    /// Why the answer cannot be sent.
    Unserializable(String),
}

/// Whose message it is, and by which address it reaches this server.
pub(super) struct Recipient<'r> {
    pub(super) client: Client,
    pub(super) address: &'r Address,
    pub(super) references: &'r References,
}

impl Reply {
    /// The message. The proxies in it are kept for the client from now on.
    pub(super) fn write(&self, recipient: &Recipient<'_>) -> Result<Vec<u8>, Error> {
        let mut departure = Departure {
            writer: Writer::new(),
            recipient,
            sent: Vec::new(),
        };
        departure.reply(self)?;
        let message = departure.writer.finish();
        for proxy in departure.sent {
            let handle = proxy.handle().clone();
            let (references, client) = (recipient.references, recipient.client);
            match client {
                // It counts by itself what it gets.
                Client::Stock => references.lend(client, handle),
                Client::Session(_) => references.hold(client, handle),
            }
        }
        Ok(message)
    }
}

struct Departure<'d> {
    writer: Writer,
    recipient: &'d Recipient<'d>,
    sent: Vec<Proxy>,
}

impl Departure<'_> {
    fn reply(&mut self, reply: &Reply) -> Result<(), Error> {
        self.writer.open_tuple(2);
        match reply {
            Reply::Return(value) => {
                self.writer.text("#RETURN");
                self.value(value, 0)?;
            }
            Reply::Iterator(items) => {
                self.writer.text("#RETURN");
                self.writer.open_call("builtins", "iter", 1);
                self.list(items, 0)?;
                self.writer.close_call(1);
            }
            Reply::Array(typecode, items) => {
                self.writer.text("#RETURN");
                self.writer.open_call("array", "array", 2);
                self.writer.text(&char::from(*typecode).to_string());
                self.writer.bytes(items);
                self.writer.close_call(2);
            }
            Reply::Instance(class, attributes) => {
                self.writer.text("#RETURN");
                self.instance(class, attributes)?;
            }
            Reply::Error(raised) => {
                self.writer.text("#ERROR");
                self.raise(raised)?;
            }
            Reply::Traceback(text) => {
                self.writer.text("#TRACEBACK");
                self.writer.text(text);
            }
            Reply::Unserializable(text) => {
                self.writer.text("#UNSERIALIZABLE");
                self.writer.text(text);
            }
        }
        self.writer.close_tuple(2);
        Ok(())
    }

    /// An object made without arguments, whose attributes are then these.
    fn instance(&mut self, class: &str, attributes: &[(String, Value)]) -> Result<(), Error> {
        self.writer.open_instance(records::MODULE, class);
        self.writer.open_dict(attributes.len());
        for (name, value) in attributes {
            self.writer.text(name);
            self.value(value, 0)?;
        }
        self.writer.close_dict(attributes.len());
        self.writer.close_instance();
        Ok(())
    }

    fn raise(&mut self, raised: &Raise) -> Result<(), Error> {
        let count = raised.arguments.len();
        if (raised.module, raised.class) == ("queue", "ShutDown") {
            // Before 3.13 there is no such class:
            // `next(starmap(getattr(queue, "ShutDown", Exception), [()]))`.
            let module = Term::call("importlib", "import_module", [Term::text("queue")]);
            let fallback = Term::global("builtins", "Exception");
            let arguments = [module, Term::text("ShutDown"), fallback];
            let class = Term::call("builtins", "getattr", arguments);
            let once = Term::List(vec![Term::Tuple(Vec::new())]);
            let made = Term::call("itertools", "starmap", [class, once]);
            let called = Term::call("builtins", "next", [made]);
            return self.term(&called);
        }
        self.writer.open_call(raised.module, raised.class, count);
        for argument in &raised.arguments {
            self.value(argument, 0)?;
        }
        self.writer.close_call(count);
        Ok(())
    }

    fn value(&mut self, value: &Value, depth: usize) -> Result<(), Error> {
        if depth > DEPTH_LIMIT {
            return Err(ValueError::TooDeep { limit: DEPTH_LIMIT }.into());
        }
        let writer = &mut self.writer;
        match value {
            Value::None => writer.none(),
            Value::Bool(value) => writer.bool(*value),
            Value::Int(value) => writer.int(*value),
            Value::BigInt(value) => writer.big_int(value.as_bytes()),
            Value::Float(value) => writer.float(*value),
            Value::Str(text) => writer.text(text),
            Value::Surrogates(text) => writer.surrogates(text),
            Value::Bytes(bytes) => writer.bytes(bytes),
            Value::Tuple(items) => {
                writer.open_tuple(items.len());
                for item in items {
                    self.value(item, depth + 1)?;
                }
                self.writer.close_tuple(items.len());
            }
            Value::List(items) => self.list(items, depth)?,
            Value::Set(items) => {
                writer.open_set();
                for item in items {
                    self.value(item, depth + 1)?;
                }
                self.writer.close_set();
            }
            Value::Dict(pairs) => {
                writer.open_dict(pairs.len());
                for (key, value) in pairs {
                    self.value(key, depth + 1)?;
                    self.value(value, depth + 1)?;
                }
                self.writer.close_dict(pairs.len());
            }
            Value::Slice(slice) => {
                writer.open_call("builtins", "slice", 3);
                for bound in [slice.start, slice.stop, slice.step] {
                    match bound {
                        Some(bound) => writer.int(bound),
                        None => writer.none(),
                    }
                }
                writer.close_call(3);
            }
            Value::Proxy(proxy) => {
                let record = self.record(proxy);
                self.term(&record)?;
            }
            Value::Pickle(pickle) => self.opaque(pickle)?,
        }
        Ok(())
    }

    fn list(&mut self, items: &[Value], depth: usize) -> Result<(), Error> {
        self.writer.open_list(items.len());
        for item in items {
            self.value(item, depth + 1)?;
        }
        self.writer.close_list(items.len());
        Ok(())
    }

    fn term(&mut self, term: &Term<'_>) -> Result<(), Error> {
        self.writer
            .term(term)
            .map_err(|error| unwritable(&error.to_string()))
    }

    /// What stands for a proxy, which is sent by this.
    fn record(&mut self, proxy: &Proxy) -> Term<'static> {
        let Recipient {
            client,
            address,
            references,
        } = *self.recipient;
        self.sent.push(proxy.clone());
        let ident = references.ident(proxy.handle());
        let Some(interface) = proxy.interface() else {
            return records::of_proxy(proxy.kind(), address, &ident, client);
        };
        let names = interface.methods().iter().cloned().map(Term::text);
        let names = Term::Tuple(names.collect());
        records::of_hosted(interface.name(), names, address, &ident)
    }

    /// An object of Python as it came, with the proxies in it.
    fn opaque(&mut self, pickle: &Pickle) -> Result<(), Error> {
        let graph = Graph::read(pickle.as_bytes());
        let graph = graph.map_err(|error| unwritable(&error.to_string()))?;
        let mut sent = Vec::new();
        let recipient = self.recipient;
        let mut rewrite = |number| {
            let (proxy, record) = edge(&graph, number, pickle.proxies(), recipient)?;
            sent.push(proxy);
            Some(record)
        };
        let embedded = self.writer.embed(&graph, graph.root(), &mut rewrite);
        embedded.map_err(|error| unwritable(&error.to_string()))?;
        self.sent.extend(sent);
        Ok(())
    }
}

/// The proxy that an edge inside a stored pickle stands for, and its record for a client.
fn edge<'t>(
    graph: &'t Graph<'_>,
    number: Number,
    proxies: &[Proxy],
    recipient: &Recipient<'_>,
) -> Option<(Proxy, Term<'t>)> {
    let call = graph.call(number)?;
    if (call.module, call.name) != EDGE_FUNCTION {
        return None;
    }
    let &[place, class, typeid, _, ref exposed @ ..] = call.arguments else {
        return None;
    };
    let place = usize::try_from(graph.int(place)?).ok()?;
    let proxy = proxies.get(place)?.clone();
    let ident = recipient.references.ident(proxy.handle());
    let is_usual = graph
        .global(class)
        .is_some_and(|(module, _)| module == PROXY_MODULE);
    if is_usual
        && proxy.kind() == Kind::Hosted
        && let Some(&exposed) = exposed.first()
    {
        let (typeid, exposed) = (graph.text(typeid)?, Term::Node(exposed));
        let record = records::of_hosted(typeid, exposed, recipient.address, &ident);
        return Some((proxy, record));
    }
    if is_usual {
        let (address, client) = (recipient.address, recipient.client);
        let record = records::of_proxy(proxy.kind(), address, &ident, client);
        return Some((proxy, record));
    }
    let token = records::of_token(graph.text(typeid)?, recipient.address, &ident);
    let exposed = exposed.first().filter(|&&exposed| !graph.is_none(exposed));
    let keywords = exposed.map(|&exposed| (Term::text("exposed"), Term::Node(exposed)));
    let keywords = keywords.into_iter().collect();
    let record = records::rebuild(Term::Node(class), token, keywords);
    Some((proxy, record))
}

#[cold]
fn unwritable(why: &str) -> Error {
    raise(Exception::RemoteError, why.to_owned())
}
