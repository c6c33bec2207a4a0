//! The row of requests.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use http::HeaderValue;
use origin::{Effect, Fault, Rule};
use retrieve::hooks::{Attempt, FunctionalHook, RequestHead, ResponseHead, Verdict};
use retrieve::{DownloadRequest, ErrorKind, Hooks};

use crate::*;

/// Gives a web server the credentials that the engine knows nothing of.
struct Credentials;

impl FunctionalHook for Credentials {
    fn name(&self) -> &str {
        "credentials"
    }

    fn on_request(&self, request: &mut RequestHead<'_>) {
        let signature = "0".repeat(64);
        let value =
            format!("AWS4-HMAC-SHA256 Credential=friend/x, SignedHeaders=host, Signature={signature}");
        request
            .headers
            .insert("authorization", HeaderValue::from_str(&value).unwrap());
    }
}

#[test]
fn a_header_is_added_to_every_request() {
    let config = Config {
        access_key: Some("friend".into()),
        ..Config::default()
    };
    let origin = Origin::start(config).unwrap();
    origin.put("b", "one", Object::new(0, 3 * CHUNK));
    let address = format!("{}/b/one", origin.url());
    let fetch = |hooks| {
        let folder = tempfile::tempdir().unwrap();
        let asked = DownloadRequest::new(&address).unwrap();
        let report = retriever().save(asked, folder.path(), hooks).unwrap().wait();
        if report.is_complete() {
            check_saved(folder.path(), "one", 0, 3 * CHUNK);
        }
        report
    };
    check_failed(&fetch(Hooks::default()), "one", ErrorKind::Denied);
    let report = fetch(Hooks::default().functional(Credentials));
    assert!(report.is_complete(), "{report:?}");
}

/// Looks at answers, and refuses those for one file.
#[derive(Default)]
struct Answers {
    parts: AtomicU64,
}

impl FunctionalHook for Answers {
    fn name(&self) -> &str {
        "answers"
    }

    fn on_response(&self, response: &ResponseHead<'_>) -> Result<(), String> {
        assert!(response.headers.contains_key("etag"));
        self.parts
            .fetch_add(u64::from(response.status == 206), Ordering::Relaxed);
        match response.meta.name == "bad" {
            true => Err("its server is not ours".into()),
            false => Ok(()),
        }
    }
}

#[test]
fn an_answer_is_refused_by_its_head() {
    let origin = origin_with(&[("bad", 3 * CHUNK), ("good", 3 * CHUNK)]);
    let folder = tempfile::tempdir().unwrap();
    let answers = Arc::new(Answers::default());
    let hooks = Hooks::default().functional(Arc::clone(&answers));
    let report = save(&origin, "s3://b/", folder.path(), hooks);
    check_failed(&report, "bad", ErrorKind::Hook);
    check_saved(folder.path(), "good", 1, 3 * CHUNK);
    assert!(answers.parts.load(Ordering::Relaxed) >= 3);
}

/// Answers every failure alike and counts them.
struct Judge {
    verdict: Verdict,
    failures: AtomicU64,
}

impl FunctionalHook for Judge {
    fn name(&self) -> &str {
        "judge"
    }

    fn on_attempt_failed(&self, attempt: &Attempt<'_>) -> Verdict {
        let before = self.failures.fetch_add(1, Ordering::Relaxed);
        assert_eq!(u64::from(attempt.number), before + 1);
        self.verdict
    }
}

/// The failures that the judge saw of a file whose first two requests meet `fault`, and what became of the run.
fn judged(verdict: Verdict, fault: Fault) -> (u64, Arc<Report>, Duration) {
    let origin = origin_with(&[("one", 1000)]);
    let rules = [1, 2].map(|number| Rule::new("one", Effect::fault(fault, 0)).nth(number));
    origin.set_rules("b", rules.to_vec());
    let judge = Arc::new(Judge {
        verdict,
        failures: AtomicU64::new(0),
    });
    let folder = tempfile::tempdir().unwrap();
    let started = Instant::now();
    let report = save(
        &origin,
        "s3://b/one",
        folder.path(),
        Hooks::default().functional(Arc::clone(&judge)),
    );
    (judge.failures.load(Ordering::Relaxed), report, started.elapsed())
}

#[test]
fn a_failed_attempt_is_judged() {
    let (failures, report, _) = judged(Verdict::Default, Fault::ServerError);
    assert!(failures == 2 && report.is_complete(), "{report:?}");
    let (failures, report, _) = judged(Verdict::GiveUp, Fault::ServerError);
    assert_eq!(failures, 1);
    check_failed(&report, "one", ErrorKind::Server);
    let (failures, report, took) = judged(Verdict::After(Duration::from_millis(150)), Fault::ServerError);
    assert!(failures == 2 && report.is_complete(), "{report:?}");
    assert!(took >= Duration::from_millis(300), "{took:?}");
}

#[test]
fn what_would_be_given_up_is_tried_again() {
    let origin = origin_with(&[("other", 1)]);
    // It appears when it was asked for twice.
    origin.put_after_requests("b", "late", 2, Object::new(5, 100));
    let judge = Judge {
        verdict: Verdict::Retry,
        failures: AtomicU64::new(0),
    };
    let location = retrieve::Location::parse("s3://b/late").unwrap();
    let exactly = retrieve::Source::Object(retrieve::Entry::new(location));
    let asked = DownloadRequest::default().with(exactly).options([
        ("aws_endpoint", origin.url()),
        ("aws_skip_signature", "true".into()),
    ]);
    let folder = tempfile::tempdir().unwrap();
    let report = retriever()
        .save(asked, folder.path(), Hooks::default().functional(judge))
        .unwrap()
        .wait();
    assert!(report.is_complete(), "{report:?}");
    check_saved(folder.path(), "late", 5, 100);
}
