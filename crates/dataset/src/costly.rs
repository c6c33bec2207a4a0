//! Functions of SQLite whose work is the product of the lengths of two arguments.
//!
//! SQLite does not look at the clock inside a function, so `trim` of a million characters from a million others would last for an hour. Here these
//! functions first multiply; what is little enough is left to SQLite's own, in a connection beside.

use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::limits::Limit;
use rusqlite::types::{Value, ValueRef};

/// Comparisons of bytes in one call: a second at most.
const MAX_WORK: u64 = 1 << 28;

/// Names, and statements that call SQLite's own.
const FUNCTIONS: [(&str, i32, &str); 7] = [
    ("trim", 2, "SELECT trim(?1, ?2)"),
    ("ltrim", 2, "SELECT ltrim(?1, ?2)"),
    ("rtrim", 2, "SELECT rtrim(?1, ?2)"),
    ("instr", 2, "SELECT instr(?1, ?2)"),
    ("replace", 3, "SELECT replace(?1, ?2, ?3)"),
    ("json_patch", 2, "SELECT json_patch(?1, ?2)"),
    ("jsonb_patch", 2, "SELECT jsonb_patch(?1, ?2)"),
];

/// Puts limits on the costly functions of a connection.
pub(crate) fn limit(connection: &Connection, max_value_bytes: u64) -> rusqlite::Result<()> {
    let flags =
        FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_INNOCUOUS;
    let beside = Connection::open_in_memory()?;
    let bytes = i32::try_from(max_value_bytes).unwrap_or(i32::MAX);
    beside.set_limit(Limit::SQLITE_LIMIT_LENGTH, bytes)?;
    let beside = Arc::new(Mutex::new(beside));
    for (name, arguments, sql) in FUNCTIONS {
        let beside = Arc::clone(&beside);
        let call = move |context: &Context<'_>| {
            call(
                &beside.lock().unwrap_or_else(PoisonError::into_inner),
                sql,
                context,
            )
        };
        connection.create_scalar_function(name, arguments, flags, call)?;
    }
    Ok(())
}

fn call(beside: &Connection, sql: &str, context: &Context<'_>) -> rusqlite::Result<Value> {
    let arguments: Vec<ValueRef<'_>> = (0..context.len()).map(|at| context.get_raw(at)).collect();
    let work: u64 = arguments
        .iter()
        .take(2)
        .map(|argument| length(*argument))
        .product();
    if work > MAX_WORK {
        let said = "these texts are too long for one call; ask for shorter ones";
        return Err(rusqlite::Error::UserFunctionError(said.into()));
    }
    let mut statement = beside.prepare_cached(sql)?;
    for (at, argument) in arguments.into_iter().enumerate() {
        statement.raw_bind_parameter(at + 1, rusqlite::types::ToSqlOutput::Borrowed(argument))?;
    }
    let mut rows = statement.raw_query();
    rows.next()?.map_or(Ok(Value::Null), |row| row.get(0))
}

fn length(value: ValueRef<'_>) -> u64 {
    match value {
        ValueRef::Null => 0,
        ValueRef::Integer(_) | ValueRef::Real(_) => 24,
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => bytes.len() as u64,
    }
}
