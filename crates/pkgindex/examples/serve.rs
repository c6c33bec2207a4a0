//! The three commands on an index in memory: `cargo run --release -p pkgindex --example serve -- PORT [WORKERS]`.

use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};

use pkgindex::store::MemoryStore;
use pkgindex::{Index, Options, Server, ServerOptions, raise_descriptor_limit};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let port = arguments.next().unwrap_or_else(|| "8080".to_owned()).parse()?;
    raise_descriptor_limit()?;
    let mut options = ServerOptions::default();
    if let Some(workers) = arguments.next() {
        options.workers = workers.parse()?;
    }
    let server = Server::bind(&[SocketAddr::from((Ipv4Addr::LOCALHOST, port))], options)?;
    let index = Index::open(Box::new(MemoryStore::new()), Options::default())?;
    let stop = async {
        // Without a signal handler it ends as any program does.
        let _ = tokio::signal::ctrl_c().await;
    };
    Ok(server.run(index, stop).await?)
}
