//! What is found, what is fetched, and what becomes of it.

use crate::site::{Answer, Site};
use crate::world::{World, check, check_completed};
use updates::{Control, Ended};

#[tokio::test]
async fn every_page_is_fetched_once_and_announced() {
    let server = Site::default()
        .links("/", "/a /b /c#part http://elsewhere.test/")
        .links("/a", "/ /b /c mailto:x@y.test")
        .links("/b", "/a /c /a?x=1")
        .links("/c", "/")
        .links("/a?x=1", "/a?x=1&utm_source=news")
        .serve()
        .await;
    let world = World::new(&server, |_| ()).await;
    let crawl = world.crawl().await;
    check_completed(&crawl);
    assert_eq!((crawl.totals.seen, crawl.totals.new, crawl.fetches), (5, 5, 5));
    check(
        &world.items().await,
        "/: indexed
        /a: indexed
        /a?x=1: indexed
        /b: indexed
        /c: indexed",
    );
    assert!(
        server.requests().values().all(|&count| count == 1),
        "{:?}",
        server.requests()
    );
    let (applied, records) = world.applied().await;
    assert!(applied.values().all(|&change| change == "upsert"));
    assert_eq!((applied.len(), records), (5, 5));
    assert_eq!(world.item("/b").await.depth, 1);
    assert_eq!(world.item("/a?x=1").await.depth, 2);
    let page = world
        .archive
        .get(&world.item("/c").await.content.unwrap())
        .await
        .unwrap();
    assert!(String::from_utf8(page).unwrap().contains("This is the page /c"));
}

#[tokio::test]
async fn the_course_of_a_crawl_is_told() {
    let server = Site::default().links("/", "/a").links("/a", "").serve().await;
    let world = World::new(&server, |_| ()).await;
    let crawl = world.crawl().await;
    let events: Vec<String> = world
        .control()
        .await
        .iter()
        .map(|event| match event {
            Control::CrawlStarted { hosts, .. } => format!("started {}", hosts.len()),
            Control::HostDone { items, .. } => format!("host done {items}"),
            Control::CrawlEnded {
                ended: Ended::Completed,
                crawl: id,
            } => format!("ended {}", *id == crawl.id),
            other => format!("{other:?}"),
        })
        .collect();
    assert_eq!(events, ["started 1", "host done 2", "ended true"]);
}

#[tokio::test]
async fn redirects_and_canonical_addresses_are_aliases() {
    let server = Site::default()
        .links("/", "/old /print /twin-a /away")
        .redirect("/old", "/older")
        .redirect("/older", "/new")
        .links("/new", "")
        .html(
            "/print",
            "<link rel=canonical href=/article><p>The same words</p>",
        )
        .html("/article", "<p>The same words</p>")
        .html("/twin-a", "<link rel=canonical href=/twin-b><p>a</p>")
        .html("/twin-b", "<link rel=canonical href=/twin-a><p>b</p>")
        .redirect("/away", "http://elsewhere.test/x")
        .serve()
        .await;
    let world = World::new(&server, |_| ()).await;
    check_completed(&world.crawl().await);
    check(
        &world.items().await,
        "/: indexed
        /article: indexed
        /away: -> //elsewhere.test/x
        /new: indexed
        /old: -> /older
        /older: -> /new
        /print: -> /article
        /twin-a: -> /twin-b
        /twin-b: indexed",
    );
    assert_eq!(world.item("/new").await.aliases, [world.item("/older").await.id]);
}

#[tokio::test]
async fn a_start_url_may_move_to_another_host() {
    let server = Site::default()
        .on("/", |asked| {
            let host = asked.headers["host"].to_str().unwrap();
            match host.strip_prefix("site.test") {
                Some(port) => Answer::status(301).with("location", &format!("http://www.site.test{port}/")),
                None => Answer::html("<a href=/a>a</a>"),
            }
        })
        .links("/a", "")
        .serve()
        .await;
    let port = server.port;
    let world = World::new(&server, |site| {
        site.resolve.push(format!("www.site.test:{port}:127.0.0.1"));
    })
    .await;
    check_completed(&world.crawl().await);
    check(
        &world.items().await,
        &format!(
            "/: -> //www.site.test:{port}/
            //www.site.test:{port}/: indexed
            //www.site.test:{port}/a: indexed"
        ),
    );
}

#[tokio::test]
async fn redirects_that_go_astray_are_left_to_a_person() {
    let server = Site::default()
        .links("/", "/self /circle-a /hop/0")
        .redirect("/self", "/self")
        .redirect("/circle-a", "/circle-b")
        .redirect("/circle-b", "/circle-a")
        .otherwise(|path| {
            let hop: u32 = path.rsplit('/').next().and_then(|hop| hop.parse().ok()).unwrap();
            Answer::status(302).with("location", &format!("/hop/{}", hop + 1))
        })
        .serve()
        .await;
    let world = World::new(&server, |_| ()).await;
    check_completed(&world.crawl().await);
    let items = world.items().await;
    assert!(
        items["/self"].contains("escalated Redirect: the redirects go in a circle"),
        "{items:#?}"
    );
    assert!(
        items["/circle-b"].contains("escalated Redirect: the redirects go in a circle"),
        "{items:#?}"
    );
    assert_eq!(items["/hop/9"], "-> /hop/10");
    assert!(
        items["/hop/10"].contains("escalated Redirect: more than 10 redirects"),
        "{items:#?}"
    );
    assert_eq!(items.len(), 15);
}

#[tokio::test]
async fn owners_may_ask_not_to_index_and_not_to_follow() {
    let page = |head: &str, link: &str| {
        Answer::html(&format!(
            "<html><head>{head}</head><body><p>words</p><a href={link}>x</a></body></html>"
        ))
    };
    let server = Site::default()
        .html(
            "/",
            "<a href=/noindex>1</a><a href=/nofollow>2</a><a href=/tag>3</a><a rel=nofollow href=/no1>4</a>",
        )
        .answer(
            "/noindex",
            page("<meta name=robots content=noindex>", "/followed"),
        )
        .answer("/nofollow", page("<meta name=robots content=nofollow>", "/no2"))
        .answer("/tag", page("", "/no3").with("x-robots-tag", "noindex, nofollow"))
        .links("/followed", "")
        .serve()
        .await;
    let world = World::new(&server, |_| ()).await;
    check_completed(&world.crawl().await);
    check(
        &world.items().await,
        "/: indexed
        /followed: indexed
        /nofollow: indexed
        /noindex: noindex
        /tag: noindex",
    );
    assert_eq!(world.applied().await.0.len(), 3);
}

#[tokio::test]
async fn what_has_no_text_is_not_read() {
    let server = Site::default()
        .links("/", "/image.png /data /notes.txt /blob")
        .answer("/image.png", Answer::of("image/png", &[0; 100_000]))
        .answer("/data", Answer::of("application/octet-stream", &[0; 100_000]))
        .answer("/notes.txt", Answer::of("text/plain", b"some notes"))
        .serve()
        .await;
    let world = World::new(&server, |_| ()).await;
    let crawl = world.crawl().await;
    check(
        &world.items().await,
        "/: indexed
        /blob: deleted
        /data: unsupported application/octet-stream
        /image.png: unsupported image/png
        /notes.txt: indexed",
    );
    assert!(crawl.fetched_bytes < 2_000, "{}", crawl.fetched_bytes);
}

#[tokio::test]
async fn prefixes_depth_and_numbers_limit_a_crawl() {
    let site = || {
        Site::default().otherwise(|path| {
            Answer::html(
                &format!("<a href='{path}/x'>on</a><a href='{path}/private'>no</a>").replace("//", "/"),
            )
        })
    };
    let server = site().serve().await;
    let world = World::new(&server, |site| {
        site.max_depth = 3;
        site.exclude = vec![server.url("/x/private")];
        site.include = vec![server.url("/x"), server.url("/")];
    })
    .await;
    check_completed(&world.crawl().await);
    let items = world.items().await;
    assert!(
        items.contains_key("/x/x/x") && !items.contains_key("/x/x/x/x"),
        "{items:?}"
    );
    assert!(!items.contains_key("/x/private"), "{items:?}");

    let world = World::new(&server, |site| site.max_pages = 4).await;
    assert_eq!(world.crawl().await.totals.seen, 4);
}

#[tokio::test]
async fn endless_queries_end() {
    let server = Site::default()
        .links("/", "/calendar?day=1")
        .otherwise(|path| {
            let day: u32 = path
                .rsplit('=')
                .next()
                .and_then(|day| day.parse().ok())
                .unwrap_or(0);
            Answer::html(&format!("<a href='?day={}'>tomorrow</a> day {day}", day + 1))
        })
        .serve()
        .await;
    let world = World::new(&server, |site| site.max_queries_per_path = 7).await;
    check_completed(&world.crawl().await);
    assert_eq!(world.items().await.len(), 8);
}
