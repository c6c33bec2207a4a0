//! How long it takes to find what changed between two databases of a million rows, beside morph's way: both by rowid in slices of a thousand, whole rows
//! side by side. `cargo run --release -p dataset --example compare [ROWS] [ROUNDS]`
#![expect(clippy::print_stdout, reason = "a measurement is read by people")]

use std::collections::HashMap;
use std::error::Error;
use std::path::Path;
use std::time::Instant;

use dataset::{CompareOptions, RowCounts, compare, rowid_counts};
use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default| arguments.next().map_or(Ok(default), |text| text.parse());
    let (rows, rounds): (u64, u64) = (number(1_000_000)?, number(5)?);
    let folder = tempfile::tempdir()?;
    println!(
        "| {rows} rows of 6 columns, 1 % changed | by key, s | by rowid, s | morph's way, s | by key is faster by |\n|---|---:|---:|---:|---:|"
    );
    for (name, table) in [
        ("INTEGER PRIMARY KEY", "id INTEGER PRIMARY KEY"),
        ("TEXT PRIMARY KEY", "id TEXT PRIMARY KEY"),
        ("no key", "id TEXT"),
    ] {
        let (old, new) = (folder.path().join("old"), folder.path().join("new"));
        make(&old, table, rows, 0)?;
        make(&new, table, rows, 100)?;
        measure(name, &old, &new, rounds)?;
        std::fs::remove_file(old)?;
        std::fs::remove_file(new)?;
    }
    Ok(())
}

/// A table in which every `changed`-th row has another value.
fn make(path: &Path, id: &str, rows: u64, changed: u64) -> Result<()> {
    let connection = Connection::open(path)?;
    connection.execute_batch("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF")?;
    connection.execute(
        &format!("CREATE TABLE data({id}, name, street, town, status, fee)"),
        [],
    )?;
    let sql = "INSERT INTO data WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT ?1) \
        SELECT iif(?3, x, (x * 2654435761) % 4294967296), 'Application number ' || x, (x % 200) || ' Example Street', 'Town ' || (x % 500), \
        iif(?2 AND x % ?2 = 0, 'granted', 'pending'), x * 0.25 FROM n";
    let (rows, changed) = (rows.cast_signed(), changed.cast_signed());
    connection.execute(sql, (rows, changed, id.contains("INTEGER")))?;
    Ok(())
}

fn measure(name: &str, old: &Path, new: &Path, rounds: u64) -> Result<()> {
    let options = CompareOptions::default();
    let mut times: [Vec<f64>; 3] = Default::default();
    for _ in 0..rounds {
        let start = Instant::now();
        let by_key = compare(Some(old), new, &options)?["data"].rows;
        let keyed = start.elapsed();
        let by_rowid = rowid_counts(Some(old), new, options.time)?;
        let rowids = start.elapsed();
        let by_morph = morph(old, new)?;
        let all = start.elapsed();
        assert_eq!(
            (by_rowid, by_key.added + by_key.changed),
            (by_morph, by_rowid.added + by_rowid.changed)
        );
        for (times, time) in times.iter_mut().zip([keyed, rowids - keyed, all - rowids]) {
            times.push(time.as_secs_f64());
        }
    }
    let [by_key, by_rowid, by_morph] = times.map(median);
    println!(
        "| {name} | {by_key:.2} | {by_rowid:.2} | {by_morph:.2} | {:.1} x |",
        by_morph / by_key
    );
    Ok(())
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// What morph's `SqliteDiff` does to one table, without the cost of Ruby's objects.
fn morph(old: &Path, new: &Path) -> Result<RowCounts> {
    let open = |path| Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY);
    let (old, new) = (open(old)?, open(new)?);
    let span = |connection: &Connection| {
        connection.query_row("SELECT min(rowid), max(rowid) FROM data", [], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))
        })
    };
    let ((a, b), (c, d)) = (span(&old)?, span(&new)?);
    let mut counts = RowCounts::default();
    let mut from = a.min(c);
    while from <= b.max(d) {
        slice(&old, &new, from, &mut counts)?;
        from += 1000;
    }
    Ok(counts)
}

fn slice(old: &Connection, new: &Connection, from: i64, counts: &mut RowCounts) -> Result<()> {
    let ids = |connection: &Connection| -> rusqlite::Result<Vec<i64>> {
        let sql = format!(
            "SELECT rowid FROM data WHERE rowid BETWEEN {from} AND {}",
            from + 999
        );
        let mut statement = connection.prepare(&sql)?;
        statement.query_map([], |row| row.get(0))?.collect()
    };
    let (left, right) = (ids(old)?, ids(new)?);
    let both: Vec<String> = left
        .iter()
        .filter(|id| right.binary_search(id).is_ok())
        .map(i64::to_string)
        .collect();
    counts.added += (right.len() - both.len()) as u64;
    counts.removed += (left.len() - both.len()) as u64;
    let rows = |connection: &Connection| -> rusqlite::Result<HashMap<i64, Vec<Value>>> {
        let sql = format!("SELECT rowid, * FROM data WHERE rowid IN ({})", both.join(","));
        let mut statement = connection.prepare(&sql)?;
        let width = statement.column_count();
        let rows = statement.query_map([], |row| {
            let values: rusqlite::Result<Vec<Value>> = (1..width).map(|at| row.get(at)).collect();
            Ok((row.get(0)?, values?))
        })?;
        rows.collect()
    };
    let (left, right) = (rows(old)?, rows(new)?);
    let same = left.iter().filter(|(id, row)| right.get(id) == Some(row)).count() as u64;
    counts.unchanged += same;
    counts.changed += both.len() as u64 - same;
    Ok(())
}
