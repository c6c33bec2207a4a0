use crate::client::{get, submit};
use crate::fixture::Parts;

#[tokio::test]
async fn an_empty_server_says_what_to_do_first() {
    let parts = Parts::start().await;
    get(&parts.router, "/")
        .await
        .is_page(200, &["Nothing is published yet", "/sources/new"]);
    get(&parts.router, "/?q=form")
        .await
        .is_page(200, &["No page has all of these words"]);
    get(&parts.router, "/sources")
        .await
        .is_page(200, &["There is none yet", "Add a source"]);
    get(&parts.router, "/escalations")
        .await
        .is_page(200, &["Nothing waits for you here"]);
    get(&parts.router, "/orphans")
        .await
        .is_page(200, &["No item is missed", "After each full crawl"]);
    get(&parts.router, "/crawls")
        .await
        .is_page(200, &["one pass over a source"]);
    get(&parts.router, "/packs")
        .await
        .is_page(200, &["None is published yet"]);
}

#[tokio::test]
async fn a_site_is_added_by_its_address_and_shown() {
    let parts = Parts::start().await;
    let added = submit(
        &parts.router,
        "/sources",
        "url=https%3A%2F%2Fexample.gov%2F&name=Example",
    )
    .await;
    assert_eq!(
        (added.status.as_u16(), added.header("location")),
        (303, "/sources/example.gov")
    );
    get(&parts.router, "/sources")
        .await
        .is_page(200, &["Example", "https://example.gov/", "idle"]);
    let page = get(&parts.router, added.header("location")).await;
    page.is_page(
        200,
        &[
            "Start a crawl",
            "None yet: start a crawl",
            "1,000,000 pages",
            "method=\"post\"",
        ],
    );
    submit(&parts.router, "/sources", "url=https%3A%2F%2Fexample.gov%2F")
        .await
        .is_page(409, &["exists already"]);
    submit(&parts.router, "/sources", "url=ftp%3A%2F%2Fx")
        .await
        .is_page(400, &["only http and https"]);
    submit(&parts.router, "/sources/example.gov/delete", "")
        .await
        .is_page(400, &["Tick the box"]);
    let gone = submit(&parts.router, "/sources/example.gov/delete", "sure=yes").await;
    assert_eq!(gone.status.as_u16(), 303);
    get(&parts.router, "/sources/example.gov")
        .await
        .is_page(200, &["Being deleted"]);
    get(&parts.router, "/sources")
        .await
        .is_page(200, &["being deleted"]);
}

#[tokio::test]
async fn buckets_and_feeds_are_added_by_their_address() {
    let parts = Parts::start().await;
    let add = async |fields: &str| submit(&parts.router, "/sources", fields).await;
    let bucket = add("kind=bucket&url=s3%3A%2F%2Fdocs.example.org%2Fmanual&base=").await;
    assert_eq!(bucket.header("location"), "/sources/docs.example.org");
    get(&parts.router, bucket.header("location"))
        .await
        .is_page(200, &["s3://docs.example.org/manual", "Start a crawl"]);
    let feed = add("kind=feed&url=https%3A%2F%2Fnews.gov%2Fa").await;
    get(&parts.router, feed.header("location")).await.is_page(
        200,
        &[
            "https://news.gov/a/",
            "None was sent yet",
            "only its explicit word deletes",
        ],
    );
    get(&parts.router, "/sources").await.is_page(200, &["listening"]);
    add("kind=folder&url=https%3A%2F%2Fa.gov%2F")
        .await
        .is_page(400, &["site, bucket or feed"]);
}

#[tokio::test]
async fn a_source_shows_its_items_by_state_and_its_crawls() {
    let parts = Parts::with_content().await;
    let page = get(&parts.router, "/sources/forms").await;
    page.is_page(
        200,
        &[
            "40 items",
            "24 success",
            "4 escalated",
            "4 pending",
            "completed",
            "1,000,000 pages",
        ],
    );
}

#[tokio::test]
async fn items_are_listed_by_state_and_in_slices() {
    let parts = Parts::with_content().await;
    let escalated = get(&parts.router, "/sources/forms/items?state=escalated").await;
    escalated.is_page(200, &["the server answered 403 Forbidden"]);
    assert!(!escalated.body.contains("30 s"));
    let first = get(&parts.router, "/sources/forms/items?limit=3").await;
    first.is_page(
        200,
        &[
            "page/002",
            "rel=\"next\"",
            "limit=3&amp;after=https%3A%2F%2Fforms.example.gov%2Fpage%2F002",
        ],
    );
    assert!(!first.body.contains("page/003"));
    get(&parts.router, "/sources/forms/items?state=lost")
        .await
        .is_page(400, &["one of success"]);
    get(&parts.router, "/sources/none/items")
        .await
        .is_page(404, &["Source none does not exist"]);
}

#[tokio::test]
async fn an_item_shows_its_whole_record() {
    let parts = Parts::with_content().await;
    let id = "https%3A%2F%2Fforms.example.gov%2Fpage%2F000%3Fa%3D1%26b%3D%2522";
    let item = get(&parts.router, &format!("/sources/forms/item?id={id}")).await;
    item.is_page(
        200,
        &[
            "no answer within 30 s &lt;script&gt;",
            "will be retried",
            "forms@1770115200000",
            "due again",
        ],
    );
    get(&parts.router, "/sources/forms/item?id=x")
        .await
        .is_page(404, &["has no item"]);
    get(&parts.router, "/sources/forms/item")
        .await
        .is_page(400, &["names the item"]);
}

#[tokio::test]
async fn a_finished_crawl_shows_what_it_did_and_nothing_live() {
    let parts = Parts::with_content().await;
    let page = get(&parts.router, "/crawls/forms%401770115200000").await;
    page.is_page(
        200,
        &[
            "completed",
            "3 min 20 s",
            "1.2 MB",
            "forms.example.gov",
            "36 answers",
        ],
    );
    assert!(!page.body.contains("live.js") && !page.body.contains("http-equiv"));
    get(&parts.router, "/crawls")
        .await
        .is_page(200, &["completed", "forms"]);
    get(&parts.router, "/crawls/forms%405")
        .await
        .is_page(404, &["does not exist"]);
    get(&parts.router, "/crawls/nonsense")
        .await
        .is_page(400, &["source"]);
}

#[tokio::test]
async fn packs_are_listed_with_their_files() {
    let parts = Parts::with_content().await;
    let page = get(&parts.router, "/packs").await;
    page.is_page(
        200,
        &[
            "forms.example.gov",
            "34",
            "/api/v1/packs/forms.example.gov/file",
            "3 Feb 2026",
        ],
    );
}

#[tokio::test]
async fn pages_are_whole_documents_with_landmarks() {
    let parts = Parts::with_content().await;
    for path in [
        "/",
        "/?q=form",
        "/sources",
        "/sources/new",
        "/sources/forms",
        "/sources/forms/settings",
        "/sources/forms/items",
        "/crawls",
        "/crawls/forms%401770115200000",
        "/escalations",
        "/orphans",
        "/packs",
        "/nowhere",
    ] {
        let body = get(&parts.router, path).await.body;
        for part in [
            "<!DOCTYPE html>",
            "lang=\"en\"",
            "name=\"viewport\"",
            "<main",
            "<nav",
            "<footer",
            "<h1",
            "</html>",
        ] {
            assert!(body.contains(part), "{part} is not in {path}");
        }
        assert!(
            !body.contains("style=") && !body.contains("<script>"),
            "{path} would break its own policy"
        );
    }
}

#[tokio::test]
async fn a_pack_stays_while_a_collection_needs_it() {
    let parts = Parts::with_content().await;
    let pack = "/packages/pack%2Fforms.example.gov";
    get(&parts.router, "/packages")
        .await
        .is_page(200, &["pack/forms.example.gov", "Make a collection"]);
    let made = submit(&parts.router, "/packages", "name=health&host=forms.example.gov").await;
    assert_eq!(
        (made.status.as_u16(), made.header("location")),
        (303, "/packages/collection%2Fhealth")
    );
    get(&parts.router, made.header("location")).await.is_page(
        200,
        &[
            "collection/health",
            "pack/forms.example.gov",
            "Remove this collection",
        ],
    );
    get(&parts.router, pack).await.is_page(
        200,
        &[
            "Needed by",
            "collection/health",
            "cannot be removed while a package",
        ],
    );
    submit(&parts.router, &format!("{pack}/delete"), "")
        .await
        .is_page(409, &["collection/health", "change or remove that first"]);
    submit(&parts.router, "/packages", "name=health&host=unknown.example.gov")
        .await
        .is_page(409, &["pack/unknown.example.gov"]);
    submit(&parts.router, "/packages", "name=Health&host=forms.example.gov")
        .await
        .is_page(400, &["is no name of a package"]);
    submit(&parts.router, "/packages/collection%2Fhealth/delete", "").await;
    submit(&parts.router, &format!("{pack}/delete"), "").await;
    get(&parts.router, pack).await.is_page(404, &["is not published"]);
}
