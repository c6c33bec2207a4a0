use std::time::{Duration, Instant};

use registry::{Capacity, Cause, Outcome, ScraperSettings};

use crate::world::World;

const SCRAPERS: usize = 10_000;

async fn fastest<F: AsyncFnMut()>(mut work: F) -> Duration {
    let mut fastest = Duration::MAX;
    for _ in 0..5 {
        let began = Instant::now();
        work().await;
        fastest = fastest.min(began.elapsed());
    }
    fastest
}

/// The bounds are far above what it takes, and far below what it would take without an index.
#[tokio::test]
async fn ten_thousand_that_wait_are_looked_at_in_milliseconds() {
    let mut world = World::new();
    let settings = ScraperSettings {
        schedule: Some("daily".into()),
        ..ScraperSettings::default()
    };
    for number in 0..SCRAPERS {
        let id = world
            .add(
                &format!("owner-{}/scraper-{number}", number % 500),
                settings.clone(),
            )
            .await;
        world.ask(&id, Cause::Push).await;
    }
    let idle = fastest(async || {
        let done = world.registry.upkeep(world.now, 0.5).await.unwrap();
        assert_eq!(done.queued, []);
    });
    let idle = idle.await;
    let capacity = Capacity {
        memory_mib: 16 * 512,
        slots: 16,
    };
    let mut slowest_end = Duration::ZERO;
    let mut slowest_admission = Duration::ZERO;
    let admission = fastest(async || {
        let began = Instant::now();
        let leases = world.registry.admit("w", capacity, world.now).await.unwrap();
        slowest_admission = slowest_admission.max(began.elapsed());
        assert_eq!(leases.len(), 16);
        for lease in &leases {
            let began = Instant::now();
            world.finish(lease, Outcome::Succeeded).await;
            slowest_end = slowest_end.max(began.elapsed());
        }
    });
    let admission = admission.await;
    let full = Capacity {
        memory_mib: 512,
        slots: 1,
    };
    world.registry.admit("full", full, world.now).await.unwrap();
    let in_vain =
        fastest(async || assert_eq!(world.registry.admit("full", full, world.now).await.unwrap(), [])).await;
    world.wait(86_400);
    let due = Instant::now();
    let done = world.registry.upkeep(world.now, 0.5).await.unwrap();
    assert!(done.next_due <= Some(world.now), "a batch of those that are due");
    println!(
        "16 of 10,000 admitted and finished in {admission:.1?} (admission at most {slowest_admission:.1?}, end {slowest_end:.1?}), \
         in vain {in_vain:.1?}, idle upkeep {idle:.1?}, 500 due in {:.1?}",
        due.elapsed()
    );
    assert!(admission < Duration::from_millis(300), "{admission:?}");
    assert!(
        idle < Duration::from_millis(20) && in_vain < Duration::from_millis(20),
        "{idle:?} {in_vain:?}"
    );
}
