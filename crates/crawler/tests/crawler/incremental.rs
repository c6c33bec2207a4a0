//! Crawls that look only at what changed.

use crawldb::{Crawl, CrawlKind};
use crawler::{Clock, StartedCrawl};

use crate::site::{Answer, Server, Site};
use crate::world::{World, check, check_completed};

async fn crawl(world: &World) -> Crawl {
    let crawler = world.crawler();
    let started = crawler
        .start(&world.source, CrawlKind::Incremental)
        .await
        .unwrap();
    let StartedCrawl::Running(id) = started else {
        panic!("{started:?}");
    };
    let crawl = world.ended(&crawler, &id).await;
    crawler.stop().await;
    crawl
}

fn sitemap(entries: &[(&str, &str)]) -> Answer {
    let entry = |(path, changed): &(&str, &str)| {
        let changed = if changed.is_empty() {
            String::new()
        } else {
            format!("<lastmod>{changed}</lastmod>")
        };
        format!("<url><loc>{path}</loc>{changed}</url>")
    };
    let entries: String = entries.iter().map(entry).collect();
    Answer::of(
        "application/xml",
        format!("<urlset>{entries}</urlset>").as_bytes(),
    )
}

fn today() -> String {
    let now = i64::try_from(Clock::system().now().as_millis()).unwrap();
    jiff::Timestamp::from_millisecond(now).unwrap().to_string()
}

/// A site whose start page links to two pages, and to a third one from the second crawl on.
async fn growing_site() -> Server {
    let today = today();
    Site::default()
        .on("/", |asked| {
            let links = if asked.before == 0 {
                ""
            } else {
                "<a href=/new>n</a>"
            };
            Answer::html(&format!("<p>start</p><a href=/a>a</a><a href=/b>b</a>{links}"))
        })
        .html("/a", "a")
        .html("/b", "b")
        .links("/new", "/a /newer")
        .html("/newer", "newer")
        .html("/old", "old")
        .html("/silent", "silent")
        .html("/said", "said")
        .on("/sitemap.xml", move |_| {
            sitemap(&[("/said", &today), ("/old", "2001-01-01"), ("/silent", "")])
        })
        .serve()
        .await
}

#[tokio::test]
async fn only_what_changed_or_is_new_is_asked_for() {
    let server = growing_site().await;
    let world = World::new(&server, |_| ()).await;
    check_completed(&world.crawl().await);
    server.forget_requests();
    check_completed(&crawl(&world).await);
    // The counts of the server begin anew, so the start page is what it was.
    let asked: Vec<String> = server.requests().into_keys().collect();
    assert_eq!(asked, ["/", "/said"]);
    let second = crawl(&world).await;
    check_completed(&second);
    let asked: Vec<String> = server.requests().into_keys().collect();
    assert_eq!(asked, ["/", "/new", "/newer", "/said"]);
    assert_eq!(second.totals.new, 2);
}

#[tokio::test]
async fn nothing_is_taken_for_gone() {
    let server = growing_site().await;
    let world = World::new(&server, |_| ()).await;
    check_completed(&world.crawl().await);
    check_completed(&crawl(&world).await);
    let items = world.items().await;
    check(
        &items,
        "/: indexed
        /a: indexed
        /b: indexed
        /new: indexed
        /newer: indexed
        /old: indexed
        /said: unchanged indexed
        /silent: indexed",
    );
}

#[tokio::test]
async fn the_first_crawl_looks_at_everything() {
    let server = growing_site().await;
    let world = World::new(&server, |_| ()).await;
    check_completed(&crawl(&world).await);
    let asked: Vec<String> = server.requests().into_keys().collect();
    assert_eq!(asked, ["/", "/a", "/b", "/old", "/said", "/silent"]);
}
