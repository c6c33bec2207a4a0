//! Every byte of HTTP that Haul serves.
//!
//! [`router`] turns handles of the parts ([`Deps`]) into one [`axum::Router`]; [`serve()`] answers connections with it
//! until it is told to stop. There is nothing else to know: this crate decides nothing, it asks the parts and shows
//! what they say, in three forms.
//!
//! | for | where | how |
//! |---|---|---|
//! | people | `/`, `/sources`, `/crawls`, `/escalations`, `/orphans`, `/packs`, `/sign-in`, `/account` | HTML that works without scripts, live figures with one |
//! | programs | `/api/v1/...` | JSON, described at `/api/v1/openapi.json` |
//! | programs that know Search.gov | `/api/v2/search/i14y` | the shape of its results API |
//! | other processes of Haul | `/api/v1/store/...` | the crawl database, where this process serves it ([`Deps::store`]) |
//! | hosts of repositories | `/hooks/{owner}/{name}` | tell that somebody pushed |
//! | readers of feeds | `/{owner}/{scraper}/runs.atom` | Atom |
//! | operators | `/metrics`, `/healthz`, `/readyz` | OpenMetrics text, short JSON |
//!
//! *Errors* are one type, `Problem`; its status is decided in one module. Programs get it as
//! `application/problem+json` (RFC 9457), people as a page, both with a sentence that says what to do.
//!
//! *Whatever arrives is text.* Query strings and forms are read as any bytes: what is not UTF-8 and control
//! characters are replaced, and what is too long is refused with an explanation. Everything shown is escaped where it
//! is shown; only `http` and `https` addresses become links.
//!
//! *Pages of other sites can change nothing.* A request that is not GET or HEAD is refused when a browser says that
//! another site sent it, and so is every request that calls the server by a name that is not its own, since names can
//! be made to lead here.
//!
//! *Who may do what* is said by [`Access`]. Without accounts, whoever reaches the listener may do everything, so bind it to
//! where only such people are. With them, people sign in (a cookie) and programs send a key; anybody may read, operators
//! change sources and crawls, and a scraper is its owner's. What is changed without asking who asks is what operators
//! change: a route is behind that guard unless it is put beside it.
//!
//! *Answers made of packs* carry an `ETag` of the packs' checksums and the question, so asking again is cheap and never
//! stale.
//!
//! ```no_run
//! # async fn example(deps: web::Deps) -> std::io::Result<()> {
//! let stop = deps.stop.clone();
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
//! web::serve(listener, web::router(deps), stop).await;
//! # Ok(())
//! # }
//! ```
//!
//! *Deciding is for people, and kept*: whoever rules about an item or approves a deletion gives a name and a reason.
//!
//! *Limits*: bodies 1 MiB (16 MiB of updates, 25 MiB of a push; code 200 MiB and data 4 GiB, which go to disk, eight at a time), query strings 16 KiB, headers 64
//! lines and 128 KiB, 30 s to an answer (15 minutes where a file is sent), 1,024 connections, 512 of them streams of events, four
//! sign-ins at a time.

mod accounts;
mod api;
mod assets;
mod attention;
mod clock;
mod data;
mod display;
mod download;
mod feed;
mod fresh;
mod guard;
mod health;
mod keys;
mod metrics;
mod names;
mod pages;
mod params;
mod problem;
mod push;
mod replays;
mod router;
mod runs;
mod serve;
mod settings;
mod spool;
mod state;
mod visitor;

pub use crate::names::is_reserved;
pub use crate::router::{operations, router};
pub use crate::serve::serve;
pub use crate::state::Deps;
pub use crate::visitor::{Access, Provider, ProviderKind};

/// Bytes of a request's body at most.
pub(crate) const MAX_BODY_BYTES: usize = 1 << 20;
