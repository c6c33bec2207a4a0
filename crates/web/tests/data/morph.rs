//! The API of morph.io, byte for byte.

use axum::body::Body;
use axum::http::Request;
use registry::{Scope, ScraperSettings};

use crate::place::{Answer, Place};

const FORMS: &str = "CREATE TABLE data(title TEXT, content TEXT, link TEXT, date TEXT, pages); \
    INSERT INTO data VALUES ('DS-82 & <more>', 'a \"b\"', 'https://example.gov/?a=1&b=2', '2014-01-02', 6), ('DS-11', NULL, NULL, 'soon', NULL)";

#[track_caller]
fn is(answer: &Answer, status: u16, media_type: &str, body: &str) {
    assert_eq!((answer.status, answer.body.as_str()), (status, body));
    assert_eq!(answer.header("content-type"), media_type);
}

const JSON: &str = "application/json; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";

#[tokio::test]
async fn rows_are_objects_in_an_array() {
    let place = Place::with(FORMS).await;
    let two = place.query("json", "select title, pages from data").await;
    let expected = "[\n{\"title\":\"DS-82 \\u0026 \\u003cmore\\u003e\",\"pages\":6}\n,{\"title\":\"DS-11\",\"pages\":null}\n]";
    is(&two, 200, JSON, expected);
    assert_eq!(two.header("x-accel-buffering"), "no");
    let one = place
        .query("json", "select title from data limit 1 offset 1")
        .await;
    is(&one, 200, JSON, "[\n{\"title\":\"DS-11\"}\n]");
    let none = place.query("json", "select * from data where 0").await;
    is(&none, 200, JSON, "[\n\n]");
}

#[tokio::test]
async fn a_callback_is_called_with_the_array() {
    let place = Place::with(FORMS).await;
    let ask = |callback: &str| {
        let key = &place.key;
        format!("/ann/forms/data.json?key={key}&query=select+1+as+a&callback={callback}")
    };
    let called = place.get_with(&ask("jQuery.done_1"), &[]).await;
    let javascript = "application/javascript; charset=utf-8";
    is(&called, 200, javascript, "/**/jQuery.done_1([\n{\"a\":1}\n])\n");
    for callback in ["alert(1)//", "", "a%20b", "%3Cscript%3E"] {
        let refused = place.get_with(&ask(callback), &[]).await;
        is(
            &refused,
            400,
            JSON,
            "{\"error\":\"the callback is not the name of a function\"}",
        );
    }
}

#[tokio::test]
async fn rows_are_lines_behind_a_header() {
    let place = Place::with(FORMS).await;
    let rows = place
        .query("csv", "select title, content, pages, '' as empty from data")
        .await;
    let expected = "title,content,pages,empty\nDS-82 & <more>,\"a \"\"b\"\"\",6,\"\"\nDS-11,,,\"\"\n";
    is(&rows, 200, "text/csv; charset=utf-8", expected);
    assert_eq!(
        rows.header("content-disposition"),
        "attachment; filename=forms.csv"
    );
    let none = place.query("csv", "select * from data where 0").await;
    is(&none, 200, "text/csv; charset=utf-8", "");
}

#[tokio::test]
async fn rows_are_entries_of_a_feed_that_does_not_tell_the_key() {
    let place = Place::with(FORMS).await;
    let feed = place.query("atom", "select * from data").await;
    let address = "https://haul.example.gov/ann/forms/data.atom?query=select+*+from+data";
    // The time at which the data came is not of this test.
    let (before, rest) = feed.body.split_once("<updated>").unwrap();
    let (_, after) = rest.split_once("</updated>").unwrap();
    assert_eq!(
        before,
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
        <feed xmlns=\"http://www.w3.org/2005/Atom\" xmlns:dc=\"http://purl.org/dc/elements/1.1/\">\n  \
        <title>Haul: ann/forms</title>\n  <subtitle></subtitle>\n  "
    );
    assert_eq!(
        after,
        format!(
            "\n  <author>\n    <name>ann</name>\n  </author>\n  <id>{address}</id>\n  \
            <link href=\"https://haul.example.gov/ann/forms\"/>\n  <link href=\"{address}\" rel=\"self\"/>\n  \
            <entry>\n    <title>DS-82 &amp; &lt;more&gt;</title>\n    <content>a &quot;b&quot;</content>\n    \
            <link href=\"https://example.gov/?a=1&amp;b=2\"/>\n    <id>https://example.gov/?a=1&amp;b=2</id>\n    \
            <updated>2014-01-02T00:00:00+00:00</updated>\n  </entry>\n  \
            <entry>\n    <title>DS-11</title>\n    <content></content>\n    <link href=\"\"/>\n    <id></id>\n    \
            <updated></updated>\n  </entry>\n</feed>\n"
        )
    );
    assert_eq!(feed.header("content-type"), "application/atom+xml; charset=utf-8");
}

#[tokio::test]
async fn the_scraper_is_looked_for_before_the_key() {
    let place = Place::with(FORMS).await;
    for name in ["ann/nothing", "bob/forms", "-/forms"] {
        let json = place.get_with(&format!("/{name}/data.json"), &[]).await;
        is(
            &json,
            404,
            JSON,
            &format!("{{\"error\":\"can't find scraper {name}\"}}"),
        );
        for format in ["csv", "atom", "sqlite"] {
            let text = place.get_with(&format!("/{name}/data.{format}"), &[]).await;
            is(&text, 404, TEXT, &format!("can't find scraper {name}"));
        }
    }
}

#[tokio::test]
async fn the_key_is_looked_for_before_the_question() {
    let place = Place::with(FORMS).await;
    let other = place.issue(vec![Scope::Run, Scope::Manage]).await;
    for (query, said) in [
        ("", "API key is missing"),
        ("?query=nonsense", "API key is missing"),
        ("?key=", "API key is not valid"),
        ("?key=wrong&query=nonsense", "API key is not valid"),
        (&format!("?key={other}"), "API key is not valid"),
    ] {
        let json = place.get_with(&format!("/ann/forms/data.json{query}"), &[]).await;
        is(&json, 401, JSON, &format!("{{\"error\":\"{said}\"}}"));
        for format in ["csv", "atom", "sqlite"] {
            let text = place
                .get_with(&format!("/ann/forms/data.{format}{query}"), &[])
                .await;
            is(&text, 401, TEXT, said);
        }
    }
}

#[tokio::test]
async fn keys_come_in_three_ways() {
    let place = Place::with(FORMS).await;
    let (key, bearer) = (place.key.as_str(), format!("Bearer {}", place.key));
    let path = "/ann/forms/data.json?query=select+1";
    let with = |headers: &[(&'static str, &str)], parameter: &str| {
        let headers: Vec<(&'static str, String)> = headers
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned()))
            .collect();
        let (place, path) = (&place, format!("{path}{parameter}"));
        async move {
            let headers: Vec<(&str, &str)> = headers
                .iter()
                .map(|(name, value)| (*name, value.as_str()))
                .collect();
            place.get_with(&path, &headers).await.status
        }
    };
    assert_eq!(with(&[("x-api-key", key)], "").await, 200);
    assert_eq!(with(&[("authorization", &bearer)], "").await, 200);
    assert_eq!(with(&[], &format!("&key={key}")).await, 200);
    // The header wins over the parameter, this over the other header.
    assert_eq!(with(&[("x-api-key", key)], "&key=wrong").await, 200);
    assert_eq!(with(&[("x-api-key", "wrong")], &format!("&key={key}")).await, 401);
    assert_eq!(
        with(&[("authorization", "Bearer wrong")], &format!("&key={key}")).await,
        200
    );
    assert_eq!(with(&[("authorization", &bearer)], "&key=wrong").await, 401);
    assert_eq!(with(&[("authorization", &format!("Basic {key}"))], "").await, 401);
}

#[tokio::test]
async fn what_sqlite_says_is_told() {
    let place = Place::with(FORMS).await;
    for (sql, said) in [
        ("", "No query specified"),
        (" \n ", "No query specified"),
        ("select * from missing", "no such table: missing"),
        ("selec", "near \"selec\": syntax error"),
        ("delete from data", "not authorized"),
        ("attach 'x' as y", "not authorized"),
    ] {
        let json = place.query("json", sql).await;
        let mut error = serde_json::to_string(said).unwrap();
        error.insert_str(0, "{\"error\":");
        is(&json, 400, JSON, &format!("{error}}}"));
        for format in ["csv", "atom"] {
            is(&place.query(format, sql).await, 400, TEXT, said);
        }
    }
    let path = format!("/ann/forms/data.json?key={}", place.key);
    let missing = place.get_with(&path, &[]).await;
    is(&missing, 400, JSON, "{\"error\":\"No query specified\"}");
}

#[tokio::test]
async fn what_is_public_needs_a_key_here_too() {
    let settings = ScraperSettings {
        public: true,
        ..ScraperSettings::default()
    };
    let place = Place::with_settings(settings).await;
    let none = place.get_with("/ann/forms/data.json?query=select+1", &[]).await;
    is(&none, 401, JSON, "{\"error\":\"API key is missing\"}");
    let empty = place.query("json", "select 1").await;
    is(
        &empty,
        400,
        JSON,
        "{\"error\":\"ann/forms has no data yet; run it first\"}",
    );
}

#[tokio::test]
async fn comments_end_with_their_lines() {
    let place = Place::with(FORMS).await;
    let answer = place.query("json", "select 1 as a -- one\n, 2 as b").await;
    is(&answer, 200, JSON, "[\n{\"a\":1,\"b\":2}\n]");
}

#[tokio::test]
async fn a_column_that_is_there_twice_is_told_once() {
    let place = Place::with(FORMS).await;
    let answer = place.query("json", "select 1 as a, 2 as b, 3 as a").await;
    is(&answer, 200, JSON, "[\n{\"a\":3,\"b\":2}\n]");
    let lines = place.query("csv", "select 1 as a, 2 as b, 3 as a").await;
    assert_eq!(lines.body, "a,b\n3,2\n");
}

#[tokio::test]
async fn the_database_is_downloaded_whole_in_parts_or_not_again() {
    let place = Place::with(FORMS).await;
    let path = "/ann/forms/data.sqlite";
    let whole = place.get(path).await;
    assert_eq!(whole.status, 200);
    assert!(whole.body.starts_with("SQLite format 3\0"));
    assert_eq!(whole.header("content-type"), "application/vnd.sqlite3");
    assert_eq!(
        whole.header("content-disposition"),
        "attachment; filename=\"forms.sqlite\""
    );
    let (key, tag) = (place.key.as_str(), whole.header("etag"));
    let part = place
        .get_with(path, &[("x-api-key", key), ("range", "bytes=0-15")])
        .await;
    assert_eq!((part.status, part.body.as_str()), (206, "SQLite format 3\0"));
    let held = place
        .get_with(path, &[("x-api-key", key), ("if-none-match", tag)])
        .await;
    assert_eq!((held.status, held.body.as_str()), (304, ""));
    let stale = [
        ("x-api-key", key),
        ("range", "bytes=0-15"),
        ("if-range", "\"other\""),
    ];
    assert_eq!(place.get_with(path, &stale).await.status, 200);
}

#[tokio::test]
async fn only_the_head_is_sent_to_whom_wants_no_more() {
    let place = Place::with(FORMS).await;
    let path = format!("/ann/forms/data.json?key={}&query=select+1", place.key);
    let request = Request::head(path).body(Body::empty()).unwrap();
    let head = place.send(request).await;
    is(&head, 200, JSON, "");
}
