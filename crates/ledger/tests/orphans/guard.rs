//! The guard: what is implausible waits for a person, and until then nothing is deleted or marked.

use crawldb::{Crawl, CrawlKind, CrawlStatus, ItemState, OrphanReport};
use proptest::prelude::*;

use crate::world::{Engine, Silent, World, at, page};

on_every_engine!(
    more_than_a_part_of_the_items_is_too_much,
    few_items_are_never_too_much,
    tombstones_do_not_count_as_items,
    a_crawl_that_saw_much_less_than_the_last_complete_one_says_little,
    only_complete_full_crawls_are_compared_with,
    a_scan_that_lags_does_not_deceive_it,
    an_approval_holds_for_its_crawl_alone,
);

fn names(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("page-{number:03}")).collect()
}

fn borrowed(names: &[String]) -> Vec<&str> {
    names.iter().map(String::as_str).collect()
}

async fn assert_untouched(world: &World, report: &OrphanReport, names: &[String]) {
    assert!(report.blocked.is_some(), "{report:?}");
    assert_eq!(report.deleted, 0);
    world.assert_searched(&borrowed(names)).await;
    for name in names {
        assert_ne!(
            world.state(name).await,
            ItemState::OrphanCandidate,
            "{name} is marked"
        );
    }
}

async fn strict(world: &mut World) {
    world.configure(|settings| settings.orphans.guard_items = 0).await;
}

async fn more_than_a_part_of_the_items_is_too_much(mut world: World) {
    strict(&mut world).await;
    let all = names(50);
    world.crawl(1_000, &borrowed(&all)).await;
    let report = world.crawl(2_000, &borrowed(&all[..44])).await;
    assert_untouched(&world, &report, &all).await;
    let report = world.crawl(3_000, &borrowed(&all[..45])).await;
    assert_eq!((report.blocked, report.deleted), (None, 5), "10 % are allowed");
}

async fn tombstones_do_not_count_as_items(mut world: World) {
    strict(&mut world).await;
    let all = names(20);
    world.crawl(1_000, &borrowed(&all)).await;
    assert_eq!(world.crawl(2_000, &borrowed(&all[..18])).await.deleted, 2);
    // 2 of 20 would be a tenth.
    let report = world.crawl(3_000, &borrowed(&all[..16])).await;
    assert_untouched(&world, &report, &all[..18]).await;
}

async fn few_items_are_never_too_much(mut world: World) {
    world
        .configure(|settings| {
            settings.orphans.guard_percent = 0.0;
            settings.orphans.guard_items = 5;
        })
        .await;
    let all = names(20);
    world.crawl(1_000, &borrowed(&all)).await;
    let report = world.crawl(2_000, &borrowed(&all[..14])).await;
    assert_untouched(&world, &report, &all).await;
    assert_eq!(world.crawl(3_000, &borrowed(&all[..15])).await.deleted, 5);
}

async fn a_crawl_that_saw_much_less_than_the_last_complete_one_says_little(world: World) {
    let all = names(20);
    world.crawl(1_000, &borrowed(&all)).await;
    let report = world.crawl(2_000, &borrowed(&all[..9])).await;
    assert_untouched(&world, &report, &all).await;
    assert_eq!(
        report.blocked.as_deref(),
        Some("the crawl saw 9 items, less than 50 % of the 20 that the last complete one saw")
    );
    let report = world.crawl(3_000, &borrowed(&all[..10])).await;
    assert_eq!((report.blocked, report.deleted), (None, 10));
}

async fn only_complete_full_crawls_are_compared_with(world: World) {
    let all = names(20);
    world.crawl(1_000, &borrowed(&all)).await;
    let failed = world.crawled(2_000, &["page-000"]).await;
    let failed = world
        .crawldb
        .end_crawl(&failed, CrawlStatus::Failed, None, at(2_100));
    failed.await.unwrap();
    let incremental = world.begin_kind(3_000, CrawlKind::Incremental).await;
    world.see(&incremental, None, &["page-000"]).await;
    world.read(&incremental, page).await;
    world.enumerated(&incremental).await;
    world.finish(&incremental, &Silent).await;
    let report = world.crawl(4_000, &borrowed(&all[..9])).await;
    assert_untouched(&world, &report, &all).await;
}

async fn a_scan_that_lags_does_not_deceive_it(mut world: World) {
    strict(&mut world).await;
    let all = names(30);
    world.crawl(1_000, &borrowed(&all)).await;
    world.crawldb.store().refresh().await.unwrap();
    let report = world.crawl(2_000, &borrowed(&all)).await;
    assert_eq!(
        (report.candidates, report.blocked, report.withheld),
        (0, None, None)
    );
}

async fn an_approval_holds_for_its_crawl_alone(mut world: World) {
    strict(&mut world).await;
    let all = names(10);
    world.crawl(1_000, &borrowed(&all)).await;
    let crawl = world.crawled(2_000, &borrowed(&all[..7])).await;
    let approve = |crawl: &mut Crawl| {
        crawl.orphans.approval = Some(crawldb::Approval {
            by: "somebody".into(),
            reason: "they moved".into(),
            at: at(2_100),
        });
    };
    world.crawldb.update_crawl(&crawl, approve).await.unwrap();
    assert_eq!(world.finish(&crawl, &Silent).await.deleted, 3);
    let report = world.crawl(3_000, &borrowed(&all[..5])).await;
    assert_untouched(&world, &report, &all[..7]).await;
}

#[tokio::test]
async fn a_setting_that_is_no_number_lets_nothing_pass() {
    let mut world = World::on(Engine::Memory).await;
    world
        .configure(|settings| settings.orphans.min_seen_percent = f64::NAN)
        .await;
    let all = names(4);
    world.crawl(1_000, &borrowed(&all)).await;
    let report = world.crawl(2_000, &borrowed(&all[..3])).await;
    assert_untouched(&world, &report, &all).await;
}

/// Counts and limits, with the answer in whole numbers.
#[derive(Clone, Debug)]
struct Trial {
    known: usize,
    seen: usize,
    percent: u64,
    items: u64,
    min_seen: u64,
}

impl Trial {
    fn is_plausible(&self) -> bool {
        let (known, seen) = (self.known as u64, self.seen as u64);
        let missing = known - seen;
        let few = missing <= self.items || missing * 100 <= self.percent * known;
        few && seen > 0 && seen * 100 >= self.min_seen * known
    }
}

fn trial() -> impl Strategy<Value = Trial> {
    (1..40_usize, 0..=100_usize, 0..=60_u64, 0..8_u64, 0..=100_u64).prop_map(
        |(known, seen_percent, percent, items, min_seen)| Trial {
            known,
            seen: known * seen_percent / 100,
            percent,
            items,
            min_seen,
        },
    )
}

async fn run(trial: &Trial) {
    let mut world = World::on(Engine::Memory).await;
    world
        .configure(|settings| {
            let policy = &mut settings.orphans;
            policy.guard_percent = trial.percent as f64;
            policy.guard_items = trial.items;
            policy.min_seen_percent = trial.min_seen as f64;
        })
        .await;
    let all = names(trial.known);
    world.crawl(1_000, &borrowed(&all)).await;
    let report = world.crawl(2_000, &borrowed(&all[..trial.seen])).await;
    if trial.is_plausible() {
        assert_eq!(report.blocked, None);
        world.assert_searched(&borrowed(&all[..trial.seen])).await;
    } else {
        assert_untouched(&world, &report, &all).await;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// I9: a tripped guard deletes nothing; one that did not trip deletes what is missing.
    #[test]
    fn a_tripped_guard_deletes_nothing(trial in trial()) {
        tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap()
            .block_on(run(&trial));
    }
}
