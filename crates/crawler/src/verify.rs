//! Asks the source for single items that a crawl missed.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use crawldb::{Item, Scope, Source};
use ledger::{Presence, Verify};
use rustc_hash::FxHashMap;

use crate::fetch::{FetchError, Probed, Request};
use crate::gate::Gate;
use crate::reach::Reach;
use crate::run::Shared;

/// Asks one source, as politely as a crawl of it does.
pub(crate) struct Verifier {
    shared: Arc<Shared>,
    source: Source,
    reach: Reach,
    gates: Mutex<FxHashMap<Scope, Arc<Gate>>>,
}

impl Verifier {
    pub(crate) fn new(shared: Arc<Shared>, source: Source, reach: Reach) -> Self {
        Self {
            shared,
            source,
            reach,
            gates: Mutex::default(),
        }
    }

    fn gate(&self, scope: &Scope) -> Arc<Gate> {
        let mut gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        let delay = Duration::from_millis(self.source.settings.site.delay_ms);
        let gate = gates
            .entry(scope.clone())
            .or_insert_with(|| Arc::new(Gate::new(&self.shared, delay)));
        Arc::clone(gate)
    }

    async fn ask(&self, item: &Item) -> Presence {
        let gate = self.gate(&item.scope);
        if let Err(unknown) = self.obey_robots(item, &gate).await {
            return unknown;
        }
        if let Some(error) = gate.given_up() {
            return Presence::Unknown(error.message.clone());
        }
        gate.turn().await;
        let Ok(_permit) = self.shared.connections.acquire().await else {
            return Presence::Unknown("the crawler is stopping".to_owned());
        };
        let probed = match &self.reach.bucket {
            Some(bucket) => bucket.probe(&item.url).await,
            None => self.reach.fetcher.probe(&self.request(item)).await,
        };
        match &probed {
            Err(error) if error.blames_host() => gate.failed(&self.shared, error),
            _ => gate.answered(),
        }
        presence(item, probed)
    }

    async fn obey_robots(&self, item: &Item, gate: &Gate) -> Result<(), Presence> {
        if !self.source.settings.site.obey_robots || self.reach.bucket.is_some() {
            return Ok(());
        }
        let rules = self.reach.robots.rules(&self.reach.fetcher, &item.url).await;
        let rules = rules.map_err(|error| Presence::Unknown(error.message))?;
        if let Some(delay) = rules.crawl_delay() {
            gate.keep_apart(delay.min(self.shared.options.max_crawl_delay));
        }
        match rules.allows(&item.url) {
            true => Ok(()),
            false => Err(Presence::Unknown("robots.txt disallows it".to_owned())),
        }
    }

    fn request<'a>(&self, item: &'a Item) -> Request<'a> {
        Request {
            url: &item.url,
            etag: item.etag.as_deref(),
            last_modified: item.last_modified.as_deref(),
            max_bytes: 0,
            unwanted: |_, _, _| None,
            now: self.shared.options.clock.now(),
        }
    }
}

#[async_trait]
impl Verify for Verifier {
    async fn verify(&self, item: &Item) -> Option<Presence> {
        let presence = self.ask(item).await;
        self.shared.metrics.verified(match &presence {
            Presence::Present => "present",
            Presence::Gone(_) => "gone",
            Presence::Unknown(_) => "unknown",
        });
        Some(presence)
    }
}

fn presence(item: &Item, probed: Result<Probed, FetchError>) -> Presence {
    match probed {
        Ok(Probed::There) => Presence::Present,
        Ok(Probed::Gone(reason)) => Presence::Gone(reason),
        Ok(Probed::Moved(target)) => moved(item, &target),
        Ok(Probed::Elsewhere(target)) => Presence::Unknown(format!("it redirects to {target} for now")),
        Err(error) => Presence::Unknown(error.message),
    }
}

/// A page that redirects to itself, perhaps to be asked with a cookie, is not gone.
fn moved(item: &Item, target: &str) -> Presence {
    match item.url.join(target) {
        Ok(target) if target != item.url => Presence::Gone(format!("moved to {target}")),
        Ok(_) => Presence::Unknown("it redirects to itself".to_owned()),
        Err(error) => Presence::Unknown(format!("the redirect leads nowhere: {error}")),
    }
}
