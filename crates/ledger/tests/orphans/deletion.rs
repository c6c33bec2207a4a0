//! What is gone goes, and nothing else with it.

use crawldb::{CrawlStatus, ItemState, Reference};
use ledger::Presence;
use model::{SourceId, Timestamp};

use crate::world::{Says, Silent, World, at, id, page, says_gone};

on_every_engine!(
    what_a_complete_crawl_missed_is_deleted,
    what_the_source_says_is_present_stays,
    what_comes_back_is_searched_again,
    a_grace_of_crawls_is_waited_out,
    what_a_cancelled_crawl_left_behind_goes_when_it_is_gone,
    a_shared_document_loses_one_reference,
    a_parent_that_was_read_hides_nothing,
    a_scope_that_was_enumerated_is_judged_beside_one_that_was_not,
);

/// A sweep can be spawned: its future may move between threads.
#[tokio::test]
async fn a_sweep_runs_on_any_thread() {
    let world = World::on(crate::world::Engine::Memory).await;
    world.crawl(1_000, &["a", "b"]).await;
    let swept = tokio::spawn(async move { world.crawl(2_000, &["a"]).await });
    assert_eq!(swept.await.unwrap().deleted, 1);
}

async fn what_a_complete_crawl_missed_is_deleted(world: World) {
    world.crawl(1_000, &["a", "b", "c"]).await;
    let report = world.crawl(2_000, &["a", "b"]).await;
    assert_eq!((report.candidates, report.deleted), (1, 1));
    assert_eq!((report.withheld, report.blocked), (None, None));
    world.assert_searched(&["a", "b"]).await;
    let tombstone = world.item("c").await;
    assert_eq!(tombstone.state, ItemState::Deleted);
    assert_eq!(tombstone.version.at(), at(2_000), "it keeps the version");
    let applied = world.applied().await;
    assert_eq!(applied.get(id("c").as_str()), Some(&false));
    assert_eq!(applied.get(id("a").as_str()), Some(&true));
    let crawl = world
        .crawldb
        .crawls(Some(&world.source.id), 1)
        .await
        .unwrap()
        .remove(0);
    assert_eq!((crawl.status, crawl.orphans.deleted), (CrawlStatus::Completed, 1));
    assert_eq!(crawl.orphans.swept_at, Some(at(2_500)));
}

async fn what_the_source_says_is_present_stays(world: World) {
    world.crawl(1_000, &["a", "b"]).await;
    let crawl = world.crawled(2_000, &["a"]).await;
    let report = world.finish(&crawl, &Says(Presence::Present)).await;
    assert_eq!((report.candidates, report.present, report.deleted), (1, 1, 0));
    let kept = world.item("b").await;
    assert_eq!(
        (kept.state, kept.last_updated),
        (ItemState::Unchanged, Some(at(2_500)))
    );
    assert_eq!(kept.orphan, None);
    world.assert_searched(&["a", "b"]).await;
}

async fn what_comes_back_is_searched_again(world: World) {
    world.crawl(1_000, &["a", "b"]).await;
    world.crawl(2_000, &["a"]).await;
    world.assert_searched(&["a"]).await;
    world.crawl(3_000, &["a", "b"]).await;
    world.assert_searched(&["a", "b"]).await;
}

async fn what_a_cancelled_crawl_left_behind_goes_when_it_is_gone(world: World) {
    world.crawl(1_000, &["a", "b"]).await;
    let crawl = world.begin(2_000).await;
    world.see(&crawl, None, &["a", "b"]).await;
    let cancelled = world
        .crawldb
        .end_crawl(&crawl, CrawlStatus::Cancelled, None, at(2_100));
    cancelled.await.unwrap();
    assert_eq!(world.state("b").await, ItemState::Pending);
    assert_eq!(world.crawl(3_000, &["a"]).await.deleted, 1);
    world.assert_searched(&["a"]).await;
}

async fn a_grace_of_crawls_is_waited_out(mut world: World) {
    world
        .configure(|settings| {
            settings.orphans.grace_crawls = 3;
            settings.orphans.min_seen_percent = 0.0;
        })
        .await;
    world.crawl(1_000, &["a", "b", "c"]).await;
    for (start, misses) in [(2_000, 1), (3_000, 2)] {
        let report = world.crawl(start, &["a"]).await;
        assert_eq!((report.waiting, report.deleted), (2, 0));
        let orphan = world.item("b").await.orphan.unwrap();
        assert_eq!((orphan.since, orphan.misses), (at(2_000), misses));
    }
    // Seen once, it has its whole grace again.
    let report = world.crawl(4_000, &["a", "c"]).await;
    assert_eq!((report.waiting, report.deleted), (0, 1));
    let report = world.crawl(5_000, &["a"]).await;
    assert_eq!((report.waiting, report.deleted), (1, 0));
    world.assert_searched(&["a", "c"]).await;
}

async fn a_shared_document_loses_one_reference(world: World) {
    world.crawl(1_000, &["a", "shared"]).await;
    let shared = world.item("shared").await;
    let mirror = Reference {
        source: SourceId::new("mirror").unwrap(),
        ..Reference::of(&shared)
    };
    let index = world.crawldb.documents().index_in_force().await.unwrap();
    let referred = [(shared.url.clone(), mirror)];
    world.crawldb.refer(&index, &referred).await.unwrap();
    world.crawl(2_000, &["a"]).await;
    world.assert_searched(&["a", "shared"]).await;
    let documents = world.crawldb.documents();
    let document = documents
        .get_documents(&index, &[shared.url])
        .await
        .unwrap()
        .remove(0);
    let document = document.unwrap();
    let present: Vec<&str> = document
        .present()
        .map(|reference| reference.source.as_str())
        .collect();
    assert_eq!(present, ["mirror"]);
}

async fn a_parent_that_was_read_hides_nothing(world: World) {
    for (start, below) in [(1_000, vec!["a", "b"]), (2_000, vec!["a"])] {
        let crawl = world.begin(start).await;
        world.see(&crawl, None, &["home"]).await;
        world.see(&crawl, Some("home"), &below).await;
        world.read(&crawl, page).await;
        world.enumerated(&crawl).await;
        world.finish(&crawl, &Silent).await;
    }
    world.assert_searched(&["home", "a"]).await;
}

async fn a_scope_that_was_enumerated_is_judged_beside_one_that_was_not(world: World) {
    world.crawl(1_000, &["a", "b"]).await;
    let crawl = world.crawled(2_000, &["a"]).await;
    let incomplete = world.crawldb.update_crawl(&crawl, |crawl| {
        let incomplete = &mut crawl.enumeration.incomplete;
        incomplete.insert("other.example".to_owned(), "HTTP 503".into());
    });
    incomplete.await.unwrap();
    let report = world.finish(&crawl, &says_gone()).await;
    assert_eq!((report.protected, report.deleted), (0, 1));
    assert!(report.swept_at > Some(Timestamp::default()));
    world.assert_searched(&["a"]).await;
}
