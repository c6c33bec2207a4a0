//! How fast the log takes records: `cargo run --release -p updates --example append`.

use std::time::{Duration, Instant};

use model::SourceId;
use updates::{Entry, Subscription, UpdateLog, topics};

const BATCHES: u64 = 800;
const BATCH: u64 = 256;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let log = UpdateLog::open(&folder.path().join("updates.db"))?;
    let source = SourceId::new("bench")?;
    topics::ensure_source(&log, &source, topics::DEFAULT_PARTITIONS).await?;
    let topic = topics::applied(&source);

    let begun = Instant::now();
    for batch in 0..BATCHES {
        let entries: Vec<Entry<String>> = (0..BATCH).map(|number| entry(batch * BATCH + number)).collect();
        log.append(&topic, &entries).await?;
    }
    report("append", BATCHES * BATCH, begun.elapsed());

    let begun = Instant::now();
    let mut group = log.group("bench", Subscription::Topics(vec![topic])).await?;
    let mut read = 0;
    loop {
        let batch = group.poll(500, Duration::ZERO).await?;
        if batch.records.is_empty() {
            break;
        }
        read += batch.records.len() as u64 + batch.superseded;
        group.commit_batch(&batch).await?;
    }
    report("poll and commit", read, begun.elapsed());

    let begun = Instant::now();
    let gone = log.clean_up(model::Timestamp::default()).await?;
    report("compaction, looked at", BATCHES * BATCH, begun.elapsed());
    say(&format!("{gone} records went"));
    Ok(())
}

/// Every page is written four times, and hosts take turns.
fn entry(number: u64) -> Entry<String> {
    let host = format!("www{}.example.gov", number % 20);
    let page = number % (BATCHES * BATCH / 4);
    Entry {
        key: format!("https://{host}/library/page-{page}"),
        scope: host,
        value: Some("x".repeat(200)),
    }
}

fn report(what: &str, records: u64, spent: Duration) {
    say(&format!(
        "{what}: {:.0} records/s",
        records as f64 / spent.as_secs_f64()
    ));
}

#[expect(clippy::print_stdout, reason = "this program exists to print")]
fn say(line: &str) {
    println!("{line}");
}
