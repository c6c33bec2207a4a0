//! Scrapers, runs and their data, through what the crate exports.
#![expect(clippy::unwrap_used, reason = "a test ends at what it did not expect")]

mod asking;
mod choosing;
mod ending;
mod leases;
mod scrapers;
mod speed;
mod world;
