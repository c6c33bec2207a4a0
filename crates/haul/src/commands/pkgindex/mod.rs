//! The package index as a program of its own.

mod check;
mod dump;
mod load;
mod place;
mod query;
mod serve;

use anyhow::Result;

use crate::cli::pkgindex::PackageIndex;
use crate::exit::Exit;
use crate::output::Output;

/// Serves, checks, writes, reads and asks a package index.
pub(crate) async fn run(output: Output, action: &PackageIndex) -> Result<Exit> {
    match action {
        PackageIndex::Serve(serve) => serve::run(output, serve).await,
        PackageIndex::Check(check) => check::run(output, check),
        PackageIndex::Dump { place } => dump::run(place).await,
        PackageIndex::Load(load) => load::run(output, load).await,
        PackageIndex::Query(query) => query::run(output, query).await,
    }
}
