//! Sitemaps: the forms they have, and what a crawl finds in them.

use std::io::Write;

use crawler::sitemap::{Cut, MAX_ENTRIES, Sitemap};
use proptest::prelude::*;

use crate::site::{Answer, Site};
use crate::world::{World, check, check_completed};

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

const URLSET: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9" xmlns:image="http://www.google.com/schemas/sitemap-image/1.1">
  <url><loc>
    http://e.gov/a?x=1&amp;y=2 </loc><lastmod>1970-01-01T00:00:01Z</lastmod>
    <image:image><image:loc>http://e.gov/picture.png</image:loc></image:image></url>
  <url><loc><![CDATA[http://e.gov/b]]></loc><lastmod>1970-01-02</lastmod></url>
  <url><lastmod>2020-01-01</lastmod></url>
</urlset>"#;

#[test]
fn pages_are_listed_with_their_last_change() {
    for sitemap in [
        Sitemap::parse(URLSET.as_bytes()),
        Sitemap::parse(&gzip(URLSET.as_bytes())),
    ] {
        let pages: Vec<_> = sitemap
            .pages
            .iter()
            .map(|page| (page.location.as_str(), page.changed_at.unwrap().as_millis()))
            .collect();
        assert_eq!(
            pages,
            [("http://e.gov/a?x=1&y=2", 1_000), ("http://e.gov/b", 86_400_000)]
        );
        assert_eq!(sitemap.cut, None);
    }
}

#[test]
fn an_index_lists_sitemaps_and_a_text_lists_pages() {
    let index = "<sitemapindex><sitemap><loc>http://e.gov/1.xml</loc></sitemap></sitemapindex>";
    assert_eq!(
        Sitemap::parse(index.as_bytes()).sitemaps[0].location,
        "http://e.gov/1.xml"
    );
    let text = Sitemap::parse("\u{feff}http://e.gov/a\r\nnothing\nhttps://e.gov/b".as_bytes());
    assert_eq!(text.pages.len(), 2);
    assert_eq!(text.pages[1].location, "https://e.gov/b");
}

#[test]
fn limits_and_damage_keep_what_came_before() {
    let many = format!(
        "<urlset>{}</urlset>",
        "<url><loc>http://e.gov/</loc></url>".repeat(MAX_ENTRIES + 1)
    );
    let sitemap = Sitemap::parse(many.as_bytes());
    assert_eq!(
        (sitemap.pages.len(), sitemap.cut),
        (MAX_ENTRIES, Some(Cut::Entries))
    );
    let damaged = Sitemap::parse(b"<urlset><url><loc>http://e.gov/a</loc></url><url></loc>");
    assert_eq!((damaged.pages.len(), damaged.cut), (1, Some(Cut::Damaged)));
    let bomb = gzip(&[b' '; 60 << 20]);
    assert_eq!(Sitemap::parse(&bomb).cut, Some(Cut::Bytes));
}

proptest! {
    #[test]
    fn any_bytes_are_read(bytes in proptest::collection::vec(any::<u8>(), 0..200), text in "[<>/a-z &;:!\\[\\]-]{0,80}") {
        Sitemap::parse(&bytes);
        Sitemap::parse(format!("<urlset><url><loc>{text}").as_bytes());
    }
}

#[tokio::test]
async fn pages_that_nothing_links_to_are_found() {
    let server = Site::default()
        .answer(
            "/robots.txt",
            Answer::of("text/plain", b"Sitemap: /maps/index.xml\n"),
        )
        .answer(
            "/maps/index.xml",
            Answer::of(
                "text/xml",
                b"<sitemapindex><sitemap><loc>a.xml.gz</loc></sitemap></sitemapindex>",
            ),
        )
        .answer(
            "/maps/a.xml.gz",
            Answer::of(
                "application/gzip",
                &gzip(b"<urlset><url><loc>/hidden</loc></url><url><loc>http://x.test/</loc></url></urlset>"),
            ),
        )
        .links("/", "/a")
        .links("/a", "")
        .links("/hidden", "/deeper")
        .links("/deeper", "")
        .serve()
        .await;
    let world = World::new(&server, |_| ()).await;
    check_completed(&world.crawl().await);
    check(
        &world.items().await,
        "/: indexed
        /a: indexed
        /deeper: indexed
        /hidden: indexed",
    );
    let world = World::new(&server, |site| site.sitemaps = false).await;
    world.crawl().await;
    assert_eq!(world.items().await.len(), 2);
}
