//! The crawl database over a real socket on this machine.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod conformance;
mod description;
mod documents;
mod failures;
mod hostile;
mod service;
mod sizes;
mod tokens;
