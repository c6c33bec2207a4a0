//! What only Redis can be asked.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use pkgindex::Revision;
use pkgindex::store::{RedisOptions, RedisStore, Store, StoreError};
use pkgindex::testkit::stores::{Backend, Broken, with_faults};
use redis::Value;
use tests::{Bench, Need, Redis, wait};

use crate::guards;
use crate::started::Started;

const NEEDS: &[Need] = &[Need::Program("redis-server")];

/// What keeps everything that was confirmed.
const DURABLE: &[&str] = &[
    "--appendonly yes",
    "--appendfsync always",
    "--enable-debug-command local",
];

/// How long a busy machine may need.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn start() -> Result<Redis> {
    Redis::start(DURABLE)
}

pub(crate) fn backend(server: &Started<Redis>) -> Backend {
    let server = server.clone();
    backend_with(move || Ok(server.get()?.url()))
}

fn backend_with(url: impl Fn() -> Result<String> + Send + Sync + 'static) -> Backend {
    Backend {
        name: "redis",
        keeps: true,
        shared: true,
        open: |url| Ok(Box::new(open(url)?)),
        open_forgetful: Some(|url| {
            let options = RedisOptions {
                kept_changes: 50,
                ..RedisOptions::default()
            };
            Ok(Box::new(RedisStore::open(url, options)?))
        }),
        fresh: Box::new(move || Ok(fresh(&url().map_err(|error| Broken(format!("{error:#}")))?))),
    }
}

fn open(url: &str) -> Result<RedisStore, StoreError> {
    RedisStore::open(url, RedisOptions::default())
}

/// With a prefix of its own.
fn fresh(url: &str) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("{url}?prefix=p{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

pub(crate) fn add(bench: &mut Bench, server: &Started<Redis>) {
    let mut test = |name: &str, run: fn(&Redis) -> Result<()>| {
        let server = server.clone();
        bench.test(format!("redis: {name}"), NEEDS, move || run(&*server.get()?));
    };
    test("a package that others need cannot be removed", cannot_be_removed);
    test(
        "what was changed behind its back is found and mended",
        damage_is_mended,
    );
    test("all keys have the hash tag of the prefix", keys_are_together);
    test("keys that were deleted are noticed", deleted_keys_are_noticed);
    test("a password is never shown", password_is_never_shown);
    let mut alone = |name: &str, run: fn() -> Result<()>| bench.test(format!("redis: {name}"), NEEDS, run);
    alone("connections break under load", broken_connections);
    alone("the server crashes under load", crashing_server);
    alone("a call that is held up ends", held_up_calls_end);
    alone("a volatile server must be accepted", volatile_must_be_accepted);
}

fn ask(url: &str, command: &[&str]) -> Result<Value> {
    let place = url.split('?').next().unwrap_or(url);
    let mut connection = redis::Client::open(place)?.get_connection()?;
    Ok(redis::cmd(command[0]).arg(&command[1..]).query(&mut connection)?)
}

fn prefix(url: &str) -> &str {
    url.split_once("prefix=").map_or("pkgindex", |(_, prefix)| prefix)
}

fn cannot_be_removed(server: &Redis) -> Result<()> {
    guards::removal_is_refused(&mut open(&fresh(&server.url()))?)
}

fn damage_is_mended(server: &Redis) -> Result<()> {
    let url = fresh(&server.url());
    let key = |name: &str| format!("{{{}}}:{name}", prefix(&url));
    guards::damage_is_mended(&mut open(&url)?, || {
        ask(&url, &["HSET", &key("packages"), "b", "", "gone", ""])?;
        ask(&url, &["HDEL", &key("packages"), "c"])?;
        ask(&url, &["DEL", &key("dependents:a")])?;
        ask(&url, &["SADD", &key("dependents:x"), "y"])?;
        Ok(())
    })
}

fn keys_are_together(server: &Redis) -> Result<()> {
    let mut store = open(&(server.url() + "?prefix=together"))?;
    guards::commit(&mut store, 0, "INDEX|a|\nINDEX|b|a\n")?;
    let Value::Array(keys) = ask(&server.url(), &["KEYS", "*together*"])? else {
        anyhow::bail!("no list of keys");
    };
    ensure!(keys.len() == 4, "{keys:?}");
    let is_tagged = |key: &Value| matches!(key, Value::BulkString(name) if name.starts_with(b"{together}:"));
    ensure!(keys.iter().all(is_tagged), "{keys:?}");
    Ok(())
}

fn deleted_keys_are_noticed(server: &Redis) -> Result<()> {
    for known in [0, 2] {
        let url = fresh(&server.url());
        let mut store = open(&url)?;
        store.load()?;
        for base in 0..known {
            guards::commit(&mut store, base, &format!("INDEX|p{base}|\n"))?;
        }
        ask(&url, &["DEL", &format!("{{{}}}:state", prefix(&url))])?;
        guards::must_be_lost(&mut store, known)?;
    }
    Ok(())
}

fn password_is_never_shown(server: &Redis) -> Result<()> {
    let with = |secret: &str| server.url().replace("//", &format!("//:{secret}@"));
    for url in [
        with("hunter2"),
        with("hun?hunter2"),
        with("hunter2") + "?prefix=*",
        with("hunter2").replace("/0", "/x"),
        with("hunter2").replace("redis:", "http:"),
        "redis://:hunter2@127.0.0.1:1/0".to_owned(),
        "hunter2".to_owned(),
    ] {
        let error = open(&url).err().with_context(|| format!("{url} was opened"))?;
        let shown = format!("{error} {error:?}");
        ensure!(!shown.contains("hunter2"), "{shown}");
    }
    Ok(())
}

fn held_up_calls_end() -> Result<()> {
    let options = RedisOptions {
        timeout: Duration::from_secs(1),
        ..RedisOptions::default()
    };
    let silent = TcpListener::bind(("127.0.0.1", 0))?;
    let opened = RedisStore::open(
        &format!("redis://127.0.0.1:{}/0", silent.local_addr()?.port()),
        options,
    )
    .err();
    ensure!(matches!(opened, Some(StoreError::Unreachable(_))), "{opened:?}");

    let server = Redis::start(DURABLE)?;
    let mut store = wait::until("a connection", PATIENCE, || {
        Ok(RedisStore::open(&server.url(), options).ok())
    })?;
    // Nobody is served while one asks it to sleep.
    let url = server.url();
    let sleeper = std::thread::spawn(move || ask(&url, &["DEBUG", "SLEEP", "4"]));
    let held_up = wait::until("a call that ends", PATIENCE, || {
        Ok(store.commit(Revision(0), &[]).err())
    })?;
    ensure!(matches!(held_up, StoreError::Unreachable(_)), "{held_up:?}");
    sleeper.join().unwrap()?;
    wait::until("the next call", PATIENCE, || {
        Ok(store.commit(Revision(0), &[]).ok())
    })?;
    Ok(())
}

fn broken_connections() -> Result<()> {
    let server = Redis::start(DURABLE)?;
    let url = server.url();
    let mut breaker = redis::Client::open(&*url)?.get_connection()?;
    let mut broken = 0;
    let backend = backend_with(move || Ok(url.clone()));
    with_faults(&backend, 20, || {
        let killed: u64 = redis::cmd("CLIENT")
            .arg(&["KILL", "TYPE", "normal", "SKIPME", "yes"])
            .query(&mut breaker)
            .map_err(|error| Broken(error.to_string()))?;
        broken += killed;
        Ok(())
    })?;
    ensure!(broken >= 20, "only {broken} connections were broken");
    Ok(())
}

fn crashing_server() -> Result<()> {
    let server = Arc::new(Mutex::new(Redis::start(DURABLE)?));
    let place = Arc::clone(&server);
    let backend = backend_with(move || Ok(place.lock().unwrap_or_else(PoisonError::into_inner).url()));
    Ok(with_faults(&backend, 5, || {
        let crashed = server.lock().unwrap_or_else(PoisonError::into_inner).crash();
        crashed.map_err(|error| Broken(format!("{error:#}")))
    })?)
}

fn volatile_must_be_accepted() -> Result<()> {
    for settings in [
        &["--appendonly no"][..],
        &["--appendonly yes", "--appendfsync everysec"][..],
    ] {
        let server = Redis::start(settings)?;
        let refused = open(&server.url()).err();
        let Some(StoreError::Unsuited(text)) = &refused else {
            anyhow::bail!("{refused:?}");
        };
        ensure!(
            text.contains("appendonly yes") && text.contains("appendfsync always"),
            "{text}"
        );
        let accepted = RedisOptions {
            accept_volatile: true,
            ..RedisOptions::default()
        };
        guards::commit(&mut RedisStore::open(&server.url(), accepted)?, 0, "INDEX|a|\n")?;
        ask(
            &server.url(),
            &["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"],
        )?;
        ensure!(
            RedisStore::open(&server.url(), accepted).is_err(),
            "keys may be thrown away"
        );
    }
    Ok(())
}
