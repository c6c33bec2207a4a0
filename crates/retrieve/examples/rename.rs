//! Saves objects under other names: `rename ADDRESS FOLDER` sorts files into a folder for each suffix, and leaves out
//! those that are empty.

use retrieve::hooks::{Select, StatefulHook};
use retrieve::{DownloadRequest, Entry, Error, Hooks, Options, Retriever};

struct BySuffix;

impl StatefulHook for BySuffix {
    fn name(&self) -> &str {
        "by suffix"
    }

    fn select(&mut self, entry: &mut Entry) -> Select {
        if entry.size == Some(0) {
            return Select::Skip;
        }
        let suffix = entry.name.rsplit_once('.').map_or("other", |(_, suffix)| suffix);
        entry.name = format!("{suffix}/{}", entry.name);
        Select::Keep
    }
}

fn sort(address: &str, folder: &str) -> Result<(), Error> {
    let request = DownloadRequest::new(address)?.options(std::env::vars());
    let retriever = Retriever::new(Options::default())?;
    let report = retriever
        .save(request, folder, Hooks::default().stateful(BySuffix))?
        .wait();
    let reason = report
        .failed
        .first()
        .map(|(_, error)| error)
        .or(report.error.as_ref());
    reason.map_or(Ok(()), |error| Err(error.clone()))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, folder] = arguments.as_slice() else {
        return Err("usage: rename ADDRESS FOLDER".into());
    };
    Ok(sort(address, folder)?)
}

#[cfg(test)]
mod tests {
    #[test]
    fn files_are_sorted_by_suffix() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        std::fs::create_dir(&from).unwrap();
        for (name, text) in [("a.txt", "a"), ("b.csv", "b"), ("plain", "c"), ("empty.txt", "")] {
            std::fs::write(from.join(name), text).unwrap();
        }
        super::sort(&format!("{}/", from.display()), to.to_str().unwrap()).unwrap();
        assert_eq!(std::fs::read(to.join("txt/a.txt")).unwrap(), b"a");
        assert_eq!(std::fs::read(to.join("csv/b.csv")).unwrap(), b"b");
        assert_eq!(std::fs::read(to.join("other/plain")).unwrap(), b"c");
        assert!(!to.join("txt/empty.txt").exists());
    }
}
