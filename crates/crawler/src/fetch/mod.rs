//! One request and its answer: limits, address policy, and errors that tell their cause.

mod client;
mod error;
mod reply;
mod resolve;
mod retry_after;

pub(crate) use self::client::{FetchOptions, Fetcher, FetcherError, Request, SNIFFED_BYTES, kept};
pub(crate) use self::error::FetchError;
pub(crate) use self::reply::{Body, Probed, Reply, inflate};
pub use self::resolve::InvalidOverride;
