use crawldb::{Body, Document, DocumentStore, IndexName, Reference, Revision, StoreError, Written};
use model::{ArchiveKey, Checksum, ItemId, PageUrl, SourceId, Timestamp, Version};

pub(crate) fn document(number: u32) -> Document {
    let url = PageUrl::parse(&format!("https://a.example/page-{number:04}?a=b%2F&c=%C3%A9")).unwrap();
    let reference = Reference {
        source: SourceId::new("docs").unwrap(),
        item: ItemId::new("any/text ?#%\u{e9}\"\\ at all").unwrap(),
        version: Version::from_u64(u64::MAX),
        write: 3,
        last_updated: Timestamp::from_millis(1_000),
        body: Some(Body {
            checksum: Checksum::of(b"a"),
            extract: ArchiveKey::new("extract/a#0+9").unwrap(),
        }),
    };
    Document {
        references: vec![reference],
        ..Document::new(url)
    }
}

/// Every call of the document store, on an empty store.
pub(crate) async fn check(store: &dyn DocumentStore) -> Result<(), StoreError> {
    swaps_and_reads(store).await?;
    indexes_are_apart(store).await
}

async fn swaps_and_reads(store: &dyn DocumentStore) -> Result<(), StoreError> {
    let index = IndexName::default();
    let (first, second) = (document(1), document(2));
    let written = store
        .put_documents(&index, &[first.clone(), second.clone(), first.clone()])
        .await?;
    let (Written::Done(revision), Written::Done(_)) = (written[0], written[1]) else {
        panic!("new documents are taken: {written:?}");
    };
    assert_eq!(written[2], Written::Conflict(revision));
    let stored = Document { revision, ..first };
    let absent = document(3).url;
    let got = store.get_documents(&index, &[absent, stored.url.clone()]).await?;
    assert_eq!(got, [None, Some(stored.clone())]);

    store.refresh_documents().await?;
    assert_eq!(store.count_documents(&index).await?, 2);
    let after = store.scan_documents(&index, Some(&stored.url), 10).await?;
    assert_eq!(
        after.iter().map(|document| &document.url).collect::<Vec<_>>(),
        [&second.url]
    );
    assert_eq!(
        store.scan_documents(&index, None, 1).await?,
        std::slice::from_ref(&stored)
    );

    let gone = store.delete_documents(&index, &[stored.clone(), stored]).await?;
    assert_eq!(gone, [Written::Done(revision), Written::Conflict(Revision::NEW)]);
    Ok(())
}

async fn indexes_are_apart(store: &dyn DocumentStore) -> Result<(), StoreError> {
    let (main, next) = (IndexName::default(), IndexName::new("next").unwrap());
    assert_eq!(store.index_in_force().await?, main);
    store.put_documents(&next, &[document(7)]).await?;
    store.refresh_documents().await?;
    assert_eq!(store.count_documents(&next).await?, 1);
    assert!(!store.swap_index(&next, &main).await?);
    assert!(store.swap_index(&main, &next).await?);
    assert_eq!(store.index_in_force().await?, next);
    let refused = store.drop_index(&next).await.unwrap_err();
    assert!(!refused.retryable, "{refused}");
    assert!(store.swap_index(&next, &main).await?);
    store.drop_index(&next).await?;
    store.refresh_documents().await?;
    assert_eq!(store.count_documents(&next).await?, 0);
    Ok(())
}
