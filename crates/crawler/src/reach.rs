//! What the items of a source are reached with.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crawldb::{Source, SourceKind};

use crate::bucket::{Bucket, BucketAddress};
use crate::fetch::{FetchOptions, Fetcher, FetcherError};
use crate::patience::with_causes;
use crate::robots_cache::RobotsCache;
use crate::run::Shared;

/// What the items of a source are fetched with. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Reach {
    pub(crate) fetcher: Arc<Fetcher>,
    pub(crate) robots: Arc<RobotsCache>,
    /// Where the source is one: objects come from there, and the fetcher has nothing to do.
    pub(crate) bucket: Option<Arc<Bucket>>,
}

impl Reach {
    /// The error says what to change in the settings.
    pub(crate) fn of(shared: &Shared, source: &Source) -> Result<Self, String> {
        let fetcher = fetcher(shared, source).map_err(|error| with_causes(&error))?;
        let bucket = match &source.settings.kind {
            SourceKind::Bucket { address } => Some(Arc::new(bucket(shared, source, address)?)),
            SourceKind::Folder { path } => Some(Arc::new(folder(source, path)?)),
            _ => None,
        };
        Ok(Self {
            fetcher: Arc::new(fetcher),
            robots: Arc::new(RobotsCache::new(&shared.options)),
            bucket,
        })
    }
}

/// The one start URL, where there is one, is the base.
fn folder(source: &Source, path: &Path) -> Result<Bucket, String> {
    let site = &source.settings.site;
    let base = match site.start.as_slice() {
        [] => None,
        [base] => Some(base),
        _ => return Err("a folder has one start URL at most, its base".to_owned()),
    };
    let address = BucketAddress::of_folder(path, base).map_err(|error| with_causes(&error))?;
    Ok(Bucket::on_disk(
        address,
        Duration::from_millis(site.request_timeout_ms),
    ))
}

fn fetcher(shared: &Shared, source: &Source) -> Result<Fetcher, FetcherError> {
    let (site, options) = (&source.settings.site, &shared.options);
    Fetcher::new(&FetchOptions {
        user_agent: &options.user_agent,
        connect_timeout: options.connect_timeout,
        request_timeout: Duration::from_millis(site.request_timeout_ms),
        allow_private_addresses: site.allow_private_addresses,
        overrides: &site.resolve,
    })
}

fn bucket(shared: &Shared, source: &Source, address: &str) -> Result<Bucket, String> {
    let [base] = source.settings.site.start.as_slice() else {
        return Err("a bucket has one start URL, its base".to_owned());
    };
    let address = BucketAddress::new(address, Some(base)).map_err(|error| with_causes(&error))?;
    let access = shared.deps.buckets.clone();
    let access = access.ok_or_else(|| "buckets are not set up here".to_owned())?;
    let timeout = Duration::from_millis(source.settings.site.request_timeout_ms);
    Ok(Bucket::new(address, access, timeout))
}
