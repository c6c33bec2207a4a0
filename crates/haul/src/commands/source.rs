use std::time::SystemTime;

use anyhow::{Result, bail};
use crawldb::{Crawldb, CrawldbError};
use model::{SourceId, Timestamp};

use crate::cli::{Site, Source};
use crate::config::Config;
use crate::data_folder::DataFolder;
use crate::exit::Exit;
use crate::output::{self, Output};
use crate::site::{self, Place};

/// Adds, lists, shows and removes sources. Needs no lock: the crawl database takes care of itself.
pub(crate) async fn run(config: &Config, output: Output, action: Source) -> Result<Exit> {
    match action {
        Source::Add {
            name,
            start,
            base,
            site,
        } => add(config, &name, Place::new(&start, base.as_deref())?, &site).await,
        Source::List => list(config, output).await,
        Source::Show { name } => show(config, output, &SourceId::new(name)?).await,
        Source::Rm { name } => remove(config, &SourceId::new(name)?).await,
    }
}

async fn add(config: &Config, name: &str, place: Place, site: &Site) -> Result<Exit> {
    let id = SourceId::new(name)?;
    let source = site::new_source(id, place, site, Timestamp::from(SystemTime::now()))?;
    let folder = DataFolder::create(&config.data)?;
    let source = Crawldb::open(&folder.crawldb())?.add_source(source).await?;
    output::say(&format!(
        "source {0} added; crawl it with: haul crawl {0}",
        source.id
    ));
    Ok(Exit::Done)
}

fn open(config: &Config) -> Result<Crawldb> {
    Ok(Crawldb::open(&DataFolder::existing(&config.data)?.crawldb())?)
}

async fn list(config: &Config, output: Output) -> Result<Exit> {
    let sources = open(config)?.sources().await?;
    for source in &sources {
        if output.json {
            output.json(source)?;
            continue;
        }
        let first = || source.site.start.first().map(ToString::to_string);
        let start = source.bucket.clone().or_else(first).unwrap_or_default();
        let state = source.active_crawl.as_ref().map_or("", |_| "crawling");
        output.line(&format!("{:<32} {start} {state}", source.id.as_str()))?;
    }
    Ok(if sources.is_empty() {
        Exit::Nothing
    } else {
        Exit::Done
    })
}

async fn show(config: &Config, output: Output, id: &SourceId) -> Result<Exit> {
    let crawldb = open(config)?;
    let Some(source) = crawldb.source(id).await? else {
        output::say(&format!("there is no source {id}; `haul source list` lists them"));
        return Ok(Exit::Nothing);
    };
    let crawls = crawldb.crawls(Some(id), 10).await?;
    if output.json {
        output.json(&serde_json::json!({ "source": source, "crawls": crawls }))?;
        return Ok(Exit::Done);
    }
    output.line(&serde_json::to_string_pretty(&source)?)?;
    for crawl in crawls {
        let totals = crawl.totals;
        let line = format!(
            "{} {:?}: {} seen, {} new, {} changed, {} unchanged, {} escalated, {} gone",
            crawl.id,
            crawl.status,
            totals.seen,
            totals.new,
            totals.changed,
            totals.unchanged,
            totals.escalated,
            totals.deleted
        );
        output.line(&line)?;
    }
    Ok(Exit::Done)
}

async fn remove(config: &Config, id: &SourceId) -> Result<Exit> {
    match open(config)?.delete_source(id).await {
        Ok(()) => output::say(&format!(
            "source {id} removed; its packs stay until their hosts are packed again"
        )),
        Err(CrawldbError::NoSource(_)) => {
            output::say(&format!("there is no source {id}; `haul source list` lists them"));
            return Ok(Exit::Nothing);
        }
        Err(error) => bail!(error),
    }
    Ok(Exit::Done)
}
