//! The hooks that come with the crate, written against nothing but the public traits.

mod cache_check;
mod decompress;
mod event_log;
mod exec;
mod inflate;
mod progress;
mod rate_limit;
mod schedule;
mod sha256_manifest;
mod words;

pub use cache_check::{CacheCheck, Undated};
pub use decompress::{Decompress, DecompressBy, DecompressLimits};
pub use event_log::EventLog;
pub use exec::Exec;
pub use progress::{Estimate, Progress, ProgressUpdate};
pub use rate_limit::RateLimit;
pub use schedule::Schedule;
pub use sha256_manifest::Sha256Manifest;
