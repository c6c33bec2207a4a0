use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crawldb::testkit::{FaultyStore, Moment, sample_crawl, sample_item, sample_source};
use crawldb::{Crawldb, ItemState, Store, Written};
use remote::{RemoteOptions, RemoteStore};

use crate::service::{Service, quick, router};

#[tokio::test]
async fn a_service_that_is_not_there_is_named_with_advice() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let remote = RemoteStore::new(&format!("http://{address}/"), quick()).unwrap();
    for error in [
        remote.list_sources().await.unwrap_err(),
        remote.put_source(&sample_source("docs")).await.unwrap_err(),
    ] {
        assert!(error.retryable);
        let text = error.to_string();
        assert!(
            text.starts_with(&format!(
                "the crawl database at http://{address}: it cannot be reached; check"
            )),
            "{text}"
        );
    }
}

#[tokio::test]
async fn the_client_goes_on_after_a_restart() {
    let crawldb = Crawldb::memory();
    let mut service = Service::of(&crawldb);
    let remote = service.client();
    let mut source = sample_source("docs");
    for _ in 0..5 {
        let Written::Done(revision) = remote.put_source(&source).await.unwrap() else {
            panic!("nobody else writes it");
        };
        source.revision = revision;
        service = service.restart(router(&crawldb)).await;
        assert_eq!(remote.get_source(&source.id).await.unwrap(), Some(source.clone()));
    }
}

#[tokio::test]
async fn a_read_waits_for_a_service_that_is_on_its_way_up() {
    let crawldb = Crawldb::memory();
    let mut service = Service::of(&crawldb);
    let patient = RemoteOptions {
        retries: 12,
        ..quick()
    };
    let remote = RemoteStore::new(&service.url(), patient).unwrap();
    service.kill();
    let asked = tokio::spawn(async move { remote.list_sources().await });
    let service = service.restart(router(&crawldb)).await;
    assert_eq!(asked.await.unwrap().unwrap(), []);
    drop(service);
}

/// Takes whole requests, counts them, and closes each connection without an answer.
fn silent_server() -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let requests = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&requests);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut lines = BufReader::new(stream);
            let mut length = 0;
            let mut line = String::new();
            while lines.read_line(&mut line).is_ok_and(|read| read > 2) {
                let lower = line.to_ascii_lowercase();
                length = lower
                    .strip_prefix("content-length:")
                    .map_or(length, |value| value.trim().parse().unwrap());
                line.clear();
            }
            let mut body = vec![0; length];
            lines.read_exact(&mut body).unwrap();
            counted.fetch_add(1, Ordering::SeqCst);
        }
    });
    (address, requests)
}

#[tokio::test]
async fn a_read_is_repeated_and_a_write_is_not() {
    let (address, requests) = silent_server();
    let remote = RemoteStore::new(&format!("http://{address}"), quick()).unwrap();

    let error = remote.put_source(&sample_source("docs")).await.unwrap_err();
    assert!(error.retryable);
    assert!(
        error
            .to_string()
            .contains("read again before a write is repeated"),
        "{error}"
    );
    assert_eq!(requests.swap(0, Ordering::SeqCst), 1);

    assert!(remote.list_sources().await.unwrap_err().retryable);
    assert_eq!(requests.load(Ordering::SeqCst), 1 + quick().retries as usize);
}

#[tokio::test]
async fn a_service_that_does_not_answer_is_not_waited_for_without_end() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let options = RemoteOptions {
        timeout: Duration::from_millis(50),
        retries: 1,
        ..quick()
    };
    let url = format!("http://{}", listener.local_addr().unwrap());
    let error = RemoteStore::new(&url, options)
        .unwrap()
        .list_sources()
        .await
        .unwrap_err();
    assert!(error.retryable);
    assert!(
        error.to_string().contains("did not answer within 50ms"),
        "{error}"
    );
}

/// A write that the store took, and whose answer was lost behind the service.
#[tokio::test]
async fn what_the_store_says_reaches_the_caller() {
    let crawldb = Crawldb::memory();
    let service = Service::of_store(FaultyStore::new(Arc::clone(crawldb.store()), 1, Moment::After));
    let remote = service.client();
    let item = sample_item(&sample_crawl("docs", 1_000), "a.example", 1, ItemState::Pending);
    let items = std::slice::from_ref(&item);

    let error = remote.put_items(items).await.unwrap_err();
    assert!(error.retryable);
    assert!(error.to_string().contains("it was told to fail here"), "{error}");
    let stored = remote
        .get_items(&item.source, std::slice::from_ref(&item.id))
        .await
        .unwrap();
    let revision = stored[0].as_ref().unwrap().revision;
    assert_eq!(
        remote.put_items(items).await.unwrap(),
        [Written::Conflict(revision)]
    );
}

#[tokio::test]
async fn a_read_that_failed_in_passing_is_repeated() {
    let crawldb = Crawldb::memory();
    let service = Service::of_store(FaultyStore::new(Arc::clone(crawldb.store()), 1, Moment::Before));
    assert_eq!(service.client().list_sources().await.unwrap(), []);
}

#[tokio::test]
async fn a_server_of_another_kind_is_told_apart() {
    let service = Service::start(axum::Router::new());
    let error = service.client().list_sources().await.unwrap_err();
    assert!(!error.retryable);
    assert!(
        error
            .to_string()
            .contains("it answered 404 Not Found; check that the address"),
        "{error}"
    );

    let page = axum::Router::new().fallback(async || "<html>welcome</html>");
    let service = Service::start(page);
    let error = service
        .client()
        .put_source(&sample_source("docs"))
        .await
        .unwrap_err();
    assert!(!error.retryable);
    assert!(error.to_string().contains("its answer cannot be read"), "{error}");
}

/// Fewer answers than records must not be taken for the answers to the first ones.
#[tokio::test]
async fn an_answer_for_each_record_is_insisted_on() {
    let service = Service::start(axum::Router::new().fallback(async || "[]"));
    let item = sample_item(&sample_crawl("docs", 1_000), "a.example", 1, ItemState::Pending);
    let error = service.client().put_items(&[item]).await.unwrap_err();
    assert!(
        error.to_string().contains("it answered 0 times to 1 records"),
        "{error}"
    );
}

#[test]
fn an_address_that_may_hold_a_secret_is_refused_and_not_repeated() {
    for (url, why) in [
        ("crawldb", "cannot be read"),
        ("ftp://crawldb.example", "does not begin with"),
        ("http://haul:hunter2@crawldb.example", "use a token"),
        ("http://crawldb.example/?token=hunter2", "goes on after its path"),
    ] {
        let text = RemoteStore::new(url, RemoteOptions::default())
            .unwrap_err()
            .to_string();
        assert!(text.contains(why), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
    }
}
