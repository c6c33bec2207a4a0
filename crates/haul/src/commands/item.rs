use anyhow::{Context, Result};
use crawldb::{Item, ItemState, Scan};
use model::{ItemId, SourceId};

use crate::assembly;
use crate::cli;
use crate::config::Config;
use crate::data_folder::DataFolder;
use crate::exit::Exit;
use crate::output::Output;

/// Lists items; needs no lock.
pub(crate) async fn run(config: &Config, output: Output, action: cli::Item) -> Result<Exit> {
    let cli::Item::List {
        source,
        state,
        limit,
        after,
    } = action;
    let source = SourceId::new(source)?;
    let states: Vec<ItemState> = state
        .iter()
        .map(|name| parse_state(name))
        .collect::<Result<_>>()?;
    let after = after.map(ItemId::new).transpose()?;
    let crawldb = assembly::open_crawldb(&DataFolder::existing(&config.data)?, config)?;
    let scan = Scan {
        states: &states,
        after: after.as_ref(),
        ..Scan::all(&source, limit)
    };
    let items = crawldb.items(&scan).await?;
    for item in &items {
        if output.json {
            output.json(item)?;
        } else {
            output.line(&line(item))?;
        }
    }
    Ok(if items.is_empty() {
        Exit::Nothing
    } else {
        Exit::Done
    })
}

fn parse_state(name: &str) -> Result<ItemState> {
    let value = serde_json::Value::String(name.to_ascii_lowercase().replace('-', "_"));
    serde_json::from_value(value).with_context(|| {
        format!(
            "{name:?} is no state; use pending, in_flight, success, unchanged, failure, escalated, \
             ignored, orphan_candidate, deleting or deleted"
        )
    })
}

fn line(item: &Item) -> String {
    let state = serde_json::to_value(item.state).ok();
    let state = state
        .as_ref()
        .and_then(|state| state.as_str())
        .unwrap_or_default();
    let error = item
        .last_error
        .as_ref()
        .map(|error| format!("  {}", error.message))
        .unwrap_or_default();
    format!("{state:<10} {}{error}", item.id)
}
