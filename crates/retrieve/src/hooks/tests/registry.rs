use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode};

use super::{Notes, control, end, finish_file, meta, run};
use crate::control::Control;
use crate::entry::{Entry, FileMeta};
use crate::error::{Error, ErrorKind};
use crate::hooks::*;
use crate::outcome::{Done, Outcome, Report};
use crate::stats::Stats;
use crate::{FileEnd, Location};

/// Notes each call under its name, answers what it is told to, and panics at one call.
#[derive(Default)]
struct Spy {
    name: &'static str,
    notes: Notes,
    panics_at: &'static str,
    select: Option<Select>,
    file_start: Option<FileStart>,
    plan: Option<Plan>,
    verdict: Option<Verdict>,
    refuses_at: &'static str,
}

impl Spy {
    fn new(name: &'static str, notes: &Notes) -> Self {
        let notes = notes.clone();
        Self {
            name,
            notes,
            ..Self::default()
        }
    }

    fn call(&self, what: &str) {
        self.notes.add(format!("{} {what}", self.name));
        assert!(self.panics_at != what, "at {what}");
    }

    fn approve(&self, what: &str) -> Result<(), String> {
        self.call(what);
        if self.refuses_at == what {
            Err("no".to_owned())
        } else {
            Ok(())
        }
    }
}

impl StatefulHook for Spy {
    fn name(&self) -> &str {
        self.name
    }

    fn on_run_start(&mut self, _start: &RunStart, _control: &Control) {
        self.call("run_start");
    }

    fn on_tick(&mut self, _stats: &Stats, _control: &Control) {
        self.call("tick");
    }

    fn on_list_page(&mut self, page: &ListPage<'_>) {
        self.call(&format!("list_page of {}", page.entries.len()));
    }

    fn select(&mut self, entry: &mut Entry) -> Select {
        self.call("select");
        entry.name.push_str(self.name);
        self.select.unwrap_or(Select::Keep)
    }

    fn on_file_start(&mut self, _meta: &FileMeta) -> FileStart {
        self.call("file_start");
        self.file_start.clone().unwrap_or(FileStart::Fetch)
    }

    fn plan_chunks(&mut self, _meta: &FileMeta, default: &Plan) -> Option<Plan> {
        self.call(&format!("plan {default:?}"));
        self.plan.clone()
    }

    fn ordered(&mut self, _meta: &FileMeta) -> Option<Box<dyn OrderedHook>> {
        self.call("ordered");
        None
    }

    fn verify(&mut self, _meta: &FileMeta, _done: &Done, _path: Option<&Path>) -> Result<(), String> {
        self.approve("verify")
    }

    fn commit(&mut self, _meta: &FileMeta, _temporary: &Path, _path: &Path) -> Result<(), String> {
        self.approve("commit")
    }

    fn on_file_end(&mut self, _meta: &FileMeta, _outcome: &Outcome) {
        self.call("file_end");
    }

    fn on_run_end(&mut self, _report: &Report) -> Result<(), String> {
        self.approve("run_end")
    }
}

impl FunctionalHook for Spy {
    fn name(&self) -> &str {
        self.name
    }

    fn on_request(&self, request: &mut RequestHead<'_>) {
        self.call("request");
        request
            .headers
            .append("x-seen", HeaderValue::from_static(self.name));
    }

    fn on_response(&self, _response: &ResponseHead<'_>) -> Result<(), String> {
        self.approve("response")
    }

    fn on_attempt_failed(&self, _attempt: &Attempt<'_>) -> Verdict {
        self.call("attempt_failed");
        self.verdict.unwrap_or(Verdict::Default)
    }

    fn on_bytes(&self, _meta: &FileMeta, _offset: u64, _bytes: &[u8]) -> Result<(), String> {
        self.approve("bytes")
    }

    fn on_chunk(&self, _chunk: &ChunkTiming<'_>) -> Result<(), String> {
        self.approve("chunk")
    }

    fn verify(&self, _meta: &FileMeta, _done: &Done, _path: Option<&Path>) -> Result<(), String> {
        self.approve("verify")
    }
}

/// Two stateful spies, `change` made to the first, and their notes.
fn two(change: impl FnOnce(&mut Spy)) -> (Registry, Notes) {
    let notes = Notes::default();
    let mut first = Spy::new("a", &notes);
    change(&mut first);
    (
        run(Hooks::default().stateful(first).stateful(Spy::new("b", &notes))),
        notes,
    )
}

/// Two functional spies.
fn two_functional(change: impl FnOnce(&mut Spy)) -> (Registry, Notes) {
    let notes = Notes::default();
    let mut first = Spy::new("a", &notes);
    change(&mut first);
    (
        run(Hooks::default()
            .functional(first)
            .functional(Spy::new("b", &notes))),
        notes,
    )
}

fn check_hook_error<T: std::fmt::Debug>(result: Result<T, Error>, message: &str) {
    let error = result.unwrap_err();
    assert_eq!(
        (error.kind(), error.to_string().as_str()),
        (ErrorKind::Hook, message)
    );
}

fn entry() -> Entry {
    Entry::new(Location::parse("s3://bucket/x").unwrap())
}

#[test]
fn the_calls_about_the_run_come_in_the_order_of_registration() {
    let (registry, notes) = two(|_| {});
    registry.run_start(&RunStart::default(), &control());
    registry.list_page(&[entry(), entry()]);
    registry.tick(&Stats::default(), &control());
    end(&registry);
    let expected = [
        "a run_start",
        "b run_start",
        "a list_page of 2",
        "b list_page of 2",
        "a tick",
        "b tick",
        "a run_end",
        "b run_end",
    ];
    assert_eq!(notes.take(), expected);
}

#[test]
fn select_changes_an_entry_and_the_first_skip_ends_the_chain() {
    let mut kept = entry();
    let (registry, _) = two(|_| {});
    assert_eq!(registry.select(&mut kept).unwrap(), Select::Keep);
    assert_eq!(kept.name, "xab");

    let (registry, notes) = two(|first| first.select = Some(Select::Skip));
    assert_eq!(registry.select(&mut entry()).unwrap(), Select::Skip);
    assert_eq!(notes.take(), ["a select"]);
}

#[test]
fn the_first_answer_to_a_file_start_that_is_not_fetch_wins() {
    for answer in [FileStart::Skip, FileStart::UseCache, FileStart::Range(10..20)] {
        let (registry, notes) = two(|first| first.file_start = Some(answer.clone()));
        assert_eq!(registry.file_start(&meta(0, "x")).unwrap(), answer);
        assert_eq!(notes.take(), ["a file_start"]);
    }
    let (registry, notes) = two(|_| {});
    assert_eq!(registry.file_start(&meta(0, "x")).unwrap(), FileStart::Fetch);
    assert_eq!(notes.take().len(), 2);
}

#[test]
fn a_range_lies_in_its_file() {
    for range in [990..1001, std::ops::Range { start: 20, end: 10 }] {
        let (registry, _) = two(|first| first.file_start = Some(FileStart::Range(range.clone())));
        let message = format!("hook a asks for {range:?}, which does not lie in the file");
        check_hook_error(registry.file_start(&meta(0, "x")), &message);
    }
}

#[test]
fn a_plan_goes_through_all_hooks() {
    let (registry, notes) = two(|first| first.plan = Some(Plan::Cuts(vec![100, 900])));
    let plan = registry.plan(&meta(0, "x"), Plan::Every(500)).unwrap();
    assert_eq!(plan, Plan::Cuts(vec![100, 900]));
    assert_eq!(notes.take(), ["a plan Every(500)", "b plan Cuts([100, 900])"]);
}

#[test]
fn a_plan_that_cannot_be_carried_out_is_refused() {
    let cases = [
        (Plan::Every(0), "plans ranges of no bytes"),
        (Plan::Cuts(vec![5, 5]), "plans cuts that do not grow"),
        (
            Plan::Cuts(vec![0]),
            "cuts at 0, which does not lie inside of 0..1000",
        ),
        (
            Plan::Cuts(vec![5, 1000]),
            "cuts at 1000, which does not lie inside of 0..1000",
        ),
    ];
    for (plan, fault) in cases {
        let (registry, _) = two(|first| first.plan = Some(plan));
        check_hook_error(
            registry.plan(&meta(0, "x"), Plan::Every(500)),
            &format!("hook a {fault}"),
        );
    }
}

#[test]
fn a_request_gets_the_headers_of_all_hooks() {
    let (registry, _) = two_functional(|_| {});
    let mut headers = HeaderMap::new();
    let meta = meta(0, "x");
    let mut request = RequestHead {
        meta: &meta,
        range: None,
        headers: &mut headers,
    };
    registry.request(&mut request).unwrap();
    let seen: Vec<_> = headers.get_all("x-seen").iter().collect();
    assert_eq!(seen, ["a", "b"]);
}

/// Makes each functional call that may refuse a file.
fn functional_calls(registry: &Registry) -> [(&'static str, Result<(), Error>); 4] {
    let meta = meta(0, "x");
    let headers = HeaderMap::new();
    let response = ResponseHead {
        meta: &meta,
        status: StatusCode::OK,
        headers: &headers,
        first_byte: Duration::ZERO,
    };
    let chunk = ChunkTiming {
        meta: &meta,
        range: 0..10,
        first_byte: Duration::ZERO,
        total: Duration::ZERO,
        attempts: 1,
    };
    [
        ("response", registry.response(&response)),
        ("bytes", registry.bytes(&meta, 0, b"abc")),
        ("chunk", registry.chunk(&chunk)),
        ("verify", registry.verify(&meta, &Done::default(), None)),
    ]
}

#[test]
fn a_refusal_or_panic_of_a_functional_hook_is_an_error_of_its_file_and_ends_the_chain() {
    for what in ["response", "bytes", "chunk", "verify"] {
        let (refusing, _) = two_functional(|first| first.refuses_at = what);
        let (panicking, notes) = two_functional(|first| first.panics_at = what);
        for (call, result) in functional_calls(&refusing) {
            match call == what {
                true => check_hook_error(result, "hook a refuses it: no"),
                false => result.unwrap(),
            }
        }
        for (call, result) in functional_calls(&panicking) {
            match call == what {
                true => check_hook_error(result, &format!("hook a panicked: at {what}")),
                false => result.unwrap(),
            }
        }
        assert!(!notes.take().contains(&format!("b {what}")));
    }
}

#[test]
fn the_first_verdict_that_is_not_the_default_wins() {
    let error = Error::new(ErrorKind::Stalled, "no byte came");
    let meta = meta(0, "x");
    let attempt = Attempt {
        meta: &meta,
        range: 0..10,
        number: 1,
        error: &error,
    };
    let (registry, notes) = two_functional(|first| first.verdict = Some(Verdict::GiveUp));
    assert_eq!(registry.attempt_failed(&attempt).unwrap(), Verdict::GiveUp);
    assert_eq!(notes.take(), ["a attempt_failed"]);
    let (registry, notes) = two_functional(|_| {});
    assert_eq!(registry.attempt_failed(&attempt).unwrap(), Verdict::Default);
    assert_eq!(notes.take().len(), 2);
}

#[test]
fn a_file_is_verified_and_committed_by_all_or_refused_by_one() {
    let notes = Notes::default();
    let hooks = Hooks::default()
        .functional(Spy::new("parallel", &notes))
        .stateful(Spy::new("serial", &notes));
    let registry = run(hooks);
    let meta = meta(0, "x");
    registry.verify(&meta, &Done::default(), None).unwrap();
    registry
        .commit(&meta, Path::new("x.part"), Path::new("x"))
        .unwrap();
    assert_eq!(
        notes.take(),
        ["serial verify", "parallel verify", "serial commit"]
    );

    let (registry, notes) = two(|first| first.refuses_at = "commit");
    let refused = registry.commit(&meta, Path::new("x.part"), Path::new("x"));
    check_hook_error(refused, "hook a refuses it: no");
    assert_eq!(notes.take(), ["a commit"]);
}

#[test]
fn a_panic_in_a_decision_fails_that_file_alone() {
    let (registry, notes) = two(|first| first.panics_at = "verify");
    let first = finish_file(&registry, &meta(0, "x"), None);
    assert!(matches!(&first, Outcome::Failed(error) if error.to_string() == "hook a panicked: at verify"));
    assert_eq!(notes.take(), ["a verify", "a file_end", "b file_end"]);
    registry.file_start(&meta(1, "y")).unwrap();
    let report = end(&registry);
    assert_eq!(report.hooks[0].failure, None);
    let ended = FileEnd {
        meta: meta(0, "x"),
        outcome: first,
    };
    assert!(matches!(ended.outcome, Outcome::Failed(_)));
}

#[test]
fn after_a_panic_in_a_call_about_the_run_a_hook_is_only_asked_about_files() {
    let (registry, notes) = two(|first| first.panics_at = "tick");
    registry.tick(&Stats::default(), &control());
    registry.tick(&Stats::default(), &control());
    finish_file(&registry, &meta(0, "x"), None);
    let report = end(&registry);
    let expected = [
        "a tick",
        "b tick",
        "b tick",
        "a verify",
        "b verify",
        "b file_end",
        "b run_end",
    ];
    assert_eq!(notes.take(), expected);
    assert_eq!(
        report.hooks[0].failure.as_deref(),
        Some("hook a panicked: at tick")
    );
    assert_eq!(report.hooks[1].failure, None);
}

#[test]
fn what_a_hook_could_not_finish_is_in_the_report() {
    let (registry, _) = two(|first| first.refuses_at = "run_end");
    assert_eq!(end(&registry).hooks[0].failure.as_deref(), Some("no"));
}

#[test]
fn calls_and_time_are_accounted_in_the_order_of_registration() {
    struct Slow;
    impl FunctionalHook for Slow {
        fn name(&self) -> &str {
            "slow"
        }
        fn on_bytes(&self, _meta: &FileMeta, _offset: u64, _bytes: &[u8]) -> Result<(), String> {
            let started = std::time::Instant::now();
            while started.elapsed() < Duration::from_millis(2) {}
            Ok(())
        }
    }
    let notes = Notes::default();
    let hooks = Hooks::default()
        .stateful(Spy::new("a", &notes))
        .functional(Slow)
        .functional(Spy::new("c", &notes));
    assert_eq!(format!("{hooks:?}"), r#"["a", "slow", "c"]"#);
    let registry = run(hooks);
    for offset in 0..3 {
        registry.bytes(&meta(0, "x"), offset, b"abc").unwrap();
    }
    let [a, slow, c] = end(&registry).hooks.try_into().unwrap();
    assert_eq!((a.calls, slow.calls, c.calls), (1, 3, 3));
    assert!(
        slow.nanoseconds >= 6_000_000 && c.nanoseconds < slow.nanoseconds,
        "{slow:?} {c:?}"
    );
}

/// Doubles each byte, and says `.` at the end; or panics.
struct Doubling(&'static str);

impl StatefulHook for Doubling {
    fn name(&self) -> &str {
        "doubling"
    }

    fn ordered(&mut self, meta: &FileMeta) -> Option<Box<dyn OrderedHook>> {
        (meta.name != "plain").then(|| Box::new(Self(self.0)) as _)
    }
}

impl OrderedHook for Doubling {
    fn on_ordered(&mut self, bytes: Bytes) -> Result<Bytes, String> {
        match self.0 {
            "panic" => panic!("out of order"),
            "refuse" => Err("not these".to_owned()),
            _ => Ok(bytes
                .iter()
                .flat_map(|byte| [*byte, *byte])
                .collect::<Vec<_>>()
                .into()),
        }
    }

    fn finish(&mut self) -> Result<Bytes, String> {
        Ok(Bytes::from_static(b"."))
    }
}

#[test]
fn ordered_hooks_are_a_chain_and_the_end_goes_through_it() {
    let registry = run(Hooks::default().stateful(Doubling("")).stateful(Doubling("")));
    let mut chain = registry.ordered(&meta(0, "x")).unwrap();
    assert_eq!(chain.push(Bytes::from_static(b"ab")).unwrap(), "aaaabbbb");
    assert_eq!(chain.push(Bytes::new()).unwrap(), "");
    assert_eq!(chain.finish().unwrap(), "...");
    assert!(registry.ordered(&meta(1, "plain")).unwrap().is_empty());
}

#[test]
fn an_ordered_hook_that_refuses_or_panics_fails_its_file() {
    let messages = [
        ("refuse", "hook doubling refuses it: not these"),
        ("panic", "hook doubling panicked: out of order"),
    ];
    for (what, message) in messages {
        let registry = run(Hooks::default().stateful(Doubling(what)));
        let mut chain = registry.ordered(&meta(0, "x")).unwrap();
        check_hook_error(chain.push(Bytes::from_static(b"ab")), message);
    }
}

#[test]
fn a_tick_passes_a_hook_that_is_busy() {
    struct Busy(std::sync::mpsc::Receiver<()>, std::sync::mpsc::Sender<()>);
    impl StatefulHook for Busy {
        fn name(&self) -> &str {
            "busy"
        }
        fn verify(&mut self, _meta: &FileMeta, _done: &Done, _path: Option<&Path>) -> Result<(), String> {
            self.1.send(()).unwrap();
            self.0.recv().map_err(|error| error.to_string())
        }
    }
    let (go_on, wait) = std::sync::mpsc::channel();
    let (began, begins) = std::sync::mpsc::channel();
    let registry = run(Hooks::default().stateful(Busy(wait, began)));
    std::thread::scope(|scope| {
        let file = scope.spawn(|| registry.verify(&meta(0, "x"), &Done::default(), None));
        begins.recv().unwrap();
        registry.tick(&Stats::default(), &control());
        go_on.send(()).unwrap();
        file.join().unwrap().unwrap();
    });
    assert_eq!(end(&registry).hooks[0].calls, 2);
}
