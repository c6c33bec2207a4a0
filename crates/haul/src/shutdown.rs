//! Ctrl-C and SIGTERM: the first asks for an orderly stop, the second does not ask.

use anyhow::Result;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::exit::Exit;
use crate::output;

/// A file that outgrows the limit of this process (`ulimit -f`) is an error of its writer then, not the process's end.
pub(crate) fn outlive_file_limits() -> Result<()> {
    // A handler that does nothing takes the place of the deadly default.
    let _ = signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw()))?;
    Ok(())
}

/// A token that is cancelled by the first signal.
pub(crate) fn listen() -> Result<CancellationToken> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let asked = CancellationToken::new();
    let token = asked.clone();
    tokio::spawn(async move {
        for time in 0..2 {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if time == 0 {
                output::say("stopping; once more to stop at once");
                asked.cancel();
            }
        }
        // Nothing is lost: what was acknowledged is on disk, and the next start goes on.
        std::process::exit(Exit::Interrupted as i32);
    });
    Ok(token)
}
