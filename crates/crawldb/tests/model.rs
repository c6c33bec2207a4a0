//! Random lives of a few items, against a small model of what should become of them.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use crawldb::testkit::{LaggingStore, sample_settings, sample_sighting};
use crawldb::{
    Attempt, Crawl, CrawlKind, CrawlStatus, CrawlTotals, Crawldb, Disposition, Finished, Item, ItemError,
    ItemErrorKind, ItemState, Outcome, RetryPolicy, Seen,
};
use model::{ArchiveKey, Checksum, SourceId, Timestamp};
use proptest::prelude::*;

const LEASE_MS: u64 = 1_000;
const RETRY: RetryPolicy = RetryPolicy {
    max_retries: 2,
    initial_ms: 1_000,
    max_ms: 60_000,
    multiplier: 2.0,
};

#[derive(Clone, Debug)]
enum Step {
    Sight(u32),
    Claim {
        owner: u8,
        limit: usize,
    },
    /// Of everything that was ever claimed, so that most late ones are zombies.
    Finish {
        newest: usize,
        outcome: Kind,
    },
    Wait(u64),
    Expire,
    Release {
        except: u8,
    },
    NewCrawl,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Applied { content: u8, indexed: bool },
    Unchanged,
    Gone,
    Failed { retryable: bool },
    Released,
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        3 => (0..2_u8, any::<bool>()).prop_map(|(content, indexed)| Kind::Applied { content, indexed }),
        1 => Just(Kind::Unchanged),
        1 => Just(Kind::Gone),
        3 => any::<bool>().prop_map(|retryable| Kind::Failed { retryable }),
        1 => Just(Kind::Released),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..6_u32).prop_map(Step::Sight),
        4 => (0..3_u8, 1..4_usize).prop_map(|(owner, limit)| Step::Claim { owner, limit }),
        8 => (0..4_usize, kind()).prop_map(|(newest, outcome)| Step::Finish { newest, outcome }),
        3 => (1..2_000_u64).prop_map(Step::Wait),
        1 => Just(Step::Expire),
        1 => (0..3_u8).prop_map(|except| Step::Release { except }),
        1 => Just(Step::NewCrawl),
    ]
}

/// What the model knows of an item; the crawl's number stands for its id and its version.
#[derive(Clone, Debug, PartialEq)]
struct Life {
    state: ItemState,
    crawl: u64,
    first_crawl: u64,
    version: u64,
    epoch: u64,
    lease: Option<(String, u64)>,
    due: u64,
    retries: u32,
    content: Option<u8>,
    indexed: Option<bool>,
}

impl Life {
    fn waits(&self) -> bool {
        matches!(self.state, ItemState::Pending | ItemState::Failure)
    }

    fn make_due(&mut self, now: u64) {
        (self.state, self.lease, self.due) = (ItemState::Pending, None, now);
    }

    fn settle(&mut self, state: ItemState, crawl: u64) {
        (self.state, self.version) = (state, crawl);
    }

    fn finish(&mut self, kind: Kind, crawl: u64, now: u64) {
        self.lease = None;
        match kind {
            Kind::Released => self.make_due(now),
            Kind::Unchanged if self.indexed.is_none() => self.fail(true, now),
            Kind::Unchanged => self.settle(ItemState::Unchanged, crawl),
            Kind::Gone => {
                self.settle(ItemState::Deleted, crawl);
                (self.content, self.indexed) = (None, None);
            }
            Kind::Applied { content, indexed } => {
                let same = self.content == Some(content) && self.indexed == Some(indexed);
                self.settle(
                    if same {
                        ItemState::Unchanged
                    } else {
                        ItemState::Success
                    },
                    crawl,
                );
                (self.content, self.indexed) = (Some(content), Some(indexed));
            }
            Kind::Failed { retryable } => self.fail(retryable, now),
        }
    }

    fn fail(&mut self, retryable: bool, now: u64) {
        self.retries += 1;
        if retryable && self.retries <= 2 {
            self.state = ItemState::Failure;
            self.due = now + 500 * 2_u64.pow(self.retries - 1);
        } else {
            self.state = ItemState::Escalated;
        }
    }
}

struct World {
    crawldb: Crawldb,
    source: SourceId,
    crawl: Crawl,
    now: u64,
    lives: BTreeMap<u32, Life>,
    claimed: Vec<(u32, Item)>,
    epochs: HashSet<(u32, u64)>,
}

impl World {
    async fn new(crawldb: Crawldb) -> Self {
        let source = SourceId::new("docs").unwrap();
        crawldb
            .add_source(source.clone(), sample_settings("docs"), at(0))
            .await
            .unwrap();
        let crawl = start(&crawldb, &source, 1_000).await;
        let (lives, claimed, epochs) = (BTreeMap::new(), Vec::new(), HashSet::new());
        Self {
            crawldb,
            source,
            crawl,
            now: 1_000,
            lives,
            claimed,
            epochs,
        }
    }

    fn start(&self) -> u64 {
        self.crawl.started_at.as_millis()
    }

    async fn take(&mut self, step: Step) {
        match step {
            Step::Sight(number) => self.sight(number).await,
            Step::Claim { owner, limit } => self.claim(&format!("owner-{owner}"), limit).await,
            Step::Finish { newest, outcome } => self.finish(newest, outcome).await,
            Step::Wait(millis) => self.now += millis,
            Step::Expire => self.expire().await,
            Step::Release { except } => self.release(&format!("owner-{except}")).await,
            Step::NewCrawl => self.new_crawl().await,
        }
        self.check().await;
    }

    async fn sight(&mut self, number: u32) {
        let seen = self
            .crawldb
            .seen(&self.crawl, &[sighting(number)], at(self.now))
            .await
            .unwrap();
        let (start, now) = (self.start(), self.now);
        let expected = match self.lives.get_mut(&number) {
            None => {
                self.lives.insert(number, new_life(start, now));
                Seen::New
            }
            Some(life) if life.crawl < start => {
                (life.crawl, life.retries) = (start, 0);
                life.make_due(now);
                Seen::Again
            }
            Some(_) => Seen::Known,
        };
        assert_eq!(seen, [expected]);
    }

    async fn claim(&mut self, owner: &str, limit: usize) {
        self.crawldb.store().refresh().await.unwrap();
        let lease = Duration::from_millis(LEASE_MS);
        let claimed = self
            .crawldb
            .claim(&self.crawl, None, owner, lease, limit, at(self.now))
            .await
            .unwrap();
        let (start, now) = (self.start(), self.now);
        let due = self
            .lives
            .values()
            .filter(|life| life.waits() && life.crawl == start && life.due <= now);
        assert_eq!(claimed.len(), due.count().min(limit));
        for item in claimed {
            let number = number_of(&item);
            let life = self.lives.get_mut(&number).expect("only known items are claimed");
            assert!(
                life.waits() && life.crawl == start && life.due <= now,
                "{life:?} was claimed"
            );
            life.epoch += 1;
            life.state = ItemState::InFlight;
            life.lease = Some((owner.to_owned(), now + LEASE_MS));
            assert!(
                self.epochs.insert((number, item.epoch)),
                "epoch {} of {number} twice",
                item.epoch
            );
            self.claimed.push((number, item));
        }
    }

    async fn finish(&mut self, newest: usize, kind: Kind) {
        let Some((number, item)) = self.claimed.iter().rev().nth(newest).cloned() else {
            return;
        };
        let attempt = Attempt {
            item: item.clone(),
            outcome: outcome(kind),
        };
        let finished = self
            .crawldb
            .finish(&self.crawl, vec![attempt], at(self.now), &RETRY, &mut || 0.0)
            .await
            .unwrap();
        let (start, now) = (self.start(), self.now);
        let life = self.lives.get_mut(&number).expect("a claimed item is known");
        let live = life.lease.is_some() && life.epoch == item.epoch && life.crawl == start;
        assert_eq!(
            !live,
            matches!(finished[0], Finished::Stale(_)),
            "{life:?} {finished:?}"
        );
        if live {
            life.finish(kind, start, now);
        }
    }

    async fn expire(&mut self) {
        let expired = self
            .crawldb
            .expire_leases(&self.source, at(self.now))
            .await
            .unwrap();
        let now = self.now;
        assert_eq!(expired, self.free(|_, until| until <= now));
    }

    async fn release(&mut self, except: &str) {
        let released = self
            .crawldb
            .release_leases(&self.source, except, at(self.now))
            .await
            .unwrap();
        assert_eq!(released, self.free(|owner, _| owner != except));
    }

    fn free(&mut self, chosen: impl Fn(&str, u64) -> bool) -> u64 {
        let now = self.now;
        let mut freed = 0;
        for life in self.lives.values_mut() {
            if life
                .lease
                .as_ref()
                .is_some_and(|(owner, until)| chosen(owner, *until))
            {
                life.make_due(now);
                freed += 1;
            }
        }
        freed
    }

    async fn new_crawl(&mut self) {
        let ended = self
            .crawldb
            .end_crawl(&self.crawl, CrawlStatus::Cancelled, None, at(self.now))
            .await
            .unwrap();
        assert_eq!(ended.totals, self.totals());
        let old = std::mem::replace(
            &mut self.crawl,
            start(&self.crawldb, &self.source, self.now).await,
        );
        assert!(
            self.crawl.started_at > old.started_at,
            "versions grow from crawl to crawl"
        );
        self.now = self.now.max(self.start());
    }

    fn totals(&self) -> CrawlTotals {
        let start = self.start();
        let mut totals = CrawlTotals::default();
        for life in self.lives.values().filter(|life| life.crawl == start) {
            totals.seen += 1;
            totals.new += u64::from(life.first_crawl == start);
            match life.state {
                ItemState::Success => totals.changed += u64::from(life.first_crawl != start),
                ItemState::Unchanged => totals.unchanged += 1,
                ItemState::Failure => totals.failed += 1,
                ItemState::Escalated => totals.escalated += 1,
                ItemState::Deleted => totals.deleted += 1,
                _ => totals.open += 1,
            }
        }
        totals
    }

    async fn check(&self) {
        self.crawldb.store().refresh().await.unwrap();
        for (number, life) in &self.lives {
            let item = self
                .crawldb
                .item(&self.source, &sighting(*number).id)
                .await
                .unwrap()
                .unwrap();
            assert_eq!(life_of(&item), *life, "item {number}");
        }
        assert_eq!(self.crawldb.totals(&self.crawl.id).await.unwrap(), self.totals());
        let start = self.start();
        for scope in self.crawldb.scopes(&self.crawl.id).await.unwrap() {
            let of_scope = |(number, life): &(&u32, &Life)| {
                life.crawl == start && sighting(**number).scope == scope.scope
            };
            let lives: Vec<&Life> = self.lives.iter().filter(of_scope).map(|(_, life)| life).collect();
            let open = lives.iter().filter(|life| life.state.is_open()).count();
            assert_eq!((scope.items, scope.open), (lives.len() as u64, open as u64));
        }
    }
}

async fn start(crawldb: &Crawldb, source: &SourceId, now: u64) -> Crawl {
    let started = crawldb
        .start_crawl(source, CrawlKind::Full, "test", at(now))
        .await;
    started.unwrap().crawl().unwrap()
}

fn new_life(start: u64, now: u64) -> Life {
    Life {
        state: ItemState::Pending,
        crawl: start,
        first_crawl: start,
        version: 0,
        epoch: 0,
        lease: None,
        due: now,
        retries: 0,
        content: None,
        indexed: None,
    }
}

fn life_of(item: &Item) -> Life {
    Life {
        state: item.state,
        crawl: item.crawl.started_at().as_millis(),
        first_crawl: item.first_seen_at.as_millis(),
        version: item.version.at().as_millis(),
        epoch: item.epoch,
        lease: item
            .lease
            .as_ref()
            .map(|lease| (lease.owner.clone(), lease.until.as_millis())),
        due: item.next_attempt_at.as_millis(),
        retries: item.retry_count,
        content: item
            .checksum
            .map(|checksum| u8::from(checksum == Checksum::of(&[1]))),
        indexed: item
            .disposition
            .as_ref()
            .map(|disposition| *disposition == Disposition::Indexed),
    }
}

fn outcome(kind: Kind) -> Outcome {
    match kind {
        Kind::Applied { content, indexed } => Outcome::Applied {
            checksum: Some(Checksum::of(&[content])),
            disposition: if indexed {
                Disposition::Indexed
            } else {
                Disposition::Noindex
            },
            content: Some(ArchiveKey::new("content/a").unwrap()),
            extract: Some(ArchiveKey::new("extract/a").unwrap()),
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
                at: at(0),
            },
            retry_after: None,
            retryable,
        },
        Kind::Released => Outcome::Released,
    }
}

fn sighting(number: u32) -> crawldb::Sighting {
    sample_sighting(
        if number.is_multiple_of(2) {
            "even.example"
        } else {
            "odd.example"
        },
        number,
    )
}

fn number_of(item: &Item) -> u32 {
    item.id.as_str().rsplit('-').next().unwrap().parse().unwrap()
}

fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn live(crawldb: Crawldb, steps: Vec<Step>) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let mut world = World::new(crawldb).await;
        for step in steps {
            world.take(step).await;
        }
    });
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn items_live_as_the_model_says_in_memory(steps in prop::collection::vec(step(), 1..80)) {
        live(Crawldb::memory(), steps);
    }

    #[test]
    fn items_live_as_the_model_says_where_searches_lag(steps in prop::collection::vec(step(), 1..80)) {
        let store = Arc::new(LaggingStore::default());
        live(Crawldb::new(Arc::clone(&store) as _, store), steps);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(40) })]

    #[test]
    fn items_live_as_the_model_says_in_sqlite(steps in prop::collection::vec(step(), 1..80)) {
        let folder = tempfile::tempdir().unwrap();
        live(Crawldb::open(&folder.path().join("crawl.db")).unwrap(), steps);
    }
}
