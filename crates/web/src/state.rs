use std::path::PathBuf;
use std::sync::Arc;

use archive::Archive;
use axum::Router;
use catalog::Catalog;
use crawldb::Crawldb;
use crawler::Crawler;
use ledger::Ledger;
use packer::Packer;
use prometheus_client::registry::Registry;
use runner::Runner;
use search::Library;
use tokio::sync::Semaphore;
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

/// Sign-ins at a time: each hashes a password, which takes 19 MiB, or asks a provider.
const SIGN_INS: usize = 4;

/// What every handler may use.
pub(crate) struct App {
    pub(crate) ledger: Ledger,
    pub(crate) crawler: Crawler,
    pub(crate) packer: Packer,
    pub(crate) library: Library,
    pub(crate) archive: Archive,
    pub(crate) catalog: Catalog,
    pub(crate) runner: Runner,
    pub(crate) access: Access,
    pub(crate) metrics: Metrics,
    pub(crate) registry: Registry,
    pub(crate) names: Vec<String>,
    pub(crate) folders: Vec<PathBuf>,
    pub(crate) attention: Attention,
    pub(crate) replays: Replays,
    pub(crate) desk: Desk,
    pub(crate) sign_ins: Semaphore,
    pub(crate) stop: CancellationToken,
}

impl App {
    pub(crate) fn new(deps: Deps) -> Arc<Self> {
        let Deps {
            ledger,
            crawler,
            packer,
            library,
            archive,
            catalog,
            runner,
            access,
            mut registry,
            names,
            folders,
            store: _,
            stop,
        } = deps;
        let metrics = Metrics::new(&mut registry);
        Arc::new(Self {
            ledger,
            crawler,
            packer,
            library,
            archive,
            catalog,
            runner,
            access,
            metrics,
            registry,
            names,
            folders,
            attention: Attention::default(),
            replays: Replays::default(),
            desk: Desk::default(),
            sign_ins: Semaphore::new(SIGN_INS),
            stop,
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
