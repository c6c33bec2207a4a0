use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use crawldb::{Crawldb, Store};
use remote::{RemoteOptions, RemoteStore, RouterOptions};
use tokio::runtime::{Builder, Runtime};

/// A served router with a runtime of its own, so that it can be killed with all its connections.
pub(crate) struct Service {
    runtime: Option<Runtime>,
    address: SocketAddr,
}

impl Service {
    pub(crate) fn start(router: Router) -> Self {
        Self::serve(TcpListener::bind("127.0.0.1:0").unwrap(), router)
    }

    /// Both stores of `crawldb`, for everybody.
    pub(crate) fn of(crawldb: &Crawldb) -> Self {
        Self::start(router(crawldb))
    }

    /// This store, with documents in memory.
    pub(crate) fn of_store(store: impl Store) -> Self {
        let documents = Arc::clone(Crawldb::memory().documents());
        Self::start(remote::router(
            Arc::new(store),
            documents,
            RouterOptions::default(),
        ))
    }

    fn serve(listener: TcpListener, router: Router) -> Self {
        let address = listener.local_addr().unwrap();
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        listener.set_nonblocking(true).unwrap();
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            axum::serve(listener, router).await.unwrap();
        });
        Self {
            runtime: Some(runtime),
            address,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn client(&self) -> RemoteStore {
        RemoteStore::new(&self.url(), quick()).unwrap()
    }

    /// Cuts all connections at once.
    pub(crate) fn kill(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }

    /// Kills it and starts another one at the same address.
    pub(crate) async fn restart(mut self, router: Router) -> Self {
        self.kill();
        loop {
            match TcpListener::bind(self.address) {
                Ok(listener) => return Self::serve(listener, router),
                Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.kill();
    }
}

pub(crate) fn router(crawldb: &Crawldb) -> Router {
    let (store, documents) = (Arc::clone(crawldb.store()), Arc::clone(crawldb.documents()));
    remote::router(store, documents, RouterOptions::default())
}

/// Retries without waiting for long.
pub(crate) fn quick() -> RemoteOptions {
    RemoteOptions {
        timeout: Duration::from_secs(10),
        pause: Duration::from_millis(5),
        ..RemoteOptions::default()
    }
}
