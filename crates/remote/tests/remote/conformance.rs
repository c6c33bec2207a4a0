use crawldb::Crawldb;
use crawldb::testkit::conformance;

use crate::documents;
use crate::service::Service;

/// What is behind the service must not show.
async fn check(crawldb: Crawldb) {
    let service = Service::of(&crawldb);
    let remote = service.client();
    conformance(&remote).await.unwrap();
    documents::check(&remote).await.unwrap();
}

#[tokio::test]
async fn the_client_conforms_with_memory_behind_it() {
    check(Crawldb::memory()).await;
}

#[tokio::test]
async fn the_client_conforms_with_sqlite_behind_it() {
    let folder = tempfile::tempdir().unwrap();
    check(Crawldb::open(&folder.path().join("crawl.db")).unwrap()).await;
}
