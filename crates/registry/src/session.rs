//! Signing in, by password or as somebody whom another provider knows.

use std::time::Duration;

use model::{OwnerName, Timestamp};
use rusqlite::{OptionalExtension, Transaction, params};
use serde::{Deserialize, Serialize};

use crate::account::{self, Account, NewAccount};
use crate::columns::{instant, millis, owner_key};
use crate::database::{Registry, RegistryError};
use crate::owner::ensure_owner;
use crate::secret::Secret;
use crate::token::{random_token, token_hash};

/// How long somebody stays signed in who does not come back.
const SESSION: Duration = Duration::from_secs(30 * 24 * 3600);

/// A session is prolonged no more often than this, so that reading pages does not write.
const PROLONG_EVERY: Duration = Duration::from_secs(3600);

/// Wrong tries in a row after which the next ones wait.
const FREE_TRIES: u32 = 10;

/// The longest wait after a wrong try.
const LONGEST_WAIT: Duration = Duration::from_secs(15 * 60);

/// Wrong tries are forgotten so long after the last one.
const REMEMBER_TRIES: Duration = Duration::from_secs(3600);

/// Who somebody is at another provider (OAuth 2, OpenID Connect).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The provider, as the configuration calls it.
    pub provider: String,
    /// What never changes of them there (`sub`, GitHub's id).
    pub subject: String,
}

/// What signing in brought.
#[derive(Debug)]
pub enum SignIn {
    /// A session: its token, which is for a cookie and is not kept here.
    Done(Secret, Account),
    /// Name or password is wrong.
    Wrong,
    /// Too many tries; again at this time.
    TooMany(Timestamp),
}

/// Somebody who is signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Who.
    pub account: Account,
    /// Until when, unless they come back.
    pub expires_at: Timestamp,
}

impl Registry {
    /// Signs in with a password (argon2id; the same work whether or not the account exists). After ten wrong tries in a row for one name, whether or not
    /// it exists, the next ones wait: a minute, two, four, at most 15.
    pub async fn sign_in(
        &self,
        name: &str,
        password: Secret,
        now: Timestamp,
    ) -> Result<SignIn, RegistryError> {
        let Ok(name) = OwnerName::new(name) else {
            self.hashing(move || crate::password::is_right(&password, None))
                .await?;
            return Ok(SignIn::Wrong);
        };
        let key = owner_key(&name);
        let begun = key.clone();
        let hash = match self
            .write(move |transaction| begin_try(transaction, &begun, now))
            .await?
        {
            Try::Begun(hash) => hash,
            Try::Blocked(until) => return Ok(SignIn::TooMany(until)),
        };
        let tried = hash.clone();
        let is_right = self
            .hashing(move || crate::password::is_right(&password, tried.as_deref()))
            .await?;
        match hash.filter(|_| is_right) {
            Some(hash) => {
                self.write(move |transaction| enter(transaction, &key, &hash, now))
                    .await
            }
            None => Ok(SignIn::Wrong),
        }
    }

    /// Signs in somebody whom a provider knows. Who comes the first time gets an account with the name `wanted`, or the next one like it that is free and
    /// not reserved, where `may_register`; else `NotFound`.
    pub async fn sign_in_as(
        &self,
        identity: Identity,
        wanted: &str,
        email: Option<String>,
        may_register: bool,
        is_reserved: fn(&str) -> bool,
        now: Timestamp,
    ) -> Result<(Secret, Account), RegistryError> {
        let wanted = wanted.to_owned();
        self.write(move |transaction| {
            let key = match known_identity(transaction, &identity)? {
                Some(key) => key,
                None if may_register => {
                    let name = free_name(transaction, &wanted, is_reserved)?;
                    register(transaction, &identity, name, email, now)?
                }
                None => return Err(RegistryError::not_found("account for", &wanted)),
            };
            let account = account::load(transaction, &key)?;
            if account.is_disabled {
                return Err(RegistryError::Invalid(format!(
                    "the account {key} is disabled; ask whoever operates this server"
                )));
            }
            Ok((begin_session(transaction, &key, now)?, account))
        })
        .await
    }

    /// Lets an account sign in with an identity too. `Exists` where the identity belongs to another account.
    pub async fn add_identity(&self, name: &OwnerName, identity: Identity) -> Result<(), RegistryError> {
        let key = owner_key(name);
        self.write(move |transaction| {
            account::load(transaction, &key)?;
            match known_identity(transaction, &identity)? {
                Some(known) if known == key => Ok(()),
                Some(known) => Err(RegistryError::Exists {
                    what: "this identity as the account",
                    name: known,
                }),
                None => insert_identity(transaction, &identity, &key),
            }
        })
        .await
    }

    /// Who this account is at other providers, by provider.
    pub async fn identities(&self, name: &OwnerName) -> Result<Vec<Identity>, RegistryError> {
        let key = owner_key(name);
        self.read(move |transaction| {
            let mut statement = transaction.prepare_cached(
                "SELECT provider, subject FROM identities WHERE account = ?1 ORDER BY provider, subject",
            )?;
            let identities = statement.query_map([key], |row| {
                Ok(Identity {
                    provider: row.get(0)?,
                    subject: row.get(1)?,
                })
            })?;
            Ok(identities.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Takes an identity from an account, which can no longer sign in with it; sessions go on. `NotFound` where it is not this account's, `Invalid` where no
    /// way in would be left: an account without a password keeps its last identity.
    pub async fn remove_identity(&self, name: &OwnerName, identity: Identity) -> Result<(), RegistryError> {
        let key = owner_key(name);
        self.write(move |transaction| {
            let removed = transaction.execute(
                "DELETE FROM identities WHERE provider = ?1 AND subject = ?2 AND account = ?3",
                [&identity.provider, &identity.subject, &key],
            )?;
            if removed == 0 {
                return Err(RegistryError::not_found("identity at", &identity.provider));
            }
            let has_others = transaction
                .prepare_cached("SELECT 1 FROM identities WHERE account = ?1")?
                .exists([&key])?;
            match has_others || account::load(transaction, &key)?.has_password {
                true => Ok(()),
                false => Err(RegistryError::Invalid(
                    "this is the only way in; set a password first".to_owned(),
                )),
            }
        })
        .await
    }

    /// Whose session this token is; it is prolonged.
    pub async fn session(&self, token: &Secret, now: Timestamp) -> Result<Option<Session>, RegistryError> {
        let token = token_hash(token.reveal());
        let wanted = token.clone();
        let found = self
            .read(move |transaction| find_session(transaction, &wanted, now))
            .await?;
        let Some(session) = found else { return Ok(None) };
        let expires_at = now.after(SESSION);
        if expires_at.since(session.expires_at) < PROLONG_EVERY {
            return Ok(Some(session));
        }
        self.write(move |transaction| {
            transaction.execute(
                "UPDATE sessions SET expires_at = ?2 WHERE token = ?1",
                params![token, millis(expires_at)],
            )?;
            Ok(())
        })
        .await?;
        Ok(Some(Session {
            expires_at,
            ..session
        }))
    }

    /// Ends a session.
    pub async fn sign_out(&self, token: &Secret) -> Result<(), RegistryError> {
        let token = token_hash(token.reveal());
        self.write(move |transaction| {
            transaction.execute("DELETE FROM sessions WHERE token = ?1", [token])?;
            Ok(())
        })
        .await
    }
}

/// A try with a password.
enum Try {
    /// It may be made, against this hash.
    Begun(Option<String>),
    /// It may not, before this time.
    Blocked(Timestamp),
}

/// A try counts as wrong until it proves right, so that many at one time do not count as one.
fn begin_try(transaction: &Transaction<'_>, key: &str, now: Timestamp) -> Result<Try, RegistryError> {
    transaction.execute(
        "DELETE FROM tries WHERE last_at < ?1",
        [millis(now.before(REMEMBER_TRIES))],
    )?;
    let before: Option<(u32, i64)> = transaction
        .query_row(
            "SELECT wrong, blocked_until FROM tries WHERE name = ?1",
            [key],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()?;
    let (wrong, blocked_until) = before.unwrap_or_default();
    if blocked_until > millis(now) {
        return Ok(Try::Blocked(instant(blocked_until)));
    }
    let wrong = wrong.saturating_add(1);
    transaction.execute(
        "INSERT INTO tries (name, wrong, blocked_until, last_at) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (name) DO UPDATE
         SET wrong = excluded.wrong, blocked_until = excluded.blocked_until, last_at = excluded.last_at",
        params![key, wrong, millis(now.after(wait_after(wrong))), millis(now)],
    )?;
    let hash = transaction
        .query_row("SELECT password FROM accounts WHERE owner = ?1", [key], |row| {
            row.get(0)
        })
        .optional()?;
    Ok(Try::Begun(hash.flatten()))
}

/// A session for whoever knew the password with this hash, unless it was changed, or the account disabled, since it was looked at.
fn enter(
    transaction: &Transaction<'_>,
    key: &str,
    hash: &str,
    now: Timestamp,
) -> Result<SignIn, RegistryError> {
    let is_in_force = transaction
        .prepare("SELECT 1 FROM accounts WHERE owner = ?1 AND password = ?2 AND is_disabled = 0")?
        .exists([key, hash])?;
    if !is_in_force {
        return Ok(SignIn::Wrong);
    }
    transaction.execute("DELETE FROM tries WHERE name = ?1", [key])?;
    let account = account::load(transaction, key)?;
    Ok(SignIn::Done(begin_session(transaction, key, now)?, account))
}

/// Nothing up to the ninth wrong try, then a minute, doubled with each.
fn wait_after(wrong: u32) -> Duration {
    match wrong.checked_sub(FREE_TRIES) {
        None => Duration::ZERO,
        Some(more) => Duration::from_secs(60 << more.min(4)).min(LONGEST_WAIT),
    }
}

/// Sessions that nobody came back to go at the same time.
fn begin_session(transaction: &Transaction<'_>, key: &str, now: Timestamp) -> Result<Secret, RegistryError> {
    transaction.execute("DELETE FROM sessions WHERE expires_at <= ?1", [millis(now)])?;
    let token = random_token("");
    transaction.execute(
        "INSERT INTO sessions (token, account, expires_at) VALUES (?1, ?2, ?3)",
        params![token_hash(token.reveal()), key, millis(now.after(SESSION))],
    )?;
    Ok(token)
}

fn find_session(
    transaction: &Transaction<'_>,
    token: &str,
    now: Timestamp,
) -> Result<Option<Session>, RegistryError> {
    let found: Option<(String, i64)> = transaction
        .prepare_cached("SELECT account, expires_at FROM sessions WHERE token = ?1 AND expires_at > ?2")?
        .query_row(params![token, millis(now)], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((key, expires_at)) = found else {
        return Ok(None);
    };
    Ok(Some(Session {
        account: account::load(transaction, &key)?,
        expires_at: instant(expires_at),
    }))
}

fn known_identity(
    transaction: &Transaction<'_>,
    identity: &Identity,
) -> Result<Option<String>, RegistryError> {
    let key = transaction
        .query_row(
            "SELECT account FROM identities WHERE provider = ?1 AND subject = ?2",
            [&identity.provider, &identity.subject],
            |row| row.get(0),
        )
        .optional()?;
    Ok(key)
}

fn insert_identity(
    transaction: &Transaction<'_>,
    identity: &Identity,
    key: &str,
) -> Result<(), RegistryError> {
    transaction.execute(
        "INSERT INTO identities (provider, subject, account) VALUES (?1, ?2, ?3)",
        [&identity.provider, &identity.subject, key],
    )?;
    Ok(())
}

/// An account for somebody new, with a name that nothing belongs to yet.
fn register(
    transaction: &Transaction<'_>,
    identity: &Identity,
    name: OwnerName,
    email: Option<String>,
    now: Timestamp,
) -> Result<String, RegistryError> {
    let new = NewAccount {
        name,
        email: email.filter(|email| account::check_email(Some(email)).is_ok()),
        password: None,
        is_operator: false,
    };
    ensure_owner(transaction, &new.name, now)?;
    account::insert(transaction, &new, None, now)?;
    let key = owner_key(&new.name);
    insert_identity(transaction, identity, &key)?;
    Ok(key)
}

/// `wanted` without what names cannot have, or with the first number behind it that makes it free and not reserved.
fn free_name(
    transaction: &Transaction<'_>,
    wanted: &str,
    is_reserved: fn(&str) -> bool,
) -> Result<OwnerName, RegistryError> {
    let allowed = |letter: &char| letter.is_ascii_alphanumeric() || "-_".contains(*letter);
    let plain: String = wanted.chars().filter(allowed).take(80).collect();
    let plain = match plain.trim_start_matches(['-', '_']) {
        "" => "person",
        plain => plain,
    };
    let mut statement = transaction.prepare("SELECT 1 FROM owners WHERE key = ?1")?;
    for number in 1..10_000 {
        let name = match number {
            1 => plain.to_owned(),
            number => format!("{plain}-{number}"),
        };
        if !is_reserved(&name) && !statement.exists([name.to_ascii_lowercase()])? {
            return OwnerName::new(name).map_err(|error| RegistryError::Invalid(error.to_string()));
        }
    }
    Err(RegistryError::Exists {
        what: "an owner called",
        name: plain.to_owned(),
    })
}
