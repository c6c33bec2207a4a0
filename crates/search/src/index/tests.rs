use std::collections::BTreeMap;

use proptest::prelude::*;
use rusqlite::Connection;

use super::*;

/// An index that FTS5 itself wrote, with small pages so that everything spans several.
fn written(texts: &[String], page_bytes: u32, optimize: bool) -> Connection {
    let connection = Connection::open_in_memory().unwrap();
    connection
        .execute_batch("CREATE VIRTUAL TABLE search USING fts5(title, text, tokenize = 'porter unicode61')")
        .unwrap();
    let configure = "INSERT INTO search(search, rank) VALUES(?1, ?2)";
    connection.execute(configure, ("pgsz", page_bytes)).unwrap();
    connection.execute(configure, ("automerge", 0)).unwrap();
    let mut row = 1_i64;
    for text in texts {
        // Gaps as between the passages of different pages.
        row += if text.len() % 3 == 0 { 4096 } else { 1 };
        let sql = "INSERT INTO search(rowid, title, text) VALUES(?1, ?2, ?3)";
        connection
            .execute(sql, (row, &text[..text.len().min(9)], text))
            .unwrap();
    }
    if optimize {
        connection
            .execute("INSERT INTO search(search) VALUES('optimize')", [])
            .unwrap();
    }
    connection
}

type Rows = BTreeMap<i64, Vec<(usize, u64)>>;

fn read(connection: &Connection, terms: &Terms<'_>) -> Rows {
    let index = Index::open(connection).unwrap();
    let mut rows = Rows::new();
    index
        .rows(connection, terms, &|| Ok(()), &mut |row, encoded| {
            rows.entry(row).or_default().extend(positions(encoded));
        })
        .unwrap();
    rows.values_mut().for_each(|places| places.sort_unstable());
    rows
}

/// The same from `fts5vocab`.
fn expected(connection: &Connection, condition: &str, term: &str) -> Rows {
    connection
        .execute_batch("CREATE VIRTUAL TABLE IF NOT EXISTS temp.v USING fts5vocab(main, search, instance)")
        .unwrap();
    let sql = format!("SELECT doc, col = 'text', offset FROM temp.v WHERE {condition} ORDER BY 1, 2, 3");
    let mut statement = connection.prepare(&sql).unwrap();
    let mut rows = Rows::new();
    let places = statement.query_map([term], |row| {
        Ok((
            row.get(0)?,
            row.get::<_, i64>(1)? as usize,
            row.get::<_, i64>(2)? as u64,
        ))
    });
    for (row, column, word) in places.unwrap().map(Result::unwrap) {
        rows.entry(row).or_default().push((column, word));
    }
    rows
}

fn check(connection: &Connection, term: &str) {
    assert_eq!(
        read(connection, &Terms::Is(term)),
        expected(connection, "term = ?1", term),
        "{term}"
    );
    let prefix = expected(connection, "term >= ?1 AND term < ?1 || char(0x10ffff)", term);
    assert_eq!(read(connection, &Terms::BeginWith(term)), prefix, "{term}*");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(80))]

    #[test]
    fn finds_what_fts5_finds(
        texts in proptest::collection::vec("([a-c]{1,3} ){0,60}", 0..60),
        page_bytes in 32..200_u32,
        optimize: bool,
    ) {
        let connection = written(&texts, page_bytes, optimize);
        for term in ["a", "b", "ab", "abc", "ca", "cc", "d", "A", "bbb"] {
            check(&connection, term);
        }
    }

    #[test]
    fn damage_is_an_error_or_a_wrong_answer_and_never_more(
        texts in proptest::collection::vec("([a-c]{1,3} ){0,60}", 1..30),
        at in 0..4_000_usize,
        byte: u8,
    ) {
        let connection = written(&texts, 64, true);
        let ids = "SELECT id FROM search_data WHERE id > 10";
        let ids: Vec<i64> = connection.prepare(ids).unwrap().query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        for id in ids {
            let mut block: Vec<u8> =
                connection.query_row("SELECT block FROM search_data WHERE id = ?1", [id], |row| row.get(0)).unwrap();
            let at = at % block.len();
            block[at] = byte;
            connection.execute("UPDATE search_data SET block = ?2 WHERE id = ?1", (id, block)).unwrap();
        }
        let index = Index::open(&connection).unwrap();
        for term in ["a", "abc", "b"] {
            let _ = index.rows(&connection, &Terms::BeginWith(term), &|| Ok(()), &mut |_, encoded| {
                positions(encoded).for_each(drop);
            });
        }
    }
}

#[test]
fn long_lists_span_many_pages() {
    let texts: Vec<String> = (0..3_000)
        .map(|n| format!("the word number {n} and the {}", "x ".repeat(n % 40)))
        .collect();
    for page_bytes in [64, 1_000, 4_050] {
        let connection = written(&texts, page_bytes, true);
        for term in ["the", "x", "number", "2", "299", "zzz"] {
            check(&connection, term);
        }
    }
}

#[test]
fn another_format_is_refused() {
    let connection = written(&["a".to_owned()], 1_000, true);
    connection
        .execute("UPDATE search_config SET v = 5 WHERE k = 'version'", [])
        .unwrap();
    assert!(Index::open(&connection).is_err());
}
