//! Configuration: flag beats variable beats file beats default.
//!
//! Every key has a default, so the keys of the defaults are all keys there are. A key such as `pack.idle_ms` is
//! `idle_ms` under `[pack]` in the file, `HAUL_PACK_IDLE_MS` in the environment and `--pack-idle-ms` as a flag.

mod scrapers;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use toml::{Table, Value};

pub(crate) use self::scrapers::{AccessConfig, MailConfig, RunConfig};

/// The prefix of variables.
const PREFIX: &str = "HAUL_";
/// The store of `haul pkgindex`, which is a program of its own; not a key.
const PACKAGE_STORE: &str = "HAUL_PKGINDEX_STORE";
/// Sets what is logged; not a key, because the log starts before the configuration is read.
pub(crate) const LOG_FILTER: &str = "HAUL_LOG";

/// Everything that can be configured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// The folder that holds everything; one process writes to it at a time.
    pub(crate) data: PathBuf,
    /// Where the pages and the API are served.
    pub(crate) listen: String,
    /// Names, separated by commas, under which the pages are reached, beside addresses and localhost.
    pub(crate) names: String,
    /// Where sources, crawls and items are kept: empty for a file in `data`, or http://host:port of a process that
    /// serves the role crawldb.
    pub(crate) crawldb: String,
    /// A file that holds the word that such a process asks for, and that this one asks for where it serves that role;
    /// empty for none.
    pub(crate) crawldb_token_file: String,
    /// Where contents and packs are kept: empty for a folder in `data`, or file:///folder, s3://bucket/prefix.
    pub(crate) archive: String,
    /// Where the names of what is published are kept: empty for a folder in `data`, or as `haul pkgindex serve --store`.
    pub(crate) catalog: String,
    /// The file of owners, scrapers, runs, keys and secrets; empty for one in `data`.
    pub(crate) registry: String,
    /// The file of the keys that secrets are sealed with; empty for one in `data`. Without it no secret can be read.
    pub(crate) keyring: String,
    pub(crate) run: RunConfig,
    pub(crate) access: AccessConfig,
    pub(crate) mail: MailConfig,
    pub(crate) crawl: CrawlConfig,
    pub(crate) pack: PackConfig,
    pub(crate) search: SearchConfig,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CrawlConfig {
    /// What servers see; name a page or address where their owners find you.
    pub(crate) user_agent: String,
    /// Requests at a time, over all hosts.
    pub(crate) connections: usize,
    /// How long a PDF may take.
    pub(crate) pdf_timeout_ms: u64,
    /// How much memory reading a PDF may take.
    pub(crate) pdf_memory_bytes: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PackConfig {
    /// A host that is not being crawled is packed when nothing came for so long.
    pub(crate) idle_ms: u64,
    /// A host is packed at the latest when its oldest update is this old.
    pub(crate) max_age_ms: u64,
    /// Packs built at a time.
    pub(crate) workers: usize,
    /// Published packs kept per host.
    pub(crate) keep_versions: usize,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SearchConfig {
    /// Packs open at a time.
    pub(crate) max_open_packs: usize,
    /// How long a query may take.
    pub(crate) timeout_ms: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data: "haul-data".into(),
            listen: "127.0.0.1:8480".into(),
            names: String::new(),
            crawldb: String::new(),
            crawldb_token_file: String::new(),
            archive: String::new(),
            catalog: String::new(),
            registry: String::new(),
            keyring: String::new(),
            run: RunConfig::default(),
            access: AccessConfig::default(),
            mail: MailConfig::default(),
            crawl: CrawlConfig {
                user_agent: concat!("Haul/", env!("CARGO_PKG_VERSION")).into(),
                connections: 256,
                pdf_timeout_ms: 60_000,
                pdf_memory_bytes: 1 << 30,
            },
            pack: PackConfig {
                idle_ms: 30_000,
                max_age_ms: 3_600_000,
                workers: 4,
                keep_versions: 3,
            },
            search: SearchConfig {
                max_open_packs: 256,
                timeout_ms: 5_000,
            },
        }
    }
}

/// What is wrong with the configuration, and where.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error("the configuration file {} cannot be read: {source}", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("the configuration file {} is not TOML: {source}", path.display())]
    Toml { path: PathBuf, source: toml::de::Error },
    #[error("{origin}: unknown key {key:?}{}", suggestion.as_ref().map(|s| format!("; did you mean {s:?}?")).unwrap_or_default())]
    UnknownKey {
        origin: Origin,
        key: String,
        suggestion: Option<String>,
    },
    #[error("{origin}: {key} is {wanted}, not {value:?}")]
    WrongType {
        origin: Origin,
        key: String,
        wanted: &'static str,
        value: String,
    },
    #[error("{key} is {value}: {rule}")]
    Invalid {
        key: &'static str,
        value: String,
        rule: &'static str,
    },
}

/// Who set a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Default,
    File(PathBuf),
    Variable(String),
    Flag(String),
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Default => write!(f, "default"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Variable(name) => write!(f, "variable {name}"),
            Self::Flag(name) => write!(f, "flag {name}"),
        }
    }
}

/// A configuration, and who set each key.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) config: Config,
    origins: BTreeMap<String, Origin>,
}

impl Loaded {
    /// Puts file, variables and flags over the defaults. `flags` are keys and values.
    pub(crate) fn load(
        file: Option<&Path>,
        variables: impl IntoIterator<Item = (String, String)>,
        flags: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let mut values = defaults();
        let mut origins: BTreeMap<String, Origin> =
            values.keys().map(|key| (key.clone(), Origin::Default)).collect();
        let mut set = |key: &str, value: Given, origin: Origin| -> Result<(), ConfigError> {
            let Some(known) = values.get_mut(key) else {
                return Err(unknown(key, origin, values.keys()));
            };
            *known = value.typed_as(known, key, &origin)?;
            origins.insert(key.to_owned(), origin);
            Ok(())
        };
        if let Some(path) = file {
            for (key, value) in flatten(&read(path)?, "") {
                set(&key, Given::Value(value), Origin::File(path.to_owned()))?;
            }
        }
        for (name, value) in variables {
            let Some(key) = name
                .strip_prefix(PREFIX)
                .filter(|_| name != LOG_FILTER && name != PACKAGE_STORE)
            else {
                continue;
            };
            let origin = Origin::Variable(name.clone());
            set(&key_of_variable(key), Given::Text(value), origin)?;
        }
        for (key, value) in flags {
            let origin = Origin::Flag(flag_of_key(&key));
            set(&key, Given::Text(value), origin)?;
        }
        let config = unflatten(values).try_into();
        let config: Config =
            config.unwrap_or_else(|error| unreachable!("every value has its default's type: {error}"));
        config.check()?;
        Ok(Self { config, origins })
    }

    /// The configuration as a file, each key with a note of who set it.
    pub(crate) fn show(&self) -> String {
        let table = table_of(&self.config);
        let values: BTreeMap<String, Value> = flatten(&table, "").into_iter().collect();
        let mut text = String::new();
        let mut section = "";
        let (top, nested): (Vec<_>, Vec<_>) = values.iter().partition(|(key, _)| !key.contains('.'));
        for (key, value) in top.into_iter().chain(nested) {
            let (of, name) = key.split_once('.').unwrap_or(("", key));
            if of != section {
                text.push_str(&format!("\n[{of}]\n"));
                section = of;
            }
            let origin = self.origins.get(key).unwrap_or(&Origin::Default);
            text.push_str(&format!("{:<48} # {origin}\n", format!("{name} = {value}")));
        }
        text
    }
}

impl Config {
    fn check(&self) -> Result<(), ConfigError> {
        let invalid = |key, value: &dyn ToString, rule| {
            Err(ConfigError::Invalid {
                key,
                value: value.to_string(),
                rule,
            })
        };
        if self.pack.keep_versions == 0 {
            return invalid(
                "pack.keep_versions",
                &0,
                "at least the current pack must be kept, use 1 or more",
            );
        }
        if self.pack.workers == 0 || self.pack.workers > 64 {
            return invalid("pack.workers", &self.pack.workers, "use 1 to 64");
        }
        if self.crawl.connections == 0 || self.crawl.connections > 10_000 {
            return invalid("crawl.connections", &self.crawl.connections, "use 1 to 10000");
        }
        if self.search.max_open_packs == 0 {
            return invalid("search.max_open_packs", &0, "use 1 or more");
        }
        if self.crawl.user_agent.is_empty()
            || !self.crawl.user_agent.bytes().all(|b| (0x20..0x7f).contains(&b))
        {
            return invalid("crawl.user_agent", &self.crawl.user_agent, "use printable ASCII");
        }
        if self.listen.parse::<std::net::SocketAddr>().is_err() {
            return invalid(
                "listen",
                &self.listen,
                "use an address and a port, such as 127.0.0.1:8480",
            );
        }
        Ok(())
    }

    /// Where contents and packs are kept.
    pub(crate) fn archive_address(&self) -> String {
        if !self.archive.is_empty() {
            return self.archive.clone();
        }
        let folder = std::path::absolute(self.data.join("archive"));
        format!(
            "file://{}",
            folder.unwrap_or_else(|_| self.data.join("archive")).display()
        )
    }
}

/// All keys with their defaults.
pub(crate) fn defaults() -> BTreeMap<String, Value> {
    flatten(&table_of(&Config::default()), "").into_iter().collect()
}

/// `pack.idle_ms` is `--pack-idle-ms`.
pub(crate) fn flag_of_key(key: &str) -> String {
    format!("--{}", key.replace(['.', '_'], "-"))
}

fn table_of(config: &Config) -> Table {
    Table::try_from(config)
        .unwrap_or_else(|error| unreachable!("the configuration is made of plain values: {error}"))
}

fn read(path: &Path) -> Result<Table, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
        path: path.to_owned(),
        source,
    })?;
    text.parse().map_err(|source| ConfigError::Toml {
        path: path.to_owned(),
        source,
    })
}

fn flatten(table: &Table, prefix: &str) -> Vec<(String, Value)> {
    let mut flat = Vec::new();
    for (name, value) in table {
        match value {
            Value::Table(nested) => flat.extend(flatten(nested, &format!("{prefix}{name}."))),
            value => flat.push((format!("{prefix}{name}"), value.clone())),
        }
    }
    flat
}

fn unflatten(values: BTreeMap<String, Value>) -> Table {
    let mut table = Table::new();
    for (key, value) in values {
        match key.split_once('.') {
            None => _ = table.insert(key, value),
            Some((section, name)) => {
                let nested = table.entry(section).or_insert_with(|| Value::Table(Table::new()));
                if let Some(nested) = nested.as_table_mut() {
                    nested.insert(name.to_owned(), value);
                }
            }
        }
    }
    table
}

/// `PACK_IDLE_MS` names the key `pack.idle_ms`: the one whose dots and underscores are alike.
fn key_of_variable(name: &str) -> String {
    let name = name.to_ascii_lowercase();
    let known = defaults().into_keys().find(|key| key.replace('.', "_") == name);
    known.unwrap_or(name)
}

fn unknown<'a>(key: &str, origin: Origin, known: impl Iterator<Item = &'a String>) -> ConfigError {
    let likeness = |candidate: &&String| (strsim::jaro_winkler(candidate, key) * 1_000.0) as u32;
    let nearest = known
        .max_by_key(likeness)
        .filter(|nearest| likeness(nearest) > 750)
        .cloned();
    let as_written = |nearest: String| match &origin {
        Origin::Variable(_) => format!("{PREFIX}{}", nearest.replace('.', "_").to_ascii_uppercase()),
        Origin::Flag(_) => flag_of_key(&nearest),
        Origin::File(_) | Origin::Default => nearest,
    };
    let suggestion = nearest.map(as_written);
    ConfigError::UnknownKey {
        key: key.to_owned(),
        suggestion,
        origin,
    }
}

/// A value as it came: typed from a file, text from elsewhere.
enum Given {
    Value(Value),
    Text(String),
}

impl Given {
    fn typed_as(self, default: &Value, key: &str, origin: &Origin) -> Result<Value, ConfigError> {
        let typed = match (&self, default) {
            (Self::Value(value), default) if value.same_type(default) => Some(value.clone()),
            (Self::Text(text), Value::String(_)) => Some(Value::String(text.clone())),
            (Self::Text(text), Value::Integer(_)) => text.replace('_', "").parse().ok().map(Value::Integer),
            (Self::Text(text), Value::Boolean(_)) => text.parse().ok().map(Value::Boolean),
            _ => None,
        };
        let not_negative = |value: &Value| value.as_integer().is_none_or(|number| number >= 0);
        typed.filter(not_negative).ok_or_else(|| ConfigError::WrongType {
            origin: origin.clone(),
            key: key.to_owned(),
            wanted: match default {
                Value::Integer(_) => "a whole number, 0 or greater",
                Value::Boolean(_) => "true or false",
                _ => "text",
            },
            value: match self {
                Self::Value(value) => value.to_string(),
                Self::Text(text) => text,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    }

    fn load(file: &str, variables: &[(&str, &str)], flags: &[(&str, &str)]) -> Result<Loaded, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("haul.toml");
        std::fs::write(&path, file).unwrap();
        Loaded::load(Some(&path), pairs(variables), pairs(flags)).map_err(|error| error.to_string())
    }

    #[test]
    fn flag_beats_variable_beats_file_beats_default() {
        let file = "listen = '127.0.0.1:1'\n[pack]\nidle_ms = 1\nmax_age_ms = 1\nworkers = 1\n";
        let variables = [
            ("HAUL_PACK_MAX_AGE_MS", "2"),
            ("HAUL_PACK_WORKERS", "2"),
            ("PATH", "/bin"),
        ];
        let loaded = load(file, &variables, &[("pack.workers", "3")]).unwrap();
        let pack = &loaded.config.pack;
        assert_eq!(
            (pack.idle_ms, pack.max_age_ms, pack.workers, pack.keep_versions),
            (1, 2, 3, 3)
        );
        let shown = loaded.show();
        assert!(
            shown.contains("# flag --pack-workers") && shown.contains("# variable HAUL_PACK_MAX_AGE_MS"),
            "{shown}"
        );
        let again: Config = toml::from_str(&shown).unwrap();
        assert_eq!(again, loaded.config);
    }

    #[test]
    fn an_unknown_key_is_an_error_with_a_suggestion() {
        let error = load("[pack]\nidle = 1\n", &[], &[]).unwrap_err();
        assert!(
            error.contains("haul.toml") && error.contains("\"pack.idle_ms\""),
            "{error}"
        );
        let error = load("", &[("HAUL_LISTENS", "x")], &[]).unwrap_err();
        assert!(error.contains("\"HAUL_LISTEN\""), "{error}");
        assert!(!load("qqqq = 1", &[], &[]).unwrap_err().contains("did you mean"));
    }

    #[test]
    fn every_key_is_documented_with_its_default() {
        let page = include_str!("../../../docs/configuration.md");
        for (key, default) in defaults() {
            let row = page
                .lines()
                .find(|line| line.starts_with(&format!("| `{key}` |")));
            let row = row.unwrap_or_else(|| panic!("docs/configuration.md has no row for {key}"));
            if let Some(number) = default.as_integer() {
                assert!(row.contains(&format!("| {number} |")), "{row}");
            }
        }
    }

    #[test]
    fn a_wrong_value_names_who_set_it() {
        let error = load("[pack]\nworkers = 'four'\n", &[], &[]).unwrap_err();
        assert!(error.contains("pack.workers is a whole number"), "{error}");
        let error = load("", &[("HAUL_PACK_WORKERS", "-1")], &[]).unwrap_err();
        assert!(error.contains("variable HAUL_PACK_WORKERS"), "{error}");
        let error = load("", &[], &[("pack.keep_versions", "0")]).unwrap_err();
        assert!(error.contains("use 1 or more"), "{error}");
        assert!(load("= 1", &[], &[]).unwrap_err().contains("is not TOML"));
    }
}
