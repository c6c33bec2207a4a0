//! The index that we write, beside the one that FTS5 writes for the same rows.

use std::num::NonZeroUsize;

use proptest::prelude::*;
use rusqlite::{Connection, params};

use super::{IndexOptions, Indexer, Row};
use crate::ORDINAL_BITS;
use crate::schema;

/// Title, heading, text and extra terms of a passage.
type Document = [String; 4];

/// Small enough that every structure has several levels.
fn tiny() -> IndexOptions {
    IndexOptions {
        threads: NonZeroUsize::MIN,
        memory_bytes: usize::MAX,
        leaf_bytes: 64,
        block_bytes: 1 << 20,
    }
}

fn id_of(number: usize) -> i64 {
    // Three passages a page, so that ids have gaps.
    ((number as i64 / 3 + 1) << ORDINAL_BITS) + number as i64 % 3
}

fn with_content(documents: &[Document]) -> Connection {
    let connection = Connection::open_in_memory().unwrap();
    schema::create(&connection).unwrap();
    let mut page = connection
        .prepare("INSERT OR IGNORE INTO pages VALUES(?1, ?1, '', '', ?2, '', NULL, '', '', 0, 0, 0, 0, 0)")
        .unwrap();
    let mut passage = connection
        .prepare("INSERT INTO passages VALUES(?1, ?1 >> 12, ?2, NULL, NULL, ?3, ?4)")
        .unwrap();
    for (number, [_, heading, text, terms]) in documents.iter().enumerate() {
        page.execute(params![
            id_of(number) >> ORDINAL_BITS,
            title_of(documents, number)
        ])
        .unwrap();
        passage
            .execute(params![id_of(number), heading, text, terms])
            .unwrap();
    }
    drop((page, passage));
    connection
}

/// The passages of a page share the title of the first.
fn title_of(documents: &[Document], number: usize) -> &str {
    &documents[number - number % 3][0]
}

fn ours(documents: &[Document], options: IndexOptions) -> Connection {
    let connection = with_content(documents);
    let mut indexer = Indexer::new(options).unwrap();
    for (number, [_, heading, text, terms]) in documents.iter().enumerate() {
        let fields = [title_of(documents, number), heading, text, terms];
        indexer
            .add(
                &Row {
                    id: id_of(number),
                    fields,
                },
                &connection,
            )
            .unwrap();
    }
    indexer.finish(&connection).unwrap();
    reread(&connection);
    connection
}

fn plain(documents: &[Document]) -> Connection {
    let connection = with_content(documents);
    connection
        .execute(
            "INSERT INTO search(rowid, title, heading, text, terms) SELECT * FROM documents ORDER BY id",
            [],
        )
        .unwrap();
    connection
}

/// Makes FTS5 forget what it has read from its tables.
fn reread(connection: &Connection) {
    connection
        .execute_batch("CREATE TABLE other(x); DROP TABLE other; VACUUM")
        .unwrap();
}

fn check_integrity(connection: &Connection) {
    connection
        .execute(
            "INSERT INTO search(search, rank) VALUES('integrity-check', 1)",
            [],
        )
        .unwrap();
}

/// Every token of the index with its place.
fn instances(connection: &Connection) -> Vec<(String, i64, String, i64)> {
    connection
        .execute_batch("CREATE VIRTUAL TABLE temp.v USING fts5vocab(main, search, instance)")
        .unwrap();
    let mut statement = connection
        .prepare("SELECT term, doc, col, offset FROM v ORDER BY 1, 2, 3, 4")
        .unwrap();
    let rows = statement
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))
        .unwrap();
    let rows = rows.collect::<Result<_, _>>().unwrap();
    drop(statement);
    connection.execute_batch("DROP TABLE temp.v").unwrap();
    rows
}

fn answers(connection: &Connection, sql: &str, query: &str) -> Vec<(i64, f64)> {
    let mut statement = connection.prepare(sql).unwrap();
    let rows = statement
        .query_map([query], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

fn check_same(ours: &Connection, plain: &Connection, queries: &[&str]) {
    check_integrity(ours);
    assert_eq!(instances(ours), instances(plain));
    for query in queries {
        for sql in [
            "SELECT rowid, 0.0 FROM search WHERE search MATCH ?1 ORDER BY rowid",
            "SELECT rowid, 0.0 FROM search WHERE search MATCH ?1 ORDER BY rowid DESC",
            "SELECT rowid, rank FROM search WHERE search MATCH ?1 ORDER BY rank, rowid",
            "SELECT rowid, 0.0 FROM search WHERE search MATCH ?1 AND rowid BETWEEN 500000 AND 600000 ORDER BY rowid",
            "SELECT rowid, 0.0 FROM search WHERE search MATCH ?1 AND rowid < 600000 ORDER BY rowid DESC",
        ] {
            assert_eq!(
                answers(ours, sql, query),
                answers(plain, sql, query),
                "{query}: {sql}"
            );
        }
    }
}

const QUERIES: &[&str] = &[
    "alpha",
    "beta",
    "rare",
    "alpha AND rare",
    "rare AND alpha AND beta",
    "alpha NOT beta",
    "\"alpha beta\"",
    "\"beta gamma alpha\"",
    "al*",
    "b*",
    "NEAR(alpha gamma, 3)",
    "title:alpha",
    "{heading terms}:gamma",
    "text:rare OR title:beta",
    "running",
    "café",
    "^alpha",
];

fn document(number: usize, length: usize) -> Document {
    let words = [
        "alpha",
        "beta",
        "gamma",
        "Running",
        "CAFÉ",
        "x1",
        "déjà-vu",
        "naïve“quoted”",
        "日本語",
        "rare",
    ];
    let pick = |at: usize| match (number * 31 + at * 17 + at * at * number) % 97 {
        0 if number.is_multiple_of(50) => words[9].to_owned(),
        1 => format!("unique{number}x{at}"),
        2 => "longer-than-sixteen-bytesinonerunofletters".to_owned(),
        other => words[other % 9].to_owned(),
    };
    let text = (0..length).map(pick).collect::<Vec<_>>().join(" ");
    [
        format!("{} alpha", words[number % 7]),
        words[number % 3].to_owned(),
        text,
        words[number % 5].to_owned(),
    ]
}

#[test]
fn is_what_fts5_would_have_written() {
    let documents: Vec<_> = (0..600).map(|number| document(number, number % 40)).collect();
    check_same(&ours(&documents, tiny()), &plain(&documents), QUERIES);
}

#[test]
fn long_doclists_are_indexed_on_several_levels() {
    // One word in every row, and rows with more positions than a leaf holds.
    let documents: Vec<_> = (0..6000)
        .map(|number| document(number, if number.is_multiple_of(500) { 900 } else { 3 }))
        .collect();
    let ours = ours(&documents, tiny());
    let levels: i64 = ours
        .query_row(
            "SELECT max((id >> 31) & 31) FROM search_data WHERE (id >> 36) & 1",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert!(levels >= 2, "{levels}");
    check_same(&ours, &plain(&documents), QUERIES);
}

#[test]
fn blocks_threads_and_segments_do_not_show() {
    let documents: Vec<_> = (0..900).map(|number| document(number, 30)).collect();
    let plain = plain(&documents);
    let threads = NonZeroUsize::new(3).unwrap();
    let one = ours(
        &documents,
        IndexOptions {
            block_bytes: 5000,
            threads,
            leaf_bytes: 4050,
            ..tiny()
        },
    );
    check_same(&one, &plain, QUERIES);
    let many = ours(
        &documents,
        IndexOptions {
            block_bytes: 5000,
            memory_bytes: 20_000,
            threads,
            leaf_bytes: 200,
        },
    );
    let segments: i64 = many
        .query_row("SELECT count(DISTINCT segid) FROM search_idx", [], |row| {
            row.get(0)
        })
        .unwrap();
    assert!(segments > 2, "{segments}");
    check_same(&many, &plain, QUERIES);
}

#[test]
fn fts5_can_go_on_from_there() {
    let documents: Vec<_> = (0..400).map(|number| document(number, 25)).collect();
    let (ours, plain) = (
        ours(
            &documents,
            IndexOptions {
                leaf_bytes: 4050,
                ..tiny()
            },
        ),
        plain(&documents),
    );
    for connection in [&ours, &plain] {
        connection.execute_batch("
            INSERT INTO search(search, rowid, title, heading, text, terms) SELECT 'delete', * FROM documents WHERE id % 7 = 0;
            DELETE FROM passages WHERE id % 7 = 0;
            INSERT INTO passages SELECT id + 10, page_id, 'alpha', NULL, NULL, text || ' rare beta', '' FROM passages;
            INSERT INTO search(rowid, title, heading, text, terms) SELECT * FROM documents WHERE id & 4095 >= 10;
        ").unwrap();
    }
    check_same(&ours, &plain, QUERIES);
    ours.execute_batch("INSERT INTO search(search) VALUES('optimize')")
        .unwrap();
    check_same(&ours, &plain, QUERIES);
}

#[test]
fn an_index_without_rows_is_empty() {
    let ours = ours(&[], tiny());
    check_same(&ours, &plain(&[]), QUERIES);
}

#[test]
fn rows_without_words_count() {
    let documents = vec![<Document>::default(); 10];
    check_same(&ours(&documents, tiny()), &plain(&documents), QUERIES);
}

fn any_document() -> impl Strategy<Value = Document> {
    let word = prop_oneof![
        5 => prop::sample::select(vec!["alpha", "beta", "gamma", "rare", "Running", "runs", "café"]).prop_map(str::to_owned),
        2 => "[a-cA-C]{1,3}",
        1 => "\\PC{0,6}",
        1 => any::<String>(),
    ];
    let field =
        move |length: usize| prop::collection::vec(word.clone(), 0..length).prop_map(|words| words.join(" "));
    (field(4), field(4), field(40), field(4))
        .prop_map(|(title, heading, text, terms)| [title, heading, text, terms])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn any_text_is_indexed_as_fts5_does(
        documents in prop::collection::vec(any_document(), 0..40),
        leaf_bytes in 32usize..400,
        block_bytes in 1usize..4000,
        memory_bytes in 1000usize..100_000,
    ) {
        let options = IndexOptions { threads: NonZeroUsize::MIN, memory_bytes, leaf_bytes, block_bytes };
        check_same(&ours(&documents, options), &plain(&documents), QUERIES);
    }
}
