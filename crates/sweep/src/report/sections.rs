//! The report of one machine, section by section.

use maud::{Markup, html};

use super::date;
use super::figures::{self, MIB};
use super::plot::{Frame, Line, Row, Scale, dots, figure, lines};
use crate::matrix;
use crate::results::{Measured, Results, Run};
use crate::series::Series;
use crate::trial::{Measurement, Outcome};

/// Everything but the heading.
pub(super) fn body(results: &Results) -> Markup {
    html! {
        (facts(results))
        (warnings(results))
        (tiles(results))
        h2 { "Throughput" }
        p.quiet {
            "Effective throughput: wanted bytes by the time from the request to the last byte. "
            "A dot is a round, the bar is the median."
        }
        (throughput(results))
        @let maps = figures::heat_maps(results);
        @if !maps.is_empty() {
            h2 { "Chunk by connections" }
            @for map in maps { (map) }
        }
        h2 { "All figures" }
        (figures::all(results))
        (ratios(results))
        h2 { "Over time" }
        p.quiet { "The median run of each configuration. All plots of one kind have the same scale." }
        (over_time(results))
    }
}

fn facts(results: &Results) -> Markup {
    let configurations: Vec<_> = results
        .configurations
        .iter()
        .map(|measured| measured.configuration.clone())
        .collect();
    let shared = matrix::shared(&configurations).join(", ");
    html! {
        dl.facts {
            dt { "Retrieved" } dd { (results.addresses.join(", ")) }
            dt { "Machine" } dd { (results.machine.describe()) }
            dt { "Measured" } dd { (date(results.started_unix_ms)) " to " (date(results.ended_unix_ms)) ", haul " (results.program) }
            dt { "Order" } dd {
                (results.rounds) " rounds, each with all configurations in an order of its own (seed " (results.seed) ")"
                @if results.warm_up { ", after a round that is not measured" }
            }
            @if !shared.is_empty() { dt { "Always" } dd { (shared) } }
        }
    }
}

const MAX_SHOWN: usize = 20;

fn warnings(results: &Results) -> Markup {
    let failed: Vec<(&Measured, &Run)> = results
        .configurations
        .iter()
        .flat_map(|measured| measured.runs.iter().map(move |run| (measured, run)))
        .filter(|(_, run)| run.measurement().is_none())
        .collect();
    html! {
        @if !results.complete {
            div.warning role="status" { b { "Incomplete." } " It was stopped before its last run; these are the runs up to then." }
        }
        @if !failed.is_empty() {
            div.warning role="status" {
                b { (failed.len()) " runs gave no figures." }
                ul { @for (measured, run) in failed.iter().take(MAX_SHOWN) {
                    li { (measured.label) ", round " (run.round) ": " (reason(run, results.limit_ms)) }
                } }
                @if failed.len() > MAX_SHOWN { "The others are in results.json." }
            }
        }
    }
}

fn reason(run: &Run, limit_ms: u64) -> String {
    match &run.outcome {
        Outcome::Done(_) => String::new(),
        Outcome::Failed { error } => error.clone(),
        Outcome::TimedOut => format!("it took longer than {} s", figure(limit_ms as f64 / 1e3)),
    }
}

fn tiles(results: &Results) -> Markup {
    let least = |value: fn(&Measured) -> Option<f64>| {
        let told = results
            .configurations
            .iter()
            .filter_map(|measured| Some((measured, value(measured)?)));
        told.min_by(|(_, a), (_, b)| a.total_cmp(b))
    };
    let cpu = least(|measured| Some(measured.summary.cpu_seconds_per_gb?.median));
    let rss = least(|measured| Some(measured.summary.peak_rss_bytes?.median));
    let first = least(|measured| Some(measured.summary.first_byte_ms?.median));
    let fastest =
        figures::fastest(results).and_then(|measured| Some((measured, measured.median_throughput()?)));
    html! {
        div.tiles {
            (tile("Fastest", "MB/s", 1.0, fastest))
            (tile("Soonest first byte", "ms", 1.0, first))
            (tile("Least CPU", "CPU-s/GB", 1.0, cpu))
            (tile("Least memory", "MiB", MIB, rss))
        }
    }
}

fn tile(name: &str, unit: &str, divisor: f64, found: Option<(&Measured, f64)>) -> Markup {
    html! {
        @if let Some((measured, value)) = found {
            div.tile {
                span.quiet { (name) }
                b { (figure(value / divisor)) " " (unit) }
                span { (measured.label) }
            }
        }
    }
}

fn throughput(results: &Results) -> Markup {
    let row = |measured: &'_ Measured| {
        let runs = measured.runs.iter().filter_map(Run::measurement);
        runs.map(Measurement::throughput_mb_per_second).collect()
    };
    let rows: Vec<Row<'_>> = results
        .configurations
        .iter()
        .map(|measured| Row {
            name: &measured.label,
            values: row(measured),
            bar: measured.median_throughput(),
        })
        .collect();
    let title =
        "Effective throughput of every round in MB/s, by configuration; the table below has the figures";
    html! { figure { (dots(title, "MB/s", &rows)) } }
}

fn ratios(results: &Results) -> Markup {
    let (Some(first), Some(ratio)) = (
        results.configurations.first(),
        results
            .configurations
            .iter()
            .find_map(|measured| measured.versus_first),
    ) else {
        return html! {};
    };
    html! {
        p.quiet {
            "“Times the first” is the median of the rounds' ratios to “" (first.label) "”. The interval is that of the sign test; "
            "it holds the median with a probability of " (figure(ratio.confidence * 100.0)) " %"
            @if ratio.confidence < 0.95 { ", which is all that " (ratio.rounds) " rounds allow" }
            ". An interval with 1 in it shows no difference."
        }
    }
}

/// One kind of plot over time.
struct Kind {
    name: &'static str,
    unit: &'static str,
    lines: fn(&Series) -> Vec<Vec<f64>>,
}

const KINDS: [Kind; 5] = [
    Kind {
        name: "Goodput",
        unit: "MB/s",
        lines: |series| vec![scaled(&series.goodput_bytes_per_second, 1e6)],
    },
    Kind {
        name: "CPU per core",
        unit: "% busy",
        lines: |series| {
            series
                .cores_busy
                .iter()
                .map(|core| core.iter().map(|busy| busy * 100.0).collect())
                .collect()
        },
    },
    Kind {
        name: "Memory",
        unit: "MiB, RSS",
        lines: |series| vec![scaled(&series.rss_bytes, MIB)],
    },
    Kind {
        name: "Network received",
        unit: "MB/s, whole machine",
        lines: |series| vec![scaled(&series.network_bytes_per_second, 1e6)],
    },
    Kind {
        name: "Requests in flight",
        unit: "connections",
        lines: |series| vec![scaled(&series.connections, 1.0)],
    },
];

fn scaled(values: &[u64], unit: f64) -> Vec<f64> {
    values.iter().map(|value| *value as f64 / unit).collect()
}

fn over_time(results: &Results) -> Markup {
    let shown: Vec<_> = results
        .configurations
        .iter()
        .filter_map(|one| Some((one, one.median_run()?)))
        .collect();
    let seconds = shown
        .iter()
        .map(|(_, (_, run))| run.elapsed_ms / 1e3)
        .fold(0.0, f64::max);
    let scales: Vec<Scale> = KINDS
        .iter()
        .map(|kind| {
            let values: Vec<f64> = shown
                .iter()
                .flat_map(|(_, (_, run))| (kind.lines)(&run.series))
                .flatten()
                .collect();
            Scale::of(&values)
        })
        .collect();
    let fastest = figures::fastest(results).map(|measured| measured.label.clone());
    html! {
        @for (measured, (run, measurement)) in &shown {
            details open[fastest.as_ref() == Some(&measured.label)] {
                summary {
                    (measured.label)
                    small { "round " (run.round) ", " (figure(measurement.throughput_mb_per_second())) " MB/s, "
                        (figure(measurement.elapsed_ms / 1e3)) " s" }
                }
                div.inside { (run_over_time(&measured.label, measurement, seconds, &scales)) }
            }
        }
    }
}

fn run_over_time(label: &str, run: &Measurement, end: f64, scales: &[Scale]) -> Markup {
    let series = &run.series;
    let seconds: Vec<f64> = series.t_ms.iter().map(|t_ms| *t_ms as f64 / 1e3).collect();
    html! {
        div.charts { @for (kind, scale) in KINDS.iter().zip(scales) {
            figure {
                figcaption { b { (kind.name) } ", " (kind.unit) }
                @let values = (kind.lines)(series);
                @if values.iter().all(Vec::is_empty) { p.quiet { "This system does not tell." } }
                @else {
                    @let frame = Frame { height: 120, seconds: end, scale: *scale };
                    (lines(&format!("{} over time, {label}", kind.name), frame, &seconds, &coloured(values)))
                }
            }
        } }
        details {
            summary { "The same as a table" }
            div.inside { (as_table(&seconds, series)) }
        }
    }
}

const COLOURS: [&str; 4] = ["a", "b", "c", "d"];

fn coloured(values: Vec<Vec<f64>>) -> Vec<Line<'static>> {
    let many = values.len() > COLOURS.len();
    let class = |number: usize| {
        if many {
            "a many"
        } else {
            COLOURS[number % COLOURS.len()]
        }
    };
    let lines = values.into_iter().enumerate();
    lines
        .map(|(number, values)| Line {
            class: class(number),
            values,
        })
        .collect()
}

/// So many times are enough to read.
const TIMES: usize = 12;

fn as_table(seconds: &[f64], series: &Series) -> Markup {
    let columns: Vec<Vec<Vec<f64>>> = KINDS.iter().map(|kind| (kind.lines)(series)).collect();
    let every = seconds.len().div_ceil(TIMES).max(1);
    let shown = |lines: &[Vec<f64>], at: usize| {
        let values: Vec<String> = lines
            .iter()
            .filter_map(|line| Some(figure(*line.get(at)?)))
            .collect();
        if values.is_empty() {
            "–".to_owned()
        } else {
            values.join(" ")
        }
    };
    html! {
        div.scroll role="region" aria-label="The run as a table" tabindex="0" { table {
            thead { tr {
                th scope="col" { "s" }
                @for kind in &KINDS { th scope="col" { (kind.name) ", " (kind.unit) } }
            } }
            tbody { @for (at, second) in seconds.iter().enumerate().step_by(every) { tr {
                th scope="row" { (figure(*second)) }
                @for lines in &columns { td { (shown(lines, at)) } }
            } } }
        } }
    }
}
