//! Servers that fail, stall, lie or are not there.

use std::io::Write;
use std::time::Duration;

use crawldb::CrawlStatus;
use crawler::BreakerOptions;
use model::PageUrl;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

use crate::site::{Answer, Site};
use crate::world::{World, check, check_completed};

#[tokio::test]
async fn what_may_pass_is_tried_again_and_what_may_not_is_not() {
    let server = Site::default()
        .links("/", "/flaky /broken /forbidden /gone")
        .on("/flaky", |asked| {
            if asked.before < 2 {
                Answer::status(500)
            } else {
                Answer::html("<p>at last</p>")
            }
        })
        .answer("/broken", Answer::status(502))
        .answer("/forbidden", Answer::status(403))
        .serve()
        .await;
    let world = World::new(&server, |_| ()).await;
    let crawl = world.crawl().await;
    check_completed(&crawl);
    check(
        &world.items().await,
        "/: indexed
        /broken: escalated Server: HTTP 502 Bad Gateway
        /flaky: indexed
        /forbidden: escalated Client: HTTP 403 Forbidden
        /gone: deleted",
    );
    let asked = ["/flaky", "/broken", "/forbidden", "/gone"].map(|path| server.asked_for(path));
    assert_eq!(asked, [3, 3, 1, 1]);
    assert_eq!((crawl.totals.escalated, crawl.totals.deleted), (2, 1));
}

#[tokio::test]
async fn retry_after_is_honoured() {
    let server = Site::default()
        .links("/", "/busy")
        .on("/busy", |asked| match asked.before {
            0 => Answer::status(429).with("retry-after", "1"),
            _ => Answer::html("<p>now</p>"),
        })
        .serve()
        .await;
    let world = World::new(&server, |_| ()).await;
    check_completed(&world.crawl().await);
    let times = server.times();
    assert!(
        times[2] - times[1] >= Duration::from_millis(950),
        "{:?}",
        times[2] - times[1]
    );
}

#[tokio::test]
async fn retry_after_is_honoured_up_to_a_limit() {
    let server = Site::default()
        .links("/", "/busy")
        .on("/busy", |asked| match asked.before {
            0 => Answer::status(503).with("retry-after", "86400"),
            _ => Answer::html("<p>now</p>"),
        })
        .serve()
        .await;
    let mut world = World::new(&server, |_| ()).await;
    world.options.max_retry_after = Duration::from_millis(400);
    world.options.breaker.max_pause = Duration::from_millis(100);
    check_completed(&world.crawl().await);
    let times = server.times();
    let waited = times[2] - times[1];
    assert!(waited >= Duration::from_millis(380), "{waited:?}");
}

#[tokio::test]
async fn what_happened_is_counted() {
    let server = Site::default()
        .links("/", "/flaky /gone")
        .on("/flaky", |asked| match asked.before {
            0 => Answer::status(500),
            _ => Answer::html("<p>at last</p>"),
        })
        .answer("/sitemap.xml", Answer::of("text/plain", b""))
        .serve()
        .await;
    let world = World::new(&server, |_| ()).await;
    let crawler = world.crawler();
    let mut registry = Registry::default();
    crawler.register_metrics(&mut registry);
    let id = world.start(&crawler).await;
    check_completed(&world.ended(&crawler, &id).await);
    crawler.stop().await;
    let mut text = String::new();
    encode(&mut text, &registry).unwrap();
    for line in [
        r#"haul_crawler_items_total{to="applied"} 2"#,
        r#"haul_crawler_items_total{to="retry"} 1"#,
        r#"haul_crawler_items_total{to="deleted"} 1"#,
        r#"haul_crawler_found_items_total{origin="start"} 1"#,
        r#"haul_crawler_found_items_total{origin="link"} 2"#,
        r#"haul_crawler_receipts_total{outcome="success"} 3"#,
        r#"haul_crawler_errors_total{kind="server"} 1"#,
        r#"haul_crawler_stage_seconds_count{stage="fetch"} 4"#,
        "haul_crawler_expired_leases_total 0",
    ] {
        assert!(text.lines().any(|told| told == line), "{line} in\n{text}");
    }
}

#[tokio::test]
async fn bombs_and_giants_are_refused() {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(&vec![b'a'; 5 << 20]).unwrap();
    let bomb = encoder.finish().unwrap();
    assert!(bomb.len() < 100_000);
    let server = Site::default()
        .links("/", "/bomb /giant /zipped")
        .answer(
            "/bomb",
            Answer::of("text/html", &bomb).with("content-encoding", "gzip"),
        )
        .answer("/giant", Answer::of("text/html", &vec![b'a'; 2 << 20]))
        .on("/zipped", |_| {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(b"<p>fine</p>").unwrap();
            Answer::of("text/html", &encoder.finish().unwrap()).with("content-encoding", "gzip")
        })
        .serve()
        .await;
    let world = World::new(&server, |site| site.max_body_bytes = 1 << 20).await;
    check_completed(&world.crawl().await);
    let too_large =
        "escalated TooLarge: the body is larger than 1048576 bytes; raise max_body_bytes if it is wanted";
    check(
        &world.items().await,
        &format!(
            "/: indexed
            /bomb: {too_large}
            /giant: {too_large}
            /zipped: indexed"
        ),
    );
}

/// A crawl of one page on a port where `serve` answers each connection in its own way.
async fn crawl_of(serve: fn(std::net::TcpStream), reason: &str) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || listener.incoming().for_each(|stream| serve(stream.unwrap())));
    let server = Site::default().serve().await;
    let world = World::new(&server, |site| {
        site.start = vec![PageUrl::parse(&format!("http://odd.test:{port}/")).unwrap()];
        site.resolve = vec![format!("odd.test:{port}:127.0.0.1")];
        site.obey_robots = false;
        site.sitemaps = false;
        site.request_timeout_ms = 300;
    })
    .await;
    let crawl = world.crawl().await;
    assert_eq!(crawl.status, CrawlStatus::Failed);
    let told = crawl.reason.unwrap();
    assert!(told.contains(reason), "{told}");
}

#[tokio::test]
async fn broken_servers_are_told_apart() {
    crawl_of(drop, "the connection broke").await;
    crawl_of(std::mem::forget, "no answer in time").await;
    let half = |mut stream: std::net::TcpStream| {
        let mut request = [0; 1024];
        std::io::Read::read(&mut stream, &mut request).unwrap();
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 99\r\n\r\n<p>")
            .unwrap();
    };
    crawl_of(half, "the connection broke").await;
}

#[tokio::test]
async fn nobody_at_home_fails_the_crawl() {
    let server = Site::default().serve().await;
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let world = World::new(&server, |site| {
        site.start = vec![PageUrl::parse(&format!("http://away.test:{port}/")).unwrap()];
        site.resolve = vec![format!("away.test:{port}:127.0.0.1")];
    })
    .await;
    let crawl = world.crawl().await;
    assert_eq!(crawl.status, CrawlStatus::Failed);
    assert!(
        crawl.reason.as_deref().unwrap().contains("no connection"),
        "{crawl:?}"
    );
}

#[tokio::test]
async fn a_host_that_keeps_failing_is_left_alone() {
    let links: String = (0..100).map(|page| format!("/{page} ")).collect();
    let server = Site::default()
        .links("/", &links)
        .otherwise(|_| Answer::status(500))
        .serve()
        .await;
    let mut world = World::new(&server, |_| ()).await;
    let pause = Duration::from_millis(50);
    world.options.breaker = BreakerOptions {
        first_pause: pause,
        max_pause: pause,
        max_pauses: 2,
        ..BreakerOptions::default()
    };
    let crawl = world.crawl().await;
    check_completed(&crawl);
    assert_eq!(crawl.totals.escalated, 100);
    assert!(crawl.fetches < 50, "{}", crawl.fetches);
    let items = world.items().await;
    assert!(
        items
            .values()
            .any(|fate| fate.contains("keeps failing and is left alone")),
        "{items:?}"
    );
}
