use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use archive::Archive;
use lru::LruCache;
use model::{Checksum, Hasher, Host};
use tokio::sync::Semaphore;

use crate::answer::{Answer, Request};
use crate::answering::answer;
use crate::files::{Files, PackFile};
use crate::filter;
use crate::metrics::{Ended, Metrics};
use crate::query::Query;
use crate::searcher::Stop;
use crate::shelf::{Shelf, lock};
use crate::{RefreshError, SearchError};

/// How a [`Library`] works.
#[derive(Clone, Debug)]
pub struct LibraryOptions {
    /// Where packs are kept; this folder belongs to the library alone, and files that it does not know go.
    pub folder: PathBuf,
    /// Packs that are open at a time; others are opened when they are asked.
    pub max_open_packs: NonZeroUsize,
    /// Queries that are worked on at a time; others wait.
    pub max_queries: NonZeroUsize,
    /// How long a query may take, with the time that it waits.
    pub time_limit: Duration,
    /// Answers that are remembered.
    pub max_cached_answers: NonZeroUsize,
}

impl LibraryOptions {
    /// 64 open packs, two queries per processor at a time, two seconds, 4,096 answers.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        let at_least_one = |number: usize| NonZeroUsize::MIN.saturating_add(number.saturating_sub(1));
        let processors = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Self {
            folder: folder.into(),
            max_open_packs: at_least_one(64),
            max_queries: at_least_one(2 * processors),
            time_limit: Duration::from_secs(2),
            max_cached_answers: at_least_one(4_096),
        }
    }
}

/// The current packs of all hosts. Cheap to clone; all clones are the same library.
#[derive(Clone)]
pub struct Library {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) archive: Archive,
    pub(crate) files: Files,
    pub(crate) metrics: Metrics,
    pub(crate) shelf: Shelf,
    /// What a query sees: it takes what is here when it begins, and keeps it.
    pub(crate) current: RwLock<BTreeMap<Host, Arc<PackFile>>>,
    /// One refresh of a host at a time.
    pub(crate) refreshing: Mutex<HashMap<Host, Arc<tokio::sync::Mutex<()>>>>,
    answers: Mutex<LruCache<Question, Arc<Answer>>>,
    slots: Arc<Semaphore>,
    options: LibraryOptions,
}

/// What decides an answer: packs never change, so neither does the answer of the same ones.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Question {
    packs: Checksum,
    query: Query,
    window: (usize, usize),
}

impl Library {
    /// A library without packs; [`refresh_all`](Self::refresh_all) or [`run`](Self::run) brings them.
    ///
    /// # Errors
    ///
    /// When the folder cannot be used.
    pub fn open(archive: Archive, options: LibraryOptions) -> Result<Self, RefreshError> {
        let files = Files::open(&options.folder).map_err(|source| RefreshError::Folder {
            path: options.folder.clone(),
            source,
        })?;
        let metrics = Metrics::default();
        let inner = Inner {
            archive,
            files,
            shelf: Shelf::new(options.max_open_packs, metrics.open_packs.clone()),
            metrics,
            current: RwLock::default(),
            refreshing: Mutex::default(),
            answers: Mutex::new(LruCache::new(options.max_cached_answers)),
            slots: Arc::new(Semaphore::new(
                options.max_queries.get().min(Semaphore::MAX_PERMITS),
            )),
            options,
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// What the library counts.
    pub fn metrics(&self) -> &Metrics {
        &self.inner.metrics
    }

    /// The hosts that can be searched, in order, with the checksums of their packs.
    pub fn hosts(&self) -> Vec<(Host, Checksum)> {
        self.inner
            .packs(|_| true)
            .iter()
            .map(|file| (file.host.clone(), file.checksum))
            .collect()
    }

    /// The file of a host's current pack. It goes some time after the pack was replaced, but who opened it keeps it.
    pub fn file(&self, host: &Host) -> Option<(Checksum, PathBuf)> {
        let file = self.inner.packs(|known| known == host).pop()?;
        Some((file.checksum, file.path.clone()))
    }

    /// Answers a question. All of the answer comes from the packs that were current when it began.
    ///
    /// # Errors
    ///
    /// [`SearchError::UnknownHost`], [`SearchError::TimedOut`], or a pack that cannot be read. Never for what the
    /// query says.
    pub async fn search(&self, request: &Request) -> Result<Arc<Answer>, SearchError> {
        let answered = self.answer(request).await;
        let outcome = match &answered {
            Ok(_) => "answered",
            Err(SearchError::TimedOut { .. }) => "timed_out",
            Err(SearchError::UnknownHost(_)) => "unknown_host",
            Err(_) => "failed",
        };
        self.inner.metrics.queries.get_or_create(&Ended { outcome }).inc();
        answered
    }

    async fn answer(&self, request: &Request) -> Result<Arc<Answer>, SearchError> {
        let query = Query::parse(&request.query);
        let files = self.inner.asked(request, &query)?;
        let question = Question {
            packs: digest(&files),
            query,
            window: request.window(),
        };
        if let Some(answer) = lock(&self.inner.answers).get(&question) {
            self.inner.metrics.cache_hits.inc();
            return Ok(Arc::clone(answer));
        }
        let started = Instant::now();
        let answer = self.within_limit(files, &question).await?;
        self.inner
            .metrics
            .seconds
            .observe(started.elapsed().as_secs_f64());
        let answer = Arc::new(answer);
        lock(&self.inner.answers).put(question, Arc::clone(&answer));
        Ok(answer)
    }

    async fn within_limit(
        &self,
        files: Vec<Arc<PackFile>>,
        question: &Question,
    ) -> Result<Answer, SearchError> {
        let limit = self.inner.options.time_limit;
        // Also stops the search when whoever asked has gone away.
        let guard = StopOnDrop(Stop::default());
        let answered = self.in_background(files, question.clone(), guard.0.clone());
        let timed_out = || SearchError::TimedOut {
            limit_ms: u64::try_from(limit.as_millis()).unwrap_or(u64::MAX),
        };
        tokio::time::timeout(limit, answered)
            .await
            .map_err(|_| timed_out())?
    }

    async fn in_background(
        &self,
        files: Vec<Arc<PackFile>>,
        question: Question,
        stop: Stop,
    ) -> Result<Answer, SearchError> {
        let slot = Arc::clone(&self.inner.slots)
            .acquire_owned()
            .await
            .map_err(|_| SearchError::Stopped)?;
        let inner = Arc::clone(&self.inner);
        let work = move || {
            let _slot = slot;
            answer(
                &inner.shelf,
                &files,
                &question.query,
                question.window,
                question.packs,
                &stop,
            )
        };
        tokio::task::spawn_blocking(work)
            .await
            .map_err(|_| SearchError::Stopped)?
    }
}

impl std::fmt::Debug for Library {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Library")
            .field("hosts", &self.hosts())
            .finish_non_exhaustive()
    }
}

struct StopOnDrop(Stop);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.stop();
    }
}

impl Inner {
    /// The current packs of the hosts that `wanted` says.
    fn packs(&self, wanted: impl Fn(&Host) -> bool) -> Vec<Arc<PackFile>> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        current
            .iter()
            .filter(|(host, _)| wanted(host))
            .map(|(_, file)| Arc::clone(file))
            .collect()
    }

    /// The packs that a request is about.
    fn asked(&self, request: &Request, query: &Query) -> Result<Vec<Arc<PackFile>>, SearchError> {
        let files = self.packs(|host| request.hosts.is_empty() || request.hosts.contains(host));
        let unknown = request
            .hosts
            .iter()
            .find(|host| files.iter().all(|file| file.host != **host));
        if let Some(host) = unknown {
            return Err(SearchError::UnknownHost(host.clone()));
        }
        Ok(files
            .into_iter()
            .filter(|file| filter::may_pass(query, &file.host))
            .collect())
    }
}

/// One checksum for a set of packs: that of the pack where there is one only.
fn digest(files: &[Arc<PackFile>]) -> Checksum {
    if let [file] = files {
        return file.checksum;
    }
    let mut hasher = Hasher::new();
    files
        .iter()
        .for_each(|file| hasher.update(file.checksum.as_bytes()));
    hasher.finish()
}
