//! Replays that run in the background: one of each source at a time, and one of all of them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crawldb::IndexName;
use ledger::{Replay, Replayed};
use model::{SourceId, Timestamp};

use crate::clock;
use crate::problem::Chain;
use crate::state::App;

/// What is replayed.
#[derive(Clone, Debug)]
pub(crate) enum Work {
    /// One source.
    Source(Replay),
    /// All of them, into a new index that is put in force then.
    All(IndexName),
}

/// The last replay of each source, and the last one of all.
#[derive(Debug, Default)]
pub(crate) struct Replays(Mutex<BTreeMap<Option<SourceId>, Job>>);

/// A replay, and how far it is.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    /// None for all.
    pub(crate) source: Option<SourceId>,
    pub(crate) into: Option<IndexName>,
    pub(crate) started_at: Timestamp,
    pub(crate) ended_at: Option<Timestamp>,
    pub(crate) done: Replayed,
    /// None while it runs.
    pub(crate) outcome: Option<Outcome>,
}

/// How a replay ended.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    Done,
    Failed(String),
}

impl Replays {
    /// The replay of the source, or of all where none is named: the one that runs, or the last one.
    pub(crate) fn of(&self, source: Option<&SourceId>) -> Option<Job> {
        self.jobs().get(&source.cloned()).cloned()
    }

    /// The indexes that replays wrote.
    pub(crate) fn targets(&self) -> Vec<IndexName> {
        self.jobs().values().filter_map(|job| job.into.clone()).collect()
    }

    /// Begins a replay; none where the same one runs. It ends with the server, and may be begun again.
    pub(crate) fn begin(&self, app: &Arc<App>, work: Work) -> Option<Job> {
        let (source, into) = match &work {
            Work::Source(replay) => (Some(replay.source.clone()), replay.into.clone()),
            Work::All(index) => (None, Some(index.clone())),
        };
        let job = Job {
            source: source.clone(),
            into,
            started_at: clock::now(),
            ended_at: None,
            done: Replayed::default(),
            outcome: None,
        };
        {
            let mut jobs = self.jobs();
            if jobs.get(&source).is_some_and(|job| job.outcome.is_none()) {
                return None;
            }
            jobs.insert(source.clone(), job.clone());
        }
        tokio::spawn(run(Arc::clone(app), source, work));
        Some(job)
    }

    fn change(&self, source: &Option<SourceId>, change: impl FnOnce(&mut Job)) {
        if let Some(job) = self.jobs().get_mut(source) {
            change(job);
        }
    }

    fn jobs(&self) -> MutexGuard<'_, BTreeMap<Option<SourceId>, Job>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn run(app: Arc<App>, source: Option<SourceId>, work: Work) {
    let progress = |done: &Replayed| app.replays.change(&source, |job| job.done = *done);
    let replaying = async {
        match &work {
            Work::Source(replay) => app.ledger.replay(replay, &progress).await,
            Work::All(index) => app.ledger.rebuild(index, &progress).await,
        }
    };
    let (done, outcome) = match app.stop.run_until_cancelled(replaying).await {
        Some(Ok(done)) => (Some(done), Outcome::Done),
        Some(Err(error)) => {
            tracing::error!(?source, error = %Chain(&error), "a replay failed");
            (None, Outcome::Failed(error.to_string()))
        }
        None => (
            None,
            Outcome::Failed("the server stopped; begin it again".to_owned()),
        ),
    };
    app.replays.change(&source, |job| {
        job.done = done.unwrap_or(job.done);
        job.ended_at = Some(clock::now());
        job.outcome = Some(outcome);
    });
}
