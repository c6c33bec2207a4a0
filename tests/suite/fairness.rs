//! Hosts are packed independently: a small one does not wait for a large one.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tests::{Answer, Bench, Haul, Site};

pub(crate) fn add(bench: &mut Bench) {
    bench.test(
        "fairness: small hosts are published before a large one",
        &[],
        small_ones_first,
    );
}

/// Hosts and their pages; the large one is first in the queue.
const HOSTS: [(&str, u64); 3] = [
    ("alice.example", 1000),
    ("bob.example", 10),
    ("clarice.example", 100),
];

fn small_ones_first() -> Result<()> {
    let site = Site::serve(|request| {
        let name = request.host.split(':').next().unwrap_or_default();
        let pages = HOSTS
            .iter()
            .find(|(host, _)| *host == name)
            .map_or(0, |(_, pages)| *pages);
        let number = if request.path == "/" {
            Some(0)
        } else {
            request.path.trim_start_matches("/p").parse().ok()
        };
        let Some(number) = number.filter(|number| *number < pages) else {
            return Answer::status(404);
        };
        let links: Vec<String> = (1..=3)
            .map(|branch| format!("/p{}", number * 3 + branch))
            .collect();
        Answer::page(&format!("Page {number}"), "A page of a county.", &links).after(Duration::from_millis(5))
    })?;
    let haul = Haul::new()?.with("HAUL_PACK_IDLE_MS", "300");
    let hosts = HOSTS.map(|(host, _)| host);
    let mut words = vec!["crawl".to_owned()];
    words.extend(hosts.map(|host| site.url(host, "/")));
    words.extend(site.flags(&hosts));
    words.extend(["--source", "counties", "--json"].map(str::to_owned));
    let report = haul.expect(0, &words)?.json()?;

    let packs = report["packs"].as_array().context("no packs")?;
    let built: BTreeMap<String, (u64, u64)> = packs.iter().map(described).collect();
    let of = |host: &str| {
        built
            .iter()
            .find(|(name, _)| name.starts_with(host))
            .map(|(_, pack)| pack)
    };
    for (host, pages) in HOSTS {
        ensure!(
            of(host).is_some_and(|(packed, _)| *packed == pages),
            "{host} must have {pages} pages: {built:#?}"
        );
    }
    let time = |host| of(host).map(|(_, built_at)| *built_at);
    ensure!(
        time("bob") < time("alice") && time("clarice") < time("alice"),
        "{built:#?}"
    );
    let end = report["crawl"]["ended_at"].as_u64();
    ensure!(
        time("bob") < end && time("clarice") < end,
        "the small ones waited for the end of the crawl at {end:?}: {built:#?}"
    );
    Ok(())
}

fn described(manifest: &Value) -> (String, (u64, u64)) {
    let host = manifest["host"].as_str().unwrap_or_default().to_owned();
    let figure = |name: &str| manifest["current"][name].as_u64().unwrap_or_default();
    (host, (figure("pages"), figure("built_at")))
}
