//! Whether answers are right, asked of indexes on a store.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::{Backend, Broken, Case, Entry, Journal, Needs, Numbers, Packages, ensure, packages, same};
use crate::change::{Change, Revision};
use crate::index::{Index, Options};

/// How long a store may need to go on after a fault.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) const ALL: &[(&str, Needs, Case)] = &[
    ("random commands on one index", Needs::Nothing, one_index),
    (
        "random commands on two indexes at once",
        Needs::Shared,
        two_indexes,
    ),
    ("an index that was away catches up", Needs::Forgetful, away),
];

/// Clients that ask random questions at once.
#[derive(Clone, Copy, Debug)]
pub struct Clients {
    /// How many there are at each index.
    pub each: u64,
    /// How many commands each sends, unless it is stopped.
    pub commands: u64,
    /// Decides what they ask.
    pub seed: u64,
}

/// Whom all clients have in common.
struct Common<'s> {
    journal: Mutex<Journal>,
    /// The newest revision that anybody was told of.
    known: AtomicU64,
    stopped: &'s AtomicBool,
}

/// Lets `clients` ask the indexes until all are done or `stopped`, and returns what they asked and were told.
pub fn load_of(clients: Clients, indexes: &[&Index], stopped: &AtomicBool) -> Result<Journal, Broken> {
    let common = Common {
        journal: Mutex::default(),
        known: AtomicU64::new(0),
        stopped,
    };
    thread::scope(|scope| {
        let numbered = (0_u64..).zip(
            indexes
                .iter()
                .flat_map(|index| (0..clients.each).map(move |_| *index)),
        );
        let client = |(number, index)| {
            let common = &common;
            scope.spawn(move || common.client(clients, number, index))
        };
        let threads: Vec<_> = numbered.map(client).collect();
        threads.into_iter().try_for_each(|thread| {
            thread
                .join()
                .unwrap_or_else(|_| Err(Broken("a client panicked".to_owned())))
        })
    })?;
    Ok(common
        .journal
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner))
}

impl Common<'_> {
    /// A client writes only its own packages, which depend on everybody's.
    fn client(&self, clients: Clients, number: u64, index: &Index) -> Result<(), Broken> {
        const NAMES: u64 = 6;
        // However many there are, so that most dependencies are indexed.
        const CLIENTS: u64 = 4;
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        let mut numbers = Numbers::new(clients.seed ^ (number << 32));
        for _ in 0..clients.commands {
            if self.stopped.load(Ordering::Relaxed) {
                break;
            }
            let own = format!("c{number}-{}", numbers.below(NAMES));
            let line = numbers.command(&own, |numbers| {
                format!("c{}-{}", numbers.below(CLIENTS), numbers.below(NAMES))
            });
            let known = Revision(self.known.load(Ordering::SeqCst));
            let reply = runtime.block_on(index.replies(line.as_bytes())).ok();
            let reply = reply.and_then(|replies| replies.into_iter().next());
            if let Some(reply) = &reply {
                self.known.fetch_max(reply.revision.0, Ordering::SeqCst);
            }
            let entry = Entry { line, known, reply };
            self.journal
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .0
                .push(entry);
        }
        Ok(())
    }
}

/// All changes that `index` has seen.
fn all_changes(index: &Index) -> Result<Vec<Change>, Broken> {
    let mut all: Vec<Change> = Vec::new();
    loop {
        let after = all.last().map_or(Revision(0), |change| change.revision);
        let more = index.changes(after)?;
        if more.is_empty() {
            return Ok(all);
        }
        all.extend(more);
    }
}

/// The packages of `index`, once it knows all that others have committed.
fn packages_of(index: &Index) -> Result<Packages, Broken> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let snapshot = runtime.block_on(index.snapshot())?;
    let names = |ids: &[crate::PackageId]| ids.iter().map(|&id| snapshot.name(id).to_owned()).collect();
    let package = |id| (snapshot.name(id).to_owned(), names(snapshot.dependencies(id)));
    Ok(snapshot.packages().map(package).collect())
}

/// Judges all that was answered by what `index` has seen of the others, and what it has by that.
fn judge(journal: &Journal, index: &Index) -> Result<Packages, Broken> {
    let has = packages_of(index)?;
    // A store that keeps nothing answers before its thread has passed the changes on.
    let began = Instant::now();
    while index.sizes().committed != index.sizes().revision && began.elapsed() < PATIENCE {
        thread::yield_now();
    }
    let should = journal.judge(&all_changes(index)?)?;
    same("what an index has", &has, &should)?;
    ensure(!has.is_empty(), || "the clients wrote nothing".to_owned())?;
    Ok(has)
}

/// Runs `clients` on so many indexes at one address, and judges everything that can be judged in the end.
fn check(backend: &Backend, count: usize, clients: Clients) -> Result<(), Broken> {
    let address = (backend.fresh)()?;
    let open = || Ok::<_, Broken>(Index::open(backend.open(&address)?, Options::default())?);
    let indexes = (0..count).map(|_| open()).collect::<Result<Vec<_>, _>>()?;
    let all: Vec<_> = indexes.iter().collect();
    let journal = load_of(clients, &all, &AtomicBool::new(false))?;
    same("commands without an answer", journal.unanswered(), 0)?;
    for index in &indexes {
        judge(&journal, index)?;
    }
    must_be_kept(backend, &address, indexes)
}

/// Closes the indexes and looks whether the store has what they had.
fn must_be_kept(backend: &Backend, address: &str, indexes: Vec<Index>) -> Result<(), Broken> {
    let expected = indexes.first().map(packages_of).transpose()?.unwrap_or_default();
    drop(indexes);
    if !backend.keeps {
        return Ok(());
    }
    same(
        "what is kept",
        packages(&mut *backend.open(address)?)?.1,
        expected,
    )?;
    backend.must_be_whole(address)
}

/// Lets `fault` happen so many times at random moments while clients work on two indexes. Nothing that was acknowledged may be lost,
/// nothing may happen twice, and after each fault work must go on.
pub fn with_faults(
    backend: &Backend,
    times: u64,
    mut fault: impl FnMut() -> Result<(), Broken>,
) -> Result<(), Broken> {
    let address = (backend.fresh)()?;
    let options = Options {
        commit_timeout: PATIENCE,
        ..Options::default()
    };
    let open = || Ok::<_, Broken>(Index::open(backend.open(&address)?, options.clone())?);
    let indexes = [open()?, open()?];
    let stopped = AtomicBool::new(false);
    let clients = Clients {
        each: 3,
        commands: u64::MAX,
        seed: times,
    };
    let journal = thread::scope(|scope| {
        let load = scope.spawn(|| load_of(clients, &[&indexes[0], &indexes[1]], &stopped));
        let mut numbers = Numbers::new(times);
        let faults = (0..times).try_for_each(|_| {
            must_work(&indexes[0])?;
            thread::sleep(Duration::from_micros(numbers.below(20_000)));
            fault()
        });
        let ended = faults.and_then(|()| must_work(&indexes[0]));
        stopped.store(true, Ordering::Relaxed);
        let journal = load
            .join()
            .unwrap_or_else(|_| Err(Broken("a client panicked".to_owned())));
        ended.and(journal)
    })?;
    for index in &indexes {
        judge(&journal, index)?;
    }
    must_be_kept(backend, &address, indexes.into())
}

/// Waits until some more is committed.
fn must_work(index: &Index) -> Result<(), Broken> {
    const CHANGES: u64 = 10;
    let (from, began) = (index.sizes().committed, Instant::now());
    while index.sizes().committed.0 < from.0 + CHANGES {
        ensure(began.elapsed() < PATIENCE, || {
            format!("nothing is committed any more after revision {from}")
        })?;
        thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

fn one_index(backend: &Backend) -> Result<(), Broken> {
    for seed in 1..=3 {
        check(
            backend,
            1,
            Clients {
                each: 4,
                commands: 100,
                seed,
            },
        )?;
    }
    Ok(())
}

fn two_indexes(backend: &Backend) -> Result<(), Broken> {
    for seed in 1..=3 {
        check(
            backend,
            2,
            Clients {
                each: 2,
                commands: 100,
                seed,
            },
        )?;
    }
    Ok(())
}

/// One index misses changes that are pruned before it hears of them.
fn away(backend: &Backend) -> Result<(), Broken> {
    let Some(open) = backend.open_forgetful else {
        return Err(Broken("this store cannot be told to forget".to_owned()));
    };
    let address = (backend.fresh)()?;
    let patient = Options {
        poll_interval: Duration::from_secs(3600),
        ..Options::default()
    };
    let away = Index::open(open(&address)?, patient)?;
    let busy = Index::open(open(&address)?, Options::default())?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    for number in 0..300 {
        let line = format!("INDEX|p{number}|\n");
        runtime.block_on(busy.replies(line.as_bytes()))?;
    }
    same("what it has then", packages_of(&away)?, packages_of(&busy)?)
}
