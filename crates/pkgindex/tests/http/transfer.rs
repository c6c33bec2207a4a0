use std::time::Duration;

use bytes::Bytes;
use pkgindex::{HttpOptions, Index, Latest, Revision};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::port::{Port, in_memory};

const LINES: &str = "INDEX|a|b\nINDEX|b|a\nINDEX|c|a\n";

fn body(dump: &str) -> Vec<&str> {
    dump.lines().filter(|line| line.starts_with("INDEX")).collect()
}

#[tokio::test]
async fn a_dump_that_is_loaded_is_the_same_index() {
    let from = Port::with(LINES).await;
    let dump = from.get("/v1/dump").await;
    assert_eq!(dump.kind, "text/plain; charset=us-ascii");
    let to = Port::of(in_memory(), HttpOptions::default()).await;
    let loaded = to.post("/v1/load", dump.text.clone()).await.json();
    assert_eq!(
        loaded,
        json!({"revision": 1, "packages": 3, "edges": 3, "removed": 0, "unresolved": 0, "unresolved_names": []})
    );
    assert_eq!(body(&to.get("/v1/dump").await.text), body(&dump.text));
}

#[tokio::test]
async fn a_large_dump_comes_in_pieces_and_goes_in_again() {
    let name = "n".repeat(200);
    let lines: String = (0..5_000)
        .map(|number| format!("INDEX|{name}{number:05}|\n"))
        .collect();
    let port = Port::with(&lines).await;
    let dump = port.get("/v1/dump").await.text;
    assert!(dump.len() > 1_000_000);
    assert_eq!(body(&dump).len(), 5_000);
    let again = port.post("/v1/load?format=dump&replace=true", dump).await.json();
    assert_eq!(again["revision"], 1, "nothing is another one now");
}

#[tokio::test]
async fn a_load_merges_or_replaces() {
    let from = Port::with("INDEX|a|\nINDEX|new|a\n").await;
    let dump = from.get("/v1/dump").await.text;
    let merged = Port::with(LINES).await;
    merged.post("/v1/load", dump.clone()).await.json();
    let expected = ["INDEX|a|", "INDEX|b|a", "INDEX|c|a", "INDEX|new|a"];
    assert_eq!(body(&merged.get("/v1/dump").await.text), expected);
    let replaced = Port::with(LINES).await;
    let loaded = replaced.post("/v1/load?replace=true", dump).await.json();
    assert_eq!((&loaded["removed"], &loaded["revision"]), (&json!(2), &json!(2)));
    assert_eq!(
        body(&replaced.get("/v1/dump").await.text),
        ["INDEX|a|", "INDEX|new|a"]
    );
}

#[tokio::test]
async fn foreign_formats_are_read() {
    let port = Port::of(in_memory(), HttpOptions::default()).await;
    let debian = "Package: libc6\nVersion: 1\n\nPackage: git\nVersion: 2\nDepends: libc6 (>= 1), nowhere\n";
    let loaded = port.post("/v1/load?format=debian", debian).await.json();
    assert_eq!(loaded["packages"], 2);
    assert_eq!(loaded["unresolved_names"], json!(["nowhere"]));
    let why = port.get("/v1/why?from=git&to=libc6").await.json();
    assert_eq!(why["path"], json!(["git", "libc6"]));
}

#[tokio::test]
async fn what_is_not_whole_is_not_loaded() {
    let port = Port::with(LINES).await;
    let dump = port.get("/v1/dump").await.text;
    let other = Port::of(in_memory(), HttpOptions::default()).await;
    let cut = dump[..dump.len() - 20].to_owned();
    other
        .post("/v1/load", cut)
        .await
        .problem(400, "nothing was loaded");
    let changed = dump.replace("INDEX|c|a", "INDEX|c|b");
    other.post("/v1/load", changed).await.problem(400, "checksum");
    other
        .post("/v1/load", "")
        .await
        .problem(400, "a dump begins with");
    other
        .post("/v1/load?format=rpm", dump)
        .await
        .problem(400, "dump, debian or crates-io");
    assert_eq!(other.index.sizes().packages, 0);
}

#[tokio::test]
async fn a_load_has_a_limit() {
    let port = Port::with("INDEX|a|\n").await;
    let dump = port.get("/v1/dump").await.text;
    let options = HttpOptions {
        load_bytes: dump.len() - 1,
        ..HttpOptions::default()
    };
    let small = Port::of(in_memory(), options).await;
    small
        .post("/v1/load", dump.clone())
        .await
        .problem(413, "nothing was loaded");
    let options = HttpOptions {
        load_bytes: dump.len(),
        ..HttpOptions::default()
    };
    let enough = Port::of(in_memory(), options).await;
    enough.post("/v1/load", dump).await.json();
}

/// Sends bytes to the server and nothing more.
async fn send(port: &Port, bytes: &str) -> TcpStream {
    let mut stream = TcpStream::connect(port.address).await.unwrap();
    stream.write_all(bytes.as_bytes()).await.unwrap();
    stream
}

fn impatient() -> HttpOptions {
    HttpOptions {
        transfers: 1,
        patience: Duration::from_millis(50),
        ..HttpOptions::default()
    }
}

#[tokio::test]
async fn a_load_that_stalls_is_broken_off() {
    let port = Port::of(in_memory(), impatient()).await;
    let request = "POST /v1/load HTTP/1.1\r\nhost: x\r\ncontent-length: 9999\r\n\r\npkgindex dump 1";
    let mut stream = send(&port, request).await;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 408 Request Timeout"), "{answer}");
    let dump = Port::with(LINES).await.get("/v1/dump").await.text;
    port.post("/v1/load", dump).await.json();
}

#[tokio::test]
async fn a_dump_that_nobody_reads_is_broken_off() {
    let name = "n".repeat(200);
    let lines: String = (0..60_000)
        .map(|number| format!("INDEX|{name}{number:06}|\n"))
        .collect();
    let index = in_memory();
    index.batch(lines.as_bytes()).await.unwrap();
    let port = Port::of(index, impatient()).await;
    let mut idle = send(&port, "GET /v1/dump HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let mut first = [0; 12];
    idle.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
    // The only place is taken until the server has lost its patience.
    port.get("/v1/dump")
        .await
        .problem(503, "too many dumps and loads");
    while port
        .request(reqwest::Method::GET, "/v1/dump")
        .send()
        .await
        .unwrap()
        .status()
        != 200
    {
        tokio::task::yield_now().await;
    }
    let mut rest = Vec::new();
    let ended = idle.read_to_end(&mut rest).await;
    let is_whole = rest.ends_with(b"0\r\n\r\n");
    assert!(!is_whole, "{ended:?}");
}

/// All packages at `revision`, out of the changes up to it.
fn at(index: &Index, revision: Revision) -> Bytes {
    let (mut latest, mut known) = (Latest::new(), Revision(0));
    while known < revision {
        for change in index.changes(known).unwrap() {
            known = change.revision;
            if known <= revision {
                latest.apply(&change.lines).unwrap();
            }
        }
    }
    latest.into_lines()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replacement_leaves_nothing_of_what_others_do_meanwhile() {
    let dump = Port::with("INDEX|kept|\n").await.get("/v1/dump").await.text;
    let port = Port::of(in_memory(), HttpOptions::default()).await;
    let index = port.index.clone();
    let others = tokio::spawn(async move {
        for number in 0.. {
            let line = format!("INDEX|other{number}|\n");
            index.batch(line.as_bytes()).await.unwrap();
            tokio::task::yield_now().await;
        }
    });
    for _ in 0..5 {
        let answer = port.post("/v1/load?replace=true", dump.clone()).await;
        let revision = Revision(answer.json()["revision"].as_u64().unwrap());
        assert_eq!(at(&port.index, revision), "INDEX|kept|\n");
    }
    others.abort();
}
