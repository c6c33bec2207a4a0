use anyhow::Result;
use clap_complete::Shell;

use crate::cli;
use crate::exit::Exit;

/// Prints the completion script of `shell`.
pub(crate) fn run(shell: Shell) -> Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut cli::command(), "haul", &mut script);
    crate::output::Output { json: false }.line(String::from_utf8(script)?.trim_end())?;
    Ok(Exit::Done)
}
