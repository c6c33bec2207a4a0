//! What a crawl could not see is on its record.

use std::time::Duration;

use crawldb::{Crawl, CrawlStatus};
use crawler::BreakerOptions;
use model::PageUrl;

use crate::site::{Answer, Server, Site};
use crate::world::{World, check_completed};

/// Why the site's own host was not enumerated to its end.
#[track_caller]
fn gap<'a>(crawl: &'a Crawl, server: &Server) -> &'a str {
    let host = format!("site.test:{}", server.port);
    let reason = crawl.enumeration.incomplete.get(&host);
    reason.unwrap_or_else(|| panic!("{:?}", crawl.enumeration))
}

#[tokio::test]
async fn a_crawl_that_saw_everything_has_none_and_notes_its_marks() {
    let server = Site::default()
        .links("/", "/a /gone")
        .links("/a", "")
        .serve()
        .await;
    let world = World::new(&server, |_| ()).await;
    let crawl = world.crawl().await;
    check_completed(&crawl);
    assert!(crawl.enumeration.incomplete.is_empty() && crawl.enumeration.cut.is_none());
    assert!(crawl.enumeration.ended_at >= Some(crawl.started_at));
    let marks = crawl.marks;
    assert_eq!((marks.live_start.len(), marks.live_enumerated.len()), (12, 12));
    assert_eq!(marks.applied_start.iter().sum::<u64>(), 0);
    assert_eq!(marks.applied_end.iter().sum::<u64>(), 2);
}

#[tokio::test]
async fn a_sitemap_that_cannot_be_read_is_one() {
    let fails = Site::default()
        .links("/", "")
        .answer("/sitemap.xml", Answer::status(500));
    let damaged = Site::default()
        .links("/", "")
        .answer("/sitemap.xml", Answer::of("text/xml", b"<urlset><url></loc>"));
    let missing = Site::default()
        .links("/", "")
        .answer("/robots.txt", Answer::of("text/plain", b"sitemap: /pages.xml\n"));
    let nested = Site::default().links("/", "").answer(
        "/sitemap.xml",
        Answer::of(
            "text/xml",
            b"<sitemapindex><sitemap><loc>/1.xml</loc></sitemap></sitemapindex>",
        ),
    );
    for (site, reason) in [
        (fails, "/sitemap.xml could not be read: HTTP 500"),
        (damaged, "/sitemap.xml was not read to its end: it is damaged"),
        (missing, "/pages.xml could not be read: HTTP 404"),
        (nested, "/1.xml could not be read: HTTP 404"),
    ] {
        let server = site.serve().await;
        let world = World::new(&server, |_| ()).await;
        let crawl = world.crawl().await;
        check_completed(&crawl);
        assert!(gap(&crawl, &server).contains(reason), "{}", gap(&crawl, &server));
    }
}

#[tokio::test]
async fn a_start_url_that_fails_beside_others_is_one() {
    let server = Site::default()
        .links("/", "/a")
        .links("/a", "")
        .answer("/b", Answer::status(403))
        .serve()
        .await;
    let second = PageUrl::parse(&server.url("/b")).unwrap();
    let world = World::new(&server, |site| site.start.push(second)).await;
    let crawl = world.crawl().await;
    check_completed(&crawl);
    let reason = gap(&crawl, &server);
    assert!(reason.contains("/b could not be fetched: HTTP 403"), "{reason}");
}

#[tokio::test]
async fn a_robots_txt_that_cannot_be_read_is_one() {
    let server = Site::default()
        .on("/robots.txt", |asked| {
            match asked.headers["host"].to_str().unwrap() {
                host if host.starts_with("site.test") => Answer::status(404),
                _ => Answer::status(503),
            }
        })
        .links("/", "")
        .serve()
        .await;
    let port = server.port;
    let world = World::new(&server, |site| {
        site.start
            .push(PageUrl::parse(&format!("http://other.test:{port}/")).unwrap());
        site.resolve.push(format!("other.test:{port}:127.0.0.1"));
    })
    .await;
    let crawl = world.crawl().await;
    check_completed(&crawl);
    let reason = &crawl.enumeration.incomplete[&format!("other.test:{port}")];
    assert!(reason.contains("robots.txt of http://other.test"), "{reason}");
    assert_eq!(crawl.enumeration.incomplete.len(), 1);
}

#[tokio::test]
async fn a_host_that_is_given_up_is_one() {
    let links: String = (0..40).map(|page| format!("/{page} ")).collect();
    let server = Site::default()
        .links("/", &links)
        .otherwise(|_| Answer::status(500))
        .serve()
        .await;
    let mut world = World::new(&server, |_| ()).await;
    let pause = Duration::from_millis(20);
    world.options.breaker = BreakerOptions {
        first_pause: pause,
        max_pause: pause,
        max_pauses: 1,
        ..BreakerOptions::default()
    };
    let crawl = world.crawl().await;
    check_completed(&crawl);
    let reason = gap(&crawl, &server);
    assert!(reason.contains("keeps failing and is left alone"), "{reason}");
}

#[tokio::test]
async fn limits_are_ones() {
    let server = Site::default()
        .links("/", "/?a=1 /?a=2 /?a=3 /?a=4")
        .otherwise(|_| Answer::html("<p>page</p>"))
        .serve()
        .await;
    let world = World::new(&server, |site| site.max_queries_per_path = 3).await;
    let crawl = world.crawl().await;
    check_completed(&crawl);
    let reason = gap(&crawl, &server);
    assert!(reason.contains("/ has more than 3 queries"), "{reason}");

    let world = World::new(&server, |site| site.max_pages = 3).await;
    let crawl = world.crawl().await;
    check_completed(&crawl);
    let cut = crawl.enumeration.cut.unwrap();
    assert!(cut.contains("3 pages were found"), "{cut}");
}

#[tokio::test]
async fn a_crawl_that_goes_on_keeps_what_it_knew() {
    let links: String = (0..40).map(|page| format!("/{page} ")).collect();
    let server = Site::default()
        .on("/sitemap.xml", |asked| match asked.before {
            0 => Answer::status(500),
            _ => Answer::status(404),
        })
        .links("/", &links)
        .otherwise(|_| Answer::html("<p>page</p>"))
        .serve()
        .await;
    let world = World::new(&server, |site| site.delay_ms = 10).await;
    let crawler = world.crawler();
    let id = world.start(&crawler).await;
    let mut progress = crawler.progress(&id).unwrap();
    progress
        .wait_for(|progress| progress.status == CrawlStatus::Processing && progress.fetches > 5)
        .await
        .unwrap();
    crawler.stop().await;
    let begun = world.crawldb.crawl(&id).await.unwrap().unwrap();
    let crawler = world.crawler();
    crawler.resume(crawler::Takeover::All).await.unwrap();
    let crawl = world.ended(&crawler, &id).await;
    crawler.stop().await;
    check_completed(&crawl);
    assert!(gap(&crawl, &server).contains("HTTP 500"));
    assert_eq!(server.asked_for("/sitemap.xml"), 1, "enumeration was over");
    assert_eq!(crawl.enumeration.ended_at, begun.enumeration.ended_at);
}
