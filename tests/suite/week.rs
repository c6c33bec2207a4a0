//! A site that changes for a week: after each day's crawl a search finds what is there, and nothing else.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tests::{Bench, ChangingSite, HOST, Haul};

const DAYS: usize = 7;
const PAGES: usize = 120;

pub(crate) fn add(bench: &mut Bench) {
    for seed in [1, 2] {
        let name = format!("crawl: a week of a changing site, seed {seed}");
        bench.test(name, &[], move || a_week(seed));
    }
}

fn a_week(seed: u64) -> Result<()> {
    let mut garden = ChangingSite::serve(seed, PAGES)?;
    let haul = Haul::new()?;
    let base = garden.site().url(HOST, "");
    add_source(&haul, &garden)?;
    for day in 0..DAYS {
        if day > 0 && day < DAYS - 1 {
            garden.next_day();
        } else if day > 0 {
            garden.quiet_day();
        }
        let ended = haul.expect(0, &["crawl", "garden", "--json"])?;
        let crawl: Value = ended.json()?;
        ensure!(crawl["crawl"]["status"] == "completed", "day {day}: {crawl:#}");
        let (expected, found) = (garden.expected(), titles(&haul, &base)?);
        ensure!(
            expected == found,
            "seed {seed}, day {day}: {}\n{crawl:#}",
            difference(&expected, &found)
        );
    }
    Ok(())
}

fn add_source(haul: &Haul, garden: &ChangingSite) -> Result<()> {
    let start = garden.start();
    let mut add: Vec<String> = [
        "source",
        "add",
        "garden",
        &start,
        "--max-retries",
        "1",
        "--retry-initial-ms",
        "20",
    ]
    .map(str::to_owned)
    .into();
    add.extend(garden.site().flags(&[HOST]));
    haul.expect(0, &add)?;
    Ok(())
}

/// The titles that a search finds below `base`, by path.
pub(crate) fn titles(haul: &Haul, base: &str) -> Result<BTreeMap<String, String>> {
    let mut titles = BTreeMap::new();
    for page in 1.. {
        let number = page.to_string();
        let answer = haul
            .run(&["search", "--json", "-n", "100", "--page", &number, "edition"])?
            .json()?;
        let hits = answer["results"].as_array().context("no results")?.clone();
        if hits.is_empty() {
            break;
        }
        for hit in hits {
            let url = hit["url"].as_str().context("a result without an address")?;
            let path = url.strip_prefix(base).context("a result of another site")?;
            let title = hit["title"]["text"]
                .as_str()
                .or(hit["title"].as_str())
                .unwrap_or_default();
            titles.insert(path.to_owned(), title.to_owned());
        }
    }
    Ok(titles)
}

pub(crate) fn difference(expected: &BTreeMap<String, String>, found: &BTreeMap<String, String>) -> String {
    let missing = expected
        .iter()
        .filter(|(path, title)| found.get(*path) != Some(title));
    let extra = found
        .iter()
        .filter(|(path, title)| expected.get(*path) != Some(title));
    let list = |lines: Vec<(&String, &String)>| -> String {
        lines
            .iter()
            .map(|(path, title)| format!("\n  {path}: {title}"))
            .collect()
    };
    format!(
        "missing:{}\nfound instead:{}",
        list(missing.collect()),
        list(extra.collect())
    )
}
