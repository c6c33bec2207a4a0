use std::str::FromStr;

use anyhow::{Context, Result, bail};
use crawldb::IndexName;
use jiff::Timestamp as Time;
use ledger::{Ledger, LedgerError, Replay, ReplayFrom, Replayed};
use model::{CrawlId, SourceId, Timestamp};
use serde_json::json;

use crate::assembly::{Company, Stores};
use crate::cli;
use crate::config::Config;
use crate::data_folder::DataFolder;
use crate::exit::{Exit, NoSource, Usage};
use crate::output::{self, Output};
use crate::progress::Count;

/// Makes the index again from what was applied. Needs no lock: what the index has is skipped, and never regresses.
pub(crate) async fn run(config: &Config, output: Output, replay: &cli::Replay) -> Result<Exit> {
    let folder = DataFolder::existing(&config.data)?;
    let ledger = Stores::open(&folder, config, Company::Shared)?.ledger;
    let into = replay.into.as_deref().map(index).transpose()?;
    let replayed = match (&into, replay.switch, replay.what.as_str()) {
        (Some(next), true, "all") => rebuild(&ledger, next).await?,
        (_, true, _) => bail!(Usage(
            "--switch is for \"all\" sources: an index in force has to have them all".to_owned()
        )),
        _ => replay_some(&ledger, replay, into).await?,
    };
    let Replayed {
        read,
        written,
        same,
        stale,
        superseded,
        swept,
        added,
    } = replayed;
    output::say(&format!(
        "{read} records read: {written} written, {same} there already, {stale} older than what is there, \
         {superseded} superseded; {swept} taken out and {added} put in by what the items say"
    ));
    if output.json {
        output.json(&json!({
            "read": read, "written": written, "same": same, "stale": stale, "superseded": superseded,
            "swept": swept, "added": added,
        }))?;
    }
    Ok(Exit::Done)
}

/// A new index beside the one in force, which takes its place when it is level.
async fn rebuild(ledger: &Ledger, next: &IndexName) -> Result<Replayed> {
    let bar = Count::new(&format!("making index {next}"));
    let rebuilt = ledger.rebuild(next, &|so_far| bar.show(so_far.read)).await;
    bar.end();
    let rebuilt = rebuilt.with_context(|| format!("index {next} is not made; the same command goes on"))?;
    output::say(&format!("index {next} is in force"));
    Ok(rebuilt)
}

async fn replay_some(ledger: &Ledger, replay: &cli::Replay, into: Option<IndexName>) -> Result<Replayed> {
    let mut all = Replayed::default();
    for source in sources(ledger, &replay.what).await? {
        let one = Replay {
            from: from(&replay.what, &replay.from)?,
            source,
            into: into.clone(),
        };
        add(&mut all, &replay_one(ledger, &one).await?);
    }
    Ok(all)
}

async fn sources(ledger: &Ledger, what: &str) -> Result<Vec<SourceId>> {
    if what == "all" {
        return Ok(ledger.replayable().await?);
    }
    let id = match CrawlId::new(what) {
        Ok(crawl) => crawl.source(),
        Err(_) => SourceId::new(what)?,
    };
    let source = ledger.crawldb().source(&id).await?;
    let source = source.ok_or(NoSource(id))?;
    Ok(vec![source.id])
}

/// `start` and `end` need a crawl; everything else says itself where to begin.
fn from(what: &str, text: &str) -> Result<ReplayFrom> {
    let crawl = || {
        CrawlId::new(what).map_err(|_| {
            Usage(format!(
                "--from {text} needs a crawl, as SOURCE@MILLISECONDS; `haul source show` lists them"
            ))
        })
    };
    let offsets = || {
        text.split(',')
            .map(u64::from_str)
            .collect::<Result<Vec<u64>, _>>()
    };
    Ok(match text {
        "start" => ReplayFrom::Start(crawl()?),
        "end" => ReplayFrom::End(crawl()?),
        "beginning" => ReplayFrom::Beginning,
        _ if let Ok(offsets) = offsets() => ReplayFrom::Offsets(offsets),
        time => {
            let time = Time::from_str(time).map_err(|_| {
                Usage(format!(
                    "--from {text:?} is none of start, end, beginning, a time (RFC 3339), offsets (5,0,17)"
                ))
            })?;
            ReplayFrom::Time(Timestamp::from_millis(
                u64::try_from(time.as_millisecond()).unwrap_or(0),
            ))
        }
    })
}

async fn replay_one(ledger: &Ledger, replay: &Replay) -> Result<Replayed> {
    let bar = Count::new(&format!("replaying {}", replay.source));
    let replayed = ledger.replay(replay, &|so_far| bar.show(so_far.read)).await;
    bar.end();
    match replayed {
        Err(LedgerError::Refused(why)) => bail!(Usage(why)),
        replayed => replayed.with_context(|| {
            format!(
                "the replay of {} broke off; the same command repeats it",
                replay.source
            )
        }),
    }
}

fn add(all: &mut Replayed, one: &Replayed) {
    all.read += one.read;
    all.superseded += one.superseded;
    all.written += one.written;
    all.same += one.same;
    all.stale += one.stale;
    all.swept += one.swept;
    all.added += one.added;
}

/// Shows, switches and drops indexes of documents.
pub(crate) async fn indexes(config: &Config, output: Output, action: cli::Index) -> Result<Exit> {
    let folder = DataFolder::existing(&config.data)?;
    let ledger = Stores::open(&folder, config, Company::Shared)?.ledger;
    let in_force = ledger.crawldb().documents().index_in_force().await?;
    match action {
        cli::Index::Show { name } => {
            let index = name.map_or_else(|| Ok(in_force.clone()), |name| index(&name))?;
            let documents = ledger.crawldb().documents().count_documents(&index).await?;
            if output.json {
                output.json(&json!({ "in_force": in_force, "index": index, "documents": documents }))?;
            } else {
                output.line(&format!("{index}: {documents} documents; in force: {in_force}"))?;
            }
        }
        cli::Index::Switch { name } => switch(&ledger, &in_force, &index(&name)?).await?,
        cli::Index::Drop { name } => ledger.drop_index(&index(&name)?).await?,
    }
    Ok(Exit::Done)
}

/// An empty index would take the documents from everybody's sight; a slip in its name is enough.
async fn switch(ledger: &Ledger, in_force: &IndexName, next: &IndexName) -> Result<()> {
    let documents = ledger.crawldb().documents();
    documents.refresh_documents().await?;
    if documents.count_documents(next).await? == 0 {
        bail!("index {next} is empty; fill it first: haul crawl replay all --into {next}");
    }
    Ok(ledger.switch_index(in_force, next).await?)
}

fn index(name: &str) -> Result<IndexName> {
    Ok(IndexName::new(name).map_err(|error| Usage(error.to_string()))?)
}
