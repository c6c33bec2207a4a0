use std::time::{Duration, Instant};

use pkgindex::store::MemoryStore;
use pkgindex::{HttpOptions, Index, Latest, Options};
use serde_json::Value;

use crate::port::{Answer, Port, in_memory};

fn changes(feed: &Value) -> &Vec<Value> {
    feed["changes"].as_array().unwrap()
}

/// Everything behind `revision`, by asking again and again.
async fn replay(port: &Port, mut revision: u64, latest: &mut Latest) -> u64 {
    loop {
        let feed = port.get(&format!("/v1/changes?after={revision}")).await.json();
        for change in changes(&feed) {
            revision += 1;
            assert_eq!(change["revision"], revision);
            latest
                .apply(change["lines"].as_str().unwrap().as_bytes())
                .unwrap();
        }
        if feed["revision"] == revision {
            return revision;
        }
    }
}

#[tokio::test]
async fn the_feed_tells_every_change() {
    let port = Port::with("INDEX|a|\nINDEX|b|a\n").await;
    port.post("/v1/commands", "REMOVE|b|\nREMOVE|b|\nINDEX|c|a\n")
        .await
        .json();
    let feed = port.get("/v1/changes?after=0").await.json();
    let lines: Vec<_> = changes(&feed)
        .iter()
        .map(|change| change["lines"].clone())
        .collect();
    assert_eq!(lines, ["INDEX|a|\nINDEX|b|a\n", "REMOVE|b|\n", "INDEX|c|a\n"]);
    assert_eq!(feed["revision"], 3);
    let rest = port.get("/v1/changes?after=2").await.json();
    assert_eq!(changes(&rest).len(), 1);
    let none = port.get("/v1/changes?after=3").await.json();
    assert_eq!(changes(&none).len(), 0);
}

#[tokio::test]
async fn the_feed_played_again_is_the_dump() {
    let port = Port::of(in_memory(), HttpOptions::default()).await;
    let pad = "x".repeat(200);
    for round in 0..40 {
        // Some are indexed anew with another list, some are removed.
        let lines: String = (0..400)
            .map(|number| match (number + round) % 3 {
                0 => format!("REMOVE|p{pad}{}|\n", number % 97),
                1 => format!("INDEX|p{pad}{}|\n", number % 97),
                _ => format!("INDEX|p{pad}{}|p{pad}{}\n", number % 97, (number + round) % 97),
            })
            .collect();
        port.post("/v1/commands", lines).await.json();
    }
    let mut latest = Latest::new();
    let revision = replay(&port, 0, &mut latest).await;
    let dump = port.get("/v1/dump").await.text;
    let packages = latest.len();
    assert!(packages > 10);
    let header = format!("pkgindex dump 1 revision {revision} packages {packages}");
    assert_eq!(dump.lines().next().unwrap(), header);
    let normal = |lines: &str| {
        let mut lines: Vec<String> = lines.lines().map(sorted_dependencies).collect();
        lines.sort_unstable();
        lines
    };
    let body = dump.lines().filter(|line| line.starts_with("INDEX|"));
    let body: String = body.flat_map(|line| [line, "\n"]).collect();
    assert_eq!(
        normal(&body),
        normal(str::from_utf8(&latest.into_lines()).unwrap())
    );
}

fn sorted_dependencies(line: &str) -> String {
    let (start, list) = line.rsplit_once('|').unwrap();
    let mut list: Vec<_> = list.split(',').collect();
    list.sort_unstable();
    list.dedup();
    format!("{start}|{}", list.join(","))
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_is_told_at_once() {
    let port = Port::with("INDEX|a|\n").await;
    let began = Instant::now();
    let asked = port.get("/v1/changes?after=1&wait_ms=30000");
    let told = async {
        // The change may come before the question arrives or after; both must be answered.
        port.index.batch(b"INDEX|b|\n").await.unwrap();
    };
    let (feed, ()) = tokio::join!(asked, told);
    assert_eq!(changes(&feed.json())[0]["lines"], "INDEX|b|\n");
    assert!(began.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn who_waits_in_vain_is_told_too() {
    let port = Port::with("INDEX|a|\n").await;
    let began = Instant::now();
    let feed = port.get("/v1/changes?after=1&wait_ms=50").await.json();
    assert!(changes(&feed).is_empty());
    assert!(began.elapsed() >= Duration::from_millis(50));
    port.get("/v1/changes?after=1&wait_ms=30001")
        .await
        .problem(400, "a number from 0 to 30000");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_ends_the_waiting() {
    // Nothing tells when the question has arrived, so it gets more time with each attempt.
    for attempt in 0..50 {
        let port = Port::with("INDEX|a|\n").await;
        let request = port.request(reqwest::Method::GET, "/v1/changes?after=1&wait_ms=30000");
        let waiting = tokio::spawn(request.send());
        tokio::time::sleep(Duration::from_millis(attempt)).await;
        let began = Instant::now();
        port.stop().await;
        assert!(began.elapsed() < Duration::from_secs(9));
        if let Ok(response) = waiting.await.unwrap() {
            let feed = Answer::of(response).await.json();
            assert!(changes(&feed).is_empty());
            return;
        }
    }
    panic!("no question arrived before the stop");
}

#[tokio::test]
async fn changes_that_are_gone_are_gone() {
    let options = Options {
        feed_bytes: 2_000,
        ..Options::default()
    };
    let index = Index::open(Box::new(MemoryStore::new()), options).unwrap();
    let port = Port::of(index, HttpOptions::default()).await;
    for number in 0..100 {
        let line = format!("INDEX|p{number}|\n");
        port.index.batch(line.as_bytes()).await.unwrap();
    }
    let feed = port.get("/v1/changes?after=99").await.json();
    assert_eq!(changes(&feed).len(), 1);
    port.get("/v1/changes?after=1").await.problem(410, "take a dump");
}

#[tokio::test]
async fn revisions_and_histories_that_are_unknown_are_told() {
    let port = Port::with("INDEX|a|\n").await;
    let problem = port.get("/v1/changes?after=7").await.problem(409, "take a dump");
    assert_eq!(problem["revision"], 1);
    let feed = port.get("/v1/changes?after=0").await.json();
    let instance = feed["instance"].as_str().unwrap();
    port.get(&format!("/v1/changes?after=0&instance={instance}"))
        .await
        .json();
    port.get("/v1/changes?after=0&instance=0123456789abcdef")
        .await
        .problem(410, "take a dump");
    port.get("/v1/changes").await.problem(400, "\"after\" is missing");
}
