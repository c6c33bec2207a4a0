//! The loop that asks for runs, and says that this worker lives.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use model::RunId;
use registry::{Ended, Instruction, Lease, RegistryError, Run};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::control::{Active, Control, Halt};
use crate::execution::{Workshop, jitter, now};
use crate::job::{on_thread, with_causes};

/// How often a worker says that it lives. Its leases ([`registry::LEASE`]) last six times as long.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// How long it waits for the answer, and then until it says so again.
const ANSWER: Duration = Duration::from_secs(3);
const SOON: Duration = Duration::from_secs(1);

/// Without an answer for so long, this worker's leases are about to end: it ends its runs, with the usual grace, before somebody else begins them.
const SILENCE: Duration = Duration::from_secs(15);

/// How long ending runs may take when the worker stops, beyond the grace that programs have.
const FAREWELL: Duration = Duration::from_secs(20);

/// A worker.
pub(crate) struct Worker {
    pub(crate) name: String,
    pub(crate) shop: Arc<Workshop>,
    pub(crate) active: Active,
    /// Something changed: the queue is worth a look.
    pub(crate) wake: Notify,
    /// A run is over.
    pub(crate) over: Notify,
}

impl Worker {
    /// Works until `stop`; then its runs are ended and wait again.
    pub(crate) async fn run(self: &Arc<Self>, stop: CancellationToken) -> io::Result<()> {
        let _lock = match self.shop.options.capacity.slots {
            0 => None,
            _ => Some(self.settle_in().await?),
        };
        let heart = tokio::spawn(Arc::clone(self).beat());
        let mut runs = JoinSet::new();
        while !stop.is_cancelled() {
            let rest = self.look_at_queue(&mut runs).await;
            tokio::select! {
                () = self.wake.notified() => {}
                () = tokio::time::sleep(rest) => {}
                () = stop.cancelled() => {}
                Some(_) = runs.join_next() => {}
            }
        }
        self.active.halt_all(&Halt::Shutdown);
        let farewell = self.shop.options.grace + FAREWELL;
        let ended = tokio::time::timeout(farewell, async { while runs.join_next().await.is_some() {} });
        if ended.await.is_err() {
            tracing::warn!("some runs did not end in time; they wait again when their leases are over");
        }
        heart.abort();
        Ok(())
    }

    /// Makes this the only worker of its folder, and removes what the last one left.
    async fn settle_in(&self) -> io::Result<File> {
        let lock = File::options()
            .create(true)
            .append(true)
            .open(self.shop.places.lock())?;
        lock.try_lock()
            .map_err(|_| io::Error::other("another worker has this folder; give each its own"))?;
        let shop = Arc::clone(&self.shop);
        on_thread("settle", move || {
            shop.sandbox();
            shop.places.sweep_work();
            shop.runtimes().unpack(&shop.places.shims())
        })
        .await?;
        Ok(lock)
    }

    /// Does what is due and starts what is admitted. How long nothing more is expected.
    async fn look_at_queue(self: &Arc<Self>, runs: &mut JoinSet<()>) -> Duration {
        let looked = self.try_queue(runs).await;
        self.shop.metrics.running(self.active.len());
        looked.unwrap_or_else(|error| {
            self.shop.metrics.failed();
            tracing::warn!(%error, "the queue of runs could not be looked at; it is tried again");
            self.shop.options.interval
        })
    }

    async fn try_queue(self: &Arc<Self>, runs: &mut JoinSet<()>) -> Result<Duration, RegistryError> {
        let registry = &self.shop.registry;
        let upkeep = registry.upkeep(now(), jitter()).await?;
        for ended in upkeep.lost {
            let worker = Arc::clone(self);
            runs.spawn(async move { worker.after(&ended).await });
        }
        let capacity = self.shop.options.capacity;
        if capacity.slots > 0 {
            for lease in registry.admit(&self.name, capacity, now()).await? {
                self.start(lease, runs);
            }
        }
        let until_due = upkeep.next_due.map_or(Duration::MAX, |due| {
            Duration::from_millis(due.as_millis().saturating_sub(now().as_millis()))
        });
        Ok(self
            .shop
            .options
            .interval
            .min(until_due.max(Duration::from_millis(10))))
    }

    fn start(self: &Arc<Self>, lease: Lease, runs: &mut JoinSet<()>) {
        let (run, epoch) = (lease.run.id, lease.epoch);
        tracing::info!(%run, scraper = %lease.scraper.id, "a run begins");
        self.shop.metrics.admitted(&lease.run);
        let (control, older) = self.active.begin(run, epoch);
        if let Some(by) = &lease.run.stop {
            control.halt(Halt::Person(by.clone()));
        }
        let worker = Arc::clone(self);
        runs.spawn(async move {
            if let Some(older) = older {
                older.over().await;
            }
            let ended = worker.execute(lease, Arc::clone(&control)).await;
            worker.active.end(run, epoch, &control);
            if let Some(ended) = ended {
                worker.after(&ended).await;
            }
            worker.wake.notify_one();
        });
    }

    async fn execute(&self, lease: Lease, control: Arc<Control>) -> Option<Ended> {
        let (run, epoch) = (lease.run.id, lease.epoch);
        let (scraper, code) = (lease.scraper.id.clone(), lease.scraper.origin.clone());
        let shop = Arc::clone(&self.shop);
        let executing = async move { shop.execute(lease, control).await };
        let ended = self.survive(run, epoch, executing).await;
        self.shop.drop_code(&scraper, &code).await;
        ended
    }

    /// Executes a run in a task of its own: one that panics must not keep its lease for ever.
    async fn survive(
        &self,
        run: RunId,
        epoch: u64,
        executing: impl Future<Output = Option<Ended>> + Send + 'static,
    ) -> Option<Ended> {
        match AbortOnDropHandle::new(tokio::spawn(executing)).await {
            Ok(ended) => ended,
            Err(failed) => self.shop.give_up(run, epoch, &failed).await,
        }
    }

    /// What follows from the end of a run, beside what the registry did itself.
    pub(crate) async fn after(&self, ended: &Ended) {
        self.shop.drop_versions(&ended.run.scraper, &ended.dropped).await;
        self.note_end(&ended.run).await;
        if !ended.followers.is_empty() {
            self.wake.notify_one();
        }
    }

    /// A run is over, wherever it was decided.
    pub(crate) async fn note_end(&self, run: &Run) {
        if let Some(ending) = &run.ending {
            tracing::info!(run = %run.id, scraper = %run.scraper, outcome = ?ending.outcome, "a run is over");
            self.shop.metrics.ended(ending.outcome);
        }
        self.shop.keep_log(&run.scraper, run.id).await;
        self.shop.drop_sent(run).await;
        self.over.notify_waiters();
    }

    /// Renews the leases, and passes on what the registry says.
    async fn beat(self: Arc<Self>) {
        let mut heard = Instant::now();
        let mut rest = HEARTBEAT;
        loop {
            tokio::time::sleep(rest).await;
            let said = Instant::now();
            match self.say_alive().await {
                Ok(instructions) => {
                    (heard, rest) = (said, HEARTBEAT);
                    instructions
                        .into_iter()
                        .for_each(|instruction| self.obey(instruction));
                }
                Err(error) => {
                    rest = SOON;
                    tracing::warn!(
                        error,
                        "this worker could not say that it lives; it is tried again"
                    );
                }
            }
            if heard.elapsed() > SILENCE {
                self.active.halt_all(&Halt::Fenced);
            }
        }
    }

    async fn say_alive(&self) -> Result<Vec<Instruction>, String> {
        let leases = self.active.leases();
        let answer = self.shop.registry.heartbeat(&self.name, leases, now());
        match tokio::time::timeout(ANSWER, answer).await {
            Ok(answer) => answer.map_err(|error| with_causes(&error)),
            Err(_) => Err(format!(
                "the registry did not answer within {} s",
                ANSWER.as_secs()
            )),
        }
    }

    fn obey(&self, instruction: Instruction) {
        match instruction {
            Instruction::Stop(run, by) => self.active.halt(run, Halt::Person(by)),
            Instruction::Drop(run) => self.active.halt(run, Halt::Fenced),
        }
    }
}

/// The name of a worker, in this life.
pub(crate) fn name() -> String {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{}-{}-{:x}", host.trim(), std::process::id(), since.as_millis())
}

#[cfg(test)]
mod tests {
    use archive::Archive;
    use registry::{Capacity, Cause, Keyring, NewScraper, Origin, Phase, Registry, ScraperSettings};

    use super::*;
    use crate::options::RunnerOptions;

    fn worker(folder: &std::path::Path) -> Worker {
        let options = RunnerOptions {
            folder: folder.join("run"),
            builds: folder.join("builds"),
            container: sandbox::Container::Bubblewrap,
            contain: Vec::new(),
            capacity: Capacity {
                memory_mib: 1024,
                slots: 1,
            },
            policy: egress::Policy::default(),
            replay: None,
            accept_lacks: Vec::new(),
            interval: Duration::from_secs(1),
            grace: Duration::from_secs(1),
            max_data_bytes: 1 << 20,
            compare_time: Duration::from_secs(1),
            keep_days: 1,
        };
        let registry = Registry::memory(Keyring::random()).unwrap();
        Worker {
            name: name(),
            shop: Arc::new(Workshop::open(registry, Archive::memory(), options).unwrap()),
            active: Active::default(),
            wake: Notify::new(),
            over: Notify::new(),
        }
    }

    #[tokio::test]
    async fn a_run_whose_execution_panics_waits_again() {
        let folder = tempfile::tempdir().unwrap();
        let worker = worker(folder.path());
        let registry = &worker.shop.registry;
        let new = NewScraper {
            id: "o/s".parse().unwrap(),
            origin: Origin::Folder { path: "/".to_owned() },
            settings: ScraperSettings::default(),
        };
        let scraper = registry.add_scraper(new, now()).await.unwrap().id;
        registry.ask(&scraper, Cause::Push, now()).await.unwrap();
        let capacity = worker.shop.options.capacity;
        let lease = registry
            .admit(&worker.name, capacity, now())
            .await
            .unwrap()
            .remove(0);
        let ended = worker.survive(lease.run.id, lease.epoch, async { panic!("no thread") });
        assert!(ended.await.is_none());
        let run = registry.run(lease.run.id).await.unwrap();
        assert_eq!((run.phase, run.attempts), (Phase::Queued, 1));
    }
}
