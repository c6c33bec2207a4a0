//! How many files and sockets this process may open.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What a process needs beside its connections: files of a store, listeners, reactors, the second port.
const RESERVE: u64 = 256;

/// How many connections the limit of descriptors leaves room for; a few in any case.
pub(super) fn allowed_connections() -> usize {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    usize::try_from(limit.saturating_sub(RESERVE).max(16)).unwrap_or(usize::MAX)
}

/// Raises the limit of descriptors of this process to the highest that it may have without rights, and returns it. To be called before
/// [`ServerOptions::default`](crate::ServerOptions), which goes by this limit; many systems begin with 1,024.
pub fn raise_descriptor_limit() -> io::Result<u64> {
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(
        Resource::Nofile,
        Rlimit {
            current: maximum,
            maximum,
        },
    )?;
    Ok(maximum.unwrap_or(u64::MAX))
}
