//! What only the stores know, and nobody counts as it happens: how many items are in which state, what is stuck, who is
//! missing.
//!
//! A [`Surveyor`] asks now and then, and keeps the answer for Prometheus. Every process that surveys the same stores says
//! the same, so figures of several processes are to be compared (`max`), not added.

mod figures;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use crawldb::{Crawl, CrawlStatus, ItemState, Revision, Source};
use model::{SourceId, Timestamp};
use prometheus_client::registry::Registry;
use updates::{LogError, Watermarks, topics};

use self::figures::SurveyCollector;
use crate::{LIVE_GROUP, Ledger, LedgerError};

/// The group that works on the requests of every crawl.
pub const CRAWL_GROUP: &str = "crawler";
/// Sources that are told apart; what is known of further ones is summed up under [`OTHER_SOURCES`].
pub const MAX_NAMED_SOURCES: usize = 1_000;
/// The name under which sources beyond [`MAX_NAMED_SOURCES`] are summed up.
pub const OTHER_SOURCES: &str = "other";

/// The newest crawls of a source that are looked at.
const CRAWLS: usize = 20;

/// What the stores hold at one moment, without sources that are being deleted.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Survey {
    /// When it was begun.
    pub at: Timestamp,
    /// Sources.
    pub sources: u64,
    /// Items by their state.
    pub items: BTreeMap<ItemState, u64>,
    /// Crawls that run.
    pub running: Tally,
    /// Sources whose last crawl waits for a person's word.
    pub blocked: u64,
    /// Intents that are open, at most 1,000 counted per source.
    pub intents: Tally,
    /// Members of the crawl group that are alive.
    pub crawl_members: u64,
    /// Members of the live group that are alive.
    pub live_members: u64,
    /// What is known of single sources, by their names; at most [`MAX_NAMED_SOURCES`] and one.
    pub by_source: BTreeMap<String, SourceSurvey>,
}

/// How many of a kind there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Tally {
    /// All of them.
    pub count: u64,
    /// Since when the oldest is there.
    pub oldest: Option<Timestamp>,
}

/// What is known of one source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceSurvey {
    /// When its newest crawl began; never, where it was not crawled.
    pub last_start: Option<Timestamp>,
    /// When its newest complete crawl ended; when the source was added, where there is none.
    pub last_success: Timestamp,
    /// How long its newest crawl took that is over.
    pub last_duration: Option<Duration>,
    /// Items that a person must decide about.
    pub escalated: u64,
    /// Live updates that are not applied. Where the log was compacted it counts some that are gone.
    pub live_lag: u64,
    /// For how long a partition with live updates to apply has not moved.
    pub live_stalled: Duration,
}

impl Tally {
    fn add(&mut self, since: impl Iterator<Item = Timestamp>) {
        for since in since {
            self.count += 1;
            self.oldest = Some(self.oldest.map_or(since, |oldest| oldest.min(since)));
        }
    }
}

impl SourceSurvey {
    /// Two sources as one: the sum of what is counted, the worse of everything else.
    fn joined(self, other: Self) -> Self {
        Self {
            last_start: self.last_start.max(other.last_start),
            last_success: self.last_success.min(other.last_success),
            last_duration: self.last_duration.max(other.last_duration),
            escalated: self.escalated + other.escalated,
            live_lag: self.live_lag + other.live_lag,
            live_stalled: self.live_stalled.max(other.live_stalled),
        }
    }
}

/// Asks the stores now and then.
#[derive(Debug)]
pub struct Surveyor {
    ledger: Ledger,
    remembered: HashMap<SourceId, Remembered>,
    last: Arc<RwLock<Survey>>,
}

/// What the survey before found of a source.
#[derive(Clone, Debug, Default)]
struct Remembered {
    crawls: Option<Crawls>,
    live: Vec<Place>,
}

/// What the crawls of a source say, as long as its record is the same.
#[derive(Clone, Copy, Debug)]
struct Crawls {
    source: Revision,
    last_success: Timestamp,
    last_duration: Option<Duration>,
    blocked: bool,
    running: Tally,
}

/// Where the live group stands in a partition, what lies before it, and since when.
#[derive(Clone, Copy, Debug)]
struct Place {
    offset: u64,
    lag: u64,
    since: Timestamp,
}

impl Ledger {
    /// Somebody who asks the stores of this ledger now and then.
    pub fn surveyor(&self) -> Surveyor {
        Surveyor {
            ledger: self.clone(),
            remembered: HashMap::new(),
            last: Arc::default(),
        }
    }
}

impl Surveyor {
    /// Registers what the last survey found under `haul`. Nothing is shown before the first one.
    pub fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("haul");
        registry.register_collector(Box::new(SurveyCollector(Arc::clone(&self.last))));
    }

    /// Asks the stores, with three or four calls per source, none of which takes longer for more items.
    ///
    /// # Errors
    ///
    /// Where a store fails. The survey before stays, and shows its age.
    pub async fn look(&mut self, now: Timestamp) -> Result<Survey, LedgerError> {
        let log = self.ledger.log();
        let mut survey = Survey {
            at: now,
            crawl_members: log.members(CRAWL_GROUP).await?.len() as u64,
            live_members: log.members(LIVE_GROUP).await?.len() as u64,
            ..Survey::default()
        };
        let mut remembered = HashMap::new();
        for source in self.ledger.crawldb().sources().await? {
            if source.deleting_since.is_some() {
                continue;
            }
            let found = self.look_at(&source, &mut survey).await?;
            remembered.insert(source.id, found);
        }
        self.remembered = remembered;
        *self.last.write().unwrap_or_else(PoisonError::into_inner) = survey.clone();
        Ok(survey)
    }

    async fn look_at(&self, source: &Source, survey: &mut Survey) -> Result<Remembered, LedgerError> {
        let before = self.remembered.get(&source.id);
        let crawls = self.crawls(source, before, survey.at).await?;
        let escalated = self.count_items(source, survey).await?;
        let intents = self.ledger.crawldb().store().list_intents(&source.id).await?;
        let (live, live_lag) = self.live(source, before, survey.at).await?;
        survey.intents.add(intents.iter().map(|intent| intent.at));
        survey.add_crawls(&crawls);
        survey.add_source(
            source,
            SourceSurvey {
                last_start: source.last_crawl_start,
                last_success: crawls.last_success,
                last_duration: crawls.last_duration,
                escalated,
                live_lag,
                live_stalled: stalled(&live, survey.at),
            },
        );
        Ok(Remembered {
            crawls: Some(crawls),
            live,
        })
    }

    /// Adds the items of the source to the survey, and says how many of them are escalated.
    async fn count_items(&self, source: &Source, survey: &mut Survey) -> Result<u64, LedgerError> {
        let counts = self.ledger.crawldb().store().counts(&source.id, None).await?;
        for (state, (all, _)) in &counts.by_state {
            *survey.items.entry(*state).or_default() += all;
        }
        let escalated = counts.by_state.get(&ItemState::Escalated);
        Ok(escalated.map_or(0, |(all, _)| *all))
    }

    /// Whoever starts or ends a crawl writes the source, so what was found lasts as long as its record.
    async fn crawls(
        &self,
        source: &Source,
        before: Option<&Remembered>,
        now: Timestamp,
    ) -> Result<Crawls, LedgerError> {
        let before = before.and_then(|before| before.crawls);
        if let Some(same) = before.filter(|before| before.source == source.revision)
            && source.active_crawls.is_empty()
        {
            return Ok(same);
        }
        let crawls = self.ledger.crawldb().crawls(Some(&source.id), CRAWLS).await?;
        let since = before.map_or(source.created_at, |before| before.last_success);
        Ok(Crawls::read(source, &crawls, since, now))
    }

    /// Where the live group stands, and how many updates lie before it.
    async fn live(
        &self,
        source: &Source,
        before: Option<&Remembered>,
        now: Timestamp,
    ) -> Result<(Vec<Place>, u64), LedgerError> {
        if !source.settings.live.enabled {
            return Ok((Vec::new(), 0));
        }
        let topic = topics::live(&source.id);
        let ends = match self.ledger.log().watermarks(&topic).await {
            Err(LogError::NoTopic(_)) => return Ok((Vec::new(), 0)),
            ends => ends?,
        };
        let committed = self.ledger.log().committed(LIVE_GROUP, &topic).await?;
        let before = before.map_or(&[][..], |before| &before.live);
        let lags: Vec<u64> = ends.iter().zip(&committed).map(lag).collect();
        let places = committed.iter().zip(&lags).enumerate();
        let places = places.map(|(number, (&offset, &lag))| match before.get(number) {
            Some(before) if before.offset == offset && before.lag > 0 => Place { lag, ..*before },
            _ => Place {
                offset,
                lag,
                since: now,
            },
        });
        Ok((places.collect(), lags.iter().sum()))
    }
}

impl Crawls {
    /// `crawls` are the newest of the source, newest first; `since` counts where none of them is complete.
    fn read(source: &Source, crawls: &[Crawl], since: Timestamp, now: Timestamp) -> Self {
        let mut running = Tally::default();
        running.add(
            crawls
                .iter()
                .filter(|crawl| !crawl.status.is_over())
                .map(|crawl| crawl.started_at),
        );
        let last = crawls.iter().find(|crawl| crawl.status.is_over());
        let complete = crawls.iter().find(|crawl| crawl.status == CrawlStatus::Completed);
        Self {
            source: source.revision,
            last_success: complete.and_then(|crawl| crawl.ended_at).unwrap_or(since),
            last_duration: last.map(|crawl| crawl.duration(now)),
            blocked: last.is_some_and(|crawl| crawl.status == CrawlStatus::Blocked),
            running,
        }
    }
}

impl Survey {
    fn add_crawls(&mut self, crawls: &Crawls) {
        self.blocked += u64::from(crawls.blocked);
        self.running.count += crawls.running.count;
        let oldest = self.running.oldest.into_iter().chain(crawls.running.oldest).min();
        self.running.oldest = oldest;
    }

    /// A source may have the name that stands for the others.
    fn add_source(&mut self, source: &Source, found: SourceSurvey) {
        self.sources += 1;
        let name = if self.by_source.len() < MAX_NAMED_SOURCES {
            source.id.as_str()
        } else {
            OTHER_SOURCES
        };
        let joined = self
            .by_source
            .get(name)
            .map_or(found, |there| there.joined(found));
        self.by_source.insert(name.to_owned(), joined);
    }
}

/// Updates of a partition that the group has to read.
fn lag((ends, committed): (&Watermarks, &u64)) -> u64 {
    ends.high.saturating_sub(ends.low.max(*committed))
}

fn stalled(live: &[Place], now: Timestamp) -> Duration {
    live.iter()
        .map(|place| now.since(place.since))
        .max()
        .unwrap_or_default()
}
