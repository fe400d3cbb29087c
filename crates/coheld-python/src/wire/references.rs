//! `References`: what clients at the other end of connections hold.

use std::sync::Arc;

use coheld::{Handle, wire};
use pyo3::{exceptions::PyKeyError, prelude::*};

use super::Connection;
use crate::{
    attachment::{self, Attachment},
    proxy::{self, BaseProxy, state_of_base},
    token::Token,
};

/// What clients at the other end of connections hold of the objects of a manager.
#[pyclass(frozen, module = "coheld._coheld")]
pub(crate) struct References {
    shared: Arc<wire::References>,
}

impl References {
    pub(super) fn shared(&self) -> &Arc<wire::References> {
        &self.shared
    }

    fn find(&self, ident: &str) -> PyResult<Handle> {
        let handle = self.shared.find(ident);
        handle.map_err(|_| PyKeyError::new_err(ident.to_owned()))
    }
}

/// On whose account the references of a client are. Over connections of a program's own there are
/// clients of the standard library only.
fn account(client: Option<&Connection>) -> wire::Client {
    client.map_or(wire::Client::Stock, Connection::client)
}

#[pymethods]
impl References {
    #[new]
    fn new(attachment: &Attachment) -> Self {
        let shared = Arc::new(wire::References::new(attachment.shared()));
        Self { shared }
    }

    /// The name of a shared object for clients; None: it is not of this manager.
    fn ident(&self, proxy: &Bound<'_, BaseProxy>) -> PyResult<Option<String>> {
        let state = state_of_base(proxy)?;
        let is_ours = state.segment_id() == self.shared.attachment().segment_id();
        Ok(is_ours.then(|| self.shared.ident(state.handle())))
    }

    /// Whether a name is one of this manager.
    fn is_ours(&self, ident: &str) -> bool {
        wire::place_of(&self.shared.attachment().segment_id(), ident).is_some()
    }

    /// A plain proxy of the object with this name. KeyError: there is none.
    fn proxy<'py>(&self, py: Python<'py>, ident: &str) -> PyResult<Bound<'py, PyAny>> {
        proxy::from_handle(py, self.find(ident)?)
    }

    /// A token of the object with this name, holding it. KeyError: there is none.
    fn token(&self, ident: &str, typeid: Bound<'_, PyAny>) -> PyResult<Token> {
        Token::holding(typeid.py(), self.find(ident)?, typeid)
    }

    /// Count a reference that a client gets with a reply, to the object of a proxy or of a token
    /// that holds it; return the name of the object.
    fn hold(&self, object: &Bound<'_, PyAny>, client: Option<&Connection>) -> PyResult<String> {
        let handle = match object.cast::<Token>() {
            Ok(token) => attachment::acquire(object.py(), token.get(), None)?,
            Err(_) => state_of_base(object.cast::<BaseProxy>()?)?.another_handle(),
        };
        let ident = self.shared.ident(&handle);
        self.shared.hold(account(client), handle);
        Ok(ident)
    }

    /// Count a reference of a client to the object with this name. KeyError: there is none.
    fn increase(&self, ident: &str, client: Option<&Connection>) -> PyResult<()> {
        let increased = self.shared.increase(account(client), ident);
        increased.map_err(|_| PyKeyError::new_err(ident.to_owned()))
    }

    /// The same by a lease that a process which shares the memory has sent along.
    fn redeem(&self, ident: &str, client: Option<&Connection>) -> PyResult<()> {
        let redeemed = self.shared.redeem(account(client), ident);
        redeemed.map_err(|_| PyKeyError::new_err(ident.to_owned()))
    }

    /// End a reference of a client, at once or when nobody has taken it over for some minutes.
    /// Whether there was one.
    #[pyo3(signature = (ident, client, later=false))]
    fn decrease(
        &self,
        py: Python<'_>,
        ident: &str,
        client: Option<&Connection>,
        later: bool,
    ) -> bool {
        let client = account(client);
        // The last reference may have to wait for a lock, or have an object dropped.
        py.detach(|| {
            if later {
                self.shared.decrease_later(client, ident)
            } else {
                self.shared.decrease(client, ident)
            }
        })
    }

    /// Keep an object for some minutes, for whoever counts a reference of it first.
    fn lend(&self, proxy: &Bound<'_, BaseProxy>, client: Option<&Connection>) -> PyResult<()> {
        let handle = state_of_base(proxy)?.another_handle();
        self.shared.lend(account(client), handle);
        Ok(())
    }

    /// A client of Coheld says goodbye: let go of all that it holds.
    fn leave(&self, py: Python<'_>, client: &Connection) {
        if let wire::Client::Session(session) = client.client() {
            py.detach(|| self.shared.leave(session));
        }
    }

    /// How many objects are held for clients.
    fn count(&self) -> usize {
        self.shared.count()
    }
}
