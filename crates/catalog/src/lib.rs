//! What is published under a name, and what needs it.
//!
//! Every pack in force is a package, `pack/<host>`, of the [package index](pkgindex). A collection, `collection/<name>`, is a package
//! that depends on packs: people make one to say "these belong together, keep them". So the index refuses to let go of a pack that a
//! collection needs, and says which.
//!
//! - [`Catalog::register`] is called by whoever publishes a pack, before it is in force, and [`Catalog::reconcile`] at start, because a
//!   crash can come in between: a pack that is in force is always in the index.
//! - [`Catalog::collect`] makes a collection or changes it, [`Catalog::remove`] takes one apart, or withdraws a pack: first its name goes
//!   out of the index, which may refuse, then its files out of the archive, then search servers hear of it.
//!
//! The catalog has no state of its own: names are in the index, packs in the archive.

mod name;

use archive::{Archive, ArchiveError};
use model::Host;
use pkgindex::{Index, Snapshot, Unavailable};
use thiserror::Error;
use updates::{Control, Entry, LogError, UpdateLog, topics};

pub use name::{InvalidName, Published};

/// Packs that a collection may hold.
pub const MAX_PACKS: usize = 10_000;

/// What is published. Cheap to clone.
#[derive(Clone)]
pub struct Catalog {
    index: Index,
    archive: Archive,
    log: UpdateLog,
}

/// A package with what it needs and what needs it, both by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// What it depends on.
    pub dependencies: Vec<String>,
    /// What depends on it.
    pub dependents: Vec<String>,
}

/// Why the catalog was not changed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CatalogError {
    /// A collection can only hold packs that are published.
    #[error("{package} cannot be made: {}", .refusal)]
    Missing {
        /// The collection.
        package: Published,
        /// What is not there.
        refusal: pkgindex::Refusal,
    },
    /// Something else needs it.
    #[error("{package} cannot be removed: {refusal}; change or remove that first")]
    Needed {
        /// What was to be removed.
        package: Published,
        /// By what.
        refusal: pkgindex::Refusal,
    },
    /// A collection of nothing keeps nothing.
    #[error("a collection holds 1 to {MAX_PACKS} packs, not {0}")]
    Size(usize),
    /// Nothing has this name.
    #[error("{0} is not published")]
    Unknown(Published),
    /// The package index does not answer.
    #[error(transparent)]
    Index(#[from] Unavailable),
    /// The archive failed; the name is free again, and the next start puts it back or finishes.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// Search servers could not be told; they find out at their next start.
    #[error(transparent)]
    Log(#[from] LogError),
}

impl Catalog {
    /// A catalog of what `archive` holds, with its names in `index`; search servers hear of changes on `log`.
    pub fn new(index: Index, archive: Archive, log: UpdateLog) -> Self {
        Self { index, archive, log }
    }

    /// Says that a pack of `host` is about to be in force.
    pub async fn register(&self, host: &Host) -> Result<(), CatalogError> {
        let line = format!("INDEX|{}|\n", Published::Pack(host.clone()));
        self.index.lines(line.as_bytes(), &mut Vec::new()).await?;
        Ok(())
    }

    /// Registers every pack that is in force and lets go of names whose pack is gone, where nothing needs them. Gives how many names
    /// changed.
    pub async fn reconcile(&self) -> Result<usize, CatalogError> {
        let in_force: std::collections::BTreeSet<String> = self
            .archive
            .hosts()
            .await?
            .into_iter()
            .map(|host| Published::Pack(host).to_string())
            .collect();
        let snapshot = self.index.snapshot().await?;
        let known: std::collections::BTreeSet<String> = snapshot
            .packages()
            .map(|package| snapshot.name(package))
            .filter(|name| matches!(Published::try_from((*name).to_owned()), Ok(Published::Pack(_))))
            .map(ToOwned::to_owned)
            .collect();
        let new = in_force.difference(&known).map(|name| format!("INDEX|{name}|\n"));
        let gone = known
            .difference(&in_force)
            .map(|name| format!("REMOVE|{name}|\n"));
        let lines: Vec<String> = new.chain(gone).collect();
        self.index
            .lines(lines.concat().as_bytes(), &mut Vec::new())
            .await?;
        Ok(lines.len())
    }

    /// Makes the collection `name` of the packs of `hosts`, or makes an existing one hold just these.
    pub async fn collect(&self, name: &Published, hosts: &[Host]) -> Result<(), CatalogError> {
        if hosts.is_empty() || hosts.len() > MAX_PACKS {
            return Err(CatalogError::Size(hosts.len()));
        }
        let packs: Vec<String> = hosts
            .iter()
            .map(|host| Published::Pack(host.clone()).to_string())
            .collect();
        let line = format!("INDEX|{name}|{}\n", packs.join(","));
        match self.refusal(&line).await? {
            None => Ok(()),
            Some(refusal) => Err(CatalogError::Missing {
                package: name.clone(),
                refusal,
            }),
        }
    }

    /// Removes `name`. The pack of a host is withdrawn with all its versions; search servers drop it.
    pub async fn remove(&self, name: &Published) -> Result<(), CatalogError> {
        if self.package(name).await?.is_none() {
            return Err(CatalogError::Unknown(name.clone()));
        }
        if let Some(refusal) = self.refusal(&format!("REMOVE|{name}|\n")).await? {
            return Err(CatalogError::Needed {
                package: name.clone(),
                refusal,
            });
        }
        let Published::Pack(host) = name else {
            return Ok(());
        };
        self.archive.withdraw(host).await?;
        tracing::info!(%host, "pack withdrawn");
        let entry = Entry {
            key: name.to_string(),
            scope: host.to_string(),
            value: Some(Control::PackWithdrawn { host: host.clone() }),
        };
        self.log.append(topics::CONTROL, &[entry]).await?;
        Ok(())
    }

    /// What is known of `name`, when it is published.
    pub async fn package(&self, name: &Published) -> Result<Option<Package>, CatalogError> {
        let snapshot = self.index.snapshot().await?;
        let found = snapshot.find(&name.to_string());
        Ok(found.map(|package| described(&snapshot, package)))
    }

    /// Packages by name, behind `after`, `limit` at most; and how many there are in all.
    pub async fn packages(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> Result<(Vec<Package>, usize), CatalogError> {
        let snapshot = self.index.snapshot().await?;
        let behind = |name: &str| after.is_none_or(|after| name > after);
        let listed = snapshot
            .packages()
            .filter(|package| behind(snapshot.name(*package)))
            .take(limit)
            .map(|package| described(&snapshot, package));
        Ok((listed.collect(), snapshot.len()))
    }

    /// Executes a line; why not, when it was refused.
    async fn refusal(&self, line: &str) -> Result<Option<pkgindex::Refusal>, CatalogError> {
        let replies = self.index.replies(line.as_bytes()).await?;
        Ok(replies.into_iter().find_map(|reply| reply.refusal))
    }
}

fn described(snapshot: &Snapshot, package: pkgindex::PackageId) -> Package {
    let names =
        |packages: &[pkgindex::PackageId]| packages.iter().map(|&id| snapshot.name(id).to_owned()).collect();
    Package {
        name: snapshot.name(package).to_owned(),
        dependencies: names(snapshot.dependencies(package)),
        dependents: names(snapshot.dependents(package)),
    }
}
