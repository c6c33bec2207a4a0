use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

/// What was said with one host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Visit {
    /// The name; the address where there was none.
    pub host: String,
    /// What happened.
    pub counts: Counts,
    /// When the first connection began.
    pub first_at: SystemTime,
    /// When the last one began.
    pub last_at: SystemTime,
}

/// Figures of one host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Connections that were let through.
    pub connections: u64,
    /// Connections that were refused by the policy.
    pub refused: u64,
    /// Connections that could not be made; requests that a tape does not have.
    pub failed: u64,
    /// Milliseconds that connections waited for their turn, added up.
    pub waited_ms: u64,
    /// Bytes that came to the run.
    pub bytes_in: u64,
    /// Bytes that it sent.
    pub bytes_out: u64,
}

/// One host, counted while it is talked to.
pub(crate) struct Host {
    name: Arc<str>,
    pub(crate) connections: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) failed: AtomicU64,
    pub(crate) waited_ms: AtomicU64,
    pub(crate) bytes_in: AtomicU64,
    pub(crate) bytes_out: AtomicU64,
    told: AtomicBool,
    contact: Mutex<(SystemTime, SystemTime)>,
}

impl Host {
    fn new(name: Arc<str>, now: SystemTime) -> Self {
        Self {
            name,
            connections: AtomicU64::default(),
            refused: AtomicU64::default(),
            failed: AtomicU64::default(),
            waited_ms: AtomicU64::default(),
            bytes_in: AtomicU64::default(),
            bytes_out: AtomicU64::default(),
            told: AtomicBool::default(),
            contact: Mutex::new((now, now)),
        }
    }

    /// What it is called.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Whether this is the first thing to be told of it.
    pub(crate) fn is_news(&self) -> bool {
        !self.told.swap(true, Ordering::Relaxed)
    }

    fn visit(&self) -> Visit {
        let (first_at, last_at) = *self.contact.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = Counts {
            connections: self.connections.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
            waited_ms: self.waited_ms.load(Ordering::Relaxed),
            bytes_in: self.bytes_in.load(Ordering::Relaxed),
            bytes_out: self.bytes_out.load(Ordering::Relaxed),
        };
        Visit {
            host: self.name.to_string(),
            counts,
            first_at,
            last_at,
        }
    }
}

/// Every host of a run, by first contact.
pub(crate) struct Visits {
    limit: usize,
    met: Mutex<Met>,
}

#[derive(Default)]
struct Met {
    by_name: HashMap<Arc<str>, Arc<Host>>,
    in_order: Vec<Arc<Host>>,
}

impl Visits {
    /// Of at most `limit` hosts.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            met: Mutex::default(),
        }
    }

    /// The host of this name, contacted now; nothing for a new one when there are too many.
    pub(crate) fn contact(&self, name: &str, now: SystemTime) -> Option<Arc<Host>> {
        let mut met = self.met.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(host) = met.by_name.get(name) {
            host.contact.lock().unwrap_or_else(PoisonError::into_inner).1 = now;
            return Some(host.clone());
        }
        if met.in_order.len() >= self.limit {
            return None;
        }
        let name: Arc<str> = name.into();
        let host = Arc::new(Host::new(name.clone(), now));
        met.in_order.push(host.clone());
        met.by_name.insert(name, host.clone());
        Some(host)
    }

    /// What happened so far.
    pub(crate) fn list(&self) -> Vec<Visit> {
        let met = self.met.lock().unwrap_or_else(PoisonError::into_inner);
        met.in_order.iter().map(|host| host.visit()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn hosts_are_listed_by_first_contact_up_to_the_limit() {
        let visits = Visits::new(2);
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        for (name, seconds) in [("b", 1), ("a", 2), ("b", 3)] {
            visits.contact(name, at(seconds)).unwrap();
        }
        assert!(visits.contact("c", at(4)).is_none());
        let listed = visits.list();
        let times = listed
            .iter()
            .map(|visit| (visit.host.as_str(), visit.first_at, visit.last_at));
        assert_eq!(
            times.collect::<Vec<_>>(),
            [("b", at(1), at(3)), ("a", at(2), at(2))]
        );
    }
}
