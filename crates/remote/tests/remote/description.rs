use std::collections::BTreeSet;

use crawldb::testkit::{sample_crawl, sample_item, sample_source};
use crawldb::{Configuration, Crawldb, Intent, ItemState};
use model::Timestamp;
use serde::Serialize;
use serde_json::Value;

use crate::documents::document;
use crate::service::Service;

fn described() -> Value {
    serde_json::to_value(remote::openapi()).unwrap()
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// The description of a record names its members as they travel, and their types.
fn check(name: &str, record: &impl Serialize) {
    let document = described();
    let described = document["components"]["schemas"][name]["properties"]
        .as_object()
        .unwrap();
    let record = serde_json::to_value(record).unwrap();
    let record = record.as_object().unwrap();
    let names: BTreeSet<_> = record.keys().collect();
    assert_eq!(described.keys().collect::<BTreeSet<_>>(), names, "{name}");
    for (member, value) in record {
        let types = described[member]["type"].to_string();
        assert!(
            types.contains(kind(value)),
            "{name}.{member} is {types}, not {value}"
        );
    }
}

#[test]
fn records_travel_as_they_are_described() {
    let source = sample_source("docs");
    let crawl = sample_crawl("docs", 1_000);
    let item = sample_item(&crawl, "a.example", 1, ItemState::InFlight);
    check("SourceRecord", &source);
    check("CrawlRecord", &crawl);
    check("ItemRecord", &item);
    check("DocumentRecord", &document(1));
    let at = Timestamp::default();
    let configuration = Configuration {
        source: source.id.clone(),
        number: 1,
        settings: source.settings,
        at,
    };
    check("ConfigurationRecord", &configuration);
    let intent = Intent {
        id: "1".into(),
        source: source.id,
        owner: "testkit".into(),
        items: vec![item.id],
        at,
    };
    check("IntentRecord", &intent);
}

fn operations(document: &Value) -> Vec<&Value> {
    let paths = document["paths"].as_object().unwrap();
    paths
        .values()
        .flat_map(|item| item.as_object().unwrap().values())
        .collect()
}

#[test]
fn every_call_of_both_ports_is_described_with_its_failures() {
    let document = described();
    let operations = operations(&document);
    let ids: BTreeSet<&str> = operations
        .iter()
        .map(|one| one["operationId"].as_str().unwrap())
        .collect();
    assert_eq!(ids.len(), operations.len(), "ids are unique");
    assert_eq!(ids.len(), 31, "one for each call of the ports: {ids:?}");
    for operation in operations {
        for status in ["200", "400", "401", "413", "500", "503"] {
            assert!(
                operation["responses"][status].is_object(),
                "{status} of {operation}"
            );
        }
    }
}

fn references<'a>(value: &'a Value, found: &mut BTreeSet<&'a str>) {
    match value {
        Value::Object(members) => {
            found.extend(members.get("$ref").and_then(Value::as_str));
            members.values().for_each(|member| references(member, found));
        }
        Value::Array(values) => values.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

#[test]
fn what_the_description_refers_to_is_in_it() {
    let document = described();
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    assert!(found.len() > 10, "{found:?}");
    for reference in found {
        let pointer = reference.trim_start_matches('#');
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
}

#[tokio::test]
async fn the_service_describes_itself() {
    let service = Service::of(&Crawldb::memory());
    let url = format!("{}/api/v1/store/openapi.json", service.url());
    let answer = reqwest::get(url).await.unwrap().bytes().await.unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&answer).unwrap(), described());
}
