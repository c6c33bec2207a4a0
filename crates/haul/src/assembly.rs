//! Puts the parts together: the only place that names engines.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use anyhow::{Context, Result, bail};
use archive::Archive;
use catalog::Catalog;
use crawldb::Crawldb;
use crawler::BucketAccess;
use ledger::Ledger;
use pkgindex::Index;
use pkgindex::store::{
    Durability, LogOptions, LogStore, MemoryStore, PostgresOptions, PostgresStore, RedisOptions, RedisStore,
    ReplicaStore, SharedDiskOptions, SharedDiskStore, Store,
};
use remote::{RemoteOptions, RemoteStore, Token};
use retrieve::Retriever;
use updates::UpdateLog;

use crate::config::Config;
use crate::data_folder::DataFolder;
use crate::exit::Usage;
use crate::store_metrics::StoreMetrics;

/// What every stage works on.
#[derive(Clone)]
pub(crate) struct Stores {
    pub(crate) crawldb: Crawldb,
    pub(crate) log: UpdateLog,
    pub(crate) ledger: Ledger,
    /// The name of this process, in this life.
    pub(crate) owner: String,
    pub(crate) archive: Archive,
    pub(crate) store_metrics: StoreMetrics,
}

/// Who else works on the stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Company {
    /// Nobody: the caller holds the folder's lock alone.
    Alone,
    /// Other processes may.
    Shared,
}

impl Stores {
    /// Opens the stores that the configuration names; the embedded ones are in `folder`.
    pub(crate) fn open(folder: &DataFolder, config: &Config, company: Company) -> Result<Self> {
        let log = match company {
            Company::Alone => UpdateLog::open_alone(&folder.updates())?,
            Company::Shared => UpdateLog::open(&folder.updates())?,
        };
        let archive = open_archive(config)?;
        let store_metrics = StoreMetrics::new();
        let crawldb = store_metrics.observe(&open_crawldb(folder, config)?);
        let owner = owner();
        Ok(Self {
            ledger: Ledger::new(crawldb.clone(), log.clone(), &owner),
            owner,
            crawldb,
            log,
            archive,
            store_metrics,
        })
    }
}

/// Opens the crawl database: the file in `folder`, or the service that the configuration names.
pub(crate) fn open_crawldb(folder: &DataFolder, config: &Config) -> Result<Crawldb> {
    if config.crawldb.is_empty() {
        return Ok(Crawldb::open(&folder.crawldb())?);
    }
    let options = RemoteOptions {
        token: crawldb_token(config)?,
        ..RemoteOptions::default()
    };
    let store = Arc::new(RemoteStore::new(&config.crawldb, options)?);
    Ok(Crawldb::new(Arc::clone(&store) as _, store))
}

/// The word that the service of the crawl database asks for, where there is one.
pub(crate) fn crawldb_token(config: &Config) -> Result<Option<Token>> {
    if config.crawldb_token_file.is_empty() {
        return Ok(None);
    }
    let path = &config.crawldb_token_file;
    let text =
        std::fs::read_to_string(path).with_context(|| format!("crawldb_token_file {path} cannot be read"))?;
    let token =
        Token::new(text.trim()).map_err(|error| Usage(format!("crawldb_token_file {path}: {error}")))?;
    Ok(Some(token))
}

/// A process that starts later has another name, even if it has this one's number.
fn owner() -> String {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    format!(
        "haul-{}-{:x}",
        std::process::id(),
        since.unwrap_or_default().as_millis()
    )
}

/// Opens the names of what is published. One process at a time may have a folder of them open.
pub(crate) fn open_catalog(folder: &DataFolder, config: &Config, stores: &Stores) -> Result<Catalog> {
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
    Ok(Catalog::new(index, stores.archive.clone(), stores.log.clone()))
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
