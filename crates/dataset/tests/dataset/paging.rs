use dataset::{QueryError, Reader, ReaderLimits, Value};

use crate::folder::Folder;

/// All rows of `data`, page by page; checks that every page but the last is full.
fn paged(sql: &str, limit: u64) -> Vec<Vec<Value<'static>>> {
    let folder = Folder::with(sql);
    let reader = Reader::open(&folder.work("data.sqlite"), ReaderLimits::default()).unwrap();
    let (mut rows, mut after) = (Vec::new(), None);
    loop {
        let page = reader.page("data", after.as_deref(), limit).unwrap();
        assert!(page.next.is_none() || page.rows.len() as u64 == limit);
        assert!(page.rows.iter().all(|row| row.len() == page.columns.len()));
        rows.extend(page.rows);
        match page.next {
            Some(next) => after = Some(next),
            None => return rows,
        }
    }
}

const NUMBERS: &str = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 20)";

#[test]
fn pages_follow_each_other_without_gap_or_overlap() {
    for limit in [1, 3, 19, 20, 21] {
        let rows = paged(
            &format!("CREATE TABLE data(x); INSERT INTO data {NUMBERS} SELECT x FROM n"),
            limit,
        );
        let expected: Vec<_> = (1..=20).map(|x| vec![Value::Integer(x)]).collect();
        assert_eq!(rows, expected);
    }
}

#[test]
fn keys_of_every_type_are_places() {
    let rows = paged(
        "CREATE TABLE data(a, b, PRIMARY KEY(a, b)) WITHOUT ROWID; \
        INSERT INTO data VALUES (1, 'x'), (1, 'y'), (0.1, 1), (-9223372036854775808, 1), ('é\"', x'00ff'), (x'', 9)",
        1,
    );
    assert_eq!(rows.len(), 6);
    assert_eq!(rows[0][0], Value::Integer(i64::MIN));
    assert_eq!(rows[5][0], Value::Blob(Vec::new().into()));
}

#[test]
fn columns_may_take_the_names_of_the_rowid() {
    let rows = paged(
        "CREATE TABLE data(rowid, _rowid_, \"a \"\"b\"); INSERT INTO data VALUES (9, 9, 1), (9, 9, 2), (1, 1, 3)",
        2,
    );
    assert_eq!(rows.len(), 3);
    assert_eq!(rows[2][2], Value::Integer(3));
}

#[test]
fn what_is_no_table_and_no_place_is_said() {
    let folder = Folder::with("CREATE TABLE data(x); CREATE VIEW seen AS SELECT 1");
    let reader = Reader::open(&folder.work("data.sqlite"), ReaderLimits::default()).unwrap();
    for table in ["nothing", "seen", "sqlite_master", "data\" --", ""] {
        assert!(
            matches!(reader.page(table, None, 10), Err(QueryError::NotFound(_))),
            "{table}"
        );
    }
    for place in ["", "x", "!", "W10", "WzEsMl0", "W3t9XQ"] {
        assert!(
            matches!(reader.page("data", Some(place), 10), Err(QueryError::NotFound(_))),
            "{place}"
        );
    }
    assert_eq!(reader.page("DATA", None, u64::MAX).unwrap().rows.len(), 0);
}
