//! From what a request names to entries, page by page.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use http::header::HeaderMap;
use http::{Method, StatusCode};
use tokio::sync::mpsc::Sender;

use crate::answer::{Failure, Remedy, refusal};
use crate::entry::Entry;
use crate::error::{Error, ErrorKind};
use crate::list::{self, Bounds, Folder, Listed, Listing, Manifest, Page, Pages, Pattern};
use crate::location::{Location, Scheme};
use crate::request::{DownloadRequest, Source};
use crate::run::{Engine, Stores};
use crate::store::Store;

/// Entries of one page: what S3 gives at most.
const PAGE: usize = 1_000;
/// Entries that wait while a page before them is awaited; some 200 bytes each.
const WAITING: usize = 100_000;
const ATTEMPTS: u32 = 8;
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// The entries of one source.
pub(crate) struct Found {
    entries: Entries,
    naming: Naming,
    found_any: bool,
}

enum Entries {
    One(Option<Box<Entry>>),
    Bucket(Box<Listing>, Location),
    /// Stores that cannot be listed from a given key on.
    Sequential(BoxStream<'static, object_store::Result<Listed>>, Location),
    Folder(Folder, Location),
    Manifest(Manifest<Box<dyn BufRead + Send>>),
}

/// Which keys are meant, and what they are called below a destination.
enum Naming {
    /// Without so many bytes at the beginning.
    Below(usize),
    Matching(Pattern),
}

/// Opens a source.
pub(crate) async fn open(source: &Source, stores: &Stores, engine: &Arc<Engine>) -> Result<Found, Error> {
    match source {
        Source::Object(entry) => Ok(Found::one(entry.clone())),
        Source::Manifest(path) => manifest(path),
        Source::Prefix(location) => below(location, stores, engine),
        Source::Glob(location) => matching(location, stores, engine),
        Source::Address(location) => address(location, stores, engine).await,
    }
}

/// Sends all entries of a request, page by page, until nobody wants them any more.
pub(crate) async fn list_all(
    engine: &Arc<Engine>,
    request: &DownloadRequest,
    pages: &Sender<Result<Vec<Entry>, Error>>,
) -> Result<(), Error> {
    let stores = Stores::new(request.options.clone(), &engine.stores);
    for source in &request.sources {
        let mut found = open(source, &stores, engine).await?;
        while let Some(page) = found.next().await? {
            if pages.send(Ok(page)).await.is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
}

fn manifest(path: &Path) -> Result<Found, Error> {
    let reader: Box<dyn BufRead + Send> = match path == Path::new("-") {
        true => Box::new(BufReader::new(std::io::stdin())),
        false => Box::new(BufReader::new(File::open(path).map_err(|error| {
            let text = format!("the manifest {} cannot be read: {error}", path.display());
            Error::new(ErrorKind::Invalid, text).caused_by(error)
        })?)),
    };
    Ok(Found::new(
        Entries::Manifest(Manifest::new(reader)),
        Naming::Below(0),
    ))
}

fn below(location: &Location, stores: &Stores, engine: &Arc<Engine>) -> Result<Found, Error> {
    let folder = location.key().rfind('/').map_or(0, |slash| slash + 1);
    Ok(Found::new(keys(location, stores, engine)?, Naming::Below(folder)))
}

fn matching(location: &Location, stores: &Stores, engine: &Arc<Engine>) -> Result<Found, Error> {
    let pattern = Pattern::parse(location.key())?;
    let prefix = location.with_key(pattern.prefix());
    Ok(Found::new(
        keys(&prefix, stores, engine)?,
        Naming::Matching(pattern),
    ))
}

/// All keys that begin with the location's key.
fn keys(location: &Location, stores: &Stores, engine: &Arc<Engine>) -> Result<Entries, Error> {
    let store = stores.of(location)?;
    match location.scheme() {
        Scheme::S3 | Scheme::Gcs => {
            let bounds = Bounds {
                connections: engine.options.list_connections.max(1),
                waiting: WAITING,
                page: PAGE,
            };
            let pages = Arc::new(Bucket::new(location, store, engine));
            let listing = Listing::start(pages, location.key(), bounds);
            Ok(Entries::Bucket(Box::new(listing), location.clone()))
        }
        Scheme::Azure => Ok(Entries::Sequential(
            sequential(&store, location.key()),
            location.clone(),
        )),
        Scheme::File => {
            let folder = location.key().rsplit_once('/').map_or("/", |(folder, _)| folder);
            let folder = location.with_key(format!("{folder}/"));
            Ok(Entries::Folder(Folder::open(folder.key())?, folder))
        }
        Scheme::Http => Err(Error::new(
            ErrorKind::Invalid,
            format!("{location}: a web address cannot be listed: name its files, or list them in a manifest"),
        )),
    }
}

fn sequential(store: &Store, prefix: &str) -> BoxStream<'static, object_store::Result<Listed>> {
    let Some(store) = &store.object_store else {
        return futures::stream::empty().boxed();
    };
    let listed = |meta: object_store::ObjectMeta| Listed {
        key: meta.location.to_string(),
        size: meta.size,
        etag: meta.e_tag,
        last_modified: Some(meta.last_modified.into()),
    };
    let prefix = object_store::path::Path::from(prefix);
    store.list(Some(&prefix)).map_ok(listed).boxed()
}

/// An object, or what is below it: the key itself sorts before everything that begins with it, so one entry tells.
async fn address(location: &Location, stores: &Stores, engine: &Arc<Engine>) -> Result<Found, Error> {
    let folder = location.with_key(format!("{}/", location.key()));
    match location.scheme() {
        Scheme::S3 | Scheme::Gcs => {
            let bucket = Bucket::new(location, stores.of(location)?, engine);
            let first = match bucket.page("", 1).await {
                Ok(page) => page.entries.into_iter().next(),
                // Who may read an object may not always list its bucket.
                Err(error) if error.kind() == ErrorKind::Denied => {
                    return Ok(Found::one(Entry::new(location.clone())));
                }
                Err(error) => return Err(error),
            };
            match first.filter(|first| first.key == location.key()) {
                Some(listed) => Ok(Found::one(entry(location, listed))),
                None => below(&folder, stores, engine),
            }
        }
        Scheme::File if Path::new(location.key()).is_dir() => below(&folder, stores, engine),
        _ => Ok(Found::one(Entry::new(location.clone()))),
    }
}

impl Found {
    fn new(entries: Entries, naming: Naming) -> Self {
        Self {
            entries,
            naming,
            found_any: false,
        }
    }

    fn one(entry: Entry) -> Self {
        Self::new(Entries::One(Some(Box::new(entry))), Naming::Below(0))
    }

    /// Whether there was anything.
    pub(crate) fn found_any(&self) -> bool {
        self.found_any
    }

    /// The next entries, in key order; none at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<Entry>>, Error> {
        let Some(listed) = self.page().await? else {
            return Ok(None);
        };
        self.found_any |= !listed.is_empty();
        Ok(Some(listed))
    }

    async fn page(&mut self) -> Result<Option<Vec<Entry>>, Error> {
        match &mut self.entries {
            Entries::One(one) => Ok(one.take().map(|one| vec![*one])),
            Entries::Bucket(listing, location) => {
                let page = listing.next().await.transpose()?;
                Ok(page.map(|page| self.naming.entries(location, page)))
            }
            Entries::Sequential(stream, location) => {
                let page: Vec<_> = stream.take(PAGE).try_collect().await.map_err(|error| {
                    let text = format!("{location}: it cannot be listed: {error}");
                    Error::new(ErrorKind::Server, text).caused_by(error)
                })?;
                Ok(Some(page)
                    .filter(|page| !page.is_empty())
                    .map(|page| self.naming.entries(location, page)))
            }
            Entries::Folder(folder, location) => {
                let page: Vec<_> = folder.take(PAGE).collect::<Result<_, _>>()?;
                if page.is_empty() {
                    return Ok(None);
                }
                let absolute = |listed: Listed| Listed {
                    key: format!("{}{}", location.key(), listed.key),
                    ..listed
                };
                let page = page.into_iter().map(absolute).collect();
                Ok(Some(self.naming.entries(location, page)))
            }
            Entries::Manifest(manifest) => {
                let page: Vec<_> = manifest.take(PAGE).collect::<Result<_, _>>()?;
                Ok(Some(page).filter(|page| !page.is_empty()))
            }
        }
    }
}

impl Naming {
    fn entries(&self, location: &Location, page: Vec<Listed>) -> Vec<Entry> {
        page.into_iter()
            .filter_map(|listed| self.entry(location, listed))
            .collect()
    }

    fn entry(&self, location: &Location, listed: Listed) -> Option<Entry> {
        let name = match self {
            Self::Below(folder) => listed.key.get(*folder..)?.to_owned(),
            Self::Matching(pattern) if pattern.matches(&listed.key) => {
                pattern.relative(&listed.key).to_owned()
            }
            Self::Matching(_) => return None,
        };
        // The folder that is listed may itself be an empty object.
        (!name.is_empty()).then(|| Entry {
            name,
            ..entry(location, listed)
        })
    }
}

fn entry(location: &Location, listed: Listed) -> Entry {
    Entry {
        size: Some(listed.size),
        etag: listed.etag,
        last_modified: listed.last_modified,
        ..Entry::new(location.with_key(listed.key))
    }
}

/// A bucket that answers to ListObjectsV2.
struct Bucket {
    location: Location,
    store: Arc<Store>,
    engine: Arc<Engine>,
}

impl Bucket {
    fn new(location: &Location, store: Arc<Store>, engine: &Arc<Engine>) -> Self {
        Self {
            location: location.clone(),
            store,
            engine: Arc::clone(engine),
        }
    }

    async fn ask(&self, start_after: &str, max: usize) -> Result<Page, Failure> {
        let query = list::s3::query(self.location.key(), start_after, max);
        let target = self.store.list_target(&query);
        let prepared = self
            .store
            .prepare(&Method::GET, &target, HeaderMap::new())
            .await?;
        let failed = |error| Failure::of_io(&self.location, error);
        let mut connection = self.engine.pool.get(&prepared.endpoint).await.map_err(failed)?;
        let head = connection
            .exchange(&prepared.bytes, &Method::GET)
            .await
            .map_err(failed)?;
        let body = connection.rest(list::s3::MAX_BODY).await.map_err(failed)?;
        self.engine.pool.put(&prepared.endpoint, connection);
        match head.status {
            StatusCode::OK => list::s3::page(&body).map_err(|error| Failure {
                error,
                remedy: Remedy::Again,
            }),
            _ => Err(refusal(&self.location, &head, &body)),
        }
    }
}

#[async_trait]
impl Pages for Bucket {
    async fn page(&self, start_after: &str, max: usize) -> Result<Page, Error> {
        let mut attempt = 0;
        loop {
            let asked = tokio::time::timeout(self.engine.options.stall * 2, self.ask(start_after, max)).await;
            let failure = match asked {
                Ok(Ok(page)) => return Ok(page),
                Ok(Err(failure)) => failure,
                Err(_) => Failure::new(
                    ErrorKind::Stalled,
                    Remedy::Again,
                    format!("{}: no answer came", self.location),
                ),
            };
            attempt += 1;
            let pause = match failure.remedy {
                Remedy::None | Remedy::BeginAnew => return Err(failure.error),
                _ if attempt >= ATTEMPTS => return Err(failure.error),
                Remedy::SlowDown(Some(pause)) => pause,
                Remedy::Again | Remedy::SlowDown(None) => FIRST_PAUSE * (1 << attempt),
            };
            tokio::time::sleep(pause.min(self.engine.options.max_backoff)).await;
        }
    }
}
