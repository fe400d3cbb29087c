//! The client's side of the control plane.

use std::sync::Arc;
use std::time::Duration;

use super::channel::Channel;
use super::protocol::{self, Request};
use crate::registry::{self, Access};
use crate::{Address, Attachment, Error};

/// Attaches this process to the segment of the manager at `address`. If it is attached already,
/// that attachment is returned, and the manager has merely proved that it is there.
pub fn connect(
    address: &Address,
    authkey: &[u8],
    timeout: Duration,
) -> Result<Arc<Attachment>, Error> {
    let (mut channel, body) = ask(address, authkey, timeout, Request::Attach)?;
    let id = body.try_into().map_err(|_| Error::Protocol {
        why: "not the name of a segment",
    })?;
    match registry::access(id, address, authkey, channel.deadline())? {
        Access::Attached(attachment) => Ok(attachment),
        Access::Attach(ticket) => {
            channel.send(protocol::SEND)?;
            let file = channel.receive_descriptor()?;
            Attachment::attach(file, address.clone(), authkey, ticket, id)
        }
    }
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
    let body = protocol::read_reply(&reply)?.to_vec();
    Ok((channel, body))
}
