use std::net::SocketAddr;
use std::time::Duration;

use pkgindex::store::{MemoryStore, ReplicaStore, Store, StoreError};
use pkgindex::{BatchError, HttpOptions, Index, Options, Revision};

use crate::port::{Port, in_memory};

fn store(address: SocketAddr) -> ReplicaStore {
    ReplicaStore::new(&format!("http://{address}")).unwrap()
}

/// An index that follows the server at `address`. It is opened within the runtime, as programs do.
fn follow(address: SocketAddr, options: Options) -> Index {
    Index::open(Box::new(store(address)), options).unwrap()
}

async fn ask(index: &Index, lines: &str) -> String {
    let mut answers = Vec::new();
    index.lines(lines.as_bytes(), &mut answers).await.unwrap();
    String::from_utf8(answers).unwrap().replace('\n', " ")
}

/// The INDEX lines of an index.
async fn packages(index: &Index) -> Vec<String> {
    let snapshot = index.snapshot().await.unwrap();
    let line = |package| {
        let dependencies = snapshot.dependencies(package).iter();
        let dependencies: Vec<_> = dependencies.map(|&package| snapshot.name(package)).collect();
        format!("{}|{}", snapshot.name(package), dependencies.join(","))
    };
    snapshot.packages().map(line).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_begins_with_everything_and_follows() {
    let primary = Port::with("INDEX|a|b\nINDEX|b|a\n").await;
    let replica = follow(primary.address, Options::default());
    assert_eq!(replica.sizes().revision, Revision(1));
    for round in 0..50 {
        let line = format!("INDEX|p{round}|a\n");
        assert_eq!(ask(&primary.index, &line).await, "OK ");
        // Fresh: what the primary has acknowledged is seen.
        assert_eq!(ask(&replica, &format!("QUERY|p{round}|\n")).await, "OK ");
    }
    assert_eq!(packages(&replica).await, packages(&primary.index).await);
    let feed = replica.changes(Revision(1)).unwrap();
    assert_eq!(feed, primary.index.changes(Revision(1)).unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_refuses_changes() {
    let primary = Port::with("INDEX|a|\n").await;
    let replica = follow(primary.address, Options::default());
    assert_eq!(
        ask(&replica, "INDEX|b|\nREMOVE|a|\nQUERY|a|\nQUERY|b|\n").await,
        "ERROR ERROR OK FAIL "
    );
    let refused = replica.batch(b"INDEX|b|\n").await;
    assert!(matches!(refused, Err(BatchError::ReadOnly)), "{refused:?}");
    assert_eq!(primary.index.sizes().revision, Revision(1));
    let port = Port::of(replica, HttpOptions::default()).await;
    port.post("/v1/batch", "INDEX|b|\n")
        .await
        .problem(403, "only reads");
    port.post("/v1/load?format=debian", "Package: b\n")
        .await
        .problem(403, "only reads");
    let replies = port.post("/v1/commands", "INDEX|b|\n").await.json();
    let error = replies["replies"][0]["error"].as_str().unwrap();
    assert!(error.contains("only reads"), "{error}");
    assert_eq!(port.get("/health").await.json()["writable"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_can_be_followed_too() {
    let primary = Port::with("INDEX|a|\n").await;
    let middle = Port::of(
        follow(primary.address, Options::default()),
        HttpOptions::default(),
    )
    .await;
    let last = follow(middle.address, Options::default());
    assert_eq!(ask(&primary.index, "INDEX|b|a\n").await, "OK ");
    assert_eq!(ask(&last, "QUERY|b|\n").await, "OK ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_primary_that_comes_back_with_another_history_is_followed_anew() {
    let primary = Port::with("INDEX|old|\n").await;
    let address = primary.address;
    let replica = follow(address, Options::default());
    assert_eq!(ask(&replica, "QUERY|old|\n").await, "OK ");
    primary.stop().await;
    // As many revisions as before, and other packages: numbers alone would not tell.
    let index = in_memory();
    index.batch(b"INDEX|new|\n").await.unwrap();
    let primary = Port::at(address, index, HttpOptions::default()).await;
    assert_eq!(ask(&replica, "QUERY|old|\nQUERY|new|\n").await, "FAIL OK ");
    assert_eq!(ask(&primary.index, "INDEX|newer|new\n").await, "OK ");
    assert_eq!(ask(&replica, "QUERY|newer|\n").await, "OK ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_fell_behind_the_feed_takes_a_dump() {
    let options = Options {
        feed_bytes: 1_000,
        ..Options::default()
    };
    let index = Index::open(Box::new(MemoryStore::new()), options).unwrap();
    let primary = Port::of(index, HttpOptions::default()).await;
    // It asks only when it is asked, so that it is behind.
    let options = Options {
        poll_interval: Duration::from_secs(3600),
        ..Options::default()
    };
    let replica = follow(primary.address, options);
    for round in 0..100 {
        ask(&primary.index, &format!("INDEX|p{round}|\n")).await;
    }
    primary
        .get("/v1/changes?after=0")
        .await
        .problem(410, "take a dump");
    assert_eq!(ask(&replica, "QUERY|p99|\n").await, "OK ");
    assert_eq!(packages(&replica).await, packages(&primary.index).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn staleness_says_whether_a_replica_answers_alone() {
    let primary = Port::with("INDEX|a|\n").await;
    let commit_timeout = Duration::from_millis(100);
    let fresh = Options {
        commit_timeout,
        ..Options::default()
    };
    let stale = Options {
        staleness: Duration::from_secs(3600),
        ..fresh.clone()
    };
    let (fresh, stale) = (follow(primary.address, fresh), follow(primary.address, stale));
    primary.stop().await;
    assert_eq!(ask(&stale, "QUERY|a|\n").await, "OK ");
    let silent = fresh.lines(b"QUERY|a|\n", &mut Vec::new()).await.unwrap_err();
    assert!(silent.to_string().contains("does not answer"), "{silent}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_says_what_it_cannot_do() {
    let primary = Port::with("INDEX|a|\n").await;
    let mut replica = store(primary.address);
    let loaded = replica.load().unwrap();
    assert_eq!(
        (loaded.revision, &*loaded.lines),
        (Revision(1), &b"INDEX|a|\n"[..])
    );
    primary.index.settled().await.unwrap();
    let changes = primary.index.changes(Revision(0)).unwrap();
    let refused = replica.commit(Revision(0), &changes);
    assert!(matches!(refused, Err(StoreError::Unsuited(_))), "{refused:?}");
    assert_eq!(replica.check(true).unwrap(), []);
    let unknown = replica.changes(Revision(9));
    assert!(matches!(unknown, Err(StoreError::TooOld(_))), "{unknown:?}");
    let address = primary.address;
    primary.stop().await;
    let silent = store(address).load();
    assert!(matches!(silent, Err(StoreError::Unreachable(_))), "{silent:?}");
    for wrong in ["", "127.0.0.1:80", "ftp://127.0.0.1", "http://127.0.0.1/v1"] {
        let wrong = ReplicaStore::new(wrong).unwrap_err();
        assert!(wrong.to_string().contains("http://127.0.0.1:8081"), "{wrong}");
    }
}

/// Answers every request with `answer`.
async fn impostor(answer: &'static str) -> SocketAddr {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_index_is_not_followed() {
    for answer in [
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi",
        "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 60\r\npkgindex-instance: 00\r\n\r\npkgindex dump 1 revision 3 packages 1\nINDEX|a|\n",
        "not http at all\r\n\r\n",
        "",
    ] {
        let address = impostor(answer).await;
        let loaded = store(address).load();
        assert!(
            matches!(loaded, Err(StoreError::Unreachable(_))),
            "{answer:?}: {loaded:?}"
        );
        let changes = store(address).changes(Revision(0));
        assert!(
            matches!(changes, Err(StoreError::Unreachable(_))),
            "{answer:?}: {changes:?}"
        );
    }
}

/// What a server answers that sends these changes.
fn feed(revision: u64) -> String {
    let body = format!(
        r#"{{"revision":5,"instance":"00","changes":[{{"revision":{revision},"origin":"0f","lines":"INDEX|a|\n"}}]}}"#
    );
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_has_no_gaps() {
    let whole = store(impostor(feed(4).leak()).await)
        .changes(Revision(3))
        .unwrap();
    assert_eq!((whole[0].revision, whole[0].origin), (Revision(4), 15));
    let gap = store(impostor(feed(5).leak()).await).changes(Revision(3));
    assert!(matches!(gap, Err(StoreError::Unreachable(_))), "{gap:?}");
}
