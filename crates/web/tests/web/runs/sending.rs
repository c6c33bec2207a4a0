//! `POST /run`, as `morph-cli` sends it.

use axum::body::{Body, Bytes};
use axum::http::{Request, StatusCode};
use futures::{StreamExt, stream};
use registry::{Outcome, Phase, RunFilter, Scope};
use runlog::Stream;

use super::{Answering, PATIENCE, Worker, now, registry, with_key};
use crate::client::{Answer, send};
use crate::fixture::Parts;

const BOUNDARY: &str = "-----------RubyMultipartPost-8a9b";

fn field(name: &str, file: &str, content: &[u8]) -> Vec<u8> {
    let head = format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n\r\n");
    [head.as_bytes(), content, b"\r\n"].concat()
}

fn form(fields: &[Vec<u8>]) -> Body {
    let end = format!("--{BOUNDARY}--\r\n\r\n");
    Body::from([fields.concat(), end.into_bytes()].concat())
}

fn request(body: Body) -> Request<Body> {
    Request::post("/run")
        .header(
            "content-type",
            format!("multipart/form-data; boundary={BOUNDARY}"),
        )
        .body(body)
        .unwrap()
}

/// A tar archive with a scraper.
fn code() -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    let program = b"print(1)\n";
    let mut header = tar::Header::new_gnu();
    header.set_size(program.len() as u64);
    header.set_mode(0o644);
    tar.append_data(&mut header, "scraper.py", program.as_slice())
        .unwrap();
    tar.into_inner().unwrap()
}

fn with_code(key: &str) -> Request<Body> {
    let file = "; filename=\"code.tar\"";
    request(form(&[
        field("api_key", "", key.as_bytes()),
        field("code", file, &code()),
    ]))
}

/// How many runs of code that was sent along there are.
async fn runs(parts: &Parts) -> usize {
    let capacity = registry::Capacity {
        memory_mib: 100_000,
        slots: 10,
    };
    registry(parts)
        .admit("worker", capacity, now())
        .await
        .unwrap()
        .len()
}

#[track_caller]
fn check_refused(answer: &Answer, status: u16, says: &str) {
    assert_eq!(answer.status.as_u16(), status, "{}", answer.body);
    assert!(answer.header("content-type").starts_with("text/plain"));
    assert!(answer.body.contains(says), "{}", answer.body);
}

#[tokio::test]
async fn what_a_run_says_is_answered_line_by_line() {
    let (parts, key) = with_key(&[Scope::Run]).await;
    let mut answer = Answering::to(&parts, with_code(key.token.reveal())).await;
    let first = answer.piece().await.unwrap();
    assert!(
        first.starts_with("{\"stream\":\"internalout\",\"text\":\"run "),
        "{first}"
    );
    let worker = Worker::start(&parts).await;
    worker.write(Stream::InternalOut, "installing\n");
    worker.write(Stream::Stdout, "row \"1\"\n");
    worker.write(Stream::Stderr, "oops\n");
    worker.write(Stream::InternalErr, "killed\n");
    worker.finish(&parts, Outcome::OutOfMemory).await;
    let expected = [
        ("internalout", "installing"),
        ("stdout", "row \\\"1\\\""),
        ("stderr", "oops"),
        ("internalout", "killed"),
    ];
    for (stream, text) in expected {
        let line = format!("{{\"stream\":\"{stream}\",\"text\":\"{text}\"}}\n");
        assert_eq!(answer.piece().await.unwrap(), line, "a piece is a line");
    }
    assert_eq!(answer.piece().await, None);
}

#[tokio::test]
async fn nothing_is_run_without_a_key_that_may() {
    let (parts, key) = with_key(&[Scope::Data]).await;
    let wrong = send(&parts.router, with_code("haul_wrong")).await;
    check_refused(&wrong, 401, "API key is not valid");
    assert_eq!(wrong.body, "API key is not valid");
    let none = send(&parts.router, request(form(&[field("code", "", &code())]))).await;
    check_refused(&none, 401, "API key is not valid");
    let late = form(&[
        field("code", "", &code()),
        field("api_key", "", key.token.reveal().as_bytes()),
    ]);
    check_refused(
        &send(&parts.router, request(late)).await,
        401,
        "API key is not valid",
    );
    let scope = send(&parts.router, with_code(key.token.reveal())).await;
    check_refused(&scope, 403, "scope");
    let long = send(&parts.router, with_code(&"k".repeat(100_000))).await;
    check_refused(&long, 401, "API key is not valid");
    assert_eq!(runs(&parts).await, 0);
}

#[tokio::test]
async fn a_key_in_the_headers_will_do() {
    let (parts, key) = with_key(&[Scope::Run]).await;
    let mut request = request(form(&[field("code", "", &code())]));
    let bearer = format!("Bearer {}", key.token.reveal()).parse().unwrap();
    request.headers_mut().insert("authorization", bearer);
    let mut answer = Answering::to(&parts, request).await;
    assert!(answer.piece().await.is_some());
    assert_eq!(runs(&parts).await, 1);
}

#[tokio::test]
async fn what_is_no_code_is_refused() {
    let parts = Parts::start().await;
    let check = async |body: Body, says: &str| {
        check_refused(&send(&parts.router, request(body)).await, 400, says);
    };
    check(form(&[]), "there is no code").await;
    check(form(&[field("api_key", "", b"any")]), "there is no code").await;
    check(form(&[field("code", "", b"")]), "empty").await;
    check(form(&[field("code", "", &[7; 5_000])]), "tar archive").await;
    let torn = field("code", "", &code())[..700].to_vec();
    check(Body::from(torn), "whole").await;
    let plain = Request::post("/run").body(Body::from("code")).unwrap();
    check_refused(&send(&parts.router, plain).await, 400, "multipart");
    assert_eq!(runs(&parts).await, 0);
}

#[tokio::test]
async fn code_that_is_too_large_is_refused() {
    let parts = Parts::start().await;
    let head = field("code", "", b"");
    let piece = Bytes::from(vec![0_u8; 1 << 20]);
    let pieces = stream::iter([Bytes::from(head)]).chain(stream::repeat(piece).take(260));
    let endless = Body::from_stream(pieces.map(Ok::<_, std::io::Error>));
    let answer = send(&parts.router, request(endless)).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE, "{}", answer.body);
    assert_eq!(runs(&parts).await, 0);
}

#[tokio::test]
async fn who_hangs_up_stops_the_run() {
    let (parts, key) = with_key(&[Scope::Run]).await;
    let mut answer = Answering::to(&parts, with_code(key.token.reveal())).await;
    let worker = Worker::start(&parts).await;
    worker.write(Stream::Stdout, "one\n");
    answer.until("one").await;
    drop(answer);
    let run = worker.lease.run.id;
    let stopped = async {
        while registry(&parts).run(run).await.unwrap().stop.as_deref() != Some("ada") {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, stopped).await.unwrap();
}

#[tokio::test]
async fn a_run_that_is_over_is_not_stopped() {
    let (parts, key) = with_key(&[Scope::Run]).await;
    let answer = Answering::to(&parts, with_code(key.token.reveal())).await;
    let worker = Worker::start(&parts).await;
    let run = worker.lease.run.id;
    worker.finish(&parts, Outcome::Succeeded).await;
    answer.rest().await;
    let run = registry(&parts).run(run).await.unwrap();
    assert_eq!((run.phase, run.stop), (Phase::Finished, None));
    let shown = registry(&parts).runs(RunFilter::default()).await.unwrap();
    assert!(shown.is_empty(), "what is sent along is in no list");
}
