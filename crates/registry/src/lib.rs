//! Owners, scrapers, runs, keys and secrets: who may do what, and what runs next.
//!
//! One relational database holds what people tell Haul about their scrapers and what became of every run. The engine is SQLite; the SQL
//! is kept to what PostgreSQL understands too (`ON CONFLICT`, `RETURNING`, no SQLite functions), because several machines share
//! one registry there.
//!
//! Whatever decides is one transaction: [`Registry::admit`] moves runs from *queued* to *leased* and reserves memory and CPU for them, and
//! nothing else does. Time comes in as an argument, so a day can be simulated in seconds.
//!
//! # A run
//!
//! Somebody asks for it ([`Registry::ask`]), or it is due ([`Registry::upkeep`]). It waits without a timer until a worker pulls and [`choose`] says
//! that it is its turn. The worker holds a [`Lease`] with an epoch: [`Registry::heartbeat`] keeps it for 30 s more, [`Registry::advance`],
//! [`Registry::finish`] and [`Registry::give_back`] need its epoch, and are fenced once somebody else has the run or nobody. When a
//! worker is no longer heard, upkeep takes its runs away. A scraper has one unfinished run at most; that is an index of the database, not
//! a promise of this code.
//!
//! Secrets are sealed with a [`Keyring`] before they reach the database; passwords and keys are kept as hashes.

mod account;
mod admission;
mod columns;
mod database;
mod delivery;
mod domain;
mod key;
mod letter;
mod lookup;
mod owner;
mod password;
mod run;
mod schema;
mod scraper;
mod sealing;
mod secret;
mod session;
mod token;
mod version;
mod webhook;

pub use crate::account::{Account, AccountChange, NewAccount};
pub use crate::admission::{
    AGED_AFTER, Capacity, Choice, HOST_GAP, Held, LEASE, Queue, RESERVED_AFTER, RUNS_PER_HOST, Reservation,
    Upkeep, Waiting, choose,
};
pub use crate::database::{Registry, RegistryError};
pub use crate::delivery::{Delivery, DeliveryState, MOST_TRIES};
pub use crate::key::{ApiKey, IssuedKey, KeyId, LONGEST_OVERLAP, Scope};
pub use crate::letter::{Letter, News};
pub use crate::owner::{Owner, OwnerKind};
pub use crate::run::{
    Asked, Cause, Domain, Ended, Ending, Instruction, Lease, Outcome, Phase, RowChanges, Run, RunFilter,
    TableChanges, Usage, Version, Worker,
};
pub use crate::scraper::{
    Limits, Missed, NewScraper, Origin, Overlap, Scraper, ScraperFilter, ScraperSettings,
};
pub use crate::sealing::{Keyring, KeyringError};
pub use crate::secret::{Secret, SecretName};
pub use crate::session::{Identity, Session, SignIn};
pub use crate::version::PutVersion;
pub use crate::webhook::{Event, Webhook, WebhookId};
