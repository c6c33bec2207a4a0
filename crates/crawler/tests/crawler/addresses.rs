//! Which addresses may be connected to, and by which roads they are reached.

use std::net::IpAddr;

use crawldb::CrawlStatus;
use crawler::address::is_public;
use model::PageUrl;

use crate::site::Site;
use crate::world::{World, check_completed};

#[test]
fn public_addresses_are_told_from_all_others() {
    let public = "1.1.1.1 8.8.8.8 100.63.0.1 172.15.0.1 172.32.0.1 192.169.0.1 198.20.0.1 2606:4700::1111 \
                  2001:4860:4860::8888 ::ffff:8.8.8.8 64:ff9b::808:808";
    let special = "0.0.0.0 10.1.2.3 127.0.0.1 127.255.0.1 100.64.0.1 100.127.255.255 169.254.169.254 172.16.0.1 \
                   172.31.255.255 192.168.1.1 192.0.0.8 192.0.2.1 198.18.0.1 203.0.113.9 224.0.0.1 240.0.0.1 \
                   255.255.255.255 :: ::1 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::7f00:1 fc00::1 fd12::1 fe80::1 fec0::1 \
                   ff02::1 64:ff9b::7f00:1 64:ff9b:1::1 2002:7f00:1:: 2001:db8::1 2001::1 100::1";
    for text in public.split_whitespace() {
        assert!(is_public(text.parse::<IpAddr>().unwrap()), "{text} is public");
    }
    for text in special.split_whitespace() {
        assert!(
            !is_public(text.parse::<IpAddr>().unwrap()),
            "{text} is not public"
        );
    }
}

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
