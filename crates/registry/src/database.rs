use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{Connection, Transaction, TransactionBehavior};
use thiserror::Error;
use tokio::sync::Semaphore;

use crate::schema;
use crate::sealing::Keyring;

/// Passwords that are hashed at a time: 19 MiB each.
const HASHES_AT_A_TIME: usize = 4;

/// Why the registry did not do what it was asked.
#[derive(Debug, Error)]
pub enum RegistryError {
    /// Something with this name is not there.
    #[error("there is no {what} {name}")]
    NotFound {
        /// What was looked for: "scraper", "run", ...
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// Something with this name is there already.
    #[error("{what} {name} exists already; choose another name")]
    Exists {
        /// What it is.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// Somebody changed it since whoever asks looked at it.
    #[error("{what} {name} was changed meanwhile; look at it again, then say what is to be different")]
    ChangedMeanwhile {
        /// What it is.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// What was asked breaks a rule; the text says which and what to do.
    #[error("{0}")]
    Invalid(String),
    /// The run belongs to another lease by now; whoever holds this one stops working on it.
    #[error("run {0} is no longer leased to this worker")]
    Fenced(model::RunId),
    /// A secret could not be opened: the keyring lacks its key, or the record was changed.
    #[error(transparent)]
    Keyring(#[from] crate::sealing::KeyringError),
    /// The file cannot be made.
    #[error("the registry {path} cannot be made: {source}")]
    Io {
        /// The file.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// The database failed.
    #[error("the registry failed: {0}")]
    Database(#[from] rusqlite::Error),
    /// A record is not what this version of Haul writes.
    #[error("the registry holds a record that cannot be read: {0}")]
    Damaged(String),
    /// The process ends before this was done.
    #[error("haul is stopping")]
    Stopping,
}

impl RegistryError {
    #[expect(
        clippy::needless_pass_by_value,
        reason = "callers name things by references and by numbers alike"
    )]
    pub(crate) fn not_found(what: &'static str, name: impl ToString) -> Self {
        Self::NotFound {
            what,
            name: name.to_string(),
        }
    }
}

/// The registry. Cheap to clone; every call is one transaction, on a thread where blocking is allowed.
#[derive(Clone)]
pub struct Registry {
    inner: Arc<Inner>,
}

struct Inner {
    connection: Mutex<Connection>,
    keyring: Keyring,
    hashing: Semaphore,
}

impl Registry {
    /// Opens the registry in the file at `path`, which is made where it is missing (readable by its owner alone).
    ///
    /// # Errors
    ///
    /// When the file cannot be opened, is no registry, or was written by a newer Haul.
    pub fn open(path: &Path, keyring: Keyring) -> Result<Self, RegistryError> {
        make_private(path).map_err(|source| RegistryError::Io {
            path: path.display().to_string(),
            source,
        })?;
        Self::new(Connection::open(path)?, keyring)
    }

    /// A registry that is gone when it is dropped, for tests and for `haul run`.
    ///
    /// # Errors
    ///
    /// When SQLite cannot be started.
    pub fn memory(keyring: Keyring) -> Result<Self, RegistryError> {
        Self::new(Connection::open_in_memory()?, keyring)
    }

    fn new(mut connection: Connection, keyring: Keyring) -> Result<Self, RegistryError> {
        schema::prepare(&mut connection)?;
        Ok(Self {
            inner: Arc::new(Inner {
                connection: Mutex::new(connection),
                keyring,
                hashing: Semaphore::new(HASHES_AT_A_TIME),
            }),
        })
    }

    /// One transaction that may write, on a thread of its own.
    pub(crate) async fn write<T, F>(&self, work: F) -> Result<T, RegistryError>
    where
        T: Send + 'static,
        F: FnOnce(&Transaction<'_>) -> Result<T, RegistryError> + Send + 'static,
    {
        self.transact(TransactionBehavior::Immediate, work).await
    }

    /// One transaction that only reads: it waits for no other process.
    pub(crate) async fn read<T, F>(&self, work: F) -> Result<T, RegistryError>
    where
        T: Send + 'static,
        F: FnOnce(&Transaction<'_>) -> Result<T, RegistryError> + Send + 'static,
    {
        self.transact(TransactionBehavior::Deferred, work).await
    }

    async fn transact<T, F>(&self, behavior: TransactionBehavior, work: F) -> Result<T, RegistryError>
    where
        T: Send + 'static,
        F: FnOnce(&Transaction<'_>) -> Result<T, RegistryError> + Send + 'static,
    {
        let inner = Arc::clone(&self.inner);
        blocking(move || {
            // A panic in here rolled its transaction back, so the connection is as good as before.
            let mut connection = inner.connection.lock().unwrap_or_else(PoisonError::into_inner);
            let transaction = connection.transaction_with_behavior(behavior)?;
            let result = work(&transaction)?;
            transaction.commit()?;
            Ok(result)
        })
        .await
    }

    /// Work with passwords: outside transactions, because it is slow on purpose, and little of it at a time, because it takes memory on purpose.
    pub(crate) async fn hashing<T, F>(&self, work: F) -> Result<T, RegistryError>
    where
        T: Send + 'static,
        F: FnOnce() -> Result<T, RegistryError> + Send + 'static,
    {
        let _turn = self.inner.hashing.acquire().await;
        blocking(work).await
    }

    pub(crate) fn keyring(&self) -> &Keyring {
        &self.inner.keyring
    }
}

/// Work that would hold up other tasks, on a thread of its own.
async fn blocking<T, F>(work: F) -> Result<T, RegistryError>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, RegistryError> + Send + 'static,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(RegistryError::Stopping),
        },
    }
}

/// SQLite gives its other files (`-wal`, `-shm`) the rights that this one has.
fn make_private(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.create(true).append(true).mode(0o600);
    options.open(path).map(drop)
}
