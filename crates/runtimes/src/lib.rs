//! The languages of scrapers: how each is recognised, built and run.
//!
//! A runtime is a manifest (TOML, in `manifests/`), not code: which file tells the language, which files name dependencies and versions, how to install
//! them, how to run. [`Runtimes::detect`] reads a folder and gives a [`Plan`]; nothing of the scraper is executed. Only the interpreters of the machine are,
//! once, to ask them for their version and place.
//!
//! Every scraper gets Haul's own `scraperwiki` for its language, from `shims/`, which [`Runtimes::unpack`] writes.

mod detect;
mod folder;
mod installed;
mod manifest;
mod plan;
mod runtime;
mod shims;
mod versions;

pub use crate::detect::{DetectError, Runtimes};
pub use crate::plan::Plan;
