//! Clients and managers at the other end of a connection.

mod call;
mod connection;
mod departure;
mod link;
mod references;
mod service;
mod state;
mod transport;

pub(crate) use self::{
    call::{call, exposed_methods},
    connection::Connection,
    departure::{dumps, foreign_name, loads},
    link::{Link, introduce_links, leave_links, reduce},
    references::References,
    service::Service,
    state::RemoteState,
    transport::link as link_by,
};
