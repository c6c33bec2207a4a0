//! A server with a scraper, its data, and a key.

use std::path::PathBuf;
use std::time::Duration;

use archive::{Archive, Artifact, checksum_of};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request};
use catalog::Catalog;
use crawldb::Crawldb;
use crawler::{Crawler, CrawlerDeps, CrawlerOptions};
use ledger::Ledger;
use model::{Checksum, RunId, ScraperId, Timestamp};
use packer::{Packer, PackerOptions};
use pkgindex::Index;
use pkgindex::store::MemoryStore;
use prometheus_client::registry::Registry as Metrics;
use registry::{
    Capacity, Cause, Ending, Keyring, NewAccount, NewScraper, Origin, Outcome, Registry, Scope,
    ScraperSettings, Secret, SignIn,
};
use runner::Runner;
use rusqlite::Connection;
use search::{Library, LibraryOptions};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use updates::UpdateLog;
use web::{Access, Deps};

use crate::runner::runner;

/// 2026-02-03, 10:40 UTC.
pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_770_115_200_000);

pub(crate) struct Place {
    pub(crate) router: Router,
    pub(crate) key: String,
    registry: Registry,
    archive: Archive,
    runner: Runner,
    folder: TempDir,
}

/// An answer, read to its end.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

pub(crate) fn scraper() -> ScraperId {
    "ann/forms".parse().unwrap()
}

impl Place {
    /// A server where people sign in, with the scraper `ann/forms`, whose data these statements made.
    pub(crate) async fn with(sql: &str) -> Self {
        let place = Self::with_settings(ScraperSettings::default()).await;
        place.import(sql).await;
        place
    }

    /// The same without data.
    pub(crate) async fn with_settings(settings: ScraperSettings) -> Self {
        let access = Access {
            accounts: true,
            base: "https://haul.example.gov".into(),
            ..Access::default()
        };
        Self::start(settings, access).await
    }

    pub(crate) async fn start(settings: ScraperSettings, access: Access) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (archive, registry) = (Archive::memory(), Registry::memory(Keyring::random()).unwrap());
        let runner = runner(folder.path(), &registry, &archive);
        let router = web::router(deps(&folder, &archive, &runner, access).await);
        let new = NewScraper {
            id: scraper(),
            origin: Origin::Folder {
                path: "/srv/it".into(),
            },
            settings,
        };
        registry.add_scraper(new, NOW).await.unwrap();
        let place = Self {
            router,
            key: String::new(),
            registry,
            archive,
            runner,
            folder,
        };
        let key = place.issue(vec![Scope::Data]).await;
        Self { key, ..place }
    }

    /// A new key with these scopes.
    pub(crate) async fn issue(&self, scopes: Vec<Scope>) -> String {
        let owner = scraper().owner;
        let issued = self.registry.issue_key(&owner, "test", scopes, None, NOW).await;
        issued.unwrap().token.reveal().to_owned()
    }

    fn make(&self, sql: &str) -> PathBuf {
        let path = self.folder.path().join("made.sqlite");
        let _ = std::fs::remove_file(&path);
        Connection::open(&path).unwrap().execute_batch(sql).unwrap();
        path
    }

    /// Puts data in force that no run left.
    pub(crate) async fn import(&self, sql: &str) {
        self.runner
            .import_data(&scraper(), &self.make(sql))
            .await
            .unwrap();
    }

    /// A run that leaves no data.
    pub(crate) async fn fail(&self, at: u64) -> RunId {
        self.end(Outcome::Failed, None, at).await
    }

    /// Puts data in force as a run does; `at` is in seconds.
    pub(crate) async fn run(&self, sql: &str, at: u64) -> RunId {
        let path = self.make(sql);
        let bytes = std::fs::metadata(&path).unwrap().len();
        let checksum = checksum_of(&path).unwrap();
        let artifact = Artifact::Dataset(checksum);
        self.archive
            .put_artifact(&scraper(), &artifact, &path)
            .await
            .unwrap();
        self.end(Outcome::Succeeded, Some((checksum, bytes)), at).await
    }

    async fn end(&self, outcome: Outcome, data: Option<(Checksum, u64)>, at: u64) -> RunId {
        let now = NOW.after(Duration::from_secs(at));
        let by = scraper().owner;
        self.registry
            .ask(&scraper(), Cause::Person { by }, now)
            .await
            .unwrap();
        let room = Capacity {
            memory_mib: 4096,
            slots: 1,
        };
        let lease = self.registry.admit("worker", room, now).await.unwrap().remove(0);
        let ending = Ending::new(outcome, "over");
        self.registry
            .finish(lease.run.id, lease.epoch, ending, data, now)
            .await
            .unwrap();
        lease.run.id
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, 64 << 20).await.unwrap();
        Answer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: String::from_utf8_lossy(&bytes).into_owned(),
        }
    }

    /// Asks with these headers and no key of its own.
    pub(crate) async fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request = Request::get(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(Body::empty()).unwrap()).await
    }

    /// The cookie of somebody who has signed in.
    pub(crate) async fn sign_in(&self, name: &str) -> String {
        let password = Secret::new("correct horse battery");
        let new = NewAccount {
            name: name.parse().unwrap(),
            email: None,
            password: Some(password.clone()),
            is_operator: false,
        };
        self.registry.add_account(new, NOW).await.unwrap();
        let now = std::time::SystemTime::now().into();
        match self.registry.sign_in(name, password, now).await.unwrap() {
            SignIn::Done(token, _) => format!("__Host-haul={}", token.reveal()),
            other => panic!("{other:?}"),
        }
    }

    /// Sends JSON with the key.
    pub(crate) async fn post(&self, path: &str, body: &serde_json::Value) -> Answer {
        let request = Request::post(path).header("x-api-key", &self.key);
        self.send(request.body(Body::from(body.to_string())).unwrap())
            .await
    }

    /// Asks with the key.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.get_with(path, &[("x-api-key", &self.key)]).await
    }

    /// Asks morph's way, in this format.
    pub(crate) async fn query(&self, format: &str, sql: &str) -> Answer {
        let sql: String = url::form_urlencoded::byte_serialize(sql.as_bytes()).collect();
        let (key, format) = (&self.key, format);
        self.get_with(&format!("/ann/forms/data.{format}?key={key}&query={sql}"), &[])
            .await
    }
}

async fn deps(folder: &TempDir, archive: &Archive, runner: &Runner, access: Access) -> Deps {
    let (crawldb, log) = (Crawldb::memory(), UpdateLog::memory());
    let mut metrics = Metrics::default();
    let index = Index::open(Box::new(MemoryStore::new()), pkgindex::Options::default()).unwrap();
    let catalog = Catalog::new(index, archive.clone(), log.clone());
    let options = PackerOptions::new(folder.path().join("work"));
    let packer = Packer::start(
        log.clone(),
        archive.clone(),
        catalog.clone(),
        options,
        &mut metrics,
    );
    let packs = folder.path().join("packs");
    let ledger = Ledger::new(crawldb, log, "test");
    let crawler = CrawlerDeps {
        ledger: ledger.clone(),
        archive: archive.clone(),
        pdf: None,
        buckets: None,
        service: "test".into(),
    };
    Deps {
        ledger,
        crawler: Crawler::new(crawler, CrawlerOptions::default()),
        packer: packer.await.unwrap(),
        library: Library::open(archive.clone(), LibraryOptions::new(&packs)).unwrap(),
        archive: archive.clone(),
        catalog,
        runner: runner.clone(),
        access,
        registry: metrics,
        names: vec!["haul.example.gov".into()],
        folders: Vec::new(),
        store: None,
        stop: CancellationToken::new(),
    }
}
