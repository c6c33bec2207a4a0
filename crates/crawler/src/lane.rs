//! One host of one crawl: claims its due items, and works on so many at a time, so far apart.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use crawldb::{CrawldbError, Item, ItemErrorKind, Outcome};
use futures::FutureExt;
use tokio::sync::{Mutex as AsyncMutex, Notify, mpsc};
use tokio::time::Instant;

use crate::breaker::{Breaker, Verdict};
use crate::deliver::Handled;
use crate::fetch::FetchError;
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

/// Wakes the tasks of one host.
pub(crate) struct Lane {
    woken: Notify,
    gate: Mutex<Gate>,
    given_up: OnceLock<FetchError>,
}

/// When the next request may start.
struct Gate {
    next: Instant,
    delay: Duration,
    pause_end: Instant,
    breaker: Breaker,
}

impl Lane {
    /// Starts the lane's tasks: one that claims, and as many workers as the source allows requests at a time.
    pub(crate) fn open(shared: &Arc<Shared>, run: &Arc<Run>, scope: &str) -> Arc<Self> {
        let delay = Duration::from_millis(run.source.site.delay_ms);
        let now = Instant::now();
        let gate = Gate {
            next: now,
            delay,
            pause_end: now,
            breaker: Breaker::new(shared.options.breaker),
        };
        let lane = Arc::new(Self {
            woken: Notify::new(),
            gate: Mutex::new(gate),
            given_up: OnceLock::new(),
        });
        let workers = run.source.site.concurrency_per_host.clamp(1, 1_000) as usize;
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

    pub(crate) fn wake(&self) {
        self.woken.notify_one();
    }

    /// The site asks for this much time between two requests.
    pub(crate) fn keep_apart(&self, delay: Duration) {
        let mut gate = self.gate();
        gate.delay = gate.delay.max(delay);
    }

    fn gate(&self) -> std::sync::MutexGuard<'_, Gate> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for this request's turn; a pause that begins meanwhile moves it.
    pub(crate) async fn turn(&self) {
        loop {
            let start = self.gate().reserve();
            if start > Instant::now() {
                tokio::time::sleep_until(start).await;
            }
            if self.gate().pause_end <= start {
                return;
            }
        }
    }

    /// Why nothing more is asked of this host.
    pub(crate) fn given_up(&self) -> Option<&FetchError> {
        self.given_up.get()
    }

    pub(crate) fn answered(&self) {
        self.gate().breaker.success();
    }

    /// One more failure of the host; too many pause it, and then end it.
    pub(crate) fn failed(&self, shared: &Shared, error: &FetchError) {
        let mut gate = self.gate();
        let asked = error
            .retry_after
            .unwrap_or_default()
            .min(shared.options.breaker.max_pause);
        gate.pause(asked);
        match gate.breaker.failure() {
            Verdict::GoOn => {}
            Verdict::Pause(pause) => {
                shared.metrics.pauses.inc();
                gate.pause(pause);
            }
            Verdict::GiveUp => {
                let message = format!("the host keeps failing and is left alone: {}", error.message);
                self.given_up
                    .get_or_init(|| FetchError::permanent(error.kind, message));
            }
        }
    }
}

impl Gate {
    /// The start of the next request; those after it come later by the delay.
    fn reserve(&mut self) -> Instant {
        let start = self.next.max(Instant::now());
        self.next = start + self.delay.max(self.breaker.spacing());
        start
    }

    fn pause(&mut self, pause: Duration) {
        self.pause_end = self.pause_end.max(Instant::now() + pause);
        self.next = self.next.max(self.pause_end);
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
    /// Ends when the crawl stops. The workers outlive this task and take what is left in the queue.
    async fn run(self, queue: mpsc::Sender<Item>) {
        while !self.run.stop.is_cancelled() {
            match self.claim().await {
                Ok(items) if items.is_empty() => self.rest().await,
                Ok(items) => self.hand_out(items, &queue).await,
                Err(CrawldbError::Fenced(_)) => {
                    self.run
                        .give_up("another process took the crawl over, or it was ended".to_owned());
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
        let limit = if self.lane.given_up().is_some() {
            MAX_CLAIM
        } else {
            self.claim
        };
        let crawldb = &self.shared.deps.crawldb;
        crawldb
            .claim(
                &run.crawl,
                Some(&self.scope),
                &run.owner,
                lease,
                limit,
                options.clock.now(),
            )
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
        let next_due = self
            .shared
            .deps
            .crawldb
            .next_due(&self.run.crawl, Some(&self.scope))
            .await;
        let now = self.shared.options.clock.now();
        let wait = next_due
            .ok()
            .flatten()
            .map_or(LOOK_AGAIN, |due| due.since(now).min(LOOK_AGAIN));
        let woken = tokio::time::timeout(wait.max(SHORTEST_REST), self.lane.woken.notified());
        self.run.stop.run_until_cancelled(woken).await;
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
        if self.run.stop.is_cancelled() {
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
