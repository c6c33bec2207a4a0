//! The server as clients meet it: requests in, answers out, on real parts.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod accounts;
mod api;
mod client;
mod decisions;
mod documents;
mod fixture;
mod guards;
mod live;
mod made_up;
mod pages;
mod providers;
#[path = "../parts/runner.rs"]
mod runner;
mod runs;
mod scraper_pages;
mod scrapers;
mod search;
mod settings;
mod socket;
mod updates;
mod visitors;
