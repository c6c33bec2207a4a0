//! The arrows between the states, one by one.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use crawldb::testkit::{sample_crawl, sample_item, sample_sighting};
use crawldb::transition::{
    MAX_ALIASES, MAX_ERROR_BYTES, MAX_RETRY_AFTER, Terms, claim, finish, release, sight, version_of,
};
use crawldb::{
    Attempt, Crawl, Disposition, Finished, Item, ItemError, ItemErrorKind, ItemState, Outcome, RetryPolicy,
    Seen,
};
use model::{ArchiveKey, Checksum, ItemId, Rank, Timestamp, Version};

const HOST: &str = "a.example";

fn crawl() -> Crawl {
    sample_crawl("docs", 10_000)
}

fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis)
}

/// An item that an older crawl indexed.
fn indexed() -> Item {
    let item = sample_item(&sample_crawl("docs", 1_000), HOST, 1, ItemState::Success);
    Item {
        disposition: Some(Disposition::Indexed),
        retry_count: 0,
        ..item
    }
}

/// That item, seen and claimed by the crawl.
fn claimed() -> Item {
    let (seen, item) = sight(Some(&indexed()), &sample_sighting(HOST, 1), &crawl(), at(10_000));
    assert_eq!(seen, Seen::Again);
    claim(&item.unwrap(), "me", Duration::from_secs(60), at(10_000)).unwrap()
}

fn finished(stored: &Item, item: Item, outcome: Outcome) -> Finished {
    let (crawl, retry) = (
        crawl(),
        RetryPolicy {
            max_retries: 1,
            ..RetryPolicy::default()
        },
    );
    let terms = Terms {
        crawl: &crawl,
        retry: &retry,
        now: at(20_000),
        jitter: 1.0,
    };
    finish(stored, &Attempt { item, outcome }, &terms)
}

fn failed(retry_after: Option<Duration>, retryable: bool) -> Outcome {
    let error = ItemError {
        kind: ItemErrorKind::Server,
        message: "é".repeat(1_000),
        at: at(1),
    };
    Outcome::Failed {
        error,
        retry_after,
        retryable,
    }
}

fn applied(content: &[u8], disposition: Disposition) -> Outcome {
    Outcome::Applied {
        checksum: Some(Checksum::of(content)),
        disposition,
        content: Some(ArchiveKey::new("content/new").unwrap()),
        extract: Some(ArchiveKey::new("extract/new").unwrap()),
        etag: Some("\"2\"".into()),
        last_modified: None,
    }
}

#[test]
fn a_sighting_by_a_new_crawl_makes_every_state_due_and_keeps_the_content() {
    for state in [
        ItemState::Success,
        ItemState::Unchanged,
        ItemState::Failure,
        ItemState::Escalated,
        ItemState::Deleted,
        ItemState::InFlight,
        ItemState::OrphanCandidate,
    ] {
        let old = sample_item(&sample_crawl("docs", 1_000), HOST, 1, state);
        let (seen, item) = sight(Some(&old), &sample_sighting(HOST, 1), &crawl(), at(11_000));
        let item = item.unwrap();
        assert_eq!(
            (seen, item.state, item.retry_count),
            (Seen::Again, ItemState::Pending, 0),
            "{state:?}"
        );
        assert_eq!(
            (&item.crawl, item.seen_crawl_at, item.next_attempt_at),
            (&crawl().id, at(10_000), at(11_000))
        );
        assert_eq!((item.lease, item.orphan), (None, None));
        assert_eq!(
            (item.version, item.checksum, item.etag),
            (old.version, old.checksum, old.etag)
        );
    }
}

#[test]
fn what_a_live_update_wrote_after_the_start_is_left_alone() {
    let live = Version::new(at(10_001), Rank::Live, 0);
    let (seen, item) = sight(
        Some(&Item {
            version: live,
            ..indexed()
        }),
        &sample_sighting(HOST, 1),
        &crawl(),
        at(11_000),
    );
    let item = item.unwrap();
    assert_eq!(
        (seen, item.state, item.version),
        (Seen::Known, ItemState::Success, live)
    );
    assert_eq!(item.seen_crawl_at, at(10_000), "it was seen all the same");
}

#[test]
fn a_known_item_learns_shorter_ways_and_aliases() {
    let (_, item) = sight(None, &sample_sighting(HOST, 1), &crawl(), at(1));
    let mut item = item.unwrap();
    assert_eq!(
        sight(Some(&item), &sample_sighting(HOST, 1), &crawl(), at(2)),
        (Seen::Known, None)
    );
    let alias = |number: usize| Some(ItemId::new(format!("https://{HOST}/alias-{number}")).unwrap());
    for number in 0..MAX_ALIASES + 5 {
        let sighting = crawldb::Sighting {
            alias: alias(number),
            ..sample_sighting(HOST, 1)
        };
        item = sight(Some(&item), &sighting, &crawl(), at(2)).1.unwrap();
    }
    assert_eq!(item.aliases.len(), MAX_ALIASES);
    assert_eq!(
        item.aliases.last(),
        alias(MAX_ALIASES + 4).as_ref(),
        "the newest stay"
    );
    let nearer = crawldb::Sighting {
        depth: 0,
        ..sample_sighting(HOST, 1)
    };
    assert_eq!(sight(Some(&item), &nearer, &crawl(), at(2)).1.unwrap().depth, 0);
}

#[test]
fn only_what_waits_and_is_due_is_claimed() {
    let item = |state, due| Item {
        next_attempt_at: at(due),
        ..sample_item(&crawl(), HOST, 1, state)
    };
    let claims = |item: &Item| claim(item, "me", Duration::from_secs(1), at(100));
    assert_eq!(claims(&item(ItemState::Pending, 101)), None);
    assert_eq!(claims(&item(ItemState::InFlight, 0)), None);
    assert_eq!(claims(&item(ItemState::Success, 0)), None);
    let claimed = claims(&item(ItemState::Failure, 100)).unwrap();
    let lease = claimed.lease.as_ref().unwrap();
    assert_eq!((lease.epoch, lease.until, claimed.epoch), (4, at(1_100), 4));
    let released = release(&claimed, at(200)).unwrap();
    assert_eq!(
        (released.state, released.lease, released.retry_count),
        (ItemState::Pending, None, 1)
    );
    assert_eq!(release(&indexed(), at(200)), None);
}

#[test]
fn a_failure_keeps_what_was_indexed_and_is_tried_again() {
    let Finished::Retry(item) = finished(&claimed(), claimed(), failed(None, true)) else {
        panic!("a retry")
    };
    let before = indexed();
    assert_eq!(
        (&item.extract, &item.content, &item.disposition),
        (&before.extract, &before.content, &before.disposition)
    );
    assert_eq!(
        (item.version, item.checksum, item.last_updated),
        (before.version, before.checksum, before.last_updated)
    );
    assert_eq!((item.state, item.retry_count), (ItemState::Failure, 1));
    assert_eq!(
        item.next_attempt_at,
        at(21_000),
        "the whole first delay at full jitter"
    );
    assert_eq!(item.consecutive_failures, before.consecutive_failures + 1);
    assert_eq!(item.last_error.unwrap().message.len(), MAX_ERROR_BYTES);
}

#[test]
fn retry_after_is_honoured_within_a_limit() {
    let due = |asked| match finished(&claimed(), claimed(), failed(Some(asked), true)) {
        Finished::Retry(item) => item.next_attempt_at,
        other => panic!("{other:?}"),
    };
    assert_eq!(due(Duration::from_secs(30)), at(50_000));
    assert_eq!(due(Duration::from_millis(1)), at(21_000));
    assert_eq!(due(Duration::MAX), at(20_000).after(MAX_RETRY_AFTER));
}

#[test]
fn spent_retries_and_permanent_failures_escalate() {
    let spent = Item {
        retry_count: 1,
        ..claimed()
    };
    for (stored, outcome) in [(spent, failed(None, true)), (claimed(), failed(None, false))] {
        let finished = finished(&stored, stored.clone(), outcome);
        assert!(
            matches!(&finished, Finished::Escalated(item) if item.state == ItemState::Escalated),
            "{finished:?}"
        );
    }
}

#[test]
fn new_content_replaces_the_old() {
    let Finished::Applied { item, .. } =
        finished(&claimed(), claimed(), applied(b"new", Disposition::Indexed))
    else {
        panic!("applied")
    };
    assert_eq!(
        (item.state, item.version),
        (ItemState::Success, version_of(&crawl()))
    );
    assert_eq!(item.content.unwrap().as_str(), "content/new");
    assert_eq!(
        (item.last_updated, item.last_error, item.consecutive_failures),
        (Some(at(20_000)), None, 0)
    );
    assert_eq!(item.last_modified, None);
}

#[test]
fn equal_content_is_unchanged_and_keeps_its_place_in_the_archive() {
    let same = || applied(HOST.as_bytes(), Disposition::Indexed);
    let Finished::Unchanged(item) = finished(&claimed(), claimed(), same()) else {
        panic!("unchanged")
    };
    assert_eq!(item.content, indexed().content);
    assert_eq!(
        (item.state, item.last_updated),
        (ItemState::Unchanged, Some(at(20_000)))
    );
    assert_eq!(
        item.etag.as_deref(),
        Some("\"2\""),
        "validators of the last answer"
    );
    assert_eq!(
        item.last_modified,
        indexed().last_modified,
        "or of the one before"
    );

    let without = Item {
        extract: None,
        ..claimed()
    };
    assert!(
        matches!(
            finished(&without, without.clone(), same()),
            Finished::Applied { .. }
        ),
        "the extract was missing"
    );
    let noindex = applied(HOST.as_bytes(), Disposition::Noindex);
    assert!(
        matches!(finished(&claimed(), claimed(), noindex), Finished::Applied { .. }),
        "another disposition"
    );
}

#[test]
fn what_is_gone_leaves_a_tombstone_with_the_version() {
    let gone = || Outcome::Gone { reason: "404".into() };
    let Finished::Deleted { item, was_indexed } = finished(&claimed(), claimed(), gone()) else {
        panic!("deleted")
    };
    assert!(was_indexed);
    assert_eq!(
        (item.state, item.version),
        (ItemState::Deleted, version_of(&crawl()))
    );
    assert_eq!(
        (item.checksum, item.extract, item.etag),
        (None, None, None),
        "it is fetched anew if it comes back"
    );
    let noindex = Item {
        disposition: Some(Disposition::Noindex),
        ..claimed()
    };
    assert!(matches!(
        finished(&noindex, noindex.clone(), gone()),
        Finished::Deleted {
            was_indexed: false,
            ..
        }
    ));
}

#[test]
fn whoever_lost_the_lease_or_the_race_changes_nothing() {
    let is_stale = |stored: &Item, held: Item| {
        matches!(
            finished(stored, held, applied(b"new", Disposition::Indexed)),
            Finished::Stale(_)
        )
    };
    assert!(!is_stale(&claimed(), claimed()));
    let again = claim(
        &release(&claimed(), at(12_000)).unwrap(),
        "me",
        Duration::from_secs(1),
        at(12_000),
    )
    .unwrap();
    assert!(is_stale(&again, claimed()), "an older epoch");
    let mut other = claimed();
    other.lease.as_mut().unwrap().owner = "other".into();
    assert!(is_stale(&other, claimed()), "another owner");
    assert!(
        is_stale(&release(&claimed(), at(12_000)).unwrap(), claimed()),
        "no lease"
    );
    let newer = Item {
        version: Version::new(at(10_001), Rank::Live, 0),
        ..claimed()
    };
    assert!(is_stale(&newer, claimed()), "a live update was newer");
    assert!(
        is_stale(
            &Item {
                crawl: sample_crawl("docs", 30_000).id,
                ..claimed()
            },
            claimed()
        ),
        "a newer crawl"
    );
}
