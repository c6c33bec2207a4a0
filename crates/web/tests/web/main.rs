//! The server as clients meet it: requests in, answers out, on real parts.

mod api;
mod client;
mod fixture;
mod guards;
mod live;
mod pages;
mod search;
mod socket;
