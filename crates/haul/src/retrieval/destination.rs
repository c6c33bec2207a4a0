//! Whether the last word of `haul get` is a folder or a file.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use retrieve::{Entry, Location, Retriever};

use super::Asked;
use crate::exit::Usage;

/// Where files are saved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Destination {
    /// Below this folder, by their names.
    Folder(PathBuf),
    /// As this file.
    File(PathBuf),
}

impl Destination {
    /// As `cp` decides: a word that ends in `/` and a folder that is there are folders; otherwise one object becomes that
    /// file, and more of them, or what a manifest names, a new folder.
    pub(crate) async fn decide(
        word: &str,
        addresses: &[String],
        asked: Asked,
        retriever: &Retriever,
    ) -> Result<(Self, Asked)> {
        if word.contains("://") {
            bail!(Usage(format!(
                "{word:?} is where things come from: name a folder or a file of this machine as the last word"
            )));
        }
        let path = PathBuf::from(word);
        let is_folder = word.is_empty() || word.ends_with('/') || path.is_dir();
        let [address] = addresses else {
            return Ok((Self::Folder(path), asked));
        };
        // Of several sources, as an address and a manifest, none is the one.
        if is_folder || asked.request().describe().len() > 1 {
            return Ok((Self::Folder(path), asked));
        }
        match the_one(address, &asked, retriever).await? {
            Some(only) => {
                let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
                let name = name.unwrap_or_else(|| only.name.clone());
                Ok((Self::File(path), asked.only(Entry { name, ..only })))
            }
            None => Ok((Self::Folder(path), asked)),
        }
    }

    /// Refuses a folder that nobody may write to, before the first byte comes.
    pub(crate) fn check(&self) -> Result<()> {
        let folder = self.folder();
        if !folder.exists() {
            return Ok(());
        }
        let may = rustix::fs::access(folder, rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK);
        if let Err(error) = may
            && folder.is_dir()
        {
            bail!(
                "{} cannot be written: {}; name another destination, or get the right to write there",
                folder.display(),
                std::io::Error::from(error)
            );
        }
        Ok(())
    }

    /// The folder in which something is written.
    pub(crate) fn folder(&self) -> &Path {
        match self {
            Self::Folder(path) => path,
            Self::File(path) => path
                .parent()
                .filter(|folder| !folder.as_os_str().is_empty())
                .unwrap_or(Path::new(".")),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        let (Self::Folder(path) | Self::File(path)) = self;
        path
    }
}

/// The object at `address`; none where the address is a folder or a pattern.
async fn the_one(address: &str, asked: &Asked, retriever: &Retriever) -> Result<Option<Entry>> {
    let location = Location::parse(address).map_err(|error| super::refused(&error))?;
    let first = retriever.list(asked.request()).next_entry().await;
    let first = first.transpose().map_err(|error| super::refused(&error))?;
    Ok(first.filter(|entry| entry.location == location))
}
