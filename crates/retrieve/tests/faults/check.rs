use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use origin::Fault;
use retrieve::hooks::StatefulHook;
use retrieve::{Error, ErrorKind, FileMeta, Outcome, Report};

use crate::scenario::{Scenario, Sink, Wanted};

/// What a reader got of one file.
pub(crate) struct Read {
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
    /// It came to its end.
    pub(crate) is_whole: bool,
    pub(crate) error: Option<Error>,
}

impl Read {
    pub(crate) fn begun(name: String) -> Self {
        Self {
            name,
            bytes: Vec::new(),
            is_whole: false,
            error: None,
        }
    }

    pub(crate) fn failed(name: String, error: Error) -> Self {
        Self {
            error: Some(error),
            ..Self::begun(name)
        }
    }
}

/// How files ended, as a hook sees it.
#[derive(Clone, Default)]
pub(crate) struct Ends(Arc<Mutex<BTreeMap<String, Vec<Outcome>>>>);

struct EndsHook(Ends);

impl Ends {
    pub(crate) fn hook(&self) -> impl StatefulHook + 'static {
        EndsHook(self.clone())
    }
}

impl StatefulHook for EndsHook {
    fn name(&self) -> &str {
        "ends"
    }

    fn on_file_end(&mut self, meta: &FileMeta, outcome: &Outcome) {
        let mut ends = self.0.0.lock().unwrap();
        ends.entry(meta.name.clone()).or_default().push(outcome.clone());
    }
}

/// A run that has ended.
pub(crate) struct Run<'a> {
    pub(crate) scenario: &'a Scenario,
    pub(crate) report: &'a Report,
    pub(crate) read: &'a [Read],
    pub(crate) ends: Option<&'a Ends>,
    pub(crate) folder: &'a Path,
    pub(crate) versions: &'a dyn Fn(&Wanted) -> Vec<Vec<u8>>,
}

impl Run<'_> {
    pub(crate) fn check(&self) {
        self.check_counts();
        self.check_failures();
        for wanted in &self.scenario.files {
            let versions = (self.versions)(wanted);
            self.check_saved(wanted, &versions);
            self.check_read(wanted, &versions);
        }
    }

    fn seed(&self) -> u64 {
        self.scenario.seed
    }

    fn is_cancelled(&self) -> bool {
        self.scenario.cancel_after.is_some()
    }

    /// Every file ends once, and nothing is held at the end.
    fn check_counts(&self) {
        let (seed, stats) = (self.seed(), &self.report.stats);
        if self.scenario.sink == Sink::Save {
            assert_eq!(
                stats.window_bytes, 0,
                "seed {seed}: bytes of the budget are lost: {stats:?}"
            );
        }
        assert_eq!(stats.files_open, 0, "seed {seed}");
        let ended = stats.files_done + stats.files_failed + stats.files_cancelled;
        let files = self.scenario.files.len() as u64;
        assert!(ended <= files, "seed {seed}: {stats:?}");
        if !self.is_cancelled() && self.scenario.pieces.is_none() {
            assert_eq!(
                (ended, stats.files_cancelled),
                (files, 0),
                "seed {seed}: {:?}",
                self.report
            );
            assert!(
                self.report.error.is_none(),
                "seed {seed}: {:?}",
                self.report.error
            );
        }
        if let Some(ends) = self.ends {
            let ends = ends.0.lock().unwrap();
            assert!(
                ends.values().all(|ends| ends.len() == 1),
                "seed {seed}: a file ended twice: {ends:?}"
            );
            assert_eq!(ends.len() as u64, ended, "seed {seed}: {ends:?}");
        }
    }

    /// Only what the faults explain goes wrong.
    fn check_failures(&self) {
        let faults = &self.scenario.faults;
        let explained: HashSet<ErrorKind> = faults
            .iter()
            .flat_map(|(fault, _)| explained(*fault))
            .copied()
            .collect();
        let must_succeed = faults.iter().all(|(fault, _)| is_overcome(*fault));
        for (meta, error) in &self.report.failed {
            let text = format!("seed {}: {}: {:?} {error}", self.seed(), meta.name, error.kind());
            assert!(
                explained.contains(&error.kind()),
                "{text}: not explained by {faults:?}"
            );
            assert!(!must_succeed, "{text}: can be overcome: {faults:?}");
        }
    }

    fn check_saved(&self, wanted: &Wanted, versions: &[Vec<u8>]) {
        let path = self.folder.join(&wanted.key);
        let Ok(bytes) = std::fs::read(&path) else {
            let is_due =
                self.scenario.sink != Sink::Read && !self.is_cancelled() && self.scenario.pieces.is_none();
            let has_failed = self.report.failed.iter().any(|(meta, _)| meta.name == wanted.key);
            assert!(
                !is_due || has_failed,
                "seed {}: {} was not saved",
                self.seed(),
                wanted.key
            );
            return;
        };
        assert!(
            versions.contains(&bytes),
            "seed {}: {} was saved wrong",
            self.seed(),
            wanted.key
        );
    }

    fn check_read(&self, wanted: &Wanted, versions: &[Vec<u8>]) {
        let read: Vec<_> = self.read.iter().filter(|read| read.name == wanted.key).collect();
        assert!(
            read.len() <= 1,
            "seed {}: {} was handed out twice",
            self.seed(),
            wanted.key
        );
        let Some(read) = read.first() else {
            let is_due =
                self.scenario.sink != Sink::Save && !self.is_cancelled() && self.scenario.pieces.is_none();
            assert!(!is_due, "seed {}: {} was not handed out", self.seed(), wanted.key);
            return;
        };
        if read.is_whole {
            assert!(
                versions.contains(&read.bytes),
                "seed {}: {} was read wrong",
                self.seed(),
                wanted.key
            );
        } else if self
            .scenario
            .faults
            .iter()
            .all(|(fault, _)| *fault != Fault::Corrupt)
        {
            let is_part = versions.iter().any(|version| version.starts_with(&read.bytes));
            assert!(
                is_part,
                "seed {}: what was read of {} is wrong",
                self.seed(),
                wanted.key
            );
        }
    }
}

/// Nothing but files lies in a folder.
pub(crate) fn nothing_is_left(folder: &Path, seed: u64) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name();
        assert!(
            !name.to_string_lossy().starts_with('.'),
            "seed {seed}: {name:?} is left"
        );
    }
}

/// What a file may fail with when it meets a fault again and again.
fn explained(fault: Fault) -> &'static [ErrorKind] {
    use ErrorKind::{Changed, Damaged, Server, Stalled, Unreachable};
    match fault {
        Fault::Reset | Fault::Close => &[Server, Unreachable],
        Fault::Stall | Fault::Silent => &[Stalled, Server],
        Fault::ChangedEtag | Fault::Overwrite => &[Changed],
        Fault::Corrupt => &[Damaged],
        Fault::WrongTotal => &[Server, Changed, Damaged],
        _ => &[Server],
    }
}

/// Whether another attempt helps, and the next ones, because each range meets few faults.
fn is_overcome(fault: Fault) -> bool {
    !matches!(
        fault,
        Fault::ChangedEtag | Fault::Overwrite | Fault::Corrupt | Fault::WrongTotal
    )
}

/// What all runs came to.
#[derive(Default)]
pub(crate) struct Tally {
    done: AtomicU64,
    failed: AtomicU64,
    cancelled: AtomicU64,
    retries: AtomicU64,
    requests: AtomicU64,
    splits: AtomicU64,
    hedges: AtomicU64,
}

impl Tally {
    pub(crate) fn count(&self, report: &Report) {
        let stats = &report.stats;
        let counts = [
            (&self.done, stats.files_done),
            (&self.failed, stats.files_failed),
            (&self.cancelled, stats.files_cancelled),
            (&self.retries, stats.retries),
            (&self.requests, stats.requests),
            (&self.splits, stats.splits),
            (&self.hedges, stats.hedges),
        ];
        for (sum, count) in counts {
            sum.fetch_add(count, Ordering::Relaxed);
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let get = |count: &AtomicU64| count.load(Ordering::Relaxed);
        write!(
            f,
            "{} files done, {} failed, {} cancelled; {} requests, {} retries, {} splits, {} hedges",
            get(&self.done),
            get(&self.failed),
            get(&self.cancelled),
            get(&self.requests),
            get(&self.retries),
            get(&self.splits),
            get(&self.hedges)
        )
    }
}
