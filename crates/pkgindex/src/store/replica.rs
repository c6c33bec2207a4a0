//! A store that another server keeps: it is read over that server's HTTP port and never written.

use std::io::{BufReader, Read};
use std::panic::resume_unwind;
use std::thread;
use std::time::Duration;

use reqwest::blocking::{Client, Response};
use reqwest::{StatusCode, Url};
use tokio::runtime::Handle;

use crate::change::{Change, Revision};
use crate::formats::read_dump;
use crate::http::{Feed, INSTANCE};
use crate::store::{Commit, Finding, Loaded, Store, StoreError};

/// To connect, and between two pieces of an answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// For a whole dump.
const DUMP_TIME: Duration = Duration::from_secs(600);
/// Of a whole dump.
const MAX_DUMP_BYTES: u64 = 4 << 30;
/// Of one answer with changes; when there are more, a dump is the better way.
const MAX_FEED_BYTES: u64 = 64 << 20;

/// Follows another server, whose HTTP port it asks.
///
/// Whether a read is fresh is asked there each time (several reads at once are one question), unless
/// [`Options::staleness`](crate::Options::staleness) allows older answers. When that server was started anew, its packages are fetched anew,
/// because it may have come back with another history, as one without a lasting store does.
#[derive(Debug)]
pub struct ReplicaStore {
    primary: Url,
    client: Option<Client>,
    /// Which history the packages are of, as the server calls it.
    instance: String,
}

impl ReplicaStore {
    /// Follows the server whose HTTP port is at `primary`, such as `http://127.0.0.1:8081`. Nothing is asked yet.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unsuited`] when it is no such address.
    pub fn new(primary: &str) -> Result<Self, StoreError> {
        let wrong = |why: &str| {
            StoreError::Unsuited(format!(
                "{primary} is no address of a server ({why}); give one such as http://127.0.0.1:8081"
            ))
        };
        let url = Url::parse(primary).map_err(|error| wrong(&error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") || !matches!(url.path(), "" | "/") {
            return Err(wrong("it has no http, or a path"));
        }
        Ok(Self {
            primary: url,
            client: None,
            instance: String::new(),
        })
    }

    fn get(&mut self, path: &str, query: &str, time: Duration) -> Result<Response, StoreError> {
        let mut url = self.primary.clone();
        url.set_path(path);
        url.set_query(Some(query));
        let client = match &self.client {
            Some(client) => client,
            None => self.client.insert(client().map_err(|error| self.silent(&error))?),
        };
        let sent = client.get(url).timeout(time).send();
        sent.map_err(|error| self.silent(&error))
    }

    fn fetch_dump(&mut self) -> Result<Loaded, StoreError> {
        let response = self.get("/v1/dump", "", DUMP_TIME)?;
        if response.status() != StatusCode::OK {
            return Err(self.refused(response.status()));
        }
        let instance = response.headers().get(INSTANCE);
        let instance = instance.and_then(|value| value.to_str().ok()).map(str::to_owned);
        let read = read_dump(BufReader::new(response.take(MAX_DUMP_BYTES)));
        let read = read.map_err(|error| self.silent(&error))?;
        let (Some(instance), Some(revision)) = (instance, read.report.revision) else {
            return Err(self.foreign());
        };
        self.instance = instance;
        Ok(Loaded {
            revision,
            lines: read.lines,
        })
    }

    fn fetch_changes(&mut self, after: Revision) -> Result<Vec<Change>, StoreError> {
        let query = format!("after={after}&instance={}", self.instance);
        let response = self.get("/v1/changes", &query, PATIENCE)?;
        match response.status() {
            StatusCode::OK => {}
            // It is too far ahead, was started anew, or has gone back: a dump tells.
            StatusCode::GONE | StatusCode::CONFLICT => return Err(StoreError::TooOld(after)),
            status => return Err(self.refused(status)),
        }
        let mut body = Vec::new();
        let read = response.take(MAX_FEED_BYTES + 1).read_to_end(&mut body);
        read.map_err(|error| self.silent(&error))?;
        if body.len() as u64 > MAX_FEED_BYTES {
            return Err(StoreError::TooOld(after));
        }
        let feed: Feed = serde_json::from_slice(&body).map_err(|_| self.foreign())?;
        let changes = feed.into_changes().ok_or_else(|| self.foreign())?;
        let follow = (after.0 + 1..)
            .zip(&changes)
            .all(|(next, change)| change.revision.0 == next);
        follow.then_some(changes).ok_or_else(|| self.foreign())
    }

    fn silent(&self, error: &dyn std::error::Error) -> StoreError {
        let primary = &self.primary;
        StoreError::Unreachable(format!(
            "{primary} does not answer as it should: {}",
            Chain(error)
        ))
    }

    fn refused(&self, status: StatusCode) -> StoreError {
        let primary = &self.primary;
        StoreError::Unreachable(format!("{primary} answers {status}; look whether it is well"))
    }

    fn foreign(&self) -> StoreError {
        let primary = &self.primary;
        StoreError::Unreachable(format!(
            "{primary} does not answer as a package index does; give the address of its HTTP port"
        ))
    }
}

impl Store for ReplicaStore {
    fn name(&self) -> &'static str {
        "replica"
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn is_writable(&self) -> bool {
        false
    }

    fn load(&mut self) -> Result<Loaded, StoreError> {
        apart(|| self.fetch_dump())
    }

    fn commit(&mut self, base: Revision, changes: &[Change]) -> Result<Commit, StoreError> {
        if !changes.is_empty() {
            return Err(StoreError::Unsuited(
                "a replica takes no changes; send them to the server that it follows".to_owned(),
            ));
        }
        let is_newest = self.changes(base)?.is_empty();
        Ok(if is_newest { Commit::Done } else { Commit::Conflict })
    }

    fn changes(&mut self, after: Revision) -> Result<Vec<Change>, StoreError> {
        apart(|| self.fetch_changes(after))
    }

    /// Whether a dump can be fetched and is whole.
    fn check(&mut self, _: bool) -> Result<Vec<Finding>, StoreError> {
        self.load()?;
        Ok(Vec::new())
    }
}

/// A client that goes straight to where it is sent.
fn client() -> reqwest::Result<Client> {
    Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(PATIENCE)
        .build()
}

/// Does `work` where it may block: on this thread, or on one of its own when this one belongs to an async runtime, where a client that
/// blocks would panic.
fn apart<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    if Handle::try_current().is_err() {
        return work();
    }
    thread::scope(|scope| scope.spawn(work).join()).unwrap_or_else(|panic| resume_unwind(panic))
}

/// An error with its causes.
struct Chain<'e>(&'e dyn std::error::Error);

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}
