//! Errors and gaps of a crawl: what they may hide is not deleted.

use crawldb::{CrawlKind, CrawlStatus, CrawldbError, Decision, ItemState, Outcome, Ruling};
use ledger::LedgerError;

use crate::world::{HOST, Silent, World, at, failure_at, id, page, says_gone, sighting};

on_every_engine!(
    a_parent_that_times_out_protects_all_below_it,
    a_parent_that_was_not_read_because_it_is_ignored_protects_all_below_it,
    a_missed_parent_leads_on_to_its_own,
    a_missed_parent_that_waits_for_a_retry_protects_all_below_it,
    parents_in_a_circle_protect_nothing,
    a_start_url_that_fails_deletes_nothing,
    a_crawl_that_failed_half_way_may_not_sweep,
    a_scope_that_was_not_enumerated_to_its_end_is_protected,
    an_enumeration_that_was_cut_deletes_nothing,
    a_crawl_that_sees_nothing_deletes_nothing,
    a_redirect_target_stays,
    a_parent_that_now_leads_to_a_page_that_fails_protects_all_below_it,
    a_parent_in_an_incomplete_scope_protects_other_scopes_too,
    an_item_that_failed_in_this_crawl_stays,
    an_item_that_is_escalated_in_this_crawl_stays,
    an_unchanged_item_stays,
    an_interrupted_crawl_deletes_nothing,
    an_incremental_crawl_deletes_nothing,
    a_kept_item_goes_only_on_the_word_of_the_source,
);

/// The page leads to another one.
fn alias_of(target: &str) -> Outcome {
    Outcome::Applied {
        checksum: None,
        disposition: crawldb::Disposition::Alias(id(target)),
        content: None,
        extract: None,
        etag: None,
        last_modified: None,
    }
}

const ALL: &[&str] = &["home", "index", "a", "b", "a1"];

/// home -> index -> a, b; a -> a1.
async fn first_crawl(world: &World) {
    let crawl = world.begin(1_000).await;
    world.see(&crawl, None, &["home"]).await;
    world.see(&crawl, Some("home"), &["index"]).await;
    world.see(&crawl, Some("index"), &["a", "b"]).await;
    world.see(&crawl, Some("a"), &["a1"]).await;
    world.read(&crawl, page).await;
    world.enumerated(&crawl).await;
    assert_eq!(world.finish(&crawl, &Silent).await.candidates, 0);
    world.assert_searched(ALL).await;
}

async fn lenient(world: &mut World) {
    world
        .configure(|settings| settings.orphans.min_seen_percent = 0.0)
        .await;
}

async fn a_parent_that_times_out_protects_all_below_it(mut world: World) {
    lenient(&mut world).await;
    first_crawl(&world).await;
    let crawl = world.begin(2_000).await;
    world.see(&crawl, None, &["home"]).await;
    world.see(&crawl, Some("home"), &["index"]).await;
    let times_out = |name: &str| {
        if name == "index" {
            failure_at(2_001, false)
        } else {
            page(name)
        }
    };
    world.read(&crawl, times_out).await;
    world.enumerated(&crawl).await;
    // Not even the word of the source counts: what answers for "a" may be as broken as what answered for its parent.
    let report = world.finish(&crawl, &says_gone()).await;
    assert_eq!((report.candidates, report.protected, report.deleted), (3, 3, 0));
    world.assert_searched(ALL).await;
}

async fn a_parent_that_was_not_read_because_it_is_ignored_protects_all_below_it(mut world: World) {
    lenient(&mut world).await;
    first_crawl(&world).await;
    let mut index = world.item("index").await;
    index.state = ItemState::Ignored;
    world.crawldb.store().put_items(&[index]).await.unwrap();
    let crawl = world.begin(2_000).await;
    world.see(&crawl, None, &["home", "index"]).await;
    world.read(&crawl, page).await;
    world.enumerated(&crawl).await;
    let report = world.finish(&crawl, &Silent).await;
    assert_eq!((report.protected, report.deleted), (3, 0));
}

async fn a_missed_parent_leads_on_to_its_own(mut world: World) {
    lenient(&mut world).await;
    first_crawl(&world).await;
    let crawl = world.begin(2_000).await;
    world.see(&crawl, None, &["home", "b"]).await;
    let fails = |name: &str| {
        if name == "home" {
            failure_at(2_001, false)
        } else {
            page(name)
        }
    };
    world.read(&crawl, fails).await;
    world.enumerated(&crawl).await;
    let report = world.finish(&crawl, &Silent).await;
    assert_eq!((report.protected, report.deleted), (3, 0), "index, a and a1");
    world.assert_searched(ALL).await;
}

async fn a_missed_parent_that_waits_for_a_retry_protects_all_below_it(mut world: World) {
    lenient(&mut world).await;
    first_crawl(&world).await;
    let crawl = world.crawled(2_000, &["home"]).await;
    world.tell("index", 2_100, failure_at(2_100, true)).await;
    let report = world.finish(&crawl, &says_gone()).await;
    assert_eq!((report.candidates, report.protected, report.deleted), (3, 3, 0));
    world.assert_searched(ALL).await;
}

async fn parents_in_a_circle_protect_nothing(mut world: World) {
    lenient(&mut world).await;
    first_crawl(&world).await;
    let mut index = world.item("index").await;
    index.parent = Some(id("b"));
    world.crawldb.store().put_items(&[index]).await.unwrap();
    let report = world.crawl(2_000, &["home"]).await;
    assert_eq!((report.protected, report.deleted), (0, 4));
    world.assert_searched(&["home"]).await;
}

async fn a_start_url_that_fails_deletes_nothing(world: World) {
    first_crawl(&world).await;
    let crawl = world.begin(2_000).await;
    world.see(&crawl, None, &["home"]).await;
    world.read(&crawl, |_| failure_at(2_001, false)).await;
    world.enumerated(&crawl).await;
    let report = world.finish(&crawl, &says_gone()).await;
    assert_eq!((report.protected, report.deleted), (4, 0));
    world.assert_searched(ALL).await;
}

async fn a_crawl_that_failed_half_way_may_not_sweep(world: World) {
    world.crawl(1_000, &["a", "b", "c"]).await;
    let crawl = world.crawled(2_000, &["a"]).await;
    let reason = Some("the listing broke off: HTTP 503".to_owned());
    let failed = world
        .crawldb
        .end_crawl(&crawl, CrawlStatus::Failed, reason, at(2_100));
    failed.await.unwrap();
    let refused = world.sweep_with(&world.ledger, &crawl, &says_gone(), 2_200).await;
    assert!(
        matches!(refused, Err(LedgerError::Crawldb(CrawldbError::Fenced(_)))),
        "{refused:?}"
    );
    assert_eq!(world.ledger.orphans_due(at(9_999_999)).await.unwrap(), []);
    let reopened = world.crawldb.reopen_for_orphans(&crawl.id, "janitor", at(2_300));
    assert_eq!(reopened.await.unwrap(), None, "a failed crawl never judges");
    world.assert_searched(&["a", "b", "c"]).await;
}

async fn a_scope_that_was_not_enumerated_to_its_end_is_protected(world: World) {
    world.crawl(1_000, &["a", "b", "c"]).await;
    let crawl = world.crawled(2_000, &["a", "b"]).await;
    let incomplete = world.crawldb.update_crawl(&crawl, |crawl| {
        let incomplete = &mut crawl.enumeration.incomplete;
        incomplete.insert(HOST.to_owned(), "HTTP 503 on page 2 of the listing".into());
    });
    incomplete.await.unwrap();
    let report = world.finish(&crawl, &says_gone()).await;
    assert_eq!((report.candidates, report.protected, report.deleted), (1, 1, 0));
    world.assert_searched(&["a", "b", "c"]).await;
}

async fn an_enumeration_that_was_cut_deletes_nothing(world: World) {
    world.crawl(1_000, &["a", "b", "c"]).await;
    let crawl = world.crawled(2_000, &["a", "b"]).await;
    let cut = |crawl: &mut crawldb::Crawl| crawl.enumeration.cut = Some("2 pages at most".into());
    world.crawldb.update_crawl(&crawl, cut).await.unwrap();
    let report = world.finish(&crawl, &says_gone()).await;
    assert_eq!(
        report.withheld.as_deref(),
        Some("the enumeration was cut: 2 pages at most")
    );
    assert_eq!(world.state("c").await, ItemState::Success, "nothing is marked");
    world.assert_searched(&["a", "b", "c"]).await;
}

async fn a_crawl_that_sees_nothing_deletes_nothing(world: World) {
    world.crawl(1_000, &["a", "b"]).await;
    let report = world.crawl(2_000, &[]).await;
    assert_eq!(
        report.blocked.as_deref(),
        Some("the crawl saw nothing, and 2 items are known")
    );
    assert_eq!(report.ending(), CrawlStatus::Blocked);
    world.assert_searched(&["a", "b"]).await;
}

async fn a_redirect_target_stays(world: World) {
    world.crawl(1_000, &["a", "old", "target"]).await;
    let crawl = world.begin(2_000).await;
    world.see(&crawl, None, &["a", "old"]).await;
    let mut target = sighting("target", None);
    target.alias = Some(id("old"));
    world.ledger.sight(&crawl, &[target], at(2_001)).await.unwrap();
    let redirects = |name: &str| match name {
        "old" => alias_of("target"),
        name => page(name),
    };
    world.read(&crawl, redirects).await;
    world.enumerated(&crawl).await;
    assert_eq!(world.finish(&crawl, &Silent).await.candidates, 0);
    world.assert_searched(&["a", "target"]).await;
}

async fn a_parent_that_now_leads_to_a_page_that_fails_protects_all_below_it(mut world: World) {
    lenient(&mut world).await;
    first_crawl(&world).await;
    let crawl = world.begin(2_000).await;
    world.see(&crawl, None, &["home", "index", "moved"]).await;
    let moved = |name: &str| match name {
        "index" => alias_of("moved"),
        "moved" => failure_at(2_001, false),
        name => page(name),
    };
    world.read(&crawl, moved).await;
    world.enumerated(&crawl).await;
    let report = world.finish(&crawl, &says_gone()).await;
    assert_eq!((report.candidates, report.protected, report.deleted), (3, 3, 0));
}

async fn a_parent_in_an_incomplete_scope_protects_other_scopes_too(mut world: World) {
    lenient(&mut world).await;
    let crawl = world.begin(1_000).await;
    world.see(&crawl, None, &["home"]).await;
    let elsewhere = crawldb::transition::Sighting {
        scope: "other.example".into(),
        ..sighting("elsewhere", None)
    };
    world.ledger.sight(&crawl, &[elsewhere], at(1_001)).await.unwrap();
    world.see(&crawl, Some("elsewhere"), &["a"]).await;
    world.read(&crawl, page).await;
    world.enumerated(&crawl).await;
    world.finish(&crawl, &Silent).await;
    let crawl = world.crawled(2_000, &["home"]).await;
    let incomplete = world.crawldb.update_crawl(&crawl, |crawl| {
        let incomplete = &mut crawl.enumeration.incomplete;
        incomplete.insert("other.example".to_owned(), "HTTP 503".into());
    });
    incomplete.await.unwrap();
    let report = world.finish(&crawl, &says_gone()).await;
    assert_eq!((report.candidates, report.protected, report.deleted), (2, 2, 0));
    world.assert_searched(&["a", "elsewhere", "home"]).await;
}

async fn an_item_that_failed_in_this_crawl_stays(world: World) {
    world.crawl(1_000, &["a", "b"]).await;
    let crawl = world.begin(2_000).await;
    world.see(&crawl, None, &["a", "b"]).await;
    world
        .read(&crawl, |name| {
            if name == "b" {
                failure_at(2_001, true)
            } else {
                page(name)
            }
        })
        .await;
    world.enumerated(&crawl).await;
    let report = world.sweep(&crawl, &says_gone()).await;
    assert_eq!(
        report.withheld.as_deref(),
        Some("1 items of the crawl are not settled")
    );
    assert_eq!(world.state("b").await, ItemState::Failure);
    world.assert_searched(&["a", "b"]).await;
}

async fn an_item_that_is_escalated_in_this_crawl_stays(world: World) {
    world.crawl(1_000, &["a", "b", "c"]).await;
    let crawl = world.begin(2_000).await;
    world.see(&crawl, None, &["a", "b"]).await;
    world
        .read(&crawl, |name| {
            if name == "b" {
                failure_at(2_001, false)
            } else {
                page(name)
            }
        })
        .await;
    // The source told of "c", but it could not be fetched: that is no reason to take it for gone.
    world.tell("c", 2_100, failure_at(2_100, false)).await;
    world.enumerated(&crawl).await;
    let report = world.finish(&crawl, &says_gone()).await;
    assert_eq!((report.candidates, report.protected, report.deleted), (1, 1, 0));
    for name in ["b", "c"] {
        assert_eq!(world.state(name).await, ItemState::Escalated);
    }
    world.assert_searched(&["a", "b", "c"]).await;
}

async fn an_unchanged_item_stays(world: World) {
    world.crawl(1_000, &["a", "b"]).await;
    let crawl = world.begin(2_000).await;
    world.see(&crawl, None, &["a", "b"]).await;
    let unchanged = Outcome::Unchanged {
        etag: None,
        last_modified: None,
    };
    world.read(&crawl, |_| unchanged.clone()).await;
    world.enumerated(&crawl).await;
    assert_eq!(world.finish(&crawl, &says_gone()).await.candidates, 0);
    world.assert_searched(&["a", "b"]).await;
}

async fn an_interrupted_crawl_deletes_nothing(world: World) {
    world.crawl(1_000, &["a", "b"]).await;
    let crawl = world.begin(2_000).await;
    world.see(&crawl, None, &["a"]).await;
    world.read(&crawl, page).await;
    let taken = world.crawldb.take_over(&crawl.id, "another life", at(2_100));
    let taken = taken.await.unwrap().unwrap();
    let report = world.sweep(&taken, &says_gone()).await;
    assert_eq!(report.withheld.as_deref(), Some("the enumeration did not end"));
    let fenced = world.sweep_with(&world.ledger, &crawl, &says_gone(), 2_300).await;
    assert!(
        matches!(fenced, Err(LedgerError::Crawldb(CrawldbError::Fenced(_)))),
        "{fenced:?}"
    );
    world.assert_searched(&["a", "b"]).await;
}

async fn an_incremental_crawl_deletes_nothing(world: World) {
    world.crawl(1_000, &["a", "b"]).await;
    let crawl = world.begin_kind(2_000, CrawlKind::Incremental).await;
    world.see(&crawl, None, &["a"]).await;
    world.read(&crawl, page).await;
    world.enumerated(&crawl).await;
    let report = world.finish(&crawl, &says_gone()).await;
    assert!(report.withheld.unwrap().contains("incremental"));
    assert_eq!(world.state("b").await, ItemState::Success);
    world.assert_searched(&["a", "b"]).await;
}

async fn a_kept_item_goes_only_on_the_word_of_the_source(world: World) {
    world.crawl(1_000, &["a", "b", "c"]).await;
    let mut kept = world.item("c").await;
    kept.ruling = Some(Ruling {
        decision: Decision::Keep,
        reason: "it is linked from a form".into(),
        by: "somebody".into(),
        at: at(1_700),
    });
    world.crawldb.store().put_items(&[kept]).await.unwrap();
    let report = world.crawl(2_000, &["a", "b"]).await;
    assert_eq!((report.protected, report.deleted), (1, 0));
    world.assert_searched(&["a", "b", "c"]).await;
    let crawl = world.crawled(3_000, &["a", "b"]).await;
    assert_eq!(world.finish(&crawl, &says_gone()).await.deleted, 1);
    world.assert_searched(&["a", "b"]).await;
}
