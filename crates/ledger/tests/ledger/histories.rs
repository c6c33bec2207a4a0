//! Random histories of crawls, live updates, rulings, crashes and recoveries of two sources that share pages.

use std::time::Duration;

use crawldb::testkit::Moment;
use crawldb::{Crawl, CrawlStatus, Decision, IndexName, Outcome, Referred, Ruling};
use ledger::{Ledger, Replay, ReplayFrom};
use proptest::prelude::*;
use updates::topics;

use crate::stage::{Place, Stage, content, failure, gone, item_id, live, noindex, source_id};

const NAMES: [&str; 2] = ["east", "west"];

#[derive(Clone, Debug)]
enum Step {
    /// The running crawl of the source, or a new one, reads pages.
    Settle(usize, Vec<(u32, Outcome)>),
    EndCrawl(usize),
    /// Updates so many milliseconds before now.
    Live(usize, Vec<(u32, u64, Outcome)>),
    Rule(usize, u32, Decision),
    Recover,
}

/// Where the step's process dies, where it does.
type Crash = Option<(Place, u64, Moment)>;

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        4 => (0..3_u8).prop_map(|text| content(&format!("text-{text}"))),
        1 => Just(noindex()),
        2 => Just(gone()),
        1 => any::<bool>().prop_map(failure),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let pages = prop::collection::vec((0..6_u32, outcome()), 1..4);
    let updates = prop::collection::vec((0..6_u32, 0..3_000_u64, outcome()), 1..4);
    let decision = prop_oneof![
        Just(Decision::Delete),
        Just(Decision::Requeue),
        Just(Decision::Ignore)
    ];
    prop_oneof![
        5 => (0..2_usize, pages).prop_map(|(source, pages)| Step::Settle(source, pages)),
        1 => (0..2_usize).prop_map(Step::EndCrawl),
        4 => (0..2_usize, updates).prop_map(|(source, updates)| Step::Live(source, updates)),
        2 => (0..2_usize, 0..6_u32, decision).prop_map(|(source, page, decision)| Step::Rule(source, page, decision)),
        1 => Just(Step::Recover),
    ]
}

fn crash() -> impl Strategy<Value = Crash> {
    let place = prop_oneof![Just(Place::Store), Just(Place::Documents), Just(Place::Log)];
    let moment = prop_oneof![Just(Moment::Before), Just(Moment::After)];
    prop::option::weighted(0.4, (place, 1..14_u64, moment))
}

/// A history under way.
struct History {
    stage: Stage,
    crawls: [Option<Crawl>; 2],
}

impl History {
    async fn of(steps: &[(Step, Crash)]) -> Stage {
        let mut history = Self {
            stage: Stage::new().await,
            crawls: [None, None],
        };
        for (step, crash) in steps {
            history.stage.pass_time(Duration::from_millis(700));
            history.take(step, *crash).await;
        }
        history.stage.recover().await;
        history.stage
    }

    /// A failed step is left as it is.
    async fn take(&mut self, step: &Step, crash: Crash) {
        let (place, fails_at, moment) = crash.unwrap_or((Place::Store, u64::MAX, Moment::Before));
        let (ledger, _) = self.stage.faulty(place, fails_at, moment);
        match step {
            Step::Settle(source, pages) => self.settle(&ledger, *source, pages).await,
            Step::EndCrawl(source) => {
                if let Some(crawl) = self.crawls[*source].take() {
                    self.stage.end_crawl(&crawl, CrawlStatus::Completed).await;
                }
            }
            Step::Live(source, updates) => self.live(&ledger, *source, updates).await,
            Step::Rule(source, page, decision) => {
                let ruling = Ruling {
                    decision: *decision,
                    reason: "so it is".into(),
                    by: "a test".into(),
                    at: self.stage.now(),
                };
                let source = source_id(NAMES[*source]);
                let id = item_id(*page);
                drop(ledger.rule(&source, &id, &ruling, self.stage.now()).await);
            }
            Step::Recover => self.stage.recover().await,
        }
    }

    async fn settle(&mut self, ledger: &Ledger, source: usize, pages: &[(u32, Outcome)]) {
        if self.crawls[source].is_none() {
            self.crawls[source] = Some(self.stage.start_crawl(NAMES[source]).await);
        }
        let crawl = self.crawls[source].clone().unwrap();
        let attempts = self.stage.attempts(&crawl, pages).await;
        drop(self.stage.settle(ledger, &crawl, attempts).await);
    }

    async fn live(&self, ledger: &Ledger, source: usize, updates: &[(u32, u64, Outcome)]) {
        let now = self.stage.now();
        let reads: Vec<_> = updates
            .iter()
            .map(|(page, before, outcome)| {
                live(
                    *page,
                    now.as_millis().saturating_sub(*before).max(1),
                    outcome.clone(),
                )
            })
            .collect();
        let source = self.stage.source(NAMES[source]).await;
        drop(ledger.apply_live(&source, &reads, now, 0.5).await);
    }
}

fn run(steps: &[(Step, Crash)], check: impl AsyncFn(Stage)) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let stage = History::of(steps).await;
        check(stage).await;
    });
}

fn history() -> impl Strategy<Value = Vec<(Step, Crash)>> {
    prop::collection::vec((step(), crash()), 1..25)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(
        std::env::var("LEDGER_HISTORIES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(150)
    ))]

    /// I4, I6.
    #[test]
    fn after_a_recovery_documents_and_log_follow_from_the_items(steps in history()) {
        run(&steps, async |stage| stage.check_truth("after a history").await);
    }

    /// I5.
    #[test]
    fn applying_any_prefix_of_the_log_again_changes_nothing(steps in history(), part in 0.0..1.0_f64) {
        run(&steps, async |stage| {
            let before = stage.index().await;
            let index = stage.crawldb.documents().index_in_force().await.unwrap();
            for name in NAMES {
                let applied = stage.applied(&source_id(name)).await;
                let prefix = (applied.len() as f64 * part) as usize;
                for applied in &applied[..prefix] {
                    let replayed = stage.crawldb.refer(&index, &[reference(applied)]).await.unwrap();
                    assert_ne!(replayed, [Referred::Changed], "{applied:?} is in the index");
                }
            }
            assert_eq!(stage.index().await, before);
        });
    }

    /// I12.
    #[test]
    fn a_replay_into_an_empty_index_makes_the_live_index(steps in history(), old in 0..4_u64) {
        run(&steps, async |stage| {
            let next = IndexName::new("next").unwrap();
            let live = stage.index().await;
            for name in NAMES {
                let replay = Replay {
                    source: source_id(name),
                    from: ReplayFrom::Beginning,
                    into: Some(next.clone()),
                };
                let first = stage.ledger.replay(&replay, &|_| {}).await.unwrap();
                assert_eq!((first.swept, first.added), (0, 0), "the log was complete");
                let second = stage.ledger.replay(&replay, &|_| {}).await.unwrap();
                assert_eq!(second.written, 0, "the second time finds all of it");
            }
            assert_eq!(stage.documents(&next).await, live, "the replayed index is the live one");
            for name in NAMES {
                let ends = stage.ends(&topics::applied(&source_id(name))).await;
                let from = ends.iter().map(|end| end.saturating_sub(old)).collect();
                let replay = Replay { source: source_id(name), from: ReplayFrom::Offsets(from), into: None };
                stage.ledger.replay(&replay, &|_| {}).await.unwrap();
            }
            assert_eq!(stage.index().await, live, "old records never bring anything back");
        });
    }
}

fn reference(applied: &updates::Applied) -> (model::PageUrl, crawldb::Reference) {
    let (url, body) = match applied.change.clone() {
        updates::Change::Upsert {
            url,
            checksum,
            extract,
        } => (url, Some(crawldb::Body { checksum, extract })),
        updates::Change::Delete { url } => (url.unwrap(), None),
    };
    let reference = crawldb::Reference {
        source: applied.source.clone(),
        item: applied.item.clone(),
        version: applied.version,
        write: applied.write,
        last_updated: applied.at,
        body,
    };
    (url, reference)
}
