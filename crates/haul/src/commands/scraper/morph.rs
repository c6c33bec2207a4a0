//! Scrapers that come from morph.io.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use model::ScraperId;
use registry::{NewScraper, Origin, Registry, RegistryError, ScraperSettings, Secret, SecretName};
use runner::Runner;
use serde::Deserialize;

use crate::commands::account::now;
use crate::config::Config;
use crate::exit::{Exit, Usage};
use crate::output;

/// One scraper, as the list names it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Listed {
    /// OWNER/NAME, as in its address on morph.io.
    name: ScraperId,
    /// Its repository [default: that of this name on GitHub].
    git: Option<String>,
    /// Whether it ran every day.
    #[serde(default)]
    auto_run: bool,
    /// Its secret variables, MORPH_*.
    #[serde(default)]
    variables: BTreeMap<String, String>,
    /// Its data.sqlite, beside the list.
    data: Option<PathBuf>,
}

/// Takes over every scraper of the list. An import that broke off can be repeated: of one that is there already only what is missing is taken, and its schedule
/// is left alone.
pub(super) async fn import(config: &Config, list: &Path) -> Result<Exit> {
    let text = std::fs::read_to_string(list).with_context(|| format!("{} cannot be read", list.display()))?;
    let all: Vec<Listed> = serde_json::from_str(&text)
        .map_err(|error| Usage(format!("{} is not a list of scrapers: {error}", list.display())))?;
    let runner = super::runner(config)?;
    let folder = list.parent().unwrap_or(Path::new("."));
    let mut failed = 0;
    for listed in all {
        let name = listed.name.clone();
        match take(&runner, listed, folder).await {
            Ok(text) => output::say(&format!("{name}: {text}")),
            Err(error) => {
                failed += 1;
                output::say(&format!("{name}: {error:#}"));
            }
        }
    }
    Ok(if failed == 0 { Exit::Done } else { Exit::Failed })
}

async fn take(runner: &Runner, listed: Listed, folder: &Path) -> Result<&'static str> {
    let registry = runner.registry();
    let secrets = listed
        .variables
        .iter()
        .map(|(name, value)| Ok((SecretName::new(name.as_str())?, Secret::new(value.as_str()))));
    // All of it is looked at before anything is made.
    let secrets: Vec<(SecretName, Secret)> = secrets.collect::<Result<_, RegistryError>>()?;
    let id = listed.name.clone();
    super::check_owner(&id)?;
    let is_new = add(registry, &listed).await?;
    let known = registry.secret_names(&id).await?;
    for (name, value) in secrets {
        if !known.contains(&name) {
            registry.set_secret(&id, &name, value).await?;
        }
    }
    let has_data = !registry.versions(&id).await?.is_empty();
    if let Some(data) = listed.data.filter(|_| !has_data) {
        runner.import_data(&id, &folder.join(data)).await?;
    }
    if is_new && listed.auto_run {
        schedule(registry, &id).await?;
    }
    Ok(if is_new { "taken over" } else { "is there already" })
}

/// Last of all: it must not run before its secrets and its data are there.
async fn schedule(registry: &Registry, id: &ScraperId) -> Result<()> {
    let scraper = registry.scraper(id).await?;
    let settings = ScraperSettings {
        schedule: Some("daily".to_owned()),
        ..scraper.settings
    };
    let seen = Some(scraper.configuration);
    registry
        .change_scraper(id, scraper.origin, settings, seen, now())
        .await?;
    Ok(())
}

async fn add(registry: &Registry, listed: &Listed) -> Result<bool> {
    let url = listed
        .git
        .clone()
        .unwrap_or_else(|| format!("https://github.com/{}.git", listed.name));
    let new = NewScraper {
        id: listed.name.clone(),
        origin: Origin::Git { url, reference: None },
        settings: ScraperSettings::default(),
    };
    match registry.add_scraper(new, now()).await {
        Ok(_) => Ok(true),
        Err(RegistryError::Exists { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
