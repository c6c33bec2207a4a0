//! A thread with a reactor and its share of the connections.

use std::io;
use std::net::TcpStream;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use tokio::runtime;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::server::Service;
use crate::server::connection::Connection;

/// A running thread.
pub(super) struct Worker {
    admitted: UnboundedSender<Admitted>,
    connections: TaskTracker,
    thread: JoinHandle<()>,
}

/// A connection that has a place, on its way to its worker. What it holds is given back in this order.
pub(super) struct Admitted {
    stream: TcpStream,
    place: OwnedSemaphorePermit,
    counted: TaskTrackerToken,
}

impl Worker {
    /// Starts a thread.
    pub(super) fn start(number: usize, service: &Arc<Service>) -> io::Result<Self> {
        // Bounded all the same: everything in it holds a place.
        let (sender, admitted) = unbounded_channel();
        let connections = TaskTracker::new();
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let work = work(admitted, connections.clone(), Arc::clone(service));
        let thread = thread::Builder::new()
            .name(format!("server-{number}"))
            .spawn(move || runtime.block_on(work))?;
        Ok(Self {
            admitted: sender,
            connections,
            thread,
        })
    }

    /// How many connections it has.
    pub(super) fn connections(&self) -> usize {
        self.connections.len()
    }

    /// Gives it one more.
    pub(super) fn admit(&self, stream: TcpStream, place: OwnedSemaphorePermit) {
        let counted = self.connections.token();
        // A worker ends only after its sender is gone.
        let _ = self.admitted.send(Admitted {
            stream,
            place,
            counted,
        });
    }

    /// Waits until its connections are done, which the stop of the service has told them to be.
    pub(super) async fn end(self) {
        drop(self.admitted);
        let joined = spawn_blocking(|| self.thread.join()).await;
        if !matches!(joined, Ok(Ok(()))) {
            tracing::error!("a thread of the server has panicked");
        }
    }
}

async fn work(mut admitted: UnboundedReceiver<Admitted>, connections: TaskTracker, service: Arc<Service>) {
    while let Some(admitted) = admitted.recv().await {
        tokio::spawn(serve(admitted, Arc::clone(&service)));
    }
    connections.close();
    if timeout(service.options.drain_timeout, connections.wait())
        .await
        .is_err()
    {
        let cut_off = connections.len();
        tracing::warn!(cut_off, "some connections were not done in time and are cut off");
    }
}

async fn serve(admitted: Admitted, service: Arc<Service>) {
    let Admitted {
        stream,
        place,
        counted,
    } = admitted;
    match Connection::new(stream, &service) {
        Ok(connection) => connection.serve().await,
        Err(error) => tracing::debug!(%error, "a connection cannot be watched"),
    }
    drop((place, counted));
}
