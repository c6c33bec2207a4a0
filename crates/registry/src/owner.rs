use model::{OwnerName, Timestamp};
use rusqlite::{OptionalExtension, Transaction, params};
use serde::{Deserialize, Serialize};

use crate::account::Account;
use crate::columns::{checked, instant, millis, owner_key};
use crate::database::{Registry, RegistryError};

/// Members of an organisation at most.
const MOST_MEMBERS: usize = 1000;

/// What an owner is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OwnerKind {
    /// Somebody who may sign in.
    Person,
    /// Several people.
    Organisation,
}

impl OwnerKind {
    fn from_column(text: &str) -> Result<Self, RegistryError> {
        match text {
            "person" => Ok(Self::Person),
            "organisation" => Ok(Self::Organisation),
            other => Err(RegistryError::Damaged(format!("an owner of the kind {other}"))),
        }
    }
}

/// Whoever scrapers belong to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Owner {
    /// The name, as it stands in addresses.
    pub name: OwnerName,
    /// What it is.
    pub kind: OwnerKind,
    /// When it was made.
    pub created_at: Timestamp,
    /// Of an organisation, who may do everything with what belongs to it.
    pub members: Vec<OwnerName>,
}

impl Registry {
    /// The owner with this name (case does not matter).
    pub async fn owner(&self, name: &OwnerName) -> Result<Owner, RegistryError> {
        let name = name.clone();
        self.read(move |transaction| {
            load(transaction, &owner_key(&name))?.ok_or_else(|| RegistryError::not_found("owner", &name))
        })
        .await
    }

    /// All organisations, by name.
    pub async fn organisations(&self) -> Result<Vec<Owner>, RegistryError> {
        self.read(organisations).await
    }

    /// The names of the organisations that an account belongs to, in order.
    pub async fn organisations_of(&self, member: &OwnerName) -> Result<Vec<OwnerName>, RegistryError> {
        let member = owner_key(member);
        self.read(move |transaction| {
            names(
                transaction,
                "SELECT owners.name FROM members JOIN owners ON owners.key = members.organisation
                 WHERE members.member = ?1 ORDER BY owners.key",
                &member,
            )
        })
        .await
    }

    /// Makes an organisation, or sets who belongs to it: people with accounts, 1000 at most.
    pub async fn set_organisation(
        &self,
        name: &OwnerName,
        members: Vec<OwnerName>,
        now: Timestamp,
    ) -> Result<Owner, RegistryError> {
        if members.len() > MOST_MEMBERS {
            return Err(RegistryError::Invalid(
                "an organisation has 1000 members at most".to_owned(),
            ));
        }
        let name = name.clone();
        self.write(move |transaction| {
            let key = owner_key(&name);
            make_organisation(transaction, &name, now)?;
            transaction.execute("DELETE FROM members WHERE organisation = ?1", [&key])?;
            for member in &members {
                add_member(transaction, &key, member)?;
            }
            load(transaction, &key)?.ok_or_else(|| RegistryError::not_found("owner", &name))
        })
        .await
    }

    /// Whether an account may change what belongs to `owner`: operators, the account itself, members of the organisation.
    pub async fn may_manage(&self, account: &Account, owner: &OwnerName) -> Result<bool, RegistryError> {
        let (member, owner) = (owner_key(&account.name), owner_key(owner));
        if account.is_operator || member == owner {
            return Ok(true);
        }
        self.read(move |transaction| {
            let mut statement = transaction
                .prepare_cached("SELECT 1 FROM members WHERE organisation = ?1 AND member = ?2")?;
            Ok(statement.exists([owner, member])?)
        })
        .await
    }
}

/// Makes a person of this name where there is no owner of it: whoever a scraper is to belong to.
pub(crate) fn ensure_owner(
    transaction: &Transaction<'_>,
    name: &OwnerName,
    now: Timestamp,
) -> Result<(), RegistryError> {
    transaction
        .prepare_cached(
            "INSERT INTO owners (key, name, kind, created_at) VALUES (?1, ?2, 'person', ?3)
             ON CONFLICT (key) DO NOTHING",
        )?
        .execute(params![owner_key(name), name.as_str(), millis(now)])?;
    Ok(())
}

fn make_organisation(
    transaction: &Transaction<'_>,
    name: &OwnerName,
    now: Timestamp,
) -> Result<(), RegistryError> {
    let kind: String = transaction.query_row(
        "INSERT INTO owners (key, name, kind, created_at) VALUES (?1, ?2, 'organisation', ?3)
         ON CONFLICT (key) DO UPDATE SET kind = owners.kind RETURNING kind",
        params![owner_key(name), name.as_str(), millis(now)],
        |row| row.get(0),
    )?;
    match OwnerKind::from_column(&kind)? {
        OwnerKind::Organisation => Ok(()),
        OwnerKind::Person => Err(RegistryError::Exists {
            what: "a person called",
            name: name.to_string(),
        }),
    }
}

fn add_member(
    transaction: &Transaction<'_>,
    organisation: &str,
    member: &OwnerName,
) -> Result<(), RegistryError> {
    let added = transaction
        .prepare_cached(
            "INSERT INTO members (organisation, member) SELECT CAST(?1 AS TEXT), owner FROM accounts WHERE owner = ?2
             ON CONFLICT (organisation, member) DO UPDATE SET member = excluded.member",
        )?
        .execute([organisation, &owner_key(member)])?;
    match added {
        0 => Err(RegistryError::not_found("account", member)),
        _ => Ok(()),
    }
}

fn load(transaction: &Transaction<'_>, key: &str) -> Result<Option<Owner>, RegistryError> {
    let found: Option<(String, String, i64)> = transaction
        .prepare_cached("SELECT name, kind, created_at FROM owners WHERE key = ?1")?
        .query_row([key], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    let Some((name, kind, created_at)) = found else {
        return Ok(None);
    };
    let members = names(
        transaction,
        "SELECT owners.name FROM members JOIN owners ON owners.key = members.member
         WHERE members.organisation = ?1 ORDER BY owners.key",
        key,
    )?;
    Ok(Some(Owner {
        name: checked(name)?,
        kind: OwnerKind::from_column(&kind)?,
        created_at: instant(created_at),
        members,
    }))
}

/// The names that a question about one owner finds.
fn names(transaction: &Transaction<'_>, sql: &str, key: &str) -> Result<Vec<OwnerName>, RegistryError> {
    let mut statement = transaction.prepare_cached(sql)?;
    let names = statement
        .query_map([key], |row| row.get::<_, String>(0))?
        .collect::<Result<Vec<_>, _>>()?;
    names.into_iter().map(checked).collect()
}

/// A row for each member, one after another.
fn organisations(transaction: &Transaction<'_>) -> Result<Vec<Owner>, RegistryError> {
    let mut statement = transaction.prepare_cached(
        "SELECT owners.name, owners.created_at, people.name FROM owners
         LEFT JOIN members ON members.organisation = owners.key LEFT JOIN owners AS people ON people.key = members.member
         WHERE owners.kind = 'organisation' ORDER BY owners.key, people.key",
    )?;
    let mut rows = statement.query([])?;
    let mut organisations: Vec<Owner> = Vec::new();
    while let Some(row) = rows.next()? {
        let name: OwnerName = checked(row.get(0)?)?;
        if organisations.last().is_none_or(|last| last.name != name) {
            organisations.push(Owner {
                name,
                kind: OwnerKind::Organisation,
                created_at: instant(row.get(1)?),
                members: Vec::new(),
            });
        }
        let member: Option<String> = row.get(2)?;
        if let (Some(last), Some(member)) = (organisations.last_mut(), member) {
            last.members.push(checked(member)?);
        }
    }
    Ok(organisations)
}
