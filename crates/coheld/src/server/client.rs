//! One client: its messages, and the answers.

use std::sync::Arc;

use coheld_wire::pickle::Graph;

use super::Shared;
use super::arrival::Request;
use super::departure::{Recipient, Reply};
use super::functions::{self, After};
use super::object::{self, class_and_text, traceback};
use super::xml;
use crate::wire::{Client, Connection, Introduction, NewClient, Patience};
use crate::{Address, Error, host};

/// Serves a client until it goes.
pub(super) fn serve(shared: &Arc<Shared>, client: NewClient) {
    let NewClient {
        connection,
        introduction,
    } = client;
    let address = reached_by(shared.references.attachment().address(), &connection);
    let conversation = Conversation {
        shared,
        connection,
        address,
        client: Client::Stock,
    };
    let ended = match introduction {
        None => conversation.one_request(),
        Some(introduction) => conversation.session(introduction),
    };
    if let Err(error) = ended {
        log::debug!("a client has gone: {error}");
    }
}

/// The address by which a client can reach the server again.
fn reached_by(address: &Address, connection: &Connection) -> Address {
    match (address, connection.own_address()) {
        (Address::Tcp { host, .. }, Some(own)) if matches!(&**host, "" | "0.0.0.0" | "::") => {
            own.into()
        }
        _ => address.clone(),
    }
}

struct Conversation<'s> {
    shared: &'s Arc<Shared>,
    connection: Connection,
    address: Address,
    client: Client,
}

impl Conversation<'_> {
    /// A client of the standard library: one request of the server itself, which may be that calls
    /// of objects follow.
    fn one_request(mut self) -> Result<(), Error> {
        let Some(message) = self.receive()? else {
            return Ok(());
        };
        let (reply, after) = read(&message, |request| {
            Ok(functions::answer(self.shared, self.client, request))
        })?;
        self.send(&reply, xml::is_xml(&message))?;
        match after {
            After::Nothing => Ok(()),
            After::Stop => {
                self.shared.stopper.stop();
                Ok(())
            }
            After::Calls => self.calls(),
        }
    }

    /// A client of Coheld, which asks for all that it wants on the same connections.
    fn session(mut self, introduction: Introduction) -> Result<(), Error> {
        let is_nearby = self.connection.is_nearby();
        let membership = self.shared.references.join(introduction, is_nearby);
        self.client = Client::Session(introduction.session);
        let ended = self.calls();
        drop(membership);
        ended
    }

    fn calls(mut self) -> Result<(), Error> {
        let is_session = matches!(self.client, Client::Session(_));
        let stream = Arc::clone(self.connection.stream());
        while let Some(message) = self.receive()? {
            let answered = read(&message, |request| match request.ident {
                None if is_session => Ok(functions::answer(self.shared, self.client, request)),
                ident => {
                    let ident = ident.unwrap_or("None");
                    let references = &self.shared.references;
                    let answer = || object::answer(references, ident, request);
                    Ok((host::for_client(&stream, answer)?, After::Nothing))
                }
            });
            let (reply, after) = answered?;
            self.send(&reply, xml::is_xml(&message))?;
            if after == After::Stop {
                self.shared.stopper.stop();
            }
        }
        Ok(())
    }

    /// The next message; `None`: the client has gone, or sends none that could be one.
    fn receive(&mut self) -> Result<Option<Vec<u8>>, Error> {
        let message = self.connection.receive(Patience::default())?;
        Ok(message.filter(|message| !message.is_empty()))
    }

    fn send(&mut self, reply: &Reply, as_xml: bool) -> Result<(), Error> {
        if as_xml {
            let message = xml::write(reply).or_else(|error| {
                xml::write(&Reply::Unserializable(traceback(&[&format!(
                    "ValueError: {error}"
                )])))
            });
            // Neither can fail: the second one is plain text.
            let message = message.unwrap_or_default();
            return self.connection.send(&message, Patience::default());
        }
        let recipient = Recipient {
            client: self.client,
            address: &self.address,
            references: &self.shared.references,
        };
        let message = match reply.write(&recipient) {
            Ok(message) => message,
            Err(error) => {
                let text = traceback(&[&class_and_text(&error)]);
                Reply::Unserializable(text).write(&recipient)?
            }
        };
        self.connection.send(&message, Patience::default())
    }
}

/// Has a message answered; `Err`: nobody is there any more to be answered.
fn read(
    message: &[u8],
    answer: impl FnOnce(&Request<'_>) -> Result<(Reply, After), Error>,
) -> Result<(Reply, After), Error> {
    let refused = |text: String| (Reply::Traceback(traceback(&[&text])), After::Nothing);
    let pickled;
    let message = if xml::is_xml(message) {
        match xml::to_pickle(message) {
            Ok(same) => {
                pickled = same;
                &pickled
            }
            Err(error) => return Ok(refused(format!("ValueError: {error}"))),
        }
    } else {
        message
    };
    let graph = match Graph::read(message) {
        Ok(graph) => graph,
        Err(error) => return Ok(refused(format!("_pickle.UnpicklingError: {error}"))),
    };
    match Request::read(&graph) {
        Ok(request) => answer(&request),
        Err(why) => Ok(refused(format!("ValueError: {why}"))),
    }
}
