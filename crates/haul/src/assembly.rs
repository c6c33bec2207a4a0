//! Puts the parts together: the only place that names engines.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use archive::Archive;
use catalog::Catalog;
use crawldb::Crawldb;
use crawler::BucketAccess;
use pkgindex::Index;
use pkgindex::store::{
    Durability, LogOptions, LogStore, MemoryStore, PostgresOptions, PostgresStore, RedisOptions, RedisStore,
    ReplicaStore, SharedDiskOptions, SharedDiskStore, Store,
};
use retrieve::Retriever;
use updates::UpdateLog;

use crate::config::Config;
use crate::data_folder::DataFolder;
use crate::exit::Usage;

/// What every stage works on.
#[derive(Clone)]
pub(crate) struct Stores {
    pub(crate) crawldb: Crawldb,
    pub(crate) log: UpdateLog,
    pub(crate) archive: Archive,
    pub(crate) catalog: Catalog,
}

impl Stores {
    /// Opens the embedded stores of `folder`, whose lock the caller holds, and the archive that the configuration
    /// names.
    pub(crate) fn open(folder: &DataFolder, config: &Config) -> Result<Self> {
        let log = UpdateLog::open_alone(&folder.updates())?;
        let archive = open_archive(config)?;
        Ok(Self {
            crawldb: Crawldb::open(&folder.crawldb())?,
            catalog: open_catalog(folder, config, archive.clone(), log.clone())?,
            log,
            archive,
        })
    }
}

/// Opens the names of what is published.
fn open_catalog(folder: &DataFolder, config: &Config, archive: Archive, log: UpdateLog) -> Result<Catalog> {
    let address = match config.catalog.as_str() {
        "" => format!("log:{}", folder.catalog().display()),
        address => address.to_owned(),
    };
    let index = open_package_index(
        &address,
        &PackageStoreOptions::default(),
        pkgindex::Options::default(),
    )
    // Without the address, which may hold a password.
    .context("the names of what is published cannot be read; see `catalog` in the configuration")?;
    Ok(Catalog::new(index, archive, log))
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

/// How stores of packages are opened, as far as their addresses do not say it.
pub(crate) struct PackageStoreOptions {
    pub(crate) durability: Durability,
    /// Whether a Redis may be used that may forget.
    pub(crate) accept_volatile: bool,
}

impl Default for PackageStoreOptions {
    fn default() -> Self {
        Self {
            durability: Durability::Always,
            accept_volatile: false,
        }
    }
}

/// Opens the index of packages that is kept at `address`; `haul pkgindex serve --help` lists the forms.
pub(crate) fn open_package_index(
    address: &str,
    store: &PackageStoreOptions,
    options: pkgindex::Options,
) -> Result<Index> {
    // Stores block, and some of them have a runtime of their own.
    tokio::task::block_in_place(|| Ok(Index::open(open_package_store(address, store)?, options)?))
}

/// Opens the store of packages at `address`. It blocks, and so does the store.
pub(crate) fn open_package_store(address: &str, options: &PackageStoreOptions) -> Result<Box<dyn Store>> {
    if address == "memory" {
        return Ok(Box::new(MemoryStore::new()));
    }
    if let Some(folder) = address.strip_prefix("log:") {
        let options = LogOptions {
            durability: options.durability,
            ..LogOptions::default()
        };
        return Ok(Box::new(LogStore::open(folder.as_ref(), options)?));
    }
    if let Some(folder) = address.strip_prefix("shared-disk:") {
        return Ok(Box::new(SharedDiskStore::open(
            folder.as_ref(),
            SharedDiskOptions::default(),
        )?));
    }
    if let Some(url) = address.strip_prefix("replica:") {
        return Ok(Box::new(ReplicaStore::new(url)?));
    }
    let (kind, _) = address.split_once("://").unwrap_or_default();
    match kind {
        "postgres" | "postgresql" => Ok(Box::new(PostgresStore::open(
            address,
            PostgresOptions::default(),
        )?)),
        "redis" | "rediss" => {
            let options = RedisOptions {
                accept_volatile: options.accept_volatile,
                ..RedisOptions::default()
            };
            Ok(Box::new(RedisStore::open(address, options)?))
        }
        // The address may hold a password, so it is not repeated.
        _ => bail!(Usage(
            "no such store; use memory, log:FOLDER, shared-disk:FOLDER, postgres://, redis:// or replica:URL"
                .to_owned()
        )),
    }
}
