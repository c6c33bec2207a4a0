//! What an index, a store or a server is tested with: a naive [`model`] of the protocol, a [`driver`] that compares any server with it,
//! checkers for [`histories`] of concurrent clients, an [`unreliable`] store for several indexes, and one suite for all
//! [`stores`].
//!
//! Nothing here shares code with the index, so a mistake is not made twice.

pub mod driver;
pub mod histories;
pub mod model;
pub mod random;
pub mod stores;
pub mod unreliable;
