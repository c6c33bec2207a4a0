use std::collections::BTreeSet;

use model::RunId;
use registry::{Capacity, Instruction, Keyring, Outcome, Phase, Registry, RegistryError, ScraperSettings};

use crate::world::{ROOM, World, ending, id, person};

const HOUR: u64 = 3600;

#[tokio::test]
async fn phases_go_forward_and_only_for_who_holds_the_run() {
    let mut world = World::new();
    let bus = world.add("ann/bus", ScraperSettings::default()).await;
    world.ask(&bus, person("ann")).await;
    let lease = world.lease("w").await;
    let (run, epoch) = (lease.run.id, lease.epoch);
    let advance = |phase, epoch, now| world.registry.advance(run, epoch, phase, now);
    advance(Phase::Syncing, epoch, world.now).await.unwrap();
    let started = world.now.after(std::time::Duration::from_secs(5));
    advance(Phase::Running, epoch, started).await.unwrap();
    let backwards = advance(Phase::Building, epoch, world.now).await;
    assert!(matches!(backwards, Err(RegistryError::Invalid(_))));
    let foreign = advance(Phase::Collecting, epoch + 1, world.now).await;
    assert!(matches!(foreign, Err(RegistryError::Fenced(_))));
    assert_eq!(world.run(run).await.started_at, Some(started));

    world.wait(10);
    world.finish(&lease, Outcome::Succeeded).await;
    let late = world
        .registry
        .advance(run, epoch, Phase::Collecting, world.now)
        .await;
    assert!(matches!(late, Err(RegistryError::Fenced(_))));
}

#[tokio::test]
async fn a_worker_that_is_not_heard_loses_its_run_and_the_zombie_is_told() {
    let mut world = World::new();
    let bus = world.add("ann/bus", ScraperSettings::default()).await;
    world.ask(&bus, person("ann")).await;
    let old = world.lease("w1").await;
    world.wait(29);
    let heard = world
        .registry
        .heartbeat("w1", vec![(old.run.id, old.epoch)], world.now);
    assert_eq!(heard.await.unwrap(), []);
    world.wait(29);
    assert_eq!(world.registry.upkeep(world.now, 0.5).await.unwrap().requeued, []);
    world.wait(2);
    let done = world.registry.upkeep(world.now, 0.5).await.unwrap();
    assert_eq!(done.requeued, [old.run.id]);
    assert_eq!(world.admit("w2").await, [], "the second try waits");

    let heard = world
        .registry
        .heartbeat("w1", vec![(old.run.id, old.epoch)], world.now);
    assert_eq!(heard.await.unwrap(), [Instruction::Drop(old.run.id)]);
    world.wait(30);
    let new = world.lease("w2").await;
    assert!(new.epoch > old.epoch);
    let late = world
        .registry
        .finish(old.run.id, old.epoch, ending(Outcome::Succeeded), None, world.now);
    assert!(matches!(late.await, Err(RegistryError::Fenced(_))));
    world.finish(&new, Outcome::Succeeded).await;
    assert_eq!(world.run(new.run.id).await.attempts, 1);
}

#[tokio::test]
async fn a_run_whose_worker_is_lost_three_times_is_lost() {
    let mut world = World::new();
    let bus = world.add("ann/bus", ScraperSettings::default()).await;
    let run = world.ask(&bus, person("ann")).await;
    for attempt in 1..=3 {
        world.lease("w").await;
        world.wait(31);
        let done = world.registry.upkeep(world.now, 1.0).await.unwrap();
        assert_eq!(done.requeued.len(), usize::from(attempt < 3));
        assert_eq!(done.lost.len(), usize::from(attempt == 3));
        world.wait(60);
    }
    let run = world.run(run).await;
    assert_eq!(run.ending.unwrap().outcome, Outcome::Lost);
    assert_eq!(
        world.scraper(&bus).await.failures,
        0,
        "it is not the scraper's fault"
    );
}

#[tokio::test]
async fn a_run_that_is_given_back_waits_a_little_longer_each_time() {
    let mut world = World::new();
    let bus = world.add("ann/bus", ScraperSettings::default()).await;
    let run = world.ask(&bus, person("ann")).await;
    let mut pauses = Vec::new();
    for _ in 0..3 {
        let lease = world.lease("w").await;
        let given = world
            .registry
            .give_back(run, lease.epoch, ending(Outcome::SyncFailed), world.now, 1.0);
        let Some(ended) = given.await.unwrap() else {
            let again = world.run(run).await.not_before.unwrap();
            pauses.push(again.since(world.now).as_secs());
            world.now = again;
            continue;
        };
        assert_eq!(ended.run.ending.unwrap().outcome, Outcome::SyncFailed);
    }
    assert_eq!(pauses, [30, 60]);
    assert_eq!(world.run(run).await.phase, Phase::Finished);
}

#[tokio::test]
async fn a_stopped_run_whose_worker_dies_is_stopped() {
    let mut world = World::new();
    let bus = world.add("ann/bus", ScraperSettings::default()).await;
    world.ask(&bus, person("ann")).await;
    let lease = world.lease("w").await;
    world
        .registry
        .stop_run(lease.run.id, "ann", world.now)
        .await
        .unwrap();
    world.wait(31);
    let lost = world.registry.upkeep(world.now, 0.5).await.unwrap().lost;
    assert_eq!(lost.len(), 1);
    assert_eq!(lost[0].run.ending.as_ref().unwrap().outcome, Outcome::Stopped);
    let late = world.registry.finish(
        lease.run.id,
        lease.epoch,
        ending(Outcome::Succeeded),
        None,
        world.now,
    );
    assert!(matches!(late.await, Err(RegistryError::Fenced(_))));
}

/// Asks for a run that only a large worker can take.
async fn ask_for_a_large_run(world: &World) -> RunId {
    let mut settings = ScraperSettings::default();
    settings.limits.memory_mib = 8192;
    let bus = world.add("ann/bus", settings).await;
    world.ask(&bus, person("ann")).await
}

#[tokio::test]
async fn a_run_that_fits_no_worker_is_told_so() {
    let mut world = World::new();
    let run = ask_for_a_large_run(&world).await;
    let lost = async |world: &World| world.registry.upkeep(world.now, 0.5).await.unwrap().lost;
    world.wait(2 * HOUR);
    assert_eq!(lost(&world).await, [], "no worker is known");
    assert_eq!(world.admit("w").await, []);
    assert_eq!(lost(&world).await, [], "a larger one may be on its way");
    world.wait(HOUR);
    assert_eq!(lost(&world).await, [], "nobody is there");
    assert_eq!(world.admit("w").await, []);
    assert_eq!(lost(&world).await.len(), 1);
    let message = world.run(run).await.ending.unwrap().message;
    assert!(message.contains("the largest has 4096 MiB"), "{message}");
}

#[tokio::test]
async fn a_run_waits_for_a_worker_that_is_away() {
    let mut world = World::new();
    let large = Capacity {
        memory_mib: 8192,
        slots: 1,
    };
    world.registry.admit("large", large, world.now).await.unwrap();
    assert_eq!(world.admit("w").await, []);
    let run = ask_for_a_large_run(&world).await;
    world.wait(HOUR);
    assert_eq!(world.admit("w").await, []);
    let lost = world.registry.upkeep(world.now, 0.5).await.unwrap().lost;
    assert_eq!(lost, [], "it was here an hour ago");
    world.wait(1);
    let lost = world.registry.upkeep(world.now, 0.5).await.unwrap().lost;
    assert_eq!(lost[0].run.id, run);
}

#[tokio::test]
async fn a_worker_that_ends_in_order_costs_a_run_nothing() {
    let world = World::new();
    let bus = world.add("ann/bus", ScraperSettings::default()).await;
    let run = world.ask(&bus, person("ann")).await;
    for _ in 0..5 {
        let lease = world.lease("w").await;
        let back = world.registry.put_back(run, lease.epoch, world.now).await;
        assert_eq!(back.unwrap(), None);
        let again = world.registry.put_back(run, lease.epoch, world.now).await;
        assert!(matches!(again, Err(RegistryError::Fenced(_))));
    }
    assert_eq!(world.run(run).await.attempts, 0);
    let lease = world.lease("w").await;
    world.registry.stop_run(run, "ann", world.now).await.unwrap();
    let ended = world.registry.put_back(run, lease.epoch, world.now).await;
    assert_eq!(
        ended.unwrap().unwrap().run.ending.unwrap().outcome,
        Outcome::Stopped
    );
}

/// As after a newer Haul, which knows settings that this one does not.
#[tokio::test]
async fn what_cannot_be_read_holds_up_nobody_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("registry.sqlite");
    let mut world = World::new();
    world.registry = Registry::open(&path, Keyring::random()).unwrap();
    let hourly = ScraperSettings {
        schedule: Some("every 1h".into()),
        ..ScraperSettings::default()
    };
    let [broken, waiting, newer] = ["ann/broken", "ann/waiting", "ann/newer"];
    for name in [broken, waiting, newer] {
        world.add(name, hourly.clone()).await;
    }
    let tram = world.add("bob/tram", ScraperSettings::default()).await;
    let lost = world.ask(&tram, person("bob")).await;
    world.lease("w").await;
    let stuck = world.ask(&id(waiting), person("ann")).await;
    let file = rusqlite::Connection::open(&path).unwrap();
    for (key, settings) in [
        (broken, r#"{"schedule":"every 1h","overlap":"sideways"}"#),
        (waiting, "{"),
        (newer, r#"{"schedule":"every 1h","colour":"green"}"#),
    ] {
        file.execute(
            "UPDATE scrapers SET settings = ?2 WHERE key = ?1",
            [key, settings],
        )
        .unwrap();
    }
    world.wait(2 * HOUR);
    let done = world.registry.upkeep(world.now, 0.0).await.unwrap();
    assert_eq!(done.requeued, [lost]);
    assert_eq!(done.queued.len(), 1);
    assert_eq!(world.run(done.queued[0]).await.scraper, id(newer));
    world.wait(60);
    let runs: BTreeSet<_> = world.admit("w").await.iter().map(|lease| lease.run.id).collect();
    assert_eq!(runs, BTreeSet::from([lost, done.queued[0]]));
    let ending = world.run(stuck).await.ending.unwrap();
    assert!(ending.message.contains("cannot be read"), "{}", ending.message);
    for key in [broken, waiting] {
        let why: Option<String> = file
            .query_row("SELECT paused FROM scrapers WHERE key = ?1", [key], |row| {
                row.get(0)
            })
            .unwrap();
        assert!(why.is_some_and(|why| why.contains("cannot be read")), "{key}");
    }
}

#[tokio::test]
async fn a_large_run_is_not_starved_by_small_ones() {
    let mut world = World::new();
    let mut settings = ScraperSettings::default();
    settings.limits.memory_mib = 4096;
    let big = world.add("ann/big", settings).await;
    let small = world.add("ann/small", ScraperSettings::default()).await;
    let other = world.add("ann/other", ScraperSettings::default()).await;
    world.ask(&small, person("ann")).await;
    let mut held = world.lease("w").await;
    world.ask(&big, person("ann")).await;
    let mut began = None;
    for round in 0..100 {
        // One small run begins before the other is over, so that there is always one.
        let next = if held.run.scraper == small { &other } else { &small };
        world.ask(next, person("ann")).await;
        world.wait(20);
        let mut leases = world.admit("w").await;
        let end = world.finish(&held, Outcome::Succeeded).await;
        assert!(end.run.finished_at.is_some());
        if leases.is_empty() {
            leases = world.admit("w").await;
        }
        held = leases.remove(0);
        if held.run.scraper == big {
            began = Some((round + 1) * 20);
            break;
        }
    }
    let waited = began.expect("the large run never began");
    assert!((900..=940).contains(&waited), "{waited}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn processes_that_pull_at_once_get_different_runs() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("registry.sqlite");
    let keyring = Keyring::random();
    let mut world = World::new();
    world.registry = Registry::open(&path, keyring.clone()).unwrap();
    for number in 0..32 {
        let id = world
            .add(&format!("ann/{number}"), ScraperSettings::default())
            .await;
        world.ask(&id, person("ann")).await;
    }
    let pulls: Vec<_> = (0..4)
        .map(|number| {
            let registry = Registry::open(&path, keyring.clone()).unwrap();
            let now = world.now;
            tokio::spawn(async move { registry.admit(&format!("w{number}"), ROOM, now).await.unwrap() })
        })
        .collect();
    let mut runs = BTreeSet::new();
    for pull in pulls {
        let leases = pull.await.unwrap();
        assert_eq!(leases.len(), 8);
        runs.extend(leases.into_iter().map(|lease| lease.run.id));
    }
    assert_eq!(runs.len(), 32);
}

#[tokio::test]
async fn heartbeats_of_clocks_that_are_behind_shorten_nothing() {
    let mut world = World::new();
    let bus = world.add("ann/bus", ScraperSettings::default()).await;
    world.ask(&bus, person("ann")).await;
    let lease = world.lease("w").await;
    let behind = world.now.before(std::time::Duration::from_secs(20));
    world
        .registry
        .heartbeat("w", vec![(lease.run.id, lease.epoch)], behind)
        .await
        .unwrap();
    world.wait(29);
    assert_eq!(world.registry.upkeep(world.now, 0.5).await.unwrap().requeued, []);
    assert_eq!(world.registry.workers(world.now).await.unwrap().len(), 1);
}
