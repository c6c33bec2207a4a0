//! A crawl of a site on this machine: `haul crawl`, which keeps contents, texts and the crawl database and ends with a
//! searchable pack, and a plain Scrapy spider, which writes titles and texts to a file.

use super::Bench;
use super::measure::{Cost, cost_of, median, median_cost};
use super::nginx::Nginx;
use super::table::{self, Row};
use anyhow::{Context, Result};
use std::path::Path;
use std::process::Command;

/// Requests at a time, for both.
pub(super) const CONCURRENCY: &str = "32";

/// Runs of one program on one site.
#[derive(Default)]
struct Crawls {
    costs: Vec<Cost>,
    pages: Vec<f64>,
    /// Seconds from the start of the crawl to its end, without starting the program and packing.
    seconds: Vec<f64>,
}

/// The medians of several runs.
#[derive(Clone, Copy, Default)]
struct Medians {
    cost: Cost,
    pages: f64,
    seconds: f64,
}

/// Measures both on three sites, one after the other, and in sum.
pub(super) fn compare(bench: &Bench) -> Result<()> {
    std::fs::write(
        bench.material.scratch.join("spider.py"),
        include_str!("spider.py"),
    )?;
    let sites = [
        ("python3.11-doc", &bench.material.python),
        ("sqlite3-doc", &bench.material.sqlite),
        ("debian-handbook", &bench.material.handbook),
    ];
    let mut sum = (Medians::default(), Medians::default());
    for (name, folder) in sites {
        let (haul, scrapy) = measure(bench, folder)?;
        print(name, &haul, &scrapy);
        sum = (sum.0.plus(&haul), sum.1.plus(&scrapy));
    }
    print("all three, one after the other", &sum.0, &sum.1);
    Ok(())
}

fn print(name: &str, haul: &Medians, scrapy: &Medians) {
    let rows = [
        Row::more("pages fetched", haul.pages, scrapy.pages),
        Row::more(
            "pages/s, the crawl",
            haul.pages / haul.seconds,
            scrapy.pages / scrapy.seconds,
        ),
        Row::more(
            "pages/s, with packing",
            haul.pages / haul.cost.wall_s,
            scrapy.pages / scrapy.cost.wall_s,
        ),
        Row::less("wall with packing, s", haul.cost.wall_s, scrapy.cost.wall_s),
        Row::less("CPU with packing, s", haul.cost.cpu_s, scrapy.cost.cpu_s),
        Row::less("memory, MiB", haul.cost.memory_mib, scrapy.cost.memory_mib),
    ];
    let title = format!("Crawl a site: {name}, on nginx, {CONCURRENCY} requests at a time");
    table::print(&title, "scrapy", &rows);
}

fn measure(bench: &Bench, documents: &Path) -> Result<(Medians, Medians)> {
    let nginx = Nginx::serve(documents)?;
    let scratch = &bench.material.scratch;
    let log = scratch.join("crawl.log");
    let (mut ours, mut theirs) = (Crawls::default(), Crawls::default());
    for _ in 0..bench.extent.rounds {
        let data = tempfile::tempdir_in(scratch)?;
        let mut haul = Command::new(&bench.haul);
        haul.args([
            "crawl",
            &nginx.url(),
            "--json",
            "--allow-private",
            "--delay-ms",
            "0",
        ]);
        haul.args(["--concurrency", CONCURRENCY])
            .arg("--data")
            .arg(data.path().join("data"));
        let cost = cost_of(&mut haul, &log)?;
        ours.add(cost, crawl_seconds(&log)?, &nginx)?;

        let mut scrapy = Command::new(bench.material.peers.join("python"));
        scrapy
            .arg(scratch.join("spider.py"))
            .arg(nginx.url())
            .arg(data.path().join("pages.jsonl"));
        let cost = cost_of(&mut scrapy, &log)?;
        theirs.add(cost, printed_seconds(&log)?, &nginx)?;
    }
    Ok((ours.medians(), theirs.medians()))
}

/// What `haul crawl --json` says of its crawl.
fn crawl_seconds(log: &Path) -> Result<f64> {
    let text = std::fs::read_to_string(log)?;
    let line = text
        .lines()
        .rev()
        .find(|line| line.starts_with('{'))
        .context("haul printed no result")?;
    let result: serde_json::Value = serde_json::from_str(line)?;
    let at = |name: &str| {
        result["crawl"][name]
            .as_f64()
            .with_context(|| format!("the result has no {name}"))
    };
    Ok((at("ended_at")? - at("started_at")?) / 1_000.0)
}

/// What the spider says of its crawl.
fn printed_seconds(log: &Path) -> Result<f64> {
    let text = std::fs::read_to_string(log)?;
    text.lines()
        .last()
        .and_then(|line| line.trim().parse().ok())
        .context("the spider printed no time")
}

impl Crawls {
    fn add(&mut self, cost: Cost, seconds: f64, nginx: &Nginx) -> Result<()> {
        self.costs.push(cost);
        self.seconds.push(seconds);
        self.pages.push(nginx.take_pages()? as f64);
        Ok(())
    }

    fn medians(self) -> Medians {
        Medians {
            cost: median_cost(&self.costs),
            pages: median(self.pages),
            seconds: median(self.seconds),
        }
    }
}

impl Medians {
    /// Both one after the other.
    fn plus(self, other: &Self) -> Self {
        Self {
            cost: Cost {
                wall_s: self.cost.wall_s + other.cost.wall_s,
                cpu_s: self.cost.cpu_s + other.cost.cpu_s,
                memory_mib: self.cost.memory_mib.max(other.cost.memory_mib),
            },
            pages: self.pages + other.pages,
            seconds: self.seconds + other.seconds,
        }
    }
}
