//! A registry in memory, with a clock that the test holds.

use std::time::Duration;

use model::{Checksum, OwnerName, RunId, ScraperId, Timestamp};
use registry::{
    Asked, Capacity, Cause, Ended, Ending, Keyring, Lease, NewScraper, Origin, Outcome, Registry,
    RegistryError, Run, Scraper, ScraperSettings,
};

/// 2026-01-01T00:00:00Z.
pub(crate) const START: Timestamp = Timestamp::from_millis(1_767_225_600_000);
pub(crate) const ROOM: Capacity = Capacity {
    memory_mib: 4096,
    slots: 8,
};

pub(crate) struct World {
    pub(crate) registry: Registry,
    pub(crate) now: Timestamp,
}

pub(crate) fn id(text: &str) -> ScraperId {
    text.parse().unwrap()
}

pub(crate) fn person(name: &str) -> Cause {
    let by = OwnerName::new(name).unwrap();
    Cause::Person { by }
}

pub(crate) fn data(text: &str) -> Option<(Checksum, u64)> {
    Some((Checksum::of(text.as_bytes()), text.len() as u64))
}

pub(crate) fn ending(outcome: Outcome) -> Ending {
    Ending::new(outcome, "over")
}

impl World {
    pub(crate) fn new() -> Self {
        let registry = Registry::memory(Keyring::random()).unwrap();
        Self { registry, now: START }
    }

    pub(crate) fn wait(&mut self, seconds: u64) {
        self.now = self.now.after(Duration::from_secs(seconds));
    }

    pub(crate) async fn add(&self, name: &str, settings: ScraperSettings) -> ScraperId {
        let id = id(name);
        self.try_add(name, settings).await.unwrap();
        id
    }

    pub(crate) async fn try_add(
        &self,
        name: &str,
        settings: ScraperSettings,
    ) -> Result<Scraper, RegistryError> {
        let origin = Origin::Folder {
            path: "/srv/it".into(),
        };
        let new = NewScraper {
            id: id(name),
            origin,
            settings,
        };
        self.registry.add_scraper(new, self.now).await
    }

    pub(crate) async fn scraper(&self, id: &ScraperId) -> Scraper {
        self.registry.scraper(id).await.unwrap()
    }

    pub(crate) async fn run(&self, run: RunId) -> Run {
        self.registry.run(run).await.unwrap()
    }

    /// Asks for a run that must be a new one.
    pub(crate) async fn ask(&self, scraper: &ScraperId, cause: Cause) -> RunId {
        match self.registry.ask(scraper, cause, self.now).await.unwrap() {
            Asked::Queued(run) => run,
            Asked::Already(run) => panic!("run {run} is not over"),
        }
    }

    pub(crate) async fn admit(&self, worker: &str) -> Vec<Lease> {
        self.registry.admit(worker, ROOM, self.now).await.unwrap()
    }

    /// Admits the one run that waits.
    pub(crate) async fn lease(&self, worker: &str) -> Lease {
        let mut leases = self.admit(worker).await;
        assert_eq!(leases.len(), 1, "{leases:?}");
        leases.remove(0)
    }

    pub(crate) async fn finish(&self, lease: &Lease, outcome: Outcome) -> Ended {
        let finished = self
            .registry
            .finish(lease.run.id, lease.epoch, ending(outcome), None, self.now);
        finished.await.unwrap()
    }

    /// Runs the scraper once, from wish to end.
    pub(crate) async fn go(
        &mut self,
        scraper: &ScraperId,
        ending: Ending,
        data: Option<(Checksum, u64)>,
    ) -> Ended {
        self.ask(scraper, person("ann")).await;
        self.wait(10);
        let lease = self.lease("w").await;
        let finished = self
            .registry
            .finish(lease.run.id, lease.epoch, ending, data, self.now);
        finished.await.unwrap()
    }
}
