use std::collections::BTreeMap;

use model::{Checksum, Host, SourceId, Timestamp};
use rusqlite::Connection;
use serde::{Deserialize, Serialize};

use crate::{FORMAT_VERSION, PackError};

/// What a pack says about itself: the table `meta`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meta {
    /// Format of the file.
    pub format: u32,
    /// The program that wrote it, such as `haul 0.1.0`.
    pub generator: String,
    /// The host that it is about.
    pub host: Host,
    /// When it was written.
    pub built_at: Timestamp,
    /// Start of the crawl whose content it holds, where one crawl filled it.
    pub crawl_started_at: Option<Timestamp>,
    /// End of that crawl.
    pub crawl_ended_at: Option<Timestamp>,
    /// Pages in it.
    pub pages: u64,
    /// Passages in it, which are the rows of the index.
    pub passages: u64,
    /// Bytes of indexed text: titles once per page, headings and text once per passage.
    pub text_bytes: u64,
    /// Pages by primary language subtag; the empty one for pages without.
    pub languages: BTreeMap<String, u64>,
    /// What it was made of, by source.
    pub sources: Vec<SourceDigest>,
}

/// The pages of one source in a pack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceDigest {
    /// The source.
    pub source: SourceId,
    /// Pages of it.
    pub pages: u64,
    /// Digest over address and checksum of its pages, the same for the same pages in any order.
    pub checksum: Checksum,
}

impl Meta {
    /// Writes the table.
    pub(crate) fn write(&self, connection: &Connection) -> Result<(), PackError> {
        let mut insert = connection.prepare("INSERT INTO meta(name, value) VALUES(?1, ?2)")?;
        let serde_json::Value::Object(fields) =
            serde_json::to_value(self).map_err(|error| corrupt(&error))?
        else {
            return Ok(());
        };
        for (name, value) in fields.iter().filter(|(_, value)| !value.is_null()) {
            let text = value
                .as_str()
                .map_or_else(|| value.to_string(), ToOwned::to_owned);
            insert.execute([name, &text])?;
        }
        Ok(())
    }

    /// Reads the table.
    pub(crate) fn read(connection: &Connection) -> Result<Self, PackError> {
        let mut statement = connection.prepare("SELECT name, value FROM main.meta LIMIT 1000")?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let values: BTreeMap<String, String> = rows.collect::<Result<_, _>>()?;
        let found = number(&values, "format").and_then(|format| u32::try_from(format).ok());
        if let Some(found) = found.filter(|found| *found > FORMAT_VERSION) {
            return Err(PackError::NewerFormat {
                found,
                supported: FORMAT_VERSION,
            });
        }
        Ok(Self {
            format: found.ok_or_else(|| missing("format"))?,
            generator: values
                .get("generator")
                .cloned()
                .ok_or_else(|| missing("generator"))?,
            host: Host::new(values.get("host").map_or("", String::as_str)).map_err(|_| missing("host"))?,
            built_at: time(&values, "built_at").ok_or_else(|| missing("built_at"))?,
            crawl_started_at: time(&values, "crawl_started_at"),
            crawl_ended_at: time(&values, "crawl_ended_at"),
            pages: number(&values, "pages").ok_or_else(|| missing("pages"))?,
            passages: number(&values, "passages").ok_or_else(|| missing("passages"))?,
            text_bytes: number(&values, "text_bytes").ok_or_else(|| missing("text_bytes"))?,
            languages: json(&values, "languages")?,
            sources: json(&values, "sources")?,
        })
    }
}

fn number(values: &BTreeMap<String, String>, name: &str) -> Option<u64> {
    values.get(name)?.parse().ok()
}

fn time(values: &BTreeMap<String, String>, name: &str) -> Option<Timestamp> {
    number(values, name).map(Timestamp::from_millis)
}

fn json<T: serde::de::DeserializeOwned>(
    values: &BTreeMap<String, String>,
    name: &str,
) -> Result<T, PackError> {
    serde_json::from_str(values.get(name).ok_or_else(|| missing(name))?).map_err(|error| corrupt(&error))
}

fn missing(name: &str) -> PackError {
    PackError::Corrupt(format!("the table meta has no valid {name}"))
}

fn corrupt(error: &serde_json::Error) -> PackError {
    PackError::Corrupt(error.to_string())
}
