//! A connection that is made anew when it breaks, to a server that is looked at each time.

use std::collections::HashMap;
use std::time::Duration;

use redis::{Client, Cmd, Connection, ConnectionAddr, FromRedisValue, Pipeline, RedisError};
use sha2::{Digest, Sha256};

use crate::store::StoreError;
use crate::store::service::{take_option, time_for};

use super::RedisOptions;

/// What the keys hold; a program that knows another version leaves them alone.
const FORMAT: u64 = 1;

/// The function that commits; its name is put in.
const LIBRARY: &str = include_str!("library.lua");

/// Where the index is, and the connection to it when there is one.
pub(super) struct Database {
    client: Client,
    options: RedisOptions,
    /// Without user and password, for messages.
    place: String,
    pub(super) keys: Keys,
    /// The name of the function, which has the digest of its text in it: two versions of this program can use one server.
    pub(super) function: String,
    connection: Option<Connection>,
}

/// The names of the keys. What stands in braces decides where a cluster keeps a key, so that all are together.
pub(super) struct Keys {
    pub(super) state: String,
    pub(super) packages: String,
    pub(super) changes: String,
    /// With the name of a package behind it: a set of the packages that depend on it.
    pub(super) dependents: String,
}

impl Keys {
    fn new(prefix: &str) -> Self {
        let key = |name| format!("{{{prefix}}}:{name}");
        Self {
            state: key("state"),
            packages: key("packages"),
            changes: key("changes"),
            dependents: key("dependents:"),
        }
    }
}

impl Database {
    pub(super) fn new(url: &str, options: RedisOptions) -> Result<Self, StoreError> {
        let (url, prefix) = take_option(url, "prefix")?;
        let prefix = prefix.unwrap_or_else(|| "pkgindex".to_owned());
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
        if prefix.is_empty() || !prefix.bytes().all(is_plain) {
            return Err(StoreError::Unsuited(
                "a prefix has only the characters a-z A-Z 0-9 - _ . :".to_owned(),
            ));
        }
        // The parser's own message does not show the URL, which may hold a password.
        let client = Client::open(url).map_err(|error| {
            StoreError::Unsuited(format!(
                "the url is not redis://:password@host:port/number: {error}"
            ))
        })?;
        let digest = Sha256::digest(LIBRARY);
        let version: String = digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
        Ok(Self {
            place: format!(
                "redis at {}, prefix {prefix}",
                described(client.get_connection_info().addr())
            ),
            keys: Keys::new(&prefix),
            function: format!("pkgindex_commit_{version}"),
            client,
            options,
            connection: None,
        })
    }

    /// Sends one command that carries so many bytes, and waits for the answer; connects first when there is no connection. After an error the
    /// connection is given up.
    pub(super) fn call<T: FromRedisValue>(&mut self, bytes: usize, command: &Cmd) -> Result<T, StoreError> {
        self.with_connection(bytes, |connection| command.query(connection))
    }

    /// As [`Database::call`], with several commands.
    pub(super) fn call_all<T: FromRedisValue>(
        &mut self,
        bytes: usize,
        commands: &Pipeline,
    ) -> Result<T, StoreError> {
        self.with_connection(bytes, |connection| commands.query(connection))
    }

    fn with_connection<T>(
        &mut self,
        bytes: usize,
        work: impl FnOnce(&mut Connection) -> Result<T, RedisError>,
    ) -> Result<T, StoreError> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.connect()?,
        };
        let limited = set_limit(&connection, self.options.timeout + time_for(bytes));
        let done = limited.and_then(|()| work(&mut connection));
        if done.is_ok() {
            self.connection = Some(connection);
        }
        done.map_err(|error| explained(&self.place, &error))
    }

    pub(super) fn connect(&self) -> Result<Connection, StoreError> {
        let connect = || {
            let connection = self.client.get_connection_with_timeout(self.options.timeout)?;
            set_limit(&connection, self.options.timeout)?;
            Ok(connection)
        };
        let mut connection = connect().map_err(|error| explained(&self.place, &error))?;
        self.refuse_unsuited(&mut connection)?;
        self.prepare(&mut connection)
            .map_err(|error| explained(&self.place, &error))?
            .then_some(connection)
            .ok_or_else(|| {
                StoreError::Unsuited(format!(
                    "{}: the keys have another format than {FORMAT}; use the program that wrote them, or another prefix",
                    self.place
                ))
            })
    }

    /// Loads the function and makes the state when there is none. Returns whether the format is known.
    fn prepare(&self, connection: &mut Connection) -> Result<bool, RedisError> {
        let function = &self.function;
        let library = format!("#!lua name={function}\n{}", LIBRARY.replace("NAME", function));
        let mut pipeline = redis::pipe();
        pipeline
            .cmd("FUNCTION")
            .arg("LOAD")
            .arg("REPLACE")
            .arg(library)
            .ignore();
        let mut first = |field: &str, value| {
            pipeline
                .cmd("HSETNX")
                .arg(&self.keys.state)
                .arg(field)
                .arg(value)
                .ignore();
        };
        first("revision", 0);
        first("format", FORMAT);
        pipeline.cmd("HGET").arg(&self.keys.state).arg("format");
        let (format,): (u64,) = pipeline.query(connection)?;
        Ok(format == FORMAT)
    }

    fn refuse_unsuited(&self, connection: &mut Connection) -> Result<(), StoreError> {
        let unsuited = |text: &str| Err(StoreError::Unsuited(format!("{}: {text}", self.place)));
        let settings = settings(connection);
        let is = |name: &str, value: &str| settings.get(name).is_some_and(|is| is == value);
        if settings
            .get("maxmemory-policy")
            .is_some_and(|policy| policy.starts_with("allkeys"))
        {
            return unsuited(
                "with this maxmemory-policy it throws keys away when memory is short; set noeviction",
            );
        }
        if self.options.accept_volatile || is("appendonly", "yes") && is("appendfsync", "always") {
            return Ok(());
        }
        let shown = |name: &str| settings.get(name).map_or("unknown", String::as_str).to_owned();
        unsuited(&format!(
            "a crash may take back what it confirmed, with appendonly {} and appendfsync {}; set `appendonly yes` and `appendfsync always`, or accept a volatile store",
            shown("appendonly"),
            shown("appendfsync")
        ))
    }
}

/// What decides whether data are kept; empty when this user may not ask.
fn settings(connection: &mut Connection) -> HashMap<String, String> {
    let mut ask = redis::cmd("CONFIG");
    ask.arg("GET")
        .arg("appendonly")
        .arg("appendfsync")
        .arg("maxmemory-policy");
    ask.query(connection).unwrap_or_default()
}

fn set_limit(connection: &Connection, limit: Duration) -> Result<(), RedisError> {
    connection.set_read_timeout(Some(limit))?;
    connection.set_write_timeout(Some(limit))
}

fn described(address: &ConnectionAddr) -> String {
    match address {
        ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => {
            format!("{host}:{port}")
        }
        ConnectionAddr::Unix(path) => path.display().to_string(),
        _ => "an address of its own kind".to_owned(),
    }
}

/// With the place, and with what to do.
fn explained(place: &str, error: &RedisError) -> StoreError {
    let text = format!("{place}: {error}");
    match error.code() {
        Some("REFUSED" | "WRONGTYPE") => StoreError::Damaged(format!("{text}; run `check`")),
        Some("NOAUTH" | "WRONGPASS" | "NOPERM") => StoreError::Unsuited(format!(
            "{text}; see whether the user, its password and its rights are as they should be"
        )),
        Some("READONLY") => StoreError::Unreachable(format!("{text}; use the url of the primary")),
        Some("MOVED" | "ASK") => StoreError::Unreachable(format!(
            "{text}; use the url of the node of the cluster that has these keys"
        )),
        Some(_) => StoreError::Unreachable(format!("{text}; its own log may say more")),
        None => StoreError::Unreachable(format!(
            "{text}; see whether it is up and the url has the right host and port"
        )),
    }
}
