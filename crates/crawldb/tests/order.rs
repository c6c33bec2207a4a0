//! Whoever writes in whatever order: the highest version wins, nothing is lost, and the figures equal a recount.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crawldb::testkit::{LaggingStore, sample_settings, sample_sighting};
use crawldb::transition::{LiveTerms, LiveWrite, live, orphan, rule};
use crawldb::{
    Attempt, Body, Crawl, CrawlKind, CrawlStatus, Crawldb, Decision, Disposition, Document, Finished, Item,
    ItemError, ItemErrorKind, ItemState, Outcome, Reference, Referred, RetryPolicy, Ruling, Scan, Sighting,
};
use model::{ArchiveKey, Checksum, CrawlId, ItemId, PageUrl, Rank, SourceId, Timestamp, Version};
use proptest::prelude::*;

const RETRY: RetryPolicy = RetryPolicy {
    max_retries: 2,
    initial_ms: 1_000,
    max_ms: 60_000,
    multiplier: 2.0,
};
const ITEMS: u32 = 4;

fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis)
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Content(u8),
    Unchanged,
    Gone,
    Failed { retryable: bool },
}

#[derive(Clone, Debug)]
enum Step {
    Sight(u32),
    Claim,
    /// The crawl's attempt that was claimed so long ago.
    Finish(usize, Kind),
    /// An update that happened so long ago.
    Live(u32, u64, Kind),
    Mark(u32),
    BeginDelete(u32),
    Delete(u32),
    Rule(u32, Decision),
    Remove(u32),
    Expire,
    Wait(u64),
    NextCrawl(bool),
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        4 => (0..3_u8).prop_map(Kind::Content),
        1 => Just(Kind::Unchanged),
        2 => Just(Kind::Gone),
        2 => any::<bool>().prop_map(|retryable| Kind::Failed { retryable }),
    ]
}

fn decision() -> impl Strategy<Value = Decision> {
    prop_oneof![
        Just(Decision::Requeue),
        Just(Decision::Ignore),
        Just(Decision::Delete),
        Just(Decision::Keep),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..ITEMS).prop_map(Step::Sight),
        6 => Just(Step::Claim),
        8 => (0..3_usize, kind()).prop_map(|(ago, kind)| Step::Finish(ago, kind)),
        8 => (0..ITEMS, 0..3_000_u64, kind()).prop_map(|(item, ago, kind)| Step::Live(item, ago, kind)),
        2 => (0..ITEMS).prop_map(Step::Mark),
        2 => (0..ITEMS).prop_map(Step::BeginDelete),
        2 => (0..ITEMS).prop_map(Step::Delete),
        3 => (0..ITEMS, decision()).prop_map(|(item, decision)| Step::Rule(item, decision)),
        1 => (0..ITEMS).prop_map(Step::Remove),
        1 => Just(Step::Expire),
        4 => (1..1_500_u64).prop_map(Step::Wait),
        2 => any::<bool>().prop_map(Step::NextCrawl),
    ]
}

fn outcome(kind: Kind, now: u64) -> Outcome {
    match kind {
        Kind::Content(content) => Outcome::Applied {
            checksum: Some(Checksum::of(&[content])),
            disposition: Disposition::Indexed,
            content: None,
            extract: Some(ArchiveKey::new(format!("extract/{content}")).unwrap()),
            etag: None,
            last_modified: None,
        },
        Kind::Unchanged => Outcome::Unchanged {
            etag: None,
            last_modified: None,
        },
        Kind::Gone => Outcome::Gone { reason: "404".into() },
        Kind::Failed { retryable } => Outcome::Failed {
            error: ItemError {
                kind: ItemErrorKind::Server,
                message: "500".into(),
                at: at(now),
            },
            retry_after: None,
            retryable,
        },
    }
}

fn sighting(number: u32) -> Sighting {
    sample_sighting(
        if number.is_multiple_of(2) {
            "even.example"
        } else {
            "odd.example"
        },
        number,
    )
}

/// What is known of an item beside its record.
struct Past {
    /// The newest content that was taken; none for a deletion.
    newest: (Version, Option<Checksum>),
    /// The crawl that escalated it, until somebody settled it or a person began anew.
    escalated_by: Option<CrawlId>,
    epoch: u64,
}

impl Default for Past {
    fn default() -> Self {
        Self {
            newest: (Version::NONE, None),
            escalated_by: None,
            epoch: 0,
        }
    }
}

struct World {
    crawldb: Crawldb,
    source: SourceId,
    crawl: Crawl,
    now: u64,
    claimed: Vec<Item>,
    past: BTreeMap<ItemId, Past>,
    told: u32,
}

impl World {
    async fn new(crawldb: Crawldb) -> Self {
        let source = SourceId::new("docs").unwrap();
        crawldb
            .add_source(source.clone(), sample_settings("docs"), at(0))
            .await
            .unwrap();
        let crawl = start(&crawldb, &source, 10_000).await;
        Self {
            crawldb,
            source,
            crawl,
            now: 10_000,
            claimed: Vec::new(),
            past: BTreeMap::new(),
            told: 0,
        }
    }

    async fn take(&mut self, step: &Step) {
        match step.clone() {
            Step::Sight(number) => self.sight(number).await,
            Step::Claim => self.claim().await,
            Step::Finish(ago, kind) => self.finish(ago, kind).await,
            Step::Live(number, ago, kind) => self.tell(number, ago, kind).await,
            Step::Mark(number) => self.change(number, mark).await,
            Step::BeginDelete(number) => self.change(number, begin_delete).await,
            Step::Delete(number) => self.change(number, delete).await,
            Step::Rule(number, decision) => self.rule(number, decision).await,
            Step::Remove(number) => self.remove(number).await,
            Step::Expire => self.expire().await,
            Step::Wait(millis) => self.now += millis,
            Step::NextCrawl(is_complete) => self.next_crawl(is_complete).await,
        }
    }

    async fn expire(&self) {
        self.crawldb
            .expire_leases(&self.source, at(self.now))
            .await
            .unwrap();
    }

    async fn sight(&mut self, number: u32) {
        let sightings = [sighting(number)];
        self.crawldb
            .seen(&self.crawl, &sightings, at(self.now))
            .await
            .unwrap();
    }

    async fn claim(&mut self) {
        let lease = Duration::from_millis(1_000);
        let claim = self
            .crawldb
            .claim(&self.crawl, None, "worker", lease, 2, at(self.now));
        for item in claim.await.unwrap() {
            let past = self.past.entry(item.id.clone()).or_default();
            assert!(item.epoch > past.epoch, "one lease per epoch");
            past.epoch = item.epoch;
            self.claimed.push(item);
        }
    }

    async fn finish(&mut self, ago: usize, kind: Kind) {
        let Some(item) = self.claimed.iter().rev().nth(ago).cloned() else {
            return;
        };
        let attempts = vec![Attempt {
            item,
            outcome: outcome(kind, self.now),
        }];
        let finish = self
            .crawldb
            .finish(&self.crawl, attempts, at(self.now), &RETRY, &mut || 0.0);
        let finished = finish.await.unwrap().remove(0);
        self.note(&finished);
    }

    async fn tell(&mut self, number: u32, ago: u64, kind: Kind) {
        let Sighting { id, url, scope, .. } = sighting(number);
        self.told += 1;
        let write = LiveWrite {
            id,
            url,
            scope,
            version: Version::new(at(self.now - ago), Rank::Live, self.told),
            outcome: outcome(kind, self.now),
        };
        let stored = self.crawldb.item(&self.source, &write.id).await.unwrap();
        let awaits_a_person = stored
            .as_ref()
            .is_some_and(|item| item.state == ItemState::Escalated);
        let is_outdone = stored.is_some_and(|item| {
            let crawl = Version::new(item.crawl.started_at(), Rank::Crawl, 0);
            item.unread > Some(write.version) || item.state.is_open() && crawl > write.version
        });
        let first = self.write_live(&write).await;
        if !(awaits_a_person && matches!(first, Finished::Escalated(_))) {
            self.note(&first);
        }
        // Of what was read twice, the second time changes nothing; a failure is an attempt of its own.
        if !matches!(first, Finished::Retry(_)) {
            let before = self.crawldb.item(&self.source, &write.id).await.unwrap();
            let again = self.write_live(&write).await;
            assert!(matches!(again, Finished::Stale(_)), "{first:?} {again:?}");
            assert_eq!(self.crawldb.item(&self.source, &write.id).await.unwrap(), before);
        }
        let stored = self.crawldb.item(&self.source, &write.id).await.unwrap();
        let is_behind = stored.is_none_or(|item| item.version < write.version);
        assert!(
            !is_behind || is_outdone || matches!(kind, Kind::Failed { .. } | Kind::Unchanged),
            "the update is in"
        );
    }

    async fn write_live(&self, write: &LiveWrite) -> Finished {
        let running = [self.crawl.id.clone()];
        let terms = LiveTerms {
            source: &self.source,
            configuration: 1,
            running: &running,
            retry: &RETRY,
            now: at(self.now),
            jitter: 0.0,
        };
        let ids = std::slice::from_ref(&write.id);
        let changed = self
            .crawldb
            .change_items(&self.source, ids, |_, stored| live(stored, write, &terms));
        changed.await.unwrap().remove(0)
    }

    async fn change(&mut self, number: u32, decide: impl Fn(&Self, &Item) -> Option<Finished> + Sync) {
        let id = sighting(number).id;
        let decide = |_, stored: Option<&Item>| {
            let decided = stored.and_then(|item| decide(self, item));
            decided.unwrap_or_else(|| Finished::Stale(id.clone()))
        };
        let ids = std::slice::from_ref(&id);
        let changed = self
            .crawldb
            .change_items(&self.source, ids, decide)
            .await
            .unwrap();
        self.note(&changed[0]);
    }

    async fn rule(&mut self, number: u32, decision: Decision) {
        let ruling = Ruling {
            decision,
            reason: String::new(),
            by: "somebody".into(),
            at: at(self.now),
        };
        self.change(number, |world, item| {
            rule(
                item,
                &ruling,
                std::slice::from_ref(&world.crawl.id),
                at(world.now),
            )
        })
        .await;
        if let Some(past) = self.past.get_mut(&sighting(number).id) {
            past.escalated_by = None;
        }
    }

    /// A tombstone goes when nothing older can arrive.
    async fn remove(&mut self, number: u32) {
        let id = sighting(number).id;
        let stored = self.crawldb.item(&self.source, &id).await.unwrap();
        if let Some(item) = stored.filter(|item| item.state == ItemState::Deleted) {
            self.crawldb.store().delete_items(&[item]).await.unwrap();
            self.past.remove(&id);
            self.claimed.retain(|claimed| claimed.id != id);
        }
    }

    async fn next_crawl(&mut self, is_complete: bool) {
        let status = if is_complete {
            CrawlStatus::Completed
        } else {
            CrawlStatus::Cancelled
        };
        let ended = self
            .crawldb
            .end_crawl(&self.crawl, status, None, at(self.now))
            .await
            .unwrap();
        assert_eq!(ended.totals, self.crawldb.totals(&self.crawl.id).await.unwrap());
        self.crawl = start(&self.crawldb, &self.source, self.now).await;
        self.now = self.now.max(self.crawl.started_at.as_millis());
    }

    fn note(&mut self, finished: &Finished) {
        let Some(item) = finished.item() else { return };
        let past = self.past.entry(item.id.clone()).or_default();
        match finished {
            Finished::Applied { item, .. } => {
                assert!(item.version >= past.newest.0, "only newer content");
                past.newest = (item.version, item.checksum);
                past.escalated_by = None;
            }
            Finished::Deleted { item, .. } => {
                past.newest = (item.version, None);
                past.escalated_by = None;
            }
            Finished::Unchanged(item) => {
                past.newest.0 = past.newest.0.max(item.version);
                past.escalated_by = None;
            }
            Finished::Escalated(item) => {
                let crawl = Some(item.crawl.clone()).filter(|crawl| crawl.started_at() > at(0));
                assert!(
                    crawl.is_none() || past.escalated_by != crawl,
                    "escalated once per crawl"
                );
                past.escalated_by = crawl;
            }
            Finished::Retry(item) => assert!(item.retry_count <= RETRY.max_retries),
            Finished::Released(_) | Finished::Stale(_) => {}
        }
    }

    async fn check(&self) {
        self.crawldb.store().refresh().await.unwrap();
        let items = self.crawldb.items(&Scan::all(&self.source, 100)).await.unwrap();
        for item in &items {
            if let Some(past) = self.past.get(&item.id) {
                assert_eq!(
                    (item.version, item.checksum),
                    past.newest,
                    "the content of the highest version"
                );
            }
            assert_eq!(item.lease.is_some(), item.state == ItemState::InFlight);
            assert!(item.retry_count <= RETRY.max_retries + 1);
            let is_told = item.crawl == CrawlId::live(&self.source);
            let is_hopeless = item.state.is_open() && !is_told && item.version.at() > item.crawl.started_at();
            assert!(
                !is_hopeless,
                "a crawl must process what it cannot write: {item:?}"
            );
        }
        self.check_counters(&items).await;
    }

    async fn check_counters(&self, items: &[Item]) {
        let mut crawls: Vec<Option<CrawlId>> = items.iter().map(|item| Some(item.crawl.clone())).collect();
        crawls.sort();
        crawls.dedup();
        for crawl in crawls.iter().chain([&None]) {
            let mut recount = BTreeMap::new();
            for item in items
                .iter()
                .filter(|item| crawl.as_ref().is_none_or(|crawl| item.crawl == *crawl))
            {
                let (all, new) = recount.entry(item.state).or_insert((0, 0));
                *all += 1;
                *new += u64::from(item.is_new());
            }
            let counts = self
                .crawldb
                .store()
                .counts(&self.source, crawl.as_ref())
                .await
                .unwrap();
            assert_eq!(counts.by_state, recount, "{crawl:?}");
            if let Some(crawl) = crawl {
                self.check_scopes(crawl, items).await;
            }
        }
    }

    async fn check_scopes(&self, crawl: &CrawlId, items: &[Item]) {
        let mut recount = BTreeMap::new();
        for item in items.iter().filter(|item| item.crawl == *crawl) {
            let (all, open) = recount.entry(item.scope.clone()).or_insert((0, 0));
            *all += 1;
            *open += u64::from(item.state.is_open());
        }
        let scopes = self.crawldb.scopes(crawl).await.unwrap();
        let scopes: BTreeMap<String, (u64, u64)> = scopes
            .into_iter()
            .map(|scope| (scope.scope, (scope.items, scope.open)))
            .collect();
        assert_eq!(scopes, recount);
    }
}

fn mark(world: &World, item: &Item) -> Option<Finished> {
    orphan::mark(item, &world.crawl).map(Finished::Unchanged)
}

fn begin_delete(world: &World, item: &Item) -> Option<Finished> {
    orphan::begin_delete(item, &world.crawl).map(Finished::Unchanged)
}

fn delete(world: &World, item: &Item) -> Option<Finished> {
    let version = orphan::version_of(&world.crawl);
    Some(orphan::delete(item, version, "missed", at(world.now)))
}

async fn start(crawldb: &Crawldb, source: &SourceId, now: u64) -> Crawl {
    let started = crawldb
        .start_crawl(source, CrawlKind::Full, "test", at(now))
        .await;
    started.unwrap().crawl().unwrap()
}

fn happen(crawldb: Crawldb, steps: &[Step]) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let mut world = World::new(crawldb).await;
        for step in steps {
            world.take(step).await;
            world.check().await;
        }
    });
}

fn lagging() -> Crawldb {
    let store = Arc::new(LaggingStore::default());
    Crawldb::new(Arc::clone(&store) as _, store)
}

fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(cases)
    }
}

proptest! {
    #![proptest_config(cases(250))]

    #[test]
    fn the_highest_version_wins_in_memory(steps in prop::collection::vec(step(), 1..80)) {
        happen(Crawldb::memory(), &steps);
    }

    #[test]
    fn the_highest_version_wins_where_searches_lag(steps in prop::collection::vec(step(), 1..80)) {
        happen(lagging(), &steps);
    }
}

proptest! {
    #![proptest_config(cases(40))]

    #[test]
    fn the_highest_version_wins_in_sqlite(steps in prop::collection::vec(step(), 1..80)) {
        let folder = tempfile::tempdir().unwrap();
        happen(Crawldb::open(&folder.path().join("crawl.db")).unwrap(), &steps);
    }
}

fn reference() -> impl Strategy<Value = Reference> {
    (0..2_u8, 0..2_u8, 0..4_u64, 0..3_u64, prop::option::of(0..2_u8)).prop_map(
        |(source, item, version, write, body)| Reference {
            source: SourceId::new(format!("source-{source}")).unwrap(),
            item: ItemId::new(format!("item-{item}")).unwrap(),
            version: Version::from_u64(version),
            write,
            last_updated: at(version),
            body: body.map(|content| Body {
                checksum: Checksum::of(&[content]),
                extract: ArchiveKey::new("extract/a").unwrap(),
            }),
        },
    )
}

fn merged(references: &[Reference]) -> Document {
    let mut document = Document::new(PageUrl::parse("https://a.example/").unwrap());
    for reference in references {
        document.refer(reference);
    }
    document
}

proptest! {
    #![proptest_config(cases(1_000))]

    #[test]
    fn references_merge_in_any_order_any_number_of_times(
        (references, shuffled) in prop::collection::vec(reference(), 0..12)
            .prop_flat_map(|references| (Just(references.clone()), Just(references).prop_shuffle())),
    ) {
        let document = merged(&references);
        prop_assert_eq!(&merged(&shuffled), &document);
        let twice: Vec<_> = references.iter().chain(&shuffled).cloned().collect();
        prop_assert_eq!(&merged(&twice), &document);
        for reference in &references {
            let kept = document.references.iter().find(|kept| (&kept.source, &kept.item) == (&reference.source, &reference.item));
            let is_nothing = reference.version == Version::NONE;
            prop_assert!(is_nothing || kept.is_some_and(|kept| kept.version >= reference.version), "none is lost");
            prop_assert_ne!(document.clone().refer(reference), Referred::Changed);
        }
    }
}
