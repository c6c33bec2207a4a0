//! Passes bytes between two connections.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::time::{Instant, sleep};

use crate::connection::WHOLE_OPENING;
use crate::gate::Stop;
use crate::opening::{Opening, Speech};
use crate::visits::Host;

/// What is read at once. A connection has such a buffer only while bytes are on their way.
const BUFFER_BYTES: usize = 64 * 1024;

/// Passes bytes both ways until both sides have closed; where there is a judge, the client's after its opening was judged. A side that has closed may still hear.
///
/// # Errors
///
/// [`Stop::Refused`] by the judge; [`Stop::Broken`] when a side breaks, or nothing moves for `idle`. The server's connection is reset then.
pub(crate) async fn splice(
    client: &mut TcpStream,
    mut server: TcpStream,
    opening: &mut Opening,
    judge: Option<impl Fn(&Speech) -> Result<(), Stop>>,
    host: &Host,
    idle: Duration,
) -> Result<(), Stop> {
    let pulse = Pulse::new();
    let ended = {
        let (from_client, to_client) = client.split();
        let (from_server, mut to_server) = server.split();
        let inward = async { Ok(pump(&from_server, to_client, &host.bytes_in, &pulse).await?) };
        let outward = async {
            if let Some(judge) = judge {
                // Before it speaks there is nothing to pass on.
                let speech = opening.await_and_read(from_client.as_ref(), WHOLE_OPENING);
                judge(&speech.await?)?;
            }
            pass_on(std::mem::take(opening), &mut to_server, &host.bytes_out, &pulse).await?;
            Ok(pump(&from_client, to_server, &host.bytes_out, &pulse).await?)
        };
        tokio::select! {
            ended = async { tokio::try_join!(inward, outward) } => ended.map(drop),
            () = pulse.stops(idle) => Err(Stop::Broken(io::ErrorKind::TimedOut.into())),
        }
    };
    if ended.is_err() {
        server.set_zero_linger()?;
    }
    ended
}

async fn pass_on(
    opening: Opening,
    to: &mut WriteHalf<'_>,
    count: &AtomicU64,
    pulse: &Pulse,
) -> io::Result<()> {
    let bytes = opening.into_bytes();
    to.write_all(&bytes).await?;
    pulse.moved(count, bytes.len());
    Ok(())
}

async fn pump(
    from: &ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    count: &AtomicU64,
    pulse: &Pulse,
) -> io::Result<()> {
    let mut buffer = Vec::new();
    loop {
        buffer.reserve(BUFFER_BYTES);
        match from.try_read_buf(&mut buffer) {
            Ok(0) => break,
            Ok(_) => {
                to.write_all(&buffer).await?;
                pulse.moved(count, buffer.len());
                buffer.clear();
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                buffer = Vec::new();
                from.readable().await?;
            }
            Err(error) => return Err(error),
        }
    }
    // Whoever has gone cannot be told.
    let _ = to.shutdown().await;
    Ok(())
}

/// When something moved last.
struct Pulse {
    start: Instant,
    last_ms: AtomicU64,
}

impl Pulse {
    fn new() -> Self {
        Self {
            start: Instant::now(),
            last_ms: AtomicU64::default(),
        }
    }

    fn moved(&self, count: &AtomicU64, bytes: usize) {
        count.fetch_add(bytes as u64, Ordering::Relaxed);
        let now = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_ms.store(now, Ordering::Relaxed);
    }

    /// Waits until nothing has moved for so long.
    async fn stops(&self, idle: Duration) {
        loop {
            let last = self.start + Duration::from_millis(self.last_ms.load(Ordering::Relaxed));
            let left = idle.saturating_sub(last.elapsed());
            if left.is_zero() {
                return;
            }
            sleep(left).await;
        }
    }
}
