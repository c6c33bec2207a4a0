//! The index: decides every command under one lock and answers when the store has what the answer says.

mod answers;
mod committer;
mod feed;
mod options;
mod pending;
mod replace;
mod round;
mod state;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::thread;

use tokio::sync::watch;

use crate::change::{Change, Revision};
use crate::command::{Answer, Command, Malformed, Verb, commands};
use crate::counts::{Counts, Tally};
use crate::graph::Graph;
use crate::snapshot::{Copied, Snapshot};
use crate::store::{Store, StoreError};

pub use answers::{BatchError, Reply, Sizes, Unavailable};
use committer::Committer;
use feed::Feed;
pub use feed::FeedError;
pub use options::{Acknowledge, Options};
use round::{Outcome, Round};
use state::State;

/// How much may gather before the committer is called to it when nothing is kept, in bytes.
const UNAWAITED_BYTES: usize = 256 << 10;

/// An open index. Clones are handles of the same one; the store is closed when the last is gone.
#[derive(Clone)]
pub struct Index {
    shared: Arc<Shared>,
    _committer: Arc<Committer>,
}

impl fmt::Debug for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Index")
            .field("store", &self.shared.store_name)
            .finish_non_exhaustive()
    }
}

/// What the handles and the committer have in common.
pub(crate) struct Shared {
    state: RwLock<State>,
    /// Only the committer appends, and nobody waits for the state with it.
    feed: Mutex<Feed>,
    options: Options,
    counts: Counts,
    committed: watch::Sender<Revision>,
    committer: std::sync::OnceLock<thread::Thread>,
    store_name: &'static str,
    is_shared: bool,
    is_kept: bool,
    is_writable: bool,
    /// Whether answers wait for commits.
    waits: bool,
}

/// How an attempt to execute commands ended.
enum Attempt {
    /// The answers may leave.
    Done,
    /// The answers may leave when this round is confirmed.
    Wait(Arc<Round>),
    /// Nothing was tried: too much waits already for this round.
    Full(Arc<Round>),
    Lost(Unavailable),
}

impl Index {
    /// Loads what `store` holds and begins to answer.
    pub fn open(mut store: Box<dyn Store>, options: Options) -> Result<Self, StoreError> {
        let loaded = store.load()?;
        let state = State::new(&loaded, store.is_kept())?;
        let shared = Arc::new(Shared {
            committed: watch::Sender::new(loaded.revision),
            state: RwLock::new(state),
            feed: Mutex::new(Feed::new(loaded.revision, options.feed_bytes)),
            counts: Counts::default(),
            committer: std::sync::OnceLock::new(),
            store_name: store.name(),
            is_shared: store.is_shared(),
            is_kept: store.is_kept(),
            is_writable: store.is_writable(),
            waits: store.is_kept() && (store.is_shared() || options.acknowledge == Acknowledge::Committed),
            options,
        });
        let committer = Committer::start(store, &shared)?;
        Ok(Self {
            shared,
            _committer: Arc::new(committer),
        })
    }

    /// Executes lines of the protocol in order, each with its newline, and appends an answer for each to `answers`. Answers are
    /// only there when they may leave. After an error `answers` is as it was, and each line may have been executed or not.
    pub async fn lines(&self, lines: &[u8], answers: &mut Vec<u8>) -> Result<(), Unavailable> {
        let commands = parsed(lines);
        let mark = answers.len();
        let decided = self.until_decided(|| {
            answers.truncate(mark);
            self.shared.attempt(&commands, |_, _, answer, _| {
                answers.extend_from_slice(answer.line());
            })
        });
        let decided = decided.await;
        if decided.is_err() {
            answers.truncate(mark);
        }
        decided
    }

    /// As [`Index::lines`], with revisions and reasons.
    pub async fn replies(&self, lines: &[u8]) -> Result<Vec<Reply>, Unavailable> {
        let commands = parsed(lines);
        let cycles = self.shared.options.cycles;
        let mut replies = Vec::new();
        self.until_decided(|| {
            replies.clear();
            self.shared
                .attempt(&commands, |graph, command, answer, revision| {
                    let refused = command.as_ref().ok().filter(|_| answer == Answer::Fail);
                    replies.push(Reply {
                        answer,
                        revision,
                        refusal: refused.and_then(|command| graph.explain(command, cycles)),
                        malformed: command.as_ref().err().copied(),
                    });
                })
        })
        .await?;
        Ok(replies)
    }

    /// Does all INDEX and REMOVE lines as one change, or nothing; see [`Refusal`](crate::Refusal). Returns the revision after it.
    pub async fn batch(&self, lines: &[u8]) -> Result<Revision, BatchError> {
        self.batch_at(None, lines).await
    }

    /// As [`Index::batch`], but only when `base`, where it is given, is still the newest revision.
    pub async fn batch_at(&self, base: Option<Revision>, lines: &[u8]) -> Result<Revision, BatchError> {
        let batch = changes_of(lines)?;
        if !self.shared.is_writable {
            return Err(BatchError::ReadOnly);
        }
        let mut done = Ok(Revision(0));
        self.until_decided(|| self.shared.attempt_batch(base, &batch, &mut done))
            .await?;
        done
    }

    /// All packages of the newest revision, for questions about the graph.
    pub async fn snapshot(&self) -> Result<Arc<Snapshot>, Unavailable> {
        let mut taken = None;
        self.until_decided(|| self.shared.attempt_snapshot(&mut taken))
            .await?;
        let Some(taken) = taken else {
            return Err(Unavailable("no snapshot was taken".into()));
        };
        Ok(match taken {
            state::Taken::Known(snapshot) => snapshot,
            state::Taken::Copied(copied) => self.shared.remember(Snapshot::from(copied)),
        })
    }

    /// Committed changes behind `after`, oldest first, up to about a megabyte; nothing when there are none yet.
    pub fn changes(&self, after: Revision) -> Result<Vec<Change>, FeedError> {
        self.shared.feed().behind(after)
    }

    /// Which history [`Index::changes`] tells: another number after every opening, and after the index began anew with what its store
    /// holds. Revisions of different histories say nothing about each other.
    pub fn history(&self) -> u64 {
        self.shared.feed().history()
    }

    /// Waits until everything that was acknowledged before is committed, and so in [`Index::changes`]: also where
    /// answers do not wait for commits.
    pub async fn settled(&self) -> Result<(), Unavailable> {
        self.until_decided(|| {
            let state = self.shared.read();
            match &state.lost {
                Some(why) => Attempt::Lost(why.clone()),
                None => self.shared.confirmation(&state, false),
            }
        })
        .await
    }

    /// The newest committed revision, as it moves.
    pub fn committed(&self) -> watch::Receiver<Revision> {
        self.shared.committed.subscribe()
    }

    /// What has been counted since the index was opened.
    pub fn counts(&self) -> &Counts {
        &self.shared.counts
    }

    /// Sizes as they are now.
    pub fn sizes(&self) -> Sizes {
        let state = self.shared.read();
        Sizes {
            packages: state.graph.packages(),
            edges: state.graph.edges(),
            revision: state.applied,
            committed: state.committed,
            pending_bytes: state.pending_bytes(),
            feed_bytes: self.shared.feed().bytes(),
            reported_cycles: state.graph.reported_cycles(),
            lost: state.lost.clone(),
        }
    }

    /// The store's word for itself.
    pub fn store_name(&self) -> &'static str {
        self.shared.store_name
    }

    /// Whether INDEX and REMOVE are taken.
    pub fn is_writable(&self) -> bool {
        self.shared.is_writable
    }

    async fn until_decided(&self, mut attempt: impl FnMut() -> Attempt) -> Result<(), Unavailable> {
        loop {
            match attempt() {
                Attempt::Done => return Ok(()),
                Attempt::Lost(why) => return Err(why),
                Attempt::Full(round) => {
                    let _ = round.outcome().await;
                }
                Attempt::Wait(round) => match round.outcome().await {
                    Outcome::Confirmed => return Ok(()),
                    Outcome::TakenBack => {}
                    Outcome::Failed(why) => return Err(why.clone()),
                },
            }
        }
    }
}

impl Shared {
    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn feed(&self) -> MutexGuard<'_, Feed> {
        self.feed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Decides commands in order under one lock and shows each with its answer.
    fn attempt<'c>(
        &self,
        commands: &[Result<Command<'c>, Malformed>],
        mut each: impl FnMut(&Graph, &Result<Command<'c>, Malformed>, Answer, Revision),
    ) -> Attempt {
        let is_read = |command: &Result<Command, Malformed>| {
            !self.is_writable
                || !matches!(
                    command,
                    Ok(Command {
                        verb: Verb::Index | Verb::Remove,
                        ..
                    })
                )
        };
        if commands.iter().all(is_read) {
            return self.attempt_reads(commands, each);
        }
        let mut state = self.write();
        if let Some(refused) = self.refuse(&state) {
            return refused;
        }
        let mut tally = Tally::default();
        for command in commands {
            let answer = match command {
                Ok(command) => state.execute(command, self.options.cycles),
                Err(_) => Answer::Error,
            };
            tally.count(command, answer);
            each(&state.graph, command, answer, state.applied);
        }
        self.counts.add(&tally);
        self.ticket(&state, true)
    }

    fn attempt_reads<'c>(
        &self,
        commands: &[Result<Command<'c>, Malformed>],
        mut each: impl FnMut(&Graph, &Result<Command<'c>, Malformed>, Answer, Revision),
    ) -> Attempt {
        let state = self.read();
        if let Some(why) = &state.lost {
            return Attempt::Lost(why.clone());
        }
        let mut tally = Tally::default();
        for command in commands {
            let answer = match command {
                Ok(command) if command.verb == Verb::Query => state.graph.query(command.package).answer,
                // Without a right to write nothing else can be done, and no other word of the protocol says so.
                Ok(_) | Err(_) => Answer::Error,
            };
            tally.count(command, answer);
            each(&state.graph, command, answer, state.applied);
        }
        self.counts.add(&tally);
        self.ticket(&state, false)
    }

    fn attempt_batch(
        &self,
        base: Option<Revision>,
        batch: &[Command],
        done: &mut Result<Revision, BatchError>,
    ) -> Attempt {
        let mut state = self.write();
        if let Some(refused) = self.refuse(&state) {
            return refused;
        }
        *done = match base {
            Some(base) if base != state.applied => Err(BatchError::Moved {
                newest: state.applied,
            }),
            _ => match state.apply(batch, self.options.cycles) {
                Ok(()) => Ok(state.applied),
                Err(refusals) => Err(BatchError::Refused(refusals)),
            },
        };
        self.ticket(&state, true)
    }

    fn attempt_snapshot(&self, taken: &mut Option<state::Taken>) -> Attempt {
        let state = self.read();
        if let Some(why) = &state.lost {
            return Attempt::Lost(why.clone());
        }
        *taken = Some(match state.known_snapshot() {
            Some(snapshot) => state::Taken::Known(snapshot),
            None => state::Taken::Copied(Copied::new(&state.graph, state.applied)),
        });
        self.ticket(&state, false)
    }

    fn refuse(&self, state: &State) -> Option<Attempt> {
        if let Some(why) = &state.lost {
            return Some(Attempt::Lost(why.clone()));
        }
        let is_full = state.pending_bytes() >= self.options.pending_bytes;
        is_full.then(|| {
            self.wake();
            // With all of it on its way, nothing may ever begin the open round.
            Attempt::Full(Arc::clone(state.in_flight.as_ref().unwrap_or(&state.open)))
        })
    }

    /// What has to happen before an answer that was just decided may leave.
    fn ticket(&self, state: &State, has_written: bool) -> Attempt {
        if !self.waits {
            // To memory the committer comes by itself soon; a switch of threads for each change would cost more than the change.
            if self.is_kept || state.pending_bytes() >= UNAWAITED_BYTES {
                self.wake();
            }
            return Attempt::Done;
        }
        self.confirmation(state, has_written)
    }

    /// The round that has everything which is applied, as far as one is needed.
    fn confirmation(&self, state: &State, has_written: bool) -> Attempt {
        let must_ask =
            self.is_shared && (has_written || state.confirmed_at.elapsed() > self.options.staleness);
        if must_ask || !state.pending.is_empty() {
            state.ask();
            self.wake();
            return Attempt::Wait(Arc::clone(&state.open));
        }
        match &state.in_flight {
            Some(round) => Attempt::Wait(Arc::clone(round)),
            None => Attempt::Done,
        }
    }

    fn wake(&self) {
        if let Some(committer) = self.committer.get() {
            committer.unpark();
        }
    }

    /// Keeps a snapshot for the next who asks at the same revision.
    fn remember(&self, snapshot: Snapshot) -> Arc<Snapshot> {
        let snapshot = Arc::new(snapshot);
        self.write().remember(&snapshot);
        snapshot
    }
}

/// The commands of a batch, which only change.
fn changes_of(lines: &[u8]) -> Result<Vec<Command<'_>>, BatchError> {
    let command = |(at, command): (usize, Result<_, Malformed>)| {
        let reason = match command {
            Err(malformed) => malformed.to_string(),
            Ok(Command {
                verb: Verb::Query, ..
            }) => "a batch has only INDEX and REMOVE".to_owned(),
            Ok(command) => return Ok(command),
        };
        Err(BatchError::Line { line: at + 1, reason })
    };
    commands(lines).enumerate().map(command).collect()
}

fn parsed(lines: &[u8]) -> Vec<Result<Command<'_>, Malformed>> {
    let mut parsed = Vec::with_capacity(memchr::memchr_iter(b'\n', lines).count());
    parsed.extend(commands(lines));
    parsed
}
