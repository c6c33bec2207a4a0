//! `hook_overhead none|ten|no-checksum ENDPOINT`: reads `s3://b/one` with no hook, with ten that do nothing, or without
//! checksums, so that what they cost can be measured from outside.
#![expect(clippy::print_stderr, reason = "a program says why it failed")]

use std::process::ExitCode;

use retrieve::hooks::FunctionalHook;
use retrieve::{DownloadRequest, Error, ErrorKind, Hooks, Options, Retriever};

struct Nothing;

impl FunctionalHook for Nothing {
    fn name(&self) -> &str {
        "nothing"
    }
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match run(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(words: &[String]) -> Result<(), Error> {
    let [way, endpoint] = words else {
        return Err(Error::new(
            ErrorKind::Invalid,
            "usage: hook_overhead none|ten|no-checksum ENDPOINT",
        ));
    };
    let options = Options {
        verify: way != "no-checksum",
        ..Options::default()
    };
    let count = if way == "ten" { 10 } else { 0 };
    let hooks = (0..count).fold(Hooks::default(), |hooks, _| hooks.functional(Nothing));
    let request = DownloadRequest::new("s3://b/one")?.options([
        ("aws_endpoint", endpoint.as_str()),
        ("aws_access_key_id", "key"),
        ("aws_secret_access_key", "secret"),
    ]);
    let retriever = Retriever::new(options)?;
    for file in retriever.read(request, hooks)? {
        for piece in file.map_err(|(_, error)| error)? {
            std::hint::black_box(piece?.len());
        }
    }
    Ok(())
}
