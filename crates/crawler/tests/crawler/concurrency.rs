//! Crawls of one source that wait for each other, or run beside each other.

use crawldb::{ConcurrencyMode, CrawlKind, CrawlStatus};
use crawler::{CrawlError, StartedCrawl};
use model::SourceId;

use crate::site::{Answer, Server, Site};
use crate::world::{World, check_completed};

async fn slow_site() -> (Server, World) {
    let links: String = (0..20).map(|page| format!("/{page} ")).collect();
    let server = Site::default()
        .links("/", &links)
        .otherwise(|path| Answer::html(&format!("<p>page {path}</p>")))
        .serve()
        .await;
    let world = World::new(&server, |site| site.delay_ms = 15).await;
    (server, world)
}

#[tokio::test]
async fn a_crawl_waits_for_the_one_that_runs() {
    let (_server, world) = slow_site().await;
    world
        .change(|settings| settings.concurrency = ConcurrencyMode::Queue)
        .await;
    let crawler = world.crawler();
    let first = world.start(&crawler).await;
    let second = crawler.start(&world.source, CrawlKind::Full).await.unwrap();
    assert_eq!(second, StartedCrawl::Queued(1));
    assert_eq!(crawler.start_waiting().await.unwrap(), []);
    let both_over =
        |crawls: &[crawldb::Crawl]| crawls.len() == 2 && crawls.iter().all(|crawl| crawl.status.is_over());
    let crawls = world.crawls(both_over).await;
    crawls.iter().for_each(check_completed);
    assert_eq!(crawls[1].id, first);
    assert!(Some(crawls[0].started_at) >= crawls[1].ended_at);
    assert_eq!((crawls[0].totals.seen, crawls[0].totals.unchanged), (21, 21));
    crawler.stop().await;
}

#[tokio::test]
async fn a_crawl_that_waited_in_vain_is_started_later() {
    let (_server, world) = slow_site().await;
    world
        .change(|settings| settings.concurrency = ConcurrencyMode::Queue)
        .await;
    let crawler = world.crawler();
    let first = world.start(&crawler).await;
    crawler.start(&world.source, CrawlKind::Full).await.unwrap();
    // It is stopped, not over: the next process goes on with it, and then with the one that waits.
    crawler.stop().await;
    let crawler = world.crawler();
    assert_eq!(crawler.start_waiting().await.unwrap(), []);
    assert!(
        crawler
            .resume(crawler::Takeover::All)
            .await
            .unwrap()
            .contains(&first)
    );
    world
        .crawls(|crawls| {
            crawls.len() == 2 && crawls.iter().all(|crawl| crawl.status == CrawlStatus::Completed)
        })
        .await;
    crawler.stop().await;
}

#[tokio::test]
async fn crawls_may_run_beside_each_other() {
    let (_server, world) = slow_site().await;
    world
        .change(|settings| settings.concurrency = ConcurrencyMode::Concurrent)
        .await;
    let crawler = world.crawler();
    let (first, second) = (world.start(&crawler).await, world.start(&crawler).await);
    let running = world.crawldb.source(&world.source).await.unwrap().unwrap();
    assert_eq!(running.active_crawls, [first.clone(), second.clone()]);
    check_completed(&world.ended(&crawler, &first).await);
    let crawl = world.ended(&crawler, &second).await;
    check_completed(&crawl);
    assert_eq!(crawl.totals.seen, 21);
    crawler.stop().await;
    assert!(world.items().await.values().all(|fate| fate.ends_with("indexed")));
    let version = |item: crawldb::Item| item.version.at();
    let items = world.all_items().await;
    assert!(items.into_iter().all(|item| version(item) == crawl.started_at));
}

#[tokio::test]
async fn a_process_leads_only_what_it_is_told_to() {
    let (_server, mut world) = slow_site().await;
    let refused = async |world: &World| {
        let crawler = world.crawler();
        let started = crawler.start(&world.source, CrawlKind::Full).await;
        crawler.stop().await;
        matches!(started, Err(CrawlError::Elsewhere(source)) if source == world.source)
    };
    world.options.conducts = false;
    assert!(refused(&world).await);
    world.options.conducts = true;
    world.options.sources = Some(vec![SourceId::new("another").unwrap()]);
    assert!(refused(&world).await);
    world.options.sources = Some(vec![world.source.clone()]);
    assert!(!refused(&world).await);
}

#[tokio::test]
async fn a_process_that_looks_after_other_sources_gets_no_share() {
    let (_server, world) = slow_site().await;
    let mut stranger = world.clone();
    stranger.options.sources = Some(vec![SourceId::new("another").unwrap()]);
    let idle = stranger.crawler();
    check_completed(&world.crawl().await);
    idle.stop().await;
}
