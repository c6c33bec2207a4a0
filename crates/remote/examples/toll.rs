//! What the way over HTTP costs: `cargo run --release -p remote --example toll`.
//!
//! Puts and gets items 1,000 at a time, by one caller, into each engine alone and into the same engine behind the
//! service on this machine. Argument: how many thousand items (100).

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use crawldb::testkit::{sample_crawl, sample_item};
use crawldb::{Crawldb, Item, ItemState, Store};
use model::ItemId;
use remote::{RemoteOptions, RemoteStore, RouterOptions};

type Failure = Box<dyn std::error::Error>;

const BATCH: u32 = 1_000;

#[tokio::main]
async fn main() -> ExitCode {
    match measure().await {
        Ok(report) => {
            let _ = std::io::Write::write_all(&mut std::io::stdout(), report.as_bytes());
            ExitCode::SUCCESS
        }
        Err(error) => {
            let _ = std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("{error}\n"));
            ExitCode::FAILURE
        }
    }
}

async fn measure() -> Result<String, Failure> {
    let batches: u32 = std::env::args().nth(1).map_or(Ok(100), |text| text.parse())?;
    let folder = tempfile::tempdir()?;
    let mut report = json_alone(batches)?;
    for (name, crawldb) in [
        ("memory", Crawldb::memory()),
        ("memory behind HTTP", Crawldb::memory()),
        ("SQLite", Crawldb::open(&folder.path().join("alone.db"))?),
        (
            "SQLite behind HTTP",
            Crawldb::open(&folder.path().join("behind.db"))?,
        ),
    ] {
        let store: Arc<dyn Store> = if name.ends_with("HTTP") {
            Arc::new(behind_http(&crawldb).await?)
        } else {
            Arc::clone(crawldb.store())
        };
        report += &rates(name, &*store, batches).await?;
    }
    Ok(report)
}

async fn behind_http(crawldb: &Crawldb) -> Result<RemoteStore, Failure> {
    let (store, documents) = (Arc::clone(crawldb.store()), Arc::clone(crawldb.documents()));
    let router = remote::router(store, documents, RouterOptions::default());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(RemoteStore::new(&url, RemoteOptions::default())?)
}

fn items(batch: u32) -> Vec<Item> {
    let crawl = sample_crawl("bench", 1_000);
    (batch * BATCH..(batch + 1) * BATCH)
        .map(|number| sample_item(&crawl, "a.example", number, ItemState::Pending))
        .collect()
}

async fn rates(name: &str, store: &dyn Store, batches: u32) -> Result<String, Failure> {
    let batches: Vec<Vec<Item>> = (0..batches).map(items).collect();
    let start = Instant::now();
    for batch in &batches {
        store.put_items(batch).await?;
    }
    let put = start.elapsed();
    let start = Instant::now();
    for batch in &batches {
        let ids: Vec<ItemId> = batch.iter().map(|item| item.id.clone()).collect();
        store.get_items(&batch[0].source, &ids).await?;
    }
    let got = start.elapsed();
    let count = batches.len() as f64 * f64::from(BATCH);
    let rate = |time: std::time::Duration| count / time.as_secs_f64();
    Ok(format!(
        "{name:20} put {:9.0} items/s, get {:9.0} items/s\n",
        rate(put),
        rate(got)
    ))
}

fn json_alone(batches: u32) -> Result<String, Failure> {
    let batch = items(0);
    let body = serde_json::to_vec(&batch)?;
    let start = Instant::now();
    for _ in 0..batches {
        serde_json::to_vec(&batch)?;
    }
    let write = start.elapsed() / (batches * BATCH);
    let start = Instant::now();
    for _ in 0..batches {
        serde_json::from_slice::<Vec<Item>>(&body)?;
    }
    let read = start.elapsed() / (batches * BATCH);
    let bytes = body.len() / batch.len();
    Ok(format!(
        "JSON of an item: {bytes} bytes, written in {write:?}, read in {read:?}\n"
    ))
}
