//! What the source itself tells, what people decide, and what a crawl missed: the arrows, one by one.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use crawldb::testkit::{sample_crawl, sample_item, sample_sighting};
use crawldb::transition::{LiveTerms, LiveWrite, claim, live, orphan, rule, sight};
use crawldb::{
    Crawl, Decision, Disposition, Finished, Item, ItemError, ItemErrorKind, ItemState, OrphanPolicy, Outcome,
    RetryPolicy, Ruling, Seen,
};
use model::{ArchiveKey, Checksum, CrawlId, Rank, Timestamp, Version};

use ItemState::{
    Deleted, Deleting, Escalated, Failure, Ignored, InFlight, OrphanCandidate, Pending, Success, Unchanged,
};

const HOST: &str = "a.example";
const RETRY: RetryPolicy = RetryPolicy {
    max_retries: 1,
    initial_ms: 1_000,
    max_ms: 60_000,
    multiplier: 2.0,
};

fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis)
}

/// The crawl that runs; an older one is over.
fn crawl() -> Crawl {
    sample_crawl("docs", 10_000)
}

fn over() -> Crawl {
    sample_crawl("docs", 1_000)
}

fn live_version(millis: u64) -> Version {
    Version::new(at(millis), Rank::Live, 0)
}

/// An indexed item in this state, last seen by the crawl.
fn item(of: &Crawl, state: ItemState) -> Item {
    let is_read = !matches!(state, Escalated | Failure | Ignored);
    let sample = sample_item(of, HOST, 1, state);
    Item {
        disposition: Some(Disposition::Indexed),
        retry_count: 0,
        orphan: sample
            .orphan
            .filter(|_| matches!(state, OrphanCandidate | Deleting)),
        last_error: sample.last_error.filter(|_| !is_read),
        ruling: None,
        ..sample
    }
}

fn applied(content: &str) -> Outcome {
    Outcome::Applied {
        checksum: Some(Checksum::of(content.as_bytes())),
        disposition: Disposition::Indexed,
        content: None,
        extract: Some(ArchiveKey::new("extract/new").unwrap()),
        etag: None,
        last_modified: None,
    }
}

fn gone() -> Outcome {
    Outcome::Gone { reason: "404".into() }
}

fn failed(retryable: bool) -> Outcome {
    let error = ItemError {
        kind: ItemErrorKind::Server,
        message: "500".into(),
        at: at(20_000),
    };
    Outcome::Failed {
        error,
        retry_after: None,
        retryable,
    }
}

fn unchanged() -> Outcome {
    Outcome::Unchanged {
        etag: None,
        last_modified: None,
    }
}

fn tell(stored: Option<&Item>, version: u64, outcome: Outcome) -> Finished {
    let sighting = sample_sighting(HOST, 1);
    let write = LiveWrite {
        id: sighting.id,
        url: sighting.url,
        scope: sighting.scope,
        version: live_version(version),
        outcome,
    };
    let (source, running) = (crawl().id.source(), [crawl().id]);
    let terms = LiveTerms {
        source: &source,
        configuration: 5,
        running: &running,
        retry: &RETRY,
        now: at(20_000),
        jitter: 1.0,
    };
    live(stored, &write, &terms)
}

/// An answer in short: what became of the item, in which state, of whose crawl, at which version and retry.
fn short(finished: &Finished) -> String {
    let kind = match finished {
        Finished::Applied { .. } => "applied",
        Finished::Unchanged(_) => "unchanged",
        Finished::Deleted {
            was_indexed: true, ..
        } => "deleted indexed",
        Finished::Deleted { .. } => "deleted",
        Finished::Retry(_) => "retry",
        Finished::Escalated(_) => "escalated",
        Finished::Released(_) => "released",
        Finished::Stale(_) => return "stale".into(),
    };
    let item = finished.item().unwrap();
    assert!(item.lease.is_none(), "nobody holds it");
    let whose = match item.crawl.started_at().as_millis() {
        0 => "nobody's",
        1_000 => "the old crawl's",
        _ => "the crawl's",
    };
    let version = item.version.at().as_millis();
    format!(
        "{kind}: {:?}, {whose}, version {version}, retries {}",
        item.state, item.retry_count
    )
}

#[track_caller]
fn check(finished: &Finished, expected: &str) {
    assert_eq!(short(finished), expected);
}

#[test]
fn an_update_settles_an_item_in_any_state() {
    for (state, was_open) in [
        (Pending, true),
        (InFlight, true),
        (Failure, true),
        (Success, false),
        (Unchanged, false),
        (Escalated, false),
        (Ignored, false),
        (OrphanCandidate, false),
        (Deleting, false),
        (Deleted, false),
    ] {
        let stored = item(&crawl(), state);
        let told = tell(Some(&stored), 15_000, applied("new"));
        check(&told, "applied: Success, the crawl's, version 15000, retries 0");
        assert_eq!(told.item().unwrap().orphan, None, "{state:?}");
        check(
            &tell(Some(&stored), 15_000, gone()),
            "deleted indexed: Deleted, the crawl's, version 15000, retries 0",
        );
        let of_old = item(&over(), state);
        check(
            &tell(Some(&of_old), 5_000, applied("new")),
            "applied: Success, the old crawl's, version 5000, retries 0",
        );
        // The crawl is newer than that, and about to read the item.
        let expected = match was_open {
            true => "stale",
            false => "applied: Success, the crawl's, version 9000, retries 0",
        };
        check(&tell(Some(&stored), 9_000, applied("new")), expected);
    }
}

#[test]
fn an_update_that_is_not_newer_is_stale() {
    let stored = Item {
        version: live_version(15_000),
        ..item(&crawl(), Success)
    };
    for version in [14_999, 15_000] {
        check(&tell(Some(&stored), version, applied("new")), "stale");
        check(&tell(Some(&stored), version, gone()), "stale");
        check(&tell(Some(&stored), version, failed(true)), "stale");
    }
    check(&tell(Some(&stored), 15_001, Outcome::Released), "stale");
}

#[test]
fn what_no_crawl_ever_saw_belongs_to_none() {
    let told = tell(None, 15_000, applied("new"));
    check(&told, "applied: Success, nobody's, version 15000, retries 0");
    let item = told.item().unwrap();
    assert_eq!((item.seen_crawl_at, item.configuration), (at(0), 5));
    check(
        &tell(None, 15_000, gone()),
        "deleted: Deleted, nobody's, version 15000, retries 0",
    );
    check(
        &tell(None, 15_000, failed(true)),
        "retry: Failure, nobody's, version 0, retries 1",
    );
    check(
        &tell(None, 15_000, failed(false)),
        "escalated: Escalated, nobody's, version 0, retries 1",
    );
    check(
        &tell(None, 15_000, unchanged()),
        "retry: Failure, nobody's, version 0, retries 1",
    );
}

#[test]
fn a_failure_is_retried_by_a_crawl_that_may_write_the_item_or_by_none() {
    let waiting = |of: &Crawl| Item {
        retry_count: 1,
        ..item(of, Failure)
    };
    check(
        &tell(Some(&waiting(&crawl())), 15_000, failed(true)),
        "escalated: Escalated, the crawl's, version 0, retries 2",
    );
    check(
        &tell(Some(&waiting(&over())), 15_000, failed(true)),
        "retry: Failure, nobody's, version 0, retries 1",
    );
    let nobodys = Item {
        crawl: CrawlId::live(&crawl().id.source()),
        ..waiting(&over())
    };
    check(
        &tell(Some(&nobodys), 15_000, failed(true)),
        "escalated: Escalated, nobody's, version 0, retries 2",
    );
    let beyond = Item {
        version: live_version(12_000),
        ..waiting(&crawl())
    };
    check(
        &tell(Some(&beyond), 15_000, failed(true)),
        "retry: Failure, nobody's, version 12000, retries 1",
    );
}

#[test]
fn a_failure_that_a_person_or_a_newer_crawl_looks_at_anyway_counts_for_nothing() {
    let escalated = tell(Some(&item(&crawl(), Escalated)), 15_000, failed(false));
    check(
        &escalated,
        "escalated: Escalated, the crawl's, version 0, retries 0",
    );
    let noted = escalated.item().unwrap();
    check(&tell(Some(noted), 15_000, failed(false)), "stale");
    check(
        &tell(Some(&item(&crawl(), Ignored)), 15_000, failed(false)),
        "stale",
    );
    check(
        &tell(Some(&item(&crawl(), InFlight)), 9_000, failed(true)),
        "stale",
    );
}

#[test]
fn what_is_older_than_an_update_that_could_not_be_read_is_stale() {
    let failing = tell(Some(&item(&over(), Success)), 15_000, failed(true));
    let failing = failing.item().unwrap();
    assert_eq!(failing.unread, Some(live_version(15_000)));
    check(&tell(Some(failing), 14_000, applied("old")), "stale");
    let read = tell(Some(failing), 16_000, applied("new"));
    check(&read, "applied: Success, nobody's, version 16000, retries 1");
    assert_eq!(read.item().unwrap().unread, None);
}

#[test]
fn a_decision_that_fits_the_state_is_carried_out() {
    use Decision::{Delete, Ignore, Keep, Requeue};
    for (state, decision, expected) in [
        (
            Escalated,
            Requeue,
            "released: Pending, the crawl's, version 0, retries 0",
        ),
        (
            Ignored,
            Requeue,
            "released: Pending, the crawl's, version 0, retries 0",
        ),
        (
            Escalated,
            Ignore,
            "unchanged: Ignored, the crawl's, version 0, retries 2",
        ),
        (
            Escalated,
            Delete,
            "deleted indexed: Deleted, the crawl's, version 20000, retries 2",
        ),
        (
            OrphanCandidate,
            Delete,
            "deleted indexed: Deleted, the crawl's, version 20000, retries 2",
        ),
        (
            OrphanCandidate,
            Keep,
            "unchanged: Unchanged, the crawl's, version 0, retries 2",
        ),
    ] {
        assert_eq!(
            decide(state, decision, &crawl()).as_deref(),
            Some(expected),
            "{state:?} {decision:?}"
        );
    }
    assert_eq!(
        decide(Escalated, Requeue, &over()).as_deref(),
        Some("released: Pending, nobody's, version 0, retries 0")
    );
}

#[test]
fn a_decision_that_does_not_fit_is_refused() {
    use Decision::{Delete, Ignore, Keep, Requeue};
    for (state, decision) in [
        (Success, Delete),
        (Escalated, Keep),
        (OrphanCandidate, Requeue),
        (Deleted, Ignore),
    ] {
        assert_eq!(decide(state, decision, &crawl()), None, "{state:?} {decision:?}");
    }
}

fn decide(state: ItemState, decision: Decision, of: &Crawl) -> Option<String> {
    let ruling = Ruling {
        decision,
        reason: "é".repeat(1_000),
        by: "somebody".into(),
        at: at(20_000),
    };
    let stored = Item {
        retry_count: 2,
        ..item(of, state)
    };
    let ruled = rule(&stored, &ruling, &[crawl().id], at(20_000))?;
    let kept = ruled.item().unwrap().ruling.as_ref().unwrap();
    assert_eq!(
        (kept.decision, kept.reason.len()),
        (decision, 500),
        "it is kept, in part"
    );
    Some(short(&ruled))
}

#[test]
fn what_is_neither_seen_nor_written_nor_worked_on_is_missed() {
    let is_missed = |item: &Item| orphan::is_missed(item, &crawl());
    for (state, expected) in [
        (Pending, true),
        (InFlight, false),
        (Success, true),
        (Unchanged, true),
        (Failure, true),
        (Escalated, true),
        (Ignored, true),
        (OrphanCandidate, true),
        (Deleting, true),
        (Deleted, false),
    ] {
        let left = item(&over(), state);
        assert_eq!(is_missed(&left), expected, "{state:?}");
        assert!(!is_missed(&item(&crawl(), state)), "{state:?} was seen");
        let written = Item {
            last_updated: Some(at(10_000)),
            ..left
        };
        assert!(!is_missed(&written), "{state:?} was written");
    }
    let told = Item {
        crawl: CrawlId::live(&over().id.source()),
        ..item(&over(), Failure)
    };
    assert!(!is_missed(&told), "the source told of it and it is tried");
}

#[test]
fn a_candidate_waits_out_its_grace_and_goes() {
    let policy = OrphanPolicy {
        grace_crawls: 2,
        grace_ms: 5_000,
        ..OrphanPolicy::default()
    };
    let once = orphan::mark(&item(&over(), Success), &crawl()).unwrap();
    assert_eq!(
        orphan::mark(&once, &crawl()).as_ref(),
        Some(&once),
        "one crawl counts once"
    );
    assert!(!orphan::is_grace_over(&once, &policy, at(99_000)));
    let next = sample_crawl("docs", 12_000);
    let twice = orphan::mark(&once, &next).unwrap();
    assert!(!orphan::is_grace_over(&twice, &policy, at(14_999)));
    assert!(orphan::is_grace_over(&twice, &policy, at(15_000)));
    let version = orphan::version_of(&next);
    check(&orphan::delete(&twice, version, "missed", at(16_000)), "stale");
    let going = orphan::begin_delete(&twice, &next).unwrap();
    let deleted = orphan::delete(&going, version, "missed", at(16_000));
    check(
        &deleted,
        "deleted indexed: Deleted, the old crawl's, version 12000, retries 0",
    );
    let tombstone = deleted.item().unwrap();
    check(&orphan::delete(tombstone, version, "missed", at(16_000)), "stale");
    let (seen, back) = sight(Some(tombstone), &sample_sighting(HOST, 1), &next, at(17_000));
    assert_eq!(
        (seen, back.unwrap().state),
        (Seen::Again, Pending),
        "the crawl that missed it may find it"
    );
}

#[test]
fn a_candidate_that_is_there_is_what_it_was() {
    let ignored = Ruling {
        decision: Decision::Ignore,
        reason: String::new(),
        by: "somebody".into(),
        at: at(1),
    };
    let left_pending = Item {
        version: Version::NONE,
        disposition: None,
        ..item(&over(), Pending)
    };
    let ruled = Item {
        ruling: Some(ignored),
        ..item(&over(), Ignored)
    };
    for (before, expected) in [
        (item(&over(), Success), Unchanged),
        (item(&over(), Escalated), Escalated),
        (item(&over(), Failure), Escalated),
        (ruled, Ignored),
        (left_pending, Pending),
    ] {
        let candidate = orphan::mark(&before, &crawl()).unwrap();
        let kept = orphan::keep(&candidate, at(20_000)).unwrap();
        assert_eq!((kept.state, kept.orphan), (expected, None), "{:?}", before.state);
        if expected == Pending {
            assert_eq!(
                kept.crawl,
                CrawlId::live(&kept.source),
                "somebody reads it at last"
            );
        }
        assert_eq!(orphan::keep(&before, at(20_000)), None);
    }
}

#[test]
fn a_crawl_never_has_to_process_what_it_cannot_write() {
    for state in [
        Pending,
        Failure,
        InFlight,
        Success,
        Escalated,
        OrphanCandidate,
        Deleting,
        Deleted,
    ] {
        let beyond = Item {
            version: live_version(15_000),
            ..item(&over(), state)
        };
        let (seen, met) = sight(Some(&beyond), &sample_sighting(HOST, 1), &crawl(), at(20_000));
        let met = met.unwrap();
        assert_eq!(
            (seen, met.seen_crawl_at, met.orphan.as_ref()),
            (Seen::Known, at(10_000), None)
        );
        let is_its_own = met.crawl == crawl().id;
        assert_eq!(is_its_own, !state.is_open(), "{state:?}");
        if is_its_own {
            assert_eq!(
                claim(&met, "me", Duration::from_secs(1), at(99_000)),
                None,
                "{state:?}"
            );
            assert!(!matches!(met.state, OrphanCandidate | Deleting), "it is there");
        }
    }
}

#[test]
fn an_ignored_item_is_seen_and_passed_by() {
    let (seen, met) = sight(
        Some(&item(&over(), Ignored)),
        &sample_sighting(HOST, 1),
        &crawl(),
        at(20_000),
    );
    let met = met.unwrap();
    assert_eq!((seen, met.state, met.crawl), (Seen::Known, Ignored, crawl().id));
}
