use model::Timestamp;
use registry::{Domain, Outcome, RegistryError, RowChanges, RunFilter, ScraperSettings};

use crate::world::{World, data, ending, person};

#[tokio::test]
async fn finishing_twice_is_finishing_once() {
    let world = World::new();
    let bus = world.add("ann/bus", ScraperSettings::default()).await;
    world.ask(&bus, person("ann")).await;
    let lease = world.lease("w").await;
    let finish = || {
        world.registry.finish(
            lease.run.id,
            lease.epoch,
            ending(Outcome::Failed),
            data("rows"),
            world.now,
        )
    };
    let first = finish().await.unwrap();
    let second = finish().await.unwrap();
    assert_eq!(first, second);
    assert!(first.is_first_failure);
    assert_eq!(world.scraper(&bus).await.failures, 1);
    assert_eq!(world.registry.versions(&bus).await.unwrap().len(), 1);
}

#[tokio::test]
async fn failures_are_counted_told_once_and_pause_the_schedule() {
    let mut world = World::new();
    let settings = ScraperSettings {
        schedule: Some("daily".into()),
        pause_after_failures: 3,
        ..ScraperSettings::default()
    };
    let bus = world.add("ann/bus", settings).await;
    let mut told = Vec::new();
    for outcome in [
        Outcome::Failed,
        Outcome::NoData,
        Outcome::Stopped,
        Outcome::TimedOut,
        Outcome::Failed,
        Outcome::Succeeded,
        Outcome::Succeeded,
    ] {
        let ended = world.go(&bus, ending(outcome), None).await;
        told.push((ended.is_first_failure, ended.was_paused, ended.is_recovery));
    }
    let nothing = (false, false, false);
    assert_eq!(
        told,
        [
            (true, false, false),
            nothing,
            nothing,
            (false, true, false),
            nothing,
            (false, false, true),
            nothing
        ]
    );
    let paused = world.scraper(&bus).await;
    assert!(paused.paused.unwrap().contains("3 failures in a row"));
    assert_eq!(paused.due_at, None);
    let goes_on = world.registry.pause_scraper(&bus, None, world.now).await.unwrap();
    assert!(goes_on.due_at > Some(world.now));
}

#[tokio::test]
async fn who_let_it_go_on_gives_it_as_many_failures_again() {
    let mut world = World::new();
    let settings = ScraperSettings {
        schedule: Some("daily".into()),
        pause_after_failures: 2,
        ..ScraperSettings::default()
    };
    let bus = world.add("ann/bus", settings).await;
    let mut pauses = Vec::new();
    for _ in 0..6 {
        let ended = world.go(&bus, ending(Outcome::Failed), None).await;
        pauses.push(ended.was_paused);
        if ended.was_paused {
            world.registry.pause_scraper(&bus, None, world.now).await.unwrap();
        }
    }
    assert_eq!(pauses, [false, true, false, true, false, true]);
    assert!(world.go(&bus, ending(Outcome::Succeeded), None).await.is_recovery);
    for was_paused in [false, true] {
        let ended = world.go(&bus, ending(Outcome::Failed), None).await;
        assert_eq!(ended.was_paused, was_paused, "a success wipes the slate");
    }
}

#[tokio::test]
async fn versions_have_no_gaps_and_old_ones_are_dropped() {
    let mut world = World::new();
    let settings = ScraperSettings {
        keep_versions: 2,
        ..ScraperSettings::default()
    };
    let bus = world.add("ann/bus", settings).await;
    let mut dropped = Vec::new();
    for text in ["a", "b", "b", "a", "c", "d"] {
        let ended = world.go(&bus, ending(Outcome::Succeeded), data(text)).await;
        dropped.extend(ended.dropped.into_iter().map(|version| version.number));
    }
    let numbers: Vec<u64> = world
        .registry
        .versions(&bus)
        .await
        .unwrap()
        .iter()
        .map(|version| version.number)
        .collect();
    assert_eq!(numbers, [5, 4]);
    // The first version's file was the third's, too.
    assert_eq!(dropped, [2, 3]);

    let put = world
        .registry
        .add_version(&bus, data("b").unwrap().0, 1, world.now)
        .await
        .unwrap();
    assert_eq!((put.version.number, put.version.run), (6, None));
    assert_eq!(put.dropped.len(), 1);
}

#[tokio::test]
async fn only_what_is_kept_is_restored() {
    let mut world = World::new();
    let settings = ScraperSettings {
        keep_versions: 2,
        ..ScraperSettings::default()
    };
    let bus = world.add("ann/bus", settings).await;
    for text in ["a", "b"] {
        world.go(&bus, ending(Outcome::Succeeded), data(text)).await;
    }
    let put = world.registry.restore_version(&bus, 1, world.now).await.unwrap();
    assert_eq!((put.version.number, put.version.run), (3, None));
    assert_eq!(put.version.checksum, data("a").unwrap().0);
    assert_eq!(put.dropped, [], "the file of the first is in force again");
    world.go(&bus, ending(Outcome::Succeeded), data("c")).await;
    let gone = world.registry.restore_version(&bus, 2, world.now).await;
    assert!(matches!(
        gone,
        Err(RegistryError::NotFound { what: "version", .. })
    ));
    assert_eq!(world.scraper(&bus).await.version, Some(4));
}

#[tokio::test]
async fn the_next_run_reserves_what_the_last_ones_used_and_a_margin() {
    let mut world = World::new();
    let bus = world.add("ann/bus", ScraperSettings::default()).await;
    let mut reserved = Vec::new();
    for (outcome, peak_mib) in [
        (Outcome::Succeeded, 100),
        (Outcome::Succeeded, 40),
        (Outcome::OutOfMemory, 512),
        (Outcome::Succeeded, 40),
    ] {
        let mut ending = ending(outcome);
        ending.usage.peak_memory_bytes = peak_mib << 20;
        reserved.push(world.go(&bus, ending, None).await.run.memory_mib);
    }
    assert_eq!(reserved, [512, 157, 157, 512]);
    assert_eq!(world.scraper(&bus).await.used_memory_mib, Some(512));
}

#[tokio::test]
async fn hosts_are_added_up_over_all_runs() {
    let mut world = World::new();
    let bus = world.add("ann/bus", ScraperSettings::default()).await;
    for (host, connections) in [("a.example", 1), ("b.example", 5), ("a.example", 7)] {
        let mut ending = ending(Outcome::Succeeded);
        ending.domains.push(Domain {
            host: host.into(),
            connections,
            refused: 1,
            bytes_in: 10,
            bytes_out: 1,
            first_at: world.now,
            last_at: world.now,
        });
        world.go(&bus, ending, None).await;
    }
    let domains = world.registry.domains(&bus).await.unwrap();
    let counts: Vec<(&str, u64, u64)> = domains
        .iter()
        .map(|domain| (domain.host.as_str(), domain.connections, domain.bytes_in))
        .collect();
    assert_eq!(counts, [("a.example", 8, 20), ("b.example", 5, 10)]);
}

/// Twenty hosts of a run count for who may begin beside whom.
#[tokio::test]
async fn the_hosts_that_count_are_those_with_the_most_connections() {
    let mut world = World::new();
    let scrapers = [
        world.add("ann/bus", ScraperSettings::default()).await,
        world.add("ann/train", ScraperSettings::default()).await,
    ];
    for scraper in &scrapers {
        let mut told = ending(Outcome::Succeeded);
        let small = (0..30).map(|number| (format!("{number}.{}.example", scraper.name), 1));
        for (host, connections) in small.chain([("large.example".to_owned(), 100)]) {
            told.domains.push(Domain {
                host,
                connections,
                refused: 0,
                bytes_in: 0,
                bytes_out: 0,
                first_at: world.now,
                last_at: world.now,
            });
        }
        world.go(scraper, told, None).await;
    }
    world.wait(60);
    for scraper in &scrapers {
        world.ask(scraper, person("ann")).await;
    }
    assert_eq!(world.admit("w").await.len(), 1, "the second one waits a second");
    world.wait(1);
    assert_eq!(world.admit("w").await.len(), 1);
}

#[tokio::test]
async fn an_ending_has_a_size_whatever_a_scraper_did() {
    let mut world = World::new();
    let bus = world.add("ann/bus", ScraperSettings::default()).await;
    for round in 0..3 {
        let mut told = ending(Outcome::Failed);
        told.message = "é".repeat(100_000);
        for number in 0..5_000_u64 {
            let table = format!("{number}-{}", "long".repeat(100));
            let rows = RowChanges {
                added: 1,
                ..RowChanges::default()
            };
            told.changes.insert(table, rows);
            told.domains.push(Domain {
                host: format!("{number}.{round}.{}", "example.".repeat(1_000)),
                connections: number,
                refused: 1,
                bytes_in: 0,
                bytes_out: 0,
                first_at: world.now,
                last_at: world.now,
            });
        }
        let kept = world.go(&bus, told, None).await.run.ending.unwrap();
        let bytes = serde_json::to_string(&kept).unwrap().len();
        assert!(bytes < 64 << 10, "{bytes}");
        assert_eq!(kept.changes.values().map(|rows| rows.added).sum::<u64>(), 5_000);
        assert!(kept.changes.contains_key("other tables"));
        assert_eq!((kept.domains.len(), kept.domains[0].connections), (100, 4_999));
    }
    let domains = world.registry.domains(&bus).await.unwrap();
    assert_eq!(domains.len(), 1_000);
    assert!(
        domains.iter().all(|domain| domain.host.contains(".2.")),
        "the last it talked to"
    );
}

#[tokio::test]
async fn old_runs_are_forgotten_but_the_last_successes_and_failures() {
    let mut world = World::new();
    let bus = world.add("ann/bus", ScraperSettings::default()).await;
    let mut runs = Vec::new();
    // s s s s f f f f s f: kept are the last three of each.
    for outcome in "ssssffffsf".chars() {
        let outcome = if outcome == 's' {
            Outcome::Succeeded
        } else {
            Outcome::Failed
        };
        runs.push(world.go(&bus, ending(outcome), None).await.run.id);
    }
    assert_eq!(
        world.registry.forget_runs(Timestamp::default()).await.unwrap(),
        []
    );
    let forgotten = world
        .registry
        .forget_runs(world.now.after(std::time::Duration::from_secs(1)))
        .await
        .unwrap();
    let forgotten: Vec<_> = forgotten.into_iter().map(|(_, run)| run).collect();
    assert_eq!(forgotten, [runs[0], runs[1], runs[4], runs[5]]);
    let kept = world.registry.runs(RunFilter::default()).await.unwrap();
    assert_eq!(kept.len(), 6);
}

#[tokio::test]
async fn a_scraper_goes_with_all_that_is_its() {
    let mut world = World::new();
    let bus = world.add("ann/bus", ScraperSettings::default()).await;
    let train = world.add("ann/train", ScraperSettings::default()).await;
    let first = world.go(&bus, ending(Outcome::Succeeded), data("a")).await.run.id;
    world.go(&train, ending(Outcome::Succeeded), data("a")).await;
    let second = world.go(&bus, ending(Outcome::Succeeded), data("b")).await.run.id;
    let third = world.ask(&bus, person("ann")).await;
    assert!(world.registry.remove_scraper(&bus).await.is_err());
    world.registry.stop_run(third, "ann", world.now).await.unwrap();
    let (runs, versions) = world.registry.remove_scraper(&bus).await.unwrap();
    assert_eq!(runs, [first, second, third]);
    let numbers: Vec<u64> = versions.iter().map(|version| version.number).collect();
    assert_eq!(numbers, [1, 2], "the other scraper has files of its own");
    assert!(world.registry.run(first).await.is_err());
    world.add("ann/bus", ScraperSettings::default()).await;
    assert!(
        world.ask(&bus, person("ann")).await > third,
        "numbers are never given again"
    );
}
