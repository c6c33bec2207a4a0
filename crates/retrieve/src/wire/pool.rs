use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::connect::{Connector, Endpoint};
use super::connection::Connection;

/// Object stores close idle connections after some seconds; one that is older is not tried.
const MAX_IDLE: Duration = Duration::from_secs(4);

/// Connections that wait for their next request.
pub(crate) struct Pool {
    connector: Connector,
    idle: Mutex<HashMap<Endpoint, Vec<(Connection, Instant)>>>,
    max_idle: usize,
    opened: AtomicU64,
}

impl Pool {
    pub(crate) fn new(connector: Connector, max_idle: usize) -> Self {
        Self {
            connector,
            idle: Mutex::default(),
            max_idle,
            opened: AtomicU64::new(0),
        }
    }

    /// The connection that was used last, or a new one.
    pub(crate) async fn get(&self, endpoint: &Endpoint) -> io::Result<Connection> {
        match self.idle(endpoint) {
            Some(connection) => Ok(connection),
            None => self.fresh(endpoint).await,
        }
    }

    /// A new one, whatever waits.
    pub(crate) async fn fresh(&self, endpoint: &Endpoint) -> io::Result<Connection> {
        self.opened.fetch_add(1, Ordering::Relaxed);
        self.connector.connect(endpoint).await
    }

    fn idle(&self, endpoint: &Endpoint) -> Option<Connection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = idle.get_mut(endpoint)?;
        while let Some((connection, since)) = waiting.pop() {
            if since.elapsed() < MAX_IDLE {
                return Some(connection);
            }
            // What is below waits even longer.
            waiting.clear();
        }
        None
    }

    /// Takes back a connection whose answer was read to its end; closes any other.
    pub(crate) fn put(&self, endpoint: &Endpoint, mut connection: Connection) {
        if !connection.is_reusable() {
            return;
        }
        connection.reused = true;
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = idle.entry(endpoint.clone()).or_default();
        if waiting.len() < self.max_idle {
            waiting.push((connection, Instant::now()));
        }
    }

    /// Connections opened so far.
    pub(crate) fn opened(&self) -> u64 {
        self.opened.load(Ordering::Relaxed)
    }
}
