//! Pages to pack.

use std::path::Path;

use extract::Extract;
use model::{Checksum, Host, ItemId, PageUrl, SourceId, Timestamp};
use pack::{Pack, Page, Writer, WriterOptions};

pub(crate) fn options() -> WriterOptions {
    let mut options = WriterOptions::new(
        Host::new("example.gov").unwrap(),
        Timestamp::from_millis(1_700_000_000_000),
    );
    options.generator = "haul test".to_owned();
    options
}

pub(crate) fn page(path: &str, extract: Extract) -> Page {
    let url = PageUrl::parse(&format!("https://example.gov{path}")).unwrap();
    Page {
        source: SourceId::new("example.gov").unwrap(),
        item: ItemId::new(url.as_str()).unwrap(),
        checksum: Checksum::of(path.as_bytes()),
        fetched_at: Timestamp::from_millis(1_600_000_000_000),
        extract,
        url,
    }
}

/// The pack `sample.pack` in `folder` with these pages.
pub(crate) fn write(folder: &Path, pages: &[Page]) -> Pack {
    let path = folder.join("sample.pack");
    let mut writer = Writer::create(&path, &options()).unwrap();
    pages.iter().for_each(|page| writer.add(page).unwrap());
    writer.finish().unwrap();
    Pack::open(&path).unwrap()
}
