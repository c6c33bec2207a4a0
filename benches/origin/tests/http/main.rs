//! The server as its clients see it: bytes on a socket.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod client;
mod faults;
mod lifecycle;
mod lists;
mod objects;
mod shaping;
