use std::fs::File;
use std::os::fd::AsFd as _;

use anyhow::Result;
use retrieve::hooks::{Decompress, DecompressBy, DecompressLimits};
use retrieve::{Hooks, Options, Retriever};

use crate::cli;
use crate::exit::Exit;
use crate::output;
use crate::retrieval::{self, Asked, Copied, Environment, OnlyBytes, Selection};

/// Writes objects to stdout.
pub(crate) async fn run(cat: &cli::Cat, environment: &Environment) -> Result<Exit> {
    let asked = Asked::new(&cat.addresses, None, &cat.reach, environment)?;
    let options = Options {
        order: retrieval::order(cat.order),
        ..retrieval::options(&cat.effort)
    };
    let retriever = Retriever::new(options).map_err(|error| retrieval::refused(&error))?;
    let mut hooks = Hooks::default().stateful(Selection::new(&cat.choice)?);
    if let Some(range) = &cat.range {
        hooks = hooks.stateful(OnlyBytes(range.0.clone()));
    }
    if cat.decompress {
        hooks = hooks.stateful(Decompress::new(DecompressBy::Suffix, DecompressLimits::default()));
    }
    write(&retriever, &asked, hooks).await
}

/// Writes what is asked for to stdout.
pub(crate) async fn write(retriever: &Retriever, asked: &Asked, hooks: Hooks) -> Result<Exit> {
    // Rust's own stdout looks for line ends in all that passes.
    let mut out = File::from(std::io::stdout().as_fd().try_clone_to_owned()?);
    let files = retriever
        .read(asked.request(), hooks)
        .map_err(|error| retrieval::refused(&error))?;
    match retrieval::copy(files, &mut out).await? {
        Copied::Enough => Ok(Exit::Done),
        Copied::Failed(meta, error) => {
            output::say(&format!("error: {}", retrieval::failure(&meta, &error)));
            Ok(Exit::Failed)
        }
        Copied::All(report) => {
            if let Some(error) = &report.error {
                return Err(retrieval::refused(error));
            }
            Ok(if report.is_complete() {
                Exit::Done
            } else {
                Exit::Failed
            })
        }
    }
}
