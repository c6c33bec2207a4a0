//! What people decide.

use crawldb::transition::MAX_REASON_BYTES;
use crawldb::{Approval, CrawlStatus, Decision, ItemState, Ruling};
use ledger::LedgerError;
use model::CrawlId;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use updates::{CrawlRequest, Escalated, LiveChange, LiveUpdate, topics};

use crate::stage::{Stage, content, failure, item_id, source_id};

fn ruling(stage: &Stage, decision: Decision) -> Ruling {
    Ruling {
        decision,
        reason: "é".repeat(MAX_REASON_BYTES),
        by: "somebody".into(),
        at: stage.now(),
    }
}

#[tokio::test]
async fn a_requeued_item_is_asked_for_at_once() {
    let stage = Stage::new().await;
    let east = source_id("east");
    stage.crawl("east", &[(1, failure(false))]).await;
    let requeue = ruling(&stage, Decision::Requeue);
    let item = stage
        .ledger
        .rule(&east, &item_id(1), &requeue, stage.now())
        .await
        .unwrap();
    assert_eq!(
        (item.state, item.crawl),
        (ItemState::Pending, CrawlId::live(&east))
    );
    let reason = item.ruling.unwrap().reason;
    assert!(
        reason.len() <= MAX_REASON_BYTES && reason.starts_with('é'),
        "long reasons are cut"
    );
    let asked: Vec<LiveUpdate> = stage
        .records(&topics::live(&east))
        .await
        .iter()
        .filter_map(|record| record.decode().unwrap())
        .collect();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].change, LiveChange::Fetch);
    let stranded = stage
        .ledger
        .stranded(&stage.source("east").await, stage.now())
        .await;
    assert_eq!(stranded.unwrap(), 0, "it is not asked for twice");
}

#[tokio::test]
async fn an_item_of_a_running_crawl_is_requeued_to_it() {
    let stage = Stage::new().await;
    let east = source_id("east");
    let crawl = stage.start_crawl("east").await;
    let attempts = stage.attempts(&crawl, &[(1, failure(false))]).await;
    stage.settle(&stage.ledger, &crawl, attempts).await.unwrap();
    let requeue = ruling(&stage, Decision::Requeue);
    let item = stage
        .ledger
        .rule(&east, &item_id(1), &requeue, stage.now())
        .await
        .unwrap();
    assert_eq!(item.crawl, crawl.id);
    let asked = stage.records(&topics::crawl(&east)).await;
    let request = CrawlRequest {
        item: item_id(1),
        crawl: crawl.id.clone(),
    };
    let asked: Vec<CrawlRequest> = asked
        .iter()
        .filter_map(|record| record.decode().unwrap())
        .collect();
    assert_eq!(asked, [request.clone(), request], "when it was seen, and again");
    assert_eq!(stage.records(&topics::live(&east)).await, []);
}

#[tokio::test]
async fn people_hear_of_an_escalation_and_of_its_end() {
    let stage = Stage::new().await;
    let east = source_id("east");
    stage.crawl("east", &[(1, content("a")), (2, content("b"))]).await;
    stage.crawl("east", &[(1, failure(false))]).await;
    let delete = ruling(&stage, Decision::Delete);
    stage
        .ledger
        .rule(&east, &item_id(1), &delete, stage.now())
        .await
        .unwrap();
    let heard: Vec<bool> = stage
        .records(&topics::escalated(&east))
        .await
        .iter()
        .map(|record| record.decode::<Escalated>().unwrap().is_some())
        .collect();
    assert_eq!(heard, [true, false]);
    stage.check_truth("a person deleted an item").await;
}

#[tokio::test]
async fn a_decision_that_does_not_fit_is_refused() {
    let stage = Stage::new().await;
    let east = source_id("east");
    stage.crawl("east", &[(1, content("a"))]).await;
    for (page, decision, why) in [
        (1, Decision::Requeue, "Success"),
        (1, Decision::Keep, "Success"),
        (9, Decision::Delete, "no item"),
    ] {
        let refused = stage
            .ledger
            .rule(&east, &item_id(page), &ruling(&stage, decision), stage.now())
            .await;
        assert!(
            matches!(&refused, Err(LedgerError::Refused(said)) if said.contains(why)),
            "{refused:?}"
        );
    }
}

#[tokio::test]
async fn only_the_newest_crawl_and_only_a_blocked_one_is_approved() {
    let stage = Stage::new().await;
    let approval = Approval {
        by: "somebody".into(),
        reason: "they are gone indeed".into(),
        at: stage.now(),
    };
    let crawl = stage.start_crawl("east").await;
    let refused = stage.ledger.approve(&crawl.id, &approval).await;
    assert!(matches!(refused, Err(LedgerError::Refused(_))), "{refused:?}");
    stage.end_crawl(&crawl, CrawlStatus::Blocked).await;
    let approved = stage.ledger.approve(&crawl.id, &approval).await.unwrap();
    assert_eq!(approved.orphans.approval, Some(approval.clone()));

    stage.crawl("east", &[(1, content("a"))]).await;
    let refused = stage.ledger.approve(&crawl.id, &approval).await;
    assert!(matches!(refused, Err(LedgerError::Refused(_))), "{refused:?}");
}

#[tokio::test]
async fn what_happens_is_counted() {
    let stage = Stage::new().await;
    let mut registry = Registry::default();
    stage.ledger.register(&mut registry);
    stage
        .crawl("east", &[(1, content("a")), (2, failure(false))])
        .await;
    stage.ledger.metrics().superseded(3);
    let delete = ruling(&stage, Decision::Delete);
    stage
        .ledger
        .rule(&source_id("east"), &item_id(2), &delete, stage.now())
        .await
        .unwrap();
    let mut text = String::new();
    encode(&mut text, &registry).unwrap();
    for line in [
        "haul_ledger_transitions_total{outcome=\"applied\",origin=\"crawl\"} 1",
        "haul_ledger_transitions_total{outcome=\"escalated\",origin=\"crawl\"} 1",
        "haul_ledger_transitions_total{outcome=\"deleted\",origin=\"person\"} 1",
        "haul_ledger_superseded_total 3",
        "haul_ledger_write_duration_seconds_count{step=\"items\"} 2",
        "haul_ledger_conflicts_total 0",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
}
