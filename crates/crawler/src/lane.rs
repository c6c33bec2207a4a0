//! One host of one crawl: claims its due items, and works on so many at a time, so far apart.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crawldb::{CrawldbError, Item, ItemErrorKind, Outcome};
use futures::FutureExt;
use tokio::sync::{Mutex as AsyncMutex, Notify, mpsc};
use tokio_util::sync::CancellationToken;

use crate::deliver::Handled;
use crate::fetch::FetchError;
use crate::gate::Gate;
use crate::page;
use crate::run::{Run, Shared};

/// Items that one claim takes at most.
const MAX_CLAIM: usize = 256;
/// What is claimed lasts about this long where requests are kept apart.
const CLAIM_AHEAD: Duration = Duration::from_secs(5);
/// An idle lane looks into the crawl database this often even if nothing woke it: a lost request delays, never hangs.
const LOOK_AGAIN: Duration = Duration::from_secs(2);
/// And not more often than this.
const SHORTEST_REST: Duration = Duration::from_millis(5);

/// Wakes the tasks of one host, and ends them.
pub(crate) struct Lane {
    woken: Notify,
    pub(crate) gate: Gate,
    /// Nothing new is begun; what was claimed is given back.
    pub(crate) end: CancellationToken,
}

impl Lane {
    /// Starts the lane's tasks: one that claims, and as many workers as the source allows requests at a time.
    pub(crate) fn open(shared: &Arc<Shared>, run: &Arc<Run>, scope: &str) -> Arc<Self> {
        let delay = Duration::from_millis(run.source.settings.site.delay_ms);
        let lane = Arc::new(Self::alone(shared, delay, run.lanes_end.child_token()));
        let workers = run.source.settings.site.concurrency_per_host.clamp(1, 1_000) as usize;
        let (queue, items) = mpsc::channel(if delay.is_zero() { workers * 2 } else { 1 });
        let items = Arc::new(AsyncMutex::new(items));
        shared.metrics.lanes.inc();
        let claimer = Claimer {
            shared: Arc::clone(shared),
            run: Arc::clone(run),
            lane: Arc::clone(&lane),
            scope: scope.to_owned(),
            claim: claim_size(workers, delay),
        };
        run.tasks.spawn(claimer.run(queue));
        for _ in 0..workers {
            let worker = Worker {
                shared: Arc::clone(shared),
                run: Arc::clone(run),
                lane: Arc::clone(&lane),
            };
            run.tasks.spawn(worker.run(Arc::clone(&items)));
        }
        lane
    }

    /// A lane without tasks, for requests that nobody claims: it keeps them apart, leaves a host alone that keeps
    /// failing, and ends with `end`.
    pub(crate) fn alone(shared: &Shared, delay: Duration, end: CancellationToken) -> Self {
        Self {
            woken: Notify::new(),
            gate: Gate::new(shared, delay),
            end,
        }
    }

    pub(crate) fn wake(&self) {
        self.woken.notify_one();
    }
}

fn claim_size(workers: usize, delay: Duration) -> usize {
    let most = (workers * 4).clamp(1, MAX_CLAIM);
    if delay.is_zero() {
        return most;
    }
    let ahead = CLAIM_AHEAD.as_millis() / delay.as_millis().max(1);
    usize::try_from(ahead).unwrap_or(most).clamp(1, most)
}

struct Claimer {
    shared: Arc<Shared>,
    run: Arc<Run>,
    lane: Arc<Lane>,
    scope: String,
    claim: usize,
}

impl Claimer {
    /// Ends with the lane. The workers outlive this task and take what is left in the queue.
    async fn run(self, queue: mpsc::Sender<Item>) {
        while !self.lane.end.is_cancelled() {
            match self.claim().await {
                Ok(items) if items.is_empty() => self.rest().await,
                Ok(items) => self.hand_out(items, &queue).await,
                Err(CrawldbError::Fenced(_)) => {
                    self.run.fenced(&self.shared).await;
                    self.rest().await;
                }
                Err(error) => {
                    tracing::warn!(crawl = %self.run.crawl.id, %error, "no items could be claimed, trying again");
                    self.rest().await;
                }
            }
        }
        self.shared.metrics.lanes.dec();
    }

    /// Never cut off in the middle: the leases would be taken and nobody would know.
    async fn claim(&self) -> Result<Vec<Item>, CrawldbError> {
        let (run, options) = (&self.run, &self.shared.options);
        let lease = options.lease.max(run.request_timeout() * 8);
        let limit = if self.lane.gate.given_up().is_some() {
            MAX_CLAIM
        } else {
            self.claim
        };
        let (crawl, now) = (run.held(), options.clock.now());
        let crawldb = self.shared.deps.ledger.crawldb();
        crawldb
            .claim(&crawl, Some(&self.scope), &run.owner, lease, limit, now)
            .await
    }

    async fn hand_out(&self, items: Vec<Item>, queue: &mpsc::Sender<Item>) {
        self.run.busy.fetch_add(items.len(), Ordering::AcqRel);
        self.shared.working.fetch_add(items.len(), Ordering::AcqRel);
        for item in items {
            queue.send(item).await.ok();
        }
    }

    /// Waits for a request from the log, for the next item that falls due, or a while.
    async fn rest(&self) {
        let crawldb = self.shared.deps.ledger.crawldb();
        let next_due = crawldb.next_due(&self.run.crawl, Some(&self.scope)).await;
        let now = self.shared.options.clock.now();
        let wait = next_due
            .ok()
            .flatten()
            .map_or(LOOK_AGAIN, |due| due.since(now).min(LOOK_AGAIN));
        let woken = tokio::time::timeout(wait.max(SHORTEST_REST), self.lane.woken.notified());
        self.lane.end.run_until_cancelled(woken).await;
    }
}

struct Worker {
    shared: Arc<Shared>,
    run: Arc<Run>,
    lane: Arc<Lane>,
}

impl Worker {
    async fn run(self, items: Arc<AsyncMutex<mpsc::Receiver<Item>>>) {
        loop {
            let Some(item) = items.lock().await.recv().await else {
                return;
            };
            let handled = self.handle(item).await;
            self.shared.deliver(&self.run, handled).await;
        }
    }

    async fn handle(&self, item: Item) -> Handled {
        if self.lane.end.is_cancelled() {
            return Handled::plain(item, Outcome::Released);
        }
        let read = AssertUnwindSafe(page::read(&self.shared, &self.run, &self.lane, &item)).catch_unwind();
        match self.run.kill.run_until_cancelled(read).await {
            Some(Ok((verdict, links))) => Handled { item, verdict, links },
            // Timers panic when the runtime goes down. Without an answer the crawl would wait for this item for ever.
            Some(Err(_)) => Handled::plain(item, self.died()),
            None => Handled::plain(item, Outcome::Released),
        }
    }

    fn died(&self) -> Outcome {
        let error = FetchError::passing(ItemErrorKind::Internal, "the request ended unexpectedly");
        Outcome::Failed {
            error: error.at(self.shared.options.clock.now()),
            retry_after: None,
            retryable: true,
        }
    }
}
