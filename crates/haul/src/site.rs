//! From the words of the command line to the settings of a source.

use anyhow::{Context, Result, bail};
use crawldb::{DeletionCapability, RetryPolicy, Revision, SiteSettings, Source};
use crawler::{BucketAddress, InvalidBucket};
use model::{PageUrl, SourceId, Timestamp};

use crate::cli::Site;
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

/// Where a source begins: at the pages of a site, or at the base of a bucket.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) start: Vec<PageUrl>,
    pub(crate) bucket: Option<String>,
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
        if base.is_some() {
            bail!(Usage(
                "--base is for buckets: a site has its own addresses".to_owned()
            ));
        }
        let start = addresses
            .iter()
            .map(|text| address(text))
            .collect::<Result<_>>()?;
        Ok(Self { start, bucket: None })
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
            bucket: Some(bucket.to_string()),
        })
    }

    /// The name of the source where none is given: the first host, or the bucket's address in words.
    pub(crate) fn name(&self) -> Result<SourceId> {
        let host = || self.start.first().map(|first| first.host().to_string());
        let words = self.bucket.clone().or_else(host);
        Ok(SourceId::from_words(&words.unwrap_or_default())?)
    }

    /// What is right for most: a site is spared, a bucket need not be.
    fn settings(&self) -> SiteSettings {
        let of_sites = SiteSettings {
            start: self.start.clone(),
            ..SiteSettings::default()
        };
        match self.bucket {
            None => of_sites,
            Some(_) => SiteSettings {
                concurrency_per_host: BUCKET_CONCURRENCY,
                delay_ms: 0,
                obey_robots: false,
                sitemaps: false,
                ..of_sites
            },
        }
    }
}

/// A new source that begins at `place`.
pub(crate) fn new_source(id: SourceId, place: Place, site: &Site, now: Timestamp) -> Result<Source> {
    let mut settings = place.settings();
    apply(site, &mut settings)?;
    Ok(Source {
        name: id.to_string(),
        id,
        revision: Revision::NEW,
        configuration: 1,
        site: settings,
        bucket: place.bucket,
        retry: RetryPolicy::default(),
        deletion: DeletionCapability::Enumerate,
        last_crawl_start: None,
        active_crawl: None,
        lock_epoch: 0,
        created_at: now,
    })
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
        assert_eq!(docs.bucket.as_deref(), Some("s3://docs/manual/"));
        assert_eq!(docs.name().unwrap().as_str(), "s3-docs-manual");
        assert!(place(&["s3://docs/", "example.org"], None).is_err());
        assert!(place(&["example.org"], Some("example.org")).is_err());
    }
}
