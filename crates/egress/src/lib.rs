//! The only way out of a sandbox: names, addresses that are allowed, and who was talked to.
//!
//! [`Proxy::start`] answers the [`Sockets`] of one run. A name that the run asks for gets an address of its own in 198.18.0.0/15 (RFC 2544, RFC 6890), so
//! that a connection says by its target which name is meant, whatever protocol it speaks. The name is resolved at that moment, outside; addresses where clouds
//! serve a machine's metadata are refused always, and private, loopback and this machine's own unless the [`Policy`] allows them. That is judged *after* resolving,
//! and the connection is made to the very address that was judged, so an answer that changes in between (DNS rebinding) gains nothing. Bytes are then passed
//! through untouched, and counted per host.
//!
//! *Whom a connection is counted for*: the name that was asked for, because that is where its bytes go. A connection to a bare address is
//! counted for the server name of its TLS (RFC 6066) or the `Host` of its plain HTTP where that name resolves to the address, else for the address. A host that
//! is denied is refused under the name that was asked for and under the one that is said; of a plain HTTP connection the first request is read. That is for programs
//! that mean well: one that hides the name (ECH, HTTP/2 in clear, another protocol, a bare address) gets through to a server that serves several hosts. The border is
//! the judgement of addresses.
//!
//! *How fast*: runs whose proxies share a [`Pace`] spare the sites that they call together. To wait is no failure.
//!
//! *How much*: connections, hosts and lookups of a run have limits, and [`Policy::for_each_of`] gives each run its part of what the process may have, so that none
//! takes the others' sockets and threads.
//!
//! *Ports*: all but 25. Nobody scrapes a mail server, and whoever lets strangers' programs send mail is soon on every block list; 465 and 587 ask for a password.
//!
//! With a [`Tape`] the proxy also records what is said over HTTP (TLS by an authority of its own, which only this run trusts), or plays back what
//! was recorded without any network.
//!
//! ```no_run
//! # async fn run(sockets: egress::Sockets) -> std::io::Result<()> {
//! use std::sync::Arc;
//! let refused = Arc::new(|sentence: &str| tracing::info!("{sentence}"));
//! let proxy = egress::Proxy::start(sockets, egress::Policy::default(), Arc::default(), None, refused)?;
//! // ... the run ...
//! for visit in proxy.stop().await {
//!     tracing::info!(host = visit.host, bytes_in = visit.counts.bytes_in, "scraped");
//! }
//! # Ok(())
//! # }
//! ```

mod connection;
mod dns;
mod gate;
mod names;
mod opening;
mod outside;
mod pace;
mod policy;
mod proxy;
mod splice;
mod tape;
mod visits;

pub use crate::gate::Refused;
pub use crate::outside::{Machine, Outside};
pub use crate::pace::Pace;
pub use crate::policy::{Policy, Resolve};
pub use crate::proxy::{Proxy, Sockets};
pub use crate::tape::{Tape, TapeError, TapeLimits, Trust};
pub use crate::visits::{Counts, Visit};
