//! From the words of the command line to the settings of a source.

use std::path::Path;

use anyhow::{Context, Result, bail};
use crawldb::{ConcurrencyMode, DeletionCapability, Settings, SiteSettings, SourceKind};
use crawler::{BucketAddress, InvalidBucket};
use model::{PageUrl, SourceId};
use schedule::Schedule;

use crate::cli::{Deletion, Mode, Rules, Site};
use crate::exit::Usage;

/// Objects of a bucket that are fetched at a time: its servers are made for that.
const BUCKET_CONCURRENCY: u32 = 32;

/// An address as people type it: `example.gov` means `https://example.gov/`.
pub(crate) fn address(text: &str) -> Result<PageUrl> {
    if text.contains("://") {
        return Ok(PageUrl::parse(text)?);
    }
    let guessed = PageUrl::parse(&format!("https://{text}"));
    guessed.with_context(|| format!("{text:?} is neither the address of a site nor the name of a source"))
}

/// `./docs`, `/srv/docs`; `docs` is the name of a host.
fn is_folder(text: &str) -> bool {
    ["/", "./", "../"].iter().any(|start| text.starts_with(start)) || [".", ".."].contains(&text)
}

/// Where a source begins: at the pages of a site, or at the base of a bucket.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) start: Vec<PageUrl>,
    pub(crate) kind: SourceKind,
}

impl Place {
    /// Reads addresses of pages, or that of one bucket with its base.
    pub(crate) fn new(addresses: &[String], base: Option<&str>) -> Result<Self> {
        if let [bucket] = addresses
            && BucketAddress::is_meant(bucket)
        {
            return Self::of_bucket(bucket, base);
        }
        if addresses.iter().any(|address| BucketAddress::is_meant(address)) {
            bail!(Usage("a bucket is a source of its own: name it alone".to_owned()));
        }
        if let [folder] = addresses
            && is_folder(folder)
        {
            return Self::of_folder(Path::new(folder), base);
        }
        if base.is_some() {
            bail!(Usage(
                "--base is for buckets and folders: a site has its own addresses".to_owned()
            ));
        }
        let start = addresses
            .iter()
            .map(|text| address(text))
            .collect::<Result<_>>()?;
        Ok(Self::of_site(start))
    }

    fn of_folder(folder: &Path, base: Option<&str>) -> Result<Self> {
        let path = folder
            .canonicalize()
            .with_context(|| format!("the folder {} cannot be read", folder.display()))?;
        let base = base.map(address).transpose()?;
        let folder =
            BucketAddress::of_folder(&path, base.as_ref()).map_err(|error| Usage(error.to_string()))?;
        Ok(Self {
            start: vec![folder.base().clone()],
            kind: SourceKind::Folder { path },
        })
    }

    pub(crate) fn of_site(start: Vec<PageUrl>) -> Self {
        Self {
            start,
            kind: SourceKind::Site,
        }
    }

    /// A feed has no pages to begin at; its addresses say what belongs to it.
    pub(crate) fn of_feed(bases: &[String]) -> Result<Self> {
        let start = bases.iter().map(|text| address(text)).collect::<Result<_>>()?;
        Ok(Self {
            start,
            kind: SourceKind::Feed,
        })
    }

    fn of_bucket(bucket: &str, base: Option<&str>) -> Result<Self> {
        let base = base.map(address).transpose()?;
        let invalid = |error: InvalidBucket| match error {
            InvalidBucket::Name { .. } => Usage(format!("{error}: --base https://docs.example.org/")),
            _ => Usage(error.to_string()),
        };
        let bucket = BucketAddress::new(bucket, base.as_ref()).map_err(invalid)?;
        Ok(Self {
            start: vec![bucket.base().clone()],
            kind: SourceKind::Bucket {
                address: bucket.to_string(),
            },
        })
    }

    /// The name of the source where none is given: the first host, or the bucket's address in words.
    pub(crate) fn name(&self) -> Result<SourceId> {
        let host = || self.start.first().map(|first| first.host().to_string());
        let words = match &self.kind {
            SourceKind::Bucket { address } => Some(address.clone()),
            SourceKind::Folder { path } => path.file_name().map(|name| name.to_string_lossy().into_owned()),
            SourceKind::Site | SourceKind::Feed => host(),
        };
        Ok(SourceId::from_words(&words.unwrap_or_default())?)
    }

    /// What is right for most: a site is spared, a bucket need not be.
    fn settings(&self) -> SiteSettings {
        let of_sites = SiteSettings {
            start: self.start.clone(),
            ..SiteSettings::default()
        };
        match self.kind {
            SourceKind::Site | SourceKind::Feed => of_sites,
            SourceKind::Bucket { .. } | SourceKind::Folder { .. } => SiteSettings {
                concurrency_per_host: BUCKET_CONCURRENCY,
                delay_ms: 0,
                obey_robots: false,
                sitemaps: false,
                ..of_sites
            },
        }
    }
}

/// The settings of a new source that begins at `place`.
pub(crate) fn settings(id: &SourceId, place: Place, site: &Site) -> Result<Settings> {
    let mut of_site = place.settings();
    apply(site, &mut of_site)?;
    Ok(Settings {
        name: id.to_string(),
        // What a feed does not tell of may still be there.
        deletion: match place.kind {
            SourceKind::Feed => DeletionCapability::Explicit,
            _ => DeletionCapability::default(),
        },
        kind: place.kind,
        site: of_site,
        ..Settings::default()
    })
}

/// Puts what was said over the rules; what was not said stays.
pub(crate) fn apply_rules(rules: &Rules, settings: &mut Settings) -> Result<()> {
    let (retry, orphans, live) = (&mut settings.retry, &mut settings.orphans, &mut settings.live);
    retry.max_retries = rules.max_retries.unwrap_or(retry.max_retries);
    retry.initial_ms = rules.retry_initial_ms.unwrap_or(retry.initial_ms);
    retry.max_ms = rules.retry_max_ms.unwrap_or(retry.max_ms);
    retry.multiplier = rules.retry_multiplier.unwrap_or(retry.multiplier);
    orphans.grace_crawls = rules.grace_crawls.unwrap_or(orphans.grace_crawls);
    orphans.grace_ms = rules.grace_ms.unwrap_or(orphans.grace_ms);
    orphans.verify = rules.verify.unwrap_or(orphans.verify);
    orphans.guard_percent = rules.guard_percent.unwrap_or(orphans.guard_percent);
    orphans.guard_items = rules.guard_items.unwrap_or(orphans.guard_items);
    live.enabled = rules.live.unwrap_or(live.enabled);
    live.trust_clock = rules.trust_clock.unwrap_or(live.trust_clock);
    settings.deletion = rules.deletion.map_or(settings.deletion, DeletionCapability::from);
    settings.concurrency = rules.crawls.map_or(settings.concurrency, ConcurrencyMode::from);
    if let Some(schedule) = &rules.schedule {
        settings.schedule = read_schedule(schedule)?;
    }
    Ok(())
}

/// Kept as the schedule itself writes it; `never` is none.
fn read_schedule(text: &str) -> Result<Option<String>> {
    if text == "never" {
        return Ok(None);
    }
    let schedule = Schedule::parse(text).map_err(|error| Usage(error.to_string()))?;
    Ok(Some(schedule.to_string()))
}

impl From<Deletion> for DeletionCapability {
    fn from(said: Deletion) -> Self {
        match said {
            Deletion::Explicit => Self::Explicit,
            Deletion::Enumerate => Self::Enumerate,
            Deletion::FetchOnly => Self::FetchOnly,
            Deletion::None => Self::None,
        }
    }
}

impl From<Mode> for ConcurrencyMode {
    fn from(said: Mode) -> Self {
        match said {
            Mode::Exclusive => Self::Exclusive,
            Mode::Queue => Self::Queue,
            Mode::Concurrent => Self::Concurrent,
        }
    }
}

/// Where a source's content is, in words.
pub(crate) fn place_of(settings: &Settings) -> String {
    let first = settings.site.start.first();
    match &settings.kind {
        SourceKind::Site => first.map_or_else(|| "a site".to_owned(), ToString::to_string),
        SourceKind::Bucket { address } => address.clone(),
        SourceKind::Folder { path } => path.display().to_string(),
        SourceKind::Feed => first.map_or_else(|| "a feed".to_owned(), |base| format!("a feed below {base}")),
    }
}

/// Puts what was said over the settings; what was not said stays.
pub(crate) fn apply(site: &Site, settings: &mut SiteSettings) -> Result<()> {
    settings.delay_ms = site.delay_ms.unwrap_or(settings.delay_ms);
    settings.concurrency_per_host = site.concurrency.unwrap_or(settings.concurrency_per_host);
    settings.max_pages = site.max_pages.unwrap_or(settings.max_pages);
    settings.max_depth = site.max_depth.unwrap_or(settings.max_depth);
    settings.allow_private_addresses |= site.allow_private;
    settings.obey_robots &= !site.ignore_robots;
    replace(&mut settings.hosts, &site.hosts);
    replace(&mut settings.include, &site.include);
    replace(&mut settings.exclude, &site.exclude);
    replace(&mut settings.resolve, &site.resolve);
    if settings.concurrency_per_host == 0 {
        bail!("--concurrency must be 1 or more");
    }
    if settings.start.is_empty() {
        bail!("a source needs an address to begin at");
    }
    Ok(())
}

fn replace(setting: &mut Vec<String>, said: &[String]) {
    if !said.is_empty() {
        *setting = said.to_vec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_be_typed_without_its_scheme() {
        assert_eq!(
            address("example.gov/a").unwrap().as_str(),
            "https://example.gov/a"
        );
        assert_eq!(
            address("http://example.gov").unwrap().as_str(),
            "http://example.gov/"
        );
        let error = format!("{:#}", address("not an address").unwrap_err());
        assert!(error.contains("neither the address of a site"), "{error}");
    }

    #[test]
    fn a_bucket_stands_alone_and_has_a_base() {
        let place = |addresses: &[&str], base| {
            let addresses: Vec<String> = addresses.iter().map(|&text| text.to_owned()).collect();
            Place::new(&addresses, base)
        };
        let docs = place(&["s3://docs/manual"], Some("docs.example.org/en")).unwrap();
        assert_eq!(docs.start[0].as_str(), "https://docs.example.org/en/");
        let address = "s3://docs/manual/".to_owned();
        assert_eq!(docs.kind, SourceKind::Bucket { address });
        assert_eq!(docs.name().unwrap().as_str(), "s3-docs-manual");
        assert!(place(&["s3://docs/", "example.org"], None).is_err());
        assert!(place(&["example.org"], Some("example.org")).is_err());
    }
}
