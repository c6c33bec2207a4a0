//! Histories of concurrent clients, judged in two ways that know nothing of each other.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod linearizable {
    mod checkers;
    mod indexes;
}
