//! Chores of the workspace, run as `cargo xtask NAME`.
//!
//! - `tidy` reads the sources and reports what breaks the house rules;
//! - `test` installs what the tests need, runs all of them and says which did not run;
//! - `bench` measures Haul beside the programs that people would otherwise use.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a chore talks on its standard streams"
)]

mod bench;
mod run;
mod test;
mod tidy;

use anyhow::Result;
use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask COMMAND

  tidy               check the house rules: edges, names, sizes, licences, words
  test [ARGS...]     install what tests need, build, run all tests; ARGS go to `cargo test`
  bench [NAMES...]   measure: load pack crawl serve retrieve pkgindex (all of them without NAMES);
                     --quick takes a smaller corpus and fewer rounds";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let command = arguments.next().unwrap_or_default();
    let rest: Vec<String> = arguments.collect();
    match dispatch(&command, &rest) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(command: &str, rest: &[String]) -> Result<ExitCode> {
    match command {
        "tidy" => tidy::command(),
        "test" => test::command(rest),
        "bench" => bench::command(rest),
        "" | "help" | "--help" | "-h" => {
            println!("{USAGE}");
            Ok(ExitCode::SUCCESS)
        }
        unknown => {
            eprintln!("error: unknown command `{unknown}`\n\n{USAGE}");
            Ok(ExitCode::from(2))
        }
    }
}
