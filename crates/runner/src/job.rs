//! One process in the sandbox, with its log and its way out.

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

use egress::{Proxy, Sockets, Tape, Visit};
use runlog::{Stream, Writer};
use sandbox::{Ended, Gateway, Job, Running, SandboxError, Usage};
use tokio::sync::oneshot;

use crate::control::Control;
use crate::execution::{Break, Workshop};

/// What is read of a program's output at once.
const PIECE_BYTES: usize = 64 << 10;

/// Hosts that were refused, in the log: what Haul itself has to say must fit in as well.
const MAX_REFUSALS: usize = 200;

/// What became of a process.
pub(crate) struct Done {
    pub(crate) ended: Ended,
    pub(crate) usage: Usage,
    pub(crate) visits: Vec<Visit>,
    /// What it wrote to standard output, where that was asked for instead of logging it.
    pub(crate) output: Vec<u8>,
}

impl Done {
    fn not_started(why: String) -> Self {
        Self {
            ended: Ended::NotStarted(why),
            usage: Usage::default(),
            visits: Vec::new(),
            output: Vec::new(),
        }
    }
}

/// Where a program's standard output goes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Output {
    /// Into the log.
    Logged,
    /// To whoever started it: its first 64 KiB.
    Returned,
}

impl Workshop {
    /// Runs a job to its end. That it cannot even begin is its own fault only where the machine never could run it.
    pub(crate) async fn run_job(
        self: &Arc<Self>,
        job: Job,
        control: &Control,
        log: &Arc<Writer>,
        output: Output,
        tape: Option<Tape>,
    ) -> Result<Done, Break> {
        let shop = Arc::clone(self);
        let started = on_thread("start", move || shop.sandbox().start(job)).await;
        let mut running = match started {
            Ok(running) => running,
            Err(error) if is_final(&error) => return Ok(Done::not_started(with_causes(&error))),
            Err(error) => return Err(Break::ours("the program could not be started", &error)),
        };
        control.runs(running.stopper());
        let proxy = match self.start_proxy(&mut running, log, tape) {
            Ok(proxy) => proxy,
            Err(error) => {
                running.stopper().stop();
                wait(running).await;
                control.runs_nothing();
                return Err(Break::ours("the proxy could not be started", &error));
            }
        };
        let out = pump(running.stdout.take(), Stream::Stdout, log, output);
        let err = pump(running.stderr.take(), Stream::Stderr, log, Output::Logged);
        let (ended, usage) = wait(running).await;
        control.runs_nothing();
        let (output, _) = (out.await, err.await);
        let visits = match proxy {
            Some(proxy) => proxy.stop().await,
            None => Vec::new(),
        };
        self.metrics.visited(&visits);
        Ok(Done {
            ended,
            usage,
            visits,
            output,
        })
    }

    fn start_proxy(
        &self,
        running: &mut Running,
        log: &Arc<Writer>,
        tape: Option<Tape>,
    ) -> std::io::Result<Option<Proxy>> {
        let Some(gateway) = running.gateway.take() else {
            return Ok(None);
        };
        let (log, said) = (Arc::clone(log), AtomicUsize::new(0));
        let refused = move |text: &str| {
            let text = match said.fetch_add(1, Ordering::Relaxed) {
                said if said < MAX_REFUSALS => text,
                MAX_REFUSALS => "further refusals are only in the list of hosts",
                _ => return,
            };
            if let Err(error) = log.say(Stream::InternalErr, text, SystemTime::now()) {
                tracing::warn!(%error, "a refusal could not be logged");
            }
        };
        Proxy::start(
            sockets(gateway),
            self.options.policy.clone(),
            Arc::clone(&self.pace),
            tape,
            Arc::new(refused),
        )
        .map(Some)
    }
}

/// Whether it would be the same at the next try: this machine lacks a limit, or the job is none.
fn is_final(error: &SandboxError) -> bool {
    match error {
        SandboxError::Lacks(_) => true,
        SandboxError::Failed { source, .. } => source.kind() == std::io::ErrorKind::InvalidInput,
    }
}

fn sockets(gateway: Gateway) -> Sockets {
    Sockets {
        connections: gateway.connections,
        names: gateway.names,
        names_tcp: gateway.names_tcp,
    }
}

async fn wait(running: Running) -> (Ended, Usage) {
    on_thread("wait", move || running.wait()).await
}

/// Brings what a program writes into the log, on a thread of its own, until nobody can write any more.
fn pump(
    from: Option<OwnedFd>,
    stream: Stream,
    log: &Arc<Writer>,
    output: Output,
) -> impl Future<Output = Vec<u8>> + use<> {
    let log = Arc::clone(log);
    on_thread("log", move || {
        let mut returned = Vec::new();
        let Some(from) = from else { return returned };
        let mut pipe = File::from(from);
        let mut piece = vec![0; PIECE_BYTES];
        loop {
            let read = match pipe.read(&mut piece) {
                Ok(0) => return returned,
                Ok(read) => read,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    tracing::warn!(%error, "a program's output could not be read to its end");
                    return returned;
                }
            };
            let read = piece.get(..read).unwrap_or_default();
            if output == Output::Returned {
                let room = PIECE_BYTES.saturating_sub(returned.len());
                returned.extend(read.iter().take(room));
            } else if let Err(error) = log.write(stream, read, SystemTime::now()) {
                // Reading goes on: a log that cannot be written must not stop the program.
                tracing::warn!(%error, "a line of a run's log is lost");
            }
        }
    })
}

/// Runs `work` on a thread of its own: it may take as long as a run does, and threads for blocking are few. It panics where no thread can be had and where
/// `work` does; a run is given back then.
pub(crate) fn on_thread<T, F>(name: &str, work: F) -> impl Future<Output = T> + use<T, F>
where
    T: Send + 'static,
    F: FnOnce() -> T + Send + 'static,
{
    let (send, receive) = oneshot::channel();
    let spawned = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
        // Nobody waits any more where the receiver is gone.
        let _ = send.send(work());
    });
    async move {
        if let Err(error) = spawned {
            panic!("no thread can be started: {error}");
        }
        receive
            .await
            .unwrap_or_else(|_| panic!("a thread of a run panicked"))
    }
}

/// An error with what caused it, in one line.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let more = next.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = next.source();
    }
    text
}
