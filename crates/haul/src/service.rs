//! The stages that run in this process: from sites to published packs.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use anyhow::Result;
use crawler::{Crawler, CrawlerDeps, CrawlerOptions};
use extract::{PdfLimits, PdfReader};
use model::Timestamp;
use packer::{Packer, PackerOptions};
use prometheus_client::registry::Registry;
use search::{Library, LibraryOptions};
use tokio_util::task::AbortOnDropHandle;
use updates::UpdateLog;

use crate::assembly::{self, Stores};
use crate::config::Config;
use crate::data_folder::DataFolder;

/// A crawler and a packer on one data folder, whose lock the caller holds.
pub(crate) struct Service {
    pub(crate) stores: Stores,
    pub(crate) crawler: Crawler,
    pub(crate) packer: Packer,
    pub(crate) registry: Registry,
    /// Removes old records from the log, as long as the service runs.
    pub(crate) cleaning: AbortOnDropHandle<()>,
}

/// How often the log is cleaned; also the first thing that a service does.
const CLEANING: Duration = Duration::from_secs(3_600);

impl Service {
    /// Starts both stages.
    pub(crate) async fn start(config: &Config, folder: &DataFolder) -> Result<Self> {
        let stores = Stores::open(folder, config)?;
        stores.archive.probe().await?;
        stores.catalog.reconcile().await?;
        let mut registry = Registry::default();
        let deps = CrawlerDeps {
            crawldb: stores.crawldb.clone(),
            log: stores.log.clone(),
            archive: stores.archive.clone(),
            pdf: Some(pdf_reader(config)?),
            buckets: Some(assembly::bucket_access()?),
            service: format!("haul-{}", std::process::id()),
        };
        let options = CrawlerOptions {
            user_agent: config.crawl.user_agent.clone(),
            max_connections: config.crawl.connections,
            ..CrawlerOptions::default()
        };
        let crawler = Crawler::new(deps, options);
        crawler.register_metrics(&mut registry);
        let options = PackerOptions {
            idle: Duration::from_millis(config.pack.idle_ms),
            max_age: Duration::from_millis(config.pack.max_age_ms),
            workers: config.pack.workers,
            keep_versions: config.pack.keep_versions,
            ..PackerOptions::new(folder.work())
        };
        let packer = Packer::start(
            stores.log.clone(),
            stores.archive.clone(),
            stores.catalog.clone(),
            options,
            &mut registry,
        )
        .await?;
        let cleaning = AbortOnDropHandle::new(tokio::spawn(Self::clean(stores.log.clone())));
        Ok(Self {
            stores,
            crawler,
            packer,
            registry,
            cleaning,
        })
    }

    async fn clean(log: UpdateLog) {
        loop {
            if let Err(error) = log.clean_up(Timestamp::from(SystemTime::now())).await {
                tracing::warn!(%error, "old records could not be removed from the update log; it is tried again");
            }
            tokio::time::sleep(CLEANING).await;
        }
    }

    /// Stops both stages in order: what was fetched is written, builds that run are published.
    pub(crate) async fn stop(&self) -> Result<()> {
        self.crawler.stop().await;
        self.packer.stop().await?;
        Ok(())
    }
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
