//! `kill -9` at random moments loses nothing and fetches nothing twice without cause.

use std::collections::BTreeMap;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tests::{Answer, Bench, Haul, Numbers, Request, Site};

const PAGES: u64 = 600;
const KILLS: usize = 20;
const SEED: u64 = 20_261_121;
const CONCURRENCY: usize = 4;

/// What one kill can cost: fetches under way, and fetched pages that were not yet written together.
const FETCHES_PER_KILL: usize = 32;

pub(crate) fn add(bench: &mut Bench) {
    bench.test(
        "kill -9: twenty times, and the result is the same",
        &[],
        twenty_times,
    );
}

fn answer(request: &Request) -> Answer {
    let Ok(number) = request.path.trim_start_matches("/p/").parse::<u64>() else {
        return if request.path == "/" {
            page(0)
        } else {
            Answer::status(404)
        };
    };
    page(number).after(Duration::from_millis(15))
}

/// A tree with three branches at every page.
fn page(number: u64) -> Answer {
    let children = (1..=3)
        .map(|branch| number * 3 + branch)
        .filter(|child| *child < PAGES);
    let links: Vec<String> = children.map(|child| format!("/p/{child}")).collect();
    Answer::page(
        &format!("Page {number}"),
        &format!("This is leaf number{number} of the great tree."),
        &links,
    )
}

fn twenty_times() -> Result<()> {
    let reference = {
        let (haul, site) = (Haul::new()?, Site::serve(answer)?);
        haul.expect(0, &command(&site))?;
        ensure!(
            fetched_again(&site) == 0,
            "without a kill each page is fetched once: {:#?}",
            site.asked()
        );
        found(&haul, &site)?
    };
    let (haul, site) = (Haul::new()?, Site::serve(answer)?);
    let mut numbers = Numbers(SEED);
    let mut kills = 0;
    for _ in 0..KILLS {
        let mut running = haul.start(&command(&site))?;
        sleep(Duration::from_millis(60 + numbers.below(400)));
        if running.is_over()? {
            break;
        }
        running.kill()?;
        kills += 1;
    }
    ensure!(
        kills >= KILLS / 2,
        "the crawl was over after {kills} kills; the test needs a slower site"
    );
    let last = haul.expect(0, &command(&site))?;

    let after = found(&haul, &site).with_context(|| format!("after {kills} kills and {last:#?}"))?;
    ensure!(
        after == reference,
        "after {kills} kills: {after:#?}\nwithout: {reference:#?}"
    );
    let again = fetched_again(&site);
    let explained = kills * FETCHES_PER_KILL;
    ensure!(
        again <= explained,
        "{again} fetches more than one each; {kills} kills explain {explained}"
    );
    Ok(())
}

/// Fetches beyond the first of each page; what a start reads anew (robots.txt, sitemaps) does not count.
fn fetched_again(site: &Site) -> usize {
    let asked = site.asked();
    let pages = asked
        .iter()
        .filter(|(path, _)| !path.ends_with(".txt") && !path.ends_with(".xml"));
    pages.map(|(_, asked)| asked - 1).sum()
}

fn command(site: &Site) -> Vec<String> {
    let concurrency = CONCURRENCY.to_string();
    let url = site.url("tree.example", "/");
    let mut words: Vec<String> = ["crawl", &url, "--source", "tree", "--concurrency", &concurrency]
        .map(str::to_owned)
        .into();
    words.extend(site.flags(&["tree.example"]));
    words
}

/// States of all items, and how many pages are found. Ports are taken out: each site has its own.
fn found(haul: &Haul, site: &Site) -> Result<(BTreeMap<String, String>, Value)> {
    let port = format!(":{}", site.port());
    let text = |value: &Value| value.as_str().unwrap_or_default().replace(&port, "");
    let items = haul.items("tree")?;
    ensure!(
        items.iter().all(|item| item["state"] != "in_flight"),
        "an item is in flight after the end: {items:#?}"
    );
    let states = items
        .iter()
        .map(|item| (text(&item["id"]), text(&item["state"])))
        .collect();
    Ok((states, haul.search("great tree")?["total"].clone()))
}
