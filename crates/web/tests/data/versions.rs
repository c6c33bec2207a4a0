use registry::ScraperSettings;
use serde_json::json;

use crate::place::Place;

const BASE: &str = "/api/v1/scrapers/ann/forms";

fn forms(rows: &str) -> String {
    format!(
        "CREATE TABLE data(id TEXT PRIMARY KEY, x, date_scraped); INSERT INTO data VALUES {rows}; CREATE TABLE log(line)"
    )
}

async fn place() -> Place {
    let settings = ScraperSettings {
        ignore_columns: vec!["date_scraped".into()],
        ..ScraperSettings::default()
    };
    Place::with_settings(settings).await
}

#[tokio::test]
async fn what_changed_since_a_run_is_told_by_key() {
    let place = place().await;
    let first = place
        .run(&forms("('a', 1, 'mo'), ('b', 2, 'mo'), ('c', 3, 'mo')"), 100)
        .await;
    let second = place
        .run(&forms("('a', 1, 'tu'), ('b', 20, 'tu'), ('d', 4, 'tu')"), 200)
        .await;
    let changes = place.get(&format!("{BASE}/changes?since={first}")).await;
    assert_eq!(
        changes.json(),
        json!({
            "from": 1,
            "to": 2,
            "changes": [
                {"table": "data", "change": "changed", "key": {"id": "b"}},
                {"table": "data", "change": "removed", "key": {"id": "c"}},
                {"table": "data", "change": "added", "key": {"id": "d"}},
            ],
            "truncated": false,
        })
    );
    let some = place
        .get(&format!("{BASE}/changes?since={first}&_size=1"))
        .await
        .json();
    assert_eq!(
        (some["changes"].as_array().unwrap().len(), &some["truncated"]),
        (1, &json!(true))
    );
    let all = place
        .get(&format!("{BASE}/changes?since={first}&_size=3"))
        .await
        .json();
    assert_eq!(all["truncated"], json!(false));
    let none = place.get(&format!("{BASE}/changes?since={second}")).await.json();
    assert_eq!(none["changes"], json!([]));
    assert_eq!(place.get(&format!("{BASE}/changes?since=99")).await.status, 404);
    assert_eq!(place.get(&format!("{BASE}/changes")).await.status, 400);
    assert_eq!(
        place
            .get_with(&format!("{BASE}/changes?since={first}"), &[])
            .await
            .status,
        401
    );
}

#[tokio::test]
async fn a_run_that_left_the_data_as_it_was_can_be_asked_about() {
    let place = place().await;
    place.run(&forms("('a', 1, 'mo')"), 100).await;
    let second = place.run(&forms("('a', 1, 'mo')"), 200).await;
    let failed = place.fail(300).await;
    let since = async |run| place.get(&format!("{BASE}/changes?since={run}")).await.json();
    for run in [second, failed] {
        assert_eq!(
            since(run).await,
            json!({"from": 1, "to": 1, "changes": [], "truncated": false})
        );
    }
    place.run(&forms("('a', 2, 'mo')"), 400).await;
    for run in [second, failed] {
        let told = since(run).await;
        assert_eq!(
            (
                &told["from"],
                &told["to"],
                told["changes"].as_array().unwrap().len()
            ),
            (&json!(1), &json!(2), 1)
        );
    }
}

#[tokio::test]
async fn any_two_versions_are_compared() {
    let place = place().await;
    for rows in [
        "('a', 1, 'mo')",
        "('a', 2, 'mo')",
        "('a', 2, 'mo'), ('b', 1, 'mo')",
    ] {
        place.import(&forms(rows)).await;
    }
    let compare = async |path: &str| place.get(&format!("{BASE}/versions/{path}")).await;
    let changed = json!([{"table": "data", "change": "changed", "key": {"id": "a"}}]);
    assert_eq!(compare("1/changes?to=2").await.json()["changes"], changed);
    let newest = compare("2/changes").await.json();
    assert_eq!(
        (&newest["to"], &newest["changes"][0]["change"]),
        (&json!(3), &json!("added"))
    );
    let back = compare("3/changes?to=2").await.json();
    assert_eq!(back["changes"][0]["change"], "removed");
    assert_eq!(compare("9/changes").await.status, 404);
    assert_eq!(compare("1/changes?to=x").await.status, 400);
}

#[tokio::test]
async fn older_versions_are_downloaded() {
    let place = place().await;
    place.import(&forms("('a', 1, 'mo')")).await;
    place.import(&forms("('a', 2, 'mo')")).await;
    let (one, two) = (
        format!("{BASE}/versions/1/data.sqlite"),
        format!("{BASE}/versions/2/data.sqlite"),
    );
    let (one, two) = (place.get(&one).await, place.get(&two).await);
    assert_eq!((one.status, two.status), (200, 200));
    assert_ne!(one.header("etag"), two.header("etag"));
    assert_eq!(
        one.header("content-disposition"),
        "attachment; filename=\"forms-1.sqlite\""
    );
    assert_eq!(two.body, place.get("/ann/forms/data.sqlite").await.body);
    assert_eq!(
        place.get(&format!("{BASE}/versions/3/data.sqlite")).await.status,
        404
    );
    assert_eq!(
        place.get(&format!("{BASE}/versions/x/data.sqlite")).await.status,
        400
    );
}
