//! What runs say, as clients hear it. A worker of another process writes the logs.

mod listening;
mod reading;
mod sending;

use std::time::{Duration, SystemTime};

use axum::body::Body;
use axum::http::Request;
use futures::StreamExt;
use model::{OwnerName, RunId, ScraperId};
use registry::{
    Asked, Capacity, Cause, Ending, IssuedKey, Lease, NewAccount, NewScraper, Origin, Outcome, Registry,
    Scope, ScraperSettings,
};
use runlog::{LogLimits, Logs, Stream, Writer};
use tower::ServiceExt;
use web::Access;

use crate::fixture::Parts;

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(20);

fn now() -> model::Timestamp {
    SystemTime::now().into()
}

fn registry(parts: &Parts) -> &Registry {
    parts.runner.registry()
}

/// A scraper of `ada`, and a run of it that waits.
async fn queued(parts: &Parts) -> RunId {
    let id: ScraperId = "ada/forms".parse().unwrap();
    let new = NewScraper {
        id: id.clone(),
        origin: Origin::Git {
            url: "https://git.example/forms.git".into(),
            reference: None,
        },
        settings: ScraperSettings::default(),
    };
    registry(parts).add_scraper(new, now()).await.unwrap();
    let by = OwnerName::new("ada").unwrap();
    let asked = registry(parts).ask(&id, Cause::Person { by }, now()).await;
    match asked.unwrap() {
        Asked::Queued(run) | Asked::Already(run) => run,
    }
}

/// Works on one run.
struct Worker {
    lease: Lease,
    log: Writer,
}

impl Worker {
    /// Takes the run whose turn it is.
    async fn start(parts: &Parts) -> Self {
        let capacity = Capacity {
            memory_mib: 100_000,
            slots: 10,
        };
        let mut leases = registry(parts).admit("worker", capacity, now()).await.unwrap();
        let lease = leases.pop().unwrap();
        let logs = Logs::open(&parts.folder.path().join("runs/logs")).unwrap();
        let log = logs.begin(&lease.run.id.to_string(), LogLimits::default(), &[]);
        Self {
            lease,
            log: log.unwrap(),
        }
    }

    fn write(&self, stream: Stream, text: &str) {
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_770_115_200);
        self.log.write(stream, text.as_bytes(), at).unwrap();
    }

    async fn finish(self, parts: &Parts, outcome: Outcome) {
        let mut ending = Ending::new(outcome, "it is over");
        ending.log_lines = self.log.finish(SystemTime::now()).unwrap().lines;
        let run = self.lease.run.id;
        let ended = registry(parts).finish(run, self.lease.epoch, ending, None, now());
        ended.await.unwrap();
    }
}

/// Parts where people sign in, and a key of `ada` with these scopes.
async fn with_key(scopes: &[Scope]) -> (Parts, IssuedKey) {
    let access = Access {
        accounts: true,
        ..Access::default()
    };
    let parts = Parts::with(None, access).await;
    let ada = NewAccount {
        name: OwnerName::new("ada").unwrap(),
        email: None,
        password: None,
        is_operator: false,
    };
    let ada = registry(&parts).add_account(ada, now()).await.unwrap();
    let key = registry(&parts).issue_key(&ada.name, "test", scopes.to_vec(), None, now());
    let key = key.await.unwrap();
    (parts, key)
}

/// An answer that is read while it is written.
struct Answering {
    pieces: axum::body::BodyDataStream,
    read: String,
}

impl Answering {
    async fn to(parts: &Parts, request: Request<Body>) -> Self {
        let response = parts.router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self {
            pieces: response.into_body().into_data_stream(),
            read: String::new(),
        }
    }

    /// The next piece; none at the end.
    async fn piece(&mut self) -> Option<String> {
        let piece = tokio::time::timeout(PATIENCE, self.pieces.next()).await;
        let piece = piece.expect("nothing came").transpose().unwrap()?;
        Some(String::from_utf8(piece.to_vec()).unwrap())
    }

    /// Reads until `text` was read.
    async fn until(&mut self, text: &str) {
        while !self.read.contains(text) {
            let piece = self.piece().await;
            let piece = piece.unwrap_or_else(|| panic!("{text:?} did not come: {}", self.read));
            self.read.push_str(&piece);
        }
    }

    /// Reads to the end; everything that was read.
    async fn rest(mut self) -> String {
        while let Some(piece) = self.piece().await {
            self.read.push_str(&piece);
        }
        self.read
    }
}
