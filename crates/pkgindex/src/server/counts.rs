use std::sync::atomic::{AtomicU64, Ordering};

/// What a server has done since it was bound, and how many connections it has now.
#[derive(Debug, Default)]
pub struct ServerCounts {
    opened: AtomicU64,
    closed: AtomicU64,
    waits: AtomicU64,
    accept_failures: AtomicU64,
    lines_too_long: AtomicU64,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    idle_timeouts: AtomicU64,
    write_timeouts: AtomicU64,
    unavailable: AtomicU64,
}

impl ServerCounts {
    /// Connections that are open.
    pub fn connections(&self) -> u64 {
        // Read in this order, no connection is seen closed and not opened.
        let closed = self.closed.load(Ordering::Acquire);
        self.opened.load(Ordering::Acquire) - closed
    }

    /// Connections that were ever open.
    pub fn connections_total(&self) -> u64 {
        self.opened.load(Ordering::Relaxed)
    }

    /// How often all places were taken, so that nobody was accepted until a connection was closed.
    pub fn accept_waits(&self) -> u64 {
        self.waits.load(Ordering::Relaxed)
    }

    /// How often the system could not accept a connection, for want of a descriptor for example.
    pub fn accept_failures(&self) -> u64 {
        self.accept_failures.load(Ordering::Relaxed)
    }

    /// Lines that were longer than allowed.
    pub fn lines_too_long(&self) -> u64 {
        self.lines_too_long.load(Ordering::Relaxed)
    }

    /// Bytes received.
    pub fn bytes_in(&self) -> u64 {
        self.bytes_in.load(Ordering::Relaxed)
    }

    /// Bytes of answers that the system took.
    pub fn bytes_out(&self) -> u64 {
        self.bytes_out.load(Ordering::Relaxed)
    }

    /// Connections that were closed because nothing came.
    pub fn idle_timeouts(&self) -> u64 {
        self.idle_timeouts.load(Ordering::Relaxed)
    }

    /// Connections that were closed because the client did not take its answers.
    pub fn write_timeouts(&self) -> u64 {
        self.write_timeouts.load(Ordering::Relaxed)
    }

    /// Connections that were closed because the index could not answer.
    pub fn unavailable(&self) -> u64 {
        self.unavailable.load(Ordering::Relaxed)
    }

    pub(super) fn opened(&self) {
        self.opened.fetch_add(1, Ordering::Release);
    }

    pub(super) fn closed(&self) {
        self.closed.fetch_add(1, Ordering::Release);
    }

    pub(super) fn waited(&self) {
        self.waits.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn accept_failed(&self) {
        self.accept_failures.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn line_too_long(&self) {
        self.lines_too_long.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn received(&self, bytes: usize) {
        self.bytes_in.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn sent(&self, bytes: usize) {
        self.bytes_out.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn idle(&self) {
        self.idle_timeouts.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn slow(&self) {
        self.write_timeouts.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn index_unavailable(&self) {
        self.unavailable.fetch_add(1, Ordering::Relaxed);
    }
}
