//! What a session and its tables must be like.

use tokio_postgres::Client;

use super::failure::Failure;
use crate::store::StoreError;

/// The version of the tables.
const FORMAT: i32 = 1;

/// The oldest PostgreSQL that notices within a statement that the other side has gone.
const OLDEST_VERSION: i32 = 140_000;

/// Chosen once at random: two servers that start at once create the tables one after the other.
const CREATION_LOCK: i64 = 0x5061_636b_6167_6573;

/// Sets the session up and refuses a server that does not keep what it confirms.
///
/// The limits are for the case that this process is stopped or cut off within a transaction: then the locks go, so that others can
/// commit. What is stronger than `on` in `synchronous_commit` is left as it is.
pub(super) async fn settle(client: &Client, schema: &str) -> Result<(), Failure> {
    let row = client
        .query_one(
            "SELECT current_setting('fsync'), current_setting('server_version_num')::int",
            &[],
        )
        .await?;
    if row.get::<_, &str>(0) != "on" {
        return Err(unsuited(
            "postgres has fsync=off and may lose what it confirmed; set fsync=on",
        ));
    }
    if row.get::<_, i32>(1) < OLDEST_VERSION {
        return Err(unsuited("postgres is older than version 14; use a newer one"));
    }
    let settings = format!(
        "SET search_path TO \"{schema}\";
         SET statement_timeout = '10min';
         SET lock_timeout = '5s';
         SET idle_in_transaction_session_timeout = '10s';
         SET client_connection_check_interval = '1s';
         SELECT set_config('synchronous_commit', 'on', false)
         WHERE current_setting('synchronous_commit') IN ('off', 'local', 'remote_write')"
    );
    Ok(client.batch_execute(&settings).await?)
}

/// Creates the tables when they are not there, and looks at their version.
pub(super) async fn create(client: &mut Client, schema: &str) -> Result<(), Failure> {
    let found = client
        .query_one("SELECT to_regclass('state') IS NOT NULL", &[])
        .await?;
    if !found.get::<_, bool>(0) {
        create_tables(client, schema).await?;
    }
    match client.query_one("SELECT format FROM state", &[]).await?.get(0) {
        FORMAT => Ok(()),
        format => Err(unsuited(format!(
            "the tables have format {format}, this program knows {FORMAT}; use the program that wrote them, or another schema"
        ))),
    }
}

async fn create_tables(client: &mut Client, schema: &str) -> Result<(), Failure> {
    let transaction = client.transaction().await?;
    transaction
        .execute("SELECT pg_advisory_xact_lock($1)", &[&CREATION_LOCK])
        .await?;
    transaction.batch_execute(&tables(schema)).await?;
    Ok(transaction.commit().await?)
}

/// Names are ASCII and compared byte by byte, so no change of the system's collations can damage an index.
fn tables(schema: &str) -> String {
    format!(
        "CREATE SCHEMA IF NOT EXISTS \"{schema}\";
         CREATE TABLE IF NOT EXISTS packages (
             id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
             name text COLLATE \"C\" NOT NULL UNIQUE,
             revision bigint NOT NULL
         );
         CREATE TABLE IF NOT EXISTS dependencies (
             package_id bigint NOT NULL REFERENCES packages ON DELETE CASCADE,
             dependency_id bigint NOT NULL REFERENCES packages ON DELETE RESTRICT,
             PRIMARY KEY (package_id, dependency_id)
         );
         CREATE INDEX IF NOT EXISTS dependents ON dependencies (dependency_id);
         CREATE TABLE IF NOT EXISTS changes (
             revision bigint PRIMARY KEY,
             origin bigint NOT NULL,
             lines text NOT NULL
         );
         CREATE TABLE IF NOT EXISTS state (
             is_it boolean PRIMARY KEY DEFAULT true CHECK (is_it),
             revision bigint NOT NULL,
             format integer NOT NULL
         );
         INSERT INTO state (revision, format) VALUES (0, {FORMAT}) ON CONFLICT DO NOTHING"
    )
}

fn unsuited(text: impl Into<String>) -> Failure {
    StoreError::Unsuited(text.into()).into()
}
