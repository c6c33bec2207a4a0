use std::collections::BTreeMap;

use html5gum::{Token, Tokenizer};

use crate::machine::Machine;
use crate::matrix::{Axes, Sink};
use crate::merge::{Merged, OnMachine};
use crate::plan::Plan;
use crate::report::{html, merged_html};
use crate::results::{Results, Run};
use crate::series::Series;
use crate::trial::{Measurement, Outcome};

fn plan() -> Plan {
    let axes = Axes {
        chunks: vec![Some(4 << 20), None],
        connections: vec![Some(4), Some(8)],
        files: vec![None],
        sinks: vec![Sink::Null],
        memories: vec![64 << 20],
    };
    Plan {
        addresses: vec!["https://host.example/<b>&.bin?signature=secret".to_owned()],
        configurations: axes.configurations(),
        rounds: 2,
        warm_up: true,
        limit_ms: 60_000,
        seed: 1,
        scratch: None,
    }
}

fn machine() -> Machine {
    Machine {
        name: Some("bench-1".to_owned()),
        cores: 2,
        cpu: Some("A processor".to_owned()),
        system: "linux x86_64".to_owned(),
        kernel: Some("6.1".to_owned()),
        memory_bytes: Some(8 << 30),
    }
}

fn done(round: u32, elapsed_ms: f64) -> Run {
    let measurement = Measurement {
        elapsed_ms,
        bytes: 100_000_000,
        files: 1,
        first_byte_ms: Some(12.5),
        cpu_seconds: 0.05,
        peak_rss_bytes: Some(50 << 20),
        requests: 12,
        connections_opened: 4,
        series: Series {
            t_ms: vec![100, 200],
            goodput_bytes_per_second: vec![300_000_000, 700_000_000],
            cores_busy: vec![vec![0.5, 0.75], vec![0.25, 1.0]],
            process_cores: vec![0.4, 0.9],
            rss_bytes: vec![40 << 20, 50 << 20],
            network_bytes_per_second: vec![310_000_000, 720_000_000],
            connections: vec![4, 3],
        },
        ..Measurement::default()
    };
    Run {
        round,
        started_unix_ms: 1_700_000_000_000 + u64::from(round) * 1_000,
        profile: Some(format!("profiles/c1-r{round}.jsonl")),
        outcome: Outcome::Done(Box::new(measurement)),
    }
}

fn ended(round: u32, outcome: Outcome) -> Run {
    Run {
        outcome,
        ..done(round, 1.0)
    }
}

/// Four configurations: the second is twice as fast, the third fails once, the fourth always.
fn results() -> Results {
    let refused = || Outcome::Failed {
        error: "the server said <no>".to_owned(),
    };
    let runs = vec![
        vec![done(1, 200.0), done(2, 250.0)],
        vec![done(1, 100.0), done(2, 125.0)],
        vec![done(1, 400.0), ended(2, Outcome::TimedOut)],
        vec![ended(1, refused()), ended(2, refused())],
    ];
    let times = (1_700_000_000_000, 1_700_000_010_000);
    Results::new(&plan(), "1.2.3", machine(), times, runs)
}

/// Void elements, and the parts of an SVG that may close themselves.
const VOID: [&str; 5] = ["meta", "br", "hr", "img", "input"];

/// Every element ends where it must; gives how often each begins.
fn check_well_formed(page: &str) -> BTreeMap<String, usize> {
    let (mut open, mut seen) = (Vec::new(), BTreeMap::new());
    for token in Tokenizer::new(page) {
        match token.unwrap() {
            Token::StartTag(tag) => {
                let name = String::from_utf8(tag.name.to_vec()).unwrap();
                *seen.entry(name.clone()).or_insert(0) += 1;
                if !tag.self_closing && !VOID.contains(&name.as_str()) {
                    open.push(name);
                }
            }
            Token::EndTag(tag) => {
                let name = String::from_utf8(tag.name.to_vec()).unwrap();
                assert_eq!(open.pop().as_deref(), Some(name.as_str()));
            }
            Token::Error(error) => panic!("{error:?}"),
            _ => {}
        }
    }
    assert!(open.is_empty(), "{open:?}");
    seen
}

fn check_self_contained(page: &str) {
    for word in ["<script", "src=", "<link", "@import", "url("] {
        assert!(!page.contains(word), "{word}");
    }
}

#[test]
fn the_document_is_what_its_description_says() {
    insta::assert_json_snapshot!(results());
}

/// The names of all fields below `value`.
fn fields(value: &serde_json::Value, all: &mut Vec<String>) {
    match value {
        serde_json::Value::Object(object) => object.iter().for_each(|(name, value)| {
            all.push(name.clone());
            fields(value, all);
        }),
        serde_json::Value::Array(array) => array.iter().for_each(|value| fields(value, all)),
        _ => {}
    }
}

#[test]
fn every_field_is_described() {
    const DESCRIPTION: &str = include_str!("../../../../docs/bench-retrieve.md");
    let on = |name: &str| OnMachine {
        name: name.to_owned(),
        failure: None,
        results: Some(results()),
    };
    let mut all = Vec::new();
    fields(
        &serde_json::to_value(Merged::new(vec![on("one")])).unwrap(),
        &mut all,
    );
    assert!(all.len() > 50);
    for name in all {
        let is_described = [
            format!("`{name}`"),
            format!(".{name}`"),
            format!("`{name}[]`"),
            format!(".{name}[]`"),
        ];
        assert!(
            is_described.iter().any(|word| DESCRIPTION.contains(word)),
            "{name} is not described"
        );
    }
}

#[test]
fn the_document_is_read_as_it_was_written() {
    let results = results();
    let text = serde_json::to_string(&results).unwrap();
    assert_eq!(Results::parse(&text).unwrap(), results);
    let error = |text: &str| Results::parse(text).unwrap_err().to_string();
    assert!(error("{}").contains("no results"));
    assert!(error(&text.replacen("haul.bench.retrieve", "other", 1)).contains("\"other\""));
    assert!(error(&text.replacen("\"version\":1", "\"version\":9", 1)).contains("version 9"));
}

#[test]
fn the_page_holds_every_configuration_in_words_and_in_plots() {
    let page = html(&results());
    let seen = check_well_formed(&page);
    check_self_contained(&page);
    for measured in &results().configurations {
        assert!(page.matches(&measured.label).count() >= 2, "{}", measured.label);
    }
    // The dots, and five plots for each of the three configurations that have a run, each of two nested pictures.
    assert_eq!(seen["svg"], 1 + 3 * 5 * 2);
    assert_eq!(page.matches("role=\"img\"").count(), 1 + 3 * 5);
    assert_eq!(page.matches("class=\"dot\"").count(), 5);
    assert_eq!(seen["title"], 1 + 1 + 3 * 5);
}

#[test]
fn the_page_says_what_failed_and_shows_no_secret() {
    let page = html(&results());
    assert!(page.contains("3 runs gave no figures."));
    assert!(page.contains("the server said &lt;no&gt;"));
    assert!(page.contains("it took longer than 60.0 s"));
    assert!(!page.contains("secret") && !page.contains("/<b>"));
    assert!(!page.contains("Incomplete"));
}

#[test]
fn a_sweep_that_was_stopped_says_so() {
    let mut results = results();
    let runs: Vec<_> = results
        .configurations
        .drain(..)
        .map(|measured| measured.runs)
        .take(1)
        .collect();
    let stopped = Results::new(&plan(), "1.2.3", machine(), (0, 1), runs);
    assert!(!stopped.complete);
    assert!(html(&stopped).contains("Incomplete"));
    let nothing = Results::new(&plan(), "1.2.3", Machine::default(), (0, 1), vec![Vec::new(); 4]);
    check_well_formed(&html(&nothing));
}

#[test]
fn machines_are_added_up_and_one_that_failed_is_named() {
    let on = |name: &str, results| OnMachine {
        name: name.to_owned(),
        failure: None,
        results,
    };
    let lost = OnMachine {
        failure: Some("no route <to> it".to_owned()),
        ..on("gone", None)
    };
    let merged = Merged::new(vec![on("one", Some(results())), on("two", Some(results())), lost]);
    let second = &merged.configurations[1];
    assert_eq!(second.machines, [Some(900.0), Some(900.0), None]);
    assert_eq!(second.throughput_mb_per_second, 1_800.0);
    let sum: u64 = merged.timeline.total.iter().sum();
    let of_machines: u64 = merged.timeline.machines.iter().flatten().sum();
    assert_eq!(sum, of_machines);
    // Five runs on two machines, each with 30 MB in its first and 70 MB in its second 100 ms.
    let bytes = sum as f64 * merged.timeline.step_ms as f64 / 1e3;
    assert!((bytes / 1e9 - 1.0).abs() < 0.001, "{bytes}");

    let page = merged_html(&merged);
    check_well_formed(&page);
    check_self_contained(&page);
    assert!(page.contains("gone</b>: no route &lt;to&gt; it"));
    assert!(second.label.len() > 5 && page.contains(&second.label));
    let text = serde_json::to_string(&merged).unwrap();
    assert_eq!(serde_json::from_str::<Merged>(&text).unwrap(), merged);
}
