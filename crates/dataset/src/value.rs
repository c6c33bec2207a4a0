use std::borrow::Cow;
use std::time::Duration;

use rusqlite::ErrorCode;
use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};
use thiserror::Error;

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum QueryError {
    /// SQLite does not take the question: its message, as it is.
    #[error("{0}")]
    Sql(String),
    /// There is no question.
    #[error("No query specified")]
    Empty,
    /// It took too long.
    #[error(
        "the query took longer than {0} ms and was stopped; ask for less, or add an index in the scraper"
    )]
    TimedOut(u64),
    /// There is no such table, or the place to go on from is none of it.
    #[error("{0}")]
    NotFound(String),
    /// The file cannot be opened.
    #[error("the data cannot be opened: {0}")]
    Unreadable(String),
}

impl QueryError {
    /// What SQLite said while it had `time`.
    pub(crate) fn of(error: &rusqlite::Error, time: Duration) -> Self {
        if error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) {
            return Self::TimedOut(u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
        }
        Self::Sql(message(error))
    }
}

/// SQLite's own words, without those of the binding.
pub(crate) fn message(error: &rusqlite::Error) -> String {
    match error {
        rusqlite::Error::SqliteFailure(_, Some(message)) => message.clone(),
        rusqlite::Error::SqlInputError { msg, .. } => msg.clone(),
        other => other.to_string(),
    }
}

/// A value as SQLite has it.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// NULL.
    Null,
    /// A whole number.
    Integer(i64),
    /// Another number.
    Real(f64),
    /// Text. Where its bytes are not UTF-8, only those of ASCII are kept, as morph does.
    Text(Cow<'a, str>),
    /// Bytes.
    Blob(Cow<'a, [u8]>),
}

impl Value<'_> {
    /// The same, for keeps.
    pub fn into_owned(self) -> Value<'static> {
        match self {
            Self::Null => Value::Null,
            Self::Integer(number) => Value::Integer(number),
            Self::Real(number) => Value::Real(number),
            Self::Text(text) => Value::Text(Cow::Owned(text.into_owned())),
            Self::Blob(bytes) => Value::Blob(Cow::Owned(bytes.into_owned())),
        }
    }
}

impl<'a> From<ValueRef<'a>> for Value<'a> {
    fn from(value: ValueRef<'a>) -> Self {
        match value {
            ValueRef::Null => Self::Null,
            ValueRef::Integer(number) => Self::Integer(number),
            ValueRef::Real(number) => Self::Real(number),
            ValueRef::Text(bytes) => Self::Text(text(bytes)),
            ValueRef::Blob(bytes) => Self::Blob(Cow::Borrowed(bytes)),
        }
    }
}

fn text(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => {
            let kept = bytes.iter().filter(|byte| byte.is_ascii());
            Cow::Owned(kept.map(|byte| char::from(*byte)).collect())
        }
    }
}

impl ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Integer(number) => ValueRef::Integer(*number),
            Self::Real(number) => ValueRef::Real(*number),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Blob(bytes) => ValueRef::Blob(bytes),
        }))
    }
}
