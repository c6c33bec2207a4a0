//! Puts the parts together: the only place that names engines.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use archive::Archive;
use crawldb::Crawldb;
use crawler::BucketAccess;
use retrieve::Retriever;
use updates::UpdateLog;

use crate::config::Config;
use crate::data_folder::DataFolder;

/// What every stage works on.
#[derive(Clone)]
pub(crate) struct Stores {
    pub(crate) crawldb: Crawldb,
    pub(crate) log: UpdateLog,
    pub(crate) archive: Archive,
}

impl Stores {
    /// Opens the embedded stores of `folder`, whose lock the caller holds, and the archive that the configuration
    /// names.
    pub(crate) fn open(folder: &DataFolder, config: &Config) -> Result<Self> {
        Ok(Self {
            crawldb: Crawldb::open(&folder.crawldb())?,
            log: UpdateLog::open_alone(&folder.updates())?,
            archive: open_archive(config)?,
        })
    }
}

/// Opens the archive; its credentials come from the usual variables (`AWS_ACCESS_KEY_ID`, `AWS_ENDPOINT`, ...).
pub(crate) fn open_archive(config: &Config) -> Result<Archive> {
    let options = std::env::vars().filter(|(name, _)| name.starts_with("AWS_"));
    Ok(Archive::open(&config.archive_address(), options)?)
}

/// What buckets are crawled with; credentials come from the variables that the clients of their stores read
/// (`AWS_ACCESS_KEY_ID`, `GOOGLE_SERVICE_ACCOUNT`, `AZURE_STORAGE_ACCOUNT_NAME`, ...).
pub(crate) fn bucket_access() -> Result<BucketAccess> {
    let of_stores = |name: &str| {
        ["AWS_", "GOOGLE_", "AZURE_"]
            .iter()
            .any(|store| name.starts_with(store))
    };
    Ok(BucketAccess {
        retriever: Arc::new(Retriever::new(retrieve::Options::default())?),
        options: std::env::vars().filter(|(name, _)| of_stores(name)).collect(),
    })
}

/// This program, which PDFs are read with, in a process of their own.
pub(crate) fn own_program() -> Result<PathBuf> {
    let program = std::env::current_exe().context("the path of this program is not known")?;
    if !program.exists() {
        bail!(
            "this program was replaced or removed while it ran ({}); start it again",
            program.display()
        );
    }
    Ok(program)
}
