//! `haul pkgindex`: the real server on real stores, with clients that know what they must be answered.

mod clients;
mod following;
mod kills;
mod limits;
mod misuse;
mod oracle;
mod sharing;
mod transfer;

use tests::Bench;

pub(crate) fn add(bench: &mut Bench) {
    sharing::add(bench);
    kills::add(bench);
    limits::add(bench);
    oracle::add(bench);
    following::add(bench);
    transfer::add(bench);
    misuse::add(bench);
}

/// How large a test is: what the environment says, or else `usual`.
fn size(variable: &str, usual: u64) -> anyhow::Result<u64> {
    match std::env::var(variable) {
        Ok(size) => Ok(size.parse()?),
        Err(_) => Ok(usual),
    }
}
