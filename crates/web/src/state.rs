use std::sync::Arc;

use archive::Archive;
use catalog::Catalog;
use crawldb::Crawldb;
use crawler::Crawler;
use packer::Packer;
use prometheus_client::registry::Registry;
use search::Library;
use tokio_util::sync::CancellationToken;

use crate::metrics::Metrics;

/// What the server speaks for. All of it is cheap to clone.
pub struct Deps {
    /// Sources, crawls and items.
    pub crawldb: Crawldb,
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
    /// What `/metrics` shows; the router adds its own figures.
    pub registry: Registry,
    /// Names that clients may call this server by, such as `haul.example.gov`, without port. Addresses and `localhost`
    /// are always right; requests for other names are refused.
    pub names: Vec<String>,
    /// Ends streams of events. The same token as [`serve`](crate::serve())'s.
    pub stop: CancellationToken,
}

/// What every handler may use.
pub(crate) struct App {
    pub(crate) crawldb: Crawldb,
    pub(crate) crawler: Crawler,
    pub(crate) packer: Packer,
    pub(crate) library: Library,
    pub(crate) archive: Archive,
    pub(crate) catalog: Catalog,
    pub(crate) metrics: Metrics,
    pub(crate) registry: Registry,
    pub(crate) names: Vec<String>,
    pub(crate) stop: CancellationToken,
}

impl App {
    pub(crate) fn new(deps: Deps) -> Arc<Self> {
        let Deps {
            crawldb,
            crawler,
            packer,
            library,
            archive,
            catalog,
            mut registry,
            names,
            stop,
        } = deps;
        let metrics = Metrics::new(&mut registry);
        Arc::new(Self {
            crawldb,
            crawler,
            packer,
            library,
            archive,
            catalog,
            metrics,
            registry,
            names,
            stop,
        })
    }
}
