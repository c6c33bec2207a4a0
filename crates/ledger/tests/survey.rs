//! What a survey finds, and how Prometheus reads it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use crawldb::testkit::{sample_settings, sample_sighting};
use crawldb::{
    Attempt, Crawl, CrawlKind, CrawlStatus, Crawldb, ItemError, ItemErrorKind, Outcome, RetryPolicy, Settings,
};
use ledger::{LIVE_GROUP, Ledger, MAX_NAMED_SOURCES, OTHER_SOURCES, Surveyor};
use model::{ItemId, PageUrl, SourceId, Timestamp};
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use updates::{Entry, LiveChange, LiveUpdate, Subscription, UpdateLog, topics};

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_millis(seconds * 1_000)
}

fn ledger() -> Ledger {
    Ledger::new(Crawldb::memory(), UpdateLog::memory(), "process 1")
}

async fn add(ledger: &Ledger, name: &str) -> SourceId {
    let source = SourceId::new(name).unwrap();
    ledger
        .crawldb()
        .add_source(source.clone(), sample_settings(name), at(1))
        .await
        .unwrap();
    topics::ensure_source(ledger.log(), &source, 2).await.unwrap();
    source
}

async fn begin(ledger: &Ledger, source: &SourceId, seconds: u64) -> Crawl {
    let kind = CrawlKind::Full;
    let started = ledger
        .crawldb()
        .start_crawl(source, kind, "process 1", at(seconds))
        .await;
    started.unwrap().crawl().unwrap()
}

async fn end(ledger: &Ledger, crawl: &Crawl, status: CrawlStatus, seconds: u64) {
    ledger
        .crawldb()
        .end_crawl(crawl, status, None, at(seconds))
        .await
        .unwrap();
}

/// One item of the crawl fails for good.
async fn refuse_one(ledger: &Ledger, crawl: &Crawl) {
    let lease = Duration::from_secs(60);
    let claimed = ledger
        .crawldb()
        .claim(crawl, None, "listener", lease, 1, at(12))
        .await
        .unwrap();
    let error = ItemError {
        kind: ItemErrorKind::Client,
        message: "403".into(),
        at: at(13),
    };
    let refused = |item| Attempt {
        item,
        outcome: Outcome::Failed {
            error: error.clone(),
            retry_after: None,
            retryable: false,
        },
    };
    let attempts = claimed.into_iter().map(refused).collect();
    let retry = RetryPolicy::default();
    ledger
        .settle(crawl, attempts, &retry, at(13), &mut || 0.5)
        .await
        .unwrap();
}

fn page(surveyor: &Surveyor) -> String {
    let mut registry = Registry::default();
    surveyor.register(&mut registry);
    let mut text = String::new();
    encode(&mut text, &registry).unwrap();
    text
}

fn shows(page: &str, line: &str) {
    assert!(
        page.lines().any(|shown| shown == line),
        "{line:?} is not in\n{page}"
    );
}

#[tokio::test]
async fn nothing_is_shown_before_the_first_survey() {
    assert_eq!(page(&ledger().surveyor()), "# EOF\n");
}

#[tokio::test]
async fn a_crawl_from_its_start_to_its_end() {
    let ledger = ledger();
    let docs = add(&ledger, "docs").await;
    let mut surveyor = ledger.surveyor();

    let crawl = begin(&ledger, &docs, 10).await;
    let sightings = [1, 2].map(|number| sample_sighting("example.gov", number));
    ledger.sight(&crawl, &sightings, at(11)).await.unwrap();
    surveyor.look(at(30)).await.unwrap();
    let running = page(&surveyor);
    shows(&running, "haul_items{state=\"pending\"} 2.0");
    shows(&running, "haul_running_crawls 1.0");
    shows(&running, "haul_running_crawl_age_seconds 20.0");
    shows(
        &running,
        "haul_source_last_start_timestamp_seconds{source=\"docs\"} 10.0",
    );
    shows(
        &running,
        "haul_source_last_success_timestamp_seconds{source=\"docs\"} 1.0",
    );

    end(&ledger, &crawl, CrawlStatus::Completed, 40).await;
    surveyor.look(at(45)).await.unwrap();
    let over = page(&surveyor);
    shows(&over, "haul_running_crawls 0.0");
    shows(&over, "haul_running_crawl_age_seconds 0.0");
    shows(&over, "haul_open_intents 0.0");
    shows(&over, "haul_blocked_crawls 0.0");
    shows(
        &over,
        "haul_source_last_success_timestamp_seconds{source=\"docs\"} 40.0",
    );
    shows(
        &over,
        "haul_source_last_crawl_duration_seconds{source=\"docs\"} 30.0",
    );
    shows(&over, "haul_survey_timestamp_seconds 45.0");
}

#[tokio::test]
async fn items_are_counted_by_state_over_all_sources() {
    let ledger = ledger();
    for name in ["east", "west"] {
        let source = add(&ledger, name).await;
        let crawl = begin(&ledger, &source, 10).await;
        let sightings = [1, 2].map(|number| sample_sighting("example.gov", number));
        ledger.sight(&crawl, &sightings, at(11)).await.unwrap();
        refuse_one(&ledger, &crawl).await;
    }
    let mut surveyor = ledger.surveyor();
    surveyor.look(at(20)).await.unwrap();
    let page = page(&surveyor);
    shows(&page, "haul_sources 2.0");
    shows(&page, "haul_items{state=\"pending\"} 2.0");
    shows(&page, "haul_items{state=\"escalated\"} 2.0");
    shows(&page, "haul_items{state=\"deleted\"} 0.0");
    shows(&page, "haul_source_escalated_items{source=\"west\"} 1.0");
}

#[tokio::test]
async fn a_failed_crawl_does_not_move_the_last_success_and_a_blocked_one_waits() {
    let ledger = ledger();
    let docs = add(&ledger, "docs").await;
    let mut surveyor = ledger.surveyor();
    for (start, status) in [
        (10, CrawlStatus::Completed),
        (20, CrawlStatus::Failed),
        (30, CrawlStatus::Blocked),
    ] {
        let crawl = begin(&ledger, &docs, start).await;
        end(&ledger, &crawl, status, start + 5).await;
        let survey = surveyor.look(at(start + 6)).await.unwrap();
        let found = survey.by_source["docs"];
        assert_eq!(found.last_success, at(15), "{status:?}");
        assert_eq!(found.last_start, Some(at(start)));
        assert_eq!(survey.blocked, u64::from(status == CrawlStatus::Blocked));
    }
}

#[tokio::test]
async fn an_intent_that_is_left_grows_old() {
    let ledger = ledger();
    let docs = add(&ledger, "docs").await;
    let intent = crawldb::Intent {
        id: "1".into(),
        source: docs,
        owner: "dead".into(),
        items: Vec::new(),
        at: at(100),
    };
    ledger.crawldb().store().put_intent(&intent).await.unwrap();
    let mut surveyor = ledger.surveyor();
    surveyor.look(at(700)).await.unwrap();
    shows(&page(&surveyor), "haul_open_intents 1.0");
    shows(&page(&surveyor), "haul_open_intent_age_seconds 600.0");
}

async fn tell(ledger: &Ledger, source: &SourceId, number: u32) {
    let url = PageUrl::parse(&format!("https://example.gov/{number}")).unwrap();
    let item = ItemId::new(url.as_str()).unwrap();
    let update = LiveUpdate {
        item: item.clone(),
        url,
        at: None,
        change: LiveChange::Fetch,
    };
    let entry = Entry {
        key: item.to_string(),
        scope: "example.gov".into(),
        value: Some(update),
    };
    ledger
        .log()
        .append(&topics::live(source), &[entry])
        .await
        .unwrap();
}

#[tokio::test]
async fn live_updates_lag_and_stand_still_until_they_are_applied() {
    let ledger = ledger();
    let docs = add(&ledger, "docs").await;
    let mut surveyor = ledger.surveyor();
    let live = async |surveyor: &mut Surveyor, now| {
        let survey = surveyor.look(at(now)).await.unwrap();
        let found = survey.by_source["docs"];
        (found.live_lag, found.live_stalled.as_secs(), survey.live_members)
    };
    assert_eq!(live(&mut surveyor, 10).await, (0, 0, 0));
    tell(&ledger, &docs, 1).await;
    tell(&ledger, &docs, 2).await;
    assert_eq!(
        live(&mut surveyor, 500).await,
        (2, 0, 0),
        "what came meanwhile has waited for nobody yet"
    );
    assert_eq!(live(&mut surveyor, 620).await, (2, 120, 0));

    let topic = topics::live(&docs);
    let mut group = ledger
        .log()
        .group(LIVE_GROUP, Subscription::Topics(vec![topic]))
        .await
        .unwrap();
    let first = group.poll(1, Duration::from_secs(5)).await.unwrap();
    group.commit_batch(&first).await.unwrap();
    assert_eq!(live(&mut surveyor, 630).await, (1, 0, 1), "it moves");
    assert_eq!(live(&mut surveyor, 700).await, (1, 70, 1));
    let second = group.poll(1, Duration::from_secs(5)).await.unwrap();
    group.commit_batch(&second).await.unwrap();
    assert_eq!(live(&mut surveyor, 710).await, (0, 0, 1));
}

#[tokio::test]
async fn sources_that_go_or_take_no_updates_are_left_out() {
    let ledger = ledger();
    let going = add(&ledger, "going").await;
    let deaf = add(&ledger, "deaf").await;
    ledger.crawldb().begin_deletion(&going, at(2)).await.unwrap();
    let mut settings: Settings = sample_settings("deaf");
    settings.live.enabled = false;
    ledger
        .crawldb()
        .update_source(&deaf, 1, settings, at(2))
        .await
        .unwrap();
    tell(&ledger, &deaf, 1).await;
    let survey = ledger.surveyor().look(at(3)).await.unwrap();
    assert_eq!(survey.sources, 1);
    assert_eq!(survey.by_source.keys().collect::<Vec<_>>(), ["deaf"]);
    assert_eq!(survey.by_source["deaf"].live_lag, 0);
}

#[tokio::test]
async fn labels_are_bounded_whatever_sources_are_called() {
    let ledger = ledger();
    let settings = sample_settings("one of many");
    let added = MAX_NAMED_SOURCES + 5;
    let names = (1..added)
        .map(|number| format!("s{number:05}"))
        .chain([OTHER_SOURCES.to_owned()]);
    for name in names {
        let source = SourceId::new(&name).unwrap();
        ledger
            .crawldb()
            .add_source(source, settings.clone(), at(1))
            .await
            .unwrap();
    }
    let mut surveyor = ledger.surveyor();
    let survey = surveyor.look(at(2)).await.unwrap();
    assert_eq!(survey.sources as usize, added);
    let named = survey.by_source.len();
    assert!(
        (MAX_NAMED_SOURCES..=MAX_NAMED_SOURCES + 1).contains(&named),
        "{named}"
    );
    let page = page(&surveyor);
    let others = page
        .lines()
        .filter(|line| line.starts_with("haul_source_escalated_items{source=\"other\"}"));
    assert_eq!(others.count(), 1);
}
