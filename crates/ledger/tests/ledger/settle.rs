//! What a crawl finds, and who hears of it.

use crawldb::{CrawlStatus, Outcome};
use updates::{Receipt, ReceiptOutcome, topics};

use crate::stage::{Stage, content, failure, gone, item_id, noindex, source_id};

#[tokio::test]
async fn every_attempt_gets_a_receipt_but_what_was_given_back() {
    let stage = Stage::new().await;
    let pages = [
        (1, content("a")),
        (2, gone()),
        (3, failure(true)),
        (4, Outcome::Released),
    ];
    let crawl = stage.start_crawl("east").await;
    let attempts = stage.attempts(&crawl, &pages).await;
    stage
        .settle(&stage.ledger, &crawl, attempts.clone())
        .await
        .unwrap();
    stage.settle(&stage.ledger, &crawl, attempts).await.unwrap();

    let mut receipts = Vec::new();
    for record in stage.records(&topics::receipts(&source_id("east"))).await {
        let receipt: Receipt = record.decode().unwrap().unwrap();
        assert_eq!(receipt.crawl, crawl.id);
        receipts.push((receipt.item, receipt.outcome));
    }
    receipts.sort_by(|a, b| a.0.cmp(&b.0));
    let failed = ReceiptOutcome::Failure("it is broken".into());
    let expected = [
        (item_id(4), ReceiptOutcome::Stale),
        (item_id(1), ReceiptOutcome::Success),
        (item_id(1), ReceiptOutcome::Stale),
        (item_id(2), ReceiptOutcome::Success),
        (item_id(2), ReceiptOutcome::Stale),
        (item_id(3), failed),
        (item_id(3), ReceiptOutcome::Stale),
    ];
    assert_eq!(receipts, expected);
}

#[tokio::test]
async fn what_is_unchanged_or_was_never_searched_tells_nobody() {
    let stage = Stage::new().await;
    let east = source_id("east");
    stage.crawl("east", &[(1, content("a"))]).await;
    let (told, index) = (stage.applied(&east).await, stage.index().await);
    stage
        .crawl("east", &[(1, content("a")), (2, noindex()), (3, gone())])
        .await;
    assert_eq!(stage.applied(&east).await, told);
    assert_eq!(stage.index().await, index);
    stage.check_truth("nothing changed").await;
}

#[tokio::test]
async fn a_crawl_that_is_over_writes_nothing() {
    let stage = Stage::new().await;
    let crawl = stage.start_crawl("east").await;
    let attempts = stage.attempts(&crawl, &[(1, content("late"))]).await;
    stage.end_crawl(&crawl, CrawlStatus::Cancelled).await;
    stage.settle(&stage.ledger, &crawl, attempts).await.unwrap_err();
    assert_eq!(stage.applied(&source_id("east")).await, []);
    stage.recover().await;
    stage.check_truth("after the recovery").await;
}
