//! The proxy, seen from inside a run and from outside. Nothing here leaves the loopback interface.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod denying;
mod naming;
mod passing;
mod refusing;
mod run;
mod server;
mod taping;
