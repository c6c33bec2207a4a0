//! Connections: how many, how long their headers may take, and how they end.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Header lines of one request at most.
const MAX_HEADERS: usize = 64;
/// Bytes of the request line and headers at most.
const MAX_HEADER_BYTES: usize = 128 << 10;
/// From the start of a request, or of an idle connection, to the end of its headers.
const HEADER_TIME: Duration = Duration::from_secs(30);
/// What is being answered when the server stops may take so long to end.
const STOP_TIME: Duration = Duration::from_secs(10);
/// The wait after a connection could not be accepted, when the system has run out of something.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Answers the connections of `listener` until `stop` is cancelled, then lets answers end.
pub(super) async fn serve(
    listener: TcpListener,
    router: Router,
    slots: Arc<Semaphore>,
    stop: CancellationToken,
) {
    let connections = TaskTracker::new();
    while let Some(Ok(slot)) = stop.run_until_cancelled(Arc::clone(&slots).acquire_owned()).await {
        let Some(accepted) = stop.run_until_cancelled(listener.accept()).await else {
            break;
        };
        match accepted {
            Ok((stream, _)) => {
                let answered = answer(stream, router.clone(), stop.clone());
                connections.spawn(async move {
                    answered.await;
                    drop(slot);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    connections.close();
    connections.wait().await;
}

async fn answer(stream: TcpStream, router: Router, stop: CancellationToken) {
    // Small answers leave at once; that this cannot be set changes nothing else.
    let _ = stream.set_nodelay(true);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIME)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_HEADER_BYTES)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut connection = std::pin::pin!(connection);
    let ended = match stop.run_until_cancelled(connection.as_mut()).await {
        Some(ended) => ended,
        None => {
            connection.as_mut().graceful_shutdown();
            tokio::time::timeout(STOP_TIME, connection)
                .await
                .unwrap_or(Ok(()))
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke");
    }
}
