use anyhow::{Context, Result, bail};
use archive::Kind;
use crawldb::{Crawldb, CrawldbError, Settings};
use model::{ItemId, PageUrl, SourceId};
use updates::{LiveChange, LiveUpdate, topics};

use crate::assembly::{self, Company, Stores};
use crate::cli::{Rules, Site, SourceAction, Told};
use crate::commands::crawl::now;
use crate::commands::source_process;
use crate::config::Config;
use crate::data_folder::DataFolder;
use crate::exit::{Exit, NoSource, Usage};
use crate::output::{self, Output};
use crate::progress::Count;
use crate::site::{self, Place};

/// Runs a source in this process, or adds, changes, lists, shows, tells and removes sources. The latter need no lock:
/// the crawl database takes care of itself.
pub(crate) async fn run(config: &Config, output: Output, source: crate::cli::Source) -> Result<Exit> {
    match (source.action, source.name) {
        (Some(action), _) => act(config, output, action).await,
        (None, Some(name)) => {
            source_process::run(config, output, &SourceId::new(name)?, source.metrics).await
        }
        (None, None) => bail!(Usage(
            "name a source, or say what to do; see haul source --help".to_owned()
        )),
    }
}

async fn act(config: &Config, output: Output, action: SourceAction) -> Result<Exit> {
    match action {
        SourceAction::Add {
            name,
            start,
            base,
            feed,
            site,
            rules,
        } => {
            let place = match feed {
                true => Place::of_feed(&start)?,
                false => Place::new(&start, base.as_deref())?,
            };
            add(config, &name, place, &site, &rules).await
        }
        SourceAction::Set { name, site, rules } => set(config, &SourceId::new(name)?, &site, &rules).await,
        SourceAction::List => list(config, output).await,
        SourceAction::Show { name } => show(config, output, &SourceId::new(name)?).await,
        SourceAction::Tell(told) => tell(config, told).await,
        SourceAction::Rm { name } => remove(config, &SourceId::new(name)?).await,
    }
}

async fn add(config: &Config, name: &str, place: Place, site: &Site, rules: &Rules) -> Result<Exit> {
    let id = SourceId::new(name)?;
    let mut settings = site::settings(&id, place, site)?;
    site::apply_rules(rules, &mut settings)?;
    let folder = DataFolder::create(&config.data)?;
    let source = assembly::open_crawldb(&folder, config)?
        .add_source(id, settings, now())
        .await?;
    let next = match source.settings.kind {
        crawldb::SourceKind::Feed => format!(
            "tell what is in it with: haul source tell {} URL --content FILE",
            source.id
        ),
        _ => format!("crawl it with: haul crawl {}", source.id),
    };
    output::say(&format!("source {} added; {next}", source.id));
    Ok(Exit::Done)
}

async fn set(config: &Config, id: &SourceId, site: &Site, rules: &Rules) -> Result<Exit> {
    let crawldb = open(config)?;
    let Some(source) = crawldb.source(id).await? else {
        bail!(NoSource(id.clone()));
    };
    let mut settings: Settings = source.settings.clone();
    site::apply(site, &mut settings.site)?;
    site::apply_rules(rules, &mut settings)?;
    if settings == source.settings {
        output::say("nothing is different");
        return Ok(Exit::Nothing);
    }
    let changed = crawldb
        .update_source(id, source.configuration, settings, now())
        .await?;
    output::say(&format!(
        "source {id} has configuration {} from its next crawl on",
        changed.configuration
    ));
    Ok(Exit::Done)
}

fn open(config: &Config) -> Result<Crawldb> {
    assembly::open_crawldb(&DataFolder::existing(&config.data)?, config)
}

async fn list(config: &Config, output: Output) -> Result<Exit> {
    let sources = open(config)?.sources().await?;
    for source in &sources {
        if output.json {
            output.json(source)?;
            continue;
        }
        let state = match (
            source.deleting_since,
            source.active_crawls.len(),
            source.queued.len(),
        ) {
            (Some(_), ..) => "being removed".to_owned(),
            (None, 0, 0) => String::new(),
            (None, 1, 0) => "crawling".to_owned(),
            (None, crawls, queued) => format!("{crawls} crawls, {queued} waiting"),
        };
        let place = site::place_of(&source.settings);
        let line = format!("{:<32} {place} {state}", source.id.as_str());
        output.line(line.trim_end())?;
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
        bail!(NoSource(id.clone()));
    };
    let crawls = crawldb.crawls(Some(id), 10).await?;
    let configurations = crawldb.configurations(id).await?;
    if output.json {
        output.json(
            &serde_json::json!({ "source": source, "configurations": configurations, "crawls": crawls }),
        )?;
        return Ok(Exit::Done);
    }
    output.line(&serde_json::to_string_pretty(&source)?)?;
    for crawl in crawls {
        let totals = crawl.totals;
        let line = format!(
            "{} {:?}: {} seen, {} new, {} changed, {} unchanged, {} escalated, {} gone, {:.1} read/s, {:.1} written/s",
            crawl.id,
            crawl.status,
            totals.seen,
            totals.new,
            totals.changed,
            totals.unchanged,
            totals.escalated,
            crawl.deleted(),
            crawl.input_speed(now()),
            crawl.output_speed(now()),
        );
        output.line(&line)?;
    }
    Ok(Exit::Done)
}

/// The update goes to the log; whoever looks after the source takes it from there.
async fn tell(config: &Config, told: Told) -> Result<Exit> {
    let folder = DataFolder::existing(&config.data)?;
    let stores = Stores::open(&folder, config, Company::Shared)?;
    let id = SourceId::new(told.name)?;
    let Some(source) = stores.crawldb.source(&id).await? else {
        bail!(NoSource(id));
    };
    let url = PageUrl::parse(&told.url)?;
    if !crawler::is_inside(&source.settings, &url) {
        bail!(Usage(format!(
            "{url} is not inside the source {id}; `haul source show {id}` says what is"
        )));
    }
    let change = match (&told.content, told.gone) {
        (_, true) => LiveChange::Delete,
        (None, false) => LiveChange::Fetch,
        (Some(path), false) => {
            let bytes = std::fs::read(path).with_context(|| format!("{} cannot be read", path.display()))?;
            let mut keys = stores.archive.put_bundle(Kind::Content, vec![bytes]).await?;
            let content = keys.pop().context("the archive kept nothing")?;
            let media_type = told.media_type;
            LiveChange::Upsert { content, media_type }
        }
    };
    topics::ensure_source(&stores.log, &id, topics::DEFAULT_PARTITIONS).await?;
    let update = LiveUpdate {
        item: ItemId::new(url.as_str())?,
        url,
        at: None,
        change,
    };
    stores.ledger.submit(&source, &[update]).await?;
    output::say("told; it is applied as soon as haul up, haul serve or haul source runs");
    Ok(Exit::Done)
}

async fn remove(config: &Config, id: &SourceId) -> Result<Exit> {
    let folder = DataFolder::existing(&config.data)?;
    let ledger = Stores::open(&folder, config, Company::Shared)?.ledger;
    let bar = Count::new(&format!("removing {id}"));
    let removed = ledger
        .remove_source(id, now(), &|so_far| bar.show(so_far.items))
        .await;
    bar.end();
    match removed {
        Ok(removed) => output::say(&format!(
            "source {id} removed with {} items; their pages go from the packs when these are packed next",
            removed.items
        )),
        Err(ledger::LedgerError::Crawldb(CrawldbError::NoSource(id))) => bail!(NoSource(id)),
        Err(error) => bail!(error),
    }
    Ok(Exit::Done)
}
