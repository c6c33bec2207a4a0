use std::path::Path;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail};
use archive::Manifest;
use crawldb::{Crawl, CrawlKind, CrawlStatus, Source, SourceKind, StartError};
use crawler::{CrawlError, Progress, StartedCrawl, Takeover};
use model::{CrawlId, Host, PageUrl, SourceId, Timestamp};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::assembly::Company;
use crate::cli::{self, CrawlAction, Site};
use crate::commands::replay;
use crate::config::Config;
use crate::data_folder::DataFolder;
use crate::exit::{Exit, Usage};
use crate::output::{self, Output};
use crate::progress::CrawlBar;
use crate::service::Service;
use crate::shutdown;
use crate::site::{self, Place};

/// Crawls into the data folder, packs every host, and says how to search them.
pub(crate) async fn run(config: &Config, output: Output, crawl: &cli::Crawl) -> Result<Exit> {
    if let Some(CrawlAction::Replay(replay)) = &crawl.action {
        return replay::run(config, output, replay).await;
    }
    let folder = DataFolder::create(&config.data)?;
    let _lock = folder.lock("haul crawl")?;
    let stop = shutdown::listen()?;
    let service = Service::start(config, &folder, Company::Alone, false).await?;
    let source = choose_source(&service, crawl).await?;
    let crawled = crawl_and_pack(&service, &source, kind(crawl), &stop).await;
    if crawled.is_err() {
        service.stop().await?;
    }
    let Some(done) = crawled? else {
        output::say(&format!(
            "stopped; the same command goes on where it was: haul crawl {source}{}",
            where_it_is(config)
        ));
        return Ok(Exit::Interrupted);
    };
    service.stop().await?;
    report(config, output, &done)?;
    Ok(exit_of(&done.crawl))
}

/// Crawls a site into a folder of its own and leaves its pack at `to`.
pub(crate) async fn into_file(
    config: &Config,
    output: Output,
    start: &PageUrl,
    site: &Site,
    to: &Path,
) -> Result<Exit> {
    let beside = to
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let private = tempfile::Builder::new().prefix(".haul-").tempdir_in(beside);
    let private = private.with_context(|| format!("{} cannot be written", beside.display()))?;
    let config = Config {
        data: private.path().to_owned(),
        archive: String::new(),
        ..config.clone()
    };
    let folder = DataFolder::create(&config.data)?;
    let stop = shutdown::listen()?;
    let service = Service::start(&config, &folder, Company::Alone, false).await?;
    let id = SourceId::from_words(start.host().as_str())?;
    let settings = site::settings(&id, Place::of_site(vec![start.clone()]), site)?;
    let id = service.stores.crawldb.add_source(id, settings, now()).await?.id;
    let Some(done) = crawl_and_pack(&service, &id, CrawlKind::Full, &stop).await? else {
        return Ok(Exit::Interrupted);
    };
    service.stop().await?;
    let Some(manifest) = done.packs.iter().max_by_key(|manifest| manifest.current.pages) else {
        report(&config, output, &done)?;
        return Ok(Exit::Failed);
    };
    service
        .stores
        .archive
        .fetch_pack(&manifest.host, &manifest.current.checksum, to)
        .await?;
    if done.packs.len() > 1 {
        output::say(&format!(
            "the site has {} hosts; {} is in the file",
            done.packs.len(),
            manifest.host
        ));
    }
    output::say(&format!(
        "{}: {} pages, {}\nsearch it with: haul search --pack {} WORDS",
        to.display(),
        manifest.current.pages,
        output::bytes(manifest.current.size),
        to.display()
    ));
    if output.json {
        output.json(&json!({ "file": to.display().to_string(), "pack": manifest }))?;
    }
    Ok(exit_of(&done.crawl))
}

/// A crawl that is over, and the packs of its hosts.
pub(crate) struct Done {
    pub(crate) crawl: Crawl,
    pub(crate) packs: Vec<Manifest>,
}

/// Crawls, or goes on with the crawl that was interrupted, and publishes the packs. None when it was asked to stop.
pub(crate) async fn crawl_and_pack(
    service: &Service,
    source: &SourceId,
    kind: CrawlKind,
    stop: &CancellationToken,
) -> Result<Option<Done>> {
    let resumed = service.crawler.resume(Takeover::All).await?;
    let bar = CrawlBar::new();
    let id = match left_unpacked(service, source).await? {
        Some(id) => id,
        None => {
            let id = resume_or_start(service, source, kind, &resumed).await?;
            let crawled = follow(service, &id, &bar, stop).await;
            if !crawled? {
                bar.end();
                service.stop().await?;
                return Ok(None);
            }
            id
        }
    };
    bar.say("packing");
    tokio::select! {
        packed = service.packer.flush() => packed?,
        () = stop.cancelled() => {
            bar.end();
            service.stop().await?;
            return Ok(None);
        }
        failed = packing_failed(service) => bail!("the pages are fetched and kept, but not packed: {failed}"),
    }
    bar.end();
    let crawl = service
        .stores
        .crawldb
        .crawl(&id)
        .await?
        .context("the crawl's record is gone")?;
    let mut packs = Vec::new();
    for scope in service.stores.crawldb.scopes(&id).await? {
        let Ok(host) = Host::new(&scope.scope) else {
            continue;
        };
        packs.extend(service.stores.archive.manifest(&host).await?);
    }
    Ok(Some(Done { crawl, packs }))
}

/// A host that failed to pack again and again will not get better while somebody waits at a terminal.
async fn packing_failed(service: &Service) -> String {
    let mut failing_since = None;
    loop {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let failed = service
            .packer
            .status()
            .into_iter()
            .find_map(|host| match host.stage {
                packer::Stage::Failed(reason) => Some(format!("{}: {reason}", host.host)),
                _ => None,
            });
        let Some(reason) = failed else {
            failing_since = None;
            continue;
        };
        let since = *failing_since.get_or_insert_with(tokio::time::Instant::now);
        if since.elapsed() > Duration::from_secs(15) {
            return reason;
        }
    }
}

/// The crawl that was complete when its process ended, and whose packs were not all published: only that is left.
async fn left_unpacked(service: &Service, source: &SourceId) -> Result<Option<CrawlId>> {
    let newest = service.stores.crawldb.crawls(Some(source), 1).await?.pop();
    let is_complete = |crawl: &Crawl| matches!(crawl.status, CrawlStatus::Completed | CrawlStatus::Blocked);
    let Some(crawl) = newest.filter(is_complete) else {
        return Ok(None);
    };
    // What was decided or told since then is no reason: a crawl packs it, too.
    let ends = &crawl.marks.applied_end;
    if !service.packer.has_unpublished(source, ends).await? {
        return Ok(None);
    }
    output::say(&format!(
        "crawl {} was complete, but not packed; packing it",
        crawl.id
    ));
    Ok(Some(crawl.id))
}

fn kind(crawl: &cli::Crawl) -> CrawlKind {
    match crawl.incremental {
        true => CrawlKind::Incremental,
        false => CrawlKind::Full,
    }
}

async fn resume_or_start(
    service: &Service,
    source: &SourceId,
    kind: CrawlKind,
    resumed: &[CrawlId],
) -> Result<CrawlId> {
    if let Some(id) = resumed.iter().find(|id| id.source() == *source) {
        output::say(&format!("going on with crawl {id}"));
        return Ok(id.clone());
    }
    match service.crawler.start(source, kind).await {
        Ok(StartedCrawl::Running(id)) => Ok(id),
        Ok(StartedCrawl::Queued(before)) => {
            bail!("{before} crawls of {source} are before this one; it starts after them")
        }
        Err(error @ (CrawlError::Settings { .. } | CrawlError::Start(StartError::Feed(_)))) => {
            bail!(Usage(error.to_string()))
        }
        Err(error) => Err(error.into()),
    }
}

/// Shows the progress until the crawl is over (true) or was asked to stop (false).
async fn follow(service: &Service, id: &CrawlId, bar: &CrawlBar, stop: &CancellationToken) -> Result<bool> {
    let mut progress = service
        .crawler
        .progress(id)
        .context("the crawl ended before it could be followed")?;
    loop {
        let now: Progress = progress.borrow_and_update().clone();
        bar.show(&now);
        if now.is_final {
            return Ok(now.status.is_over());
        }
        tokio::select! {
            changed = progress.changed() => changed.context("the crawler ended before the crawl")?,
            () = stop.cancelled() => return Ok(false),
        }
    }
}

/// The source that is meant: the one that is named, or the one of the address, made or changed as was said.
async fn choose_source(service: &Service, crawl: &cli::Crawl) -> Result<SourceId> {
    let crawldb = &service.stores.crawldb;
    if let [name] = crawl.targets.as_slice()
        && let Ok(id) = SourceId::new(name.as_str())
        && let Some(source) = crawldb.source(&id).await?
    {
        let place = match (&source.settings.kind, &crawl.base) {
            (SourceKind::Bucket { address }, Some(base)) => {
                Some(Place::new(std::slice::from_ref(address), Some(base))?)
            }
            (_, Some(_)) => bail!(Usage(format!("--base is for buckets, and {id} is a site"))),
            (_, None) => None,
        };
        return change(service, source, place, &crawl.site).await;
    }
    let place = Place::new(&crawl.targets, crawl.base.as_deref())?;
    let id = match &crawl.source {
        Some(name) => SourceId::new(name.as_str())?,
        None => place.name()?,
    };
    if let Some(source) = crawldb.source(&id).await? {
        return change(service, source, Some(place), &crawl.site).await;
    }
    let settings = site::settings(&id, place, &crawl.site)?;
    Ok(crawldb.add_source(id, settings, now()).await?.id)
}

async fn change(service: &Service, source: Source, place: Option<Place>, site: &Site) -> Result<SourceId> {
    let mut changed = source.settings.clone();
    if let Some(place) = place {
        if place.kind != source.settings.kind {
            bail!(Usage(format!(
                "the source {} is {}: give the other one a name of its own with --source",
                source.id,
                site::place_of(&source.settings)
            )));
        }
        changed.site.start = place.start;
    }
    site::apply(site, &mut changed.site)?;
    if changed != source.settings {
        let crawldb = &service.stores.crawldb;
        crawldb
            .update_source(&source.id, source.configuration, changed, now())
            .await?;
    }
    Ok(source.id)
}

/// Says what was crawled and packed, and with which commands to go on.
fn report(config: &Config, output: Output, done: &Done) -> Result<()> {
    if output.json {
        return output.json(&json!({ "crawl": done.crawl, "packs": done.packs }));
    }
    summarise(done);
    let here = where_it_is(config);
    if done.crawl.totals.escalated > 0 {
        let source = done.crawl.id.source();
        output::say(&format!("what failed: haul escalation list {source}{here}"));
    }
    if !done.packs.is_empty() {
        output::say(&format!("search it with: haul search{here} WORDS"));
    }
    Ok(())
}

/// Says what was crawled and packed.
pub(crate) fn summarise(done: &Done) {
    let (crawl, totals) = (&done.crawl, &done.crawl.totals);
    let took = crawl.ended_at.unwrap_or(crawl.started_at).since(crawl.started_at);
    output::say(&format!(
        "{}: {} items in {:.1} s ({} fetched): {} new, {} changed, {} unchanged, {} gone, {} escalated",
        crawl.id,
        totals.seen,
        took.as_secs_f64(),
        output::bytes(crawl.fetched_bytes),
        totals.new,
        totals.changed,
        totals.unchanged,
        crawl.deleted(),
        totals.escalated,
    ));
    for Manifest { host, current, .. } in &done.packs {
        output::say(&format!(
            "packed {host}: {} pages, {}",
            current.pages,
            output::bytes(current.size)
        ));
    }
    if let Some(why) = &crawl.orphans.blocked {
        output::say(&format!(
            "{why}; if they are gone: haul orphan approve {} --reason TEXT",
            crawl.id
        ));
    } else if let Some(reason) = &crawl.reason {
        output::say(&format!("error: {reason}"));
    }
}

/// The flags that lead another command to the same data; none where that is where it looks anyway.
fn where_it_is(config: &Config) -> String {
    let usual = Config::default();
    let mut flags = String::new();
    if config.data != usual.data {
        flags.push_str(&format!(" --data {}", config.data.display()));
    }
    if config.archive != usual.archive {
        flags.push_str(&format!(" --archive {}", config.archive));
    }
    flags
}

fn exit_of(crawl: &Crawl) -> Exit {
    // A crawl that waits for a word about orphans has brought everything that it could.
    if matches!(crawl.status, CrawlStatus::Completed | CrawlStatus::Blocked) {
        Exit::Done
    } else {
        Exit::Failed
    }
}

pub(crate) fn now() -> Timestamp {
    Timestamp::from(SystemTime::now())
}
