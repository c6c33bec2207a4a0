use std::collections::BTreeMap;

use model::{SourceId, Timestamp};

use crate::port::{DueQuery, Scan, Store, StoreError, Written};
use crate::records::{Configuration, Crawl, Intent, Item, ItemState, Revision, Source};
use crate::testkit::samples::{sample_crawl, sample_item, sample_settings, sample_sighting, sample_source};
use crate::testkit::scans;

/// Checks the contract of [`Store`] on an empty store and panics where it does not hold. Each check works on a
/// source of its own.
pub async fn conformance(store: &dyn Store) -> Result<(), StoreError> {
    sources_are_swapped(store).await?;
    crawls_are_swapped_and_listed(store).await?;
    items_come_back_whole(store).await?;
    each_item_is_judged_alone(store).await?;
    due_items_come_longest_due_first(store).await?;
    items_are_removed_by_revision(store).await?;
    scans::conformance(store).await?;
    counts_follow_every_write(store).await?;
    configurations_are_kept_as_they_were(store).await?;
    intents_stay_until_they_are_removed(store).await?;
    a_deleted_source_takes_everything_along(store).await
}

async fn sources_are_swapped(store: &dyn Store) -> Result<(), StoreError> {
    let source = sample_source("swapped");
    assert_eq!(store.get_source(&source.id).await?, None);
    let first = written(store.put_source(&source).await?);
    assert_eq!(
        store.put_source(&source).await?,
        Written::Conflict(first),
        "a source is created once"
    );
    let source = Source {
        revision: first,
        settings: sample_settings("renamed"),
        ..source
    };
    let second = written(store.put_source(&source).await?);
    assert!(second > first, "revisions grow");
    let stored = Source {
        revision: second,
        ..source.clone()
    };
    assert_eq!(store.get_source(&source.id).await?, Some(stored.clone()));
    assert!(store.list_sources().await?.contains(&stored));
    let never = sample_source("never-written");
    let never = Source {
        revision: Revision(9),
        ..never
    };
    assert_eq!(store.put_source(&never).await?, Written::Conflict(Revision::NEW));
    Ok(())
}

async fn crawls_are_swapped_and_listed(store: &dyn Store) -> Result<(), StoreError> {
    let source = SourceId::new("history").expect("a valid name");
    let [old, new] = [1_000, 20_000].map(|start| sample_crawl("history", start));
    let first = written(store.put_crawl(&old).await?);
    written(store.put_crawl(&new).await?);
    assert_eq!(store.put_crawl(&old).await?, Written::Conflict(first));
    let changed = Crawl {
        revision: first,
        fetches: 3,
        ..old.clone()
    };
    let second = written(store.put_crawl(&changed).await?);
    assert_eq!(
        store.get_crawl(&old.id).await?,
        Some(Crawl {
            revision: second,
            ..changed
        })
    );
    let listed = store.list_crawls(Some(&source), 10).await?;
    assert_eq!(
        listed.iter().map(|crawl| &crawl.id).collect::<Vec<_>>(),
        [&new.id, &old.id],
        "newest first"
    );
    assert_eq!(store.list_crawls(Some(&source), 1).await?.len(), 1);
    assert!(store.list_crawls(None, 1_000).await?.len() >= 2);
    Ok(())
}

async fn items_come_back_whole(store: &dyn Store) -> Result<(), StoreError> {
    let crawl = sample_crawl("whole", 1_000);
    let full = sample_item(&crawl, "a.example", 1, ItemState::InFlight);
    let bare = bare(&sample_item(&crawl, "a.example", 2, ItemState::Pending));
    let items = put_new(store, vec![full, bare]).await?;
    let absent = sample_sighting("a.example", 3).id;
    let ids = [items[1].id.clone(), absent, items[0].id.clone()];
    let got = store.get_items(&crawl.id.source(), &ids).await?;
    assert_eq!(
        got,
        [Some(items[1].clone()), None, Some(items[0].clone())],
        "in the order of the ids"
    );
    Ok(())
}

async fn each_item_is_judged_alone(store: &dyn Store) -> Result<(), StoreError> {
    let crawl = sample_crawl("judged", 1_000);
    let item = |number| sample_item(&crawl, "a.example", number, ItemState::Pending);
    let first = put_new(store, vec![item(1)]).await?.remove(0);
    let judged = store
        .put_items(&[item(1), first.clone(), item(2), item(2)])
        .await?;
    assert_eq!(judged[0], Written::Conflict(first.revision), "the item exists");
    assert!(
        matches!(judged[1], Written::Done(_)),
        "the revision is the stored one"
    );
    let Written::Done(second) = judged[2] else {
        panic!("a new item is taken")
    };
    assert_eq!(
        judged[3],
        Written::Conflict(second),
        "a batch is judged in its order"
    );
    Ok(())
}

async fn due_items_come_longest_due_first(store: &dyn Store) -> Result<(), StoreError> {
    let crawl = sample_crawl("due", 1_000);
    let other = sample_crawl("due", 500);
    let item = |host, number, state, due| {
        let due = Timestamp::from_millis(due);
        Item {
            next_attempt_at: due,
            ..sample_item(&crawl, host, number, state)
        }
    };
    let foreign = sample_item(&other, "a.example", 9, ItemState::Pending);
    let late = item("a.example", 1, ItemState::Pending, 3_000);
    let retry = item("b.example", 2, ItemState::Failure, 2_000);
    let early = item("a.example", 3, ItemState::Pending, 1_000);
    let taken = item("a.example", 4, ItemState::InFlight, 1_000);
    let done = item("a.example", 5, ItemState::Success, 1_000);
    put_new(store, vec![foreign, late, retry, early, taken, done]).await?;
    store.refresh().await?;
    let source = crawl.id.source();
    let a = "a.example".to_owned();
    for (scope, now, limit, expected) in [
        (None, 3_000, 9, vec![3, 2, 1]),
        (None, 2_999, 9, vec![3, 2]),
        (None, 3_000, 1, vec![3]),
        (Some(&a), 3_000, 9, vec![3, 1]),
        (None, 999, 9, vec![]),
    ] {
        let now = Timestamp::from_millis(now);
        let query = DueQuery {
            source: &source,
            crawl: &crawl.id,
            scope,
            now,
            limit,
        };
        assert_eq!(numbers(&store.due(&query).await?), expected, "{query:?}");
    }
    let next = store.next_due(&source, &crawl.id, None).await?;
    assert_eq!(next, Some(Timestamp::from_millis(1_000)));
    let b = "b.example".to_owned();
    assert_eq!(
        store.next_due(&source, &crawl.id, Some(&b)).await?,
        Some(Timestamp::from_millis(2_000))
    );
    assert_eq!(
        store
            .next_due(&source, &crawl.id, Some(&"c.example".into()))
            .await?,
        None
    );
    Ok(())
}

async fn items_are_removed_by_revision(store: &dyn Store) -> Result<(), StoreError> {
    let crawl = sample_crawl("removed", 1_000);
    let item = |number| sample_item(&crawl, "a.example", number, ItemState::Deleted);
    let stored = put_new(store, vec![item(1), item(2)]).await?;
    let late = Item {
        revision: Revision(99),
        ..stored[0].clone()
    };
    let answers = store.delete_items(&[late, stored[1].clone(), item(3)]).await?;
    let expected = [
        Written::Conflict(stored[0].revision),
        Written::Done(stored[1].revision),
        Written::Conflict(Revision::NEW),
    ];
    assert_eq!(answers, expected);
    store.refresh().await?;
    let source = crawl.id.source();
    assert_eq!(numbers(&store.scan(&Scan::all(&source, 9)).await?), [1]);
    let counts = store.counts(&source, None).await?.by_state;
    assert_eq!(counts, BTreeMap::from([(ItemState::Deleted, (1, 1))]));
    let scopes = store.scopes(&source, &crawl.id).await?;
    assert_eq!(scopes, [("a.example".to_owned(), 1, 0)]);
    Ok(())
}

async fn configurations_are_kept_as_they_were(store: &dyn Store) -> Result<(), StoreError> {
    let source = sample_source("configured").id;
    let configuration = |number, name| Configuration {
        source: source.clone(),
        number,
        settings: sample_settings(name),
        at: Timestamp::from_millis(number),
    };
    let [first, second] = [(1, "first"), (2, "second")].map(|(number, name)| configuration(number, name));
    for configuration in [&second, &first, &configuration(1, "never in force")] {
        store.put_configuration(configuration).await?;
    }
    assert_eq!(store.list_configurations(&source).await?, [first, second]);
    let other = sample_source("not-configured").id;
    assert_eq!(store.list_configurations(&other).await?, []);
    Ok(())
}

async fn intents_stay_until_they_are_removed(store: &dyn Store) -> Result<(), StoreError> {
    let source = sample_source("intending").id;
    let intent = |id: &str, at| Intent {
        id: id.to_owned(),
        source: source.clone(),
        owner: "testkit".into(),
        items: vec![sample_sighting("a.example", 1).id],
        at: Timestamp::from_millis(at),
    };
    let (young, old) = (intent("a", 2_000), intent("b", 1_000));
    store.put_intent(&young).await?;
    store.put_intent(&intent("b", 9_000)).await?;
    store.put_intent(&old).await?;
    assert_eq!(
        store.list_intents(&source).await?,
        [old.clone(), young.clone()],
        "oldest first, at once, and the last word of each id"
    );
    store.delete_intent(&source, &old.id).await?;
    store.delete_intent(&source, &old.id).await?;
    store.delete_intent(&sample_source("other").id, &young.id).await?;
    assert_eq!(store.list_intents(&source).await?, [young]);
    Ok(())
}

async fn counts_follow_every_write(store: &dyn Store) -> Result<(), StoreError> {
    let [old, new] = [1_000, 2_000].map(|start| sample_crawl("counted", start));
    let source = old.id.source();
    let items = [1, 2, 3].map(|number| sample_item(&old, "a.example", number, ItemState::Pending));
    let mut items = put_new(store, items.into()).await?;
    items[0].state = ItemState::Success;
    (items[1].crawl, items[1].seen_crawl_at) = (new.id.clone(), new.started_at);
    items[2].scope = "b.example".into();
    written_all(store, &items).await?;
    store.refresh().await?;

    let old_counts = store.counts(&source, Some(&old.id)).await?.by_state;
    assert_eq!(
        old_counts,
        BTreeMap::from([(ItemState::Success, (1, 1)), (ItemState::Pending, (1, 1))])
    );
    let new_counts = store.counts(&source, Some(&new.id)).await?.by_state;
    assert_eq!(
        new_counts,
        BTreeMap::from([(ItemState::Pending, (1, 0))]),
        "known before: not new"
    );
    let all = store.counts(&source, None).await?.by_state;
    assert_eq!(
        all,
        BTreeMap::from([(ItemState::Success, (1, 1)), (ItemState::Pending, (2, 1))])
    );
    let scopes = store.scopes(&source, &old.id).await?;
    assert_eq!(
        scopes,
        [("a.example".to_owned(), 1, 0), ("b.example".to_owned(), 1, 1)]
    );
    Ok(())
}

async fn a_deleted_source_takes_everything_along(store: &dyn Store) -> Result<(), StoreError> {
    let (source, crawl) = (sample_source("deleted"), sample_crawl("deleted", 1_000));
    written(store.put_source(&source).await?);
    written(store.put_crawl(&crawl).await?);
    let item = sample_item(&crawl, "a.example", 1, ItemState::Pending);
    let ids = [item.id.clone()];
    put_new(store, vec![item]).await?;
    let intent = Intent {
        id: "begun".into(),
        source: source.id.clone(),
        owner: "testkit".into(),
        items: ids.to_vec(),
        at: crawl.started_at,
    };
    store.put_intent(&intent).await?;
    let configuration = Configuration {
        source: source.id.clone(),
        number: 1,
        settings: source.settings.clone(),
        at: crawl.started_at,
    };
    store.put_configuration(&configuration).await?;
    store.delete_source(&source.id).await?;
    store.refresh().await?;
    assert_eq!(store.get_source(&source.id).await?, None);
    assert_eq!(store.get_crawl(&crawl.id).await?, None);
    assert_eq!(store.get_items(&source.id, &ids).await?, [None]);
    assert_eq!(store.counts(&source.id, None).await?.by_state, BTreeMap::new());
    assert_eq!(store.scopes(&source.id, &crawl.id).await?, []);
    assert_eq!(store.scan(&Scan::all(&source.id, 9)).await?, []);
    assert_eq!(store.list_intents(&source.id).await?, []);
    assert_eq!(store.list_configurations(&source.id).await?, []);
    store.delete_source(&source.id).await
}

/// An item as a first sighting makes it.
fn bare(item: &Item) -> Item {
    Item {
        last_updated: None,
        last_error: None,
        checksum: None,
        disposition: None,
        content: None,
        extract: None,
        etag: None,
        last_modified: None,
        parent: None,
        aliases: Vec::new(),
        orphan: None,
        ruling: None,
        unread: None,
        ..item.clone()
    }
}

fn written(written: Written) -> Revision {
    match written {
        Written::Done(revision) => revision,
        Written::Conflict(stored) => panic!("the write was not taken, stored is {stored:?}"),
    }
}

async fn written_all(store: &dyn Store, items: &[Item]) -> Result<Vec<Revision>, StoreError> {
    Ok(store.put_items(items).await?.into_iter().map(written).collect())
}

pub(super) async fn put_new(store: &dyn Store, items: Vec<Item>) -> Result<Vec<Item>, StoreError> {
    let revisions = written_all(store, &items).await?;
    Ok(items
        .into_iter()
        .zip(revisions)
        .map(|(item, revision)| Item { revision, ..item })
        .collect())
}

/// The numbers at the end of the sample ids.
pub(super) fn numbers(items: &[Item]) -> Vec<u32> {
    let number = |item: &Item| {
        item.id
            .as_str()
            .rsplit('-')
            .next()
            .and_then(|text| text.parse().ok())
    };
    items.iter().filter_map(number).collect()
}
