//! What may be said of a source over HTTP.

use std::path::{Path, PathBuf};

use axum::http::StatusCode;
use crawldb::{Settings, SiteSettings, SourceKind};
use crawler::BucketAddress;
use model::{Host, PageUrl, SourceId};
use schedule::Schedule;

use crate::problem::Problem;
use crate::state::App;

/// Characters of a source's name at most.
const MAX_NAME: usize = 200;
/// Start URLs, hosts, prefixes at most, of each.
const MAX_LIST: usize = 1_000;
/// Milliseconds of the longest wait: 30 days.
const MAX_WAIT_MS: u64 = 30 * 24 * 60 * 60 * 1_000;
/// Attempts after the first at most.
const MAX_RETRIES: u32 = 100;

/// A source as its owner describes it, named after the host of its first start URL where it has no id.
pub(crate) async fn described(
    app: &App,
    id: Option<String>,
    mut settings: Settings,
) -> Result<(SourceId, Settings), Problem> {
    with_bases(&mut settings)?;
    let id = match (id, settings.site.start.first()) {
        (Some(id), _) => SourceId::new(id)?,
        (None, Some(first)) => SourceId::from_words(first.host().as_str())?,
        (None, None) => {
            return Err(Problem::bad_request(
                "give at least one start URL, such as https://example.gov/",
            ));
        }
    };
    check(&settings)?;
    allow_folder(app, &settings.kind).await?;
    if settings.name.is_empty() {
        settings.name = id.to_string();
    }
    Ok((id, settings))
}

/// New settings of a source that has `before`. What kind of place it is stays; its items are of that kind.
pub(crate) async fn changed(app: &App, before: &Settings, settings: Settings) -> Result<Settings, Problem> {
    if std::mem::discriminant(&before.kind) != std::mem::discriminant(&settings.kind) {
        return Err(Problem::bad_request(
            "the kind of a source cannot be changed; add another source",
        ));
    }
    let settings = Settings {
        name: if settings.name.is_empty() {
            before.name.clone()
        } else {
            settings.name.clone()
        },
        ..settings
    };
    if settings.kind != before.kind {
        allow_folder(app, &settings.kind).await?;
    }
    let mut settings = settings;
    with_bases(&mut settings)?;
    check(&settings)?;
    Ok(settings)
}

/// Start URLs that other URLs begin with end in `/`; a bucket without one has that of its address.
fn with_bases(settings: &mut Settings) -> Result<(), Problem> {
    let start = &mut settings.site.start;
    match &settings.kind {
        SourceKind::Site => {}
        SourceKind::Bucket { address } => {
            let address = BucketAddress::new(address, start.first())
                .map_err(|error| Problem::bad_request(error.to_string()))?;
            start.splice(..start.len().min(1), [address.base().clone()]);
        }
        SourceKind::Folder { .. } | SourceKind::Feed => {
            for base in start.iter_mut() {
                *base = as_folder(base)?;
            }
        }
    }
    Ok(())
}

fn as_folder(base: &PageUrl) -> Result<PageUrl, Problem> {
    if base.query().is_some() {
        return Err(Problem::bad_request(format!(
            "the base {base} must be a URL without a query"
        )));
    }
    match base.path().ends_with('/') {
        true => Ok(base.clone()),
        false => Ok(PageUrl::parse(&format!("{base}/"))?),
    }
}

fn check(settings: &Settings) -> Result<(), Problem> {
    if settings.name.chars().count() > MAX_NAME {
        return refuse(format!("the name of a source has at most {MAX_NAME} characters"));
    }
    check_start(settings)?;
    check_site(&settings.site)?;
    check_numbers(settings)?;
    if let Some(text) = &settings.schedule {
        Schedule::parse(text).map_err(|error| Problem::bad_request(error.to_string()))?;
    }
    Ok(())
}

fn check_start(settings: &Settings) -> Result<(), Problem> {
    let start = settings.site.start.len();
    match &settings.kind {
        SourceKind::Site if start == 0 => {
            refuse("give at least one start URL, such as https://example.gov/".into())
        }
        SourceKind::Feed if start == 0 => {
            refuse("give at least one start URL: the base of what the feed tells of".into())
        }
        SourceKind::Bucket { .. } | SourceKind::Folder { .. } if start != 1 => {
            refuse("a bucket or folder has one start URL, its base".into())
        }
        _ => Ok(()),
    }
}

fn check_site(site: &SiteSettings) -> Result<(), Problem> {
    for host in &site.hosts {
        Host::new(host)?;
    }
    let lists = [
        site.start.len(),
        site.hosts.len(),
        site.include.len(),
        site.exclude.len(),
        site.resolve.len(),
    ];
    if lists.into_iter().any(|length| length > MAX_LIST) {
        return refuse(format!(
            "a source has at most {MAX_LIST} start URLs, hosts and prefixes"
        ));
    }
    if site.concurrency_per_host == 0 || site.max_pages == 0 || site.request_timeout_ms == 0 {
        return refuse("concurrency_per_host, max_pages and request_timeout_ms must be at least 1".into());
    }
    Ok(())
}

fn check_numbers(settings: &Settings) -> Result<(), Problem> {
    let (retry, orphans) = (&settings.retry, &settings.orphans);
    if retry.max_retries > MAX_RETRIES {
        return refuse(format!("there are at most {MAX_RETRIES} retries"));
    }
    if !(1.0..=100.0).contains(&retry.multiplier) {
        return refuse("the multiplier of the retries is a number from 1 to 100".into());
    }
    let waits = [retry.initial_ms, retry.max_ms, settings.site.delay_ms];
    if waits.into_iter().any(|wait| wait > MAX_WAIT_MS) {
        return refuse(format!("a wait is at most {MAX_WAIT_MS} ms, 30 days"));
    }
    let percents = [orphans.guard_percent, orphans.min_seen_percent];
    if percents
        .into_iter()
        .any(|percent| !(0.0..=100.0).contains(&percent))
    {
        return refuse("guard_percent and min_seen_percent are numbers from 0 to 100".into());
    }
    if orphans.grace_crawls == 0 {
        return refuse("grace_crawls counts the crawl that missed the item, so it is at least 1".into());
    }
    Ok(())
}

fn refuse(detail: String) -> Result<(), Problem> {
    Err(Problem::bad_request(detail))
}

/// Whoever may send requests may not read any folder of this machine.
async fn allow_folder(app: &App, kind: &SourceKind) -> Result<(), Problem> {
    let SourceKind::Folder { path } = kind else {
        return Ok(());
    };
    if is_allowed(app, path).await {
        return Ok(());
    }
    let detail = format!(
        "the folder {} may not be added here: use `haul source add` on the server, or allow a folder above it in its \
         configuration",
        path.display()
    );
    Err(Problem::new(StatusCode::FORBIDDEN, detail))
}

/// Whether the folder lies below one that the configuration allows.
pub(crate) async fn is_allowed(app: &App, path: &Path) -> bool {
    is_below_one(path, &app.folders).await
}

/// Links are followed first, so that none leads out.
async fn is_below_one(path: &Path, allowed: &[PathBuf]) -> bool {
    let Ok(path) = tokio::fs::canonicalize(path).await else {
        return false;
    };
    for place in allowed {
        if let Ok(place) = tokio::fs::canonicalize(place).await
            && path.starts_with(place)
        {
            return true;
        }
    }
    false
}
