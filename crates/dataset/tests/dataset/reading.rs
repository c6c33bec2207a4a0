use std::time::Duration;

use dataset::{Column, QueryError, Question, Reader, ReaderLimits, Value};

use crate::folder::Folder;

fn reader(sql: &str, limits: ReaderLimits) -> (Folder, Reader) {
    let folder = Folder::with(sql);
    let reader = Reader::open(&folder.work("data.sqlite"), limits).unwrap();
    (folder, reader)
}

fn all(reader: &Reader, sql: &str) -> Result<Vec<Vec<Value<'static>>>, QueryError> {
    reader.ask(&Question::new(sql), |rows| {
        let mut all = Vec::new();
        while let Some(row) = rows.next_row()? {
            all.push(row.values().map(Value::into_owned).collect());
        }
        Ok(all)
    })
}

/// Checks what SQLite says to a statement.
#[track_caller]
fn refuses(reader: &Reader, sql: &str, says: &str) {
    let error = all(reader, sql).unwrap_err();
    assert_eq!(error.to_string(), says, "{sql}");
}

const FORMS: &str = "CREATE TABLE forms(name TEXT, pages INTEGER, since DATETIME, seal BLOB); \
    INSERT INTO forms VALUES ('DS-82', 6, '2020-01-02', x'ff00'), ('DS-11', 1.5, NULL, NULL); \
    CREATE TABLE data(a, b, PRIMARY KEY(b, a)) WITHOUT ROWID; CREATE VIEW seen AS SELECT * FROM forms";

#[test]
fn values_come_as_they_are() {
    let (_folder, reader) = reader(FORMS, ReaderLimits::default());
    let rows = all(&reader, "SELECT * FROM forms").unwrap();
    assert_eq!(
        rows[0],
        [
            Value::Text("DS-82".into()),
            Value::Integer(6),
            Value::Text("2020-01-02".into()),
            Value::Blob(vec![0xff, 0].into())
        ]
    );
    assert_eq!(rows[1][1..], [Value::Real(1.5), Value::Null, Value::Null]);
    let broken = all(&reader, "SELECT CAST(x'61ff62c3a9' AS TEXT)").unwrap();
    assert_eq!(broken, [[Value::Text("ab".into())]]);
}

#[test]
fn columns_say_what_they_were_declared_as() {
    let (_folder, reader) = reader(FORMS, ReaderLimits::default());
    let question = Question::new("SELECT since, pages + 1 AS more FROM forms");
    let columns = reader.ask(&question, |rows| Ok(rows.columns().to_vec())).unwrap();
    let column = |name: &str, declared: &str| Column {
        name: name.into(),
        declared: declared.into(),
    };
    assert_eq!(columns, [column("since", "DATETIME"), column("more", "")]);
}

#[test]
fn parameters_are_bound_by_name() {
    let (_folder, reader) = reader(FORMS, ReaderLimits::default());
    let question = Question {
        sql: "SELECT :a, @b, $c, :a".into(),
        parameters: vec![
            ("a".into(), Value::Integer(1)),
            ("b".into(), Value::Text("x".into())),
            ("unused".into(), Value::Null),
        ],
    };
    let values = reader
        .ask(&question, |rows| {
            let row = rows.next_row()?;
            Ok(row.map(|row| row.values().map(Value::into_owned).collect::<Vec<_>>()))
        })
        .unwrap();
    let one = Value::Integer(1);
    assert_eq!(
        values,
        Some(vec![one.clone(), Value::Text("x".into()), Value::Null, one])
    );
}

#[test]
fn tables_are_listed_with_data_first() {
    let (_folder, reader) = reader(FORMS, ReaderLimits::default());
    let tables = reader.tables().unwrap();
    let names: Vec<&str> = tables.iter().map(|table| table.name.as_str()).collect();
    assert_eq!(names, ["data", "forms"]);
    assert_eq!(tables[0].key, ["b", "a"]);
    assert_eq!((tables[1].columns.len(), tables[1].rows), (4, 2));
    assert!(tables[1].key.is_empty());
}

#[test]
fn mistakes_are_told_in_sqlites_words() {
    let (_folder, reader) = reader(FORMS, ReaderLimits::default());
    refuses(&reader, "SELECT * FROM missing", "no such table: missing");
    refuses(&reader, "FOO", "near \"FOO\": syntax error");
    refuses(&reader, "SELECT x FROM forms", "no such column: x");
    for empty in ["", " \n", "-- nothing", ";"] {
        refuses(&reader, empty, "No query specified");
    }
}

#[test]
fn what_follows_the_first_statement_is_not_looked_at() {
    let (_folder, reader) = reader(FORMS, ReaderLimits::default());
    let rows = all(&reader, "SELECT 1; DROP TABLE forms; nonsense").unwrap();
    assert_eq!(rows, [[Value::Integer(1)]]);
    assert_eq!(all(&reader, "SELECT 1 FROM forms").unwrap().len(), 2);
}

#[test]
fn whatever_reads_is_answered() {
    let (_folder, reader) = reader(FORMS, ReaderLimits::default());
    for sql in [
        "SELECT * FROM seen",
        "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 9) SELECT * FROM n",
        "VALUES (1), (2)",
        "EXPLAIN QUERY PLAN SELECT * FROM forms ORDER BY name",
        "PRAGMA table_info(forms)",
        "SELECT * FROM pragma_table_info('forms')",
        "SELECT * FROM sqlite_master",
        "SELECT name, row_number() OVER (ORDER BY name) FROM forms",
        "SELECT * FROM json_each('[1, 2]')",
        "SELECT \"DS-82\" FROM forms",
        "PRAGMA user_version",
        "SELECT sum(pages), group_concat(name) FROM forms GROUP BY since",
    ] {
        assert!(!all(&reader, sql).unwrap().is_empty(), "{sql}");
    }
}

#[test]
fn whatever_does_more_is_refused() {
    let (folder, reader) = reader(FORMS, ReaderLimits::default());
    let elsewhere = folder.root().join("elsewhere.sqlite");
    let attach = format!("ATTACH '{}' AS other", elsewhere.display());
    for sql in [
        attach.as_str(),
        "DETACH main",
        "INSERT INTO forms(name) VALUES ('x')",
        "UPDATE forms SET name = 'x'",
        "DELETE FROM forms",
        "CREATE TABLE x(y)",
        "CREATE TEMP TABLE x(y)",
        "CREATE VIRTUAL TABLE x USING fts5(y)",
        "DROP TABLE forms",
        "ALTER TABLE forms RENAME TO x",
        "BEGIN",
        "SAVEPOINT x",
        "PRAGMA journal_mode = WAL",
        "PRAGMA user_version = 1",
        "PRAGMA writable_schema = ON",
        "PRAGMA query_only = OFF",
        "PRAGMA cache_size = 1000000",
        "PRAGMA temp_store_directory = '/tmp'",
        "PRAGMA hard_heap_limit = 1",
        "PRAGMA database_list",
        "PRAGMA trusted_schema = ON",
        "SELECT load_extension('x')",
        "REINDEX",
        "ANALYZE",
    ] {
        let answer = all(&reader, sql).map_err(|error| error.to_string());
        assert!(
            matches!(&answer, Err(error) if error.contains("not authorized")),
            "{sql}: {answer:?}"
        );
    }
    let vacuum = all(&reader, "VACUUM INTO '/tmp/never'").unwrap_err();
    assert!(matches!(vacuum, QueryError::Sql(_)), "{vacuum}");
    assert!(!elsewhere.exists());
}

#[test]
fn endless_work_is_stopped() {
    let time = Duration::from_millis(200);
    let (_folder, reader) = reader(
        FORMS,
        ReaderLimits {
            time,
            ..ReaderLimits::default()
        },
    );
    let endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n)";
    for sql in [
        format!("{endless} SELECT count(*) FROM n"),
        format!("{endless} SELECT x FROM n ORDER BY x"),
        format!("{endless} SELECT group_concat(DISTINCT x % 1000) FROM n"),
        format!("{endless} SELECT count(*) FROM n a, n b, n c"),
        format!("{endless} SELECT sum(x) OVER (ORDER BY x) FROM n"),
    ] {
        let error = all(&reader, &sql).unwrap_err();
        assert!(matches!(error, QueryError::TimedOut(200)), "{sql}: {error}");
    }
    // And the next one has its own time.
    assert_eq!(all(&reader, "SELECT 1").unwrap().len(), 1);
}

#[test]
fn the_time_of_whoever_takes_the_rows_does_not_count() {
    let time = Duration::from_millis(100);
    let (_folder, reader) = reader(
        FORMS,
        ReaderLimits {
            time,
            ..ReaderLimits::default()
        },
    );
    let question = Question::new("SELECT * FROM forms");
    let seen = reader.ask(&question, |rows| {
        let mut seen = 0;
        while rows.next_row()?.is_some() {
            seen += 1;
            // Longer than the time for the question.
            std::thread::sleep(time);
        }
        Ok(seen)
    });
    assert_eq!(seen.unwrap(), 2);
}

#[test]
fn answers_end_where_the_limits_say() {
    let limits = ReaderLimits {
        max_rows: 3,
        max_bytes: 100,
        ..ReaderLimits::default()
    };
    let (_folder, reader) = reader(FORMS, limits);
    let check = |sql: &str, rows: usize, is_truncated: bool| {
        let found = reader.ask(&Question::new(sql), |rows| {
            let mut found = 0;
            while rows.next_row()?.is_some() {
                found += 1;
            }
            Ok((found, rows.is_truncated()))
        });
        assert_eq!(found.unwrap(), (rows, is_truncated), "{sql}");
    };
    check("VALUES (1), (2), (3)", 3, false);
    check("VALUES (1), (2), (3), (4)", 3, true);
    check("VALUES (zeroblob(50)), (zeroblob(50))", 2, false);
    check("VALUES (zeroblob(50)), (zeroblob(51))", 1, true);
}

#[test]
fn giants_are_refused() {
    let limits = ReaderLimits {
        max_value_bytes: 4 << 20,
        ..ReaderLimits::default()
    };
    let (_folder, reader) = reader(FORMS, limits);
    let too_big = "string or blob too big";
    refuses(&reader, "SELECT randomblob(1000000000)", too_big);
    refuses(&reader, "SELECT zeroblob(1000000000)", too_big);
    refuses(&reader, "SELECT printf('%1000000000d', 1)", too_big);
    refuses(
        &reader,
        "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 1000000) SELECT group_concat(x) FROM n",
        too_big,
    );
    // Each of them is small enough, all of them are not.
    let many = vec!["randomblob(4000000)"; 1000].join(", ");
    refuses(&reader, &format!("SELECT {many}"), too_big);
    assert_eq!(
        all(&reader, "SELECT length(randomblob(1000000))").unwrap(),
        [[Value::Integer(1_000_000)]]
    );
}

#[test]
fn deep_and_wide_statements_are_refused() {
    let (_folder, reader) = reader(FORMS, ReaderLimits::default());
    let deep = format!("SELECT {}1{}", "(".repeat(10_000), ")".repeat(10_000));
    assert!(matches!(all(&reader, &deep), Err(QueryError::Sql(_))));
    let long = format!("SELECT 1{}", " + 1".repeat(10_000));
    assert!(matches!(all(&reader, &long), Err(QueryError::Sql(_))));
    let compound = vec!["SELECT 1"; 1000].join(" UNION ");
    refuses(&reader, &compound, "too many terms in compound SELECT");
}

#[test]
fn what_is_no_database_cannot_be_opened() {
    let folder = Folder::new();
    let path = folder.work("what?is#this%20.sqlite");
    let open = || Reader::open(&path, ReaderLimits::default()).map(|_| ());
    assert!(matches!(open(), Err(QueryError::Unreadable(_))));
    std::fs::write(&path, "no database".repeat(1000)).unwrap();
    assert!(matches!(open(), Err(QueryError::Unreadable(why)) if why == "file is not a database"));
    std::fs::write(&path, "").unwrap();
    assert!(open().is_ok());
}

#[test]
fn one_call_of_a_function_does_not_last() {
    let (_folder, reader) = reader(FORMS, ReaderLimits::default());
    let long = "hex(zeroblob(400000))";
    for call in [
        format!("trim({long}, {long} || '1')"),
        format!("instr({long}, {long} || '1')"),
        format!("replace({long}, {long} || '1', '')"),
    ] {
        let said = "these texts are too long for one call; ask for shorter ones";
        refuses(&reader, &format!("SELECT {call}"), said);
    }
}

#[test]
fn functions_with_limits_do_what_sqlite_does() {
    let (_folder, reader) = reader(FORMS, ReaderLimits::default());
    let plain = rusqlite::Connection::open_in_memory().unwrap();
    for call in [
        "trim('xxaxx', 'x')",
        "ltrim(' é ')",
        "rtrim(1.50, 0)",
        "instr('é1', '1')",
        "instr(x'c3a931', x'31')",
        "instr('a', NULL)",
        "replace(1.5, '.', ',')",
        "replace('aXbX', 'X', '')",
        "replace('a', '', 'b')",
        "json_patch('{\"a\":1}', '{\"b\":2}')",
        "typeof(replace(5, '', ''))",
        "replace(x'6161', 'a', 'b')",
    ] {
        let sql = format!("SELECT {call}");
        let expected: rusqlite::types::Value = plain.query_row(&sql, [], |row| row.get(0)).unwrap();
        let expected = Value::from(rusqlite::types::ValueRef::from(&expected)).into_owned();
        assert_eq!(all(&reader, &sql).unwrap(), [[expected]], "{call}");
    }
}
