//! morph's words in addresses, and signatures.

use std::sync::LazyLock;

use notify::{expand, payload, signature};
use proptest::prelude::*;
use registry::{Outcome, Run};

use crate::world::{BASE, World, failed, succeeded};

async fn run(ending: registry::Ending) -> Run {
    let world = World::new().await;
    let run = world.end(ending).await;
    world.registry.run(run).await.unwrap()
}

#[tokio::test]
async fn every_word_becomes_its_value() {
    let run = run(succeeded()).await;
    for (word, value) in [
        ("ADDED", "12"),
        ("REMOVED", "2"),
        ("CHANGED", "3"),
        ("UNCHANGED", "80"),
        ("AUTO", "false"),
        ("COMMIT", "0123456789abcdef0123456789abcdef01234567"),
        ("REVISION", "01234567"),
        ("OUTCOME", "success"),
        ("RUN", "1"),
        ("RUN_TIME", "61"),
        ("SCRAPER", "Alice%2FParks"),
        ("STATUS_CODE", "0"),
    ] {
        let url = |word: &str| format!("https://example.org/{word}/x?a={word}&b={word}");
        assert_eq!(expand(&url(word), &run), url(value));
    }
}

#[tokio::test]
async fn only_whole_words_behind_the_host_are_replaced() {
    let run = run(succeeded()).await;
    for (url, expected) in [
        (
            "https://example.org/ADDED-REMOVED.ADDED",
            "https://example.org/12-2.12",
        ),
        (
            "https://example.org/UNADDED/ADDED_/ADDED1/added",
            "https://example.org/UNADDED/ADDED_/ADDED1/added",
        ),
        (
            "https://example.org/?text=%20ADDED%2CREMOVED",
            "https://example.org/?text=%2012%2C2",
        ),
        ("https://example.org/%ADDED", "https://example.org/%ADDED"),
        ("https://RUN.example.org:81/RUN", "https://run.example.org:81/1"),
        ("https://example.org/?ADDED=ADDED", "https://example.org/?12=12"),
        (
            "https://example.org/é/RUN_TIME#ADDED",
            "https://example.org/%C3%A9/61",
        ),
        ("no address", "no address"),
    ] {
        assert_eq!(expand(url, &run), expected, "{url}");
    }
}

#[tokio::test]
async fn failures_have_morphs_words_too() {
    let failed = run(failed()).await;
    assert_eq!(
        expand("https://e.org/OUTCOME/STATUS_CODE/COMMIT", &failed),
        "https://e.org/failed/3/"
    );
    let empty = run(registry::Ending::new(Outcome::NoData, "")).await;
    assert_eq!(
        expand("https://e.org/OUTCOME/STATUS_CODE", &empty),
        "https://e.org/failed/998"
    );
}

#[tokio::test]
async fn nothing_is_said_of_a_run_that_is_not_over() {
    let mut run = run(succeeded()).await;
    run.ending = None;
    assert_eq!(payload(1, &run, BASE), None);
    assert_eq!(expand("https://e.org/ADDED", &run), "https://e.org/ADDED");
}

/// The example of GitHub's documentation, so that its users' code checks ours.
#[test]
fn signatures_are_githubs() {
    let signature = signature("It's a Secret to Everybody", b"Hello, World!");
    let expected = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    assert_eq!(signature, expected);
}

static SUCCEEDED: LazyLock<Run> = LazyLock::new(|| {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(run(succeeded()))
});

proptest! {
    #[test]
    fn no_address_is_too_odd(rest in "[A-Z_%/?&=#.é 0-9a-f]{0,40}") {
        let expanded = expand(&format!("https://example.org/{rest}"), &SUCCEEDED);
        prop_assert!(expanded.starts_with("https://example.org/"));
        prop_assert!(expanded.is_ascii());
    }
}
