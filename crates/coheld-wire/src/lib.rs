//! The wire protocols of Coheld, as pure functions of bytes: nothing here reads or writes a socket.
//!
//! * [`frame`]: how messages are cut out of a stream;
//! * [`auth`]: one direction of the authentication, challenger and responder;
//! * [`handshake`]: both directions in the order in which the two ends take their turns;
//! * [`pickle`]: pickles as graphs, read, taken apart and written, never executed;
//! * [`message`]: requests and replies, and what in them concerns a manager;
//! * [`xmlrpc`]: the same in the other serializer.
//!
//! All of it is what `multiprocessing.connection` and `multiprocessing.managers` of `CPython`
//! speak, in all of their generations.
//!
//! # A server in short
//!
//! | to | use |
//! |---|---|
//! | read a request | [`message::Request::read`]: `ident`, `method`, `arguments`, `keywords` |
//! | look at an argument | [`pickle::Graph`], indexed by [`pickle::Number`]: a [`pickle::Node`] |
//! | keep an argument as it is | [`pickle::Graph::extract`] |
//! | the same, with other proxies in it | [`pickle::Graph::extract_with`], a [`pickle::Term`] |
//! | know a proxy or a token | [`message::ProxyRecord::read`], [`message::Token::read`] |
//! | know an exception | [`message::Raised::read`] |
//! | answer with a small value | [`message::returned`], [`message::raised`], [`message::proxied`] |
//! | answer that it failed | [`message::traceback`], [`message::unserializable`] |
//! | answer with any value | [`message::reply_with`] and a [`pickle::Writer`] |
//! | answer with what was kept | [`pickle::Writer::embed`], after [`pickle::Graph::read`] |
//!
//! A client writes with [`message::request`] or [`message::request_with`], and reads with
//! [`message::Reply::read`].

#![forbid(unsafe_code)]

pub mod auth;
pub mod digest;
pub mod frame;
pub mod handshake;
pub mod message;
pub mod pickle;
pub mod xmlrpc;
