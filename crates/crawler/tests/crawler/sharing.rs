//! Several processes that share crawls: here, several crawlers with handles of their own on the same files.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crawldb::{CRAWL_LEASE, Crawl, CrawlStatus, Crawldb};
use crawler::{Clock, Crawler, Takeover};
use model::{CrawlId, PageUrl};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use updates::{LogOptions, UpdateLog};

use crate::site::{Answer, Server, Site};
use crate::world::{World, check_completed};

const HOSTS: usize = 14;
const PAGES: usize = 40;
/// Pages at most that a process has asked for and not written when it dies: what is in flight, and what waits to be
/// written with others.
const UNWRITTEN: usize = 4 * HOSTS;
const SESSION: Duration = Duration::from_secs(2);

/// A source with many hosts, and the files of its stores.
struct Place {
    server: Server,
    world: World,
    folder: TempDir,
    /// Milliseconds by which the second process's clock is ahead.
    ahead: Arc<AtomicU64>,
}

impl Place {
    async fn new() -> Self {
        let server = Site::default().otherwise(tree).serve().await;
        let port = server.port;
        let world = World::new(&server, |site| {
            let host = |number| format!("h{number}.test");
            let start =
                |number| PageUrl::parse(&format!("http://{}:{port}/h{number}/0", host(number))).unwrap();
            site.start = (0..HOSTS).map(start).collect();
            site.resolve = (0..HOSTS)
                .map(|number| format!("{}:{port}:127.0.0.1", host(number)))
                .collect();
            site.delay_ms = 50;
            site.concurrency_per_host = 1;
            site.request_timeout_ms = 400;
            site.sitemaps = false;
        })
        .await;
        let settings = world
            .crawldb
            .source(&world.source)
            .await
            .unwrap()
            .unwrap()
            .settings;
        let mut place = Self {
            server,
            world,
            folder: TempDir::with_prefix("haul-shared-crawl-").unwrap(),
            ahead: Arc::default(),
        };
        place.world.options.stop_grace = Duration::from_millis(200);
        let process = place.process();
        let now = Clock::system().now();
        process
            .crawldb
            .add_source(process.source.clone(), settings, now)
            .await
            .unwrap();
        place
    }

    /// The world as one more process sees it.
    fn process(&self) -> World {
        let options = LogOptions {
            session: SESSION,
            ..LogOptions::default()
        };
        let crawldb = Crawldb::open(&self.folder.path().join("crawl.db")).unwrap();
        let log = UpdateLog::open_with(&self.folder.path().join("updates.db"), options).unwrap();
        self.world.with_stores(crawldb, log)
    }

    /// As [`process`](Self::process), with a clock that can be put forward.
    fn second_process(&self) -> World {
        let mut process = self.process();
        let ahead = Arc::clone(&self.ahead);
        process.options.clock = Clock::new(move || {
            Clock::system()
                .now()
                .after(Duration::from_millis(ahead.load(Ordering::SeqCst)))
        });
        process
    }

    /// Waits until both crawlers have fetched something.
    async fn both_work(&self, crawlers: [&Crawler; 2], id: &CrawlId) {
        for crawler in crawlers {
            let progress = wait_for(|| crawler.progress(id)).await;
            wait_for(|| (progress.borrow().fetches > 10).then_some(())).await;
        }
    }

    /// Every page is there, each was asked for once, but for `again` that were asked for twice.
    async fn check(&self, world: &World, crawl: &Crawl, again: usize) {
        check_completed(crawl);
        assert_eq!(crawl.totals.seen as usize, HOSTS * PAGES);
        assert!(world.items().await.values().all(|fate| fate == "indexed"));
        let requests = self.server.requests();
        assert_eq!(requests.len(), HOSTS * PAGES);
        let twice = requests.values().filter(|&&times| times > 1).count();
        let most = requests.values().max();
        assert!(
            twice <= again && most <= Some(&2),
            "{twice} were asked for again, {most:?} times"
        );
    }
}

async fn wait_for<T>(mut look: impl FnMut() -> Option<T>) -> T {
    for _ in 0..2_000 {
        if let Some(found) = look() {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it does not come")
}

/// The pages of a host as a binary tree.
fn tree(path: &str) -> Answer {
    let (folder, page) = path.rsplit_once('/').unwrap();
    let Ok(page) = page.parse::<usize>() else {
        return Answer::status(404);
    };
    let links: String = [2 * page + 1, 2 * page + 2]
        .into_iter()
        .filter(|&child| child < PAGES)
        .map(|child| format!("<a href='{folder}/{child}'>x</a>"))
        .collect();
    Answer::html(&format!("<p>page {path}</p>{links}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_process_works_on_some_of_the_hosts() {
    let place = Place::new().await;
    let (one, two) = (place.process(), place.second_process());
    let (first, second) = (one.crawler(), two.crawler());
    let id = one.start(&first).await;
    place.both_work([&first, &second], &id).await;
    let crawl = one.ended(&first, &id).await;
    wait_for(|| second.progress(&id).unwrap().borrow().is_final.then_some(())).await;
    let fetches = [&first, &second].map(|crawler| crawler.progress(&id).unwrap().borrow().fetches);
    assert_eq!(fetches.iter().sum::<u64>() as usize, HOSTS * PAGES);
    assert!(
        fetches.iter().all(|&fetches| fetches as usize > PAGES),
        "{fetches:?}"
    );
    second.stop().await;
    first.stop().await;
    place.check(&one, &crawl, 0).await;
    let crawl = one.crawldb.crawl(&id).await.unwrap().unwrap();
    assert_eq!(
        crawl.fetches as usize,
        HOSTS * PAGES,
        "everybody's figures are in the record"
    );
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
}

/// A crawler in a runtime that can be ended at any moment, as if the process was killed.
fn mortal(world: &World) -> (Runtime, Crawler) {
    let runtime = runtime();
    let crawler = runtime.block_on(async { world.crawler() });
    (runtime, crawler)
}

#[test]
fn what_a_dead_listener_had_goes_to_the_others() {
    let life = runtime();
    let place = life.block_on(Place::new());
    let (one, two) = (place.process(), place.process());
    let first = life.block_on(async { one.crawler() });
    let id = life.block_on(one.start(&first));
    let (killed, second) = mortal(&two);
    life.block_on(place.both_work([&first, &second], &id));
    killed.shutdown_background();
    life.block_on(async {
        let crawl = one.ended(&first, &id).await;
        first.stop().await;
        place.check(&one, &crawl, UNWRITTEN).await;
    });
}

#[test]
fn a_crawl_whose_conductor_died_is_led_by_another_process() {
    let life = runtime();
    let place = life.block_on(Place::new());
    let (one, two) = (place.process(), place.second_process());
    let (killed, first) = mortal(&one);
    let id = killed.block_on(one.start(&first));
    let second = life.block_on(async { two.crawler() });
    life.block_on(place.both_work([&first, &second], &id));
    killed.shutdown_background();
    life.block_on(async {
        let nobody = second.resume(Takeover::Abandoned).await.unwrap();
        assert_eq!(nobody, [], "its lease is not over");
        let lease = u64::try_from(CRAWL_LEASE.as_millis()).unwrap();
        place.ahead.store(lease + 1_000, Ordering::SeqCst);
        let crawls = two.crawls(|crawls| crawls[0].status.is_over()).await;
        second.stop().await;
        assert_eq!(crawls[0].epoch, 2);
        place.check(&two, &crawls[0], UNWRITTEN).await;
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conductor_that_lost_its_crawl_works_along() {
    let place = Place::new().await;
    let (one, two) = (place.process(), place.process());
    let (first, second) = (one.crawler(), two.crawler());
    let id = one.start(&first).await;
    place.both_work([&first, &second], &id).await;
    let now = Clock::system().now();
    let taken = two.crawldb.take_over(&id, "nobody", now).await.unwrap().unwrap();
    wait_for(|| first.progress(&id).unwrap().borrow().is_final.then_some(())).await;
    // Nobody leads it, but all of its pages are read.
    while two
        .items()
        .await
        .values()
        .filter(|fate| *fate == "indexed")
        .count()
        < HOSTS * PAGES
    {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    wait_for(|| (!first.progress(&id).unwrap().borrow().is_final).then_some(())).await;
    let crawl = two.crawldb.crawl(&id).await.unwrap().unwrap();
    assert_eq!(
        (crawl.status, crawl.epoch),
        (CrawlStatus::Processing, taken.epoch)
    );
    first.stop().await;
    second.stop().await;
}
