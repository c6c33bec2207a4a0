//! The image of jobs that see this machine: links, and nothing else. All programs are mounted.

use std::io;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::api::Api;
use crate::view;

/// Not on any registry.
const REPOSITORY: &str = "localhost/haul-base";

/// Makes the image, if the engine does not have it. Returns its name.
pub(super) fn make(api: &Api) -> io::Result<String> {
    let tar = tar()?;
    let tag: String = Sha256::digest(&tar)
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let name = format!("{REPOSITORY}:{tag}");
    if api.find_image(&name).is_err() {
        api.import(tar, REPOSITORY, &tag)?;
    }
    Ok(name)
}

/// The same bytes every time.
fn tar() -> io::Result<Vec<u8>> {
    let mut builder = tar::Builder::new(Vec::new());
    let links = view::root().filter_map(|(path, target)| Some((path, target?)));
    let zone = view::zone().map(|target| (Path::new(view::ZONE), target));
    for (path, target) in links.chain(zone) {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_mode(0o777);
        header.set_size(0);
        builder.append_link(&mut header, relative(path), target)?;
    }
    builder.into_inner()
}

fn relative(path: &Path) -> &Path {
    path.strip_prefix("/").unwrap_or(path)
}
