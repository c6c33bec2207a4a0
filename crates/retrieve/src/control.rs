use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use tokio::sync::Notify;

/// Steers a run while it goes. Cheap to clone; of no effect once the run has ended.
#[derive(Clone, Debug, Default)]
pub struct Control {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// 0 is no limit.
    max_bytes_per_second: AtomicU64,
    /// 0 leaves it to the controller.
    connections: AtomicUsize,
    /// 0 leaves it to the options.
    memory_bytes: AtomicU64,
    paused: AtomicBool,
    cancelled: AtomicBool,
    changed: Notify,
}

impl Control {
    /// Limits the rate over all connections, in bytes per second; none is no limit.
    pub fn limit_bandwidth(&self, bytes_per_second: Option<u64>) {
        let limit = bytes_per_second.map_or(0, |limit| limit.max(1));
        self.inner.max_bytes_per_second.store(limit, Ordering::Relaxed);
        self.inner.changed.notify_waiters();
    }

    /// Fixes the number of requests in flight; none gives it back to the controller.
    pub fn fix_connections(&self, connections: Option<usize>) {
        let connections = connections.map_or(0, |connections| connections.max(1));
        self.inner.connections.store(connections, Ordering::Relaxed);
        self.inner.changed.notify_waiters();
    }

    /// Changes the byte budget; none goes back to [`Options::memory_bytes`](crate::Options::memory_bytes).
    pub fn set_window(&self, bytes: Option<u64>) {
        let bytes = bytes.map_or(0, |bytes| bytes.max(1));
        self.inner.memory_bytes.store(bytes, Ordering::Relaxed);
        self.inner.changed.notify_waiters();
    }

    /// No new requests and no more reading until [`Control::resume`]; connections stay open as long as servers let them.
    pub fn pause(&self) {
        self.inner.paused.store(true, Ordering::Relaxed);
        self.inner.changed.notify_waiters();
    }

    /// Goes on after [`Control::pause`].
    pub fn resume(&self) {
        self.inner.paused.store(false, Ordering::Relaxed);
        self.inner.changed.notify_waiters();
    }

    /// Ends the run; what files have got so far stays for the next run to resume.
    pub fn cancel(&self) {
        self.inner.cancelled.store(true, Ordering::Relaxed);
        self.inner.changed.notify_waiters();
    }

    /// Whether [`Control::cancel`] was called.
    pub fn is_cancelled(&self) -> bool {
        self.inner.cancelled.load(Ordering::Relaxed)
    }

    /// Whether the run is paused.
    pub fn is_paused(&self) -> bool {
        self.inner.paused.load(Ordering::Relaxed)
    }

    pub(crate) fn bytes_per_second(&self) -> Option<u64> {
        some(self.inner.max_bytes_per_second.load(Ordering::Relaxed))
    }

    pub(crate) fn connections(&self) -> Option<usize> {
        Some(self.inner.connections.load(Ordering::Relaxed)).filter(|connections| *connections > 0)
    }

    pub(crate) fn window(&self) -> Option<u64> {
        some(self.inner.memory_bytes.load(Ordering::Relaxed))
    }

    pub(crate) fn changed(&self) -> &Notify {
        &self.inner.changed
    }
}

fn some(value: u64) -> Option<u64> {
    Some(value).filter(|value| *value > 0)
}
