//! What only PostgreSQL can be asked.

use std::io::Write;
use std::net::TcpListener;
use std::process::{Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use pkgindex::Revision;
use pkgindex::store::{PostgresOptions, PostgresStore, Store, StoreError};
use pkgindex::testkit::stores::{Backend, Broken, with_faults};
use tests::{Bench, Need, Postgres, wait};
use tokio::runtime::{Builder, Runtime};

use crate::guards;
use crate::started::Started;

/// Tells a process to open this URL and to say how it went.
const OPEN: &str = "PKGINDEX_TEST_OPEN";

/// How long a busy machine may need.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn start() -> Result<Postgres> {
    Postgres::start(&[])
}

pub(crate) fn backend(server: &Started<Postgres>) -> Backend {
    let server = server.clone();
    backend_with(move || Ok(server.get()?.url()))
}

fn backend_with(url: impl Fn() -> Result<String> + Send + Sync + 'static) -> Backend {
    Backend {
        name: "postgres",
        keeps: true,
        shared: true,
        open: |url| Ok(Box::new(open(url)?)),
        open_forgetful: Some(|url| {
            let options = PostgresOptions {
                kept_changes: 50,
                ..PostgresOptions::default()
            };
            Ok(Box::new(PostgresStore::open(url, options)?))
        }),
        fresh: Box::new(move || Ok(fresh(&url().map_err(|error| Broken(format!("{error:#}")))?))),
    }
}

fn open(url: &str) -> Result<PostgresStore, StoreError> {
    PostgresStore::open(url, PostgresOptions::default())
}

/// With a schema of its own.
fn fresh(url: &str) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("{url}?schema=s{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

pub(crate) fn add(bench: &mut Bench, server: &Started<Postgres>) {
    let mut test = |name: &str, run: fn(&Postgres) -> Result<()>| {
        let server = server.clone();
        bench.test(format!("postgres: {name}"), &[Need::Postgres], move || {
            run(&*server.get()?)
        });
    };
    test(
        "tables are created once by servers that start at once",
        created_once,
    );
    test("a package that others need cannot be deleted", cannot_be_deleted);
    test(
        "what was changed behind its back is found and mended",
        damage_is_mended,
    );
    test("synchronous_commit=off does not stay", commits_are_synchronous);
    test("a password is never shown", password_is_never_shown);
    test("a database that was set back is noticed", set_back_is_noticed);
    test("a call that is held up ends", held_up_calls_end);
    let mut alone = |name: &str, run: fn() -> Result<()>| {
        bench.test(format!("postgres: {name}"), &[Need::Postgres], run);
    };
    alone("connections break under load", broken_connections);
    alone("the server crashes under load", crashing_server);
    alone("fsync=off is refused", fsync_off_is_refused);
    alone("the connection is encrypted when the url says so", encrypted);
}

/// Somebody who looks at the tables in SQL.
struct Sql {
    runtime: Runtime,
    client: tokio_postgres::Client,
}

impl Sql {
    fn connect(url: &str) -> Result<Self> {
        let (place, schema) = url.split_once("?schema=").unwrap_or((url, "public"));
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        let (client, connection) = runtime.block_on(tokio_postgres::connect(place, tokio_postgres::NoTls))?;
        runtime.spawn(connection);
        let sql = Self { runtime, client };
        sql.run(&format!("SET search_path TO {schema}"))?;
        Ok(sql)
    }

    fn run(&self, text: &str) -> Result<()> {
        Ok(self.runtime.block_on(self.client.batch_execute(text))?)
    }

    fn number(&self, text: &str) -> Result<i64> {
        Ok(self.runtime.block_on(self.client.query_one(text, &[]))?.get(0))
    }
}

fn created_once(server: &Postgres) -> Result<()> {
    for _ in 0..5 {
        let url = fresh(&server.url());
        std::thread::scope(|scope| {
            let servers = [(); 4].map(|()| scope.spawn(|| open(&url)?.load()));
            servers
                .into_iter()
                .try_for_each(|server| server.join().unwrap().map(|_| ()))
        })?;
    }
    Ok(())
}

fn cannot_be_deleted(server: &Postgres) -> Result<()> {
    let url = fresh(&server.url());
    let mut store = open(&url)?;
    guards::removal_is_refused(&mut store)?;
    guards::commit(&mut store, 2, "INDEX|c|b\n")?;
    let refused = Sql::connect(&url)?.run("DELETE FROM packages WHERE name = 'b'");
    ensure!(refused.is_err(), "a package was deleted that another needs");
    Ok(())
}

fn damage_is_mended(server: &Postgres) -> Result<()> {
    let url = fresh(&server.url());
    guards::damage_is_mended(&mut open(&url)?, || {
        Sql::connect(&url)?.run(
            "DELETE FROM dependencies;
             DELETE FROM packages WHERE name = 'c';
             INSERT INTO packages (name, revision) VALUES ('gone', 1)",
        )
    })
}

fn commits_are_synchronous(server: &Postgres) -> Result<()> {
    let url = fresh(&server.url());
    let sql = Sql::connect(&url)?;
    sql.run(
        "CREATE ROLE hasty SUPERUSER LOGIN PASSWORD 'secret'; ALTER ROLE hasty SET synchronous_commit = off",
    )?;
    let mut store = open(&url.replace("//postgres:", "//hasty:"))?;
    store.load()?;
    // The store's own session tells, by way of a trigger.
    sql.run(
        "CREATE TABLE seen (setting text);
         CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS
         $$ BEGIN INSERT INTO seen VALUES (current_setting('synchronous_commit')); RETURN NULL; END $$;
         CREATE TRIGGER see AFTER INSERT ON changes EXECUTE FUNCTION see()",
    )?;
    guards::commit(&mut store, 0, "INDEX|a|\n")?;
    ensure!(sql.number("SELECT count(*) FROM seen WHERE setting = 'on'")? == 1);
    Ok(())
}

fn password_is_never_shown(server: &Postgres) -> Result<()> {
    let right = server.url();
    for url in [
        right.replace("secret", "hunter2"),
        right.replace("secret", "hun?hunter2"),
        right.replace("secret", "hunter2") + "?unknown=1",
        right.replace("secret", "hunter2") + "?sslmode=maybe",
        right.replace("secret", "hunter2") + "?schema=Bad",
        right
            .replace("secret", "hunter2")
            .replace("127.0.0.1:", "127.0.0.1:x"),
        "postgres://user:hunter2@127.0.0.1:1/x".to_owned(),
        "hunter2".to_owned(),
        "host=127.0.0.1 port=1 password=hunter2 nonsense".to_owned(),
    ] {
        let error = open(&url).err().context("it was opened")?;
        let shown = format!("{error} {error:?}");
        ensure!(!shown.contains("hunter2"), "{shown}");
    }
    Ok(())
}

fn set_back_is_noticed(server: &Postgres) -> Result<()> {
    let url = fresh(&server.url());
    let mut store = open(&url)?;
    store.load()?;
    for base in 0..3 {
        guards::commit(&mut store, base, &format!("INDEX|p{base}|\n"))?;
    }
    Sql::connect(&url)?.run("DELETE FROM changes WHERE revision > 1; UPDATE state SET revision = 1")?;
    guards::must_be_lost(&mut store, 3)
}

fn held_up_calls_end(server: &Postgres) -> Result<()> {
    let options = PostgresOptions {
        timeout: Duration::from_secs(1),
        ..PostgresOptions::default()
    };
    let url = fresh(&server.url());
    // Creates the tables, which may take longer.
    drop(open(&url)?);
    let sql = Sql::connect(&url)?;
    let mut store = wait::until("a connection", PATIENCE, || {
        Ok(PostgresStore::open(&url, options).ok())
    })?;
    sql.run("BEGIN; LOCK TABLE state")?;
    let held_up = store.commit(Revision(0), &[]);
    ensure!(matches!(held_up, Err(StoreError::Unreachable(_))), "{held_up:?}");
    sql.run("ROLLBACK")?;
    wait::until("the next call", PATIENCE, || {
        Ok(store.commit(Revision(0), &[]).ok())
    })?;

    let silent = TcpListener::bind(("127.0.0.1", 0))?;
    let url = format!("postgres://user@127.0.0.1:{}/x", silent.local_addr()?.port());
    let opened = PostgresStore::open(&url, options).err();
    ensure!(matches!(opened, Some(StoreError::Unreachable(_))), "{opened:?}");
    Ok(())
}

fn broken_connections() -> Result<()> {
    let server = Postgres::start(&[])?;
    let url = server.url();
    let sql = Sql::connect(&url)?;
    let mut broken = 0;
    let backend = backend_with(move || Ok(url.clone()));
    with_faults(&backend, 20, || {
        let ended = sql.number(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'pkgindex'",
        );
        broken += ended.map_err(|error| Broken(format!("{error:#}")))?;
        Ok(())
    })?;
    ensure!(broken >= 20, "only {broken} connections were broken");
    Ok(())
}

fn crashing_server() -> Result<()> {
    let server = Arc::new(Mutex::new(Postgres::start(&[])?));
    let place = Arc::clone(&server);
    let backend = backend_with(move || Ok(place.lock().unwrap_or_else(PoisonError::into_inner).url()));
    Ok(with_faults(&backend, 3, || {
        let crashed = server.lock().unwrap_or_else(PoisonError::into_inner).crash();
        crashed.map_err(|error| Broken(format!("{error:#}")))
    })?)
}

fn fsync_off_is_refused() -> Result<()> {
    let server = Postgres::start(&["fsync=off"])?;
    let refused = open(&server.url()).err();
    let Some(StoreError::Unsuited(text)) = &refused else {
        anyhow::bail!("{refused:?}");
    };
    ensure!(text.contains("fsync"), "{text}");
    Ok(())
}

/// The server lets in only who encrypts. Its certificate is trusted by a process that is told to, and by no other.
fn encrypted() -> Result<()> {
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let certificate = pem("CERTIFICATE", own.cert.der());
    let mut trusted = tempfile::NamedTempFile::new()?;
    trusted.write_all(certificate.as_bytes())?;
    let server = Postgres::start_with_tls(
        &certificate,
        &pem("PRIVATE KEY", &own.signing_key.serialize_der()),
    )?;
    let plain = server.url().replace("127.0.0.1", "localhost") + "?hostaddr=127.0.0.1";
    let encrypted = format!("{plain}&sslmode=require");

    let refused = open(&plain).err();
    ensure!(matches!(refused, Some(StoreError::Unsuited(_))), "{refused:?}");
    let unknown = open(&encrypted)
        .err()
        .context("an unknown certificate was trusted")?;
    ensure!(unknown.to_string().contains("certificate"), "{unknown}");
    let opened = Command::new(std::env::current_exe()?)
        .env(OPEN, &encrypted)
        .env("SSL_CERT_FILE", trusted.path())
        .stderr(Stdio::inherit())
        .output()?;
    ensure!(
        opened.status.success(),
        "{}",
        String::from_utf8_lossy(&opened.stdout)
    );
    Ok(())
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = BASE64_STANDARD.encode(der);
    let lines = text.as_bytes().chunks(64).map(String::from_utf8_lossy);
    let body = lines.collect::<Vec<_>>().join("\n");
    format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n")
}

/// Opens what this process is told to open, if it is.
pub(crate) fn child() -> Option<ExitCode> {
    let url = std::env::var(OPEN).ok()?;
    let committed = open(&url).map_err(anyhow::Error::from).and_then(|mut store| {
        store.load()?;
        guards::commit(&mut store, 0, "INDEX|a|\n")
    });
    Some(match committed {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stdout(), "{error:#}");
            ExitCode::FAILURE
        }
    })
}
