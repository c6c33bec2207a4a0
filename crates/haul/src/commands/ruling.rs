use anyhow::{Result, bail};
use crawldb::{Approval, CrawlStatus, Decision, Item, ItemState, Ruling, Scan, Source};
use ledger::{Ledger, LedgerError};
use model::{CrawlId, ItemId, SourceId};
use serde_json::json;

use crate::assembly::{Company, Stores};
use crate::cli::{Because, Chosen, Escalation, Orphan};
use crate::commands::crawl::now;
use crate::config::Config;
use crate::data_folder::DataFolder;
use crate::exit::{Exit, NoSource};
use crate::output::{self, Output};

/// Items that are read at a time.
const PAGE: usize = 1_000;

/// Lists escalated items, and carries out what a person decides about them. Needs no lock.
pub(crate) async fn escalations(config: &Config, output: Output, action: Escalation) -> Result<Exit> {
    let ledger = open(config)?;
    let states = [ItemState::Escalated, ItemState::Ignored];
    match action {
        Escalation::List { source } => list(&ledger, output, source, &states).await,
        Escalation::Requeue(chosen) => decide(&ledger, Decision::Requeue, chosen, &states).await,
        Escalation::Ignore(chosen) => decide(&ledger, Decision::Ignore, chosen, &states[..1]).await,
        Escalation::Delete(chosen) => decide(&ledger, Decision::Delete, chosen, &states).await,
    }
}

/// Lists candidates for deletion, and carries out what a person decides about them. Needs no lock.
pub(crate) async fn orphans(config: &Config, output: Output, action: Orphan) -> Result<Exit> {
    let ledger = open(config)?;
    let states = [ItemState::OrphanCandidate];
    match action {
        Orphan::List { source } => {
            let blocked = blocked_crawls(&ledger, output, source.clone()).await?;
            let listed = list(&ledger, output, source, &states).await?;
            Ok(if blocked > 0 { Exit::Done } else { listed })
        }
        Orphan::Approve { crawl, because } => approve(&ledger, &CrawlId::new(crawl)?, because).await,
        Orphan::Keep(chosen) => decide(&ledger, Decision::Keep, chosen, &states).await,
        Orphan::Delete(chosen) => decide(&ledger, Decision::Delete, chosen, &states).await,
    }
}

fn open(config: &Config) -> Result<Ledger> {
    let folder = DataFolder::existing(&config.data)?;
    Ok(Stores::open(&folder, config, Company::Shared)?.ledger)
}

async fn chosen_sources(ledger: &Ledger, source: Option<String>) -> Result<Vec<Source>> {
    let Some(source) = source else {
        return Ok(ledger.crawldb().sources().await?);
    };
    let id = SourceId::new(source)?;
    match ledger.crawldb().source(&id).await? {
        Some(source) => Ok(vec![source]),
        None => bail!(NoSource(id)),
    }
}

async fn list(ledger: &Ledger, output: Output, source: Option<String>, states: &[ItemState]) -> Result<Exit> {
    let mut found = false;
    for source in chosen_sources(ledger, source).await? {
        let mut pages = Pages::new(&source.id, states);
        while let Some(items) = pages.next(ledger).await? {
            found = true;
            items.iter().try_for_each(|item| write(output, item))?;
        }
    }
    Ok(if found { Exit::Done } else { Exit::Nothing })
}

fn write(output: Output, item: &Item) -> Result<()> {
    if output.json {
        return output.json(item);
    }
    let error = item
        .last_error
        .as_ref()
        .map_or("", |error| error.message.as_str());
    let missed = item
        .orphan
        .as_ref()
        .map(|orphan| format!("missed by {} crawls", orphan.misses));
    let why = missed.as_deref().unwrap_or(error);
    let ignored = if item.state == ItemState::Ignored {
        " (ignored)"
    } else {
        ""
    };
    output.line(&format!("{} {}{ignored}  {why}", item.source, item.id))
}

async fn blocked_crawls(ledger: &Ledger, output: Output, source: Option<String>) -> Result<usize> {
    let mut blocked = 0;
    for source in chosen_sources(ledger, source).await? {
        let newest = ledger.crawldb().crawls(Some(&source.id), 1).await?.pop();
        let Some(crawl) = newest.filter(|crawl| crawl.status == CrawlStatus::Blocked) else {
            continue;
        };
        blocked += 1;
        let why = crawl.orphans.blocked.as_deref().unwrap_or_default();
        let waits = match &crawl.orphans.approval {
            None => "waits for a word".to_owned(),
            Some(approval) => format!("is approved by {}, and not yet carried out", approval.by),
        };
        match output.json {
            true => output.json(&json!({ "blocked": crawl.id, "orphans": crawl.orphans }))?,
            false => output.line(&format!("crawl {} {waits}: {why}", crawl.id))?,
        }
    }
    Ok(blocked)
}

async fn approve(ledger: &Ledger, crawl: &CrawlId, because: Because) -> Result<Exit> {
    let approval = Approval {
        by: because.by,
        reason: because.reason,
        at: now(),
    };
    match ledger.approve(crawl, &approval).await {
        Ok(_) => output::say(&format!(
            "approved; haul up, haul serve or haul source carries it out, or: haul crawl {}",
            crawl.source()
        )),
        Err(LedgerError::Refused(why)) => bail!(why),
        Err(error) => return Err(error.into()),
    }
    Ok(Exit::Done)
}

/// Carries out the decision for the items that are named, or for all that are listed; says which did not fit.
async fn decide(ledger: &Ledger, decision: Decision, chosen: Chosen, states: &[ItemState]) -> Result<Exit> {
    let source = SourceId::new(chosen.source)?;
    if ledger.crawldb().source(&source).await?.is_none() {
        bail!(NoSource(source));
    }
    let ruling = Ruling {
        decision,
        reason: chosen.because.reason,
        by: chosen.because.by,
        at: now(),
    };
    let mut done = Tally::default();
    if chosen.items.is_empty() {
        let mut pages = Pages::new(&source, states);
        while let Some(items) = pages.next(ledger).await? {
            for item in items {
                done.add(ledger.rule(&source, &item.id, &ruling, now()).await)?;
            }
        }
    }
    for item in chosen.items {
        done.add(ledger.rule(&source, &ItemId::new(item)?, &ruling, now()).await)?;
    }
    if done.decided == 0 && done.refused == 0 {
        output::say(&format!("no item of {source} waits for that"));
        return Ok(Exit::Nothing);
    }
    output::say(&format!(
        "{} items decided, {} refused",
        done.decided, done.refused
    ));
    Ok(if done.refused > 0 {
        Exit::Failed
    } else {
        Exit::Done
    })
}

#[derive(Default)]
struct Tally {
    decided: u64,
    refused: u64,
}

impl Tally {
    fn add(&mut self, ruled: Result<Item, LedgerError>) -> Result<()> {
        match ruled {
            Ok(_) => self.decided += 1,
            Err(LedgerError::Refused(why)) => {
                output::say(&why);
                self.refused += 1;
            }
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }
}

/// Items in some states, some at a time.
struct Pages<'a> {
    source: &'a SourceId,
    states: &'a [ItemState],
    after: Option<ItemId>,
}

impl<'a> Pages<'a> {
    fn new(source: &'a SourceId, states: &'a [ItemState]) -> Self {
        Self {
            source,
            states,
            after: None,
        }
    }

    async fn next(&mut self, ledger: &Ledger) -> Result<Option<Vec<Item>>> {
        let scan = Scan {
            states: self.states,
            after: self.after.as_ref(),
            ..Scan::all(self.source, PAGE)
        };
        let items = ledger.crawldb().items(&scan).await?;
        self.after = items.last().map(|last| last.id.clone());
        Ok(self.after.is_some().then_some(items))
    }
}
