//! The tables.

use maud::{Markup, html};

use super::plot::figure;
use crate::matrix::Configuration;
use crate::results::{Measured, Results};
use crate::statistics::{Ratio, Spread};

/// All figures of all configurations. It says in numbers what the plots show.
pub(super) fn all(results: &Results) -> Markup {
    let best = fastest(results).map(|measured| &measured.label);
    html! {
        div.scroll role="region" aria-label="All figures" tabindex="0" {
            table {
                caption { "Medians; in small print the least and the most of all rounds." }
                thead { tr {
                    th scope="col" { "Configuration" }
                    @for heading in HEADINGS { th scope="col" { (heading) } }
                } }
                tbody { @for measured in &results.configurations {
                    tr.best[best == Some(&measured.label)] { (row(measured, results.rounds)) }
                } }
            }
        }
    }
}

const HEADINGS: [&str; 10] = [
    "MB/s",
    "IQR",
    "times the first",
    "first byte, ms",
    "CPU-s/GB",
    "peak RSS, MiB",
    "requests",
    "retries",
    "wasted, MB",
    "runs",
];

fn row(measured: &Measured, rounds: u32) -> Markup {
    let summary = &measured.summary;
    let throughput = summary.throughput_mb_per_second;
    html! {
        th scope="row" { (measured.label) }
        td { (spread(throughput, 1.0)) }
        td { @if let Some(spread) = throughput { (figure(spread.iqr)) } @else { "–" } }
        td { (ratio(measured.versus_first)) }
        td { (spread(summary.first_byte_ms, 1.0)) }
        td { (spread(summary.cpu_seconds_per_gb, 1.0)) }
        td { (spread(summary.peak_rss_bytes, MIB)) }
        td { (counted(summary.requests)) }
        td { (counted(summary.retries)) }
        td { (spread(summary.wasted_bytes, 1e6)) }
        td { (summary.done) " of " (rounds) }
    }
}

pub(super) const MIB: f64 = 1_048_576.0;

fn spread(spread: Option<Spread>, unit: f64) -> Markup {
    shown(spread, &|value| figure(value / unit))
}

/// Whole numbers; only a median of an even number of rounds may lie between two.
fn counted(spread: Option<Spread>) -> Markup {
    shown(spread, &|value| format!("{value}"))
}

fn shown(spread: Option<Spread>, number: &dyn Fn(f64) -> String) -> Markup {
    let Some(Spread { median, min, max, .. }) = spread else {
        return html! { "–" };
    };
    html! {
        (number(median))
        @if min < max { " " small { (number(min)) "–" (number(max)) } }
    }
}

fn ratio(ratio: Option<Ratio>) -> Markup {
    let Some(ratio) = ratio else {
        return html! { "–" };
    };
    html! { (figure(ratio.median)) " " small { (figure(ratio.low)) "–" (figure(ratio.high)) } }
}

/// The configuration with the best median.
pub(super) fn fastest(results: &Results) -> Option<&Measured> {
    let measured = results
        .configurations
        .iter()
        .filter(|measured| measured.summary.done > 0);
    measured.max_by(|a, b| {
        let throughput = |measured: &Measured| measured.median_throughput().unwrap_or(0.0);
        throughput(a).total_cmp(&throughput(b))
    })
}

/// Throughput by chunk and connections, one map for each combination of the rest, where both take several values.
pub(super) fn heat_maps(results: &Results) -> Vec<Markup> {
    let parts = |measured: &Measured| measured.configuration.parts().map(|(_, value)| value);
    let values = |axis: usize| {
        once(
            results
                .configurations
                .iter()
                .map(|measured| parts(measured)[axis].clone()),
        )
    };
    let (chunks, connections) = (values(0), values(1));
    if chunks.len() < 2 || connections.len() < 2 {
        return Vec::new();
    }
    let most = fastest(results)
        .and_then(Measured::median_throughput)
        .unwrap_or(1.0);
    let rests = once(
        results
            .configurations
            .iter()
            .map(|measured| rest(&measured.configuration)),
    );
    let map = |rest_of_map: &String| {
        let cell = |chunk: &String, count: &String| {
            let found = results.configurations.iter().find(|measured| {
                let [of_chunk, of_count, ..] = parts(measured);
                of_chunk == *chunk && of_count == *count && rest(&measured.configuration) == *rest_of_map
            });
            heat(found.and_then(Measured::median_throughput), most)
        };
        heat_map(rest_of_map, &chunks, &connections, &cell)
    };
    rests.iter().map(map).collect()
}

/// What a map does not vary.
fn rest(configuration: &Configuration) -> String {
    let parts = configuration.parts();
    let words: Vec<_> = parts[2..]
        .iter()
        .map(|(axis, value)| format!("{axis} {value}"))
        .collect();
    words.join(", ")
}

fn heat_map(
    caption: &str,
    chunks: &[String],
    connections: &[String],
    cell: &dyn Fn(&String, &String) -> Markup,
) -> Markup {
    html! {
        div.scroll role="region" aria-label=(format!("Heat map: {caption}")) tabindex="0" {
            table.heat {
                caption { "Median MB/s: " (caption) }
                thead { tr {
                    th scope="col" { "chunk \\ connections" }
                    @for count in connections { th scope="col" { (count) } }
                } }
                tbody { @for chunk in chunks { tr {
                    th scope="row" { (chunk) }
                    @for count in connections { (cell(chunk, count)) }
                } } }
            }
        }
    }
}

/// The colour says the share of the best; it never hides the number.
fn heat(median: Option<f64>, most: f64) -> Markup {
    let Some(median) = median else {
        return html! { td { "–" } };
    };
    let share = (median / most).clamp(0.0, 1.0);
    let percent = 4.0 + 56.0 * share * share;
    html! { td style=(format!("background:color-mix(in srgb,var(--a) {percent:.0}%,var(--panel))")) { (figure(median)) } }
}

fn once(values: impl Iterator<Item = String>) -> Vec<String> {
    let mut all = Vec::new();
    for value in values {
        if !all.contains(&value) {
            all.push(value);
        }
    }
    all
}
