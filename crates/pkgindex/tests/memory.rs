//! What connections cost, in a process where nothing else runs: tests beside it would be measured, too.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod resident;
mod served;
mod slow;

use std::sync::{Mutex, MutexGuard, PoisonError};

use pkgindex::{ServerOptions, raise_descriptor_limit};
use resident::memory_kib;
use served::Served;
use slow::{flood, with_little_room};

/// One test at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

#[test]
fn a_slow_reader_only_hurts_itself() {
    let _alone = alone();
    let server = Served::start(ServerOptions::default());
    let before = memory_kib("VmRSS");
    let mut slow = with_little_room(server.address);
    let taken = flood(&mut slow);
    assert!(
        taken < 24 << 20,
        "{taken} lines were read though no answer could leave"
    );
    let growth = memory_kib("VmRSS").saturating_sub(before);
    assert!(growth < 32 << 10, "{growth} KiB are held for a slow reader");
    assert_eq!(server.connect().ask("INDEX|a|\n"), "OK\n");
    assert_eq!(slow.answers(taken), "ERROR\n".repeat(taken));
    assert_eq!(slow.end(), "");
}

/// Both ends are in this process, so with a limit of 20,000 descriptors there are a few less than ten thousand.
#[test]
fn ten_thousand_idle_connections_cost_little() {
    let _alone = alone();
    let limit = usize::try_from(raise_descriptor_limit().unwrap()).unwrap_or(usize::MAX);
    let count = 10_000.min((limit - 400) / 2);
    let server = Served::start(ServerOptions {
        max_connections: count,
        ..ServerOptions::default()
    });
    let before = memory_kib("VmRSS");
    let mut clients: Vec<_> = (0..count).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.send("QUERY|a|\n");
    }
    for client in &mut clients {
        assert_eq!(client.answers(1), "FAIL\n");
    }
    let growth = memory_kib("VmRSS").saturating_sub(before);
    assert!(growth < 50 << 10, "{count} idle connections hold {growth} KiB");
    assert_eq!(server.counts.connections(), count as u64);
}
