//! The client's side of the control plane.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use super::channel::Channel;
use super::protocol::{self, Request};
use crate::registry::{self, Access};
use crate::wire::{Connection, Introduction};
use crate::{Address, Attachment, Error};

/// Attaches this process to the segment of the manager at `address`. If it is attached already,
/// that attachment is returned, and the manager has merely proved that it is there.
///
/// [`Error::OutOfReach`]: the objects can be reached by connections all the same.
pub fn connect(
    address: &Address,
    authkey: &[u8],
    timeout: Duration,
) -> Result<Arc<Attachment>, Error> {
    let (mut channel, body) = ask(address, authkey, timeout, Request::Attach)?;
    let (id, elsewhere) = protocol::read_segment(&body)?;
    let ticket = match registry::access(id, address, authkey, channel.deadline())? {
        Access::Attached(attachment) => return Ok(attachment),
        Access::Attach(ticket) => ticket,
    };
    if let Some(name) = elsewhere {
        channel = ask_nearby(address, name, authkey, channel.time_left()?, id)?;
    }
    channel.send(protocol::SEND)?;
    let file = channel.receive_descriptor()?;
    Attachment::attach(file, address.clone(), authkey, ticket, id).map_err(|error| match error {
        Error::Shm(refusal @ coheld_shm::Error::CannotMap { .. }) => Error::OutOfReach {
            address: address.clone(),
            why: refusal.to_string(),
        },
        error => error,
    })
}

/// The segment of the manager at `address`, for a process that will not be a member: its id, and
/// the descriptor of its memory.
pub(crate) fn borrow_segment(
    address: &Address,
    authkey: &[u8],
    timeout: Duration,
) -> Result<([u8; 16], OwnedFd), Error> {
    let (mut channel, body) = ask(address, authkey, timeout, Request::Attach)?;
    let (id, elsewhere) = protocol::read_segment(&body)?;
    if let Some(name) = elsewhere {
        channel = ask_nearby(address, name, authkey, channel.time_left()?, id)?;
    }
    channel.send(protocol::SEND)?;
    Ok((id, channel.receive_descriptor()?))
}

/// Asks the manager at `address` once more for the segment `id`, at its Unix socket. That is in
/// reach of its own machine, and lets its own user in.
fn ask_nearby(
    address: &Address,
    name: &[u8],
    authkey: &[u8],
    timeout: Duration,
    id: [u8; 16],
) -> Result<Channel, Error> {
    let nearby = Address::Abstract(name.to_vec());
    let asked = ask(&nearby, authkey, timeout, Request::Attach);
    let (channel, body) = asked.map_err(|error| match error {
        Error::ConnectionRefused { .. } | Error::NotFound { .. } | Error::Stopped { .. } => {
            let address = address.clone();
            Error::Remote { address }
        }
        error => error,
    })?;
    if protocol::read_segment(&body)? != (id, None) {
        return Err(Error::Protocol {
            why: "it has another segment at its Unix socket",
        });
    }
    Ok(channel)
}

/// What answers at an address.
pub(crate) enum Answered {
    /// A manager of Coheld: which segment it has, and the connection.
    Coheld([u8; 16], Connection),
    /// A manager of the standard library, which has closed the connection by now.
    Stock,
}

/// Connects to the manager at `address` to call its objects.
pub(crate) fn join(
    address: &Address,
    authkey: &[u8],
    timeout: Duration,
    introduction: Introduction,
) -> Result<Answered, Error> {
    match ask(address, authkey, timeout, Request::Join(introduction)) {
        Ok((channel, body)) => {
            let (id, _) = protocol::read_segment(&body)?;
            Ok(Answered::Coheld(id, channel.into_connection()?))
        }
        Err(Error::NotCoheld { .. }) => Ok(Answered::Stock),
        Err(error) => Err(error),
    }
}

/// Connects to the manager of the standard library at `address`.
pub(crate) fn dial(
    address: &Address,
    authkey: &[u8],
    timeout: Duration,
) -> Result<Connection, Error> {
    Channel::call(address, authkey, timeout)?.into_connection()
}

/// Asks the manager at `address` to stop. When this returns it has agreed to.
pub fn shutdown(address: &Address, authkey: &[u8], timeout: Duration) -> Result<(), Error> {
    ask(address, authkey, timeout, Request::Shutdown).map(drop)
}

/// Asks whether there is a manager at `address` that has the same key.
pub fn ping(address: &Address, authkey: &[u8], timeout: Duration) -> Result<(), Error> {
    ask(address, authkey, timeout, Request::Ping).map(drop)
}

fn ask(
    address: &Address,
    authkey: &[u8],
    timeout: Duration,
    request: Request,
) -> Result<(Channel, Vec<u8>), Error> {
    let mut channel = Channel::call(address, authkey, timeout)?;
    channel.send(&request.encode())?;
    let reply = channel.receive()?;
    if !protocol::is_ours(&reply) {
        let address = address.clone();
        return Err(Error::NotCoheld { address });
    }
    let body = protocol::read_reply(&reply, address)?.to_vec();
    Ok((channel, body))
}
