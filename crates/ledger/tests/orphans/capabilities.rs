//! How a source can tell that an item is gone.

use std::collections::BTreeSet;
use std::sync::Mutex;

use async_trait::async_trait;
use crawldb::{Crawl, DeletionCapability, Item, ItemState};
use ledger::{Presence, Verify};

use crate::world::{Says, Silent, World, at, id, page, says_gone};

on_every_engine!(
    explicit_only_reports,
    none_marks_and_leaves_it_to_people,
    fetch_only_asks_for_the_oldest_within_its_budget,
    fetch_only_asks_for_others_in_the_next_crawl,
    fetch_only_ends_what_it_began_within_one_crawl,
    fetch_only_never_deletes_what_it_cannot_ask_for,
    fetch_only_is_guarded,
    without_verification_the_word_of_the_crawl_counts,
);

async fn set(world: &mut World, deletion: DeletionCapability) {
    world.configure(|settings| settings.deletion = deletion).await;
}

async fn explicit_only_reports(mut world: World) {
    set(&mut world, DeletionCapability::Explicit).await;
    world.crawl(1_000, &["a", "b"]).await;
    let crawl = world.crawled(2_000, &["a"]).await;
    let report = world.finish(&crawl, &says_gone()).await;
    assert_eq!((report.candidates, report.deleted), (1, 0));
    assert_eq!(world.state("b").await, ItemState::Success, "nothing is marked");
    world.assert_searched(&["a", "b"]).await;
}

async fn none_marks_and_leaves_it_to_people(mut world: World) {
    set(&mut world, DeletionCapability::None).await;
    world.crawl(1_000, &["a", "b"]).await;
    let crawl = world.crawled(2_000, &["a"]).await;
    let report = world.finish(&crawl, &says_gone()).await;
    assert_eq!((report.candidates, report.deleted, report.again_at), (1, 0, None));
    assert_eq!(world.state("b").await, ItemState::OrphanCandidate);
    world.assert_searched(&["a", "b"]).await;
}

/// Tells which items it was asked for; those that begin with "gone" are gone.
#[derive(Default)]
struct Asked(Mutex<BTreeSet<String>>);

impl Asked {
    fn names(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap()).into_iter().collect()
    }
}

#[async_trait]
impl Verify for Asked {
    async fn verify(&self, item: &Item) -> Option<Presence> {
        let name = item.id.as_str().rsplit('/').next().unwrap().to_owned();
        let gone = name.starts_with("gone");
        self.0.lock().unwrap().insert(name);
        Some(if gone {
            Presence::Gone("HTTP 410".into())
        } else {
            Presence::Present
        })
    }
}

async fn fetch_only(world: &mut World, budget: u64) {
    set(world, DeletionCapability::FetchOnly).await;
    world
        .configure(|settings| settings.orphans.verify_budget = budget)
        .await;
}

/// Pages of three ages: "gone-1" and "old" are the oldest, then "gone-2", then "young".
async fn three_ages(world: &World) {
    world.crawl(1_000, &["gone-1", "old"]).await;
    world.tell("gone-2", 1_700, page("gone-2")).await;
    world.tell("young", 1_800, page("young")).await;
}

async fn fetch_only_asks_for_the_oldest_within_its_budget(mut world: World) {
    fetch_only(&mut world, 3).await;
    three_ages(&world).await;
    let asked = Asked::default();
    let crawl = world.crawled(2_000, &["a"]).await;
    let report = world.finish(&crawl, &asked).await;
    assert_eq!(asked.names(), ["gone-1", "gone-2", "old"]);
    assert_eq!((report.candidates, report.present, report.deleted), (3, 1, 2));
    world.assert_searched(&["a", "old", "young"]).await;
    assert_eq!(world.item("old").await.last_updated, Some(at(2_500)));
    assert_eq!(world.state("young").await, ItemState::Success);
}

async fn fetch_only_asks_for_others_in_the_next_crawl(mut world: World) {
    fetch_only(&mut world, 2).await;
    three_ages(&world).await;
    // The source cannot tell: the next crawl does not ask for the same ones for ever.
    let crawl = world.crawled(2_000, &["a"]).await;
    let unsure = Says(Presence::Unknown("HTTP 500".into()));
    assert_eq!(world.finish(&crawl, &unsure).await.deferred, 2);
    let asked = Asked::default();
    let crawl = world.crawled(3_000, &["a"]).await;
    world.finish(&crawl, &asked).await;
    assert_eq!(asked.names(), ["gone-2", "young"]);
    world.assert_searched(&["a", "gone-1", "old", "young"]).await;
}

async fn fetch_only_ends_what_it_began_within_one_crawl(mut world: World) {
    fetch_only(&mut world, 2).await;
    three_ages(&world).await;
    let crawl = world.crawled(2_000, &["a"]).await;
    let unsure = Says(Presence::Unknown("HTTP 500".into()));
    assert_eq!(world.sweep(&crawl, &unsure).await.deferred, 2);
    let asked = Asked::default();
    let report = world.sweep(&crawl, &asked).await;
    assert_eq!(asked.names(), ["gone-1", "old"]);
    assert_eq!((report.present, report.deleted), (1, 1));
    world.sweep(&crawl, &asked).await;
    assert_eq!(
        asked.names(),
        [""; 0],
        "the budget is that of a crawl, not of a sweep"
    );
}

async fn fetch_only_never_deletes_what_it_cannot_ask_for(mut world: World) {
    fetch_only(&mut world, 10).await;
    three_ages(&world).await;
    let report = world.crawl(2_000, &["a"]).await;
    assert_eq!((report.candidates, report.deleted), (4, 0));
    world
        .assert_searched(&["a", "gone-1", "gone-2", "old", "young"])
        .await;
}

async fn fetch_only_is_guarded(mut world: World) {
    fetch_only(&mut world, 10).await;
    world.configure(|settings| settings.orphans.guard_items = 1).await;
    three_ages(&world).await;
    let crawl = world.crawled(2_000, &["a"]).await;
    let report = world.sweep(&crawl, &says_gone()).await;
    assert!(report.blocked.unwrap().starts_with("4 of 5 items are missing"));
    assert_eq!(report.deleted, 0);
    world
        .assert_searched(&["a", "gone-1", "gone-2", "old", "young"])
        .await;
    let approve = |crawl: &mut Crawl| {
        crawl.orphans.approval = Some(crawldb::Approval {
            by: "somebody".into(),
            reason: "the service was closed".into(),
            at: at(2_100),
        });
    };
    world.crawldb.update_crawl(&crawl, approve).await.unwrap();
    let report = world.finish(&crawl, &says_gone()).await;
    assert_eq!((report.blocked, report.deleted), (None, 4));
    world.assert_searched(&["a"]).await;
}

async fn without_verification_the_word_of_the_crawl_counts(mut world: World) {
    world.configure(|settings| settings.orphans.verify = false).await;
    world.crawl(1_000, &["a", "b"]).await;
    let crawl = world.crawled(2_000, &["a"]).await;
    let report = world.finish(&crawl, &Says(Presence::Present)).await;
    assert_eq!((report.present, report.deleted), (0, 1));
    let tombstone = world
        .crawldb
        .item(&world.source.id, &id("b"))
        .await
        .unwrap()
        .unwrap();
    assert!(
        tombstone
            .last_error
            .unwrap()
            .message
            .contains("no longer found it")
    );
    assert_eq!(
        world.sweep_with(&world.ledger, &crawl, &Silent, 9).await.ok(),
        None
    );
}
