//! Crawls that start by themselves, and what else is done now and then.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crawldb::{ConcurrencyMode, CrawlKind, SiteSettings, SourceKind};
use crawler::{Chore, Clock, Crawler, StartedCrawl};
use model::{SourceId, Timestamp};
use updates::topics;

use crate::site::{Server, Site};
use crate::world::{World, check_completed, settings};

/// A clock that is set forward by hand.
#[derive(Clone, Default)]
struct Hand(Arc<AtomicU64>);

impl Hand {
    fn clock(&self) -> Clock {
        let ahead = Arc::clone(&self.0);
        Clock::new(move || {
            let ahead = Duration::from_millis(ahead.load(Ordering::Relaxed));
            Clock::system().now().after(ahead)
        })
    }

    fn forward(&self, time: Duration) {
        let millis = u64::try_from(time.as_millis()).unwrap();
        self.0.fetch_add(millis, Ordering::Relaxed);
    }
}

async fn scheduled(server: &Server, schedule: &str) -> (World, Hand) {
    let mut world = World::new(server, |_| ()).await;
    let hand = Hand::default();
    world.options.clock = hand.clock();
    world
        .change(|settings| settings.schedule = Some(schedule.to_owned()))
        .await;
    (world, hand)
}

/// Does the chore, and waits for the crawls that come of it. How many there have been by then?
async fn crawls(world: &World, crawler: &Crawler, chore: Chore) -> usize {
    crawler.janitor().run(chore).await;
    let crawls = world.crawldb.crawls(None, 100).await.unwrap();
    for crawl in &crawls {
        if crawler.progress(&crawl.id).is_some() {
            check_completed(&world.ended(crawler, &crawl.id).await);
        }
    }
    crawls.len()
}

#[tokio::test]
async fn a_crawl_starts_when_its_time_has_come_and_what_was_missed_is_made_up_once() {
    let server = Site::default().links("/", "").serve().await;
    let (world, hand) = scheduled(&server, "every 6h").await;
    let crawler = world.crawler();
    assert_eq!(
        crawls(&world, &crawler, Chore::Schedules).await,
        1,
        "it was never crawled"
    );
    assert_eq!(crawls(&world, &crawler, Chore::Schedules).await, 1);
    hand.forward(Duration::from_secs(3 * 24 * 3_600));
    assert_eq!(
        crawls(&world, &crawler, Chore::Schedules).await,
        2,
        "twelve were missed"
    );
    assert_eq!(crawls(&world, &crawler, Chore::Schedules).await, 2);
    crawler.stop().await;
}

#[tokio::test]
async fn a_source_whose_schedule_cannot_be_read_does_not_stop_the_others() {
    let server = Site::default().links("/", "").serve().await;
    let (world, _hand) = scheduled(&server, "daily").await;
    let mut bad = settings(SourceKind::Site, SiteSettings::default());
    bad.schedule = Some("every now and then".to_owned());
    let id = SourceId::new("a-bad-one").unwrap();
    world
        .crawldb
        .add_source(id, bad, Timestamp::from_millis(1))
        .await
        .unwrap();
    let crawler = world.crawler();
    assert_eq!(crawls(&world, &crawler, Chore::Schedules).await, 1);
    crawler.stop().await;
}

#[tokio::test]
async fn a_crawl_that_waits_starts_when_the_one_before_it_is_over() {
    let server = Site::default().links("/", "/a /b /c").serve().await;
    let world = World::new(&server, |site| site.delay_ms = 20).await;
    world
        .change(|settings| settings.concurrency = ConcurrencyMode::Queue)
        .await;
    let crawler = world.crawler();
    let first = world.start(&crawler).await;
    let second = crawler.start(&world.source, CrawlKind::Full).await.unwrap();
    assert_eq!(second, StartedCrawl::Queued(1));
    check_completed(&world.ended(&crawler, &first).await);
    assert_eq!(crawls(&world, &crawler, Chore::Waiting).await, 2);
    crawler.stop().await;
}

#[tokio::test]
async fn a_new_source_gets_its_topics() {
    let server = Site::default().serve().await;
    let world = World::new(&server, |_| ()).await;
    let crawler = world.crawler();
    crawler.janitor().run(Chore::Topics).await;
    let names: Vec<String> = world
        .log
        .topics()
        .await
        .unwrap()
        .into_iter()
        .map(|topic| topic.name)
        .collect();
    assert!(names.contains(&topics::live(&world.source)), "{names:?}");
    crawler.stop().await;
}

#[tokio::test]
async fn a_source_that_is_to_go_goes() {
    let server = Site::default().links("/", "/a").links("/a", "").serve().await;
    let world = World::new(&server, |_| ()).await;
    check_completed(&world.crawl().await);
    world
        .crawldb
        .begin_deletion(&world.source, Clock::system().now())
        .await
        .unwrap();
    let crawler = world.crawler();
    let janitor = crawler.janitor();
    while world.crawldb.source(&world.source).await.unwrap().is_some() {
        janitor.run(Chore::Removal).await;
    }
    assert_eq!(world.applied().await.0["/a"], "delete");
    crawler.stop().await;
}
