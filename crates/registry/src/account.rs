use model::{OwnerName, Timestamp};
use rusqlite::{OptionalExtension, Row, Transaction, params};
use serde::Serialize;

use crate::columns::{checked, instant, owner_key};
use crate::database::{Registry, RegistryError};
use crate::letter::digest_day;
use crate::owner::ensure_owner;
use crate::password::check_password;
use crate::secret::Secret;

/// Bytes of a mail address at most (RFC 5321).
const MOST_EMAIL_BYTES: usize = 254;

/// Somebody to be let in.
pub struct NewAccount {
    /// The name to sign in with, and of what they own.
    pub name: OwnerName,
    /// Where mail goes.
    pub email: Option<String>,
    /// 12 bytes at least; none: they sign in with an identity only.
    pub password: Option<Secret>,
    /// Whether they may do everything, with everything.
    pub is_operator: bool,
}

/// Somebody who may sign in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Account {
    /// The name to sign in with, and of what they own.
    pub name: OwnerName,
    /// Where mail goes.
    pub email: Option<String>,
    /// Whether they may do everything, with everything.
    pub is_operator: bool,
    /// Whether they may not sign in any more.
    pub is_disabled: bool,
    /// Whether there is a password.
    pub has_password: bool,
    /// Whether they want mail about their scrapers.
    pub wants_mail: bool,
    /// When it was made.
    pub created_at: Timestamp,
}

/// What is to be different about an account; what is none stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountChange {
    /// Where mail goes; some of none: nowhere.
    pub email: Option<Option<String>>,
    /// Whether they want mail about their scrapers.
    pub wants_mail: Option<bool>,
    /// Whether they may do everything, with everything.
    pub is_operator: Option<bool>,
    /// Whether they may not sign in any more.
    pub is_disabled: Option<bool>,
}

impl AccountChange {
    fn applied_to(self, account: Account) -> Account {
        Account {
            email: self.email.unwrap_or(account.email),
            wants_mail: self.wants_mail.unwrap_or(account.wants_mail),
            is_operator: self.is_operator.unwrap_or(account.is_operator),
            is_disabled: self.is_disabled.unwrap_or(account.is_disabled),
            ..account
        }
    }
}

impl Registry {
    /// Makes an account (and its owner, unless scrapers were put under that name before). `Exists` where the name is taken, `Invalid` for a short password.
    pub async fn add_account(&self, new: NewAccount, now: Timestamp) -> Result<Account, RegistryError> {
        check_email(new.email.as_deref())?;
        let password = match new.password.clone() {
            Some(password) => Some(self.hash_password(password).await?),
            None => None,
        };
        self.write(move |transaction| {
            ensure_owner(transaction, &new.name, now)?;
            if !insert(transaction, &new, password.as_deref(), now)? {
                return Err(RegistryError::Exists {
                    what: "an owner called",
                    name: new.name.to_string(),
                });
            }
            load(transaction, &owner_key(&new.name))
        })
        .await
    }

    /// All accounts, by name.
    pub async fn accounts(&self) -> Result<Vec<Account>, RegistryError> {
        self.read(|transaction| {
            let mut statement = transaction.prepare(&format!("{SELECT} ORDER BY accounts.owner"))?;
            let rows = statement.query_map([], columns)?.collect::<Result<Vec<_>, _>>()?;
            rows.into_iter().map(account).collect()
        })
        .await
    }

    /// The account with this name (case does not matter).
    pub async fn account(&self, name: &OwnerName) -> Result<Account, RegistryError> {
        let key = owner_key(name);
        self.read(move |transaction| load(transaction, &key)).await
    }

    /// Changes what `change` says, whatever was read before; a disabled account's sessions end, and its keys do not work. Refused (`Invalid`) where no operator
    /// would be left.
    pub async fn change_account(
        &self,
        name: &OwnerName,
        change: AccountChange,
    ) -> Result<Account, RegistryError> {
        check_email(change.email.as_ref().and_then(Option::as_deref))?;
        let key = owner_key(name);
        self.write(move |transaction| {
            let before = load(transaction, &key)?;
            let was_active_operator = is_active_operator(&before);
            let account = change.applied_to(before);
            transaction.execute(
                "UPDATE accounts SET email = ?2, wants_mail = ?3, is_operator = ?4, is_disabled = ?5 WHERE owner = ?1",
                params![
                    key,
                    account.email,
                    i64::from(account.wants_mail),
                    i64::from(account.is_operator),
                    i64::from(account.is_disabled)
                ],
            )?;
            if account.is_disabled {
                end_sessions(transaction, &key)?;
            }
            if was_active_operator && !is_active_operator(&account) {
                must_have_operator(transaction)?;
            }
            Ok(account)
        })
        .await
    }

    /// Sets another password; every session of the account ends.
    pub async fn set_password(&self, name: &OwnerName, password: Secret) -> Result<(), RegistryError> {
        let hash = self.hash_password(password).await?;
        let name = name.clone();
        self.write(move |transaction| {
            let key = owner_key(&name);
            let changed = transaction.execute(
                "UPDATE accounts SET password = ?2 WHERE owner = ?1",
                [&key, &hash],
            )?;
            end_sessions(transaction, &key)?;
            match changed {
                0 => Err(RegistryError::not_found("account", &name)),
                _ => Ok(()),
            }
        })
        .await
    }

    async fn hash_password(&self, password: Secret) -> Result<String, RegistryError> {
        check_password(&password)?;
        self.hashing(move || crate::password::hash(&password)).await
    }
}

/// A person's row: false where there is an account already, or the owner is an organisation.
pub(crate) fn insert(
    transaction: &Transaction<'_>,
    new: &NewAccount,
    password: Option<&str>,
    now: Timestamp,
) -> Result<bool, RegistryError> {
    let added = transaction.execute(
        "INSERT INTO accounts (owner, email, password, is_operator, is_disabled, wants_mail, digest_day)
         SELECT key, CAST(?2 AS TEXT), CAST(?3 AS TEXT), CAST(?4 AS BIGINT), 0, 1, CAST(?5 AS BIGINT) FROM owners WHERE key = ?1 AND kind = 'person'
         ON CONFLICT (owner) DO NOTHING",
        params![
            owner_key(&new.name),
            new.email,
            password,
            i64::from(new.is_operator),
            digest_day(now)
        ],
    )?;
    Ok(added == 1)
}

const SELECT: &str = "SELECT owners.name, accounts.email, accounts.is_operator, accounts.is_disabled,
    CASE WHEN accounts.password IS NULL THEN 0 ELSE 1 END, accounts.wants_mail, owners.created_at
    FROM accounts JOIN owners ON owners.key = accounts.owner";

/// The account with this key.
pub(crate) fn load(transaction: &Transaction<'_>, key: &str) -> Result<Account, RegistryError> {
    let row = transaction
        .prepare_cached(&format!("{SELECT} WHERE accounts.owner = ?1"))?
        .query_row([key], columns)
        .optional()?;
    account(row.ok_or_else(|| RegistryError::not_found("account", key))?)
}

/// Ends every session of an account.
fn end_sessions(transaction: &Transaction<'_>, key: &str) -> Result<(), RegistryError> {
    transaction.execute("DELETE FROM sessions WHERE account = ?1", [key])?;
    Ok(())
}

type Columns = (String, Option<String>, bool, bool, bool, bool, i64);

fn columns(row: &Row<'_>) -> rusqlite::Result<Columns> {
    let flag = |column: usize| Ok::<_, rusqlite::Error>(row.get::<_, i64>(column)? != 0);
    Ok((
        row.get(0)?,
        row.get(1)?,
        flag(2)?,
        flag(3)?,
        flag(4)?,
        flag(5)?,
        row.get(6)?,
    ))
}

fn account(columns: Columns) -> Result<Account, RegistryError> {
    let (name, email, is_operator, is_disabled, has_password, wants_mail, created_at) = columns;
    Ok(Account {
        name: checked(name)?,
        email,
        is_operator,
        is_disabled,
        has_password,
        wants_mail,
        created_at: instant(created_at),
    })
}

fn is_active_operator(account: &Account) -> bool {
    account.is_operator && !account.is_disabled
}

fn must_have_operator(transaction: &Transaction<'_>) -> Result<(), RegistryError> {
    let mut statement =
        transaction.prepare("SELECT 1 FROM accounts WHERE is_operator = 1 AND is_disabled = 0")?;
    match statement.exists([])? {
        true => Ok(()),
        false => Err(RegistryError::Invalid(
            "this is the last operator; make another account an operator first".to_owned(),
        )),
    }
}

/// Enough that a letter cannot be turned into something else; whether the address exists, mail shows.
pub(crate) fn check_email(email: Option<&str>) -> Result<(), RegistryError> {
    let Some(email) = email else { return Ok(()) };
    let has_name_and_host = email
        .split_once('@')
        .is_some_and(|(name, host)| !name.is_empty() && !host.is_empty() && !host.contains('@'));
    let is_plain = !email
        .chars()
        .any(|letter| letter.is_control() || letter.is_whitespace() || "<>,;".contains(letter));
    match has_name_and_host && is_plain && email.len() <= MOST_EMAIL_BYTES {
        true => Ok(()),
        false => Err(RegistryError::Invalid(format!(
            "{email:?} is no mail address; write name@example.org"
        ))),
    }
}
