use std::io::Read;
use std::time::SystemTime;

use anyhow::Result;
use model::Timestamp;
use registry::{AccountChange, KeyId, NewAccount, Registry, Scope, Secret};

use crate::cli::{Account, Key, May};
use crate::config::Config;
use crate::data_folder::DataFolder;
use crate::exit::{Exit, Usage};
use crate::output::{self, Output};
use crate::scrapers;

/// Adds and lists people who sign in.
pub(crate) async fn accounts(config: &Config, output: Output, action: Account) -> Result<Exit> {
    let registry = registry(config)?;
    match action {
        Account::Add {
            name,
            email,
            operator,
        } => {
            let new = NewAccount {
                name: name.clone(),
                email,
                password: Some(secret_from_stdin("password")?),
                is_operator: operator,
            };
            registry.add_account(new, now()).await?;
            output::say(&format!("{name} can sign in"));
        }
        Account::List => {
            for account in registry.accounts().await? {
                if output.json {
                    output.json(&account)?;
                } else {
                    let role = if account.is_operator { "operator" } else { "person" };
                    let state = if account.is_disabled { ", disabled" } else { "" };
                    output.line(&format!("{:<30} {role}{state}", account.name))?;
                }
            }
        }
        Account::Password { name } => {
            registry
                .set_password(&name, secret_from_stdin("password")?)
                .await?;
            output::say(&format!("{name} has another password, and must sign in again"));
        }
        Account::Disable { name } => {
            let change = AccountChange {
                is_disabled: Some(true),
                ..AccountChange::default()
            };
            registry.change_account(&name, change).await?;
            output::say(&format!("{name} signs in no more"));
        }
    }
    Ok(Exit::Done)
}

/// Makes, lists and ends keys.
pub(crate) async fn keys(config: &Config, output: Output, action: Key) -> Result<Exit> {
    let registry = registry(config)?;
    match action {
        Key::Issue { owner, label, scope } => {
            let scopes = scope.into_iter().map(scope_of).collect();
            let issued = registry.issue_key(&owner, &label, scopes, None, now()).await?;
            output::say("keep it well: it is shown this once");
            output.line(issued.token.reveal())?;
        }
        Key::List { owner } => {
            for key in registry.keys(&owner).await? {
                if output.json {
                    output.json(&key)?;
                } else {
                    let scopes: Vec<_> = key
                        .scopes
                        .iter()
                        .map(|scope| format!("{scope:?}").to_lowercase())
                        .collect();
                    output.line(&format!(
                        "{:<6} {}...  {:<20} {}",
                        key.id.0,
                        key.prefix,
                        scopes.join(","),
                        key.label
                    ))?;
                }
            }
        }
        Key::Revoke { owner, key } => {
            registry.revoke_key(&owner, KeyId(key)).await?;
            output::say(&format!("key {key} of {owner} works no more"));
        }
    }
    Ok(Exit::Done)
}

fn scope_of(may: May) -> Scope {
    match may {
        May::Data => Scope::Data,
        May::Run => Scope::Run,
        May::Manage => Scope::Manage,
    }
}

pub(super) fn registry(config: &Config) -> Result<Registry> {
    scrapers::open_registry(config, &DataFolder::create(&config.data)?)
}

pub(super) fn now() -> Timestamp {
    Timestamp::from(SystemTime::now())
}

/// Reads a secret, which may have several lines, without the end of its last one, so that it stands in no list of processes and in no shell history.
pub(super) fn secret_from_stdin(what: &str) -> Result<Secret> {
    let mut text = String::new();
    std::io::stdin().take(64 << 10).read_to_string(&mut text)?;
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() {
        return Err(Usage(format!(
            "write the {what} to stdin, such as from a file: < {what}.txt"
        ))
        .into());
    }
    Ok(Secret::new(text))
}
