//! A crawl of a site on this machine: `haul crawl`, which keeps contents, texts and the crawl database and ends with a
//! searchable pack, and a plain Scrapy spider, which writes titles and texts to a file.

use super::Bench;
use super::measure::{Cost, cost_of, median, median_cost};
use super::nginx::Nginx;
use super::table::{self, Row};
use anyhow::Result;
use std::path::Path;
use std::process::Command;

/// Requests at a time, for both.
pub(super) const CONCURRENCY: &str = "32";

#[derive(Default)]
struct Crawls {
    costs: Vec<Cost>,
    pages: Vec<f64>,
}

/// Measures both on the Python documentation and the Debian handbook.
pub(super) fn compare(bench: &Bench) -> Result<()> {
    for (name, folder) in [
        ("python3.11-doc", &bench.material.python),
        ("debian-handbook", &bench.material.handbook),
    ] {
        compare_on(bench, name, folder)?;
    }
    Ok(())
}

fn compare_on(bench: &Bench, name: &str, documents: &Path) -> Result<()> {
    let spider = bench.material.scratch.join("spider.py");
    std::fs::write(&spider, include_str!("spider.py"))?;
    let nginx = Nginx::serve(documents)?;
    let log = bench.material.scratch.join("crawl.log");
    let (mut ours, mut theirs) = (Crawls::default(), Crawls::default());
    for _ in 0..bench.extent.rounds {
        let data = tempfile::tempdir_in(&bench.material.scratch)?;
        let mut haul = Command::new(&bench.haul);
        haul.args([
            "crawl",
            &nginx.url(),
            "--allow-private",
            "--delay-ms",
            "0",
            "--concurrency",
            CONCURRENCY,
        ]);
        haul.arg("--data").arg(data.path().join("data"));
        ours.add(cost_of(&mut haul, &log)?, &nginx)?;

        let mut scrapy = Command::new(bench.material.peers.join("python"));
        scrapy
            .arg(&spider)
            .arg(nginx.url())
            .arg(data.path().join("pages.jsonl"));
        theirs.add(cost_of(&mut scrapy, &log)?, &nginx)?;
    }
    let (haul, scrapy) = (median_cost(&ours.costs), median_cost(&theirs.costs));
    let (our_pages, their_pages) = (median(ours.pages), median(theirs.pages));
    let rows = [
        Row::more("pages fetched", our_pages, their_pages),
        Row::more("pages/s", our_pages / haul.wall_s, their_pages / scrapy.wall_s),
        Row::less("wall, s", haul.wall_s, scrapy.wall_s),
        Row::less("CPU, s", haul.cpu_s, scrapy.cpu_s),
        Row::less("memory, MiB", haul.memory_mib, scrapy.memory_mib),
    ];
    table::print(
        &format!("Crawl a site: {name} on nginx, {CONCURRENCY} requests at a time"),
        "scrapy",
        &rows,
    );
    Ok(())
}

impl Crawls {
    fn add(&mut self, cost: Cost, nginx: &Nginx) -> Result<()> {
        self.costs.push(cost);
        self.pages.push(nginx.take_pages()? as f64);
        Ok(())
    }
}
