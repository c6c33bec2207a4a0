//! What a sweep leaves for later, and that the scheduled job ends it.

use crawldb::{Approval, ConcurrencyMode, Crawl, CrawlStatus, ItemState, OrphanReport};
use ledger::{LIVE_GROUP, Presence, RETRY_DEFERRED, Verify};
use updates::{Entry, Subscription, topics};

use crate::world::{HOST, Says, Silent, World, at, page, says_gone};

on_every_engine!(
    a_grace_of_time_is_waited_out_by_the_job,
    what_the_source_could_not_tell_is_asked_again_by_the_job,
    live_updates_that_are_not_applied_withhold_everything,
    marks_that_were_not_noted_withhold_everything,
    marks_of_a_topic_that_is_gone_withhold_everything,
    without_live_updates_nobody_waits_for_them,
    what_was_blocked_goes_when_somebody_approves,
    the_job_leaves_sources_alone_that_are_busy_or_done,
    the_job_waits_for_an_older_crawl_that_still_runs,
);

/// What the scheduled job does for a crawl that is due.
async fn job(world: &World, now: u64, verify: &dyn Verify) -> OrphanReport {
    let due = world.ledger.orphans_due(at(now)).await.unwrap();
    let [id] = &due[..] else {
        panic!("one crawl is due, not {due:?}")
    };
    let reopened = world.crawldb.reopen_for_orphans(id, "janitor", at(now));
    let crawl = reopened.await.unwrap().unwrap();
    let report = world
        .sweep_with(&world.ledger, &crawl, verify, now)
        .await
        .unwrap();
    world.end(&crawl, &report).await;
    report
}

async fn assert_nothing_due(world: &World, now: u64) {
    assert_eq!(world.ledger.orphans_due(at(now)).await.unwrap(), []);
}

async fn a_grace_of_time_is_waited_out_by_the_job(mut world: World) {
    world
        .configure(|settings| settings.orphans.grace_ms = 60_000)
        .await;
    world.crawl(1_000, &["a", "b"]).await;
    let report = world.crawl(2_000, &["a"]).await;
    assert_eq!((report.waiting, report.again_at), (1, Some(at(62_000))));
    assert_nothing_due(&world, 61_999).await;
    let report = job(&world, 62_000, &Silent).await;
    assert_eq!((report.candidates, report.waiting, report.deleted), (1, 0, 1));
    assert_nothing_due(&world, u64::MAX).await;
    world.assert_searched(&["a"]).await;
}

async fn what_the_source_could_not_tell_is_asked_again_by_the_job(world: World) {
    world.crawl(1_000, &["a", "b", "c", "d"]).await;
    let crawl = world.crawled(2_000, &["a", "b"]).await;
    let unsure = Says(Presence::Unknown("HTTP 503".into()));
    let report = world.finish(&crawl, &unsure).await;
    assert_eq!((report.deferred, report.deleted), (2, 0));
    let again = at(2_500).after(RETRY_DEFERRED).as_millis();
    assert_nothing_due(&world, again - 1).await;
    let report = job(&world, again, &unsure).await;
    assert_eq!((report.candidates, report.deferred), (2, 2));
    let again = at(again).after(RETRY_DEFERRED).as_millis();
    assert_eq!(job(&world, again, &says_gone()).await.deleted, 2);
    world.assert_searched(&["a", "b"]).await;
}

async fn send_live(world: &World) {
    let updates: Vec<Entry<u8>> = vec![Entry {
        key: "a".into(),
        scope: HOST.into(),
        value: Some(1),
    }];
    let topic = topics::live(&world.source.id);
    world.log.append(&topic, &updates).await.unwrap();
}

async fn apply_live(world: &World) {
    let topics = Subscription::Topics(vec![topics::live(&world.source.id)]);
    let mut group = world.log.group(LIVE_GROUP, topics).await.unwrap();
    let batch = group.poll(10, std::time::Duration::from_secs(5)).await.unwrap();
    assert_eq!(batch.records.len(), 1);
    group.commit_batch(&batch).await.unwrap();
}

async fn live_updates_that_are_not_applied_withhold_everything(world: World) {
    world.crawl(1_000, &["a", "b"]).await;
    send_live(&world).await;
    let crawl = world.crawled(2_000, &["a"]).await;
    let report = world.finish(&crawl, &says_gone()).await;
    assert!(
        report.withheld.as_ref().unwrap().contains("not applied yet"),
        "{report:?}"
    );
    assert_eq!(report.deleted, 0);
    assert_eq!(world.state("b").await, ItemState::Success);
    let again = report.again_at.unwrap().as_millis();
    let report = job(&world, again, &says_gone()).await;
    assert!(report.withheld.is_some(), "still not applied");
    apply_live(&world).await;
    let report = job(&world, report.again_at.unwrap().as_millis(), &says_gone()).await;
    assert_eq!((report.withheld, report.deleted), (None, 1));
    world.assert_searched(&["a"]).await;
}

async fn forget_marks(crawl: &Crawl, world: &World) {
    let forget = |crawl: &mut Crawl| crawl.marks.live_enumerated.clear();
    world.crawldb.update_crawl(crawl, forget).await.unwrap();
}

async fn marks_that_were_not_noted_withhold_everything(world: World) {
    world.crawl(1_000, &["a", "b"]).await;
    let crawl = world.crawled(2_000, &["a"]).await;
    forget_marks(&crawl, &world).await;
    let report = world.finish(&crawl, &says_gone()).await;
    assert!(report.withheld.unwrap().contains("did not note"));
    assert_nothing_due(&world, u64::MAX).await;
    world.assert_searched(&["a", "b"]).await;
}

async fn marks_of_a_topic_that_is_gone_withhold_everything(world: World) {
    world.crawl(1_000, &["a", "b"]).await;
    let crawl = world.crawled(2_000, &["a"]).await;
    world
        .log
        .delete_topic(&topics::live(&world.source.id))
        .await
        .unwrap();
    let report = world.sweep(&crawl, &says_gone()).await;
    assert!(report.withheld.unwrap().contains("is gone"));
    forget_marks(&crawl, &world).await;
    let report = world.sweep(&crawl, &says_gone()).await;
    assert_eq!(
        report.deleted, 1,
        "a source that never had live updates needs no marks"
    );
}

async fn without_live_updates_nobody_waits_for_them(mut world: World) {
    world.configure(|settings| settings.live.enabled = false).await;
    world.crawl(1_000, &["a", "b"]).await;
    let crawl = world.crawled(2_000, &["a"]).await;
    forget_marks(&crawl, &world).await;
    assert_eq!(world.finish(&crawl, &says_gone()).await.deleted, 1);
}

async fn what_was_blocked_goes_when_somebody_approves(mut world: World) {
    world
        .configure(|settings| {
            settings.orphans.guard_items = 0;
            settings.orphans.min_seen_percent = 0.0;
        })
        .await;
    world.crawl(1_000, &["a", "b", "c"]).await;
    let crawl = world.crawled(2_000, &["a"]).await;
    let report = world.finish(&crawl, &Silent).await;
    assert_eq!(
        report.blocked.as_deref(),
        Some("2 of 3 items are missing, more than 10 % and more than 0")
    );
    assert_nothing_due(&world, u64::MAX).await;
    let approval = Approval {
        by: "somebody".into(),
        reason: "the chapter is closed".into(),
        at: at(3_000),
    };
    let approve = |crawl: &mut Crawl| crawl.orphans.approval = Some(approval.clone());
    world.crawldb.amend_crawl(&crawl.id, approve).await.unwrap();
    let report = job(&world, 3_100, &Silent).await;
    assert_eq!((report.blocked.clone(), report.deleted), (None, 2));
    assert_eq!(report.approval.as_ref(), Some(&approval), "it is kept");
    assert_eq!(report.ending(), CrawlStatus::Completed);
    assert_nothing_due(&world, u64::MAX).await;
    world.assert_searched(&["a"]).await;
}

async fn the_job_leaves_sources_alone_that_are_busy_or_done(mut world: World) {
    assert_nothing_due(&world, u64::MAX).await;
    world
        .configure(|settings| settings.orphans.grace_ms = 60_000)
        .await;
    world.crawl(1_000, &["a", "b"]).await;
    assert_nothing_due(&world, u64::MAX).await;
    world.crawl(2_000, &["a"]).await;
    assert_eq!(world.ledger.orphans_due(at(u64::MAX)).await.unwrap().len(), 1);
    let crawl = world.begin(3_000).await;
    assert_nothing_due(&world, u64::MAX).await;
    world.see(&crawl, None, &["a", "b"]).await;
    world.read(&crawl, page).await;
    world.enumerated(&crawl).await;
    world.finish(&crawl, &Silent).await;
    assert_nothing_due(&world, u64::MAX).await;
    world.assert_searched(&["a", "b"]).await;
}

async fn the_job_waits_for_an_older_crawl_that_still_runs(mut world: World) {
    world
        .configure(|settings| {
            settings.orphans.grace_ms = 60_000;
            settings.concurrency = ConcurrencyMode::Concurrent;
        })
        .await;
    world.crawl(1_000, &["a", "b"]).await;
    let older = world.begin(2_000).await;
    assert_eq!(world.crawl(3_000, &["a"]).await.waiting, 1);
    assert_nothing_due(&world, u64::MAX).await;
    let ended = world
        .crawldb
        .end_crawl(&older, CrawlStatus::Cancelled, None, at(4_000));
    ended.await.unwrap();
    assert_eq!(job(&world, 70_000, &Silent).await.deleted, 1);
}
