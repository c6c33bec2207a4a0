//! Which addresses may be connected to, and by which roads they are reached.

use crawldb::CrawlStatus;
use model::PageUrl;

use crate::site::Site;
use crate::world::{World, check_completed};

async fn check_refused(start: &str) {
    let server = Site::default().links("/", "").serve().await;
    let start = start.replace("PORT", &server.port.to_string());
    let world = World::new(&server, |site| site.start = vec![PageUrl::parse(&start).unwrap()]).await;
    let crawl = world.crawl().await;
    assert_eq!(crawl.status, CrawlStatus::Failed, "{start}");
    let reason = crawl.reason.unwrap();
    assert!(reason.contains("not a public address"), "{start}: {reason}");
    assert_eq!(
        server.asked_for("/") + server.asked_for("/robots.txt"),
        0,
        "{start}"
    );
}

#[tokio::test]
async fn private_addresses_are_refused_by_name_and_by_number() {
    check_refused("http://localhost:PORT/").await;
    check_refused("http://127.0.0.1:PORT/").await;
    check_refused("http://[::ffff:127.0.0.1]:PORT/").await;
    check_refused("http://2130706433:PORT/").await;
}

#[tokio::test]
async fn private_addresses_are_refused_behind_a_redirect() {
    let inner = Site::default().links("/", "").serve().await;
    let server = Site::default()
        .redirect("/", &format!("http://127.0.0.1:{}/", inner.port))
        .serve()
        .await;
    let world = World::new(&server, |_| ()).await;
    let crawl = world.crawl().await;
    assert_eq!(crawl.status, CrawlStatus::Failed);
    assert!(crawl.reason.unwrap().contains("not a public address"));
    assert_eq!(inner.asked_for("/") + inner.asked_for("/robots.txt"), 0);
}

#[tokio::test]
async fn an_override_counts_for_its_port_only() {
    let other = Site::default().links("/", "").serve().await;
    let server = Site::default()
        .redirect("/", &format!("http://site.test:{}/", other.port))
        .serve()
        .await;
    let world = World::new(&server, |_| ()).await;
    world.crawl().await;
    assert_eq!(other.asked_for("/"), 0);
}

#[tokio::test]
async fn metadata_is_refused_whatever_a_source_allows() {
    let server = Site::default().serve().await;
    let world = World::new(&server, |site| {
        site.start = vec![PageUrl::parse("http://169.254.169.254/latest/meta-data/").unwrap()];
        site.allow_private_addresses = true;
    })
    .await;
    let crawl = world.crawl().await;
    assert_eq!(crawl.status, CrawlStatus::Failed);
    let reason = crawl.reason.unwrap();
    assert!(reason.contains("such an address is never asked"), "{reason}");
}

#[tokio::test]
async fn a_source_may_allow_private_addresses() {
    let server = Site::default().links("/", "/a").links("/a", "").serve().await;
    let world = World::new(&server, |site| {
        site.start = vec![PageUrl::parse(&format!("http://127.0.0.1:{}/", server.port)).unwrap()];
        site.allow_private_addresses = true;
    })
    .await;
    check_completed(&world.crawl().await);
    assert_eq!(server.asked_for("/a"), 1);
}
