//! Waiting for a condition.

use anyhow::{Result, bail};
use std::time::{Duration, Instant};

/// Asks `condition` every 20 ms until it gives a value; an error that names `what` after `limit`.
pub fn until<T>(what: &str, limit: Duration, mut condition: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let started = Instant::now();
    loop {
        if let Some(value) = condition()? {
            return Ok(value);
        }
        if started.elapsed() > limit {
            bail!("waited {} s for {what}", limit.as_secs());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
