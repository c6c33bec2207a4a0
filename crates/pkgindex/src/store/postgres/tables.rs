//! The SQL of commits, loading and clearing up.

use std::collections::HashMap;

use bytes::Bytes;
use tokio_postgres::{IsolationLevel, Row, Transaction};

use super::failure::Failure;
use super::session::{Session, Statements};
use crate::change::{Change, Revision};
use crate::command::{Verb, write_line};
use crate::store::service::{ANSWER_BYTES, LastWords, set_back};
use crate::store::{Commit, Loaded, StoreError};

/// How many rows are loaded at a time.
const PAGE: i64 = 50_000;

/// How many old changes are deleted at a time.
const PIECE: u64 = 1000;

pub(super) fn signed(number: u64) -> i64 {
    number.cast_signed()
}

/// Whether `base` is the newest revision.
pub(super) async fn confirm(session: &Session, base: Revision) -> Result<Commit, Failure> {
    let row = session
        .client
        .query_one(&session.statements.revision, &[])
        .await?;
    judge(&row, base)
}

fn judge(row: &Row, base: Revision) -> Result<Commit, Failure> {
    let newest = row.get::<_, i64>(0).cast_unsigned();
    if newest < base.0 {
        return Err(set_back("postgres", newest, base).into());
    }
    Ok(match newest == base.0 {
        true => Commit::Done,
        false => Commit::Conflict,
    })
}

/// One transaction. The row of `state` is its lock: who changes it second finds that the revision is another one.
pub(super) async fn commit(
    session: &mut Session,
    base: Revision,
    changes: &[Change],
    words: &LastWords<'_>,
) -> Result<Commit, Failure> {
    let Session {
        client, statements, ..
    } = session;
    let transaction = client
        .build_transaction()
        .isolation_level(IsolationLevel::ReadCommitted)
        .read_only(false)
        .start()
        .await?;
    let newest = base.0 + changes.len() as u64;
    let claimed = transaction
        .execute(&statements.claim, &[&signed(newest), &signed(base.0)])
        .await?;
    if claimed == 0 {
        let row = transaction.query_one(&statements.revision, &[]).await?;
        transaction.rollback().await?;
        return judge(&row, base);
    }
    keep(&transaction, statements, changes).await?;
    put(&transaction, statements, words, newest).await?;
    transaction.commit().await?;
    Ok(Commit::Done)
}

async fn keep(
    transaction: &Transaction<'_>,
    statements: &Statements,
    changes: &[Change],
) -> Result<(), Failure> {
    let revisions: Vec<_> = changes.iter().map(|change| signed(change.revision.0)).collect();
    let origins: Vec<_> = changes.iter().map(|change| signed(change.origin)).collect();
    let lines: Result<Vec<_>, _> = changes
        .iter()
        .map(|change| str::from_utf8(&change.lines))
        .collect();
    let lines = lines.map_err(|error| StoreError::Damaged(format!("a change is no text: {error}")))?;
    transaction
        .execute(&statements.keep, &[&revisions, &origins, &lines])
        .await?;
    Ok(())
}

/// Brings packages and dependencies to what `words` say. All packages come before the edges and go after them, so that cycles do not
/// matter.
pub(super) async fn put(
    transaction: &Transaction<'_>,
    statements: &Statements,
    words: &LastWords<'_>,
    revision: u64,
) -> Result<(), Failure> {
    let (mut packages, mut from, mut to) = (Vec::new(), Vec::new(), Vec::new());
    for (package, dependencies) in words.indexed() {
        from.extend(dependencies.iter().map(|_| package));
        to.extend(dependencies);
        packages.push(package);
    }
    transaction
        .execute(&statements.forget_dependencies, &[&words.packages()])
        .await?;
    if !packages.is_empty() {
        transaction
            .execute(&statements.put_packages, &[&packages, &signed(revision)])
            .await?;
    }
    if !from.is_empty() {
        let put = transaction
            .execute(&statements.put_dependencies, &[&from, &to])
            .await?;
        if put != from.len() as u64 {
            return Err(StoreError::Damaged(format!(
                "{} dependencies are not in the table `packages`; run `check`",
                from.len() as u64 - put
            ))
            .into());
        }
    }
    let removed = words.removed();
    if !removed.is_empty() {
        transaction
            .execute(&statements.remove_packages, &[&removed])
            .await?;
    }
    Ok(())
}

/// Changes behind `after`, up to [`ANSWER_BYTES`].
pub(super) async fn changes(session: &Session, after: Revision) -> Result<Vec<Change>, Failure> {
    let rows = session
        .client
        .query(
            &session.statements.changes,
            &[&signed(after.0), &(ANSWER_BYTES as i64)],
        )
        .await?;
    Ok(rows.iter().map(change).collect())
}

fn change(row: &Row) -> Change {
    Change {
        revision: Revision(row.get::<_, i64>(0).cast_unsigned()),
        origin: row.get::<_, i64>(1).cast_unsigned(),
        lines: Bytes::copy_from_slice(row.get::<_, &str>(2).as_bytes()),
    }
}

/// Everything as it is at one moment. Tables are read as they are and joined here: what the database would choose for a join
/// depends on statistics, which it does not have right after a large commit.
pub(super) async fn load(session: &mut Session) -> Result<Loaded, Failure> {
    let transaction = session
        .client
        .build_transaction()
        .isolation_level(IsolationLevel::RepeatableRead)
        .read_only(true)
        .start()
        .await?;
    let row = transaction.query_one(&session.statements.revision, &[]).await?;
    let names = load_names(&transaction).await?;
    let dependencies = load_dependencies(&transaction).await?;
    transaction.rollback().await?;
    let mut lines = Vec::new();
    for (id, name) in &names {
        let list = dependencies.get(id).map(Vec::as_slice).unwrap_or_default();
        let list = list.iter().filter_map(|dependency| names.get(dependency));
        write_line(&mut lines, Verb::Index, name, list.map(|name| &**name));
    }
    Ok(Loaded {
        revision: Revision(row.get::<_, i64>(0).cast_unsigned()),
        lines: lines.into(),
    })
}

async fn load_names(transaction: &Transaction<'_>) -> Result<HashMap<i64, Box<str>>, Failure> {
    let mut names = HashMap::new();
    let mut last = 0_i64;
    loop {
        let page = "SELECT id, name FROM packages WHERE id > $1 ORDER BY id LIMIT $2";
        let rows = transaction.query(page, &[&last, &PAGE]).await?;
        let Some(end) = rows.last() else { return Ok(names) };
        last = end.get(0);
        names.extend(rows.iter().map(|row| (row.get(0), row.get::<_, &str>(1).into())));
    }
}

/// The ids of the dependencies of each package that has some.
async fn load_dependencies(transaction: &Transaction<'_>) -> Result<HashMap<i64, Vec<i64>>, Failure> {
    let mut lists: HashMap<i64, Vec<i64>> = HashMap::new();
    let mut last = (0_i64, 0_i64);
    loop {
        let page =
            "SELECT package_id, dependency_id FROM dependencies WHERE (package_id, dependency_id) > ($1, $2)
                    ORDER BY package_id, dependency_id LIMIT $3";
        let rows = transaction.query(page, &[&last.0, &last.1, &PAGE]).await?;
        let Some(end) = rows.last() else { return Ok(lists) };
        last = (end.get(0), end.get(1));
        for row in &rows {
            lists.entry(row.get(0)).or_default().push(row.get(1));
        }
    }
}

/// Deletes some of the changes up to `revision`. Returns whether there are more.
pub(super) async fn prune(session: &Session, revision: Revision) -> Result<bool, Failure> {
    let deleted = session
        .client
        .execute(
            "DELETE FROM changes WHERE revision IN
                 (SELECT revision FROM changes WHERE revision <= $1 ORDER BY revision LIMIT $2)",
            &[&signed(revision.0), &signed(PIECE)],
        )
        .await?;
    Ok(deleted == PIECE)
}
