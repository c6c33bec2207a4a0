use std::collections::BTreeMap;
use std::time::Duration;

use dataset::{
    Change, ChangedRow, CompareOptions, Comparison, Difference, QueryError, RowCounts, changed_keys, compare,
    rowid_counts,
};
use proptest::prelude::*;

use crate::folder::Folder;

const TIME: Duration = Duration::from_secs(60);

fn counts(added: u64, removed: u64, changed: u64, unchanged: u64) -> RowCounts {
    RowCounts {
        added,
        removed,
        changed,
        unchanged,
    }
}

fn key(columns: &[&str]) -> Comparison {
    Comparison::Key(columns.iter().map(|name| (*name).to_owned()).collect())
}

/// Checks how the table `data` changed between the databases that these statements make.
#[track_caller]
fn check(old: &str, new: &str, by: Comparison, rows: RowCounts) {
    check_ignoring(&[], old, new, by, rows);
}

#[track_caller]
fn check_ignoring(ignored: &[&str], old: &str, new: &str, by: Comparison, rows: RowCounts) {
    let (old, new) = (Folder::with(old), Folder::with(new));
    let options = CompareOptions {
        ignore_columns: ignored.iter().map(|name| (*name).to_owned()).collect(),
        ..CompareOptions::default()
    };
    let (old, new) = (old.work("data.sqlite"), new.work("data.sqlite"));
    let compared = compare(Some(&old), &new, &options).unwrap();
    assert_eq!(compared["data"], Difference { by, rows });
    let mut told = counts(0, 0, 0, rows.unchanged);
    changed_keys(Some(&old), &new, &options, |row| {
        match row.change {
            Change::Added => told.added += 1,
            Change::Removed => told.removed += 1,
            Change::Changed => told.changed += 1,
        }
        true
    })
    .unwrap();
    assert_eq!(told, rows);
}

const KEYED: &str = "CREATE TABLE data(id TEXT PRIMARY KEY, x); ";

#[test]
fn rows_that_are_saved_again_are_unchanged() {
    let old = format!("{KEYED} INSERT INTO data VALUES ('a', 1), ('b', 2), ('c', 3)");
    let again = format!(
        "{old}; INSERT OR REPLACE INTO data VALUES ('a', 1), ('b', 20), ('d', 4); DELETE FROM data WHERE id = 'c'"
    );
    check(&old, &again, key(&["id"]), counts(1, 1, 1, 1));
    let (old, new) = (Folder::with(&old), Folder::with(&again));
    let by_rowid = rowid_counts(Some(&old.work("data.sqlite")), &new.work("data.sqlite"), TIME);
    // The rows that were replaced have new rowids: 4, 5 and 6.
    assert_eq!(by_rowid.unwrap(), counts(3, 3, 0, 0));
}

#[test]
fn a_declared_rowid_is_a_key() {
    check(
        "CREATE TABLE data(id INTEGER PRIMARY KEY, x); INSERT INTO data VALUES (1, 'a'), (1000000000000, 'b')",
        "CREATE TABLE data(id INTEGER PRIMARY KEY, x); INSERT INTO data VALUES (1, 'a'), (1000000000000, 'c')",
        key(&["id"]),
        counts(0, 0, 1, 1),
    );
}

#[test]
fn the_oldest_sound_unique_index_comes_after_the_primary_key() {
    let table = "CREATE TABLE data(a, b, c, d); CREATE UNIQUE INDEX one ON data(a) WHERE b; \
        CREATE UNIQUE INDEX two ON data(lower(b)); CREATE UNIQUE INDEX three ON data(c); CREATE UNIQUE INDEX four ON data(d, b); \
        CREATE UNIQUE INDEX five ON data(b); ";
    let old = format!("{table} INSERT INTO data VALUES (1, 'x', NULL, 1), (2, 'y', 2, 2)");
    let new = format!("{table} INSERT INTO data VALUES (9, 'x', NULL, 1), (2, 'y', 2, 2)");
    check(&old, &new, key(&["d", "b"]), counts(0, 0, 1, 1));
}

#[test]
fn a_primary_key_with_null_is_none() {
    let old = format!("{KEYED} INSERT INTO data VALUES (NULL, 1), (NULL, 1), ('a', 2)");
    let new = format!("{KEYED} INSERT INTO data VALUES (NULL, 1), ('a', 3)");
    check(&old, &new, Comparison::WholeRows, counts(1, 2, 0, 1));
}

#[test]
fn without_a_key_whole_rows_are_compared_as_often_as_they_are_there() {
    check(
        "CREATE TABLE data(x, y); INSERT INTO data VALUES (1, 'a'), (1, 'a'), (1, 'a'), (2, 'b')",
        "CREATE TABLE data(x, y); INSERT INTO data VALUES (2, 'b'), (1, 'a'), (3, 'c'), (1, 'a')",
        Comparison::WholeRows,
        counts(1, 1, 0, 3),
    );
}

#[test]
fn a_key_that_only_one_version_has_does_not_count() {
    check(
        "CREATE TABLE data(id, x, UNIQUE(x)); INSERT INTO data VALUES (1, 'a'), (2, 'b')",
        "CREATE TABLE data(id INTEGER PRIMARY KEY, X, UNIQUE(X)); INSERT INTO data VALUES (1, 'a'), (3, 'b')",
        key(&["X"]),
        counts(0, 0, 1, 1),
    );
    check(
        "CREATE TABLE data(id, x); INSERT INTO data VALUES (1, 'a'), (2, 'b')",
        "CREATE TABLE data(id INTEGER PRIMARY KEY, x); INSERT INTO data VALUES (1, 'a'), (3, 'b')",
        Comparison::WholeRows,
        counts(1, 1, 0, 1),
    );
}

#[test]
fn a_column_that_is_missing_is_null() {
    let old = format!("{KEYED} INSERT INTO data VALUES ('a', 1), ('b', 2)");
    let new = "CREATE TABLE data(y, id TEXT PRIMARY KEY, x); INSERT INTO data(id, x, y) VALUES ('a', 1, NULL), ('b', 2, 'new')";
    check(&old, new, key(&["id"]), counts(0, 0, 1, 1));
    check(new, &old, key(&["id"]), counts(0, 0, 1, 1));
}

#[test]
fn columns_that_are_ignored_change_nothing() {
    let table = "CREATE TABLE data(id PRIMARY KEY, x, date_scraped); ";
    let old = format!("{table} INSERT INTO data VALUES (1, 'a', 'monday'), (2, 'b', 'monday')");
    let new = format!("{table} INSERT INTO data VALUES (1, 'a', 'tuesday'), (2, 'c', 'tuesday')");
    check_ignoring(&["Date_Scraped"], &old, &new, key(&["id"]), counts(0, 0, 1, 1));
    check_ignoring(
        &["id", "date_scraped"],
        &old,
        &new,
        Comparison::WholeRows,
        counts(1, 1, 0, 1),
    );
    check_ignoring(
        &["id", "x", "date_scraped"],
        &old,
        &new,
        Comparison::WholeRows,
        counts(0, 0, 0, 2),
    );
}

#[test]
fn values_are_the_same_where_sqlite_says_is() {
    let same = [
        "1, 1.0",
        "NULL, NULL",
        "x'00', x'00'",
        "'é', 'é'",
        "-0.0, 0",
        "9007199254740993, 9007199254740993",
    ];
    let other = [
        "1, '1'",
        "NULL, ''",
        "'a', x'61'",
        "'a', 'A'",
        "9007199254740993, 9007199254740992.0",
        "0, NULL",
    ];
    for (values, rows) in same
        .map(|values| (values, counts(0, 0, 0, 1)))
        .into_iter()
        .chain(other.map(|values| (values, counts(0, 0, 1, 0))))
    {
        let (one, two) = values.split_once(", ").unwrap();
        let with = |value| {
            format!("CREATE TABLE data(id INTEGER PRIMARY KEY, x); INSERT INTO data VALUES (1, {value})")
        };
        check(&with(one), &with(two), key(&["id"]), rows);
    }
}

#[test]
fn collations_of_the_schema_do_not_matter() {
    let table = "CREATE TABLE data(id TEXT COLLATE NOCASE PRIMARY KEY, x COLLATE NOCASE) WITHOUT ROWID; ";
    let old = format!("{table} INSERT INTO data VALUES ('a', 'x'), ('B', 'x'), ('c', 'x')");
    let new = format!("{table} INSERT INTO data VALUES ('A', 'x'), ('B', 'X'), ('c', 'x')");
    check(&old, &new, key(&["id"]), counts(1, 1, 1, 1));
}

#[test]
fn encodings_do_not_matter() {
    let rows = "CREATE TABLE data(id PRIMARY KEY, x); \
        INSERT INTO data VALUES ('\u{ff00}', 1), ('\u{1f600}', 2), ('z', 3), (x'7a', 4), (5, 5), (1.5, 6), ('e\u{301}', 7)";
    let wide = format!("PRAGMA encoding = 'UTF-16le'; {rows}");
    check(rows, &wide, key(&["id"]), counts(0, 0, 0, 7));
    check(
        &wide,
        &format!("PRAGMA encoding = 'UTF-16be'; {rows}"),
        key(&["id"]),
        counts(0, 0, 0, 7),
    );
}

#[test]
fn tables_come_and_go() {
    let old = Folder::with("CREATE TABLE gone(x); INSERT INTO gone VALUES (1), (2); CREATE TABLE Stays(x)");
    let new =
        Folder::with("CREATE TABLE here(x PRIMARY KEY); INSERT INTO here VALUES (1); CREATE TABLE stays(x)");
    let new = new.work("data.sqlite");
    let compared = compare(Some(&old.work("data.sqlite")), &new, &CompareOptions::default()).unwrap();
    let rows: Vec<(&str, RowCounts)> = compared
        .iter()
        .map(|(name, found)| (name.as_str(), found.rows))
        .collect();
    assert_eq!(
        rows,
        [
            ("gone", counts(0, 2, 0, 0)),
            ("here", counts(1, 0, 0, 0)),
            ("stays", counts(0, 0, 0, 0))
        ]
    );
    let first = compare(None, &new, &CompareOptions::default()).unwrap();
    assert_eq!(
        first["here"],
        Difference {
            by: key(&["x"]),
            rows: counts(1, 0, 0, 0)
        }
    );
    assert_eq!(rowid_counts(None, &new, TIME).unwrap(), counts(1, 0, 0, 0));
}

#[test]
fn keys_are_told_in_order_until_somebody_has_enough() {
    let old = Folder::with(&format!(
        "{KEYED} INSERT INTO data VALUES ('a', 1), ('c', 3), ('e', 5)"
    ));
    let new = Folder::with(&format!(
        "{KEYED} INSERT INTO data VALUES ('b', 2), ('c', 4), ('e', 5), ('f', 6)"
    ));
    let (old, new) = (old.work("data.sqlite"), new.work("data.sqlite"));
    let told = |limit: usize| {
        let mut told = Vec::new();
        let tell = |row: ChangedRow<'_>| {
            told.push(format!("{} {:?} {:?}", row.table, row.change, row.key));
            told.len() < limit
        };
        changed_keys(Some(&old), &new, &CompareOptions::default(), tell).unwrap();
        told
    };
    let all = [
        "data Removed [(\"id\", Text(\"a\"))]",
        "data Added [(\"id\", Text(\"b\"))]",
        "data Changed [(\"id\", Text(\"c\"))]",
        "data Added [(\"id\", Text(\"f\"))]",
    ];
    assert_eq!(told(9), all);
    assert_eq!(told(2), all[..2]);
}

#[test]
fn morph_compares_values_by_their_place() {
    let old = Folder::with("CREATE TABLE data(x, y); INSERT INTO data VALUES (1, 2), (3, 4), (5, 6)");
    let same = Folder::with("CREATE TABLE data(x, y); INSERT INTO data VALUES (1, 2), (3, 5)");
    let wider = Folder::with("CREATE TABLE data(x, y, z); INSERT INTO data VALUES (1, 2, NULL)");
    let old = old.work("data.sqlite");
    assert_eq!(
        rowid_counts(Some(&old), &same.work("data.sqlite"), TIME).unwrap(),
        counts(0, 1, 1, 1)
    );
    assert_eq!(
        rowid_counts(Some(&old), &wider.work("data.sqlite"), TIME).unwrap(),
        counts(0, 2, 1, 0)
    );
}

#[test]
fn comparing_has_an_end() {
    let sql = "CREATE TABLE data(x); \
        INSERT INTO data WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 50000) SELECT x FROM n";
    let folder = Folder::with(sql);
    let path = folder.work("data.sqlite");
    let options = CompareOptions {
        time: Duration::ZERO,
        ..CompareOptions::default()
    };
    let error = compare(Some(&path), &path, &options).unwrap_err();
    assert!(matches!(error, QueryError::TimedOut(0)), "{error}");
}

/// A value as SQL writes it; few of them, so that they meet.
fn value() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "NULL", "0", "1", "1.5", "-3", "'a'", "'b'", "'1'", "x'61'", "x''", "9e18", "'é'",
    ])
}

fn rows() -> impl Strategy<Value = Vec<(&'static str, &'static str)>> {
    prop::collection::vec((value(), value()), 0..12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn counts_are_those_of_maps(old in rows(), new in rows(), is_keyed: bool) {
        let table = if is_keyed { "CREATE TABLE data(k NOT NULL, v, PRIMARY KEY(k));" } else { "CREATE TABLE data(k, v);" };
        let database = |rows: &[(&str, &str)]| {
            let rows: String = rows.iter().map(|(k, v)| format!("INSERT OR REPLACE INTO data VALUES ({k}, {v});")).collect();
            let rows = if is_keyed { rows.replace("(NULL,", "('null',") } else { rows };
            Folder::with(&format!("{table} {rows}"))
        };
        let (one, two) = (database(&old), database(&new));
        let (one, two) = (one.work("data.sqlite"), two.work("data.sqlite"));
        let compared = compare(Some(&one), &two, &CompareOptions::default()).unwrap();
        let expected = if is_keyed { by_key(&old, &new) } else { by_row(&old, &new) };
        prop_assert_eq!(compared["data"].rows, expected);
    }
}

fn by_key(old: &[(&str, &str)], new: &[(&str, &str)]) -> RowCounts {
    let (old, new): (BTreeMap<_, _>, BTreeMap<_, _>) =
        (old.iter().copied().collect(), new.iter().copied().collect());
    let both = || old.iter().filter_map(|(k, v)| new.get(k).map(|other| v == other));
    let (same, other) = (
        both().filter(|same| *same).count() as u64,
        both().filter(|same| !same).count() as u64,
    );
    counts(
        new.len() as u64 - same - other,
        old.len() as u64 - same - other,
        other,
        same,
    )
}

fn by_row(old: &[(&str, &str)], new: &[(&str, &str)]) -> RowCounts {
    let mut left = BTreeMap::<_, u64>::new();
    for row in old {
        *left.entry(row).or_default() += 1;
    }
    let mut same = 0;
    for row in new {
        if let Some(count) = left.get_mut(row).filter(|count| **count > 0) {
            *count -= 1;
            same += 1;
        }
    }
    counts(new.len() as u64 - same, old.len() as u64 - same, 0, same)
}
