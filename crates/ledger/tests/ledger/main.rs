//! The ledger as its users see it: what is written, what survives a crash, what is told to whom.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod crashes;
mod faulty;
mod histories;
mod live;
mod purge;
mod races;
mod removal;
mod replay;
mod rulings;
mod settle;
mod stage;
