//! The stages that run in this process: from sites to published packs.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use anyhow::Result;
use catalog::Catalog;
use crawler::{Crawler, CrawlerDeps, CrawlerOptions};
use extract::{PdfLimits, PdfReader};
use model::{SourceId, Timestamp};
use packer::{Packer, PackerOptions};
use prometheus_client::registry::Registry;
use search::{Library, LibraryOptions};
use tokio_util::task::AbortOnDropHandle;
use updates::UpdateLog;

use crate::assembly::{self, Company, Stores};
use crate::config::Config;
use crate::data_folder::DataFolder;
use crate::monitoring;

/// A crawler and a packer on one data folder, whose lock the caller holds.
pub(crate) struct Service {
    pub(crate) stores: Stores,
    pub(crate) crawler: Crawler,
    pub(crate) packer: Packer,
    pub(crate) catalog: Catalog,
    pub(crate) registry: Registry,
    /// Removes old records from the log, as long as the service runs.
    pub(crate) cleaning: AbortOnDropHandle<()>,
    /// Asks the stores what they hold, as long as the service runs.
    pub(crate) watching: AbortOnDropHandle<()>,
}

/// How often the log is cleaned; also the first thing that a service does.
const CLEANING: Duration = Duration::from_secs(3_600);

impl Service {
    /// Starts both stages.
    pub(crate) async fn start(
        config: &Config,
        folder: &DataFolder,
        company: Company,
        upkeep: bool,
    ) -> Result<Self> {
        let stores = Stores::open(folder, config, company)?;
        stores.archive.probe().await?;
        let mut registry = Registry::default();
        let crawler = start_crawler(config, &stores, None, upkeep, &mut registry)?;
        let catalog = assembly::open_catalog(folder, config, &stores)?;
        catalog.reconcile().await?;
        let packer = start_packer(config, folder, &stores, &catalog, &mut registry).await?;
        let watching = monitoring::watch(&stores, folder, &mut registry);
        Ok(Self {
            cleaning: clean(stores.log.clone()),
            watching,
            stores,
            crawler,
            packer,
            catalog,
            registry,
        })
    }

    /// Stops both stages in order: what was fetched is written, builds that run are published.
    pub(crate) async fn stop(&self) -> Result<()> {
        self.crawler.stop().await;
        self.packer.stop().await?;
        Ok(())
    }
}

/// Starts a crawler, for some sources or for all. With upkeep it looks after them by itself: schedules, live updates,
/// orphans, crawls that other processes left.
pub(crate) fn start_crawler(
    config: &Config,
    stores: &Stores,
    sources: Option<Vec<SourceId>>,
    upkeep: bool,
    registry: &mut Registry,
) -> Result<Crawler> {
    let deps = CrawlerDeps {
        ledger: stores.ledger.clone(),
        archive: stores.archive.clone(),
        pdf: Some(pdf_reader(config)?),
        buckets: Some(assembly::bucket_access()?),
        service: stores.owner.clone(),
    };
    let options = CrawlerOptions {
        user_agent: config.crawl.user_agent.clone(),
        max_connections: config.crawl.connections,
        sources,
        upkeep,
        ..CrawlerOptions::default()
    };
    let crawler = Crawler::new(deps, options);
    crawler.register_metrics(registry);
    Ok(crawler)
}

/// Starts a packer, which works in `folder`.
pub(crate) async fn start_packer(
    config: &Config,
    folder: &DataFolder,
    stores: &Stores,
    catalog: &Catalog,
    registry: &mut Registry,
) -> Result<Packer> {
    let options = PackerOptions {
        idle: Duration::from_millis(config.pack.idle_ms),
        max_age: Duration::from_millis(config.pack.max_age_ms),
        workers: config.pack.workers,
        keep_versions: config.pack.keep_versions,
        ..PackerOptions::new(folder.work())
    };
    let (log, archive) = (stores.log.clone(), stores.archive.clone());
    Ok(Packer::start(log, archive, catalog.clone(), options, registry).await?)
}

/// Removes old records from the log, now and then, until it is dropped.
pub(crate) fn clean(log: UpdateLog) -> AbortOnDropHandle<()> {
    AbortOnDropHandle::new(tokio::spawn(async move {
        loop {
            if let Err(error) = log.clean_up(Timestamp::from(SystemTime::now())).await {
                tracing::warn!(%error, "old records could not be removed from the update log; it is tried again");
            }
            tokio::time::sleep(CLEANING).await;
        }
    }))
}

/// Opens the published packs, which are kept in `folder`; `refresh_all` or `run` brings them.
pub(crate) fn open_library(config: &Config, folder: PathBuf) -> Result<Library> {
    let options = LibraryOptions {
        max_open_packs: NonZeroUsize::new(config.search.max_open_packs).unwrap_or(NonZeroUsize::MIN),
        time_limit: Duration::from_millis(config.search.timeout_ms),
        ..LibraryOptions::new(folder)
    };
    Ok(Library::open(assembly::open_archive(config)?, options)?)
}

/// Reads PDFs with this program, in a process of their own.
pub(crate) fn pdf_reader(config: &Config) -> Result<PdfReader> {
    let limits = PdfLimits {
        timeout_ms: config.crawl.pdf_timeout_ms,
        memory_bytes: config.crawl.pdf_memory_bytes,
        ..PdfLimits::default()
    };
    Ok(PdfReader::new(
        assembly::own_program()?,
        vec!["extract-pdf".into()],
        limits,
    ))
}
