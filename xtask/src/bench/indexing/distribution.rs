//! The whole index of a distribution: loaded at once, then asked about its graph over HTTP.

use super::servers::with_http;
use crate::bench::Bench;
use crate::bench::http::{Client, escaped};
use crate::bench::measure::median;
use crate::run::output_of;
use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde_json::Value;
use std::process::Command;
use std::time::Instant;

/// One question, and where its answer says what was found.
struct Question {
    title: &'static str,
    /// With a query, to which `&after=` is added for the next page.
    target: &'static str,
    /// A list or a number in the answer.
    found: &'static str,
    /// What the next page comes after.
    next: &'static str,
}

const QUESTIONS: [Question; 5] = [
    Question {
        title: "libc6 and its neighbours; the first question, which copies the graph",
        target: "/v1/package?name=libc6",
        found: "/dependents/total",
        next: "",
    },
    Question {
        title: "why gnome needs libz3-4",
        target: "/v1/why?from=gnome&to=libz3-4",
        found: "/path",
        next: "",
    },
    Question {
        title: "the install order of gnome",
        target: "/v1/install-order?name=gnome&limit=1000",
        found: "/packages",
        next: "/steps/next",
    },
    Question {
        title: "all that need libc6, directly or not",
        target: "/v1/dependents?name=libc6&transitive=true&limit=1000",
        found: "/found/total",
        next: "/found/next",
    },
    Question {
        title: "all cycles",
        target: "/v1/cycles?limit=1000",
        found: "/packages",
        next: "/knots/next",
    },
];

/// One question of one round.
struct Asked {
    elapsed_ms: f64,
    pages: usize,
    found: usize,
}

/// What the server says of the load.
#[derive(Deserialize)]
struct Loaded {
    packages: usize,
    edges: usize,
}

/// One fresh server.
struct Round {
    loaded: Loaded,
    load_s: f64,
    loaded_mib: f64,
    asked_mib: f64,
    asked: Vec<Asked>,
}

/// Loads what this machine's package manager knows, and asks.
pub(super) fn measure(bench: &Bench) -> Result<()> {
    let index = output_of(Command::new("apt-cache").arg("dumpavail"))?;
    ensure!(
        index.starts_with("Package: "),
        "apt-cache knows no packages; run `apt-get update` first"
    );
    let rounds = (0..bench.rounds_of_seconds()).map(|_| round(bench, index.as_bytes()));
    let rounds = rounds.collect::<Result<Vec<Round>>>()?;
    print(index.len(), &rounds);
    Ok(())
}

fn round(bench: &Bench, index: &[u8]) -> Result<Round> {
    let (process, stream) = with_http(bench)?;
    let mut client = Client::over(stream)?;
    let started = Instant::now();
    let loaded = client.post("/v1/load?format=debian", index)?;
    let load_s = started.elapsed().as_secs_f64();
    let loaded_mib = process.memory_mib()?;
    let asked = QUESTIONS.iter().map(|question| ask(&mut client, question));
    let asked = asked.collect::<Result<_>>()?;
    Ok(Round {
        loaded: serde_json::from_slice(&loaded)?,
        load_s,
        loaded_mib,
        asked_mib: process.memory_mib()?,
        asked,
    })
}

/// Asks for all pages, and reads how much there is from the first.
fn ask(client: &mut Client, question: &Question) -> Result<Asked> {
    let started = Instant::now();
    let mut page = client.get(question.target)?;
    let first = parsed(&page, question)?;
    let (mut pages, mut next) = (1, after(&first, question));
    while let Some(after_name) = next {
        page = client.get(&format!("{}&after={}", question.target, escaped(&after_name)))?;
        next = after(&parsed(&page, question)?, question);
        pages += 1;
    }
    Ok(Asked {
        elapsed_ms: started.elapsed().as_secs_f64() * 1e3,
        pages,
        found: found(&first, question)?,
    })
}

fn parsed(page: &[u8], question: &Question) -> Result<Value> {
    let answer: Value = serde_json::from_slice(page).with_context(|| question.target)?;
    ensure!(
        answer["revision"].is_u64(),
        "{}: the answer has no revision",
        question.target
    );
    Ok(answer)
}

fn after(answer: &Value, question: &Question) -> Option<String> {
    let next = answer.pointer(question.next)?.as_str()?;
    Some(next.to_owned())
}

fn found(answer: &Value, question: &Question) -> Result<usize> {
    let found = answer.pointer(question.found).and_then(|found| match found {
        Value::Array(list) => Some(list.len()),
        number => usize::try_from(number.as_u64()?).ok(),
    });
    found.with_context(|| format!("{}: the answer has no {}", question.target, question.found))
}

fn print(bytes: usize, rounds: &[Round]) {
    let middle = |figure: &dyn Fn(&Round) -> f64| median(rounds.iter().map(figure).collect());
    let size = |figure: fn(&Loaded) -> usize| rounds.first().map_or(0, |round| figure(&round.loaded));
    println!("\n## The index of a distribution: {bytes} bytes in one batch over HTTP\n");
    println!("| | | goal |\n|---|---:|---:|");
    println!("| packages | {} | |", size(|loaded| loaded.packages));
    println!("| edges | {} | |", size(|loaded| loaded.edges));
    println!("| load, s | {:.2} | < 1 |", middle(&|round| round.load_s));
    println!(
        "| memory, MiB, loaded | {:.0} | < 64 |",
        middle(&|round| round.loaded_mib)
    );
    println!(
        "| memory, MiB, asked | {:.0} | |",
        middle(&|round| round.asked_mib)
    );
    println!("\n| question | ms | pages | found |\n|---|---:|---:|---:|");
    for (at, question) in QUESTIONS.iter().enumerate() {
        let asked: Vec<&Asked> = rounds.iter().filter_map(|round| round.asked.get(at)).collect();
        let elapsed_ms = median(asked.iter().map(|asked| asked.elapsed_ms).collect());
        let size = asked.first().map_or((0, 0), |asked| (asked.pages, asked.found));
        println!(
            "| {} | {elapsed_ms:.1} | {} | {} |",
            question.title, size.0, size.1
        );
    }
}
