use model::{ItemId, Timestamp};

use crate::port::{Scan, Store, StoreError};
use crate::records::{Item, ItemState};
use crate::testkit::samples::{sample_crawl, sample_item};
use crate::testkit::suite::{numbers, put_new};

const STATES: [ItemState; 10] = [
    ItemState::Pending,
    ItemState::InFlight,
    ItemState::Success,
    ItemState::Unchanged,
    ItemState::Failure,
    ItemState::Escalated,
    ItemState::Ignored,
    ItemState::OrphanCandidate,
    ItemState::Deleting,
    ItemState::Deleted,
];

pub(super) async fn conformance(store: &dyn Store) -> Result<(), StoreError> {
    scans_page_in_the_order_of_ids(store).await?;
    scans_find_what_they_ask_for(store).await?;
    every_state_is_listed_with_and_without_a_crawl(store).await?;
    what_a_crawl_missed_is_found(store).await
}

async fn scans_page_in_the_order_of_ids(store: &dyn Store) -> Result<(), StoreError> {
    let crawl = sample_crawl("paged", 1_000);
    let items = [5, 3, 1, 4, 2].map(|number| sample_item(&crawl, "a.example", number, ItemState::Success));
    put_new(store, items.into()).await?;
    store.refresh().await?;
    let source = crawl.id.source();
    let mut found = Vec::new();
    let mut after: Option<ItemId> = None;
    loop {
        let page = store
            .scan(&Scan {
                after: after.as_ref(),
                limit: 2,
                ..Scan::all(&source, 100)
            })
            .await?;
        let Some(last) = page.last() else { break };
        after = Some(last.id.clone());
        found.extend(numbers(&page));
    }
    assert_eq!(found, [1, 2, 3, 4, 5]);
    Ok(())
}

async fn scans_find_what_they_ask_for(store: &dyn Store) -> Result<(), StoreError> {
    let [old, new] = [1_000, 2_000].map(|start| sample_crawl("asked", start));
    let item = |crawl, number, state| sample_item(crawl, "a.example", number, state);
    let never = Item {
        last_updated: None,
        ..item(&new, 5, ItemState::Pending)
    };
    let items = vec![
        item(&old, 1, ItemState::Success),
        item(&old, 2, ItemState::InFlight),
        item(&new, 3, ItemState::InFlight),
        item(&new, 4, ItemState::Escalated),
        never,
    ];
    put_new(store, items).await?;
    store.refresh().await?;
    let source = old.id.source();
    let all = Scan::all(&source, 100);
    let at = |millis| Some(Timestamp::from_millis(millis));
    let in_states = |states| Scan {
        states,
        ..all.clone()
    };
    let expired = |millis, states| Scan {
        lease_expired_at: at(millis),
        states,
        ..all.clone()
    };
    for (scan, expected) in [
        (all.clone(), vec![1, 2, 3, 4, 5]),
        (in_states(&[ItemState::InFlight]), vec![2, 3]),
        (in_states(&[ItemState::Escalated]), vec![4]),
        (in_states(&[ItemState::Escalated, ItemState::Success]), vec![1, 4]),
        (
            Scan {
                crawl: Some(&new.id),
                ..all.clone()
            },
            vec![3, 4, 5],
        ),
        (
            Scan {
                updated_since: at(2_000),
                ..all.clone()
            },
            vec![3, 4],
        ),
        (expired(1_000, &[]), vec![2]),
        (expired(2_000, &[ItemState::InFlight]), vec![2, 3]),
    ] {
        assert_eq!(numbers(&store.scan(&scan).await?), expected, "{scan:?}");
    }
    Ok(())
}

async fn every_state_is_listed_with_and_without_a_crawl(store: &dyn Store) -> Result<(), StoreError> {
    let [old, new] = [1_000, 2_000].map(|start| sample_crawl("listed", start));
    let mut items = Vec::new();
    for (state, number) in STATES.into_iter().zip(0..) {
        items.push(sample_item(&new, "a.example", number, state));
        items.push(sample_item(&old, "a.example", number + 10, state));
        items.push(sample_item(&new, "a.example", number + 20, state));
    }
    put_new(store, items).await?;
    store.refresh().await?;
    let source = old.id.source();
    for (at, number) in (0..STATES.len()).zip(0..) {
        let all = Scan {
            states: &STATES[at..=at],
            ..Scan::all(&source, 9)
        };
        assert_eq!(
            numbers(&store.scan(&all).await?),
            [number, number + 10, number + 20],
            "{all:?}"
        );
        let of_crawl = Scan {
            crawl: Some(&new.id),
            limit: 1,
            ..all
        };
        let first = store.scan(&of_crawl).await?;
        assert_eq!(numbers(&first), [number], "{of_crawl:?}");
        let next = Scan {
            after: first.last().map(|item| &item.id),
            ..of_crawl
        };
        assert_eq!(numbers(&store.scan(&next).await?), [number + 20], "{next:?}");
    }
    let of_crawl = Scan {
        crawl: Some(&old.id),
        ..Scan::all(&source, 7)
    };
    assert_eq!(
        numbers(&store.scan(&of_crawl).await?),
        [10, 11, 12, 13, 14, 15, 16]
    );
    Ok(())
}

async fn what_a_crawl_missed_is_found(store: &dyn Store) -> Result<(), StoreError> {
    let [old, new] = [1_000, 2_000].map(|start| sample_crawl("missed", start));
    let item = |number, last_updated: Option<u64>| Item {
        last_updated: last_updated.map(Timestamp::from_millis),
        ..sample_item(&old, "a.example", number, ItemState::Success)
    };
    let items = vec![
        item(1, Some(1_999)),
        item(2, Some(2_000)),
        item(3, None),
        sample_item(&new, "a.example", 4, ItemState::Success),
        sample_item(&old, "a.example", 5, ItemState::Escalated),
    ];
    put_new(store, items).await?;
    store.refresh().await?;
    let source = old.id.source();
    let missed = Scan {
        missed_by: Some(new.started_at),
        ..Scan::all(&source, 9)
    };
    assert_eq!(numbers(&store.scan(&missed).await?), [1, 3, 5]);
    let some = Scan {
        states: &[ItemState::Success],
        ..missed
    };
    assert_eq!(numbers(&store.scan(&some).await?), [1, 3]);
    Ok(())
}
