//! The one writer: what came of items goes to the archive, the crawl database and the log, many at a time and in an
//! order that a crash cannot hurt.
//!
//! 1. contents and extracts, so that nothing points to what is not there;
//! 2. the pages that were found, so that a crawl never looks complete while a page waits to name others;
//! 3. what became of the items;
//! 4. documents and announcements, which are repeated after a crash ([`ledger::Ledger::recover`]).

use std::sync::Arc;
use std::sync::atomic::Ordering;

use archive::{ArchiveError, Kind};
use crawldb::{
    Attempt, Disposition, Finished, Item, ItemError, ItemErrorKind, Outcome, Seen, Sighting, SiteSettings,
};
use model::{CrawlId, PageUrl};
use rustc_hash::{FxHashMap, FxHashSet};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::bounds::authority;
use crate::deliver::{Delivery, Handled, Verdict, settled};
use crate::incremental;
use crate::met::Queries;
use crate::patience::{Jitter, Patience, WriteError, with_causes};
use crate::redirects::Redirects;
use crate::run::{Found, Run, Shared};
use crate::shelf::{Shelved, label, shelve};

/// Gathers deliveries and writes them. There is one per process, so that its order holds.
pub(crate) struct Applier {
    shared: Arc<Shared>,
    inbox: mpsc::Receiver<Delivery>,
    crawls: FxHashMap<CrawlId, Notes>,
    jitter: Jitter,
}

/// What the applier alone remembers of a crawl.
#[derive(Default)]
struct Notes {
    redirects: Redirects,
    queries: Queries,
}

/// Deliveries that are written together.
#[derive(Default)]
struct Gathered {
    runs: Vec<(Arc<Run>, Load)>,
    items: usize,
    bytes: usize,
    closed: Vec<CrawlId>,
    done: Vec<oneshot::Sender<()>>,
}

/// What one crawl has in a batch.
#[derive(Default)]
struct Load {
    handled: Vec<Handled>,
    found: Vec<Found>,
}

impl Applier {
    pub(crate) fn new(shared: Arc<Shared>, inbox: mpsc::Receiver<Delivery>) -> Self {
        let seed = shared.options.clock.now().as_millis();
        Self {
            shared,
            inbox,
            crawls: FxHashMap::default(),
            jitter: Jitter(seed),
        }
    }

    pub(crate) async fn run(mut self) {
        while let Some(first) = self.inbox.recv().await {
            let gathered = self.gather(first).await;
            let begun = Instant::now();
            for (run, load) in gathered.runs {
                self.apply(&run, load).await;
            }
            self.shared.metrics.stage("apply", begun.elapsed());
            for crawl in &gathered.closed {
                self.crawls.remove(crawl);
            }
            for done in gathered.done {
                done.send(()).ok();
            }
        }
    }

    /// Waits a little for company, but not while nobody works on anything that could become some.
    async fn gather(&mut self, first: Delivery) -> Gathered {
        let options = &self.shared.options;
        let deadline = Instant::now() + options.batch_linger;
        let mut gathered = Gathered::default();
        let mut next = Some(first);
        while let Some(delivery) = next.take() {
            gathered.add(delivery);
            if gathered.items >= options.batch_items || gathered.bytes >= options.batch_bytes {
                break;
            }
            next = match self.inbox.try_recv() {
                Ok(delivery) => Some(delivery),
                Err(_) if self.shared.working.load(Ordering::Acquire) == 0 => None,
                Err(_) => tokio::time::timeout_at(deadline, self.inbox.recv())
                    .await
                    .ok()
                    .flatten(),
            };
        }
        gathered
    }

    async fn apply(&mut self, run: &Arc<Run>, load: Load) {
        let items = load.handled.len();
        match self.write(run, load).await {
            Ok(()) => {}
            // Whoever leads the crawl now sees to these items, or nobody does because it is over.
            Err(error) if error.is_fence() => tracing::info!(crawl = %run.crawl.id, items, "left to others"),
            Err(error) => run.give_up(format!(
                "what was fetched could not be written: {}",
                with_causes(&error)
            )),
        }
        run.busy.fetch_sub(items, Ordering::AcqRel);
    }

    async fn write(&mut self, run: &Arc<Run>, mut load: Load) -> Result<(), WriteError> {
        let mut found = load.found;
        for handled in &mut load.handled {
            self.follow(run, handled, &mut found).await?;
            found.append(&mut handled.links);
        }
        if let Some(last) = load.handled.last() {
            let mut host = run
                .current_host
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            *host = Some(last.item.scope.clone());
        }
        let attempts = self.archive(load.handled).await;
        self.sight(run, found).await?;
        self.record_gaps(run).await?;
        self.settle(run, attempts).await
    }

    /// What a page could not show is on record before the page is done with.
    async fn record_gaps(&self, run: &Run) -> Result<(), WriteError> {
        let mut patience = Patience::default();
        loop {
            match run.record_gaps(&self.shared).await {
                Ok(()) => return Ok(()),
                Err(error) => patience.wait(&self.shared, run, error.into()).await?,
            }
        }
    }

    /// Turns redirects and canonical addresses into aliases, unless they go astray.
    async fn follow(
        &mut self,
        run: &Arc<Run>,
        handled: &mut Handled,
        found: &mut Vec<Found>,
    ) -> Result<(), WriteError> {
        let (target, is_redirect) = match &handled.verdict {
            Verdict::Redirect(target) => (target.clone(), true),
            Verdict::Page(page) => match &page.canonical {
                Some(canonical) => (canonical.clone(), false),
                None => return Ok(()),
            },
            Verdict::Plain(_) => return Ok(()),
        };
        let alias = alias(run, &handled.item, &target, is_redirect);
        let crawldb = self.shared.deps.ledger.crawldb();
        let notes = self.crawls.entry(run.crawl.id.clone()).or_default();
        let to = (&alias.sighting.id, &target);
        match notes.redirects.follow(crawldb, run, &handled.item.id, to).await? {
            Ok(()) => {
                let outcome = settled(Disposition::Alias(alias.sighting.id.clone()));
                handled.verdict = Verdict::Plain(Box::new(outcome));
                if run.bounds.admit(&target, alias.sighting.depth) {
                    found.push(alias);
                }
            }
            Err(astray) if is_redirect => handled.verdict = self.escalate(&astray),
            Err(_) => release_canonical(&mut handled.verdict),
        }
        Ok(())
    }

    fn escalate(&self, astray: &crate::redirects::Astray) -> Verdict {
        let at = self.shared.options.clock.now();
        let error = ItemError {
            kind: ItemErrorKind::Redirect,
            message: astray.to_string(),
            at,
        };
        Verdict::Plain(Box::new(Outcome::Failed {
            error,
            retry_after: None,
            retryable: false,
        }))
    }

    /// Stores contents and extracts; where that fails, the attempts have failed and come again.
    async fn archive(&self, handled: Vec<Handled>) -> Vec<Attempt> {
        let (mut contents, mut extracts) = (Vec::new(), Vec::new());
        let mut open = Vec::with_capacity(handled.len());
        for Handled { item, verdict, .. } in handled {
            open.push((item, shelve(verdict, &mut contents, &mut extracts)));
        }
        let begun = Instant::now();
        let archive = &self.shared.deps.archive;
        let stored = tokio::try_join!(
            archive.put_bundle(Kind::Content, contents),
            archive.put_bundle(Kind::Extract, extracts),
        );
        self.shared.metrics.stage("archive", begun.elapsed());
        match stored {
            Ok((contents, extracts)) => label(open, contents, extracts),
            Err(error) => self.unarchived(open, &error),
        }
    }

    fn unarchived(&self, open: Vec<(Item, Shelved)>, error: &ArchiveError) -> Vec<Attempt> {
        tracing::error!(%error, "contents could not be archived");
        let at = self.shared.options.clock.now();
        let message = format!("the content could not be archived: {}", with_causes(error));
        let error = ItemError {
            kind: ItemErrorKind::Internal,
            message,
            at,
        };
        let failed = || Outcome::Failed {
            error: error.clone(),
            retry_after: None,
            retryable: true,
        };
        let attempt = |(item, shelved)| match shelved {
            Shelved::Outcome(outcome) => Attempt {
                item,
                outcome: *outcome,
            },
            Shelved::Page(_) => Attempt {
                item,
                outcome: failed(),
            },
        };
        open.into_iter().map(attempt).collect()
    }

    /// Tells the crawl database about pages that the crawl has not met, and the log about those that became due.
    async fn sight(&mut self, run: &Arc<Run>, found: Vec<Found>) -> Result<(), WriteError> {
        let found = incremental::unknown(&self.shared, run, found).await?;
        let notes = self.crawls.entry(run.crawl.id.clone()).or_default();
        let fresh = choose(run, &mut notes.queries, found);
        let sightings: Vec<_> = fresh.iter().map(|found| found.sighting.clone()).collect();
        if sightings.is_empty() {
            return Ok(());
        }
        let now = self.shared.options.clock.now();
        let mut patience = Patience::default();
        let seen = loop {
            match self.shared.deps.ledger.sight(&run.held(), &sightings, now).await {
                Ok(seen) => break seen,
                Err(error) => patience.wait(&self.shared, run, error.into()).await?,
            }
        };
        let due: Vec<&Sighting> = sightings
            .iter()
            .zip(&seen)
            .filter(|(_, seen)| **seen != Seen::Known)
            .map(|(sighting, _)| sighting)
            .collect();
        for sighting in &due {
            self.shared.metrics.found(origin(run, sighting));
        }
        run.items.fetch_add(due.len() as u64, Ordering::AcqRel);
        // The log tells it too, but not while a crashed member of the group still holds the partition.
        let scopes: FxHashSet<&str> = due.iter().map(|sighting| sighting.scope.as_str()).collect();
        scopes.into_iter().for_each(|scope| run.wake(&self.shared, scope));
        let mut met = run.met();
        fresh.iter().for_each(|found| met.insert(found.print));
        Ok(())
    }

    /// Writes what came of the items. What was taken before an error is stale when it is tried again, and told by the
    /// intent that was left.
    async fn settle(&mut self, run: &Arc<Run>, attempts: Vec<Attempt>) -> Result<(), WriteError> {
        if attempts.is_empty() {
            return Ok(());
        }
        for attempt in &attempts {
            if let Outcome::Failed { error, .. } = &attempt.outcome {
                self.shared.metrics.error(error.kind);
            }
        }
        let (ledger, now) = (&self.shared.deps.ledger, self.shared.options.clock.now());
        let retry = &run.source.settings.retry;
        let mut patience = Patience::default();
        let finished = loop {
            let mut jitter = || self.jitter.next();
            let crawl = run.held();
            let settled = ledger.settle(&crawl, attempts.clone(), retry, now, &mut jitter);
            match settled.await {
                Ok(finished) => break finished,
                Err(error) => patience.wait(&self.shared, run, error.into()).await?,
            }
        };
        for finished in &finished {
            self.shared.metrics.transition(name(finished));
            match finished {
                Finished::Retry(item) => run.wake(&self.shared, &item.scope),
                Finished::Applied { .. } | Finished::Deleted { .. } => run.work.wrote_item(),
                _ => {}
            }
        }
        Ok(())
    }
}

impl Gathered {
    fn add(&mut self, delivery: Delivery) {
        match delivery {
            Delivery::Handled(run, handled) => {
                self.items += 1;
                self.bytes += handled.weight();
                self.load_of(run).handled.push(*handled);
            }
            Delivery::Sighted(run, found, done) => {
                self.load_of(run).found.extend(found);
                self.done.push(done);
            }
            Delivery::Close(crawl, done) => {
                self.closed.push(crawl);
                self.done.push(done);
            }
        }
    }

    fn load_of(&mut self, run: Arc<Run>) -> &mut Load {
        let known = self.runs.iter().position(|(known, _)| Arc::ptr_eq(known, &run));
        let at = known.unwrap_or_else(|| {
            self.runs.push((run, Load::default()));
            self.runs.len() - 1
        });
        &mut self.runs[at].1
    }
}

/// The sighting of the item that `item` leads to. Where a start URL leads to another host, that host belongs to the
/// crawl: `example.gov` may live at `www.example.gov`.
fn alias(run: &Run, item: &Item, target: &PageUrl, is_redirect: bool) -> Found {
    if is_redirect && item.depth == 0 && run.bounds.allow(target) {
        run.bounds.add_host(authority(target));
    }
    let mut found = Found::new(&run.prints, target.clone(), Some(item), item.depth);
    found.sighting.alias = Some(item.id.clone());
    found
}

/// A page whose canonical address leads back to it is indexed where it is.
fn release_canonical(verdict: &mut Verdict) {
    if let Verdict::Page(page) = verdict {
        page.canonical = None;
    }
}

/// The pages that the crawl database has to hear of: each once, within the limits of the crawl. A page that another
/// one leads to is always told, for the sake of its aliases.
fn choose(run: &Run, queries: &mut Queries, found: Vec<Found>) -> Vec<Found> {
    let site = &run.source.settings.site;
    let mut room = site.max_pages.saturating_sub(run.items.load(Ordering::Acquire));
    let mut met = run.met();
    let mut chosen = FxHashSet::default();
    let mut fresh = Vec::new();
    for found in found {
        if found.sighting.alias.is_some() {
            fresh.push(found);
            continue;
        }
        if met.contains(found.print) || !chosen.insert(found.print) {
            continue;
        }
        if room == 0 {
            run.cut(format!(
                "{} pages were found, as many as max_pages lets through",
                site.max_pages
            ));
            met.insert(found.print);
            continue;
        }
        if !queries.admit(&run.prints, &found.sighting.url, site.max_queries_per_path) {
            run.incomplete(&found.sighting.scope, too_many_queries(&found.sighting.url, site));
            met.insert(found.print);
            continue;
        }
        room -= 1;
        fresh.push(found);
    }
    fresh
}

fn too_many_queries(url: &PageUrl, site: &SiteSettings) -> String {
    let (path, most) = (url.path(), site.max_queries_per_path);
    format!("{path} has more than {most} queries; raise max_queries_per_path if they are wanted")
}

/// What led to the item.
fn origin(run: &Run, sighting: &Sighting) -> &'static str {
    match (&run.bucket, &sighting.alias, &sighting.parent) {
        (Some(_), ..) => "listing",
        (_, Some(_), _) => "redirect",
        (_, _, Some(_)) => "link",
        _ if sighting.depth == 0 => "start",
        _ => "sitemap",
    }
}

/// What Prometheus calls it.
pub(crate) fn name(finished: &Finished) -> &'static str {
    match finished {
        Finished::Applied { .. } => "applied",
        Finished::Unchanged(_) => "unchanged",
        Finished::Deleted { .. } => "deleted",
        Finished::Retry(_) => "retry",
        Finished::Escalated(_) => "escalated",
        Finished::Released(_) => "released",
        Finished::Stale(_) => "stale",
    }
}
