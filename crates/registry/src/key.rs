use std::collections::BTreeSet;
use std::time::Duration;

use model::{OwnerName, Timestamp};
use rusqlite::{OptionalExtension, Row, Transaction, params};
use serde::{Deserialize, Serialize};

use crate::columns::{checked, from_json, instant, json, millis, next_number, owner_key, signed, unsigned};
use crate::database::{Registry, RegistryError};
use crate::lookup::owner_named;
use crate::owner::ensure_owner;
use crate::secret::Secret;
use crate::token::{random_token, token_hash};

/// Keys of one owner at most, expired ones too.
const MOST_KEYS: i64 = 100;

/// Bytes of a label at most.
const MOST_LABEL_BYTES: usize = 200;

/// Bytes of a key that is taken over.
const IMPORTED_BYTES: std::ops::RangeInclusive<usize> = 20..=200;

/// A replaced key works no longer than this: 30 days.
pub const LONGEST_OVERLAP: Duration = Duration::from_secs(30 * 24 * 3600);

const HOUR_MS: u64 = 3_600_000;

/// What a key lets its holder do, with what its owner may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Read data of any scraper.
    Data,
    /// Start and stop runs, send code to be run.
    Run,
    /// Everything else.
    Manage,
}

/// A key's number; not secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KeyId(pub u64);

/// A key for programs. The key itself is shown once and kept as a hash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ApiKey {
    /// Its number.
    pub id: KeyId,
    /// Whose.
    pub owner: OwnerName,
    /// What it is for, in its owner's words.
    pub label: String,
    /// What it lets its holder do.
    pub scopes: Vec<Scope>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was used last, to the hour.
    pub used_at: Option<Timestamp>,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
    /// Its first letters, to tell keys apart.
    pub prefix: String,
}

/// A key that was just made.
#[derive(Debug)]
pub struct IssuedKey {
    /// What is known of it.
    pub key: ApiKey,
    /// The key itself: for its holder, and nobody else.
    pub token: Secret,
}

impl Registry {
    /// Makes a key: 160 random bits behind `haul_`. 100 an owner at most. An owner that is not there is made. `Invalid` for one that would have ended already.
    pub async fn issue_key(
        &self,
        owner: &OwnerName,
        label: &str,
        scopes: Vec<Scope>,
        expires_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<IssuedKey, RegistryError> {
        if expires_at.is_some_and(|expires_at| expires_at <= now) {
            return Err(RegistryError::Invalid(
                "the key would have ended already; name a later day".to_owned(),
            ));
        }
        let token = random_token("haul_");
        let new = NewKey::new(owner, label, scopes, expires_at, &token)?;
        let key = self
            .write(move |transaction| insert(transaction, new, now))
            .await?;
        Ok(IssuedKey { key, token })
    }

    /// Takes over a key that its holder has already, from morph: 20 to 200 bytes. `Exists` where somebody has this key.
    pub async fn import_key(
        &self,
        owner: &OwnerName,
        label: &str,
        token: Secret,
        scopes: Vec<Scope>,
        now: Timestamp,
    ) -> Result<ApiKey, RegistryError> {
        if !IMPORTED_BYTES.contains(&token.reveal().len()) {
            return Err(RegistryError::Invalid("a key has 20 to 200 bytes".to_owned()));
        }
        let new = NewKey::new(owner, label, scopes, None, &token)?;
        self.write(move |transaction| insert(transaction, new, now)).await
    }

    /// What this key is, where it is one, has not expired, and its owner's account is not disabled.
    pub async fn key(&self, token: &str, now: Timestamp) -> Result<Option<ApiKey>, RegistryError> {
        let token = token_hash(token);
        let Some(key) = self
            .read(move |transaction| find(transaction, &token, now))
            .await?
        else {
            return Ok(None);
        };
        let hour = Timestamp::from_millis(now.as_millis() / HOUR_MS * HOUR_MS);
        if key.used_at.is_some_and(|used_at| used_at >= hour) {
            return Ok(Some(key));
        }
        let id = signed(key.id.0);
        self.write(move |transaction| {
            transaction.execute("UPDATE keys SET used_at = ?2 WHERE id = ?1", [id, millis(hour)])?;
            Ok(())
        })
        .await?;
        Ok(Some(ApiKey {
            used_at: Some(hour),
            ..key
        }))
    }

    /// The owner's keys, newest first.
    pub async fn keys(&self, owner: &OwnerName) -> Result<Vec<ApiKey>, RegistryError> {
        let owner = owner_key(owner);
        self.read(move |transaction| {
            let mut statement = transaction
                .prepare_cached(&format!("{SELECT} WHERE keys.owner = ?1 ORDER BY keys.id DESC"))?;
            let rows = statement
                .query_map([owner], columns)?
                .collect::<Result<Vec<_>, _>>()?;
            rows.into_iter().map(Columns::key).collect()
        })
        .await
    }

    /// A new key with the same label and scopes, for as long as the old one was for; the old one works for `overlap_seconds` more, [`LONGEST_OVERLAP`]
    /// at most (`Invalid`).
    pub async fn rotate_key(
        &self,
        owner: &OwnerName,
        key: KeyId,
        overlap_seconds: u64,
        now: Timestamp,
    ) -> Result<IssuedKey, RegistryError> {
        let overlap = Duration::from_secs(overlap_seconds);
        if overlap > LONGEST_OVERLAP {
            return Err(RegistryError::Invalid(
                "a key that was replaced works for 30 days more at most".to_owned(),
            ));
        }
        let token = random_token("haul_");
        let (owner, shown) = (owner.clone(), token.clone());
        let key = self
            .write(move |transaction| {
                let old = of_owner(transaction, &owner, key)?;
                let until = now.after(overlap);
                let ends_at = old.expires_at.map_or(until, |expires_at| expires_at.min(until));
                transaction.execute(
                    "UPDATE keys SET expires_at = ?2 WHERE id = ?1",
                    [signed(key.0), millis(ends_at)],
                )?;
                let expires_at = old.expires_at.map(|end| now.after(end.since(old.created_at)));
                insert(
                    transaction,
                    NewKey::new(&owner, &old.label, old.scopes, expires_at, &shown)?,
                    now,
                )
            })
            .await?;
        Ok(IssuedKey { key, token })
    }

    /// Ends a key at once.
    pub async fn revoke_key(&self, owner: &OwnerName, key: KeyId) -> Result<(), RegistryError> {
        let owner = owner.clone();
        self.write(move |transaction| {
            of_owner(transaction, &owner, key)?;
            transaction.execute("DELETE FROM keys WHERE id = ?1", [signed(key.0)])?;
            Ok(())
        })
        .await
    }
}

/// A key to be kept, without the key itself.
struct NewKey {
    owner: OwnerName,
    label: String,
    scopes: Vec<Scope>,
    expires_at: Option<Timestamp>,
    token: String,
    prefix: String,
}

impl NewKey {
    fn new(
        owner: &OwnerName,
        label: &str,
        scopes: Vec<Scope>,
        expires_at: Option<Timestamp>,
        token: &Secret,
    ) -> Result<Self, RegistryError> {
        let scopes: Vec<_> = BTreeSet::from_iter(scopes).into_iter().collect();
        if scopes.is_empty() {
            return Err(RegistryError::Invalid(
                "a key without scopes is of no use; name one".to_owned(),
            ));
        }
        if label.len() > MOST_LABEL_BYTES || label.chars().any(char::is_control) {
            return Err(RegistryError::Invalid(
                "a key's label is one line of 200 bytes at most".to_owned(),
            ));
        }
        Ok(Self {
            owner: owner.clone(),
            label: label.to_owned(),
            scopes,
            expires_at,
            token: token_hash(token.reveal()),
            prefix: prefix(token.reveal()),
        })
    }
}

/// So little of a key that the rest is as hard to guess as ever: four letters, of keys from here behind their `haul_`.
fn prefix(token: &str) -> String {
    let shown = if token.starts_with("haul_") { 9 } else { 4 };
    token.chars().take(shown).collect()
}

fn insert(transaction: &Transaction<'_>, new: NewKey, now: Timestamp) -> Result<ApiKey, RegistryError> {
    ensure_owner(transaction, &new.owner, now)?;
    let owner_key = owner_key(&new.owner);
    let owner =
        owner_named(transaction, &owner_key)?.ok_or_else(|| RegistryError::not_found("owner", &new.owner))?;
    let id = next_number(transaction, "key")?;
    let added = transaction.execute(
        "INSERT INTO keys (id, token, owner, label, scopes, prefix, created_at, expires_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (token) DO NOTHING",
        params![
            signed(id),
            new.token,
            owner_key,
            new.label,
            json(&new.scopes)?,
            new.prefix,
            millis(now),
            new.expires_at.map(millis),
        ],
    )?;
    if added == 0 {
        return Err(RegistryError::Exists {
            what: "a key beginning with",
            name: new.prefix,
        });
    }
    check_count(transaction, &owner_key)?;
    Ok(ApiKey {
        id: KeyId(id),
        owner,
        label: new.label,
        scopes: new.scopes,
        created_at: now,
        used_at: None,
        expires_at: new.expires_at,
        prefix: new.prefix,
    })
}

fn check_count(transaction: &Transaction<'_>, owner: &str) -> Result<(), RegistryError> {
    let count: i64 = transaction.query_row("SELECT count(*) FROM keys WHERE owner = ?1", [owner], |row| {
        row.get(0)
    })?;
    match count > MOST_KEYS {
        true => Err(RegistryError::Invalid(
            "an owner has 100 keys at most; revoke one".to_owned(),
        )),
        false => Ok(()),
    }
}

const SELECT: &str = "SELECT keys.id, owners.name, keys.label, keys.scopes, keys.created_at, keys.used_at,
    keys.expires_at, keys.prefix FROM keys JOIN owners ON owners.key = keys.owner";

struct Columns {
    id: i64,
    owner: String,
    label: String,
    scopes: String,
    created_at: i64,
    used_at: Option<i64>,
    expires_at: Option<i64>,
    prefix: String,
}

fn columns(row: &Row<'_>) -> rusqlite::Result<Columns> {
    Ok(Columns {
        id: row.get(0)?,
        owner: row.get(1)?,
        label: row.get(2)?,
        scopes: row.get(3)?,
        created_at: row.get(4)?,
        used_at: row.get(5)?,
        expires_at: row.get(6)?,
        prefix: row.get(7)?,
    })
}

impl Columns {
    fn key(self) -> Result<ApiKey, RegistryError> {
        Ok(ApiKey {
            id: KeyId(unsigned(self.id)),
            owner: checked(self.owner)?,
            label: self.label,
            scopes: from_json(&self.scopes)?,
            created_at: instant(self.created_at),
            used_at: self.used_at.map(instant),
            expires_at: self.expires_at.map(instant),
            prefix: self.prefix,
        })
    }
}

fn find(transaction: &Transaction<'_>, token: &str, now: Timestamp) -> Result<Option<ApiKey>, RegistryError> {
    let found = transaction
        .prepare_cached(&format!(
            "{SELECT} LEFT JOIN accounts ON accounts.owner = keys.owner
             WHERE keys.token = ?1 AND (keys.expires_at IS NULL OR keys.expires_at > ?2)
             AND (accounts.is_disabled IS NULL OR accounts.is_disabled = 0)"
        ))?
        .query_row(params![token, millis(now)], columns)
        .optional()?;
    found.map(Columns::key).transpose()
}

fn of_owner(transaction: &Transaction<'_>, owner: &OwnerName, key: KeyId) -> Result<ApiKey, RegistryError> {
    let found = transaction
        .prepare_cached(&format!("{SELECT} WHERE keys.owner = ?1 AND keys.id = ?2"))?
        .query_row(params![owner_key(owner), signed(key.0)], columns)
        .optional()?;
    found.ok_or_else(|| RegistryError::not_found("key", key.0))?.key()
}
