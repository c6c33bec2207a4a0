use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

use crawldb::Crawldb;
use crawldb::testkit::{sample_crawl, sample_item};
use crawldb::{ItemState, Scan, Store};
use reqwest::{Client, Method, Response};
use serde_json::{Value, json};

use crate::service::Service;

/// Every call of the service, with names filled in.
fn calls() -> Vec<(Method, String)> {
    let document = serde_json::to_value(remote::openapi()).unwrap();
    let paths = document["paths"].as_object().unwrap();
    let named = |path: &str| {
        path.replace("{source}", "docs")
            .replace("{crawl}", "docs@1000")
            .replace("{index}", "next")
    };
    let calls = paths.iter().flat_map(|(path, item)| {
        let methods = item.as_object().unwrap().keys();
        methods.map(move |method| (method.to_uppercase().parse().unwrap(), named(path)))
    });
    calls.collect()
}

async fn send(client: &Client, service: &Service, method: &Method, path: &str, body: &[u8]) -> Response {
    client
        .request(method.clone(), format!("{}{path}", service.url()))
        .header("content-type", "application/json")
        .body(body.to_vec())
        .send()
        .await
        .unwrap()
}

/// Bytes that look random and are the same every time.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..length).map(|_| next()).collect()
}

#[tokio::test]
async fn bodies_that_make_no_sense_are_refused_on_every_path() {
    let client = Client::new();
    let service = Service::of(&Crawldb::memory());
    let nested = "[".repeat(200_000).into_bytes();
    let bodies = [
        noise(1, 0),
        noise(2, 10),
        noise(3, 5_000),
        nested,
        br#"{"a":"#.repeat(100_000),
        b"\"\\ud800\"".to_vec(),
        b"1e999".to_vec(),
        b"[99999999999999999999999]".to_vec(),
        b"[null, []]".to_vec(),
        br#"{"unknown": 1}"#.to_vec(),
    ];
    let takes_body = |(method, path): &(Method, String)| {
        method == Method::POST && !path.ends_with("/refresh") && !path.ends_with("/check")
    };
    for (method, path) in calls().into_iter().filter(takes_body) {
        for body in &bodies {
            let answer = send(&client, &service, &method, &path, body).await;
            let beginning = String::from_utf8_lossy(&body[..body.len().min(40)]);
            assert_eq!(answer.status(), 400, "{path}: {beginning}");
            let problem: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
            assert_eq!(problem["retryable"], json!(false));
        }
    }
}

/// Every member of a good item in turn is another kind of thing, or as large as can be.
#[tokio::test]
async fn records_with_one_wrong_member_are_refused_or_kept_as_they_are() {
    let client = Client::new();
    let folder = tempfile::tempdir().unwrap();
    let service = Service::of(&Crawldb::open(&folder.path().join("crawl.db")).unwrap());
    let item = sample_item(&sample_crawl("docs", 1_000), "a.example", 1, ItemState::Pending);
    let good = serde_json::to_value(&item).unwrap();
    let path = "/api/v1/store/items/write";
    for member in good.as_object().unwrap().keys() {
        for wrong in [
            json!(u64::MAX),
            json!(-1),
            json!("\u{0}"),
            json!([[]]),
            json!({"a": 1}),
            json!(1.5),
        ] {
            let mut bad = good.clone();
            bad[member] = wrong.clone();
            let body = serde_json::to_vec(&[bad]).unwrap();
            let answer = send(&client, &service, &Method::POST, path, &body).await;
            assert!(
                answer.status() == 400 || answer.status() == 200,
                "{member} = {wrong}: {}",
                answer.status()
            );
        }
    }
    let remote = service.client();
    let kept = remote.scan(&Scan::all(&item.source, 100)).await.unwrap();
    assert!(!kept.is_empty(), "what was taken can be read");
}

#[tokio::test]
async fn names_that_are_none_are_refused() {
    let client = Client::new();
    let service = Service::of(&Crawldb::memory());
    for path in [
        "sources/DOCS",
        "sources/..%2f..",
        "sources/%00",
        "sources/%ff",
        "crawls/docs",
        "crawls/docs@99999999999999999999",
        "indexes/a%20b/documents/count",
        &format!("sources/{}", "x".repeat(5_000)),
    ] {
        let answer = send(
            &client,
            &service,
            &Method::GET,
            &format!("/api/v1/store/{path}"),
            b"",
        )
        .await;
        assert_eq!(answer.status(), 400, "{path}");
    }
}

/// A page of another site can send a form or text, but not JSON.
#[tokio::test]
async fn only_json_is_taken() {
    let service = Service::of(&Crawldb::memory());
    let url = format!("{}/api/v1/store/intents", service.url());
    for media_type in ["text/plain", "application/x-www-form-urlencoded", ""] {
        let request = Client::new()
            .post(&url)
            .header("content-type", media_type)
            .body("{}");
        assert_eq!(request.send().await.unwrap().status(), 415, "{media_type}");
    }
}

#[tokio::test]
async fn noise_on_the_socket_does_no_harm() {
    let service = Service::of(&Crawldb::memory());
    let address = service.address();
    let shout = move || {
        for seed in 0..50 {
            let mut stream = TcpStream::connect(address).unwrap();
            // The server may hang up before it has read everything.
            let _ = stream.write_all(&noise(seed, 3_000));
            let _ = stream.shutdown(Shutdown::Write);
            let _ = stream.read_to_end(&mut Vec::new());
        }
    };
    tokio::task::spawn_blocking(shout).await.unwrap();
    assert_eq!(service.client().list_sources().await.unwrap(), []);
}
