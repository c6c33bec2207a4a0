//! The server as clients meet it: requests in, answers out, on real parts.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod api;
mod client;
mod fixture;
mod guards;
mod live;
mod pages;
mod search;
mod socket;
