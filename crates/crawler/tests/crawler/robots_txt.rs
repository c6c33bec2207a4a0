//! robots.txt: the rules, and how a crawl obeys them.

use std::time::Duration;

use crawldb::CrawlStatus;
use crawler::robots::Robots;
use model::PageUrl;
use proptest::prelude::*;

use crate::site::{Answer, Site};
use crate::world::{World, check, check_completed};

fn allows(file: &str, path: &str) -> bool {
    let url = PageUrl::parse(&format!("http://e.gov{path}")).unwrap();
    Robots::parse(file.as_bytes(), "Haul").allows(&url)
}

#[track_caller]
fn check_rules(file: &str, allowed: &str, disallowed: &str) {
    for path in allowed.split_whitespace() {
        assert!(allows(file, path), "{path} is allowed by {file:?}");
    }
    for path in disallowed.split_whitespace() {
        assert!(!allows(file, path), "{path} is disallowed by {file:?}");
    }
}

#[test]
fn the_longest_match_decides_and_allow_wins_a_tie() {
    check_rules(
        "user-agent: *\ndisallow: /a\nallow: /a/b\n",
        "/ /a/b /a/bc",
        "/a /ab /a/c",
    );
    check_rules("user-agent: *\ndisallow: /p\nallow: /p\n", "/p", "");
    check_rules(
        "user-agent: *\nallow: /folder\ndisallow: /*.php\n",
        "/folder/x",
        "/x.php",
    );
    check_rules("User-Agent: *\nDisallow:\n", "/ /a", "");
    check_rules("user-agent: *\ndisallow: /\n", "/robots.txt", "/ /a");
}

#[test]
fn wildcards_and_ends() {
    check_rules(
        "user-agent: *\ndisallow: /*.php$\n",
        "/a.php?x /a.php5",
        "/a.php /b/c.php",
    );
    check_rules("user-agent: *\ndisallow: /a*b*c\n", "/abx /acb", "/abc /a1b2c3");
    check_rules("user-agent: *\ndisallow: /x$\n", "/x/ /xy", "/x");
    check_rules("user-agent: *\ndisallow: *secret\n", "/open", "/a/secret/b");
    check_rules("user-agent: *\ndisallow: /a*a$\n", "/a", "/aa /aba");
}

#[test]
fn groups_are_merged_and_the_own_one_goes_before_all() {
    let file = "user-agent: *\ndisallow: /\n\nuser-agent: haul/2.0\ndisallow: /a\n\nuser-agent: other\nuser-agent: HAUL\n\
                # a comment\nallow: /a/b # another\ndisallow: /c\n";
    check_rules(file, "/ /b /a/b", "/a /a/c /c");
    check_rules("user-agent: hauler\ndisallow: /\n", "/a", "");
    check_rules("disallow: /\n", "/a", "");
    // A sitemap belongs to no group and ends none.
    check_rules(
        "user-agent: haul\n\nsitemap: http://e.gov/s\n\nuser-agent: x\ndisallow: /\n",
        "",
        "/a",
    );
    check_rules("\u{feff}user-agent: *\r\ndisallow: /a\r\n", "/b", "/a");
}

#[test]
fn encodings_are_compared_as_what_they_mean() {
    check_rules("user-agent: *\ndisallow: /%7Euser\n", "", "/~user /%7euser");
    check_rules("user-agent: *\ndisallow: /a%2fb\n", "/a/b", "/a%2Fb");
    check_rules("user-agent: *\ndisallow: /ü\n", "/u", "/%C3%BC");
    check_rules("user-agent: *\ndisallow: /x?q=\n", "/x", "/x?q=1");
}

#[test]
fn delays_and_sitemaps_are_read() {
    let file = "sitemap: http://e.gov/1.xml\nuser-agent: *\ncrawl-delay: 1.5\nuser-agent: x\ncrawl-delay: 9\nSitemap:/2.xml\n";
    let robots = Robots::parse(file.as_bytes(), "Haul");
    assert_eq!(robots.crawl_delay(), Some(Duration::from_millis(1_500)));
    assert_eq!(robots.sitemaps(), ["http://e.gov/1.xml", "/2.xml"]);
    assert_eq!(
        Robots::parse(b"user-agent: *\ncrawl-delay: -1\n", "Haul").crawl_delay(),
        None
    );
}

#[test]
fn what_is_behind_the_limit_does_not_count() {
    let mut file = "#".repeat(crawler::robots::MAX_ROBOTS_BYTES);
    file.push_str("\nuser-agent: *\ndisallow: /\n");
    assert!(allows(&file, "/a"));
}

proptest! {
    #[test]
    fn any_bytes_are_read(bytes in proptest::collection::vec(any::<u8>(), 0..300), path in "/[a-z*$%?]{0,20}") {
        let mut file = b"user-agent: *\ndisallow: ".to_vec();
        file.extend(bytes);
        if let Ok(url) = PageUrl::parse(&format!("http://e.gov{path}")) {
            Robots::parse(&file, "Haul").allows(&url);
        }
    }

    #[test]
    fn wildcards_match_as_a_simple_matcher_says(pattern in "/[ab*]{0,6}\\$?", path in "/[ab]{0,7}") {
        fn matches(pattern: &[u8], path: &[u8]) -> bool {
            match pattern {
                [] => true,
                b"$" => path.is_empty(),
                [b'*', rest @ ..] => (0..=path.len()).any(|at| matches(rest, &path[at..])),
                [first, rest @ ..] => path.first() == Some(first) && matches(rest, &path[1..]),
            }
        }
        let file = format!("user-agent: *\ndisallow: {pattern}\n");
        prop_assert_eq!(!allows(&file, &path), matches(pattern.as_bytes(), path.as_bytes()));
    }
}

#[tokio::test]
async fn disallowed_pages_are_not_fetched() {
    let server = Site::default()
        .answer(
            "/robots.txt",
            Answer::of("text/plain", b"user-agent: *\ndisallow: /secret\n"),
        )
        .links("/", "/a /secret/b")
        .links("/a", "")
        .serve()
        .await;
    let world = World::new(&server, |_| ()).await;
    check_completed(&world.crawl().await);
    check(
        &world.items().await,
        "/: indexed
        /a: indexed
        /secret/b: disallowed",
    );
    assert_eq!(server.asked_for("/secret/b"), 0);
    assert_eq!(server.asked_for("/robots.txt"), 1);

    let world = World::new(&server, |site| site.obey_robots = false).await;
    world.crawl().await;
    assert_eq!(server.asked_for("/secret/b"), 1);
}

#[tokio::test]
async fn a_site_whose_robots_txt_fails_is_not_fetched() {
    let server = Site::default()
        .answer("/robots.txt", Answer::status(500))
        .links("/", "")
        .serve()
        .await;
    let world = World::new(&server, |_| ()).await;
    let crawl = world.crawl().await;
    assert_eq!(crawl.status, CrawlStatus::Failed);
    let reason = crawl.reason.unwrap();
    assert!(
        reason.contains("no start URL could be fetched") && reason.contains("robots.txt"),
        "{reason}"
    );
    assert!(reason.contains("HTTP 500"), "{reason}");
    assert_eq!(server.asked_for("/"), 0);
}

#[tokio::test]
async fn a_robots_txt_that_comes_back_is_obeyed() {
    let server = Site::default()
        .on("/robots.txt", |asked| match asked.before {
            0 => Answer::status(503),
            _ => Answer::status(301).with("location", "/moved.txt"),
        })
        .answer(
            "/moved.txt",
            Answer::of("text/plain", b"user-agent: haul\ndisallow: /a\n"),
        )
        .links("/", "/a")
        .serve()
        .await;
    let mut world = World::new(&server, |_| ()).await;
    world.options.robots_patience = Duration::from_millis(1_500);
    check_completed(&world.crawl().await);
    check(
        &world.items().await,
        "/: indexed
        /a: disallowed",
    );
}
