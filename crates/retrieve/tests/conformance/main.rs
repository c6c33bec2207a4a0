//! What this crate expects of S3, asked of real servers: `s3s-fs` in this process in every run, SeaweedFS where it is
//! installed. Where a server differs from S3, `Differences` names it.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod cases;
mod server;

use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use server::Server;
use tests::{Bench, Need};

fn main() -> ExitCode {
    let mut bench = Bench::default();
    add(&mut bench, "s3s-fs", &[], Server::s3s_fs);
    add(&mut bench, "SeaweedFS", &[Need::SeaweedFs], Server::seaweedfs);
    bench.run()
}

/// All cases on one server, which starts with the first of them and ends with the last.
fn add(bench: &mut Bench, server: &str, needs: &[Need], start: fn() -> Result<Server>) {
    let shared = Arc::new(Mutex::new(None));
    for (name, case) in cases::ALL {
        let shared = Arc::clone(&shared);
        let run = move || case(started(&shared, start)?.as_ref());
        bench.test(format!("retrieve on {server}: {name}"), needs, run);
    }
}

fn started(shared: &Mutex<Option<Arc<Server>>>, start: fn() -> Result<Server>) -> Result<Arc<Server>> {
    let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(server) = &*shared {
        return Ok(Arc::clone(server));
    }
    Ok(Arc::clone(shared.insert(Arc::new(start()?))))
}
