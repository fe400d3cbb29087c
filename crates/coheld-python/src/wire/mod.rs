//! Clients and managers at the other end of a connection.

mod connection;
mod departure;
mod references;
mod service;

pub(crate) use self::{
    connection::Connection,
    departure::{dumps, foreign_name, loads},
    references::References,
    service::Service,
};
