//! Our own paths: tables, questions, pages.

use axum::body::Body;
use axum::http::{Request, header};
use registry::ScraperSettings;
use serde_json::json;
use web::Access;

use crate::place::{Answer, Place};

const BASE: &str = "/api/v1/scrapers/ann/forms";
const FORMS: &str = "CREATE TABLE forms(id INTEGER PRIMARY KEY, name TEXT, seal BLOB); \
    INSERT INTO forms VALUES (1, 'DS-82', x'ff00'), (2, 'DS-11', NULL), (3, 'W-9', NULL); \
    CREATE TABLE data(a, b, PRIMARY KEY(b)) WITHOUT ROWID";

async fn post(place: &Place, body: &str) -> Answer {
    let request = Request::post(format!("{BASE}/query"))
        .header("x-api-key", &place.key)
        .header(header::CONTENT_TYPE, "application/json");
    place
        .send(request.body(Body::from(body.to_owned())).unwrap())
        .await
}

#[track_caller]
fn is_problem(answer: &Answer, status: u16, says: &str) {
    assert_eq!(answer.status, status, "{}", answer.body);
    assert_eq!(answer.header("content-type"), "application/problem+json");
    let detail = answer.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains(says), "{detail}");
}

#[tokio::test]
async fn tables_are_listed() {
    let place = Place::with(FORMS).await;
    let tables = place.get(&format!("{BASE}/tables")).await;
    let expected = json!({
        "version": 1,
        "tables": [
            {"name": "data", "columns": ["a", "b"], "key": ["b"], "rows": 0},
            {"name": "forms", "columns": ["id", "name", "seal"], "key": ["id"], "rows": 3},
        ],
    });
    assert_eq!(tables.json(), expected);
}

#[tokio::test]
async fn tables_are_leafed_through() {
    let place = Place::with(FORMS).await;
    let first = place.get(&format!("{BASE}/tables/forms?_size=2")).await.json();
    assert_eq!(
        first["rows"],
        json!([
            {"id": 1, "name": "DS-82", "seal": {"$base64": true, "encoded": "/wA="}},
            {"id": 2, "name": "DS-11", "seal": null},
        ])
    );
    assert_eq!(first["columns"][1], json!({"name": "name", "declared": "TEXT"}));
    let next = first["next"].as_str().unwrap();
    let second = place
        .get(&format!("{BASE}/tables/forms?_size=2&_next={next}"))
        .await
        .json();
    assert_eq!(
        (&second["rows"][0]["id"], &second["next"]),
        (&json!(3), &json!(null))
    );
    is_problem(
        &place.get(&format!("{BASE}/tables/nothing")).await,
        404,
        "no such table: nothing",
    );
    is_problem(
        &place.get(&format!("{BASE}/tables/forms?_next=x")).await,
        404,
        "no place in the table",
    );
    is_problem(
        &place.get(&format!("{BASE}/tables/forms?_size=0")).await,
        400,
        "from 1 to 1000",
    );
}

#[tokio::test]
async fn answers_come_in_three_forms() {
    let place = Place::with(FORMS).await;
    let ask = |format: &str| {
        let path = format!(
            "{BASE}/query?sql=SELECT+id,+name,+1.5+AS+id+FROM+forms+WHERE+id+%3C+:below&below=3&format={format}"
        );
        let place = &place;
        async move { place.get(&path).await }
    };
    let json = ask("json").await;
    assert_eq!(json.header("content-type"), "application/json");
    assert_eq!(
        json.body,
        "{\"columns\":[\"id\",\"name\",\"id\"],\"rows\":[\n[1,\"DS-82\",1.5],\n[2,\"DS-11\",1.5]\n],\"truncated\":false}\n"
    );
    let lines = ask("ndjson").await;
    assert_eq!(lines.header("content-type"), "application/x-ndjson");
    assert_eq!(lines.body.lines().count(), 2);
    let fields = ask("csv").await;
    assert_eq!(fields.header("content-type"), "text/csv; charset=utf-8");
    assert_eq!(fields.body, "id,name,id\n1,DS-82,1.5\n2,DS-11,1.5\n");
    is_problem(&ask("xml").await, 400, "json, ndjson or csv");
}

#[tokio::test]
async fn long_questions_are_posted_with_values_of_every_kind() {
    let place = Place::with(FORMS).await;
    let body = json!({
        "sql": "SELECT :a AS a, :b AS b, :c AS c, :d AS d, :e AS e",
        "parameters": {"a": 1, "b": 1.5, "c": "é", "d": null, "e": true},
        "format": "ndjson",
    });
    let answer = post(&place, &body.to_string()).await;
    assert_eq!(
        answer.body,
        "{\"a\":1,\"b\":1.5,\"c\":\"é\",\"d\":null,\"e\":1}\n"
    );
    is_problem(
        &post(&place, "{\"sql\":\"SELECT\"}").await,
        400,
        "incomplete input",
    );
    is_problem(&post(&place, "{\"sql\":\"\"}").await, 400, "No query specified");
    is_problem(
        &post(&place, "{\"sql\":\"SELECT :a\",\"parameters\":{\"a\":[]}}").await,
        400,
        "a number or a text",
    );
    is_problem(
        &post(&place, "{\"sql\":\"DROP TABLE forms\"}").await,
        400,
        "not authorized",
    );
}

#[tokio::test]
async fn questions_have_names() {
    let mut settings = ScraperSettings::default();
    settings
        .queries
        .insert("by-name".into(), "SELECT id FROM forms WHERE name = :name".into());
    let place = Place::with_settings(settings).await;
    place.import(FORMS).await;
    let found = place
        .get(&format!("{BASE}/queries/by-name?name=W-9&format=csv"))
        .await;
    assert_eq!(found.body, "id\n3\n");
    is_problem(
        &place.get(&format!("{BASE}/queries/other")).await,
        404,
        "there are: by-name",
    );
}

#[tokio::test]
async fn who_may_read_depends_on_the_scraper_and_the_server() {
    let path = format!("{BASE}/query?sql=SELECT+1");
    let place = Place::with(FORMS).await;
    is_problem(&place.get_with(&path, &[]).await, 401, "API key is missing");
    is_problem(
        &place.get_with(&path, &[("x-api-key", "wrong")]).await,
        401,
        "API key is not valid",
    );
    assert_eq!(
        place
            .get_with(&format!("{path}&key={}", place.key), &[])
            .await
            .status,
        200
    );
    is_problem(
        &place.get("/api/v1/scrapers/ann/other/tables").await,
        404,
        "can't find scraper ann/other",
    );
    let settings = ScraperSettings {
        public: true,
        ..ScraperSettings::default()
    };
    let public = Place::with_settings(settings).await;
    is_problem(&public.get_with(&path, &[]).await, 404, "has no data yet");
    public.import(FORMS).await;
    assert_eq!(public.get_with(&path, &[]).await.status, 200);
    let open = Place::start(ScraperSettings::default(), Access::default()).await;
    open.import(FORMS).await;
    assert_eq!(open.get_with(&path, &[]).await.status, 200);
}
