//! Histories of real indexes, and of one with a mistake that both checkers must find.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use pkgindex::store::MemoryStore;
use pkgindex::testkit::histories::{Operation, Recorder, linearize, replay};
use pkgindex::testkit::model::Model;
use pkgindex::testkit::random::Random;
use pkgindex::testkit::unreliable::{Call, Fate, Kept};
use pkgindex::{Answer, Change, Cycles, Index, Options, Revision};

/// Clients of one universe of packages; universes have nothing in common, so each is judged alone.
const CLIENTS: usize = 4;
const LINES_EACH: usize = 14;

/// What all clients of all universes were told.
struct Recorded {
    universes: Vec<Vec<Operation>>,
    /// The same on one clock.
    all: Vec<Operation>,
}

impl Recorded {
    fn of(recorder: Recorder, universes: usize) -> Self {
        let all = recorder.into_history();
        let of = |universe| {
            let ours = all
                .iter()
                .filter(|operation| operation.client / CLIENTS == universe);
            ours.cloned().collect()
        };
        Self {
            universes: (0..universes).map(of).collect(),
            all,
        }
    }

    fn first_that_has_no_order(&self) -> Option<String> {
        let judged = |history: &Vec<Operation>| linearize(&Model::new(), history, Cycles::Literal).err();
        self.universes.iter().find_map(judged).map(|bad| bad.to_string())
    }

    fn contradiction(&self, changes: &[Change]) -> Option<String> {
        replay(changes, &self.all, Cycles::Literal)
            .err()
            .map(|bad| bad.to_string())
    }

    /// Both checkers have nothing to say.
    #[track_caller]
    fn check(&self, changes: &[Change]) {
        assert_eq!(None, self.first_that_has_no_order());
        assert_eq!(None, self.contradiction(changes));
    }
}

fn lines_of(universe: usize, random: &mut Random) -> Vec<String> {
    let packages = ["a", "b", "c", "d", "e"].map(|name| format!("{name}{universe}"));
    (0..LINES_EACH).map(|_| random.line(&packages)).collect()
}

/// Clients of every universe ask the indexes, each client one of them after the other.
async fn record(indexes: &[Index], universes: usize, seed: u64) -> Recorded {
    let recorder = Arc::new(Recorder::new());
    let mut random = Random::new(seed);
    let mut clients = Vec::new();
    for client in 0..universes * CLIENTS {
        let lines = lines_of(client / CLIENTS, &mut random);
        let indexes = indexes.to_vec();
        let recorder = Arc::clone(&recorder);
        clients.push(tokio::spawn(async move {
            for (at, line) in lines.into_iter().enumerate() {
                let index = &indexes[(client + at) % indexes.len()];
                let invoked = recorder.now();
                let replies = index.replies(format!("{line}\n").as_bytes()).await;
                let told = replies
                    .ok()
                    .map(|replies| (replies[0].answer, Some(replies[0].revision)));
                recorder.record(client, line, invoked, told);
            }
        }));
    }
    for client in clients {
        client.await.unwrap();
    }
    Recorded::of(Arc::into_inner(recorder).unwrap(), universes)
}

/// A store that is slow, and fails in `percent` of a hundred calls.
fn fates(seed: u64, percent: u32) -> impl FnMut(Call) -> Fate + Send {
    let mut random = Random::new(seed);
    move |call| {
        let delay = Duration::from_micros(random.number() % 300);
        let fates: &[Fate] = match call {
            Call::Load | Call::Tend => return Fate::Works,
            Call::Commit(_) => &[Fate::Fails, Fate::FailsAfter, Fate::FailsBefore, Fate::Forgets],
            Call::Changes => &[Fate::Fails, Fate::StopsEarly],
        };
        std::thread::sleep(delay);
        match random.chance(percent) {
            true => *random.pick(fates).unwrap(),
            false => Fate::Works,
        }
    }
}

fn opened(kept: &Kept, indexes: u64, percent: u32, options: &Options) -> Vec<Index> {
    let open = |seed| Index::open(Box::new(kept.store(fates(seed, percent))), options.clone()).unwrap();
    (0..indexes).map(open).collect()
}

/// Waits until nothing is on its way and returns everything that is kept.
async fn settled(kept: &Kept, indexes: &[Index]) -> Vec<Change> {
    for index in indexes {
        while index.snapshot().await.is_err() {}
    }
    kept.settle();
    kept.changes()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn one_index_in_memory() {
    let options = Options {
        feed_bytes: 64 << 20,
        ..Options::default()
    };
    let index = Index::open(Box::new(MemoryStore::new()), options).unwrap();
    let recorded = record(std::slice::from_ref(&index), 40, 1).await;
    let mut committed = index.committed();
    committed
        .wait_for(|&revision| revision == index.sizes().revision)
        .await
        .unwrap();
    let changes = index.changes(Revision(0)).unwrap();
    recorded.check(&changes);
    assert!(changes.len() > 200, "only {} changes", changes.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn three_indexes_on_one_store() {
    let kept = Kept::new();
    let indexes = opened(&kept, 3, 0, &Options::default());
    let recorded = record(&indexes, 12, 2).await;
    recorded.check(&settled(&kept, &indexes).await);
    let conflicts: u64 = indexes.iter().map(|index| index.counts().conflicts()).sum();
    assert!(conflicts > 0, "nobody was ever faster, so nothing was tried");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn three_indexes_on_a_store_that_fails() {
    let options = Options {
        commit_timeout: Duration::ZERO,
        ..Options::default()
    };
    let kept = Kept::new();
    let indexes = opened(&kept, 3, 30, &options);
    let recorded = record(&indexes, 12, 3).await;
    recorded.check(&settled(&kept, &indexes).await);
    assert!(
        recorded.all.iter().any(|operation| operation.outcome.is_none()),
        "nothing failed"
    );
}

/// With `staleness`, what one index has answered another need not know. Both checkers must see it, or they see nothing.
#[tokio::test]
async fn stale_reads_are_noticed() {
    let options = Options {
        staleness: Duration::from_secs(3600),
        poll_interval: Duration::from_secs(3600),
        ..Options::default()
    };
    let kept = Kept::new();
    let indexes = opened(&kept, 2, 0, &options);
    let recorder = Recorder::new();
    for (client, index, line) in [(0, 0, "INDEX|a|"), (1, 1, "QUERY|a|")] {
        let invoked = recorder.now();
        let replies = indexes[index]
            .replies(format!("{line}\n").as_bytes())
            .await
            .unwrap();
        recorder.record(
            client,
            line,
            invoked,
            Some((replies[0].answer, Some(replies[0].revision))),
        );
    }
    let recorded = Recorded::of(recorder, 1);
    let bad = recorded.first_that_has_no_order().unwrap();
    assert!(bad.contains("QUERY|a| -> FAIL at 0"), "{bad}");
    let bad = recorded.contradiction(&kept.changes()).unwrap();
    assert!(bad.contains("though 1 was known before"), "{bad}");
}

/// Reads may be as old as `staleness` and no older: an index that learns others' changes a few at a time has not seen the newest by that.
#[tokio::test]
async fn what_is_learned_in_part_is_not_fresh() {
    let kept = Kept::new();
    let staleness = Duration::from_millis(200);
    let options = Options {
        staleness,
        poll_interval: Duration::from_millis(20),
        ..Options::default()
    };
    let writer = opened(&kept, 1, 0, &Options::default()).remove(0);
    let few_at_a_time = |call| match call {
        Call::Changes => Fate::StopsEarly,
        _ => Fate::Works,
    };
    let reader = Index::open(Box::new(kept.store(few_at_a_time)), options).unwrap();
    let lines: String = (0..200).map(|at| format!("INDEX|p{at}|\n")).collect();
    writer.replies(lines.as_bytes()).await.unwrap();
    tokio::time::sleep(staleness * 2).await;
    let replies = reader.replies(b"QUERY|p199|\n").await.unwrap();
    assert_eq!(
        replies[0].answer,
        Answer::Ok,
        "at revision {}",
        replies[0].revision
    );
}

/// An index that looks under one lock and writes under another.
#[derive(Default)]
struct Careless {
    packages: Mutex<BTreeMap<String, BTreeSet<String>>>,
    changes: Mutex<Vec<Change>>,
}

impl Careless {
    async fn reply(&self, line: &str) -> (Answer, Revision) {
        let fields: Vec<_> = line.split('|').collect();
        let package = fields[1].to_owned();
        let names: BTreeSet<_> = fields[2]
            .split(',')
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
            .collect();
        let is_ok = {
            let packages = self.packages.lock().unwrap();
            match fields[0] {
                "INDEX" => names.iter().all(|name| packages.contains_key(name)),
                "QUERY" => packages.contains_key(&package),
                _ => !packages
                    .iter()
                    .any(|(name, needs)| *name != package && needs.contains(&package)),
            }
        };
        // Between the look and the act others have their turn.
        tokio::task::yield_now().await;
        let mut packages = self.packages.lock().unwrap();
        let mut changes = self.changes.lock().unwrap();
        let before = packages.get(&package).cloned();
        match fields[0] {
            "INDEX" if is_ok => packages.insert(package.clone(), names),
            "REMOVE" if is_ok => packages.remove(&package),
            _ => None,
        };
        let revision = Revision(changes.len() as u64);
        if packages.get(&package) == before.as_ref() {
            return (if is_ok { Answer::Ok } else { Answer::Fail }, revision);
        }
        changes.push(Change {
            revision: revision.next(),
            origin: 0,
            lines: Bytes::from(format!("{line}\n")),
        });
        (Answer::Ok, revision.next())
    }
}

#[tokio::test]
async fn check_and_act_under_two_locks_are_found_by_both() {
    let careless = Arc::new(Careless::default());
    let recorder = Arc::new(Recorder::new());
    let mut random = Random::new(4);
    let universes = 20;
    let clients = (0..universes * CLIENTS).map(|client| {
        let lines = lines_of(client / CLIENTS, &mut random);
        let (careless, recorder) = (Arc::clone(&careless), Arc::clone(&recorder));
        tokio::spawn(async move {
            for line in lines {
                let invoked = recorder.now();
                let (answer, revision) = careless.reply(&line).await;
                recorder.record(client, line, invoked, Some((answer, Some(revision))));
            }
        })
    });
    for client in clients.collect::<Vec<_>>() {
        client.await.unwrap();
    }
    let recorded = Recorded::of(Arc::into_inner(recorder).unwrap(), universes);
    assert!(recorded.first_that_has_no_order().is_some());
    let changes = careless.changes.lock().unwrap();
    assert!(recorded.contradiction(&changes).is_some());
}
