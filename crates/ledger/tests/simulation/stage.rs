//! Where a run takes place, and the lives that take part in it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crawldb::{Crawldb, Outcome};
use futures::FutureExt;
use ledger::Ledger;
use model::{CrawlId, ItemId, SourceId, Timestamp};
use updates::{UpdateLog, topics};

use crate::bug::Bug;
use crate::log::SimLog;
use crate::store::SimStore;
use crate::truth::{Site, seconds};
use crate::witness::Witness;
use crate::world::{Fate, World};

/// Partitions of each topic.
const PARTITIONS: u32 = 2;
/// How long an intent is left to the one who began it: longer than anybody sleeps and then goes on.
const RECOVER_AGE: Duration = seconds(90);

pub(crate) struct Stage {
    pub(crate) world: Arc<World>,
    pub(crate) witness: Arc<Witness>,
    pub(crate) store: Arc<SimStore>,
    pub(crate) log: SimLog,
    pub(crate) crawldb: Crawldb,
    pub(crate) updates: UpdateLog,
    sites: Arc<Mutex<Vec<Site>>>,
    plan: Mutex<Plan>,
}

/// What still is to happen.
#[derive(Default)]
struct Plan {
    is_quiet: bool,
    /// Crawls of each site that may still begin.
    crawls: Vec<u32>,
}

impl Stage {
    pub(crate) async fn build(seed: u64, bug: Option<Bug>, traced: bool) -> Arc<Self> {
        let world = Arc::new(World::new(seed, bug, traced));
        let sites = world.roll(|dice| vec![Site::new("alpha", dice), Site::new("beta", dice)]);
        let crawls = sites
            .iter()
            .map(|_| world.roll(|dice| dice.between(1, 2)) as u32)
            .collect();
        let sites = Arc::new(Mutex::new(sites));
        let witness = Arc::new(Witness::new(Arc::clone(&world), Arc::clone(&sites)));
        let store = Arc::new(SimStore::new(Arc::clone(&world), Arc::clone(&witness)));
        let log = SimLog::new(Arc::clone(&world));
        let stage = Self {
            crawldb: Crawldb::new(Arc::clone(&store) as _, Arc::clone(&store) as _),
            updates: UpdateLog::new(Arc::new(log.clone())),
            world,
            witness,
            store,
            log,
            sites,
            plan: Mutex::new(Plan {
                is_quiet: false,
                crawls,
            }),
        };
        stage.add_sources().await;
        Arc::new(stage)
    }

    async fn add_sources(&self) {
        let sources: Vec<_> = self
            .sites()
            .iter()
            .map(|site| (site.id.clone(), site.settings()))
            .collect();
        for (id, settings) in sources {
            topics::ensure_source(&self.updates, &id, PARTITIONS)
                .await
                .unwrap();
            let now = Timestamp::from_millis(self.world.now());
            self.store.truth().add_source(id, settings, now).await.unwrap();
        }
    }

    pub(crate) fn sites(&self) -> MutexGuard<'_, Vec<Site>> {
        self.sites.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn source_id(&self, site: usize) -> SourceId {
        self.sites()[site].id.clone()
    }

    /// The crawl that runs at a site: everybody hears of it at once.
    pub(crate) fn running(&self, site: usize) -> Option<CrawlId> {
        let truth = self.store.truth();
        let source = truth.source(&self.source_id(site)).now_or_never()?.ok()??;
        truth.running(&source).now_or_never()?.ok()?.pop()
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_quiet(&self) -> bool {
        self.plan().is_quiet
    }

    /// Nothing changes any more at the sources, and nothing fails.
    pub(crate) fn calm_down(&self) {
        let mut plan = self.plan();
        plan.is_quiet = true;
        plan.crawls.fill(0);
        self.sites().iter_mut().for_each(Site::heal);
    }

    pub(crate) fn allow_crawls(&self, count: u32) {
        self.plan().crawls.fill(count);
    }

    pub(crate) fn may_crawl(&self, site: usize) -> bool {
        self.plan().crawls[site] > 0
    }

    pub(crate) fn has_begun_crawl(&self, site: usize) {
        let crawls = &mut self.plan().crawls[site];
        *crawls = crawls.saturating_sub(1);
    }

    /// Whether a crawl runs, or is to begin.
    pub(crate) fn has_crawls(&self) -> bool {
        (0..2).any(|site| self.may_crawl(site) || self.running(site).is_some())
    }

    pub(crate) fn recover_age(&self) -> Duration {
        if self.is_quiet() {
            Duration::ZERO
        } else {
            RECOVER_AGE
        }
    }

    /// Asks the source for an item: it answers what holds at some moment between the question and the answer.
    pub(crate) async fn fetch(&self, site: usize, id: &ItemId, etag: Option<&str>) -> Outcome {
        let (before, after) = self.world.roll(|dice| (dice.below(1_500), dice.below(1_500)));
        self.world.sleep(Duration::from_millis(before)).await;
        let outcome = self.sites()[site].answer(id, etag, self.world.now());
        self.world
            .note(|| format!("is told by {} that {id} is {outcome:?}", self.source_id(site)));
        self.world.sleep(Duration::from_millis(after)).await;
        outcome
    }
}

/// One life of somebody: ends with the first error, or when it is killed; another one follows.
pub(crate) struct Life {
    pub(crate) stage: Arc<Stage>,
    pub(crate) ledger: Ledger,
    pub(crate) name: String,
}

impl Life {
    pub(crate) fn new(stage: &Arc<Stage>, name: &str) -> Self {
        Self {
            stage: Arc::clone(stage),
            ledger: Ledger::new(stage.crawldb.clone(), stage.updates.clone(), name),
            name: name.to_owned(),
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.stage.world.clock()
    }

    pub(crate) async fn sleep(&self, low_ms: u64, high_ms: u64) {
        let time = self.stage.world.roll(|dice| dice.between(low_ms, high_ms));
        self.stage.world.sleep(Duration::from_millis(time)).await;
    }

    /// Whether a request that is not about a record of Haul's gets through.
    pub(crate) async fn reaches(&self, what: &str) -> bool {
        self.stage.world.step(|| what.to_owned()).await == Fate::Passes
    }
}
