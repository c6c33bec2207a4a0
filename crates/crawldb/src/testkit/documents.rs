use model::{ArchiveKey, Checksum, ItemId, PageUrl, SourceId, Timestamp, Version};

use crate::port::{DocumentStore, StoreError, Written};
use crate::records::{Body, Document, IndexName, Reference, Revision};

const VALID: &str = "the samples are valid";

/// Checks the contract of [`DocumentStore`] on an empty store and panics where it does not hold. Each check works on an
/// index of its own.
pub async fn documents_conformance(store: &dyn DocumentStore) -> Result<(), StoreError> {
    documents_come_back_whole(store).await?;
    each_document_is_judged_alone(store).await?;
    documents_are_removed_by_revision(store).await?;
    scans_page_in_the_order_of_urls(store).await?;
    only_what_is_alive_is_counted(store).await?;
    indexes_do_not_know_each_other(store).await?;
    one_index_is_in_force(store).await
}

async fn documents_come_back_whole(store: &dyn DocumentStore) -> Result<(), StoreError> {
    let index = index("whole");
    let kinds = vec![
        document(1, vec![reference("docs", 1, true)]),
        document(2, vec![reference("docs", 2, false)]),
        document(3, vec![reference("docs", 7, true)]),
        document(4, vec![reference("docs", 4, false), reference("other", 4, true)]),
    ];
    let stored = put_new(store, &index, kinds).await?;
    let urls: Vec<PageUrl> = [4, 9, 3, 2, 1].map(url).into();
    let got = store.get_documents(&index, &urls).await?;
    let expected: Vec<_> = [Some(3), None, Some(2), Some(1), Some(0)]
        .map(|at| at.map(|at: usize| stored[at].clone()))
        .into();
    assert_eq!(got, expected, "in the order of the URLs");

    let more = Document {
        references: vec![reference("docs", 1, false), reference("other", 1, true)],
        ..stored[0].clone()
    };
    let fewer = Document {
        references: vec![reference("other", 4, true)],
        ..stored[3].clone()
    };
    let changed = put(store, &index, &[more, fewer]).await?;
    let got = store.get_documents(&index, &[url(1), url(4)]).await?;
    assert_eq!(got, changed.map(Some), "in whatever shape it was before");
    Ok(())
}

async fn each_document_is_judged_alone(store: &dyn DocumentStore) -> Result<(), StoreError> {
    let index = index("judged");
    let new = |number| document(number, vec![reference("docs", number, true)]);
    let first = put_new(store, &index, vec![new(1)]).await?.remove(0);
    let never = Document {
        revision: Revision(9),
        ..new(3)
    };
    let batch = [new(1), first.clone(), new(2), new(2), never];
    let judged = store.put_documents(&index, &batch).await?;
    assert_eq!(
        judged[0],
        Written::Conflict(first.revision),
        "the document exists"
    );
    let (Written::Done(second), Written::Done(other)) = (judged[1], judged[2]) else {
        panic!("a known and a new document are taken: {judged:?}")
    };
    assert!(second > first.revision, "revisions grow");
    assert_eq!(
        judged[3],
        Written::Conflict(other),
        "a batch is judged in its order"
    );
    assert_eq!(
        judged[4],
        Written::Conflict(Revision::NEW),
        "the document does not exist"
    );
    Ok(())
}

async fn documents_are_removed_by_revision(store: &dyn DocumentStore) -> Result<(), StoreError> {
    let index = index("removed");
    let new = |number| document(number, vec![reference("docs", number, true)]);
    let stored = put_new(store, &index, vec![new(1), new(2)]).await?;
    let late = Document {
        revision: Revision(99),
        ..stored[0].clone()
    };
    let answers = store
        .delete_documents(&index, &[late, stored[1].clone(), new(3)])
        .await?;
    let expected = [
        Written::Conflict(stored[0].revision),
        Written::Done(stored[1].revision),
        Written::Conflict(Revision::NEW),
    ];
    assert_eq!(answers, expected);
    let got = store.get_documents(&index, &[url(1), url(2)]).await?;
    assert_eq!(got, [Some(stored[0].clone()), None]);
    Ok(())
}

async fn scans_page_in_the_order_of_urls(store: &dyn DocumentStore) -> Result<(), StoreError> {
    let index = index("paged");
    let new = |number| document(number, vec![reference("docs", number, true)]);
    let mut stored = put_new(store, &index, [5, 3, 1, 4, 2].map(new).into()).await?;
    stored.sort_by(|a, b| a.url.cmp(&b.url));
    store.refresh_documents().await?;
    let (mut found, mut after) = (Vec::<Document>::new(), None::<PageUrl>);
    loop {
        let page = store.scan_documents(&index, after.as_ref(), 2).await?;
        assert!(page.len() <= 2);
        let Some(last) = page.last() else { break };
        after = Some(last.url.clone());
        found.extend(page);
    }
    assert_eq!(found, stored);
    Ok(())
}

async fn only_what_is_alive_is_counted(store: &dyn DocumentStore) -> Result<(), StoreError> {
    let index = index("counted");
    let count = async |expected| {
        store.refresh_documents().await?;
        assert_eq!(store.count_documents(&index).await?, expected);
        Ok::<_, StoreError>(())
    };
    count(0).await?;
    let new = |number, is_alive| document(number, vec![reference("docs", number, is_alive)]);
    let stored = put_new(store, &index, vec![new(1, true), new(2, false), new(3, true)]).await?;
    count(2).await?;
    let dead = Document {
        references: vec![reference("docs", 1, false)],
        ..stored[0].clone()
    };
    let alive = Document {
        references: vec![reference("docs", 2, false), reference("other", 2, true)],
        ..stored[1].clone()
    };
    let [dead, _] = put(store, &index, &[dead, alive]).await?;
    count(2).await?;
    store.delete_documents(&index, &[dead, stored[2].clone()]).await?;
    count(1).await
}

async fn indexes_do_not_know_each_other(store: &dyn DocumentStore) -> Result<(), StoreError> {
    let (left, right) = (index("left"), index("right"));
    let new = |number| document(number, vec![reference("docs", number, true)]);
    put_new(store, &left, vec![new(1), new(2)]).await?;
    let stored = put_new(store, &right, vec![new(2)]).await?;
    store.drop_index(&left).await?;
    store.drop_index(&index("never-written")).await?;
    store.refresh_documents().await?;
    assert_eq!(store.get_documents(&left, &[url(1), url(2)]).await?, [None, None]);
    assert_eq!(store.scan_documents(&left, None, 9).await?, []);
    assert_eq!(store.count_documents(&left).await?, 0);
    assert_eq!(store.scan_documents(&right, None, 9).await?, stored);
    Ok(())
}

async fn one_index_is_in_force(store: &dyn DocumentStore) -> Result<(), StoreError> {
    let (main, next) = (IndexName::default(), index("next"));
    assert_eq!(store.index_in_force().await?, main);
    assert!(!store.swap_index(&next, &main).await?, "another one is in force");
    assert!(store.swap_index(&main, &next).await?);
    assert!(
        !store.swap_index(&main, &next).await?,
        "only one of two who swap does"
    );
    assert_eq!(store.index_in_force().await?, next);
    assert!(store.drop_index(&next).await.is_err(), "it is searched");
    assert!(store.swap_index(&next, &main).await?);
    store.drop_index(&next).await
}

fn index(name: &str) -> IndexName {
    IndexName::new(name).expect(VALID)
}

fn url(number: u32) -> PageUrl {
    PageUrl::parse(&format!("https://a.example/page-{number}")).expect(VALID)
}

fn document(number: u32, references: Vec<Reference>) -> Document {
    Document {
        references,
        ..Document::new(url(number))
    }
}

/// Of the item whose id is the URL with this number.
fn reference(source: &str, number: u32, is_alive: bool) -> Reference {
    let body = Body {
        checksum: Checksum::of(source.as_bytes()),
        extract: ArchiveKey::new("extract/a#0+9").expect(VALID),
    };
    Reference {
        source: SourceId::new(source).expect(VALID),
        item: ItemId::new(url(number).as_str()).expect(VALID),
        version: Version::from_u64(7),
        write: 3,
        last_updated: Timestamp::from_millis(1_000),
        body: is_alive.then_some(body),
    }
}

/// The documents with their new revisions.
async fn put<const N: usize>(
    store: &dyn DocumentStore,
    index: &IndexName,
    documents: &[Document; N],
) -> Result<[Document; N], StoreError> {
    let mut written = documents.clone();
    for (document, answer) in written
        .iter_mut()
        .zip(store.put_documents(index, documents).await?)
    {
        let Written::Done(revision) = answer else {
            panic!("the write was not taken: {answer:?}")
        };
        document.revision = revision;
    }
    Ok(written)
}

async fn put_new(
    store: &dyn DocumentStore,
    index: &IndexName,
    mut documents: Vec<Document>,
) -> Result<Vec<Document>, StoreError> {
    let answers = store.put_documents(index, &documents).await?;
    assert_eq!(answers.len(), documents.len(), "an answer for each");
    for (document, answer) in documents.iter_mut().zip(answers) {
        let Written::Done(revision) = answer else {
            panic!("a new document was not taken: {answer:?}")
        };
        document.revision = revision;
    }
    Ok(documents)
}
