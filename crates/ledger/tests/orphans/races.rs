//! Others who write at the same time, and others who wake too late.

use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use crawldb::{
    Attempt, ConcurrencyMode, Crawl, CrawlStatus, CrawldbError, Finished, Item, ItemState, Outcome,
};
use ledger::{LedgerError, Presence, Verify};

use crate::world::{Silent, World, at, page, says_gone};

on_every_engine!(
    a_worker_that_wakes_after_the_deletion_writes_nothing,
    a_worker_that_wakes_after_the_item_was_gone_is_stale,
    a_sweeper_that_wakes_after_a_newer_crawl_is_fenced,
    a_sweeper_that_was_replaced_deletes_nothing,
    a_sweeper_beside_a_newer_crawl_spares_what_that_one_saw,
    a_live_update_during_the_crawl_saves_the_item,
    a_live_update_during_the_sweep_saves_the_item,
    a_parent_that_a_live_update_overtook_leaves_it_to_the_source,
    a_parent_that_a_live_update_overtook_protects_where_nobody_is_asked,
    what_is_present_stays_though_the_clock_is_behind,
    an_item_that_was_known_to_be_newer_is_not_missed,
);

/// While the source is asked, something happens, once; then it says that the item is gone.
struct Meanwhile<'a> {
    world: &'a World,
    moment: Moment,
    happened: AtomicBool,
}

enum Moment {
    /// Another process takes this crawl over and ends it; the next crawl sees the page.
    NewerCrawl(Box<Crawl>),
    /// A newer crawl of the same source runs beside this one and sees the page.
    CrawlBeside,
    /// Another process takes this crawl over.
    TakenOver(Box<Crawl>),
    /// The source tells of the page.
    Told,
}

impl<'a> Meanwhile<'a> {
    fn new(world: &'a World, moment: Moment) -> Self {
        Self {
            world,
            moment,
            happened: AtomicBool::new(false),
        }
    }

    async fn happen(&self) {
        let world = self.world;
        match &self.moment {
            Moment::TakenOver(crawl) => _ = take_over(world, crawl).await,
            Moment::NewerCrawl(crawl) => {
                let taken = take_over(world, crawl).await;
                let ended = world
                    .crawldb
                    .end_crawl(&taken, CrawlStatus::Cancelled, None, at(2_700));
                ended.await.unwrap();
                assert_eq!(world.crawl(3_000, &["a", "b"]).await.candidates, 0);
            }
            Moment::CrawlBeside => _ = world.crawled(3_000, &["a", "b"]).await,
            Moment::Told => world.tell("b", 2_300, page("b, and it is new")).await,
        }
    }
}

async fn take_over(world: &World, crawl: &Crawl) -> Crawl {
    let taken = world.crawldb.take_over(&crawl.id, "another process", at(2_600));
    taken.await.unwrap().unwrap()
}

#[async_trait]
impl Verify for Meanwhile<'_> {
    async fn verify(&self, _: &Item) -> Option<Presence> {
        if !self.happened.swap(true, Ordering::SeqCst) {
            self.happen().await;
        }
        Some(Presence::Gone("HTTP 404".into()))
    }
}

async fn a_worker_that_wakes_after_the_deletion_writes_nothing(world: World) {
    let crawl = world.begin(1_000).await;
    world.see(&crawl, None, &["a", "b"]).await;
    let asleep: Vec<Item> = world.claim(&crawl).await;
    let expired = world.crawldb.expire_leases(&world.source.id, at(999_999));
    assert_eq!(expired.await.unwrap(), 2);
    let again = world.crawldb.claim(
        &crawl,
        None,
        "another worker",
        std::time::Duration::from_secs(1),
        9,
        at(999_999),
    );
    let attempts = again.await.unwrap().into_iter().map(applied).collect();
    world.settle(&crawl, attempts).await.unwrap();
    world.enumerated(&crawl).await;
    world.finish(&crawl, &Silent).await;
    assert_eq!(world.crawl(2_000, &["a"]).await.deleted, 1);
    let late = world
        .settle(&crawl, asleep.into_iter().map(applied).collect())
        .await;
    assert!(
        matches!(late, Err(LedgerError::Crawldb(CrawldbError::Fenced(_)))),
        "{late:?}"
    );
    assert_eq!(world.state("b").await, ItemState::Deleted);
    world.assert_searched(&["a"]).await;
}

fn applied(item: Item) -> Attempt {
    Attempt {
        item,
        outcome: page("old content"),
    }
}

async fn a_worker_that_wakes_after_the_item_was_gone_is_stale(world: World) {
    world.crawl(1_000, &["a", "b"]).await;
    let crawl = world.begin(2_000).await;
    world.see(&crawl, None, &["b"]).await;
    let asleep = world.claim(&crawl).await;
    let gone = Outcome::Gone {
        reason: "HTTP 410".into(),
    };
    world.tell("b", 2_100, gone).await;
    let late = world
        .settle(&crawl, asleep.into_iter().map(applied).collect())
        .await;
    assert!(matches!(late.unwrap()[..], [Finished::Stale(_)]));
    world.assert_searched(&["a"]).await;
}

async fn a_sweeper_that_wakes_after_a_newer_crawl_is_fenced(world: World) {
    world.crawl(1_000, &["a", "b"]).await;
    let crawl = world.crawled(2_000, &["a"]).await;
    let newer = Meanwhile::new(&world, Moment::NewerCrawl(Box::new(crawl.clone())));
    let late = world.sweep_with(&world.ledger, &crawl, &newer, 2_500).await;
    assert!(
        matches!(late, Err(LedgerError::Crawldb(CrawldbError::Fenced(_)))),
        "{late:?}"
    );
    world.assert_searched(&["a", "b"]).await;
}

async fn a_sweeper_that_was_replaced_deletes_nothing(world: World) {
    world.crawl(1_000, &["a", "b"]).await;
    let crawl = world.crawled(2_000, &["a"]).await;
    let taken = Meanwhile::new(&world, Moment::TakenOver(Box::new(crawl.clone())));
    let late = world.sweep_with(&world.ledger, &crawl, &taken, 2_500).await;
    assert!(
        matches!(late, Err(LedgerError::Crawldb(CrawldbError::Fenced(_)))),
        "{late:?}"
    );
    assert_eq!(world.state("b").await, ItemState::OrphanCandidate);
    world.assert_searched(&["a", "b"]).await;
}

async fn a_sweeper_beside_a_newer_crawl_spares_what_that_one_saw(mut world: World) {
    world
        .configure(|settings| settings.concurrency = ConcurrencyMode::Concurrent)
        .await;
    world.crawl(1_000, &["a", "b"]).await;
    let crawl = world.crawled(2_000, &["a"]).await;
    let report = world
        .finish(&crawl, &Meanwhile::new(&world, Moment::CrawlBeside))
        .await;
    assert_eq!((report.candidates, report.deleted), (1, 0));
    world.assert_searched(&["a", "b"]).await;
}

async fn a_live_update_during_the_crawl_saves_the_item(world: World) {
    world.crawl(1_000, &["a", "b"]).await;
    let crawl = world.crawled(2_000, &["a"]).await;
    world.tell("b", 2_200, page("b")).await;
    let report = world.finish(&crawl, &says_gone()).await;
    assert_eq!(report.candidates, 0);
    world.assert_searched(&["a", "b"]).await;
}

async fn a_live_update_during_the_sweep_saves_the_item(world: World) {
    world.crawl(1_000, &["a", "b"]).await;
    let crawl = world.crawled(2_000, &["a"]).await;
    let report = world.finish(&crawl, &Meanwhile::new(&world, Moment::Told)).await;
    assert_eq!((report.candidates, report.deleted), (1, 0));
    assert_eq!(world.state("b").await, ItemState::Success);
    world.assert_searched(&["a", "b"]).await;
}

/// A crawl that gets to "home" after a live update of it, so that it never reads what the page names.
async fn overtaken(world: &World) -> Crawl {
    let crawl = world.begin(1_000).await;
    world.see(&crawl, None, &["home"]).await;
    world.see(&crawl, Some("home"), &["a", "b"]).await;
    world.read(&crawl, page).await;
    world.enumerated(&crawl).await;
    world.finish(&crawl, &Silent).await;
    let crawl = world.begin(2_000).await;
    world.tell("home", 2_001, page("home, and it is new")).await;
    world.see(&crawl, None, &["home", "x", "y"]).await;
    world.read(&crawl, page).await;
    world.enumerated(&crawl).await;
    crawl
}

async fn a_parent_that_a_live_update_overtook_leaves_it_to_the_source(world: World) {
    let crawl = overtaken(&world).await;
    let report = world.sweep(&crawl, &Silent).await;
    assert_eq!((report.candidates, report.protected, report.deleted), (2, 2, 0));
    world.assert_searched(&["a", "b", "home", "x", "y"]).await;
    assert_eq!(world.finish(&crawl, &says_gone()).await.deleted, 2);
    world.assert_searched(&["home", "x", "y"]).await;
}

async fn a_parent_that_a_live_update_overtook_protects_where_nobody_is_asked(mut world: World) {
    world.configure(|settings| settings.orphans.verify = false).await;
    let crawl = overtaken(&world).await;
    let report = world.finish(&crawl, &says_gone()).await;
    assert_eq!((report.candidates, report.protected, report.deleted), (2, 2, 0));
    assert_eq!(world.state("a").await, ItemState::Success, "nothing is marked");
    world.assert_searched(&["a", "b", "home", "x", "y"]).await;
}

async fn what_is_present_stays_though_the_clock_is_behind(world: World) {
    world.crawl(1_000, &["a", "b"]).await;
    let crawl = world.crawled(2_000, &["a"]).await;
    let present = crate::world::Says(Presence::Present);
    let report = world.sweep_with(&world.ledger, &crawl, &present, 1_900).await;
    assert_eq!(report.unwrap().present, 1);
    assert_eq!(world.item("b").await.last_updated, Some(at(2_000)));
    let report = world.finish(&crawl, &says_gone()).await;
    assert_eq!((report.candidates, report.present, report.deleted), (1, 1, 0));
    world.assert_searched(&["a", "b"]).await;
}

async fn an_item_that_was_known_to_be_newer_is_not_missed(world: World) {
    world.crawl(1_000, &["a"]).await;
    let crawl = world.begin(2_000).await;
    // By a clock that is behind: what counts is the version, not when it was written.
    world.tell("b", 2_050, page("b")).await;
    let mut told = world.item("b").await;
    told.last_updated = Some(at(1_500));
    world.crawldb.store().put_items(&[told]).await.unwrap();
    world.see(&crawl, None, &["a"]).await;
    world.read(&crawl, page).await;
    world.enumerated(&crawl).await;
    assert_eq!(world.finish(&crawl, &says_gone()).await.candidates, 0);
    world.assert_searched(&["a", "b"]).await;
}
