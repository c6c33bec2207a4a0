//! Scrapers: what containing and running one costs, its log, how its rows changed, and how fast they leave the data API.

mod rows;
mod runs;
mod server;

use super::{Bench, example};
use anyhow::Result;

/// Measures each part alone, then a whole server.
pub(super) fn compare(bench: &Bench) -> Result<()> {
    let is_quick = bench.extent.rounds == 1;
    let number = |quick: usize, full: usize| if is_quick { quick } else { full }.to_string();
    let (thousand_rows, rounds) = (number(100, 1000), number(1, 5));
    example(&["sandbox", "overhead"], &[number(10, 100)])?;
    example(&["runlog", "throughput"], &[number(1, 10)])?;
    example(&["dataset", "compare"], &[format!("{thousand_rows}000"), rounds])?;
    runs::measure(bench)?;
    rows::compare(bench)
}
