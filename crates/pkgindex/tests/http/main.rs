//! The HTTP port, through real sockets.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod commands;
mod feed;
mod gate;
mod port;
mod questions;
mod service;
mod transfer;
