use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use archive::Archive;
use catalog::Catalog;
use model::{CrawlId, Host, SourceId, Timestamp};
use prometheus_client::registry::Registry;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinError, JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;
use updates::{Applied, Control, Entry, Group, LogError, Partition, Record, Subscription, UpdateLog, topics};

use crate::build::{BuildError, Builder};
use crate::mailbox::Mailbox;
use crate::metrics::Metrics;
use crate::options::PackerOptions;
use crate::publish::publish;
use crate::status::{HostStatus, Stage};

/// The consumer group of all packers.
const GROUP: &str = "packer";
/// What the names of the topics end with that carry applied items.
const APPLIED: &str = ".applied";
/// Records taken from the log at a time.
const POLL: usize = 2_000;
/// How long a poll waits; also how soon a finished build or a timer is noticed.
const POLL_WAIT: Duration = Duration::from_millis(100);
/// A host that waited this long for a worker goes before smaller ones.
const PATIENCE: Duration = Duration::from_secs(60);

/// Why the packer stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PackerError {
    /// The update log failed.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The folder that packs are built in could not be made or swept.
    #[error("packs cannot be built in {folder}: {source}")]
    Folder {
        /// The folder.
        folder: String,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// The service ended before it answered.
    #[error("the packer has stopped")]
    Stopped,
}

type Running = JoinHandle<Result<(), PackerError>>;

/// A running packer. Cheap to clone; the service ends at [`stop`](Packer::stop).
#[derive(Clone)]
pub struct Packer {
    log: UpdateLog,
    status: Arc<Mutex<BTreeMap<Host, HostStatus>>>,
    flushes: mpsc::Sender<oneshot::Sender<()>>,
    stop: CancellationToken,
    /// Taken by whoever stops it.
    service: Arc<Mutex<Option<Running>>>,
}

impl Packer {
    /// Joins the packers of `log` and begins to publish into `archive`, under names of `catalog`.
    ///
    /// # Errors
    ///
    /// When the work folder cannot be used or the log cannot be read.
    pub async fn start(
        log: UpdateLog,
        archive: Archive,
        catalog: Catalog,
        options: PackerOptions,
        registry: &mut Registry,
    ) -> Result<Self, PackerError> {
        sweep(&options).map_err(|source| PackerError::Folder {
            folder: options.work_dir.display().to_string(),
            source,
        })?;
        log.ensure_topic(&topics::control()).await?;
        let subscription = Subscription::Suffixes(vec![topics::CONTROL.into(), APPLIED.into()]);
        let group = log.group(GROUP, subscription).await?;
        let (flushes, asked) = mpsc::channel(16);
        let (handle, stop) = (log.clone(), CancellationToken::new());
        let status = Arc::new(Mutex::new(BTreeMap::new()));
        let service = Service {
            worker: Arc::new(Worker {
                log,
                archive,
                catalog,
                options,
                metrics: Metrics::new(registry),
            }),
            group,
            mailboxes: BTreeMap::new(),
            sources: BTreeMap::new(),
            crawls: BTreeMap::new(),
            polled: BTreeMap::new(),
            committed: BTreeMap::new(),
            builds: JoinSet::new(),
            status: Arc::clone(&status),
            flushing: Vec::new(),
        };
        let service = tokio::spawn(service.run(asked, stop.clone()));
        Ok(Self {
            log: handle,
            status,
            flushes,
            stop,
            service: Arc::new(Mutex::new(Some(service))),
        })
    }

    /// What it is doing, by host; hosts of which nothing came since the start are not in it.
    pub fn status(&self) -> Vec<HostStatus> {
        self.status
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
            .cloned()
            .collect()
    }

    /// Packs everything that is in the log now, without waiting for timers, and returns when it is published.
    /// Hosts that cannot be packed are waited for until they can, or until the packer is stopped.
    pub async fn flush(&self) -> Result<(), PackerError> {
        let (done, wait) = oneshot::channel();
        self.flushes.send(done).await.map_err(|_| PackerError::Stopped)?;
        wait.await.map_err(|_| PackerError::Stopped)
    }

    /// Whether something that the log has of `source` before `ends` (offsets by partition of what was applied) is in
    /// no published pack: a process that was killed while it packed leaves that behind.
    pub async fn has_unpublished(&self, source: &SourceId, ends: &[u64]) -> Result<bool, PackerError> {
        let topic = topics::applied(source);
        if !self.log.topics().await?.iter().any(|known| known.name == topic) {
            return Ok(false);
        }
        let committed = self.log.committed(GROUP, &topic).await?;
        Ok(committed.iter().zip(ends).any(|(committed, end)| committed < end))
    }

    /// Lets the builds that run end, and stops. What was not published is read again at the next start.
    pub async fn stop(&self) -> Result<(), PackerError> {
        self.stop.cancel();
        let service = self.service.lock().unwrap_or_else(PoisonError::into_inner).take();
        match service {
            Some(service) => service.await.unwrap_or(Err(PackerError::Stopped)),
            None => Ok(()),
        }
    }
}

/// Packs that a killed packer left half built are of no use.
fn sweep(options: &PackerOptions) -> std::io::Result<()> {
    std::fs::create_dir_all(&options.work_dir)?;
    for entry in std::fs::read_dir(&options.work_dir)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with("build-") {
            std::fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

/// What every build needs.
struct Worker {
    log: UpdateLog,
    archive: Archive,
    catalog: Catalog,
    options: PackerOptions,
    metrics: Metrics,
}

/// A build that ended: how many pages its host has now, or why it failed.
struct Ended {
    host: Host,
    pages: Result<u64, BuildError>,
}

impl Worker {
    async fn pack(self: Arc<Self>, host: Host, mut sources: BTreeSet<SourceId>) -> Ended {
        let started = Instant::now();
        let pages = self.build_and_publish(&host, &mut sources).await;
        self.metrics
            .build_seconds
            .observe(started.elapsed().as_secs_f64());
        Ended { host, pages }
    }

    async fn build_and_publish(
        &self,
        host: &Host,
        sources: &mut BTreeSet<SourceId>,
    ) -> Result<u64, BuildError> {
        let old = self.archive.manifest(host).await?;
        sources.extend(old.iter().flat_map(|old| old.sources.iter().cloned()));
        let current = old.as_ref().map(|old| &old.current);
        let builder = Builder {
            log: &self.log,
            archive: &self.archive,
            work_dir: &self.options.work_dir,
            generator: &self.options.generator,
        };
        let Some(built) = builder.build(host, sources, current, now()).await? else {
            self.metrics.built("unchanged");
            return Ok(current.map_or(0, |current| current.pages));
        };
        self.metrics.left_out.inc_by(built.left_out);
        // Before the manifest: were it the other way round, a build that is tried again would find the pack in force and not come here.
        self.catalog.register(host).await?;
        let manifest = publish(&self.archive, host, sources, &built, self.options.keep_versions).await?;
        let event = Control::PackPublished {
            host: host.clone(),
            manifest: manifest.number,
            checksum: manifest.current.checksum,
        };
        let entry = Entry {
            key: format!("pack/{host}"),
            scope: host.to_string(),
            value: Some(event),
        };
        self.log.append(topics::CONTROL, &[entry]).await?;
        self.metrics.built("published");
        tracing::info!(%host, pages = manifest.current.pages, bytes = manifest.current.size, "pack published");
        Ok(manifest.current.pages)
    }
}

/// The one task that owns the mailboxes.
struct Service {
    worker: Arc<Worker>,
    group: Group,
    mailboxes: BTreeMap<Host, Mailbox>,
    /// The sources that each host's waiting records came from.
    sources: BTreeMap<Host, BTreeSet<SourceId>>,
    /// Crawls that run, and where the record of their start lies.
    crawls: BTreeMap<CrawlId, (Partition, u64)>,
    /// The next offset that was not polled yet.
    polled: BTreeMap<Partition, u64>,
    committed: BTreeMap<Partition, u64>,
    builds: JoinSet<Ended>,
    status: Arc<Mutex<BTreeMap<Host, HostStatus>>>,
    flushing: Vec<oneshot::Sender<()>>,
}

impl Service {
    async fn run(
        mut self,
        mut flushes: mpsc::Receiver<oneshot::Sender<()>>,
        stop: CancellationToken,
    ) -> Result<(), PackerError> {
        while !stop.is_cancelled() {
            let batch = self.group.poll(POLL, POLL_WAIT).await?;
            let caught_up = batch.records.is_empty();
            for record in &batch.records {
                self.take(record)?;
            }
            while let Some(ended) = self.builds.try_join_next() {
                self.end(ended);
            }
            if caught_up {
                self.forget_idle();
                self.answer_flushes();
                while let Ok(flush) = flushes.try_recv() {
                    self.flushing.push(flush);
                }
            }
            self.start_due();
            self.commit().await?;
            self.report();
        }
        while let Some(ended) = self.builds.join_next().await {
            self.end(ended);
        }
        self.commit().await
    }

    fn take(&mut self, record: &Record) -> Result<(), LogError> {
        let position = &record.position;
        self.polled
            .insert(position.partition.clone(), position.offset + 1);
        if position.partition.topic == topics::CONTROL {
            if let Some(event) = record.decode::<Control>()? {
                self.take_event(event, record);
            }
            return Ok(());
        }
        self.worker.metrics.records.inc();
        if let Some(applied) = record.decode::<Applied>()? {
            self.sources
                .entry(applied.host.clone())
                .or_default()
                .insert(applied.source);
            self.mailboxes
                .entry(applied.host)
                .or_default()
                .note(position, record.appended_at);
        }
        Ok(())
    }

    fn take_event(&mut self, event: Control, record: &Record) {
        match event {
            Control::CrawlStarted { crawl, .. } => {
                let position = record.position.clone();
                self.crawls.insert(crawl, (position.partition, position.offset));
            }
            Control::HostDone { host, .. } => self.mailboxes.entry(host).or_default().all_terminal(),
            Control::CrawlEnded { crawl, .. } => {
                self.crawls.remove(&crawl);
                let source = crawl.source();
                let of_crawl =
                    |host: &Host| self.sources.get(host).is_some_and(|from| from.contains(&source));
                for (_, mailbox) in self.mailboxes.iter_mut().filter(|(host, _)| of_crawl(host)) {
                    mailbox.all_terminal();
                }
            }
            Control::PackPublished { .. } | Control::PackWithdrawn { .. } => {}
        }
    }

    /// Starts builds while there are free workers: the smallest work first, but whoever waited long before all.
    fn start_due(&mut self) {
        let now = now();
        let flushing = !self.flushing.is_empty();
        let mut due: Vec<(bool, u64, Host)> = Vec::new();
        for (host, mailbox) in &self.mailboxes {
            let Some(due_at) = mailbox.due_at(self.is_crawled(host), &self.worker.options) else {
                continue;
            };
            if due_at <= now || (flushing && !mailbox.is_delayed(now)) {
                let waited = mailbox
                    .oldest()
                    .is_some_and(|oldest| now.since(oldest) > PATIENCE);
                due.push((!waited, mailbox.waiting(), host.clone()));
            }
        }
        due.sort();
        let free = self
            .worker
            .options
            .workers
            .max(1)
            .saturating_sub(self.builds.len());
        for (_, _, host) in due.into_iter().take(free) {
            let Some(mailbox) = self.mailboxes.get_mut(&host) else {
                continue;
            };
            mailbox.start();
            let sources = self.sources.get(&host).cloned().unwrap_or_default();
            self.builds.spawn(Arc::clone(&self.worker).pack(host, sources));
        }
    }

    fn is_crawled(&self, host: &Host) -> bool {
        let sources = self.sources.get(host);
        sources.is_some_and(|sources| self.crawls.keys().any(|crawl| sources.contains(&crawl.source())))
    }

    fn end(&mut self, ended: Result<Ended, JoinError>) {
        let Ended { host, pages } = match ended {
            Ok(ended) => ended,
            Err(error) => {
                tracing::error!(%error, "a build was torn down; its host is packed again after the next start");
                return;
            }
        };
        let Some(mailbox) = self.mailboxes.get_mut(&host) else {
            return;
        };
        let mut status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        let status = status
            .entry(host.clone())
            .or_insert_with(|| HostStatus::new(host.clone()));
        match pages {
            Ok(pages) => {
                mailbox.published();
                (status.pages, status.published_at) = (pages, Some(now()));
                status.stage = Stage::Published;
            }
            Err(error) => {
                tracing::error!(%host, %error, "the host could not be packed; it is tried again");
                self.worker.metrics.built("failed");
                mailbox.failed(now().after(self.worker.options.retry));
                status.stage = Stage::Failed(error.to_string());
            }
        }
    }

    /// Hosts of which nothing waits are forgotten, so that memory follows the work and not the history.
    fn forget_idle(&mut self) {
        self.mailboxes.retain(|_, mailbox| !mailbox.is_empty());
        self.sources.retain(|host, _| self.mailboxes.contains_key(host));
    }

    fn answer_flushes(&mut self) {
        if self.mailboxes.is_empty() {
            for flush in self.flushing.drain(..) {
                // Whoever asked may have stopped waiting.
                let _ = flush.send(());
            }
        }
    }

    /// The group's offset of each partition moves up to the first record that is in no published pack.
    async fn commit(&mut self) -> Result<(), PackerError> {
        let mut advanced = Vec::new();
        for (partition, &polled) in &self.polled {
            let waiting = self
                .mailboxes
                .values()
                .filter_map(|mailbox| mailbox.first_unpublished(partition))
                .min();
            let running = self
                .crawls
                .values()
                .filter(|(of, _)| of == partition)
                .map(|&(_, offset)| offset)
                .min();
            let next = [waiting, running].into_iter().flatten().fold(polled, u64::min);
            if self
                .committed
                .get(partition)
                .is_none_or(|&committed| next > committed)
            {
                advanced.push((partition.clone(), next));
            }
        }
        for (partition, next) in advanced {
            match self.group.commit(&partition, next).await {
                Ok(()) => _ = self.committed.insert(partition, next),
                // Another packer has it now, and reads it from what was committed.
                Err(LogError::NotAssigned(_)) => _ = self.polled.remove(&partition),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn report(&self) {
        let mut status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        let mut records = 0;
        for (host, mailbox) in &self.mailboxes {
            records += mailbox.waiting();
            let status = status
                .entry(host.clone())
                .or_insert_with(|| HostStatus::new(host.clone()));
            status.waiting = mailbox.waiting();
            if mailbox.is_building() {
                status.stage = Stage::Building;
            } else if mailbox.waiting() > 0 && !matches!(status.stage, Stage::Failed(_)) {
                status.stage = Stage::Waiting;
            }
        }
        for status in status
            .values_mut()
            .filter(|status| !self.mailboxes.contains_key(&status.host))
        {
            status.waiting = 0;
        }
        self.worker
            .metrics
            .waiting_hosts
            .set(i64::try_from(self.mailboxes.len()).unwrap_or(i64::MAX));
        self.worker
            .metrics
            .waiting_records
            .set(i64::try_from(records).unwrap_or(i64::MAX));
    }
}

/// The one place where the packer reads the clock.
fn now() -> Timestamp {
    Timestamp::from(SystemTime::now())
}
