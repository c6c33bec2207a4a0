//! The loop that asks for runs, and says that this worker lives.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use registry::{Ended, Instruction, Lease, RegistryError};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::control::{Active, Halt};
use crate::execution::{Workshop, jitter, now};
use crate::job::on_thread;

/// How often a worker says that it lives. Its leases last three times as long.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// Without an answer for so long, this worker's leases are about to end: it ends its runs before somebody else begins them.
const SILENCE: Duration = Duration::from_secs(25);

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
            shop.places.sweep_work()?;
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
        for ended in &upkeep.lost {
            self.after(ended).await;
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
        let control = self.active.begin(run, epoch);
        if let Some(by) = &lease.run.stop {
            control.halt(Halt::Person(by.clone()));
        }
        let worker = Arc::clone(self);
        runs.spawn(async move {
            let ended = worker.shop.execute(lease, control).await;
            worker.active.end(run, epoch);
            if let Some(ended) = ended {
                worker.after(&ended).await;
            }
            worker.wake.notify_one();
        });
    }

    /// What follows from the end of a run, beside what the registry did itself.
    pub(crate) async fn after(&self, ended: &Ended) {
        if let Some(ending) = &ended.run.ending {
            tracing::info!(run = %ended.run.id, scraper = %ended.run.scraper, outcome = ?ending.outcome, "a run is over");
            self.shop.metrics.ended(ending.outcome);
        }
        self.shop.drop_versions(&ended.run.scraper, &ended.dropped).await;
        self.shop.drop_upload(&ended.run).await;
        self.over.notify_waiters();
        if !ended.followers.is_empty() {
            self.wake.notify_one();
        }
    }

    /// Renews the leases, and passes on what the registry says.
    async fn beat(self: Arc<Self>) {
        let mut heard = Instant::now();
        loop {
            tokio::time::sleep(HEARTBEAT).await;
            let leases = self.active.leases();
            match self.shop.registry.heartbeat(&self.name, leases, now()).await {
                Ok(instructions) => {
                    heard = Instant::now();
                    instructions
                        .into_iter()
                        .for_each(|instruction| self.obey(instruction));
                }
                Err(error) => {
                    tracing::warn!(%error, "this worker could not say that it lives; it is tried again");
                    if heard.elapsed() > SILENCE {
                        self.active.halt_all(&Halt::Fenced);
                    }
                }
            }
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
