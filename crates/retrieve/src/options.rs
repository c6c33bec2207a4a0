use std::time::Duration;

/// How a [`Retriever`](crate::Retriever) works. The defaults suit one machine and any server.
#[derive(Clone, Debug)]
pub struct Options {
    /// Bytes that may wait for a reader or be on their way to one, over all files; 64 MiB. What a reader holds is its own.
    pub memory_bytes: u64,
    /// Requests in flight at most; 256.
    pub max_connections: usize,
    /// Requests in flight at the start; chosen by the size of the files where none.
    pub start_connections: Option<usize>,
    /// Whether the number of requests in flight follows what is measured; true.
    pub adaptive: bool,
    /// Bytes of one ranged request; chosen by sink, budget and file where none.
    pub chunk_bytes: Option<u64>,
    /// Files of more than one chunk that are open at a time; 8. Smaller ones are counted by their bytes.
    pub open_files: usize,
    /// In which order files are handed out.
    pub order: Order,
    /// No byte for so long, while bytes are awaited, is a failed attempt; 20 s.
    pub stall: Duration,
    /// Attempts at one range without a new byte; 8.
    pub attempts: u32,
    /// The longest pause between two attempts; 20 s.
    pub max_backoff: Duration,
    /// What to do when an object changes while it is retrieved.
    pub on_change: OnChange,
    /// Whether checksums are computed and compared with what the server declares; true.
    pub verify: bool,
    /// Whether what an earlier run left is used; true.
    pub resume: bool,
    /// Whether late requests for little are sent a second time, and parts of slow ranges given to free connections; true.
    pub hedge: bool,
    /// List requests in flight at most; 64.
    pub list_connections: usize,
    /// Bytes per second at most over all connections; none is no limit.
    pub max_bytes_per_second: Option<u64>,
    /// Threads that the engine works on; the number of cores, at most 4, where none.
    pub threads: Option<usize>,
    /// Seed of the jitter, so that a run can be repeated; 0 draws one.
    pub seed: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            memory_bytes: 64 << 20,
            max_connections: 256,
            start_connections: None,
            adaptive: true,
            chunk_bytes: None,
            open_files: 8,
            order: Order::Request,
            stall: Duration::from_secs(20),
            attempts: 8,
            max_backoff: Duration::from_secs(20),
            on_change: OnChange::Fail,
            verify: true,
            resume: true,
            hedge: true,
            list_connections: 64,
            max_bytes_per_second: None,
            threads: None,
            seed: 0,
        }
    }
}

/// The order of files that are handed to a reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// As they were asked for.
    Request,
    /// As they are ready: small ones when they are whole, large ones when their first bytes are there.
    Completion,
}

/// What to do when an object is overwritten while it is retrieved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnChange {
    /// The file fails.
    Fail,
    /// The file begins anew, up to three times; only where nobody has seen its first bytes yet.
    Restart,
}
