//! The crawl database: what comes in, what is claimed, what is missed, and how both fare as it grows.
//!
//! Nothing is compared: URLFrontier, which keeps the same in RocksDB, is not to be had as a package. Its authors report 49 to 63
//! thousand URLs/s on 20 cores.

use super::{Bench, example_output};
use anyhow::{Context, Result};
use serde::Deserialize;

/// A line of the examples.
#[derive(Deserialize)]
struct Figure {
    name: String,
    items: u64,
    seconds: f64,
    items_per_s: f64,
    #[serde(default)]
    cpu_us_per_item: Option<f64>,
    #[serde(default)]
    peak_bytes: Option<u64>,
    /// Items per second of each 100,000.
    #[serde(default)]
    parts: Vec<f64>,
}

/// Measures each size; the largest takes 20 minutes and 12 GB.
pub(super) fn measure(bench: &Bench) -> Result<()> {
    let sizes: &[(&str, &[&str])] = match bench.extent.rounds {
        1 => &[("100000", &[])],
        _ => &[
            ("500000", &[]),
            ("1000000", &["seen", "claim", "orphans"]),
            ("2000000", &["seen", "known", "restart"]),
            ("10000000", &["seen", "restart"]),
        ],
    };
    let folder = bench.material.scratch.display().to_string();
    for (items, what) in sizes {
        let mut arguments = vec!["--items", items, "--folder", &folder];
        arguments.extend(*what);
        let lines = example_output(&["crawldb", "ingest"], &arguments)?;
        print(&format!("The crawl database, {items} items"), &lines)?;
    }
    let items = if bench.extent.rounds == 1 {
        "20000"
    } else {
        "200000"
    };
    let lines = example_output(&["ledger", "replay"], &[items, &folder])?;
    print(&format!("Replay, {items} items"), &lines)
}

fn print(title: &str, lines: &str) -> Result<()> {
    println!(
        "\n## {title}\n\n| | items | s | items/s | slowest and fastest 100,000 | CPU us/item | peak MiB |\n|---|---:|---:|---:|---:|---:|---:|"
    );
    for line in lines.lines().filter(|line| line.contains("items_per_s")) {
        let figure: Figure = serde_json::from_str(line).with_context(|| format!("no figure: {line}"))?;
        println!("{}", row(&figure));
    }
    Ok(())
}

fn row(figure: &Figure) -> String {
    let slowest = figure.parts.iter().copied().reduce(f64::min);
    let fastest = figure.parts.iter().copied().reduce(f64::max);
    let spread = slowest.zip(fastest);
    let spread = spread.map_or_else(String::new, |(slowest, fastest)| {
        format!("{slowest:.0} .. {fastest:.0}")
    });
    let cpu = figure
        .cpu_us_per_item
        .map_or_else(String::new, |cpu| format!("{cpu:.1}"));
    let peak = figure
        .peak_bytes
        .map_or_else(String::new, |peak| (peak >> 20).to_string());
    format!(
        "| {} | {} | {:.3} | {:.0} | {spread} | {cpu} | {peak} |",
        figure.name, figure.items, figure.seconds, figure.items_per_s
    )
}

#[cfg(test)]
mod tests {
    use super::{Figure, row};

    #[test]
    fn a_figure_is_a_row() {
        let line = r#"{"name":"seen","items":3,"seconds":1.5,"items_per_s":2,"cpu_us_per_item":7.25,"peak_bytes":2097152,"parts":[3,1]}"#;
        let figure: Figure = serde_json::from_str(line).unwrap();
        assert_eq!(row(&figure), "| seen | 3 | 1.500 | 2 | 1 .. 3 | 7.2 | 2 |");
    }
}
