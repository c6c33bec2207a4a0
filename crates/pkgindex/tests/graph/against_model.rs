use std::collections::BTreeSet;

use pkgindex::testkit::model::{Model, Request};
use pkgindex::{Answer, BatchError, Cycles, Index, Latest, Reason, Refusal, Revision};
use proptest::prelude::*;

use crate::{edges_of, now, opened};

const NAMES: [&str; 7] = ["a", "A", "b", "..", "gtk+", "c/../b", "d"];

#[derive(Clone, Debug)]
enum Step {
    Lines(Vec<String>),
    Batch(Vec<String>),
}

fn line() -> impl Strategy<Value = String> {
    let name = || prop::sample::select(&NAMES[..]);
    let names = prop::collection::vec(name(), 0..4).prop_map(|names| names.join(","));
    let verb = prop_oneof![4 => Just("INDEX"), 2 => Just("REMOVE"), 1 => Just("QUERY"), 1 => Just("index")];
    (verb, name(), names).prop_map(|(verb, package, names)| format!("{verb}|{package}|{names}"))
}

fn change() -> impl Strategy<Value = String> {
    line().prop_filter("a batch only changes", |line| !line.starts_with(['Q', 'i']))
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => prop::collection::vec(line(), 1..6).prop_map(Step::Lines),
        1 => prop::collection::vec(change(), 0..6).prop_map(Step::Batch),
    ]
}

fn cycles() -> impl Strategy<Value = Cycles> {
    prop::sample::select(vec![Cycles::Literal, Cycles::Reject, Cycles::Report])
}

struct Pair {
    index: Index,
    model: Model,
    cycles: Cycles,
}

impl Pair {
    fn lines(&mut self, lines: &[String]) {
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        let replies = now(self.index.replies(text.as_bytes())).unwrap();
        assert_eq!(replies.len(), lines.len());
        for (line, reply) in lines.iter().zip(replies) {
            let answer = self.model.answer(line.as_bytes(), self.cycles);
            assert_eq!(reply.answer, answer, "to {line} in {:?}", self.model);
            assert_eq!(reply.malformed.is_some(), answer == Answer::Error);
            // The model is unchanged by what is refused, so it can still be asked why.
            let refused = (answer == Answer::Fail).then(|| self.reason(line));
            assert_eq!(reply.refusal, refused, "to {line} in {:?}", self.model);
        }
    }

    /// Why a line that was told FAIL was.
    fn reason(&self, line: &str) -> Refusal {
        let request = Request::parse(line.as_bytes()).unwrap();
        let listed = |names: BTreeSet<String>| (names.iter().cloned().collect(), names.len());
        let missing = self.model.missing(&request.dependencies);
        let reason = match request.verb.as_str() {
            "QUERY" => Reason::NotIndexed,
            "INDEX" if missing.is_empty() => Reason::Cycle,
            "INDEX" => {
                let (names, count) = listed(missing);
                Reason::Missing(names, count)
            }
            _ => {
                let mut dependents = self.model.dependents(&request.package);
                dependents.remove(&request.package);
                let (names, count) = listed(dependents);
                Reason::Dependents(names, count)
            }
        };
        Refusal {
            package: request.package,
            reason,
        }
    }

    fn batch(&mut self, lines: &[String]) {
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        let before = self.index.sizes().revision;
        let after = now(self.index.batch(text.as_bytes()));
        let model_before = self.model.clone();
        let is_done = self.model.batch(text.as_bytes(), self.cycles);
        match after {
            Ok(revision) => {
                assert!(is_done, "{lines:?} in {model_before:?}");
                let has_changed = u64::from(self.model != model_before);
                assert_eq!(revision, Revision(before.0 + has_changed));
            }
            Err(BatchError::Refused(refusals)) => {
                assert!(
                    !is_done && !refusals.is_empty(),
                    "{lines:?} in {model_before:?}: {refusals:?}"
                );
            }
            Err(other) => panic!("{other}"),
        }
    }

    fn check(&self) {
        let snapshot = now(self.index.snapshot()).unwrap();
        assert_eq!(&edges_of(&snapshot), self.model.packages());
        let sizes = self.index.sizes();
        let edges: usize = self.model.packages().values().map(BTreeSet::len).sum();
        assert_eq!(
            (sizes.packages, sizes.edges),
            (self.model.packages().len(), edges)
        );
        assert_eq!((snapshot.len(), snapshot.edges()), (sizes.packages, edges));
        assert_eq!(snapshot.revision(), sizes.revision);
    }

    /// The changes, replayed, lead to the same state, and nothing else happened.
    fn check_changes(&self) {
        let newest = self.index.sizes().revision;
        while *self.index.committed().borrow() < newest {
            std::thread::yield_now();
        }
        let changes = self.index.changes(Revision(0)).unwrap();
        let revisions = changes.iter().map(|change| change.revision.0);
        assert!(revisions.eq(1..=newest.0));
        let (mut replayed, mut latest) = (Model::new(), Latest::new());
        for change in &changes {
            let before = replayed.clone();
            assert!(replayed.batch(&change.lines, self.cycles), "{change:?}");
            assert_ne!(replayed, before, "{change:?} changes nothing");
            latest.apply(&change.lines).unwrap();
        }
        assert_eq!(replayed, self.model);
        let mut loaded = Model::new();
        assert!(loaded.batch(&latest.into_lines(), Cycles::Literal));
        assert_eq!(loaded, self.model);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn the_index_is_what_the_model_is(cycles in cycles(), steps in prop::collection::vec(step(), 1..40)) {
        let mut pair = Pair { index: opened(cycles), model: Model::new(), cycles };
        for step in &steps {
            match step {
                Step::Lines(lines) => pair.lines(lines),
                Step::Batch(lines) => pair.batch(lines),
            }
            pair.check();
        }
        pair.check_changes();
    }
}

#[test]
fn a_list_of_reasons_is_cut_and_counted() {
    let index = opened(Cycles::Literal);
    let names: Vec<_> = (0..30).map(|at| format!("n{at:02}")).collect();
    let line = format!("INDEX|p|{}\n", names.join(","));
    let replies = now(index.replies(line.as_bytes())).unwrap();
    let refusal = replies[0].refusal.as_ref().unwrap();
    assert_eq!(refusal.reason, Reason::Missing(names[..20].to_vec(), 30));
    assert!(refusal.to_string().ends_with("n19 and 10 more"), "{refusal}");
}
