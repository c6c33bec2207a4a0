use anyhow::Result;

use crate::cli::Config;
use crate::config::Loaded;
use crate::exit::Exit;
use crate::output::{self, Output};

/// The configuration was read and checked before this runs.
pub(crate) fn run(loaded: &Loaded, output: Output, action: Config) -> Result<Exit> {
    match action {
        Config::Check => output::say("the configuration is right"),
        Config::Show if output.json => output.json(&loaded.config)?,
        Config::Show => output.line(loaded.show().trim_end())?,
    }
    Ok(Exit::Done)
}
