use std::ops::Deref;
use std::path::PathBuf;
use std::sync::Arc;

use archive::Archive;
use axum::Router;
use axum::http::StatusCode;
use catalog::Catalog;
use crawldb::Crawldb;
use crawler::Crawler;
use ledger::Ledger;
use packer::Packer;
use prometheus_client::registry::Registry;
use runner::Runner;
use search::Library;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::attention::{Attention, Waiting};
use crate::data::Desk;
use crate::metrics::Metrics;
use crate::problem::Problem;
use crate::replays::Replays;
use crate::visitor::Access;

/// What the server speaks for. All of it is cheap to clone.
pub struct Deps {
    /// Sources, crawls, items and their documents, and the log that tells of them.
    pub ledger: Ledger,
    /// Starts and cancels crawls and knows how they progress.
    pub crawler: Crawler,
    /// Knows what is not yet published.
    pub packer: Packer,
    /// Answers searches.
    pub library: Library,
    /// What is published.
    pub archive: Archive,
    /// The names of what is published.
    pub catalog: Catalog,
    /// Runs scrapers, and knows what became of them.
    pub runner: Runner,
    /// Who may do what.
    pub access: Access,
    /// What `/metrics` shows; the router adds its own figures.
    pub registry: Registry,
    /// Names that clients may call this server by, such as `haul.example.gov`, without port. Addresses and `localhost`
    /// are always right; requests for other names are refused.
    pub names: Vec<String>,
    /// Folders of this machine: what lies below one may be added as a source over HTTP. Where there is none, folders are
    /// added on the command line only.
    pub folders: Vec<PathBuf>,
    /// The crawl database as a service for other processes, which is served beside the rest with limits of its own.
    pub store: Option<Router>,
    /// Ends streams of events. The same token as [`serve`](crate::serve())'s.
    pub stop: CancellationToken,
}

/// Passwords that are looked at at a time: each takes 19 MiB.
const SIGN_INS: usize = 4;
/// Questions to providers at a time. They do not keep those out who have a password.
const PROVIDER_VISITS: usize = 16;
/// Files that are taken in at a time.
const UPLOADS: usize = 8;
/// Streams of events at a time: half of the connections, so that there are some for everything else.
const STREAMS: usize = 512;

/// What every handler may use: the parts, and what this server keeps of its own.
pub(crate) struct App {
    deps: Deps,
    pub(crate) metrics: Metrics,
    pub(crate) attention: Attention,
    pub(crate) replays: Replays,
    pub(crate) desk: Desk,
    pub(crate) sign_ins: Semaphore,
    pub(crate) provider_visits: Semaphore,
    uploads: Arc<Semaphore>,
    streams: Arc<Semaphore>,
}

impl Deref for App {
    type Target = Deps;

    fn deref(&self) -> &Deps {
        &self.deps
    }
}

impl App {
    pub(crate) fn new(mut deps: Deps) -> Arc<Self> {
        Arc::new(Self {
            metrics: Metrics::new(&mut deps.registry),
            deps,
            attention: Attention::default(),
            replays: Replays::default(),
            desk: Desk::default(),
            sign_ins: Semaphore::new(SIGN_INS),
            provider_visits: Semaphore::new(PROVIDER_VISITS),
            uploads: Arc::new(Semaphore::new(UPLOADS)),
            streams: Arc::new(Semaphore::new(STREAMS)),
        })
    }

    /// The right to send a file, while it is held.
    pub(crate) fn upload(&self) -> Result<OwnedSemaphorePermit, Problem> {
        one_of(&self.uploads, "files are being sent")
    }

    /// When a stream of events ends: when the server stops. Until it is dropped it holds one of the places for streams.
    pub(crate) fn stream(&self) -> Result<impl Future<Output = ()> + Send + use<>, Problem> {
        let place = one_of(&self.streams, "clients follow what happens here")?;
        let stop = self.stop.clone();
        Ok(async move {
            let _place = place;
            stop.cancelled().await;
        })
    }

    /// What is known of sources, crawls and items.
    pub(crate) fn crawldb(&self) -> &Crawldb {
        self.ledger.crawldb()
    }

    /// What waits for people, for the navigation.
    pub(crate) async fn waiting(&self) -> Waiting {
        self.attention.waiting(self.crawldb()).await
    }

    /// The ids of all sources.
    pub(crate) async fn source_names(&self) -> Result<Vec<String>, Problem> {
        let sources = self.crawldb().sources().await?;
        Ok(sources.into_iter().map(|source| source.id.to_string()).collect())
    }
}

/// 503 where all of them are taken.
fn one_of(all: &Arc<Semaphore>, what: &str) -> Result<OwnedSemaphorePermit, Problem> {
    Arc::clone(all).try_acquire_owned().map_err(|_| {
        let detail = format!("too many {what} at the moment; try again in half a minute");
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).after(30)
    })
}
