use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::http::HttpOptions;
use crate::http::metrics::{Metrics, Samples};
use crate::http::problem::Problem;
use crate::http::slow::SlowLog;
use crate::index::Index;
use crate::snapshot::Snapshot;

/// What every request can use.
#[derive(Debug)]
pub(super) struct App {
    pub(super) index: Index,
    pub(super) options: HttpOptions,
    pub(super) metrics: Metrics,
    pub(super) slow: Arc<SlowLog>,
    /// Cancelled when the server stops; who waits for something then answers.
    pub(super) stop: CancellationToken,
    questions: Arc<Semaphore>,
    transfers: Arc<Semaphore>,
}

impl App {
    pub(super) fn new(index: Index, options: HttpOptions, more: Samples, stop: CancellationToken) -> Self {
        let slow = Arc::new(SlowLog::new(options.slow, options.slow_kept));
        Self {
            metrics: Metrics::new(&index, &slow, more),
            questions: slots(options.questions),
            transfers: slots(options.transfers),
            index,
            options,
            slow,
            stop,
        }
    }

    /// Room for one more dump or load.
    pub(super) fn transfer(&self) -> Result<OwnedSemaphorePermit, Problem> {
        slot(&self.transfers, "dumps and loads")
    }

    /// Does long work on the newest snapshot, off the threads that answer.
    pub(super) async fn with_snapshot<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Arc<Snapshot>) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let (slot, index, runtime) = (
            slot(&self.questions, "questions")?,
            self.index.clone(),
            Handle::current(),
        );
        let worked = tokio::task::spawn_blocking(move || {
            let _slot = slot;
            // Even to take a snapshot is long work when the index is large.
            work(&runtime.block_on(index.snapshot())?)
        });
        worked
            .await
            .unwrap_or_else(|error| Err(Problem::broken("the question", &error)))
    }
}

/// Room for `count`, at least one.
pub(super) fn slots(count: usize) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(count.clamp(1, Semaphore::MAX_PERMITS)))
}

fn slot(slots: &Arc<Semaphore>, of: &str) -> Result<OwnedSemaphorePermit, Problem> {
    let busy = |_| {
        Problem::busy(format!(
            "too many {of} are being worked on; ask again in a second"
        ))
    };
    Arc::clone(slots).try_acquire_owned().map_err(busy)
}
