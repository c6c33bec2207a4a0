//! A sweep that is killed at any of its calls to the stores and the log, and called again: the same end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crawldb::testkit::{FaultyStore, Moment};
use crawldb::{Crawl, DeletionCapability, Item, ItemState, OrphanReport};
use ledger::{Ledger, Presence, Verify};
use model::Version;
use updates::UpdateLog;

use crate::faults::{FaultyDocuments, FaultyLog, Fuse};
use crate::world::{Engine, World, at};

/// Calls of one sweep at most; a test that needs more does not end.
const MAX_CALLS: u64 = 500;

/// One page is there, one cannot be told, the others are gone.
struct Mixed;

#[async_trait::async_trait]
impl Verify for Mixed {
    async fn verify(&self, item: &Item) -> Option<Presence> {
        Some(match item.id.as_str().rsplit('/').next() {
            Some("present") => Presence::Present,
            Some("unsure") => Presence::Unknown("HTTP 500".into()),
            _ => Presence::Gone("HTTP 404".into()),
        })
    }
}

/// What must be the same, however the sweep got there.
#[derive(Debug, PartialEq)]
struct End {
    items: BTreeMap<String, (ItemState, Version)>,
    searched: Vec<String>,
    applied: BTreeMap<String, bool>,
}

async fn world(deletion: DeletionCapability) -> (World, Crawl) {
    let mut world = World::on(Engine::Memory).await;
    world
        .configure(|settings| {
            settings.deletion = deletion;
            settings.orphans.min_seen_percent = 0.0;
        })
        .await;
    world
        .crawl(1_000, &["a", "gone-1", "gone-2", "present", "unsure"])
        .await;
    let crawl = world.crawled(2_000, &["a"]).await;
    (world, crawl)
}

async fn end(world: &World) -> End {
    let mut items = BTreeMap::new();
    for name in ["a", "gone-1", "gone-2", "present", "unsure"] {
        let item = world.item(name).await;
        items.insert(name.to_owned(), (item.state, item.version));
    }
    End {
        items,
        searched: world.searched().await.into_iter().collect(),
        applied: world.applied().await,
    }
}

/// Where a call fails.
#[derive(Clone, Copy, Debug)]
enum Place {
    Store,
    Documents,
    Log,
}

/// Sweeps with one failing call; answers what came of it, and whether the call was reached.
async fn sweep_failing(
    world: &World,
    crawl: &Crawl,
    place: Place,
    fails_at: u64,
    moment: Moment,
) -> (bool, Option<OrphanReport>) {
    let only = |wanted: bool| if wanted { fails_at } else { 0 };
    let store = Arc::new(FaultyStore::new(
        Arc::clone(world.crawldb.store()),
        only(matches!(place, Place::Store)),
        moment,
    ));
    let of_documents = Arc::new(Fuse::new(only(matches!(place, Place::Documents)), moment));
    let of_log = Arc::new(Fuse::new(only(matches!(place, Place::Log)), moment));
    let documents = FaultyDocuments {
        inner: Arc::clone(world.crawldb.documents()),
        fuse: Arc::clone(&of_documents),
    };
    let log = FaultyLog {
        inner: world.log.clone(),
        fuse: Arc::clone(&of_log),
    };
    let log = UpdateLog::new(Arc::new(log));
    let ledger = world.through(Arc::clone(&store) as _, Arc::new(documents), log, "killed life");
    let report = world.sweep_with(&ledger, crawl, &Mixed, 2_500).await.ok();
    let calls = match place {
        Place::Store => store.calls(),
        Place::Documents => of_documents.calls(),
        Place::Log => of_log.calls(),
    };
    (calls >= fails_at, report)
}

/// What a process does that starts after another one died.
async fn restart(world: &World, crawl: &Crawl) {
    let ledger = Ledger::new(world.crawldb.clone(), world.log.clone(), "next life");
    let recovered = ledger.recover(&world.source.id, Duration::ZERO, at(2_600));
    recovered.await.unwrap();
    let taken = world.crawldb.take_over(&crawl.id, "next life", at(2_600));
    let taken = taken.await.unwrap().unwrap();
    let report = world.sweep_with(&ledger, &taken, &Mixed, 2_700).await.unwrap();
    assert_eq!((report.withheld.clone(), report.blocked.clone()), (None, None));
    world.end(&taken, &report).await;
}

async fn expected(deletion: DeletionCapability) -> End {
    let (world, crawl) = world(deletion).await;
    let report = world.finish(&crawl, &Mixed).await;
    assert_eq!((report.present, report.deferred, report.deleted), (1, 1, 2));
    end(&world).await
}

async fn killed_at_every_call(deletion: DeletionCapability, place: Place, moment: Moment) {
    let expected = expected(deletion).await;
    for fails_at in 1..MAX_CALLS {
        let (world, crawl) = world(deletion).await;
        let (is_reached, report) = sweep_failing(&world, &crawl, place, fails_at, moment).await;
        if !is_reached {
            assert!(fails_at > 1, "no call was made");
            return;
        }
        assert_eq!(report, None, "a sweep that met an error says so");
        restart(&world, &crawl).await;
        assert_eq!(end(&world).await, expected, "{place:?}, call {fails_at}");
        let left = world
            .crawldb
            .store()
            .list_intents(&world.source.id)
            .await
            .unwrap();
        assert_eq!(left, [], "{place:?}, call {fails_at}");
    }
    panic!("the sweep makes more than {MAX_CALLS} calls");
}

#[tokio::test]
async fn a_killed_sweep_comes_to_the_same_end() {
    for deletion in [DeletionCapability::Enumerate, DeletionCapability::FetchOnly] {
        for place in [Place::Store, Place::Documents, Place::Log] {
            for moment in [Moment::Before, Moment::After] {
                killed_at_every_call(deletion, place, moment).await;
            }
        }
    }
}

/// What a sweep did counts once, however often it is called.
#[tokio::test]
async fn a_sweep_may_be_called_again() {
    let (world, crawl) = world(DeletionCapability::Enumerate).await;
    let first = world.sweep(&crawl, &Mixed).await;
    let before = world.applied().await;
    let second = world.sweep(&crawl, &Mixed).await;
    assert_eq!(first, second);
    assert_eq!(world.applied().await, before);
    assert_eq!((second.candidates, second.present, second.deleted), (4, 1, 2));
}
