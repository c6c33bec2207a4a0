//! The package index: its commands beside Redis's, and the whole index of a distribution with questions about its graph.

mod commands;
mod distribution;
mod servers;

use super::Bench;
use anyhow::Result;

/// Measures both.
pub(super) fn compare(bench: &Bench) -> Result<()> {
    commands::compare(bench)?;
    distribution::measure(bench)
}
