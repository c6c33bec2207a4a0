use model::Checksum;
use registry::{
    Asked, Cause, Limits, Missed, Outcome, Overlap, Phase, RegistryError, RunFilter, ScraperFilter,
    ScraperSettings,
};

use crate::world::{World, id, person};

fn scheduled(overlap: Overlap) -> ScraperSettings {
    ScraperSettings {
        schedule: Some("every 1h".into()),
        overlap,
        ..ScraperSettings::default()
    }
}

#[tokio::test]
async fn a_second_wish_is_the_first_one() {
    let world = World::new();
    let bus = world.add("ann/bus", ScraperSettings::default()).await;
    let run = world.ask(&bus, Cause::Push).await;
    let again = world.registry.ask(&bus, person("ann"), world.now).await.unwrap();
    assert_eq!(again, Asked::Already(run));
    let lease = world.lease("w").await;
    let again = world.registry.ask(&bus, person("ann"), world.now).await.unwrap();
    assert_eq!(again, Asked::Already(lease.run.id));
    world.finish(&lease, Outcome::Succeeded).await;
    assert_eq!(world.scraper(&bus).await.unfinished, None);
}

#[tokio::test]
async fn a_push_while_it_works_brings_another_run() {
    let world = World::new();
    let bus = world.add("ann/bus", ScraperSettings::default()).await;
    world.ask(&bus, person("ann")).await;
    let lease = world.lease("w").await;
    for _ in 0..3 {
        world.registry.ask(&bus, Cause::Push, world.now).await.unwrap();
    }
    world.finish(&lease, Outcome::Failed).await;
    let next = world.scraper(&bus).await.unfinished.unwrap();
    assert_eq!(world.run(next).await.cause, Cause::Push);
    let lease = world.lease("w").await;
    world.finish(&lease, Outcome::Failed).await;
    assert_eq!(world.scraper(&bus).await.unfinished, None);
}

/// One hour after a scheduled run began that is not over, what the policy makes of it: whether it is to stop, and whether another one follows.
async fn overlap(policy: Overlap) -> (bool, bool) {
    let mut world = World::new();
    let bus = world.add("ann/bus", scheduled(policy)).await;
    world.wait(3600);
    let queued = world.registry.upkeep(world.now, 0.5).await.unwrap().queued;
    assert_eq!(queued.len(), 1);
    let lease = world.lease("w").await;
    for _ in 0..200 {
        world.wait(20);
        world
            .registry
            .heartbeat("w", vec![(lease.run.id, lease.epoch)], world.now)
            .await
            .unwrap();
        assert_eq!(world.registry.upkeep(world.now, 0.5).await.unwrap().queued, []);
    }
    let is_stopped = world.run(lease.run.id).await.stop.is_some();
    world.finish(&lease, Outcome::Stopped).await;
    (is_stopped, world.scraper(&bus).await.unfinished.is_some())
}

#[tokio::test]
async fn overlap_is_what_the_owner_says() {
    assert_eq!(overlap(Overlap::Skip).await, (false, false));
    assert_eq!(overlap(Overlap::Queue).await, (false, true));
    assert_eq!(overlap(Overlap::Cancel).await, (true, true));
}

#[tokio::test]
async fn missed_turns_are_one_run_or_none() {
    for (missed, runs) in [(Missed::Once, 1), (Missed::Skip, 0)] {
        let mut world = World::new();
        let mut settings = scheduled(Overlap::Skip);
        settings.missed = missed;
        world.add("ann/bus", settings).await;
        world.wait(50 * 3600);
        let first = world.registry.upkeep(world.now, 0.5).await.unwrap();
        assert_eq!(first.queued.len(), runs);
        assert!(first.next_due.unwrap() > world.now);
        assert_eq!(world.registry.upkeep(world.now, 0.5).await.unwrap().queued, []);
    }
}

#[tokio::test]
async fn a_run_that_waits_is_stopped_at_once_and_one_that_works_by_its_worker() {
    let world = World::new();
    let bus = world.add("ann/bus", ScraperSettings::default()).await;
    let run = world.ask(&bus, person("ann")).await;
    let stopped = world.registry.stop_run(run, "ann", world.now).await.unwrap();
    assert_eq!(stopped.phase, Phase::Finished);
    assert_eq!(stopped.ending.unwrap().outcome, Outcome::Stopped);

    world.ask(&bus, person("ann")).await;
    let lease = world.lease("w").await;
    let stopped = world
        .registry
        .stop_run(lease.run.id, "ann", world.now)
        .await
        .unwrap();
    assert_eq!(
        (stopped.phase, stopped.stop.as_deref()),
        (Phase::Leased, Some("ann"))
    );
    let heard = world
        .registry
        .heartbeat("w", vec![(lease.run.id, lease.epoch)], world.now);
    assert_eq!(
        heard.await.unwrap(),
        [registry::Instruction::Stop(lease.run.id, "ann".into())]
    );
}

#[tokio::test]
async fn a_circle_of_followers_goes_round_once() {
    let world = World::new();
    let after = |name: &str| ScraperSettings {
        after: Some(id(name)),
        ..ScraperSettings::default()
    };
    let first = world.add("ann/a", ScraperSettings::default()).await;
    world.add("ann/b", after("ann/a")).await;
    world.add("ann/c", after("Ann/B")).await;
    let scraper = world.scraper(&first).await;
    let changed = world
        .registry
        .change_scraper(&first, scraper.origin, after("ann/c"), None, world.now);
    changed.await.unwrap();

    world.ask(&first, person("ann")).await;
    let mut order = Vec::new();
    loop {
        let leases = world.admit("w").await;
        let Some(lease) = leases.first() else { break };
        order.push(lease.run.scraper.to_string());
        world.finish(lease, Outcome::Succeeded).await;
    }
    assert_eq!(order, ["ann/a", "ann/b", "ann/c"]);
}

#[tokio::test]
async fn failure_has_no_followers() {
    let world = World::new();
    let first = world.add("ann/a", ScraperSettings::default()).await;
    let after = Some(first.clone());
    let settings = ScraperSettings {
        after,
        ..ScraperSettings::default()
    };
    let second = world.add("ann/b", settings).await;
    world.ask(&first, person("ann")).await;
    let lease = world.lease("w").await;
    assert_eq!(world.finish(&lease, Outcome::Failed).await.followers, []);
    assert_eq!(world.scraper(&second).await.last_run, None);
}

#[tokio::test]
async fn an_upload_runs_in_no_list_and_goes_with_its_run() {
    let mut world = World::new();
    let by = "ann".parse().unwrap();
    let checksum = Checksum::of(b"tar");
    let asked = world
        .registry
        .ask_upload(&by, checksum, Limits::default(), world.now);
    let run = asked.await.unwrap();
    assert!(run.cause.is_awaited());
    assert_eq!(
        world.registry.scrapers(ScraperFilter::default()).await.unwrap(),
        []
    );
    assert_eq!(world.registry.runs(RunFilter::default()).await.unwrap(), []);
    let unknown = world.registry.scraper(&run.scraper).await;
    assert!(matches!(unknown, Err(RegistryError::NotFound { .. })));
    let unknown = world.registry.ask(&run.scraper, Cause::Push, world.now).await;
    assert!(matches!(unknown, Err(RegistryError::NotFound { .. })));

    let lease = world.lease("w").await;
    let data = crate::world::data("rows");
    let ended = world.registry.finish(
        run.id,
        lease.epoch,
        crate::world::ending(Outcome::Succeeded),
        data,
        world.now,
    );
    assert_eq!(ended.await.unwrap().run.ending.unwrap().version, None);
    world.wait(60);
    let forgotten = world.registry.forget_runs(world.now).await.unwrap();
    assert_eq!(forgotten, [(run.scraper.clone(), run.id)]);
    let gone = world.registry.run(run.id).await;
    assert!(matches!(gone, Err(RegistryError::NotFound { .. })));
}

#[tokio::test]
async fn an_upload_takes_a_name_that_nobody_has() {
    let world = World::new();
    world.add("ann/upload-1", ScraperSettings::default()).await;
    let by = "ann".parse().unwrap();
    let asked = world
        .registry
        .ask_upload(&by, Checksum::of(b"tar"), Limits::default(), world.now);
    assert_eq!(asked.await.unwrap().scraper.to_string(), "ann/upload-2");
}

#[tokio::test]
async fn who_asks_for_a_run_that_pauses_does_not_wait() {
    let world = World::new();
    let bus = world.add("ann/bus", ScraperSettings::default()).await;
    let run = world.ask(&bus, Cause::Push).await;
    let lease = world.lease("w").await;
    let ending = crate::world::ending(Outcome::SyncFailed);
    world
        .registry
        .give_back(run, lease.epoch, ending, world.now, 0.5)
        .await
        .unwrap();
    assert_eq!(world.admit("w").await, []);
    world.registry.ask(&bus, person("ann"), world.now).await.unwrap();
    assert_eq!(world.lease("w").await.run.id, run);
}

#[tokio::test]
async fn uploads_of_one_owner_are_limited() {
    let world = World::new();
    let by = "ann".parse().unwrap();
    let upload = || {
        world
            .registry
            .ask_upload(&by, Checksum::of(b"tar"), Limits::default(), world.now)
    };
    for _ in 0..20 {
        upload().await.unwrap();
    }
    assert!(matches!(upload().await, Err(RegistryError::Invalid(_))));
}

#[tokio::test]
async fn what_was_sent_is_needed_until_the_last_run_of_it_is_over() {
    let world = World::new();
    let (ann, bob) = ("Ann".parse().unwrap(), "bob".parse().unwrap());
    let (tar, other) = (Checksum::of(b"tar"), Checksum::of(b"other"));
    for checksum in [tar, tar, other] {
        let asked = world
            .registry
            .ask_upload(&ann, checksum, Limits::default(), world.now);
        asked.await.unwrap();
    }
    let is_needed = async |by, checksum| world.registry.is_upload_needed(by, checksum).await.unwrap();
    let leases = world.admit("w").await;
    world.finish(&leases[0], Outcome::Succeeded).await;
    assert!(is_needed(&ann, &tar).await);
    assert!(!is_needed(&bob, &tar).await, "his would be another file");
    world.finish(&leases[1], Outcome::Failed).await;
    assert!(!is_needed(&ann, &tar).await);
    assert!(is_needed(&"ANN".parse().unwrap(), &other).await);
}

#[tokio::test]
async fn stopping_what_is_over_stops_nothing_else() {
    let world = World::new();
    let bus = world.add("ann/bus", ScraperSettings::default()).await;
    let old = world.ask(&bus, person("ann")).await;
    let lease = world.lease("w").await;
    world.finish(&lease, Outcome::Failed).await;
    world.ask(&bus, person("ann")).await;
    let lease = world.lease("w").await;
    world.registry.ask(&bus, Cause::Push, world.now).await.unwrap();
    let still = world.registry.stop_run(old, "ann", world.now).await.unwrap();
    assert_eq!(still.ending.unwrap().outcome, Outcome::Failed);
    world.finish(&lease, Outcome::Succeeded).await;
    let next = world.scraper(&bus).await.unfinished.unwrap();
    assert_eq!(world.run(next).await.cause, Cause::Push);
}

#[tokio::test]
async fn who_is_paused_runs_for_a_push_alone() {
    for (waiting, runs) in [(Cause::Schedule, false), (Cause::Push, true)] {
        let world = World::new();
        let bus = world.add("ann/bus", scheduled(Overlap::Queue)).await;
        world.ask(&bus, person("ann")).await;
        let lease = world.lease("w").await;
        let asked = world.registry.ask(&bus, waiting.clone(), world.now).await;
        assert_eq!(asked.unwrap(), Asked::Already(lease.run.id));
        let why = Some("repairs".to_owned());
        world.registry.pause_scraper(&bus, why, world.now).await.unwrap();
        world.finish(&lease, Outcome::Succeeded).await;
        let next = world.scraper(&bus).await.unfinished;
        assert_eq!(next.is_some(), runs, "{waiting:?}");
    }
}
