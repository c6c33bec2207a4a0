//! Keeps a folder like a bucket: `cache ADDRESS FOLDER` fetches what is new or changed, and nothing else.

use retrieve::hooks::{CacheCheck, Undated};
use retrieve::{DownloadRequest, Error, Hooks, Options, Retriever, Stats};

fn refresh(address: &str, folder: &str) -> Result<Stats, Error> {
    let request = DownloadRequest::new(address)?.options(std::env::vars());
    let hooks = Hooks::default().stateful(CacheCheck::new(folder, Undated::Fetch));
    let retriever = Retriever::new(Options::default())?;
    let report = retriever.save(request, folder, hooks)?.wait();
    let reason = report
        .failed
        .first()
        .map(|(_, error)| error)
        .or(report.error.as_ref());
    reason.map_or(Ok(report.stats.clone()), |error| Err(error.clone()))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, folder] = arguments.as_slice() else {
        return Err("usage: cache ADDRESS FOLDER".into());
    };
    refresh(address, folder)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_new_is_fetched() {
        let folder = tempfile::tempdir().unwrap();
        let from = folder.path().join("from");
        std::fs::create_dir(&from).unwrap();
        std::fs::write(from.join("a"), "text").unwrap();
        let (address, to) = (format!("{}/", from.display()), folder.path().join("to"));
        let run = || refresh(&address, to.to_str().unwrap()).unwrap();
        assert_eq!(run().files_done, 1);
        std::fs::write(from.join("b"), "more").unwrap();
        let second = run();
        assert_eq!((second.files_done, second.files_cached), (1, 1));
        assert_eq!(std::fs::read(to.join("b")).unwrap(), b"more");
    }
}
