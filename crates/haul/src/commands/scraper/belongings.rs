use anyhow::Result;
use registry::{Event, SecretName, WebhookId};

use crate::cli::{On, SecretAction, WebhookAction};
use crate::commands::account::{now, registry, secret_from_stdin};
use crate::config::Config;
use crate::exit::Exit;
use crate::output::{self, Output};

/// Sets, lists and removes secrets.
pub(super) async fn secrets(config: &Config, output: Output, action: SecretAction) -> Result<Exit> {
    match action {
        SecretAction::Set { scraper, name } => {
            let name = SecretName::new(name)?;
            registry(config)?
                .set_secret(&scraper, &name, secret_from_stdin("value")?)
                .await?;
            output::say(&format!("{} is set for runs of {scraper}", name.as_str()));
        }
        SecretAction::List { scraper } => {
            for name in registry(config)?.secret_names(&scraper).await? {
                output.line(name.as_str())?;
            }
        }
        SecretAction::Rm { scraper, name } => {
            registry(config)?
                .remove_secret(&scraper, &SecretName::new(name)?)
                .await?;
        }
        SecretAction::RotateKey => rotate(config).await?,
    }
    Ok(Exit::Done)
}

/// A crash between the two steps leaves every secret readable.
async fn rotate(config: &Config) -> Result<()> {
    let registry = registry(config)?;
    let sealed = registry.rotate_sealing_key().await?;
    let dropped = registry.drop_unused_keys().await?;
    output::say(&format!(
        "{sealed} secrets are sealed with a new key, {dropped} old keys are removed; a copy of the registry from before needs a copy of the keyring from before"
    ));
    Ok(())
}

/// Adds, lists and removes webhooks.
pub(super) async fn webhooks(config: &Config, output: Output, action: WebhookAction) -> Result<Exit> {
    let registry = registry(config)?;
    match action {
        WebhookAction::Add { scraper, url, on } => {
            let events = on.into_iter().map(event).collect();
            let (webhook, key) = registry.add_webhook(&scraper, &url, events, now()).await?;
            output::say(&format!(
                "webhook {}; its bodies are signed with this key, which is shown this once",
                webhook.id.0
            ));
            output.line(key.reveal())?;
        }
        WebhookAction::List { scraper } => {
            for webhook in registry.webhooks(&scraper).await? {
                let last = registry
                    .deliveries(&scraper, webhook.id)
                    .await?
                    .into_iter()
                    .next();
                if output.json {
                    output.json(&serde_json::json!({ "webhook": webhook, "last": last }))?;
                    continue;
                }
                let last = last.map_or_else(
                    || "never called".to_owned(),
                    |last| {
                        let answer = last.answer.unwrap_or_default();
                        format!("{:?} {answer}", last.state).to_lowercase()
                    },
                );
                output.line(&format!("{:<6} {}  {last}", webhook.id.0, webhook.url))?;
            }
        }
        WebhookAction::Rm { scraper, webhook } => {
            registry.remove_webhook(&scraper, WebhookId(webhook)).await?;
        }
    }
    Ok(Exit::Done)
}

fn event(on: On) -> Event {
    match on {
        On::Finished => Event::Finished,
        On::Failed => Event::Failed,
        On::Recovered => Event::Recovered,
        On::Changed => Event::Changed,
    }
}
