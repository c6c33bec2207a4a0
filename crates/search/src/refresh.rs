use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use archive::ArchiveError;
use model::{Checksum, Host};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use updates::{Control, Group, LogError, Record, Subscription, UpdateLog, topics};

use crate::files::PackFile;
use crate::library::{Inner, Library};
use crate::shelf::lock;
use crate::{RefreshError, SearchError};

/// Packs that are fetched at a time.
const FETCHES: usize = 4;
const RECORDS: usize = 1_000;
/// How long a poll of the log waits, and what passes between tries after a failure.
const PAUSE: Duration = Duration::from_secs(2);

/// What a refresh did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refreshed {
    /// The pack in force is the current one; or there is none, here or there.
    Unchanged,
    /// This pack is in force now.
    Swapped(Checksum),
    /// The archive has no pack of this host any more, and neither has the library.
    Removed,
}

impl Library {
    /// Takes up the packs of all hosts, and drops those of hosts that are gone. Gives what failed; all others are in force.
    ///
    /// # Errors
    ///
    /// When the archive does not say which hosts there are.
    pub async fn refresh_all(&self) -> Result<Vec<RefreshError>, RefreshError> {
        let listed = self.inner.archive.hosts().await.map_err(RefreshError::List)?;
        let known = self.hosts().into_iter().map(|(host, _)| host);
        let mut hosts: BTreeSet<Host> = listed.into_iter().chain(known).collect();
        let mut failed = Vec::new();
        let mut fetches = JoinSet::new();
        loop {
            while fetches.len() < FETCHES
                && let Some(host) = hosts.pop_first()
            {
                let library = self.clone();
                fetches.spawn(async move { library.refresh(&host).await });
            }
            match fetches.join_next().await {
                Some(Ok(Err(error))) => failed.push(error),
                Some(_) => {}
                None => break,
            }
        }
        if failed.is_empty()
            && let Err(error) = self.inner.files.remove_strays()
        {
            tracing::warn!(%error, "packs that are not needed any more stay on disk");
        }
        Ok(failed)
    }

    /// Takes up the current pack of `host`: fetches and verifies it, and puts it in the place of the one before. Queries that
    /// use that one finish with it; then its file goes.
    ///
    /// # Errors
    ///
    /// When the archive fails or the pack is bad; what was in force stays so.
    pub async fn refresh(&self, host: &Host) -> Result<Refreshed, RefreshError> {
        let turn = Arc::clone(lock(&self.inner.refreshing).entry(host.clone()).or_default());
        let _turn = turn.lock().await;
        let failed = |source| RefreshError::Archive {
            host: host.clone(),
            source,
        };
        let manifest = self.inner.archive.manifest(host).await.map_err(failed)?;
        let Some(checksum) = manifest.map(|manifest| manifest.current.checksum) else {
            let removed = self.inner.put_in_force(host, None);
            return Ok(if removed {
                Refreshed::Removed
            } else {
                Refreshed::Unchanged
            });
        };
        if self.inner.in_force(host) == Some(checksum) {
            return Ok(Refreshed::Unchanged);
        }
        let file = match self.inner.files.existing(host, &checksum) {
            Some(file) => file,
            None => self.fetch(host, checksum).await?,
        };
        self.inner.put_in_force(host, Some(file));
        self.inner.metrics.swaps.inc();
        tracing::info!(%host, %checksum, "a pack is in force");
        Ok(Refreshed::Swapped(checksum))
    }

    async fn fetch(&self, host: &Host, checksum: Checksum) -> Result<Arc<PackFile>, RefreshError> {
        let path = self.inner.files.unverified(&checksum);
        let refused = |reason: String| {
            self.inner.metrics.refused.inc();
            RefreshError::Refused {
                host: host.clone(),
                checksum,
                reason,
            }
        };
        let fetched = self.inner.archive.fetch_pack(host, &checksum, &path).await;
        fetched.map_err(|error| match error {
            ArchiveError::Damaged { .. } => refused(error.to_string()),
            source => RefreshError::Archive {
                host: host.clone(),
                source,
            },
        })?;
        let inner = Arc::clone(&self.inner);
        let owner = host.clone();
        let verified = tokio::task::spawn_blocking(move || inner.verify(&owner, checksum)).await;
        verified
            .unwrap_or_else(|error| Err(Bad::Refused(error.to_string())))
            .map_err(|bad| match bad {
                Bad::Refused(reason) => refused(reason),
                Bad::Folder(source) => RefreshError::Folder { path, source },
            })
    }

    /// Keeps the library up to date until `stop`: refreshes all, then follows what packers say on the log. `server` names this
    /// server; each one follows on its own. What fails is logged and, unless the pack itself is bad, tried again.
    ///
    /// # Errors
    ///
    /// When the log cannot be joined.
    pub async fn run(&self, log: &UpdateLog, server: &str, stop: CancellationToken) -> Result<(), LogError> {
        log.ensure_topic(&topics::control()).await?;
        let subscription = Subscription::Topics(vec![topics::CONTROL.into()]);
        let group = log.group(&format!("search-{server}"), subscription).await?;
        let following = self.follow(group);
        tokio::select! {
            () = stop.cancelled() => {}
            () = following => {}
        }
        Ok(())
    }

    async fn follow(&self, mut group: Group) {
        let mut behind = Behind::Everything;
        loop {
            behind = self.catch_up(behind).await;
            match group.poll(RECORDS, PAUSE).await {
                Ok(batch) => {
                    behind.add(batch.records.iter().filter_map(published));
                    // What is behind is remembered here, and a new start refreshes everything.
                    if let Err(error) = group.commit_batch(&batch).await {
                        tracing::warn!(%error, "cannot note how far the log was read");
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot read the log; trying again");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// Refreshes what is behind; gives what still is.
    async fn catch_up(&self, behind: Behind) -> Behind {
        match behind {
            Behind::Everything => match self.refresh_all().await {
                Ok(failed) => Behind::Hosts(failed.iter().filter_map(worth_another_try).collect()),
                Err(error) => {
                    tracing::warn!(%error, "no packs yet; trying again");
                    Behind::Everything
                }
            },
            Behind::Hosts(hosts) => {
                let mut still = BTreeSet::new();
                for host in hosts {
                    still.extend(
                        self.refresh(&host)
                            .await
                            .err()
                            .as_ref()
                            .and_then(worth_another_try),
                    );
                }
                Behind::Hosts(still)
            }
        }
    }
}

/// What is to be refreshed.
enum Behind {
    Everything,
    Hosts(BTreeSet<Host>),
}

impl Behind {
    fn add(&mut self, more: impl Iterator<Item = Host>) {
        if let Self::Hosts(hosts) = self {
            hosts.extend(more);
        }
    }
}

/// The host whose pack a record says is new or gone.
fn published(record: &Record) -> Option<Host> {
    match record.decode::<Control>() {
        Ok(Some(Control::PackPublished { host, .. } | Control::PackWithdrawn { host })) => Some(host),
        Ok(_) => None,
        Err(error) => {
            tracing::warn!(%error, "a record on the log is skipped");
            None
        }
    }
}

/// Logs why a refresh failed; gives the host where another try may help.
fn worth_another_try(error: &RefreshError) -> Option<Host> {
    tracing::warn!(%error, "a pack is not in force");
    match error {
        RefreshError::Archive { host, .. } => Some(host.clone()),
        _ => None,
    }
}

/// Why a fetched file is not taken in.
enum Bad {
    Refused(String),
    Folder(std::io::Error),
}

impl Inner {
    fn in_force(&self, host: &Host) -> Option<Checksum> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        current.get(host).map(|file| file.checksum)
    }

    /// Makes `file` the pack of `host`, retires the one before; says whether there was one.
    fn put_in_force(&self, host: &Host, file: Option<Arc<PackFile>>) -> bool {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        let old = match file {
            Some(file) => current.insert(host.clone(), file),
            None => current.remove(host),
        };
        drop(current);
        if let Some(old) = &old {
            old.retire();
            self.shelf.remove(&old.checksum);
        }
        old.is_some()
    }

    /// Takes in the file that was fetched, or removes it.
    fn verify(&self, host: &Host, checksum: Checksum) -> Result<Arc<PackFile>, Bad> {
        let path = self.files.unverified(&checksum);
        let reason = match pack::check(&path) {
            Ok(meta) if meta.host == *host => return self.files.admit(host, &checksum).map_err(Bad::Folder),
            Ok(meta) => format!("it is the pack of {}", meta.host),
            Err(error) => SearchError::from(error).to_string(),
        };
        if let Err(error) = std::fs::remove_file(&path) {
            tracing::warn!(path = %path.display(), %error, "a refused pack stays on disk");
        }
        Err(Bad::Refused(reason))
    }
}
