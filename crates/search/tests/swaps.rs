//! Packs come, change and go while queries run.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[expect(dead_code, reason = "each test file uses its part of it")]
mod site;

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use model::{Checksum, Host};
use pack::Page;
use search::{Library, LibraryOptions, RefreshError, Refreshed, Request, SearchError};
use site::{Site, ask, host, library_of, page, write_pack};
use tokio_util::sync::CancellationToken;
use updates::{Control, Entry, UpdateLog, topics};

/// As many pages as the number says, which all say it.
fn edition(number: usize) -> Vec<Page> {
    let text = format!("edition {number} of the almanac");
    (0..number)
        .map(|n| {
            page(
                &format!("http://e.gov/{n}"),
                &format!("Page {n}"),
                &[&text, &text],
            )
        })
        .collect()
}

/// Waits until `holds`, at most ten seconds.
async fn until(mut holds: impl FnMut() -> bool) {
    for _ in 0..1_000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it did not happen within ten seconds");
}

/// Asks for ever; every answer must be of one edition.
async fn keep_asking(library: Library, stop: Arc<AtomicBool>, asked: Arc<AtomicU64>) {
    while !stop.load(Ordering::Relaxed) {
        let number = asked.fetch_add(1, Ordering::Relaxed);
        // A query of its own each time, so that the cache of answers does not hide anything.
        let query = format!("almanac -x{number}");
        let request = Request {
            per_page: 100,
            ..Request::new(query)
        };
        let answer = library.search(&request).await.expect("a swap is not noticed");
        let editions: BTreeSet<&str> = answer
            .results
            .iter()
            .map(|hit| hit.snippet.text.as_str())
            .collect();
        let expected = format!("edition {} of the almanac", answer.total);
        assert_eq!(editions.into_iter().collect::<Vec<_>>(), [expected.as_str()]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_hundred_swaps_under_constant_queries() {
    let site = Site::new();
    let host = host("e.gov");
    let mut editions = Vec::new();
    for number in 1..=6 {
        editions.push(site.publish(&host, &edition(number)).await);
    }
    let library = site.library();
    library.refresh(&host).await.unwrap();
    let (stop, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let clients: Vec<_> = (0..3)
        .map(|_| {
            tokio::spawn(keep_asking(
                library.clone(),
                Arc::clone(&stop),
                Arc::clone(&asked),
            ))
        })
        .collect();
    for swap in 0..100 {
        let checksum = editions[swap % editions.len()];
        site.announce(&host, checksum).await;
        assert_eq!(
            library.refresh(&host).await.unwrap(),
            Refreshed::Swapped(checksum)
        );
        let before = asked.load(Ordering::Relaxed);
        until(|| asked.load(Ordering::Relaxed) > before).await;
    }
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.unwrap();
    }
    let last = format!("{}.sqlite", editions[99 % editions.len()]);
    until(|| site.cached() == [last.clone()]).await;
}

#[tokio::test]
async fn a_bad_pack_is_refused_and_the_old_one_stays() {
    let site = Site::new();
    let host = host("e.gov");
    let good = site.publish(&host, &edition(2)).await;
    let library = site.library();
    library.refresh(&host).await.unwrap();

    let path = site.folder.path().join("bad.pack");
    write_pack(&path, &host, &edition(3));
    let whole = std::fs::read(&path).unwrap();
    let mut flipped = whole.clone();
    let middle = flipped.len() / 2;
    flipped[middle..].fill(0xa5);
    for bytes in [&whole[..whole.len() / 2], &flipped, b"no database" as &[u8], b""] {
        check_refused(&site, &library, &host, bytes).await;
    }
    let other = Host::new("other.gov").unwrap();
    std::fs::remove_file(&path).unwrap();
    write_pack(&path, &other, &[page("http://other.gov/", "", &["almanac"])]);
    check_refused(&site, &library, &host, &std::fs::read(&path).unwrap()).await;

    assert_eq!(library.hosts(), [(host.clone(), good)]);
    assert_eq!(ask(&library, "almanac").await.total, 2);
    assert_eq!(site.cached(), [format!("{good}.sqlite")]);
    let next = site.publish(&host, &edition(4)).await;
    assert_eq!(library.refresh(&host).await.unwrap(), Refreshed::Swapped(next));
    assert_eq!(ask(&library, "almanac").await.total, 4);
}

async fn check_refused(site: &Site, library: &Library, host: &Host, bytes: &[u8]) {
    let path = site.folder.path().join("refused.pack");
    std::fs::write(&path, bytes).unwrap();
    let checksum = Checksum::of(bytes);
    site.archive.put_pack(host, &checksum, &path).await.unwrap();
    site.announce(host, checksum).await;
    let error = library.refresh(host).await.unwrap_err();
    assert!(
        matches!(&error, RefreshError::Refused { checksum: refused, .. } if *refused == checksum),
        "{error}"
    );
}

#[tokio::test]
async fn a_pack_that_is_not_what_its_name_says_is_refused() {
    let site = Site::new();
    let host = host("e.gov");
    let path = site.folder.path().join("some.pack");
    write_pack(&path, &host, &edition(1));
    let wrong = Checksum::of(b"something else");
    site.archive.put_pack(&host, &wrong, &path).await.unwrap();
    site.announce(&host, wrong).await;
    let library = site.library();
    let error = library.refresh(&host).await.unwrap_err();
    assert!(matches!(error, RefreshError::Refused { .. }), "{error}");
    let gone = Checksum::of(b"never stored");
    site.announce(&host, gone).await;
    let error = library.refresh(&host).await.unwrap_err();
    assert!(matches!(error, RefreshError::Archive { .. }), "{error}");
    assert!(site.cached().is_empty());
}

#[tokio::test]
async fn a_new_start_keeps_what_is_current_and_sweeps_the_rest() {
    let site = Site::new();
    let host = host("e.gov");
    let old = site.publish(&host, &edition(1)).await;
    let library = site.library();
    library.refresh(&host).await.unwrap();
    drop(library);
    assert_eq!(site.cached(), [format!("{old}.sqlite")]);
    std::fs::write(
        site.cache().join(format!("{}.new", Checksum::of(b"half"))),
        "half",
    )
    .unwrap();

    let library = site.library();
    assert_eq!(site.cached(), [format!("{old}.sqlite")]);
    library.refresh_all().await.unwrap();
    assert_eq!(ask(&library, "almanac").await.total, 1);
    drop(library);

    let new = site.publish(&host, &edition(2)).await;
    let library = site.library();
    library.refresh_all().await.unwrap();
    assert_eq!(site.cached(), [format!("{new}.sqlite")]);
    assert_eq!(ask(&library, "almanac").await.total, 2);
}

#[tokio::test]
async fn more_hosts_than_may_be_open_are_all_searched() {
    let site = Site::new();
    let pages: Vec<Page> = (0..7)
        .map(|n| page(&format!("http://h{n}.gov/"), &format!("Host {n}"), &["almanac"]))
        .collect();
    drop(library_of(&site, &pages).await);
    let two = NonZeroUsize::MIN.saturating_add(1);
    let options = LibraryOptions {
        max_open_packs: two,
        ..LibraryOptions::new(site.cache())
    };
    let library = Library::open(site.archive.clone(), options).unwrap();
    library.refresh_all().await.unwrap();
    assert_eq!(ask(&library, "almanac").await.total, 7);
    assert_eq!(library.hosts().len(), 7);
    let mut registry = prometheus_client::registry::Registry::default();
    library.metrics().register(&mut registry);
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    for line in [
        "haul_search_open_packs 2",
        "haul_search_swaps_total 7",
        "haul_search_queries_total{outcome=\"answered\"} 1",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
}

#[test]
fn a_query_that_takes_too_long_is_stopped_and_says_so() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(1)
        .build()
        .unwrap();
    runtime.block_on(async {
        let site = Site::new();
        drop(library_of(&site, &edition(3)).await);
        let time_limit = Duration::from_millis(20);
        let options = LibraryOptions {
            time_limit,
            ..LibraryOptions::new(site.cache())
        };
        let library = Library::open(site.archive.clone(), options).unwrap();
        library.refresh_all().await.unwrap();
        // The only thread that could answer is busy until it is let go.
        let (let_go, busy) = std::sync::mpsc::channel::<()>();
        let waiting = tokio::task::spawn_blocking(move || busy.recv());
        let error = library.search(&Request::new("almanac")).await.unwrap_err();
        assert!(matches!(error, SearchError::TimedOut { limit_ms: 20 }), "{error}");
        drop(let_go);
        assert!(waiting.await.unwrap().is_err());
        assert_eq!(ask(&library, "almanac").await.total, 3);
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_library_follows_the_log() {
    let site = Site::new();
    let host = host("e.gov");
    let first = site.publish(&host, &edition(1)).await;
    let log = UpdateLog::memory();
    let (library, stop) = (site.library(), CancellationToken::new());
    let running = {
        let (library, log, stop) = (library.clone(), log.clone(), stop.clone());
        tokio::spawn(async move { library.run(&log, "server-1", stop).await })
    };
    until(|| library.hosts() == [(host.clone(), first)]).await;

    let second = site.publish(&host, &edition(2)).await;
    let published = Control::PackPublished {
        host: host.clone(),
        manifest: 2,
        checksum: second,
    };
    let entry = Entry {
        key: format!("pack/{host}"),
        scope: host.to_string(),
        value: Some(published),
    };
    log.append(topics::CONTROL, &[entry]).await.unwrap();
    until(|| library.hosts() == [(host.clone(), second)]).await;
    assert_eq!(ask(&library, "almanac").await.total, 2);
    stop.cancel();
    running.await.unwrap().unwrap();
}
