//! What sources tell of themselves, while crawls run and without any.

mod held;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use archive::Kind;
use crawldb::{ItemState, SiteSettings, SourceKind};
use crawler::{Chore, Crawler};
use ledger::Ledger;
use model::{ArchiveKey, ItemId, PageUrl};
use updates::{LiveChange, LiveUpdate, LogOptions, NewRecord, Receipt, ReceiptOutcome, UpdateLog, topics};

use self::held::HeldLog;
use crate::site::{Answer, Server, Site};
use crate::world::{World, check, check_completed, settings};

fn page(text: &str) -> String {
    format!("<!doctype html><title>told</title><p>{text}</p>")
}

impl World {
    /// Adds a page to the archive, as the API does before it tells of one.
    async fn payload(&self, text: &str) -> ArchiveKey {
        let parts = vec![page(text).into_bytes()];
        let mut keys = self.archive.put_bundle(Kind::Content, parts).await.unwrap();
        keys.pop().unwrap()
    }

    async fn upsert(&self, url: &str, text: &str) {
        let content = self.payload(text).await;
        let media_type = Some("text/html".to_owned());
        self.tell(url, LiveChange::Upsert { content, media_type }).await;
    }

    async fn tell(&self, url: &str, change: LiveChange) {
        let url = PageUrl::parse(url).unwrap();
        let item = ItemId::new(url.as_str()).unwrap();
        self.submit(LiveUpdate {
            item,
            url,
            at: None,
            change,
        })
        .await;
    }

    async fn submit(&self, update: LiveUpdate) {
        topics::ensure_source(&self.log, &self.source, self.options.partitions)
            .await
            .unwrap();
        let source = self.crawldb.source(&self.source).await.unwrap().unwrap();
        let ledger = Ledger::new(self.crawldb.clone(), self.log.clone(), "the API");
        ledger.submit(&source, &[update]).await.unwrap();
    }

    /// What the item's content says, once it has some.
    async fn content(&self, path: &str) -> String {
        let content = self.item(path).await.content.unwrap();
        String::from_utf8(self.archive.get(&content).await.unwrap()).unwrap()
    }

    /// Waits until the items are these.
    async fn becomes(&self, expected: &str) {
        let lines = |items: &BTreeMap<String, String>| -> Vec<String> {
            items
                .iter()
                .map(|(path, fate)| format!("{path}: {fate}"))
                .collect()
        };
        let wanted: Vec<&str> = expected.lines().map(str::trim).collect();
        for _ in 0..2_000 {
            if lines(&self.items().await) == wanted {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        check(&self.items().await, expected);
    }

    async fn receipts(&self) -> Vec<ReceiptOutcome> {
        let receipts: Vec<Receipt> = self.read(&topics::receipts(&self.source)).await;
        receipts.into_iter().map(|receipt| receipt.outcome).collect()
    }

    /// Waits for so many receipts.
    async fn receive(&self, count: usize) -> Vec<ReceiptOutcome> {
        for _ in 0..2_000 {
            if self.receipts().await.len() >= count {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let receipts = self.receipts().await;
        assert_eq!(receipts.len(), count, "{receipts:?}");
        receipts
    }
}

async fn world(server: &Server) -> (World, Crawler) {
    let world = World::new(server, |_| ()).await;
    let crawler = world.crawler();
    (world, crawler)
}

#[track_caller]
fn check_refused(receipt: &ReceiptOutcome, reason: &str) {
    match receipt {
        ReceiptOutcome::Failure(said) => assert!(said.contains(reason), "{said}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_page_that_is_told_of_is_fetched() {
    let server = Site::default().html("/new", "hello").serve().await;
    let (world, crawler) = world(&server).await;
    world.tell(&server.url("/new"), LiveChange::Fetch).await;
    world.becomes("/new: indexed").await;
    assert_eq!(world.applied().await.0["/new"], "upsert");
    assert_eq!(world.receive(1).await, [ReceiptOutcome::Success]);
    crawler.stop().await;
}

#[tokio::test]
async fn a_page_that_is_told_with_its_content_is_not_fetched() {
    let server = Site::default().html("/", "other").serve().await;
    let (world, crawler) = world(&server).await;
    world.upsert(&server.url("/"), "pushed").await;
    world.becomes("/: indexed").await;
    assert_eq!(world.content("/").await, page("pushed"));
    let item = world.item("/").await;
    let extract = world.archive.get(&item.extract.unwrap()).await.unwrap();
    assert!(String::from_utf8(extract).unwrap().contains("pushed"));
    assert_eq!(server.requests(), BTreeMap::new());
    crawler.stop().await;
}

#[tokio::test]
async fn a_page_that_is_told_to_be_gone_goes() {
    let server = Site::default()
        .links("/", "/a /b")
        .links("/a", "")
        .links("/b", "")
        .serve()
        .await;
    let world = World::new(&server, |_| ()).await;
    check_completed(&world.crawl().await);
    let crawler = world.crawler();
    world.tell(&server.url("/a"), LiveChange::Delete).await;
    world.becomes("/: indexed\n/a: deleted\n/b: indexed").await;
    assert_eq!(world.applied().await.0["/a"], "delete");
    crawler.stop().await;
}

#[tokio::test]
async fn what_is_gone_or_hidden_when_it_is_fetched_is_not_indexed() {
    let site = Site::default()
        .answer(
            "/robots.txt",
            Answer::of("text/plain", b"User-agent: *\nDisallow: /secret"),
        )
        .html("/hidden", "<meta name=robots content=noindex>")
        .html("/secret", "s");
    let server = site.serve().await;
    let (world, crawler) = world(&server).await;
    for path in ["/gone", "/hidden", "/secret"] {
        world.tell(&server.url(path), LiveChange::Fetch).await;
    }
    world
        .becomes("/gone: deleted\n/hidden: noindex\n/secret: disallowed")
        .await;
    assert_eq!(server.asked_for("/secret"), 0);
    crawler.stop().await;
}

#[tokio::test]
async fn a_fetch_that_fails_is_tried_again_without_a_crawl() {
    let is_up = Arc::new(AtomicBool::new(false));
    let up = Arc::clone(&is_up);
    let answer = move || match up.load(Ordering::Relaxed) {
        true => Answer::html(&page("back")),
        false => Answer::status(503),
    };
    let server = Site::default().on("/a", move |_| answer()).serve().await;
    let (world, crawler) = world(&server).await;
    world.tell(&server.url("/a"), LiveChange::Fetch).await;
    world.becomes("/a: failure").await;
    is_up.store(true, Ordering::Relaxed);
    let janitor = crawler.janitor();
    while world.item("/a").await.state == ItemState::Failure {
        janitor.run(Chore::Stranded).await;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    world.becomes("/a: indexed").await;
    crawler.stop().await;
}

#[tokio::test]
async fn a_redirect_is_an_alias_and_its_target_is_fetched() {
    let site = Site::default()
        .redirect("/old", "/new")
        .html("/new", "here")
        .redirect("/a", "/b")
        .redirect("/b", "/a");
    let server = site.serve().await;
    let (world, crawler) = world(&server).await;
    world.tell(&server.url("/old"), LiveChange::Fetch).await;
    world.becomes("/new: indexed\n/old: -> /new").await;
    world.tell(&server.url("/a"), LiveChange::Fetch).await;
    world.receive(4).await;
    assert_eq!(
        world.item("/b").await.state,
        ItemState::Escalated,
        "a circle is left to a person"
    );
    crawler.stop().await;
}

#[tokio::test]
async fn a_live_update_wins_over_the_crawl_that_runs_whichever_is_first() {
    let is_open = Arc::new(tokio::sync::Semaphore::new(0));
    let site = Site::default()
        .links("/", "/early /late /slow")
        .html("/early", "crawled")
        .html("/late", "crawled");
    let gate = Arc::clone(&is_open);
    let site = site.on("/slow", move |_| match gate.try_acquire() {
        Ok(_) => Answer::html(&page("slow")),
        Err(_) => Answer::status(503),
    });
    let server = site.serve().await;
    let world = World::new(&server, |_| ()).await;
    let crawler = world.crawler();
    world.change(|settings| settings.retry.max_retries = 1_000).await;
    let crawl = world.start(&crawler).await;
    world.upsert(&server.url("/early"), "pushed").await;
    while world
        .all_items()
        .await
        .iter()
        .filter(|item| item.content.is_some())
        .count()
        < 3
    {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    world.upsert(&server.url("/late"), "pushed").await;
    while world.content("/late").await != page("pushed") || world.content("/early").await != page("pushed") {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    is_open.add_permits(1_000);
    check_completed(&world.ended(&crawler, &crawl).await);
    assert_eq!(world.content("/late").await, page("pushed"));
    assert_eq!(world.content("/early").await, page("pushed"));
    crawler.stop().await;
}

#[tokio::test]
async fn an_update_from_before_the_crawl_loses_even_if_it_is_read_after_it() {
    let server = Site::default()
        .links("/", "/a")
        .html("/a", "crawled")
        .serve()
        .await;
    let mut world = World::new(&server, |_| ()).await;
    let held = HeldLog::new(UpdateLog::memory());
    held.hold_reads();
    world.log = held.log();
    world.options.drain_patience = Duration::ZERO;
    world.upsert(&server.url("/a"), "pushed before").await;
    tokio::time::sleep(Duration::from_millis(2)).await;
    let crawler = world.crawler();
    let crawl = world.start(&crawler).await;
    check_completed(&world.ended(&crawler, &crawl).await);
    held.let_go();
    while !world.receipts().await.contains(&ReceiptOutcome::Stale) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(world.content("/a").await.contains("crawled"));
    crawler.stop().await;
}

#[tokio::test]
async fn a_record_that_nobody_can_read_does_not_block_those_behind_it() {
    let server = Site::default().html("/good", "good").serve().await;
    let (world, crawler) = world(&server).await;
    topics::ensure_source(&world.log, &world.source, world.options.partitions)
        .await
        .unwrap();
    let scope = format!("site.test:{}", server.port);
    for value in [Some(b"{not json".as_slice()), Some(b"{}".as_slice()), None] {
        let record = NewRecord {
            key: "poison".into(),
            scope: scope.clone(),
            value: value.map(Into::into),
        };
        world
            .log
            .append_records(&topics::live(&world.source), &[record])
            .await
            .unwrap();
    }
    world.tell(&server.url("/good"), LiveChange::Fetch).await;
    world.becomes("/good: indexed").await;
    crawler.stop().await;
}

#[tokio::test]
async fn what_does_not_belong_to_the_source_is_refused() {
    let server = Site::default().serve().await;
    let world = World::new(&server, |site| site.exclude = vec![server.url("/private")]).await;
    let crawler = world.crawler();
    world.upsert("https://elsewhere.test/", "x").await;
    check_refused(&world.receive(1).await[0], "outside of the source");
    world.upsert(&server.url("/private/a"), "x").await;
    check_refused(&world.receive(2).await[1], "outside of the source");
    let (item, url) = (
        ItemId::new("7").unwrap(),
        PageUrl::parse(&server.url("/a")).unwrap(),
    );
    world
        .submit(LiveUpdate {
            item,
            url,
            at: None,
            change: LiveChange::Delete,
        })
        .await;
    for receipt in world.receive(3).await {
        check_refused(&receipt, "");
    }
    assert_eq!(world.items().await, BTreeMap::new());
    crawler.stop().await;
}

#[tokio::test]
async fn a_payload_that_is_missing_is_left_to_a_person() {
    let server = Site::default().serve().await;
    let (world, crawler) = world(&server).await;
    let content = ArchiveKey::new("content/none.bundle#0+9").unwrap();
    world
        .tell(
            &server.url("/a"),
            LiveChange::Upsert {
                content,
                media_type: None,
            },
        )
        .await;
    check_refused(&world.receive(1).await[0], "payload");
    assert_eq!(world.item("/a").await.state, ItemState::Escalated);
    crawler.stop().await;
}

#[tokio::test]
async fn a_feed_needs_no_crawl() {
    let start = vec![PageUrl::parse("https://feed.test/docs").unwrap()];
    let world = World::empty(None);
    world
        .add(settings(
            SourceKind::Feed,
            SiteSettings {
                start,
                ..SiteSettings::default()
            },
        ))
        .await;
    let crawler = world.crawler();
    let (url, content) = (
        PageUrl::parse("https://feed.test/docs/7").unwrap(),
        world.payload("seven").await,
    );
    let change = LiveChange::Upsert {
        content,
        media_type: None,
    };
    world
        .submit(LiveUpdate {
            item: ItemId::new("7").unwrap(),
            url,
            at: None,
            change,
        })
        .await;
    world.upsert("https://feed.test/docserver", "outside").await;
    let receipts = world.receive(2).await;
    assert!(receipts.contains(&ReceiptOutcome::Success), "{receipts:?}");
    world.becomes("//feed.test/docs/7: indexed").await;
    let (item, url) = (
        ItemId::new("7").unwrap(),
        PageUrl::parse("https://feed.test/docs/8").unwrap(),
    );
    let change = LiveChange::Delete;
    world
        .submit(LiveUpdate {
            item,
            url,
            at: None,
            change,
        })
        .await;
    let moved = |receipt: &&ReceiptOutcome| matches!(receipt, ReceiptOutcome::Failure(said) if said.contains("the item is at"));
    assert_eq!(world.receive(3).await.iter().filter(moved).count(), 1);
    crawler.stop().await;
}

#[test]
fn whoever_dies_before_the_offsets_move_leaves_nothing_to_be_done_twice() {
    let held = HeldLog::new(UpdateLog::memory_with(LogOptions {
        session: Duration::from_millis(300),
        ..LogOptions::default()
    }));
    held.hold_commits();
    let life = || {
        tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .unwrap()
    };
    let test = life();
    let (server, world) = test.block_on(async {
        let server = Site::default().html("/new", "hello").serve().await;
        let mut world = World::new(&server, |_| ()).await;
        world.log = held.log();
        world.tell(&server.url("/new"), LiveChange::Fetch).await;
        (server, world)
    });
    let first = life();
    let crawler = first.block_on(async { world.crawler() });
    test.block_on(async {
        world.receive(1).await;
        held.committing().await;
    });
    first.shutdown_background();
    drop(crawler);
    held.let_go();
    test.block_on(async {
        let crawler = world.crawler();
        assert_eq!(
            world.receive(2).await,
            [ReceiptOutcome::Success, ReceiptOutcome::Stale]
        );
        crawler.stop().await;
        let (_, applied) = world.applied().await;
        assert_eq!((applied, server.asked_for("/new")), (1, 1));
        drop(server);
    });
}
