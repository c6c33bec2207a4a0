//! Retrieves an address: `fetch ADDRESS` reads it and throws it away, `fetch ADDRESS FOLDER` saves it.
#![expect(clippy::print_stderr, reason = "a program says what it did")]

use std::process::ExitCode;

use retrieve::{DownloadRequest, Error, Hooks, Options, Retriever};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match arguments.as_slice() {
        [address] => read(address),
        [address, folder] => save(address, folder),
        _ => Err(Error::new(
            retrieve::ErrorKind::Invalid,
            "usage: fetch ADDRESS [FOLDER]",
        )),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn request(address: &str) -> Result<DownloadRequest, Error> {
    Ok(DownloadRequest::new(address)?.options(std::env::vars()))
}

fn read(address: &str) -> Result<bool, Error> {
    let retriever = Retriever::new(Options::default())?;
    let mut files = retriever.read(request(address)?, Hooks::default())?;
    let mut bytes = 0;
    for file in &mut files {
        let file = file.map_err(|(_, error)| error)?;
        for piece in file {
            bytes += piece?.len();
        }
    }
    let stats = files.stats();
    eprintln!("{bytes} bytes in {} ms {stats:?}", stats.elapsed_ms);
    Ok(true)
}

fn save(address: &str, folder: &str) -> Result<bool, Error> {
    let retriever = Retriever::new(Options::default())?;
    let saving = retriever.save(request(address)?, folder, Hooks::default())?;
    let report = saving.wait();
    for (meta, error) in &report.failed {
        eprintln!("{}: {error}", meta.name);
    }
    eprintln!("{:?} {:?} {:?}", report.elapsed, report.error, report.stats);
    Ok(report.is_complete())
}
