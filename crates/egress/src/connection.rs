//! One connection of a run, from its first byte to its last.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::gate::{Gate, Stop, Target};
use crate::opening::{Opening, Speech};
use crate::splice::splice;
use crate::tape::Call;
use crate::visits::Host;

/// How long a client may take to say whom it calls, where nothing else tells it. Clients of some protocols wait for the server.
const FIRST_WORDS: Duration = Duration::from_secs(1);
/// How long it may take for that where the connection waits for nothing else: once it has begun, or where a tape records.
pub(crate) const WHOLE_OPENING: Duration = Duration::from_secs(10);
/// How long a client may take to hear a refusal, and how much it may send meanwhile.
const FAREWELL: Duration = Duration::from_secs(1);
const FAREWELL_BYTES: u64 = 256 * 1024;
/// A fatal alert of TLS: access denied (RFC 8446, section 6.2).
const ACCESS_DENIED: [u8; 7] = [0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 49];

/// Serves a connection until it ends.
pub(crate) async fn serve(gate: Arc<Gate>, client: TcpStream) {
    let ended = lead(&gate, client).await;
    tracing::trace!(?ended, "a connection ended");
}

async fn lead(gate: &Arc<Gate>, client: TcpStream) -> io::Result<()> {
    client.set_nodelay(true)?;
    let target = gate.target(gate.outside.target(&client)?);
    let mut opening = Opening::default();
    let speech = if target.name.is_none() || gate.tape.is_some() {
        opening.read(&client, patience(gate)).await?
    } else {
        Speech::Silent
    };
    let host = match gate.contact(&target, &speech).await {
        Ok(host) => host,
        Err(sentence) => return turn_away(client, opening, &sentence).await,
    };
    if let Err(Stop::Refused(sentence)) = gate.judge_names(&target, &speech) {
        gate.refuse(&host, &sentence);
        return turn_away(client, opening, &sentence).await;
    }
    match &gate.tape {
        Some(tape) if tape.takes(&speech) => {
            let call = Call {
                target,
                host,
                speech,
                opening: opening.into_bytes(),
            };
            // What HTTP and TLS need would make every connection's task large.
            Box::pin(tape.serve(gate.clone(), call, client)).await
        }
        _ => pass(gate, &target, &host, opening, client).await,
    }
}

/// How long a client's first words are waited for. What a tape does not take, nobody else may be ready for: the run trusts only the tape's authority.
fn patience(gate: &Gate) -> Duration {
    match &gate.tape {
        None => FIRST_WORDS,
        Some(tape) if tape.is_replay() => gate.policy.idle_timeout,
        Some(_) => WHOLE_OPENING,
    }
}

/// Passes a connection on, and says to the client what became of it if that is not possible.
async fn pass(
    gate: &Gate,
    target: &Target,
    host: &Host,
    mut opening: Opening,
    mut client: TcpStream,
) -> io::Result<()> {
    match connect_and_splice(gate, target, host, &mut opening, &mut client).await {
        Ok(()) => Ok(()),
        Err(Stop::Refused(sentence)) => {
            gate.refuse(host, &sentence);
            turn_away(client, opening, &sentence).await
        }
        Err(Stop::Failed(sentence)) => {
            gate.fail(host, &sentence);
            client.set_zero_linger()
        }
        // A body that was cut must not look like one that ended.
        Err(Stop::Broken(error)) => client.set_zero_linger().and(Err(error)),
    }
}

async fn connect_and_splice(
    gate: &Gate,
    target: &Target,
    host: &Host,
    opening: &mut Opening,
    client: &mut TcpStream,
) -> Result<(), Stop> {
    let (server, _place) = tokio::select! {
        dialled = gate.dial(target, host) => dialled?,
        () = opening.is_abandoned(client) => return Err(Stop::Broken(io::ErrorKind::ConnectionAborted.into())),
    };
    host.connections.fetch_add(1, Ordering::Relaxed);
    let is_judged = !gate.policy.deny.is_empty();
    let judge = is_judged.then_some(|speech: &Speech| gate.judge_opening(target, speech));
    splice(client, server, opening, judge, host, gate.policy.idle_timeout).await
}

/// Says no in the client's language, and closes.
async fn turn_away(mut client: TcpStream, mut opening: Opening, sentence: &str) -> io::Result<()> {
    match opening.read(&client, FAREWELL).await? {
        Speech::Http(_) => client.write_all(forbidden(sentence).as_bytes()).await?,
        Speech::Tls(_) => client.write_all(&ACCESS_DENIED).await?,
        Speech::Other | Speech::Cut | Speech::Silent => {}
    }
    client.shutdown().await?;
    // Closing while the client still sends would take the answer away from it.
    let mut rest = client.take(FAREWELL_BYTES);
    let drained = tokio::time::timeout(FAREWELL, tokio::io::copy(&mut rest, &mut tokio::io::sink())).await;
    drained.unwrap_or(Ok(0)).map(drop)
}

fn forbidden(sentence: &str) -> String {
    let length = sentence.len() + 1;
    format!(
        "HTTP/1.1 403 Forbidden\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{sentence}\n"
    )
}
