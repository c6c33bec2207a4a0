//! What a crawl does not see any more: what is gone is deleted, and what is only hidden is not.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use crawldb::{Crawl, CrawlStatus, DeletionCapability};
use model::PageUrl;

use crate::s3::S3;
use crate::site::{Answer, Asked, Server, Site};
use crate::world::{World, check, check_completed};

/// How pages answer now, where not as usual.
#[derive(Clone, Default)]
struct Moods(Arc<Mutex<BTreeSet<&'static str>>>);

impl Moods {
    fn set(&self, moods: &[&'static str]) {
        *self.0.lock().unwrap() = moods.iter().copied().collect();
    }

    /// `usual`, and `other` while the mood prevails.
    fn page(
        &self,
        mood: &'static str,
        usual: Answer,
        other: Answer,
    ) -> impl Fn(&Asked<'_>) -> Answer + use<> {
        let moods = self.clone();
        move |_| match moods.0.lock().unwrap().contains(mood) {
            true => other.clone(),
            false => usual.clone(),
        }
    }
}

fn links(targets: &str) -> Answer {
    let anchors = targets
        .split_whitespace()
        .map(|target| format!("<a href='{target}'>{target}</a>"));
    Answer::html(&format!("<p>words</p>{}", anchors.collect::<String>()))
}

/// `/` leads to `/list` and `/other`, the list to `/1` and `/2`, and `/2` to `/deep`.
async fn site(moods: &Moods) -> Server {
    let gone = || Answer::status(404);
    let page = |mood, usual, other| moods.page(mood, usual, other);
    Site::default()
        .on("/", page("no other", links("/list /other"), links("/list")))
        .on("/list", {
            let shorter = page("unlinked", links("/1 /2"), links("/1"));
            let slow = page("list fails", Answer::default(), Answer::status(503));
            let moved = page(
                "list moved",
                Answer::default(),
                Answer::status(302).with("location", "/catalogue"),
            );
            move |asked| {
                let troubles = [slow(asked), moved(asked)];
                let trouble = troubles.into_iter().find(|answer| answer.status > 0);
                trouble.unwrap_or_else(|| shorter(asked))
            }
        })
        .on(
            "/catalogue",
            page("catalogue fails", links("/1 /2"), Answer::status(500)),
        )
        .on("/1", page("1 fails", links(""), Answer::status(403)))
        .on("/2", page("2 gone", links("/deep"), gone()))
        .on("/deep", page("2 gone", links(""), gone()))
        .on("/other", page("other gone", links(""), gone()))
        .serve()
        .await
}

const ALL: &str = "/: unchanged indexed
    /1: unchanged indexed
    /2: unchanged indexed
    /deep: unchanged indexed
    /list: unchanged indexed
    /other: unchanged indexed";

/// Crawls, lets the moods prevail, and crawls again.
async fn crawl_twice(moods: &[&'static str]) -> (World, Server, Crawl) {
    let now = Moods::default();
    let server = site(&now).await;
    let world = World::new(&server, |site| site.sitemaps = false).await;
    check_completed(&world.crawl().await);
    now.set(moods);
    server.forget_requests();
    let crawl = world.crawl().await;
    (world, server, crawl)
}

/// What is searched, by path.
async fn searched(world: &World) -> Vec<String> {
    let index = world.crawldb.documents().index_in_force().await.unwrap();
    let documents = world
        .crawldb
        .documents()
        .scan_documents(&index, None, 100)
        .await
        .unwrap();
    let alive = documents.iter().filter(|document| document.is_alive());
    alive.map(|document| document.url.path().to_owned()).collect()
}

#[tokio::test]
async fn nothing_is_deleted_where_nothing_changed() {
    let (world, _server, crawl) = crawl_twice(&[]).await;
    check_completed(&crawl);
    check(&world.items().await, ALL);
    assert_eq!((crawl.orphans.candidates, crawl.orphans.deleted), (0, 0));
    assert!(crawl.orphans.swept_at.is_some() && crawl.orphans.withheld.is_none());
}

#[tokio::test]
async fn what_is_not_linked_any_more_and_gone_is_deleted() {
    let (world, server, crawl) = crawl_twice(&["unlinked", "2 gone"]).await;
    check_completed(&crawl);
    let items = world.items().await;
    assert_eq!(
        (items["/2"].as_str(), items["/deep"].as_str()),
        ("deleted", "deleted")
    );
    assert_eq!(crawl.orphans.deleted, 2);
    assert_eq!(searched(&world).await, ["/", "/1", "/list", "/other"]);
    assert_eq!(
        (server.asked_for("/2"), server.asked_for("/deep")),
        (1, 1),
        "asked once more"
    );
    let (applied, _) = world.applied().await;
    assert_eq!((applied["/2"], applied["/1"]), ("delete", "upsert"));
    check_completed(&world.crawl().await);
    assert_eq!(searched(&world).await.len(), 4);
}

#[tokio::test]
async fn what_is_not_linked_any_more_but_there_is_kept() {
    let (world, _server, crawl) = crawl_twice(&["unlinked"]).await;
    check_completed(&crawl);
    let expected = ALL.replace("/list: unchanged indexed", "/list: indexed");
    check(&world.items().await, &expected);
    assert_eq!((crawl.orphans.present, crawl.orphans.deleted), (2, 0));
}

#[tokio::test]
async fn what_a_failed_page_led_to_is_kept() {
    for moods in [
        &["list fails", "2 gone"][..],
        &["list moved", "catalogue fails", "2 gone"],
    ] {
        let (world, _server, crawl) = crawl_twice(moods).await;
        check_completed(&crawl);
        assert_eq!(crawl.orphans.deleted, 0, "{moods:?}: {:?}", crawl.orphans);
        assert_eq!(crawl.orphans.protected, 3, "{moods:?}: {:?}", crawl.orphans);
        assert!(searched(&world).await.contains(&"/deep".to_owned()));
    }
}

#[tokio::test]
async fn what_failed_itself_is_kept_while_another_page_goes() {
    let (world, _server, crawl) = crawl_twice(&["1 fails", "no other", "other gone"]).await;
    check_completed(&crawl);
    assert_eq!(crawl.orphans.deleted, 1);
    assert_eq!(searched(&world).await, ["/", "/1", "/2", "/deep", "/list"]);
}

#[tokio::test]
async fn what_moved_without_a_failure_is_followed() {
    let (world, _server, crawl) = crawl_twice(&["list moved"]).await;
    check_completed(&crawl);
    assert_eq!(crawl.orphans.candidates, 0);
    assert_eq!(
        searched(&world).await,
        ["/", "/1", "/2", "/catalogue", "/deep", "/other"]
    );
}

#[tokio::test]
async fn nothing_is_deleted_by_a_crawl_that_fails_or_is_cut_short() {
    let moods = Moods::default();
    let fails = moods.page("down", links("/a /b"), Answer::status(500));
    let server = Site::default()
        .on("/", fails)
        .on("/a", moods.page("gone", links(""), Answer::status(404)))
        .links("/b", "")
        .serve()
        .await;
    let world = World::new(&server, |_| ()).await;
    check_completed(&world.crawl().await);
    moods.set(&["down", "gone"]);
    let crawl = world.crawl().await;
    assert_eq!(
        (crawl.status, crawl.orphans.swept_at),
        (CrawlStatus::Failed, None)
    );
    assert_eq!(searched(&world).await, ["/", "/a", "/b"]);

    moods.set(&[]);
    let crawler = world.crawler();
    world.change(|settings| settings.site.delay_ms = 300).await;
    let id = world.start(&crawler).await;
    assert!(crawler.cancel(&id));
    let crawl = world.ended(&crawler, &id).await;
    crawler.stop().await;
    assert_eq!(
        (crawl.status, crawl.orphans.swept_at),
        (CrawlStatus::Cancelled, None)
    );

    world
        .change(|settings| (settings.site.delay_ms, settings.site.max_pages) = (0, 1))
        .await;
    moods.set(&["gone"]);
    let crawl = world.crawl().await;
    check_completed(&crawl);
    assert_eq!(crawl.orphans.deleted, 0, "{:?}", crawl.orphans);
    assert_eq!(searched(&world).await, ["/", "/a", "/b"]);
}

#[tokio::test]
async fn a_sitemap_that_fails_protects_what_only_it_names() {
    let moods = Moods::default();
    let listed = Answer::of("text/plain", b"");
    let server = Site::default()
        .links("/", "/a")
        .links("/a", "")
        .on("/sitemap.xml", {
            let down = moods.page("down", listed.clone(), Answer::status(502));
            let fewer = moods.page("fewer", Answer::default(), listed);
            move |asked| {
                let mut answer = down(asked);
                let host = asked.headers["host"].to_str().unwrap();
                if answer.status == 200 && fewer(asked).status == 0 {
                    answer.body = format!("http://{host}/hidden").into_bytes();
                }
                answer
            }
        })
        .on("/hidden", moods.page("gone", links(""), Answer::status(404)))
        .serve()
        .await;
    let world = World::new(&server, |_| ()).await;
    check_completed(&world.crawl().await);
    assert_eq!(searched(&world).await, ["/", "/a", "/hidden"]);
    moods.set(&["down", "gone"]);
    let crawl = world.crawl().await;
    assert_eq!(
        (crawl.orphans.deleted, crawl.orphans.protected),
        (0, 1),
        "{:?}",
        crawl.orphans
    );
    moods.set(&["fewer", "gone"]);
    assert_eq!(world.crawl().await.orphans.deleted, 1);
    assert_eq!(searched(&world).await, ["/", "/a"]);
}

#[tokio::test]
async fn a_missed_page_is_judged_by_what_it_answers() {
    let redirect = |status, target| Answer::status(status).with("location", target);
    let (deleted, kept, asked_again) = ("deleted", "unchanged indexed", "orphancandidate");
    let verdicts = [
        ("/there", links(""), kept),
        ("/unchanged", Answer::status(304), kept),
        ("/not-found", Answer::status(404), deleted),
        ("/gone", Answer::status(410), deleted),
        ("/moved", redirect(301, "/"), deleted),
        ("/moved-too", redirect(308, "/new"), deleted),
        ("/moved-here", redirect(301, "/moved-here#top"), asked_again),
        ("/elsewhere", redirect(302, "/"), asked_again),
        ("/elsewhere-too", redirect(307, "/"), asked_again),
        ("/fails", Answer::status(500), asked_again),
        ("/forbidden", Answer::status(403), asked_again),
        ("/secret", Answer::status(404), asked_again),
    ];
    let moods = Moods::default();
    let all: String = verdicts.iter().map(|(path, ..)| format!("{path} ")).collect();
    let rules = Answer::of("text/plain", b"user-agent: *\ndisallow: /secret\n");
    let mut site = Site::default()
        .on("/robots.txt", moods.page("later", Answer::status(404), rules))
        .on("/", moods.page("later", links(&all), links("")));
    for (path, answer, _) in &verdicts {
        site = site.on(path, moods.page("later", links(""), answer.clone()));
    }
    let server = site.serve().await;
    let world = World::new(&server, |_| ()).await;
    world
        .change(|settings| settings.orphans.min_seen_percent = 0.0)
        .await;
    check_completed(&world.crawl().await);
    moods.set(&["later"]);
    server.forget_requests();
    let crawl = world.crawl().await;
    check_completed(&crawl);
    let items = world.items().await;
    for (path, _, expected) in verdicts {
        assert_eq!(items[path], expected, "{path}: {:?}", crawl.orphans);
    }
    let report = crawl.orphans;
    assert_eq!((report.deleted, report.present, report.deferred), (4, 2, 6));
    assert_eq!((server.asked_for("/secret"), server.asked_for("/fails")), (0, 1));
}

#[tokio::test]
async fn too_many_at_once_wait_for_a_person() {
    let moods = Moods::default();
    let many: String = (0..60).map(|page| format!("/{page} ")).collect();
    let server = Site::default()
        .on("/", moods.page("empty", links(&many), links("")))
        .otherwise(|_| links(""))
        .serve()
        .await;
    let world = World::new(&server, |_| ()).await;
    check_completed(&world.crawl().await);
    moods.set(&["empty"]);
    let crawl = world.crawl().await;
    assert_eq!(crawl.status, CrawlStatus::Blocked);
    assert!(crawl.reason.is_some() && crawl.orphans.blocked == crawl.reason);
    assert_eq!((crawl.orphans.deleted, searched(&world).await.len()), (0, 61));
}

#[tokio::test]
async fn live_updates_that_are_not_applied_yet_withhold_it() {
    let moods = Moods::default();
    let server = Site::default()
        .on("/", moods.page("later", links("/a"), links("")))
        .on("/a", moods.page("later", links(""), Answer::status(404)))
        .serve()
        .await;
    let mut world = World::new(&server, |_| ()).await;
    world.options.listens = false;
    check_completed(&world.crawl().await);
    moods.set(&["later"]);
    world.tell_of(&PageUrl::parse(&server.url("/new")).unwrap()).await;
    let crawl = world.crawl().await;
    check_completed(&crawl);
    assert!(crawl.orphans.withheld.is_some(), "{:?}", crawl.orphans);
    assert_eq!(searched(&world).await, ["/", "/a"]);
    world.change(|settings| settings.live.enabled = false).await;
    assert_eq!(world.crawl().await.orphans.deleted, 1);
}

#[tokio::test]
async fn objects_that_are_gone_are_deleted_and_others_are_asked_for() {
    let s3 = S3::holding(&[
        ("a.html", "<p>a</p>"),
        ("b.html", "<p>b</p>"),
        ("c.html", "<p>c</p>"),
    ])
    .await;
    let world = World::of_bucket("s3://docs/", s3.access("secret"), |_| ()).await;
    check_completed(&world.crawl().await);
    s3.remove("c.html");
    let crawl = world.crawl().await;
    check_completed(&crawl);
    assert_eq!(crawl.orphans.deleted, 1);
    assert_eq!(searched(&world).await, ["/a.html", "/b.html"]);
    s3.asked();
    // Only asking for it shows whether an object is there.
    world
        .change(|settings| settings.deletion = DeletionCapability::FetchOnly)
        .await;
    s3.remove("b.html");
    check_completed(&world.crawl().await);
    assert_eq!(searched(&world).await, ["/a.html"]);
    assert_eq!(s3.asked(), ["b.html"]);
}
