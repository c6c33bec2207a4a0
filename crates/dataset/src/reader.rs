use std::path::Path;
use std::time::Duration;

use rusqlite::fallible_iterator::FallibleIterator;
use rusqlite::limits::Limit;
use rusqlite::{Batch, Connection, Statement, StatementStatus};

use crate::deadline::{Allowance, Clock};
use crate::permit::permit;
use crate::schema::{self, Shape, Table};
use crate::value::{QueryError, Value, message};
use crate::{costly, open};

/// Bytes of one register of SQLite's machine.
const REGISTER_BYTES: u64 = 56;

/// What a question may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReaderLimits {
    /// From the question to its last row, without the time that the reader of the rows takes.
    pub time: Duration,
    /// Rows of an answer.
    pub max_rows: u64,
    /// Bytes of all values of an answer; a number has eight.
    pub max_bytes: u64,
    /// Bytes of one value, and of one row; SQLite itself refuses to make larger ones. Less for statements with so many values that together they
    /// could need more than half of `max_memory_bytes`.
    pub max_value_bytes: u64,
    /// Memory for one question: half for its values, a quarter for pages, a quarter for each sorting.
    pub max_memory_bytes: u64,
}

impl Default for ReaderLimits {
    fn default() -> Self {
        Self {
            time: Duration::from_secs(20),
            max_rows: u64::MAX,
            max_bytes: 4 << 30,
            max_value_bytes: 8 << 20,
            max_memory_bytes: 256 << 20,
        }
    }
}

/// A column of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// The type that a table's column was declared with, as it was written; empty for what was computed.
    pub declared: String,
}

/// A question.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    /// SQL that reads. What follows its first statement is not looked at.
    pub sql: String,
    /// Values for its named parameters: `name` for `:name`, `@name` or `$name`. Those that have none are NULL.
    pub parameters: Vec<(String, Value<'static>)>,
}

impl Question {
    /// A question without parameters.
    pub fn new(sql: impl Into<String>) -> Self {
        Self {
            sql: sql.into(),
            parameters: Vec::new(),
        }
    }
}

/// Answers questions about one database, read-only and immutable. Blocking: use it on a thread where that is allowed.
pub struct Reader {
    pub(crate) connection: Connection,
    clock: Clock,
    limits: ReaderLimits,
}

impl Reader {
    /// Opens the database at `path`, which nobody writes to.
    ///
    /// # Errors
    ///
    /// [`QueryError::Unreadable`] where it is missing or no database.
    pub fn open(path: &Path, limits: ReaderLimits) -> Result<Self, QueryError> {
        let unreadable = |error: rusqlite::Error| QueryError::Unreadable(message(&error));
        let mut connection = open::for_reading(path, limits.max_memory_bytes / 4).map_err(unreadable)?;
        open::limit_questions(&connection).map_err(unreadable)?;
        let clock = Clock::watch(&mut connection).map_err(unreadable)?;
        costly::limit(&connection, limits.max_value_bytes).map_err(unreadable)?;
        connection.authorizer(Some(permit)).map_err(unreadable)?;
        Ok(Self {
            connection,
            clock,
            limits,
        })
    }

    /// Its tables: one called `data` first, the others by name; without views, virtual tables and those of SQLite.
    ///
    /// # Errors
    ///
    /// When the rows cannot be counted in time.
    pub fn tables(&self) -> Result<Vec<Table>, QueryError> {
        let mut shapes = self.shapes()?;
        shapes.sort_by_key(|shape| shape.name != "data");
        let table = |shape: Shape| {
            Ok(Table {
                rows: shape.count(&self.connection)?,
                name: shape.name,
                columns: shape.columns,
                key: shape.key,
            })
        };
        let counted = self.timed(|| shapes.into_iter().map(table).collect::<rusqlite::Result<_>>());
        counted.map_err(|error| self.error(&error))
    }

    pub(crate) fn shapes(&self) -> Result<Vec<Shape>, QueryError> {
        let shapes = self.timed(|| schema::tables(&self.connection));
        shapes.map_err(|error| self.error(&error))
    }

    fn timed<T>(&self, work: impl FnOnce() -> T) -> T {
        self.clock.allow(self.limits.time).run(work)
    }

    /// Asks, and lets `read` take the rows, one at a time: nothing is gathered.
    ///
    /// Only SELECT (with WITH, VALUES, EXPLAIN) and pragmas that tell of tables. An authorizer refuses the rest, with SQLite's message
    /// ("not authorized").
    ///
    /// # Errors
    ///
    /// What SQLite does not take, what takes too long, and whatever `read` returns.
    pub fn ask<T>(
        &self,
        question: &Question,
        read: impl FnOnce(&mut Rows<'_, '_>) -> Result<T, QueryError>,
    ) -> Result<T, QueryError> {
        if question.sql.trim().is_empty() {
            return Err(QueryError::Empty);
        }
        let mut time = self.clock.allow(self.limits.time);
        let prepared = time.run(|| self.prepare(question));
        let mut statement = prepared
            .map_err(|error| self.error(&error))?
            .ok_or(QueryError::Empty)?;
        let columns = columns(&statement);
        let mut rows = Rows {
            rows: statement.raw_query(),
            columns,
            time,
            limits: &self.limits,
            seen: 0,
            bytes: 0,
            is_truncated: false,
        };
        read(&mut rows)
    }

    fn prepare(&self, question: &Question) -> rusqlite::Result<Option<Statement<'_>>> {
        self.set_value_limit(self.limits.max_value_bytes)?;
        let Some(mut statement) = Batch::new(&self.connection, &question.sql).next()? else {
            return Ok(None);
        };
        for at in 1..=statement.parameter_count() {
            let name = statement.parameter_name(at).and_then(|name| name.get(1..));
            let value = question
                .parameters
                .iter()
                .find(|(given, _)| Some(given.as_str()) == name);
            if let Some((_, value)) = value {
                let value = value.clone();
                statement.raw_bind_parameter(at, value)?;
            }
        }
        let used = statement.get_status(StatementStatus::MemUsed);
        let registers = (u64::try_from(used).unwrap_or(0) / REGISTER_BYTES).max(1);
        let share = self.limits.max_memory_bytes / 2 / registers;
        self.set_value_limit(self.limits.max_value_bytes.min(share))?;
        Ok(Some(statement))
    }

    /// A statement can hold as many values at a time as it has registers, each as large as this allows.
    fn set_value_limit(&self, bytes: u64) -> rusqlite::Result<()> {
        let bytes = i32::try_from(bytes).unwrap_or(i32::MAX);
        self.connection
            .set_limit(Limit::SQLITE_LIMIT_LENGTH, bytes)
            .map(|_| ())
    }

    pub(crate) fn error(&self, error: &rusqlite::Error) -> QueryError {
        QueryError::of(error, self.limits.time)
    }
}

fn columns(statement: &Statement<'_>) -> Vec<Column> {
    let columns = statement.columns();
    columns
        .map(|column| Column {
            name: column.name().to_owned(),
            declared: column.decl_type().unwrap_or_default().to_owned(),
        })
        .collect()
}

/// The rows of an answer.
pub struct Rows<'answer, 'reader> {
    rows: rusqlite::Rows<'answer>,
    columns: Vec<Column>,
    time: Allowance<'reader>,
    limits: &'reader ReaderLimits,
    seen: u64,
    bytes: u64,
    is_truncated: bool,
}

impl Rows<'_, '_> {
    /// The columns.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The next row; none at the end, or when a limit of rows or bytes is reached ([`Rows::is_truncated`]).
    ///
    /// # Errors
    ///
    /// What SQLite finds only while it works, such as a value that is too large, and the end of the time.
    pub fn next_row(&mut self) -> Result<Option<Row<'_>>, QueryError> {
        if self.is_truncated {
            return Ok(None);
        }
        let rows = &mut self.rows;
        let next = self.time.run(|| rows.next());
        let Some(row) = next.map_err(|error| QueryError::of(&error, self.limits.time))? else {
            return Ok(None);
        };
        let row = Row {
            row,
            width: self.columns.len(),
        };
        self.seen += 1;
        self.bytes += row.bytes();
        self.is_truncated = self.seen > self.limits.max_rows || self.bytes > self.limits.max_bytes;
        Ok((!self.is_truncated).then_some(row))
    }

    /// Whether there was more than the limits let through.
    pub fn is_truncated(&self) -> bool {
        self.is_truncated
    }
}

/// A row of an answer, which is there until the next one.
pub struct Row<'row> {
    row: &'row rusqlite::Row<'row>,
    width: usize,
}

impl<'row> Row<'row> {
    /// The value in the column with this number, from 0; NULL where there is no such column.
    pub fn value(&self, column: usize) -> Value<'row> {
        self.row.get_ref(column).map_or(Value::Null, Value::from)
    }

    /// As many values as columns.
    pub fn values(&self) -> impl ExactSizeIterator<Item = Value<'row>> {
        (0..self.width).map(|column| self.value(column))
    }

    fn bytes(&self) -> u64 {
        let bytes = self.values().map(|value| match value {
            Value::Null => 0,
            Value::Integer(_) | Value::Real(_) => 8,
            Value::Text(text) => text.len() as u64,
            Value::Blob(bytes) => bytes.len() as u64,
        });
        bytes.sum()
    }
}
