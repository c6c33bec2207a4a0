//! Delays between requests and limits on how many run.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::site::{Answer, Site};
use crate::world::{World, check_completed};

#[tokio::test]
async fn requests_to_a_host_are_kept_apart() {
    let server = Site::default()
        .links("/", "/a /b /c /d")
        .links("/a", "")
        .links("/b", "")
        .links("/c", "")
        .links("/d", "");
    let server = server.serve().await;
    let world = World::new(&server, |site| site.delay_ms = 60).await;
    check_completed(&world.crawl().await);
    let times = server.times();
    assert_eq!(times.len(), 5);
    let whole = times[4] - times[0];
    assert!(whole >= Duration::from_millis(4 * 60 - 30), "{whole:?}");
}

#[tokio::test]
async fn a_longer_crawl_delay_wins_up_to_a_limit() {
    let server = Site::default()
        .answer(
            "/robots.txt",
            Answer::of("text/plain", b"user-agent: *\ncrawl-delay: 3600\n"),
        )
        .links("/", "/a /b")
        .links("/a", "")
        .links("/b", "")
        .serve()
        .await;
    let mut world = World::new(&server, |_| ()).await;
    world.options.max_crawl_delay = Duration::from_millis(150);
    check_completed(&world.crawl().await);
    let times = server.times();
    let whole = times[2] - times[0];
    assert!(whole >= Duration::from_millis(250), "{whole:?}");
}

#[tokio::test]
async fn so_many_requests_run_at_a_time() {
    let running = Arc::new(AtomicUsize::new(0));
    let most = Arc::new(AtomicUsize::new(0));
    let links: String = (0..20).map(|page| format!("/{page} ")).collect();
    let mut site = Site::default().links("/", &links);
    for page in 0..20 {
        let (running, most) = (Arc::clone(&running), Arc::clone(&most));
        site = site.on(&format!("/{page}"), move |_| {
            most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            std::thread::sleep(Duration::from_millis(5));
            running.fetch_sub(1, Ordering::SeqCst);
            Answer::html("<p>page</p>")
        });
    }
    let server = site.serve().await;
    let world = World::new(&server, |site| site.concurrency_per_host = 2).await;
    check_completed(&world.crawl().await);
    assert!((1..=2).contains(&most.load(Ordering::SeqCst)));
}
