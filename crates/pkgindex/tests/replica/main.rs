//! A server that follows another one over its HTTP port.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod follow;
#[path = "../http/port.rs"]
mod port;
