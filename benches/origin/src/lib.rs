//! A read-only S3 subset on loopback, for tests and benchmarks of a downloader.
//!
//! Objects are virtual: each byte is a function of the object's content seed and the byte's position ([`content`]), so
//! an object of many gigabytes costs nothing to hold, little to send (the kernel copies it from one shared file), and a
//! test can [`verify`] any piece of it. Answers can be slow ([`Shaping`]), wrong ([`Faults`]), or either for particular
//! requests ([`Rule`]).
//!
//! # The parts
//!
//! * [`Origin`], a running server, and [`Config`], what it is started with.
//! * [`Object`], one version of what a key stands for. Objects come, change and go while the server runs.
//! * [`Shaping`], [`Faults`], [`Rule`]: what requests meet, per bucket, so that one origin can serve many runs at once.
//! * [`Stats`], what was counted; also as JSON at `GET /_origin/stats` (`POST /_origin/reset` begins anew).
//!
//! # What holds
//!
//! * *Path-style `GET` and `HEAD`, one range, `If-Match`, `If-None-Match`, and ListObjectsV2* answer as S3 does, errors
//!   included. Everything else is 501 or 405. No TLS; signatures are looked at, not verified; no `Date`.
//! * *Faults depend on nothing but* their seed, the key, the range, and how often this request was seen.
//! * *A body is of one version.* An object overwritten while it is sent goes on as it was.
//! * *A connection has a thread*, blocked in the kernel while it sends. Dropping the [`Origin`] closes every connection
//!   and returns when all threads have ended. What remains is one memory file of 64 MiB per process.
//! * *A client that closes its sending half is taken for gone* while it waits for a delayed or stalled answer.
//!
//! # Example
//!
//! ```
//! use origin::{Config, Object, Origin};
//! use std::io::{Read, Write};
//! use std::net::TcpStream;
//!
//! let origin = Origin::start(Config::default())?;
//! origin.put("bucket", "a/key", Object::new(7, 3_000_000_000));
//!
//! let mut connection = TcpStream::connect(origin.address())?;
//! connection.write_all(b"GET /bucket/a/key HTTP/1.1\r\nRange: bytes=-10\r\nConnection: close\r\n\r\n")?;
//! let mut answer = Vec::new();
//! connection.read_to_end(&mut answer)?;
//! assert!(answer.starts_with(b"HTTP/1.1 206 "));
//! assert_eq!(origin::verify(7, 2_999_999_990, &answer[answer.len() - 10..]), Ok(()));
//! # Ok::<(), std::io::Error>(())
//! ```

mod answer;
mod checksums;
mod config;
mod connection;
mod content;
mod draw;
mod error;
mod faults;
mod list;
mod locks;
mod object;
mod pacing;
mod pattern;
mod plan;
mod quantity;
mod ranges;
mod request;
mod rules;
mod server;
mod shaping;
mod stats;
mod store;
mod times;
mod xml;

pub use config::{Config, Duplicates};
pub use content::{Checksum, PERIOD, checksum, content, fill, verify};
pub use faults::{Fault, Faults, Probabilities, UnknownFault};
pub use object::{ChecksumOn, ChecksumValue, DeclaredChecksum, Object};
pub use quantity::{QuantityError, duration, rate, size};
pub use rules::{Effect, Rule};
pub use server::Origin;
pub use shaping::{Delay, Shaping};
pub use stats::{Requests, Stats};
