//! The report of several machines.

use maud::{Markup, html};

use super::plot::{Frame, Line, Row, Scale, dots, figure, lines};
use super::sections;
use crate::merge::{Merged, OnMachine, Timeline};

/// Everything but the heading.
pub(super) fn body(merged: &Merged) -> Markup {
    html! {
        (failures(merged))
        h2 { "All machines over time" }
        p.quiet {
            "Goodput of the measured runs, in steps of " (merged.timeline.step_ms) " ms, by the machines' own clocks. "
            "Between runs nothing flows."
        }
        (timeline(merged))
        h2 { "Throughput of all machines" }
        p.quiet { "A dot is the median of a machine, the bar is the sum of all." }
        (together(merged))
        @for machine in &merged.machines {
            @if let Some(results) = &machine.results {
                h2 { (machine.name) }
                details { summary { "Results of " (machine.name) } div.inside { (sections::body(results)) } }
            }
        }
    }
}

fn failures(merged: &Merged) -> Markup {
    html! {
        @if merged.failed().next().is_some() {
            div.warning role="status" {
                b { "Not all machines have given all results." }
                ul { @for (name, failure) in merged.failed() { li { b { (name) } ": " (failure) } } }
            }
        }
    }
}

const COLOURS: [&str; 4] = ["a", "b", "c", "d"];

fn timeline(merged: &Merged) -> Markup {
    let Timeline {
        step_ms,
        total,
        machines,
        ..
    } = &merged.timeline;
    let megabytes = |line: &Vec<u64>| line.iter().map(|rate| *rate as f64 / 1e6).collect::<Vec<f64>>();
    let middle = |at: usize| (at as f64 + 0.5) * *step_ms as f64 / 1e3;
    let seconds: Vec<f64> = (0..total.len()).map(middle).collect();
    let told = merged.machines.iter().zip(machines).zip(COLOURS.iter().cycle());
    let told: Vec<_> = told
        .filter(|((machine, _), _)| machine.results.is_some())
        .collect();
    let of_machine = |((_, line), colour): &((&OnMachine, &Vec<u64>), &'static &str)| Line {
        class: colour,
        values: megabytes(line),
    };
    let mut drawn: Vec<Line<'_>> = told.iter().map(of_machine).collect();
    let sum = megabytes(total);
    let frame = Frame {
        height: 220,
        seconds: total.len() as f64 * *step_ms as f64 / 1e3,
        scale: Scale::of(&sum),
    };
    drawn.push(Line {
        class: "total",
        values: sum,
    });
    html! {
        figure {
            figcaption {
                span.key { i.total {} "all" }
                @for ((machine, _), colour) in &told {
                    span.key { i class=(colour) {} (machine.name) }
                }
                "MB/s"
            }
            (lines("Goodput of all machines over time, in MB/s", frame, &seconds, &drawn))
        }
    }
}

fn together(merged: &Merged) -> Markup {
    let rows: Vec<Row<'_>> = merged
        .configurations
        .iter()
        .map(|together| Row {
            name: &together.label,
            values: together.machines.iter().copied().flatten().collect(),
            bar: Some(together.throughput_mb_per_second),
        })
        .collect();
    let number = |median: Option<f64>| median.map_or_else(|| "–".to_owned(), figure);
    html! {
        figure { (dots("Sum of the machines' median throughputs by configuration, in MB/s", "MB/s", &rows)) }
        div.scroll role="region" aria-label="Throughput by machine" tabindex="0" { table {
            caption { "Median MB/s" }
            thead { tr {
                th scope="col" { "Configuration" }
                th scope="col" { "all" }
                @for machine in &merged.machines { th scope="col" { (machine.name) } }
            } }
            tbody { @for together in &merged.configurations { tr {
                th scope="row" { (together.label) }
                td { (figure(together.throughput_mb_per_second)) }
                @for median in &together.machines { td { (number(*median)) } }
            } } }
        } }
    }
}
