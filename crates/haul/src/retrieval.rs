//! From the words of the command line to what `retrieve` is asked, and back to people.

mod credentials;
mod destination;
mod hooks;
mod profile;
mod stdout;
mod summary;

use std::error::Error as _;
use std::path::Path;

use anyhow::{Result, bail};
use retrieve::hooks::{CacheCheck, FileStart, StatefulHook as _};
use retrieve::{DownloadRequest, Entry, ErrorKind, FileMeta, Location, Options, Scheme, Source};

use credentials::StoreOptions;
pub(crate) use credentials::{Environment, environment, store_options};
pub(crate) use destination::Destination;
pub(crate) use hooks::{OnlyBytes, Selection, StopWhenFull};
pub(crate) use stdout::{Copied, copy};
pub(crate) use summary::{Ended, Summary};

use crate::cli::{Effort, OnChange, Order, Reach};
use crate::exit::Usage;

/// What is asked for, and how its stores are reached.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    sources: DownloadRequest,
    stores: StoreOptions,
}

impl Asked {
    /// Addresses, and what a manifest names.
    pub(crate) fn new(
        addresses: &[String],
        manifest: Option<&Path>,
        reach: &Reach,
        environment: &Environment,
    ) -> Result<Self> {
        let mut sources = DownloadRequest::default();
        let mut with_s3 = manifest.is_some();
        for address in addresses {
            let location = Location::parse(address).map_err(|error| refused(&error))?;
            with_s3 |= location.scheme() == Scheme::S3;
            sources = match location.scheme() {
                Scheme::Http => sources.with(Source::Object(of_web(location))),
                _ => sources.and(address).map_err(|error| refused(&error))?,
            };
        }
        if let Some(path) = manifest {
            check_manifest(path)?;
            sources = sources.with(Source::Manifest(path.to_owned()));
        }
        Ok(Self {
            sources,
            stores: store_options(reach, environment, with_s3)?,
        })
    }

    /// The same stores and this one object.
    pub(crate) fn only(self, entry: Entry) -> Self {
        Self {
            sources: DownloadRequest::default().with(Source::Object(entry)),
            ..self
        }
    }

    pub(crate) fn request(&self) -> DownloadRequest {
        self.sources.clone().options(self.stores.clone())
    }
}

/// A file of the web, named by its path: a query, which may hold a secret, is no part of a name.
fn of_web(location: Location) -> Entry {
    let path = location.key().split('?').next().unwrap_or_default();
    let name = path
        .rsplit('/')
        .find(|part| !part.is_empty())
        .unwrap_or("index")
        .to_owned();
    Entry {
        name,
        ..Entry::new(location)
    }
}

fn check_manifest(path: &Path) -> Result<()> {
    if path != Path::new("-")
        && let Err(error) = std::fs::File::open(path)
    {
        bail!(Usage(format!(
            "the manifest {} cannot be read: {error}",
            path.display()
        )));
    }
    Ok(())
}

/// How the engine works; what was not said stays its own choice.
pub(crate) fn options(effort: &Effort) -> Options {
    let usual = Options::default();
    Options {
        memory_bytes: effort.memory.unwrap_or(usual.memory_bytes),
        max_connections: effort.connections.map_or(usual.max_connections, usize::from),
        chunk_bytes: effort.chunk.or(usual.chunk_bytes),
        max_bytes_per_second: effort.limit_rate.or(usual.max_bytes_per_second),
        attempts: effort.attempts.unwrap_or(usual.attempts),
        stall: effort.stall.unwrap_or(usual.stall),
        verify: !effort.no_verify,
        on_change: match effort.on_change {
            OnChange::Fail => retrieve::OnChange::Fail,
            OnChange::Restart => retrieve::OnChange::Restart,
        },
        ..usual
    }
}

/// The order of files on stdout.
pub(crate) fn order(order: Order) -> retrieve::Order {
    match order {
        Order::Request => retrieve::Order::Request,
        Order::Completion => retrieve::Order::Completion,
    }
}

/// An error that ended everything: what was not understood is wrong usage, the rest is failure.
pub(crate) fn refused(error: &retrieve::Error) -> anyhow::Error {
    match error.kind() {
        ErrorKind::Invalid => Usage(explain(error)).into(),
        _ => anyhow::anyhow!(explain(error)),
    }
}

/// The message, and those of its causes that it does not already hold.
pub(crate) fn explain(error: &retrieve::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

/// Which file failed and why. Most messages begin with the place; it is said once.
pub(crate) fn failure(meta: &FileMeta, error: &retrieve::Error) -> String {
    let (place, why) = (meta.location.to_string(), explain(error));
    match why.strip_prefix(&format!("{place}: ")) {
        Some(_) => why,
        None => format!("{place}: {why}"),
    }
}

/// Whether a listed object is in the destination already.
pub(crate) fn is_there(cache: &mut CacheCheck, entry: &Entry) -> bool {
    let meta = FileMeta {
        index: 0,
        location: entry.location.clone(),
        name: entry.name.clone(),
        size: entry.size,
        range: entry.range.clone().unwrap_or(0..entry.size.unwrap_or(u64::MAX)),
        etag: entry.etag.clone(),
        last_modified: entry.last_modified,
        checksum: None,
    };
    cache.on_file_start(&meta) == FileStart::UseCache
}
