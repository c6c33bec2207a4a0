//! From the words of the command line to the settings of a source.

use anyhow::{Context, Result, bail};
use crawldb::{DeletionCapability, RetryPolicy, Revision, SiteSettings, Source};
use model::{PageUrl, SourceId, Timestamp};

use crate::cli::Site;

/// An address as people type it: `example.gov` means `https://example.gov/`.
pub(crate) fn address(text: &str) -> Result<PageUrl> {
    if text.contains("://") {
        return Ok(PageUrl::parse(text)?);
    }
    let guessed = PageUrl::parse(&format!("https://{text}"));
    guessed.with_context(|| format!("{text:?} is neither the address of a site nor the name of a source"))
}

/// A new source that begins at `start`.
pub(crate) fn new_source(id: SourceId, start: Vec<PageUrl>, site: &Site, now: Timestamp) -> Result<Source> {
    let mut settings = SiteSettings {
        start,
        ..SiteSettings::default()
    };
    apply(site, &mut settings)?;
    Ok(Source {
        name: id.to_string(),
        id,
        revision: Revision::NEW,
        configuration: 1,
        site: settings,
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
}
