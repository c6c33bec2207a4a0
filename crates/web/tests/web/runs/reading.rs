//! `GET /api/v1/runs/{run}/log`.

use registry::{Outcome, Scope};
use runlog::Stream;
use serde_json::{Value, json};

use super::{Worker, now, queued, registry, with_key};
use crate::client::{get, get_with};
use crate::fixture::Parts;

/// A run that is over, with four lines.
async fn over() -> (Parts, String) {
    let parts = Parts::start().await;
    let run = queued(&parts).await;
    let worker = Worker::start(&parts).await;
    worker.write(Stream::InternalOut, "installing\n");
    worker.write(Stream::Stdout, "one\n<b>two</b>\n");
    worker.write(Stream::Stderr, "oops\n");
    worker.finish(&parts, Outcome::Succeeded).await;
    (parts, format!("/api/v1/runs/{run}/log"))
}

#[tokio::test]
async fn lines_are_json_or_text() {
    let (parts, path) = over().await;
    let answer = get(&parts.router, &path).await;
    assert_eq!(answer.header("content-type"), "application/x-ndjson");
    let lines = answer
        .body
        .lines()
        .map(|line| serde_json::from_str(line).unwrap());
    let lines: Vec<Value> = lines.collect();
    let at = "2026-02-03T10:40:00Z";
    let line = |number: u64, stream: &str, text: &str| json!({"number": number, "at": at, "stream": stream, "text": text});
    let expected = [
        line(1, "internalout", "installing"),
        line(2, "stdout", "one"),
        line(3, "stdout", "<b>two</b>"),
        line(4, "stderr", "oops"),
    ];
    assert_eq!(lines, expected);

    let text = "installing\none\n<b>two</b>\noops\n";
    let asked = get(&parts.router, &format!("{path}?format=text")).await;
    assert_eq!(
        (asked.header("content-type"), asked.body.as_str()),
        ("text/plain; charset=utf-8", text)
    );
    let accepted = get_with(&parts.router, &path, &[("accept", "text/plain, */*")]).await;
    assert_eq!(accepted.body, text);
}

#[tokio::test]
async fn a_part_can_be_asked_for() {
    let (parts, path) = over().await;
    let check = async |query: &str, expected: &str| {
        let answer = get(&parts.router, &format!("{path}?format=text&{query}")).await;
        assert_eq!(answer.body, expected, "{query}");
    };
    check("after=2", "<b>two</b>\noops\n").await;
    check("after=4", "").await;
    check("after=99", "").await;
    check("tail=1", "oops\n").await;
    check("tail=99&after=3", "oops\n").await;
    check("tail=1&after=2", "oops\n").await;
    check("tail=0", "").await;
}

#[tokio::test]
async fn what_cannot_be_answered_is_explained() {
    let (parts, path) = over().await;
    let refused = async |path: &str, status: u16, says: &str| {
        get(&parts.router, path).await.is_problem(status, says);
    };
    refused(&format!("{path}?format=xml"), 400, "ndjson or text").await;
    refused(&format!("{path}?after=x"), 400, "after").await;
    refused("/api/v1/runs/99/log", 404, "99").await;
    refused("/api/v1/runs/x/log", 400, "number of a run").await;
    refused("/api/v1/runs/99/log/events", 404, "99").await;
    std::fs::remove_file(parts.folder.path().join("runs/logs/1.log.zst")).unwrap();
    refused(&path, 404, "kept no more").await;
}

#[tokio::test]
async fn a_run_that_waits_has_said_nothing_yet() {
    let parts = Parts::start().await;
    let run = queued(&parts).await;
    let answer = get(&parts.router, &format!("/api/v1/runs/{run}/log")).await;
    assert_eq!((answer.status.as_u16(), answer.body.as_str()), (200, ""));
}

#[tokio::test]
async fn a_long_log_arrives_whole() {
    let parts = Parts::start().await;
    let run = queued(&parts).await;
    let worker = Worker::start(&parts).await;
    for number in 1..=9_000 {
        worker.write(Stream::Stdout, &format!("line {number} {}\n", ".".repeat(200)));
    }
    let path = format!("/api/v1/runs/{run}/log");
    let live = get(&parts.router, &path).await;
    worker.finish(&parts, Outcome::Failed).await;
    let over = get(&parts.router, &path).await;
    assert_eq!(live.body.lines().count(), 9_000);
    assert_eq!(live.body, over.body);
}

#[tokio::test]
async fn what_somebody_sent_along_is_theirs_to_read() {
    let (parts, key) = with_key(&[Scope::Run]).await;
    let checksum = model::Checksum::of(b"code");
    let sent = registry(&parts).ask_upload(&key.key.owner, checksum, registry::Limits::default(), now());
    let path = format!("/api/v1/runs/{}/log", sent.await.unwrap().id);
    get(&parts.router, &path).await.is_problem(401, "");
    let own = get_with(&parts.router, &path, &[("x-api-key", key.token.reveal())]).await;
    assert_eq!(own.status, 200);
}
