//! `GET /api/v1/runs/{run}/log/events`.

use axum::body::Body;
use axum::http::Request;
use model::RunId;
use registry::Outcome;
use runlog::Stream;

use super::{Answering, Worker, queued};
use crate::fixture::Parts;

async fn listen(parts: &Parts, run: RunId, query: &str, last_event: Option<&str>) -> Answering {
    let mut request = Request::get(format!("/api/v1/runs/{run}/log/events{query}"));
    if let Some(id) = last_event {
        request = request.header("last-event-id", id);
    }
    Answering::to(parts, request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn events_come_from_the_queue_to_the_end() {
    let parts = Parts::start().await;
    let run = queued(&parts).await;
    let mut answer = listen(&parts, run, "", None).await;
    let worker = Worker::start(&parts).await;
    worker.write(Stream::Stdout, "one\ntwo\n");
    answer.until("\"two\"").await;
    let one = "event: line\ndata: {\"number\":1,\"at\":\"2026-02-03T10:40:00Z\",\"stream\":\"stdout\",\"text\":\"one\"}\nid: 1\n\n";
    assert!(answer.read.starts_with(one), "{}", answer.read);
    worker.write(Stream::Stderr, "three\n");
    answer.until("id: 3").await;
    worker.finish(&parts, Outcome::NoData).await;
    let all = answer.rest().await;
    let (_, end) = all.split_once("event: end\ndata: ").unwrap();
    let run: serde_json::Value = serde_json::from_str(end.trim()).unwrap();
    assert_eq!(run["ending"]["outcome"], "no_data");
    assert_eq!(all.matches("event: line").count(), 3);
}

#[tokio::test]
async fn who_comes_again_goes_on_where_they_were() {
    let parts = Parts::start().await;
    let run = queued(&parts).await;
    let worker = Worker::start(&parts).await;
    worker.write(Stream::Stdout, "1\n2\n3\n4\n5\n");
    worker.finish(&parts, Outcome::Succeeded).await;
    let check = async |query: &str, last_event: Option<&str>, expected: &[u64]| {
        let all = listen(&parts, run, query, last_event).await.rest().await;
        let ids = all.lines().filter_map(|line| line.strip_prefix("id: "));
        let ids: Vec<u64> = ids.map(|id| id.parse().unwrap()).collect();
        assert_eq!(ids, expected, "{query} {last_event:?}");
        assert_eq!(all.matches("event: end").count(), 1);
    };
    check("", None, &[1, 2, 3, 4, 5]).await;
    check("?after=3", None, &[4, 5]).await;
    check("?tail=1", None, &[5]).await;
    check("?tail=1", Some("2"), &[3, 4, 5]).await;
    check("", Some("5"), &[]).await;
    check("", Some("what?"), &[1, 2, 3, 4, 5]).await;
}

#[tokio::test]
async fn a_run_that_changes_hands_is_followed_on() {
    let parts = Parts::start().await;
    let run = queued(&parts).await;
    let mut answer = listen(&parts, run, "", None).await;
    let first = Worker::start(&parts).await;
    first.write(Stream::Stdout, "first\n");
    answer.until("first").await;
    let (lease, log) = (first.lease, first.log);
    log.finish(std::time::SystemTime::now()).unwrap();
    let ending = registry::Ending::new(Outcome::Lost, "lost");
    let back = super::registry(&parts).give_back(run, lease.epoch, ending, super::now(), 0.0);
    back.await.unwrap();
    let later = super::now().after(std::time::Duration::from_secs(3_600));
    let capacity = registry::Capacity {
        memory_mib: 100_000,
        slots: 10,
    };
    let mut leases = super::registry(&parts)
        .admit("other", capacity, later)
        .await
        .unwrap();
    let logs = runlog::Logs::open(&parts.folder.path().join("runs/logs")).unwrap();
    let second = Worker {
        lease: leases.pop().unwrap(),
        log: logs
            .begin(&run.to_string(), runlog::LogLimits::default(), &[])
            .unwrap(),
    };
    second.write(Stream::Stdout, "second\n");
    second.finish(&parts, Outcome::Succeeded).await;
    let all = answer.rest().await;
    assert_eq!(all.matches("event: line").count(), 2, "{all}");
    assert!(all.contains("id: 2\n") && all.contains("\"succeeded\""), "{all}");
}

#[tokio::test]
async fn a_server_that_stops_ends_its_streams() {
    let parts = Parts::start().await;
    let run = queued(&parts).await;
    let answer = listen(&parts, run, "", None).await;
    parts.stop.cancel();
    assert_eq!(answer.rest().await, "");
}
