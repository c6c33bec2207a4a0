//! HTTP/1.1 as this crate needs it: one request after the other on a connection, and bodies that are read straight into
//! the buffer that the reader or the disk gets.
//!
//! A general client hands out bodies in buffers of its own, fresh ones for every piece: at a gigabyte per second, the
//! page faults of these cost more than the copy out of the kernel.

mod body;
mod connect;
mod connection;
mod head;
mod pool;

pub(crate) use connect::{Connector, Endpoint};
pub(crate) use connection::Connection;
pub(crate) use head::{ContentRange, Head, write_request};
pub(crate) use pool::Pool;
