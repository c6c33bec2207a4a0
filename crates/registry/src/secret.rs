use std::fmt;

use model::ScraperId;
use rusqlite::{Transaction, params};
use zeroize::Zeroizing;

use crate::columns::{checked, scraper_key};
use crate::database::{Registry, RegistryError};
use crate::lookup::known_scraper;
use crate::sealing::{KeyringError, Keys, Label, key_number};

/// Bytes of one secret at most.
const MOST_BYTES: usize = 32 << 10;

/// Secrets of one scraper at most.
const MOST_SECRETS: i64 = 100;

/// Something that nobody should see: it is wiped when it is dropped, and its `Debug` shows nothing of it.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes the text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The text itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// The name of an environment variable for a scraper: `MORPH_` and letters, digits and `_`, 100 bytes at most.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SecretName(String);

impl SecretName {
    /// Checks `text`.
    pub fn new(text: impl Into<String>) -> Result<Self, RegistryError> {
        let text = text.into();
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let is_right =
            text.len() > 6 && text.len() <= 100 && text.starts_with("MORPH_") && text.bytes().all(allowed);
        match is_right {
            true => Ok(Self(text)),
            false => Err(RegistryError::Invalid(
                "a secret's name begins with MORPH_ and has letters, digits and '_' after it, 100 bytes in all".to_owned(),
            )),
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for SecretName {
    type Error = RegistryError;

    fn try_from(text: String) -> Result<Self, RegistryError> {
        Self::new(text)
    }
}

impl From<SecretName> for String {
    fn from(name: SecretName) -> Self {
        name.0
    }
}

impl Registry {
    /// Sets a secret of a scraper (32 KiB at most, 100 of them). The name is bound to it: a sealed value that is copied to another name or scraper does not open.
    pub async fn set_secret(
        &self,
        scraper: &ScraperId,
        name: &SecretName,
        value: Secret,
    ) -> Result<(), RegistryError> {
        check_value(&value)?;
        let (scraper, name, keyring) = (scraper.clone(), name.clone(), self.keyring().clone());
        self.write(move |transaction| {
            let scraper = known_scraper(transaction, &scraper)?;
            let sealed = keyring.keys()?.seal(&label(&scraper, name.as_str()), &value)?;
            transaction.execute(
                "INSERT INTO secrets (scraper, name, value) VALUES (?1, ?2, ?3)
                 ON CONFLICT (scraper, name) DO UPDATE SET value = excluded.value",
                [&scraper, name.as_str(), &sealed],
            )?;
            check_count(transaction, &scraper)
        })
        .await
    }

    /// Removes a secret.
    pub async fn remove_secret(&self, scraper: &ScraperId, name: &SecretName) -> Result<(), RegistryError> {
        let (scraper, name) = (scraper_key(scraper), name.clone());
        self.write(move |transaction| {
            let removed = transaction.execute(
                "DELETE FROM secrets WHERE scraper = ?1 AND name = ?2",
                [&scraper, name.as_str()],
            )?;
            match removed {
                0 => Err(RegistryError::not_found("secret", name.as_str())),
                _ => Ok(()),
            }
        })
        .await
    }

    /// The names of a scraper's secrets, in order.
    pub async fn secret_names(&self, scraper: &ScraperId) -> Result<Vec<SecretName>, RegistryError> {
        let scraper = scraper.clone();
        self.read(move |transaction| {
            let scraper = known_scraper(transaction, &scraper)?;
            let sealed = sealed_of(transaction, &scraper)?;
            sealed.into_iter().map(|(name, _)| checked(name)).collect()
        })
        .await
    }

    /// The secrets themselves, for a run, in the order of their names.
    pub async fn secrets(&self, scraper: &ScraperId) -> Result<Vec<(SecretName, Secret)>, RegistryError> {
        match self.opened(scraper.clone()).await {
            // They were sealed anew, and the old key dropped, after they were read.
            Err(RegistryError::Keyring(KeyringError::UnknownKey(_))) => self.opened(scraper.clone()).await,
            opened => opened,
        }
    }

    async fn opened(&self, scraper: ScraperId) -> Result<Vec<(SecretName, Secret)>, RegistryError> {
        let keyring = self.keyring().clone();
        self.read(move |transaction| {
            let scraper = known_scraper(transaction, &scraper)?;
            let sealed = sealed_of(transaction, &scraper)?;
            let keys = keyring.keys()?;
            let opened = sealed.into_iter().map(|(name, value)| {
                let secret = keys.open(&label(&scraper, &name), &value)?;
                Ok((checked(name)?, secret))
            });
            opened.collect()
        })
        .await
    }

    /// Adds a key to the keyring's file and seals everything (secrets and webhooks' keys) anew with it. Returns how many were sealed. The
    /// old keys stay, for backups: see [`Registry::drop_unused_keys`]. After a crash in between, everything still opens; call it again. Where anything does not open,
    /// nothing is changed.
    pub async fn rotate_sealing_key(&self) -> Result<usize, RegistryError> {
        let keyring = self.keyring().clone();
        // The write transaction keeps other processes from sealing and from changing the keyring meanwhile.
        self.write(move |transaction| {
            let mut keys = keyring.keys()?;
            let records = sealed_records(transaction)?;
            for record in &records {
                record.open(&keys)?;
            }
            keys.add()?;
            keyring.replace(keys.clone())?;
            for record in &records {
                record.reseal(transaction, &keys)?;
            }
            Ok(records.len())
        })
        .await
    }

    /// Removes the keys from the keyring's file that nothing in the registry is sealed with, except the newest. Backups of the registry from before the
    /// last rotation need them: keep a copy of the keyring with each. Returns how many went.
    pub async fn drop_unused_keys(&self) -> Result<usize, RegistryError> {
        let keyring = self.keyring().clone();
        self.write(move |transaction| {
            let numbers = sealed_records(transaction)?
                .iter()
                .map(|record| Ok(key_number(&record.value)?))
                .collect::<Result<Vec<u32>, RegistryError>>()?;
            let mut keys = keyring.keys()?;
            let dropped = keys.keep(|number| numbers.contains(&number));
            keyring.replace(keys)?;
            Ok(dropped)
        })
        .await
    }
}

/// Everything that is sealed: what it is and where it is kept.
struct Sealed {
    kind: &'static str,
    scraper: String,
    /// A secret's name, or a webhook's number.
    name: String,
    value: String,
}

impl Sealed {
    fn label(&self) -> Label<'_> {
        Label {
            kind: self.kind,
            scraper: &self.scraper,
            name: &self.name,
        }
    }

    fn open(&self, keys: &Keys) -> Result<Secret, KeyringError> {
        keys.open(&self.label(), &self.value)
    }

    fn reseal(&self, transaction: &Transaction<'_>, keys: &Keys) -> Result<(), RegistryError> {
        let value = keys.seal(&self.label(), &self.open(keys)?)?;
        let update = match self.kind {
            SECRET => "UPDATE secrets SET value = ?3 WHERE scraper = ?1 AND name = ?2",
            _ => "UPDATE webhooks SET key = ?3 WHERE scraper = ?1 AND id = CAST(?2 AS BIGINT)",
        };
        transaction
            .prepare_cached(update)?
            .execute(params![self.scraper, self.name, value])?;
        Ok(())
    }
}

const SECRET: &str = "secret";

/// The label of a webhook's key.
pub(crate) const WEBHOOK: &str = "webhook";

fn sealed_records(transaction: &Transaction<'_>) -> Result<Vec<Sealed>, RegistryError> {
    let mut records = Vec::new();
    for (kind, query) in [
        (SECRET, "SELECT scraper, name, value FROM secrets"),
        (WEBHOOK, "SELECT scraper, CAST(id AS TEXT), key FROM webhooks"),
    ] {
        let mut statement = transaction.prepare(query)?;
        let found = statement.query_map([], |row| {
            Ok(Sealed {
                kind,
                scraper: row.get(0)?,
                name: row.get(1)?,
                value: row.get(2)?,
            })
        })?;
        for record in found {
            records.push(record?);
        }
    }
    Ok(records)
}

fn label<'a>(scraper: &'a str, name: &'a str) -> Label<'a> {
    Label {
        kind: SECRET,
        scraper,
        name,
    }
}

fn sealed_of(transaction: &Transaction<'_>, scraper: &str) -> Result<Vec<(String, String)>, RegistryError> {
    let mut statement =
        transaction.prepare_cached("SELECT name, value FROM secrets WHERE scraper = ?1 ORDER BY name")?;
    let rows = statement.query_map([scraper], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// An environment variable cannot have a zero byte in it.
fn check_value(value: &Secret) -> Result<(), RegistryError> {
    if value.reveal().len() > MOST_BYTES {
        return Err(RegistryError::Invalid("a secret has 32 KiB at most".to_owned()));
    }
    match value.reveal().contains('\0') {
        true => Err(RegistryError::Invalid(
            "a secret has no zero byte in it".to_owned(),
        )),
        false => Ok(()),
    }
}

fn check_count(transaction: &Transaction<'_>, scraper: &str) -> Result<(), RegistryError> {
    let count: i64 = transaction.query_row(
        "SELECT count(*) FROM secrets WHERE scraper = ?1",
        [scraper],
        |row| row.get(0),
    )?;
    match count > MOST_SECRETS {
        true => Err(RegistryError::Invalid(
            "a scraper has 100 secrets at most; remove one".to_owned(),
        )),
        false => Ok(()),
    }
}
