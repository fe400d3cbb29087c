//! How the standard library pickles its proxies, and how they are written for it.

use coheld_wire::message::Token;
use coheld_wire::pickle::{Graph, Number, Term};

use super::exposed::exposed;
use crate::proxy::ITERATOR;
use crate::value::pickle::PROXY_MODULE;
use crate::wire::Client;
use crate::{Address, Kind};

/// The module whose names clients know.
pub(super) const MODULE: &str = "multiprocessing.managers";

/// A pickled proxy.
pub(super) struct Record {
    /// Its class, or the function that makes such proxies.
    pub(super) class: Number,
    /// Its object.
    pub(super) token: Token,
    /// The methods that it has, if it says so.
    pub(super) exposed: Option<Number>,
}

impl Record {
    /// The record, if it is one: `RebuildProxy(class, token, serializer, keywords)`.
    pub(super) fn read(graph: &Graph<'_>, number: Number) -> Option<Self> {
        let call = graph.call(number)?;
        if (call.module, call.name) != (MODULE, "RebuildProxy") {
            return None;
        }
        let &[class, token, _, keywords] = call.arguments else {
            return None;
        };
        let mut keywords = graph.dict(keywords)?;
        let exposed = keywords.find(|(name, _)| graph.text(*name) == Some("exposed"));
        Some(Self {
            class,
            token: Token::read(graph, token)?,
            exposed: exposed.map(|(_, value)| value),
        })
    }

    /// Whether its class is one of the library's own, of which this server knows all there is to
    /// know. The classes of programs are more.
    pub(super) fn is_usual(&self, graph: &Graph<'_>) -> bool {
        let class = graph.global(self.class);
        class.is_some_and(|(module, _)| module == MODULE || module == PROXY_MODULE)
    }
}

/// The record of a proxy for a client.
pub(super) fn of_proxy(
    kind: Kind,
    address: &Address,
    ident: &str,
    client: Client,
) -> Term<'static> {
    let name = match kind {
        Kind::List => "ListProxy",
        Kind::Dict => "DictProxy",
        Kind::Set => "SetProxy",
        Kind::Namespace => "NamespaceProxy",
        Kind::Value => "ValueProxy",
        Kind::Array => "ArrayProxy",
        Kind::Lock | Kind::RLock | Kind::Semaphore | Kind::BoundedSemaphore => "AcquirerProxy",
        Kind::Event => "EventProxy",
        Kind::Condition => "ConditionProxy",
        Kind::Barrier => "BarrierProxy",
        Kind::Queue | Kind::JoinableQueue | Kind::Hosted => "AutoProxy",
    };
    let class = match (name, client) {
        ("SetProxy", Client::Stock) => set_proxy(),
        _ => Term::global(MODULE, name),
    };
    let keywords = match name {
        "AutoProxy" | "SetProxy" => {
            let names = exposed(kind).iter().copied().map(Term::text);
            vec![(Term::text("exposed"), Term::Tuple(names.collect()))]
        }
        _ => Vec::new(),
    };
    rebuild(class, of_token(kind.typeid(), address, ident), keywords)
}

/// The record of a proxy of a hosted object of which the name of its type and those of its methods
/// are known.
pub(super) fn of_hosted<'t>(
    typeid: &str,
    exposed: Term<'t>,
    address: &Address,
    ident: &str,
) -> Term<'t> {
    let (class, keywords) = match typeid {
        ITERATOR => ("IteratorProxy", Vec::new()),
        _ => ("AutoProxy", vec![(Term::text("exposed"), exposed)]),
    };
    let token = of_token(typeid, address, ident);
    rebuild(Term::global(MODULE, class), token, keywords)
}

/// The record of a proxy whose class is not one of the library's own.
pub(super) fn rebuild<'t>(
    class: Term<'t>,
    token: Term<'t>,
    keywords: Vec<(Term<'t>, Term<'t>)>,
) -> Term<'t> {
    let arguments = [class, token, Term::text("pickle"), Term::Dict(keywords)];
    Term::call(MODULE, "RebuildProxy", arguments)
}

/// `getattr(multiprocessing.managers, "SetProxy", AutoProxy)`: before 3.14 there is no such class.
fn set_proxy() -> Term<'static> {
    let module = Term::call("importlib", "import_module", [Term::text(MODULE)]);
    let arguments = [
        module,
        Term::text("SetProxy"),
        Term::global(MODULE, "AutoProxy"),
    ];
    Term::call("builtins", "getattr", arguments)
}

/// A token.
pub(super) fn of_token<'t>(typeid: &str, address: &Address, ident: &str) -> Term<'t> {
    let state = [
        Term::text(typeid.to_owned()),
        of_address(address),
        Term::text(ident.to_owned()),
    ];
    Term::Instance {
        module: MODULE.into(),
        name: "Token".into(),
        state: Box::new(Term::Tuple(state.into())),
    }
}

/// An address as Python has it.
fn of_address<'t>(address: &Address) -> Term<'t> {
    match address {
        Address::Path(path) => Term::text(path.to_string_lossy().into_owned()),
        Address::Abstract(name) => Term::bytes([&b"\0"[..], name].concat()),
        Address::Tcp { host, port } => {
            Term::Tuple(vec![Term::text(host.clone()), Term::Int((*port).into())])
        }
    }
}
