use pkgindex::HttpOptions;
use reqwest::Method;
use serde_json::json;

use crate::port::{Answer, Port, in_memory};

async fn empty() -> Port {
    Port::of(in_memory(), HttpOptions::default()).await
}

async fn post_json(port: &Port, body: &str) -> Answer {
    let request = port.request(Method::POST, "/v1/batch").body(body.to_owned());
    let request = request.header("content-type", "application/json; charset=utf-8");
    Answer::of(request.send().await.unwrap()).await
}

#[tokio::test]
async fn each_line_is_answered_with_its_reason() {
    let port = empty().await;
    let lines = "INDEX|app|tls,libc\nINDEX|libc|\nINDEX|tls|libc\nREMOVE|libc|\nQUERY|nobody|\nindex|a|\nQUERY|tls|\n";
    let answer = port.post("/v1/commands", lines).await.json();
    assert_eq!(
        answer,
        json!({"revision": 2, "replies": [
            {"answer": "FAIL", "revision": 0, "refusal": {
                "package": "app", "reason": "missing", "packages": ["libc", "tls"], "count": 2,
                "why": "app depends on what is not indexed: libc, tls"}},
            {"answer": "OK", "revision": 1},
            {"answer": "OK", "revision": 2},
            {"answer": "FAIL", "revision": 2, "refusal": {
                "package": "libc", "reason": "dependents", "packages": ["tls"], "count": 1,
                "why": "libc is a dependency of tls"}},
            {"answer": "FAIL", "revision": 2, "refusal": {
                "package": "nobody", "reason": "not-indexed", "why": "nobody is not indexed"}},
            {"answer": "ERROR", "revision": 2, "error": "the verb is not INDEX, REMOVE or QUERY"},
            {"answer": "OK", "revision": 2},
        ]})
    );
}

#[tokio::test]
async fn any_bytes_are_answered() {
    let port = empty().await;
    let answer = port
        .post("/v1/commands", vec![0xff, b'\n', 0, b'|', b'\n', b'\n'])
        .await
        .json();
    let replies = answer["replies"].as_array().unwrap();
    assert_eq!(replies.len(), 3);
    assert!(replies.iter().all(|reply| reply["answer"] == "ERROR"));
    let nothing = port.post("/v1/commands", "").await.json();
    assert_eq!(nothing, json!({"revision": 0, "replies": []}));
}

#[tokio::test]
async fn bodies_have_limits() {
    let options = HttpOptions {
        body_bytes: 1_000,
        commands: 10,
        ..HttpOptions::default()
    };
    let port = Port::of(in_memory(), options).await;
    port.post("/v1/commands", "\n".repeat(10)).await.json();
    port.post("/v1/commands", "\n".repeat(11))
        .await
        .problem(413, "more than 10 lines");
    for path in ["/v1/commands", "/v1/batch"] {
        port.post(path, "x".repeat(1_001))
            .await
            .problem(413, "larger than is allowed");
    }
}

#[tokio::test]
async fn a_batch_is_done_wholly_or_not_at_all() {
    let port = empty().await;
    let both = port.post("/v1/batch", "INDEX|a|b\nINDEX|b|a\n").await.json();
    assert_eq!(both, json!({"revision": 1}));
    let refused = port.post("/v1/batch", "INDEX|c|\nINDEX|d|e\nREMOVE|a|\n").await;
    let problem = refused.problem(409, "d depends on what is not indexed: e");
    assert_eq!(
        problem["refusals"],
        json!([
            {"package": "d", "reason": "missing", "packages": ["e"], "count": 1,
             "why": "d depends on what is not indexed: e"},
            {"package": "a", "reason": "dependents", "packages": ["b"], "count": 1, "why": "a is a dependency of b"},
        ])
    );
    port.get("/v1/package?name=c")
        .await
        .problem(404, "c is not indexed");
    port.post("/v1/batch", "INDEX|c|\nQUERY|c|\n")
        .await
        .problem(400, "line 2: a batch has only INDEX and REMOVE");
}

#[tokio::test]
async fn a_batch_may_be_json() {
    let port = empty().await;
    let body =
        r#"{"index": [{"package": "a", "dependencies": ["@b/c"]}, {"package": "@b/c"}], "remove": ["d"]}"#;
    let done = post_json(&port, body).await.json();
    assert_eq!(done["revision"], 1);
    let why = port.get("/v1/why?from=a&to=@b/c").await.json();
    assert_eq!(why["path"], json!(["a", "@b/c"]));
}

#[tokio::test]
async fn a_batch_of_json_cannot_smuggle_lines() {
    let port = Port::with("INDEX|victim|\n").await;
    for (body, detail) in [
        (r#"{"remove": ["a|\nREMOVE|victim"]}"#, "not one of a-z"),
        (r#"{"index": [{"package": "a|"}]}"#, "not one of a-z"),
        (
            r#"{"index": [{"package": "a", "dependencies": ["b,victim"]}]}"#,
            "not one of a-z",
        ),
        (
            r#"{"index": [{"package": "a", "dependencies": [""]}]}"#,
            "the name is empty",
        ),
        (r#"{"index": [{"package": "a"}"#, "EOF while parsing"),
        (r#"{"indx": []}"#, "unknown field `indx`"),
        (r#"{"index": [{"dependencies": []}]}"#, "missing field `package`"),
        ("INDEX|a|", "expected value at line 1 column 1"),
        ("", "EOF while parsing"),
    ] {
        post_json(&port, body).await.problem(400, detail);
    }
    assert_eq!(port.index.sizes().revision.0, 1);
    assert_eq!(port.index.sizes().packages, 1);
}

#[tokio::test]
async fn a_batch_may_insist_on_a_revision() {
    let port = Port::with("INDEX|a|\n").await;
    port.post("/v1/batch?base=1", "INDEX|b|\n").await.json();
    let late = port.post("/v1/batch?base=1", "INDEX|c|\n").await;
    assert_eq!(
        late.problem(409, "the index is at revision 2 by now")["revision"],
        2
    );
    assert_eq!(port.index.sizes().packages, 2);
    port.post("/v1/batch?base=-1", "")
        .await
        .problem(400, "a number from 0");
}
