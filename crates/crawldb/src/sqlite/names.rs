use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension};

/// Names that are kept in memory at most; then the memory begins anew.
const MAX_CACHED: usize = 100_000;

/// The numbers of names, as far as this process met them. A number never changes, so only a transaction that is
/// rolled back can make the memory wrong: then it is forgotten.
#[derive(Debug, Default)]
pub(super) struct Names {
    numbers: HashMap<String, i64>,
    texts: HashMap<i64, String>,
}

impl Names {
    pub(super) fn forget(&mut self) {
        self.numbers.clear();
        self.texts.clear();
    }

    /// The number of the name, if it has one.
    pub(super) fn find(&mut self, connection: &Connection, text: &str) -> rusqlite::Result<Option<i64>> {
        if let Some(number) = self.numbers.get(text) {
            return Ok(Some(*number));
        }
        let found = connection
            .prepare_cached("SELECT id FROM names WHERE text = ?1")?
            .query_row([text], |row| row.get(0))
            .optional()?;
        if let Some(number) = found {
            self.remember(number, text);
        }
        Ok(found)
    }

    /// The number of the name; it gets one if it has none.
    pub(super) fn number(&mut self, connection: &Connection, text: &str) -> rusqlite::Result<i64> {
        if let Some(number) = self.find(connection, text)? {
            return Ok(number);
        }
        connection
            .prepare_cached("INSERT INTO names (text) VALUES (?1)")?
            .execute([text])?;
        let number = connection.last_insert_rowid();
        self.remember(number, text);
        Ok(number)
    }

    pub(super) fn text(&mut self, connection: &Connection, number: i64) -> rusqlite::Result<String> {
        if let Some(text) = self.texts.get(&number) {
            return Ok(text.clone());
        }
        let text: String = connection
            .prepare_cached("SELECT text FROM names WHERE id = ?1")?
            .query_row([number], |row| row.get(0))?;
        self.remember(number, &text);
        Ok(text)
    }

    fn remember(&mut self, number: i64, text: &str) {
        if self.texts.len() >= MAX_CACHED {
            self.forget();
        }
        self.numbers.insert(text.to_owned(), number);
        self.texts.insert(number, text.to_owned());
    }
}
