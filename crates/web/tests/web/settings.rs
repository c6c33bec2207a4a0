//! Sources: added, changed, deleted.

use axum::http::Method;
use model::SourceId;
use serde_json::{Value, json};

use crate::client::{Answer, get, send_json, submit};
use crate::fixture::{Parts, add, start};

async fn post(parts: &Parts, body: &Value) -> Answer {
    send_json(&parts.router, Method::POST, "/api/v1/sources", &body.to_string()).await
}

async fn put(parts: &Parts, source: &str, body: &Value) -> Answer {
    let path = format!("/api/v1/sources/{source}");
    send_json(&parts.router, Method::PUT, &path, &body.to_string()).await
}

#[tokio::test]
async fn a_source_lives_from_post_to_delete() {
    let parts = Parts::start().await;
    let site = json!({"start": ["HTTPS://Example.gov"], "max_pages": 10});
    let new = json!({"settings": {"name": "Example", "site": site}});
    let added = post(&parts, &new).await;
    assert_eq!(
        (added.status.as_u16(), added.header("location")),
        (201, "/api/v1/sources/example.gov"),
        "{}",
        added.body
    );
    let source = get(&parts.router, added.header("location")).await.json();
    assert_eq!(source, added.json());
    assert_eq!(
        (&source["id"], &source["state"]),
        (&json!("example.gov"), &json!("idle"))
    );
    let site = &source["settings"]["site"];
    assert_eq!(
        (&site["start"][0], &site["max_pages"], &site["obey_robots"]),
        (&json!("https://example.gov/"), &json!(10), &json!(true))
    );
    let listed = get(&parts.router, "/api/v1/sources").await.json();
    assert_eq!(listed["sources"], json!([source]));
    post(&parts, &new).await.is_problem(409, "exists already");
    let deleted = send_json(&parts.router, Method::DELETE, "/api/v1/sources/example.gov", "").await;
    assert_eq!(
        (deleted.status.as_u16(), &deleted.json()["state"]),
        (202, &json!("deleting"))
    );
    send_json(
        &parts.router,
        Method::POST,
        "/api/v1/sources/example.gov/crawls",
        "",
    )
    .await
    .is_problem(409, "is being deleted");
    get(&parts.router, "/sources/example.gov")
        .await
        .is_page(200, &["Being deleted"]);
    send_json(&parts.router, Method::DELETE, "/api/v1/sources/none", "")
        .await
        .is_problem(404, "none does not exist");
}

#[tokio::test]
async fn what_is_wrong_with_a_source_is_said() {
    let parts = Parts::start().await;
    let refused = async |settings: Value, says: &str| {
        post(&parts, &json!({"settings": settings}))
            .await
            .is_problem(400, says);
    };
    let start = json!(["https://a.gov/"]);
    send_json(&parts.router, Method::POST, "/api/v1/sources", "")
        .await
        .is_problem(400, "the body is not what is expected");
    refused(json!({"site": {}}), "at least one start URL").await;
    refused(
        json!({"site": {"start": ["javascript:alert(1)"]}}),
        "only http and https",
    )
    .await;
    refused(
        json!({"site": {"start": start, "max_page": 1}}),
        "unknown field `max_page`",
    )
    .await;
    refused(
        json!({"site": {"start": start}, "live": {"on": true}}),
        "unknown field `on`",
    )
    .await;
    refused(json!({"site": {"start": start, "hosts": ["a/b"]}}), "host").await;
    refused(
        json!({"site": {"start": start}, "retry": {"multiplier": 0.5}}),
        "multiplier",
    )
    .await;
    refused(
        json!({"site": {"start": start}, "orphans": {"grace_crawls": 0}}),
        "grace_crawls",
    )
    .await;
    refused(
        json!({"site": {"start": start}, "orphans": {"guard_percent": 101}}),
        "0 to 100",
    )
    .await;
    refused(
        json!({"site": {"start": start}, "schedule": "now and then"}),
        "every 6h",
    )
    .await;
    refused(json!({"place": {"kind": "bucket", "address": "ftp://x"}}), "ftp").await;
    refused(json!({"place": {"kind": "feed"}}), "at least one start URL").await;
    post(
        &parts,
        &json!({"id": "A B", "settings": {"site": {"start": start}}}),
    )
    .await
    .is_problem(400, "use 1 to 64 of a-z");
}

#[tokio::test]
async fn buckets_and_feeds_have_a_base_that_ends_in_a_slash() {
    let parts = Parts::start().await;
    let added = async |settings: Value| post(&parts, &json!({"settings": settings})).await.json();
    let bucket = added(json!({"place": {"kind": "bucket", "address": "s3://docs.example.org/manual"}})).await;
    assert_eq!(
        (&bucket["id"], &bucket["settings"]["site"]["start"]),
        (
            &json!("docs.example.org"),
            &json!(["https://docs.example.org/manual/"])
        )
    );
    let feed = added(json!({"place": {"kind": "feed"}, "site": {"start": ["https://news.gov/a"]}})).await;
    assert_eq!(feed["settings"]["site"]["start"], json!(["https://news.gov/a/"]));
    send_json(&parts.router, Method::POST, "/api/v1/sources/news.gov/crawls", "")
        .await
        .is_problem(409, "is a feed");
}

#[tokio::test]
async fn a_folder_is_added_only_below_a_place_that_is_allowed() {
    let parts = Parts::start().await;
    let (open, closed) = (
        parts.folder.path().join("open/docs"),
        parts.folder.path().join("closed"),
    );
    for folder in [&open, &closed] {
        std::fs::create_dir_all(folder).unwrap();
    }
    std::os::unix::fs::symlink(&closed, open.join("way-out")).unwrap();
    let folder = |path: &std::path::Path| json!({"settings": {"place": {"kind": "folder", "path": path}, "site": {"start": ["https://docs.test/"]}}});
    for path in [
        &closed,
        &open.join("way-out"),
        &open.join("../../closed"),
        &open.join("none"),
    ] {
        post(&parts, &folder(path))
            .await
            .is_problem(403, "haul source add");
    }
    let added = post(&parts, &folder(&open)).await;
    assert_eq!(added.status.as_u16(), 201, "{}", added.body);
    let mut elsewhere = folder(&closed);
    elsewhere["configuration"] = json!(1);
    put(&parts, "docs.test", &elsewhere)
        .await
        .is_problem(403, "may not be added here");
}

#[tokio::test]
async fn settings_are_changed_by_who_read_the_newest_and_every_version_stays() {
    let parts = Parts::start().await;
    add(&parts.crawldb, "forms").await;
    let mut settings = get(&parts.router, "/api/v1/sources/forms").await.json()["settings"].clone();
    settings["schedule"] = json!("every 6h");
    settings["retry"]["max_retries"] = json!(7);
    let body = json!({"configuration": 1, "settings": settings});
    let changed = put(&parts, "forms", &body).await;
    assert_eq!(
        (changed.status.as_u16(), &changed.json()["configuration"]),
        (200, &json!(2))
    );
    put(&parts, "forms", &body)
        .await
        .is_problem(409, "changed meanwhile");
    let kind = json!({"configuration": 2, "settings": {"place": {"kind": "feed"}}});
    put(&parts, "forms", &kind)
        .await
        .is_problem(400, "kind of a source cannot be changed");
    put(&parts, "none", &body)
        .await
        .is_problem(404, "none does not exist");
    let versions = get(&parts.router, "/api/v1/sources/forms/configurations")
        .await
        .json();
    let retries = |at: usize| versions["configurations"][at]["settings"]["retry"]["max_retries"].clone();
    assert_eq!((retries(0), retries(1)), (json!(3), json!(7)));
}

#[tokio::test]
async fn the_form_of_the_settings_changes_what_it_shows_and_keeps_the_rest() {
    let parts = Parts::start().await;
    let mut site = json!({"start": ["https://a.gov/"], "resolve": ["a.gov:443:127.0.0.1"]});
    site["exclude"] = json!(["https://a.gov/old"]);
    post(
        &parts,
        &json!({"id": "a", "settings": {"name": "A", "site": site}}),
    )
    .await;
    let page = get(&parts.router, "/sources/a/settings").await;
    page.is_page(
        200,
        &[
            "Settings of A",
            "name=\"configuration\" value=\"1\"",
            "https://a.gov/old",
        ],
    );
    let fields = "configuration=1&name=B&schedule=daily&concurrency=queue&deletion=none&start=https%3A%2F%2Fa.gov%2F%0D%0A\
        https%3A%2F%2Fb.gov%2F&max_pages=5&max_depth=2&concurrency_per_host=1&delay=0.5&max_retries=9&retry_first=2&multiplier=3\
        &retry_longest=60&grace_crawls=2&grace=24&guard_percent=5&guard_items=1&min_seen_percent=50&verify_budget=10&live=yes";
    let saved = submit(&parts.router, "/sources/a/settings", fields).await;
    assert_eq!(
        (saved.status.as_u16(), saved.header("location")),
        (303, "/sources/a"),
        "{}",
        saved.body
    );
    check_saved(&parts).await;
    submit(&parts.router, "/sources/a/settings", fields)
        .await
        .is_page(409, &["changed meanwhile"]);
    submit(
        &parts.router,
        "/sources/a/settings",
        "configuration=2&name=B&multiplier=x",
    )
    .await
    .is_page(400, &["is a number from"]);
    get(&parts.router, "/sources/a/settings").await.is_page(
        200,
        &[
            "<code>retry.max_retries</code>: 3 \u{2192} 9",
            "<code>schedule</code>: nothing \u{2192} daily",
        ],
    );
    get(&parts.router, "/sources/a")
        .await
        .is_page(200, &["waits for its end", "Crawled by itself"]);
}

async fn check_saved(parts: &Parts) {
    let source = parts
        .crawldb
        .source(&SourceId::new("a").unwrap())
        .await
        .unwrap()
        .unwrap();
    let settings = serde_json::to_value(&source.settings).unwrap();
    let shown = [
        (&settings["name"], json!("B")),
        (&settings["schedule"], json!("daily")),
        (&settings["concurrency"], json!("queue")),
        (&settings["deletion"], json!("none")),
        (
            &settings["site"]["start"],
            json!(["https://a.gov/", "https://b.gov/"]),
        ),
        (&settings["site"]["exclude"], json!([])),
        (&settings["site"]["delay_ms"], json!(500)),
        (&settings["site"]["obey_robots"], json!(false)),
        (&settings["site"]["resolve"], json!(["a.gov:443:127.0.0.1"])),
        (&settings["retry"]["initial_ms"], json!(2_000)),
        (&settings["orphans"]["grace_ms"], json!(86_400_000)),
        (&settings["orphans"]["verify"], json!(false)),
        (&settings["live"], json!({"enabled": true, "trust_clock": false})),
    ];
    for (is, should_be) in shown {
        assert_eq!(*is, should_be);
    }
}

#[tokio::test]
async fn a_crawl_waits_where_the_source_says_so() {
    let parts = Parts::start().await;
    let site = json!({"start": ["https://forms.example.gov/"]});
    post(
        &parts,
        &json!({"id": "forms", "settings": {"concurrency": "queue", "site": site}}),
    )
    .await;
    start(
        &parts.crawldb,
        &SourceId::new("forms").unwrap(),
        "another process",
    )
    .await;
    let crawls = "/api/v1/sources/forms/crawls";
    let waits = send_json(&parts.router, Method::POST, crawls, "{\"kind\": \"incremental\"}").await;
    assert_eq!((waits.status.as_u16(), waits.json()), (202, json!({"queued": 1})));
    let source = get(&parts.router, "/api/v1/sources/forms").await.json();
    assert_eq!(source["queued"][0]["kind"], "incremental");
    send_json(&parts.router, Method::POST, crawls, "{\"kind\": \"half\"}")
        .await
        .is_problem(400, "unknown variant `half`");
    get(&parts.router, "/sources/forms")
        .await
        .is_page(200, &["1 crawl waiting", "Watch the crawl"]);
}
