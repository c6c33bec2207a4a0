//! Crawls of buckets.

use crawldb::{Crawl, CrawlKind, CrawlStatus};
use crawler::{CrawlError, Takeover};

use crate::s3::S3;
use crate::world::{World, check, check_completed};

async fn bucket(s3: &S3, address: &str) -> World {
    World::of_bucket(address, s3.access("secret"), |_| ()).await
}

#[track_caller]
fn check_failed(crawl: &Crawl, reason: &str) {
    let said = crawl.reason.as_deref().unwrap_or_default();
    assert!(
        crawl.status == CrawlStatus::Failed && said.contains(reason),
        "{crawl:?}"
    );
}

#[tokio::test]
async fn objects_with_text_become_pages() {
    let s3 = S3::holding(&[
        (
            "index.html",
            "<title>Docs</title><a href=elsewhere.html>x</a><p>hello</p>",
        ),
        (
            "canonical.html",
            "<link rel=canonical href=/other.html><p>this one counts</p>",
        ),
        (
            "hidden.html",
            "<meta name=robots content=noindex><p>not this one</p>",
        ),
        ("notes/a.md", "# Notes"),
        ("notes/b.txt", "words"),
        ("page", "<!doctype html><p>no extension</p>"),
        ("empty", ""),
        ("film.mp4", "moving"),
        ("data.json", "{}"),
        ("paper.pdf", "%PDF-1.7"),
        ("large.txt", &"x".repeat(5_000)),
    ])
    .await;
    s3.put("raw", [&[0u8, 1, 2], &[7; 1_500][..]].concat());
    let world = World::of_bucket("s3://docs", s3.access("secret"), |site| {
        site.max_body_bytes = 4_000;
    })
    .await;
    let crawl = world.crawl().await;
    check_completed(&crawl);
    check(
        &world.items().await,
        "/canonical.html: indexed
        /data.json: unsupported application/json
        /empty: indexed
        /film.mp4: unsupported application/octet-stream
        /hidden.html: noindex
        /index.html: indexed
        /large.txt: unsupported 5000 bytes
        /notes/a.md: indexed
        /notes/b.txt: indexed
        /page: indexed
        /paper.pdf: unsupported application/pdf
        /raw: unsupported application/octet-stream",
    );
    let fetched = [
        "canonical.html",
        "hidden.html",
        "index.html",
        "notes/a.md",
        "notes/b.txt",
        "page",
        "raw",
    ];
    assert_eq!(s3.asked(), fetched);
    assert_eq!(crawl.totals.new, 12);
}

const THREE: [(&str, &str); 3] = [
    ("a.html", "<p>a</p>"),
    ("b.html", "<p>b</p>"),
    ("c.html", "<p>c</p>"),
];

/// Crawls twice; in between one object changes and one goes.
async fn crawl_twice(s3: &S3) {
    let world = bucket(s3, "s3://docs/").await;
    check_completed(&world.crawl().await);
    s3.asked();
    s3.put("b.html", "<p>another b</p>");
    s3.remove("c.html");
    let crawl = world.crawl().await;
    check_completed(&crawl);
    check(
        &world.items().await,
        "/a.html: unchanged indexed
        /b.html: indexed
        /c.html: deleted",
    );
    assert_eq!(
        (crawl.totals.seen, crawl.totals.changed, crawl.totals.unchanged),
        (2, 1, 1)
    );
    assert_eq!(crawl.fetched_bytes, "<p>another b</p>".len() as u64);
}

#[tokio::test]
async fn what_did_not_change_is_not_asked_for_again() {
    let s3 = S3::holding(&THREE).await;
    crawl_twice(&s3).await;
    assert_eq!(s3.asked(), ["b.html", "c.html"]);
}

#[tokio::test]
async fn what_did_not_change_is_not_read_where_the_listing_does_not_tell() {
    let s3 = S3::holding_untagged(&THREE).await;
    crawl_twice(&s3).await;
    assert_eq!(s3.asked(), ["a.html", "b.html", "c.html"]);
}

#[tokio::test]
async fn any_key_that_a_url_can_hold_is_found_back() {
    let keys = [
        "1 b.html",
        "2%20b.html",
        "3+b.html",
        "4#b.html",
        "5?b=c&d.html",
        "6é/日本.html",
        "7%.html",
        "8'(!$&,;=:@*)~.html",
        "utm_source=x.html",
        "x/x/x/x/x/x/x.html",
    ];
    let objects = keys.map(|key| (key, "<p>found</p>"));
    let s3 = S3::holding(&objects).await;
    let world = bucket(&s3, "s3://docs/").await;
    check_completed(&world.crawl().await);
    check(
        &world.items().await,
        "/1%20b.html: indexed
        /2%2520b.html: indexed
        /3%2Bb.html: indexed
        /4%23b.html: indexed
        /5%3Fb=c&d.html: indexed
        /6%C3%A9/%E6%97%A5%E6%9C%AC.html: indexed
        /7%25.html: indexed
        /8'(!$&,;=:@*)~.html: indexed
        /utm_source=x.html: indexed
        /x/x/x/x/x/x/x.html: indexed",
    );
}

#[tokio::test]
async fn a_folder_of_a_bucket_has_the_base_in_its_place() {
    let s3 = S3::holding(&[
        ("manual/a.html", "<p>a</p>"),
        ("manual/old/b.html", "<p>b</p>"),
        ("manual-2/c.html", "<p>c</p>"),
    ])
    .await;
    let world = World::of_bucket("s3://docs/manual", s3.access("secret"), |site| {
        site.exclude = vec!["https://site.test/old/".into()];
    })
    .await;
    check_completed(&world.crawl().await);
    check(&world.items().await, "/a.html: indexed");
}

#[tokio::test]
async fn no_more_items_than_the_source_allows() {
    let names: Vec<String> = (0..30).map(|number| format!("{number:02}.txt")).collect();
    let objects: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "words")).collect();
    let s3 = S3::holding(&objects).await;
    let world = World::of_bucket("s3://docs/", s3.access("secret"), |site| site.max_pages = 7).await;
    check_completed(&world.crawl().await);
    let items: Vec<String> = world.items().await.into_keys().collect();
    assert_eq!(
        items,
        (0..7)
            .map(|number| format!("/{number:02}.txt"))
            .collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn a_gzipped_page_is_read() {
    use std::io::Write;
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(b"<p>small</p>").unwrap();
    let s3 = S3::holding(&[]).await;
    s3.put("a.html", packed.finish().unwrap());
    let world = bucket(&s3, "s3://docs/").await;
    check_completed(&world.crawl().await);
    let content = world.item("/a.html").await.content.unwrap();
    assert_eq!(world.archive.get(&content).await.unwrap(), b"<p>small</p>");
}

#[tokio::test]
async fn a_bucket_that_cannot_be_listed_fails_the_crawl_and_says_why() {
    let s3 = S3::holding(&[("a.html", "<p>a</p>")]).await;
    let missing = bucket(&s3, "s3://dogs/").await;
    check_failed(&missing.crawl().await, "s3://dogs/ could not be listed: ");
    let stranger = World::of_bucket("s3://docs/", s3.access("wrong"), |_| ()).await;
    check_failed(&stranger.crawl().await, "s3://docs/ could not be listed: ");
    let empty = bucket(&s3, "s3://docs/b/").await;
    check_failed(&empty.crawl().await, "s3://docs/b/ holds no objects");
}

#[tokio::test]
async fn a_source_that_cannot_be_a_bucket_is_refused() {
    let s3 = S3::holding(&[]).await;
    for (address, reason) in [
        ("https://example.org/a", "is not a bucket"),
        ("s3:///a", "name a bucket"),
    ] {
        let world = bucket(&s3, address).await;
        match world.crawler().start(&world.source, CrawlKind::Full).await {
            Err(CrawlError::Settings { reason: said, .. }) => assert!(said.contains(reason), "{said}"),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_stopped_crawl_goes_on() {
    let names: Vec<String> = (0..120).map(|number| format!("{number:03}.html")).collect();
    let objects: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "<p>words</p>")).collect();
    let s3 = S3::holding(&objects).await;
    let world = World::of_bucket("s3://docs/", s3.access("secret"), |site| site.delay_ms = 5).await;
    let crawler = world.crawler();
    let id = world.start(&crawler).await;
    let mut progress = crawler.progress(&id).unwrap();
    progress.wait_for(|progress| progress.fetches > 10).await.unwrap();
    crawler.stop().await;
    let crawler = world.crawler();
    assert_eq!(
        crawler.resume(Takeover::All).await.unwrap(),
        std::slice::from_ref(&id)
    );
    check_completed(&world.ended(&crawler, &id).await);
    crawler.stop().await;
    let items = world.items().await;
    assert_eq!(items.len(), 120);
    assert!(items.values().all(|fate| fate == "indexed"), "{items:?}");
    assert_eq!(s3.asked().len(), 120, "each object is fetched once");
}
