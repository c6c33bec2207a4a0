//! The data of scrapers as clients meet it: requests in, bytes out, on real parts.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod asking;
mod browsers;
mod limits;
mod morph;
mod place;
#[path = "../parts/runner.rs"]
mod runner;
mod translating;
mod versions;
