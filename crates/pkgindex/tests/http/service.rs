use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use pkgindex::{Http, HttpOptions, Measure, Sample};
use reqwest::Method;

use crate::gate::{Gate, GatedStore};
use crate::port::{Answer, Port, in_memory};

/// The routes that the page at `/` lists, as `METHOD /path`.
fn listed(page: &str) -> BTreeSet<String> {
    let routes = page
        .split("<code>")
        .skip(1)
        .filter_map(|rest| rest.split("</code>").next());
    let routes = routes.filter(|route| route.contains(" /"));
    routes
        .map(|route| route.split('?').next().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn the_page_lists_every_route_and_each_answers() {
    let port = Port::with("INDEX|a|\n").await;
    let page = port.get("/").await;
    assert_eq!(page.kind, "text/html; charset=utf-8");
    let listed = listed(&page.text);
    let golden: BTreeSet<_> = include_str!("../data/routes.txt")
        .lines()
        .map(str::to_owned)
        .collect();
    assert_eq!(listed, golden);
    for route in &listed {
        let (method, path) = route.split_once(' ').unwrap();
        let answer = match method {
            "GET" => port.get(path).await,
            _ => port.post(path, "").await,
        };
        assert!(
            ![404, 405, 500].contains(&answer.status.as_u16()),
            "{route}: {answer:?}"
        );
        let wrong = match method {
            "GET" => port.post(path, "").await,
            _ => port.get(path).await,
        };
        wrong.problem(405, "cannot be used on this path");
    }
    port.get("/v1/nothing")
        .await
        .problem(404, "nothing at this address");
}

#[tokio::test]
async fn answers_are_strict_with_browsers() {
    let port = Port::with("INDEX|a|\n").await;
    for path in ["/", "/health", "/nowhere", "/v1/dump"] {
        let response = port.request(Method::GET, path).send().await.unwrap();
        assert_eq!(response.headers()["x-content-type-options"], "nosniff", "{path}");
        assert_eq!(response.headers()["cache-control"], "no-store", "{path}");
    }
}

#[tokio::test]
async fn pages_of_browsers_may_not_change_anything() {
    let port = Port::with("INDEX|a|\n").await;
    for (name, value) in [
        ("origin", "http://evil.test"),
        ("origin", "null"),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-origin"),
    ] {
        for path in ["/v1/commands", "/v1/batch", "/v1/load?format=debian"] {
            let request = port
                .request(Method::POST, path)
                .header(name, value)
                .body("REMOVE|a|\n");
            let answer = Answer::of(request.send().await.unwrap()).await;
            answer.problem(403, "pages may not change the index");
        }
        let read = port.request(Method::GET, "/health").header(name, value);
        assert_eq!(read.send().await.unwrap().status(), 200);
    }
    assert_eq!(port.index.sizes().packages, 1);
}

#[tokio::test]
async fn health_is_200_until_the_index_is_lost() {
    let store = GatedStore::new(Gate::Open);
    let port = Port::of(store.index(), HttpOptions::default()).await;
    port.index.batch(b"INDEX|a|\n").await.unwrap();
    let health = port.get("/health").await.json();
    assert_eq!(
        (&health["packages"], &health["store"]),
        (&1.into(), &"gated".into())
    );
    assert_eq!(health["writable"], true);
    store.set(Gate::Broken);
    port.post("/v1/batch", "INDEX|b|\n")
        .await
        .problem(503, "the disk is gone");
    port.get("/health").await.problem(503, "start the server anew");
    port.get("/v1/orphans").await.problem(503, "the disk is gone");
    assert!(port.get("/metrics").await.text.contains("pkgindex_lost 1\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_questions_are_told_to_come_back() {
    let store = GatedStore::new(Gate::Shut);
    let options = HttpOptions {
        questions: 1,
        ..HttpOptions::default()
    };
    let port = Port::of(store.index(), options).await;
    // One of them has the only place until the gate opens.
    let (first, second) = (port.get("/v1/orphans"), port.get("/v1/orphans"));
    let (mut first, mut second) = (Box::pin(first), Box::pin(second));
    let refused = tokio::select! {
        refused = &mut first => (refused, second),
        refused = &mut second => (refused, first),
    };
    refused.0.problem(503, "too many questions");
    let third = port.request(Method::GET, "/v1/cycles").send().await.unwrap();
    assert_eq!(
        (third.status().as_u16(), &third.headers()["retry-after"]),
        (503, &"1".parse().unwrap())
    );
    store.set(Gate::Open);
    refused.1.await.json();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_has_its_time() {
    let store = GatedStore::new(Gate::Shut);
    let options = HttpOptions {
        answer_time: Duration::from_millis(50),
        ..HttpOptions::default()
    };
    let port = Port::of(store.index(), options).await;
    port.post("/v1/batch", "INDEX|a|\n")
        .await
        .problem(503, "this took longer than 50ms");
    store.set(Gate::Open);
}

#[tokio::test]
async fn slow_requests_are_noted_up_to_a_number() {
    let options = HttpOptions {
        slow: Duration::ZERO,
        slow_kept: 3,
        ..HttpOptions::default()
    };
    let port = Port::of(in_memory(), options).await;
    for number in 0..9 {
        port.get(&format!("/v1/package?name=p{number}")).await;
    }
    port.get(&format!("/v1/package?name={}", "x".repeat(2_000))).await;
    let slow = port.get("/v1/slow").await.json();
    assert_eq!((&slow["count"], &slow["threshold_ms"]), (&10.into(), &0.into()));
    let newest = slow["newest"].as_array().unwrap();
    assert_eq!(newest.len(), 3);
    assert_eq!(newest[0]["what"].as_str().unwrap().len(), 512);
    assert_eq!(newest[1]["what"], "GET /v1/package?name=p8");
    assert!(newest[1]["at"].as_str().unwrap().ends_with('Z'));
    let quiet = Port::of(in_memory(), HttpOptions::default()).await;
    quiet.get("/health").await.json();
    assert_eq!(quiet.get("/v1/slow").await.json()["count"], 0);
}

/// Each sample of an OpenMetrics text with its value.
fn samples(text: &str) -> Vec<(&str, f64)> {
    assert!(text.ends_with("# EOF\n"));
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let (name, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line}"));
            assert!(name.starts_with("pkgindex_"), "{line}");
            assert_eq!(name.contains('{'), name.ends_with('}'), "{line}");
            (name, value.parse().unwrap_or_else(|_| panic!("{line}")))
        })
        .collect()
}

fn value(text: &str, name: &str) -> f64 {
    let found = samples(text).into_iter().find(|(other, _)| *other == name);
    found.unwrap_or_else(|| panic!("no {name} in {text}")).1
}

#[tokio::test]
async fn metrics_are_counted() {
    let port = Port::with("INDEX|a|\nINDEX|b|a\n").await;
    port.post("/v1/commands", "QUERY|a|\nQUERY|z|\nREMOVE|a|\nINDEX|c|\nx\n")
        .await
        .json();
    let text = port.get("/metrics").await.text;
    for (name, expected) in [
        (r#"pkgindex_commands_total{verb="QUERY",answer="OK"}"#, 1.0),
        (r#"pkgindex_commands_total{verb="QUERY",answer="FAIL"}"#, 1.0),
        (r#"pkgindex_commands_total{verb="REMOVE",answer="FAIL"}"#, 1.0),
        (r#"pkgindex_commands_total{verb="INDEX",answer="OK"}"#, 1.0),
        (r#"pkgindex_commands_total{verb="malformed",answer="ERROR"}"#, 1.0),
        (
            r#"pkgindex_http_requests_total{route="/v1/commands",status="200"}"#,
            1.0,
        ),
        ("pkgindex_packages", 3.0),
        ("pkgindex_edges", 1.0),
        ("pkgindex_revision", 2.0),
        ("pkgindex_slow_requests_total", 0.0),
    ] {
        assert_eq!(value(&text, name), expected, "{name}");
    }
}

#[tokio::test]
async fn metrics_keep_their_names() {
    let port = Port::with("INDEX|a|\n").await;
    port.get("/health").await.json();
    let text = port.get("/metrics").await.text;
    samples(&text);
    let described: Vec<_> = text.lines().filter(|line| line.starts_with("# TYPE")).collect();
    let golden: Vec<_> = include_str!("../data/metrics.txt").lines().collect();
    assert_eq!(described, golden);
}

#[tokio::test]
async fn other_parts_show_their_numbers_too() {
    let http = Http::bind(&[([127, 0, 0, 1], 0).into()], HttpOptions::default())
        .await
        .unwrap();
    let address = http.addresses()[0];
    let samples = Arc::new(|| {
        vec![
            Sample {
                name: "connections",
                help: "Open connections",
                value: 7,
                measure: Measure::Level,
            },
            Sample {
                name: "lines",
                help: "Lines",
                value: 8,
                measure: Measure::Count,
            },
        ]
    });
    let served = tokio::spawn(http.run(in_memory(), samples, std::future::pending()));
    let text = reqwest::get(format!("http://{address}/metrics"))
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert_eq!(value(&text, "pkgindex_connections"), 7.0);
    assert_eq!(value(&text, "pkgindex_lines_total"), 8.0);
    served.abort();
}

#[tokio::test]
async fn both_kinds_of_addresses_are_served() {
    let addresses = ["127.0.0.1:0".parse().unwrap(), "[::1]:0".parse().unwrap()];
    let http = Http::bind(&addresses, HttpOptions::default()).await.unwrap();
    let bound = http.addresses().to_vec();
    let served = tokio::spawn(http.run(in_memory(), Arc::new(Vec::new), std::future::pending()));
    for address in &bound {
        let health = reqwest::get(format!("http://{address}/health")).await.unwrap();
        assert_eq!(health.status(), 200);
    }
    let taken = Http::bind(&bound[..1], HttpOptions::default()).await.unwrap_err();
    assert!(taken.to_string().contains(&bound[0].to_string()), "{taken}");
    served.abort();
}
