//! A connection that is made anew when it breaks, and calls that end.

use std::sync::Arc;
use std::time::Duration;

use rustls_platform_verifier::BuilderVerifierExt;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{Client, Config, NoTls, Socket, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::failure::Failure;
use super::schema;
use crate::store::StoreError;
use crate::store::service::{take_option, time_for};

/// After so long without an acknowledgement a connection is given up.
const SILENCE_LIMIT: Duration = Duration::from_secs(10);

/// Where the index is, and the connection to it when there is one.
pub(super) struct Database {
    config: Config,
    schema: String,
    /// Without user and password, for messages.
    place: String,
    timeout: Duration,
    runtime: Runtime,
    session: Option<Session>,
}

/// A connection that is fit for commits.
pub(super) struct Session {
    pub(super) client: Client,
    pub(super) statements: Statements,
    connection: JoinHandle<()>,
}

/// What every commit executes, parsed once in each connection.
pub(super) struct Statements {
    pub(super) revision: Statement,
    pub(super) claim: Statement,
    pub(super) keep: Statement,
    pub(super) forget_dependencies: Statement,
    pub(super) put_packages: Statement,
    pub(super) put_dependencies: Statement,
    pub(super) remove_packages: Statement,
    pub(super) changes: Statement,
}

impl Database {
    pub(super) fn new(url: &str, timeout: Duration) -> Result<Self, StoreError> {
        let (url, schema) = take_option(url, "schema")?;
        let schema = schema.unwrap_or_else(|| "pkgindex".to_owned());
        if !is_plain_name(&schema) {
            return Err(StoreError::Unsuited(
                "a schema has 1 to 63 of the characters a-z 0-9 _ and does not begin with a digit".to_owned(),
            ));
        }
        // The parser's own message does not show the URL, which may hold a password.
        let mut config: Config = url.parse().map_err(|error| {
            StoreError::Unsuited(format!(
                "the url is not postgres://user:password@host:port/database: {error}"
            ))
        })?;
        config
            .connect_timeout(timeout)
            .tcp_user_timeout(SILENCE_LIMIT)
            .keepalives_idle(SILENCE_LIMIT)
            .target_session_attrs(TargetSessionAttrs::ReadWrite)
            .application_name("pkgindex");
        let runtime = Builder::new_current_thread().enable_all().build();
        Ok(Self {
            place: format!("postgres at {}, schema {schema}", described(&config)),
            config,
            schema,
            runtime: runtime.map_err(StoreError::io("cannot start what speaks to postgres"))?,
            timeout,
            session: None,
        })
    }

    /// Does `work`, which carries so many bytes, in the connection; connects first when there is none. After an error the connection
    /// is given up, which takes back what it had not committed.
    pub(super) fn call<T>(
        &mut self,
        bytes: usize,
        work: impl AsyncFnOnce(&mut Session) -> Result<T, Failure>,
    ) -> Result<T, StoreError> {
        let mut session = match self.session.take() {
            Some(session) if !session.client.is_closed() => session,
            Some(_) | None => self.within(0, Session::open(&self.config, &self.schema))?,
        };
        let done = self.within(bytes, work(&mut session))?;
        self.session = Some(session);
        Ok(done)
    }

    fn within<T>(
        &self,
        bytes: usize,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, StoreError> {
        let limit = self.timeout + time_for(bytes);
        // The timer has to begin within the runtime.
        let done = self.runtime.block_on(async { timeout(limit, work).await });
        done.unwrap_or(Err(Failure::TimedOut(limit)))
            .map_err(|failure| failure.at(&self.place))
    }
}

impl Session {
    async fn open(config: &Config, schema: &str) -> Result<Self, Failure> {
        let (mut client, connection) = match config.get_ssl_mode() {
            SslMode::Require => connect(config, tls()?).await?,
            _ => connect(config, NoTls).await?,
        };
        schema::settle(&client, schema).await?;
        schema::create(&mut client, schema).await?;
        Ok(Self {
            statements: Statements::prepare(&client).await?,
            client,
            connection,
        })
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // Otherwise a connection that hangs would hold its locks.
        self.connection.abort();
    }
}

async fn connect<T>(config: &Config, tls: T) -> Result<(Client, JoinHandle<()>), Failure>
where
    T: MakeTlsConnect<Socket, Stream: Send + 'static>,
{
    let (client, connection) = config.connect(tls).await?;
    let connection = tokio::spawn(async {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "the connection to postgres broke");
        }
    });
    Ok((client, connection))
}

/// Trusts whom the system trusts.
fn tls() -> Result<MakeRustlsConnect, Failure> {
    let unsuited = |error| StoreError::Unsuited(format!("tls cannot be set up: {error}"));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(BuilderVerifierExt::with_platform_verifier)
        .map_err(unsuited)?;
    Ok(MakeRustlsConnect::new(config.with_no_client_auth()))
}

fn described(config: &Config) -> String {
    let mut hosts: Vec<_> = config.get_hosts().iter().map(host).collect();
    hosts.extend(config.get_hostaddrs().iter().map(ToString::to_string));
    let ports: Vec<_> = config.get_ports().iter().map(ToString::to_string).collect();
    let port = match ports.is_empty() {
        true => "5432".to_owned(),
        false => ports.join(","),
    };
    let database = config.get_dbname().or(config.get_user()).unwrap_or_default();
    format!("{}:{port}/{database}", hosts.join(","))
}

fn host(host: &Host) -> String {
    match host {
        Host::Tcp(name) => name.clone(),
        Host::Unix(path) => path.display().to_string(),
    }
}

/// Whether it can stand between quotes in SQL as it is.
fn is_plain_name(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    (1..=63).contains(&name.len())
        && name.bytes().all(is_plain)
        && !name.starts_with(|first: char| first.is_ascii_digit())
}

impl Statements {
    async fn prepare(client: &Client) -> Result<Self, Failure> {
        Ok(Self {
            revision: client.prepare("SELECT revision FROM state").await?,
            claim: client
                .prepare("UPDATE state SET revision = $1 WHERE revision = $2")
                .await?,
            keep: client
                .prepare(
                    "INSERT INTO changes (revision, origin, lines)
                     SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::text[])",
                )
                .await?,
            forget_dependencies: client
                .prepare(
                    "DELETE FROM dependencies USING packages
                     WHERE packages.id = dependencies.package_id AND packages.name = ANY ($1::text[])",
                )
                .await?,
            put_packages: client
                .prepare(
                    "INSERT INTO packages (name, revision) SELECT name, $2 FROM unnest($1::text[]) AS name
                     ON CONFLICT (name) DO UPDATE SET revision = excluded.revision",
                )
                .await?,
            put_dependencies: client
                .prepare(
                    "INSERT INTO dependencies (package_id, dependency_id)
                     SELECT package.id, dependency.id
                     FROM unnest($1::text[], $2::text[]) AS edge (package, dependency)
                     JOIN packages AS package ON package.name = edge.package
                     JOIN packages AS dependency ON dependency.name = edge.dependency",
                )
                .await?,
            remove_packages: client
                .prepare("DELETE FROM packages WHERE name = ANY ($1::text[])")
                .await?,
            changes: client
                .prepare(
                    "SELECT revision, origin, lines FROM (
                         SELECT *, sum(octet_length(lines)) OVER (ORDER BY revision) AS bytes
                         FROM changes WHERE revision > $1
                     ) AS newer
                     WHERE bytes - octet_length(lines) < $2 ORDER BY revision",
                )
                .await?,
        })
    }
}
