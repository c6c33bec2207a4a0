use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use rusqlite::Connection;
use rusqlite::types::ValueRef;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::language::Language;

/// Steps through a library, and what the database holds afterwards.
#[derive(Deserialize)]
pub(crate) struct Case {
    pub(crate) name: String,
    /// Where it is written.
    #[serde(skip)]
    file: PathBuf,
    /// Languages that have no such values.
    #[serde(default)]
    not: Vec<String>,
    steps: Vec<Step>,
    /// Rows of queries, their values as SQLite's `quote` writes them.
    #[serde(default)]
    holds: BTreeMap<String, Vec<String>>,
}

/// A call with its arguments, which stand first.
#[derive(Deserialize)]
struct Step {
    /// Words in its error; none: it succeeds.
    fails: Option<String>,
    /// What it gives.
    is: Option<Value>,
    #[serde(flatten)]
    call: Map<String, Value>,
}

/// What a step gave.
#[derive(Deserialize)]
struct Outcome {
    #[serde(default)]
    result: Value,
    error: Option<String>,
}

pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance")
}

/// The cases in a file of this folder.
pub(crate) fn read(name: &str) -> Result<Vec<Case>> {
    let file = folder().join(name);
    let mut cases: Vec<Case> = serde_json::from_str(&fs::read_to_string(&file)?)?;
    for case in &mut cases {
        case.file.clone_from(&file);
    }
    Ok(cases)
}

impl Case {
    pub(crate) fn is_for(&self, language: &Language) -> bool {
        !self.not.iter().any(|name| name == language.id)
    }

    pub(crate) fn check(&self, language: &Language) -> Result<()> {
        self.check_in(tempfile::tempdir()?.path(), language)
    }

    /// Takes the steps in `folder`, where a database may be already.
    pub(crate) fn check_in(&self, folder: &Path, language: &Language) -> Result<()> {
        let output = language.run(folder, &self.file, &self.name)?;
        let outcomes: Vec<Outcome> = output
            .lines()
            .map(serde_json::from_str)
            .collect::<Result<_, _>>()?;
        ensure!(
            outcomes.len() == self.steps.len(),
            "not every step was taken: {output}"
        );
        for (step, outcome) in self.steps.iter().zip(outcomes) {
            step.check(outcome)?;
        }
        let database = Connection::open(folder.join("data.sqlite"))?;
        for (query, expected) in &self.holds {
            let found = rows(&database, query).with_context(|| query.clone())?;
            ensure!(found == *expected, "{query} gives {found:?}, not {expected:?}");
        }
        Ok(())
    }
}

impl Step {
    fn check(&self, outcome: Outcome) -> Result<()> {
        let call = serde_json::to_string(&self.call)?;
        match (&self.fails, outcome.error) {
            (None, Some(error)) => bail!("{call} fails: {error}"),
            (Some(words), None) => bail!("{call} does not fail with {words}"),
            (Some(words), Some(error)) => ensure!(
                error.contains(words.as_str()),
                "{call} fails with {error}, not {words}"
            ),
            (None, None) => {}
        }
        if let Some(expected) = &self.is {
            ensure!(
                outcome.result == *expected,
                "{call} gives {}, not {expected}",
                outcome.result
            );
        }
        Ok(())
    }
}

fn rows(database: &Connection, query: &str) -> Result<Vec<String>> {
    let mut statement = database.prepare(query)?;
    let columns = statement.column_count();
    let rows = statement.query_map([], |row| {
        let values: Vec<String> = (0..columns)
            .map(|column| row.get_ref(column).map(quoted))
            .collect::<Result<_, _>>()?;
        Ok(values.join("|"))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// As SQLite's `quote`.
fn quoted(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => "NULL".to_owned(),
        ValueRef::Integer(integer) => integer.to_string(),
        ValueRef::Real(real) => real.to_string(),
        ValueRef::Text(text) => format!("'{}'", String::from_utf8_lossy(text).replace('\'', "''")),
        ValueRef::Blob(bytes) => {
            let digits: String = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
            format!("x'{digits}'")
        }
    }
}
