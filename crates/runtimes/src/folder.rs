use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use sha2::{Digest, Sha256};
use walkdir::WalkDir;

use crate::DetectError;

/// Lock files of large projects have a few megabytes.
const MAX_FILE_BYTES: u64 = 16 << 20;
/// Of a scraper's whole folder, where a build depends on it.
const MAX_FOLDER_BYTES: u64 = 256 << 20;
/// What is no part of a scraper's code.
const NOT_CODE: [&str; 2] = [".git", "data.sqlite"];

/// The folder of a scraper. It comes from people, so it is only read, within limits, and links are not followed.
#[derive(Clone, Copy)]
pub(crate) struct Folder<'a>(pub(crate) &'a Path);

impl Folder<'_> {
    /// Whether there is a regular file of that name.
    pub(crate) fn has(self, name: &str) -> bool {
        fs::symlink_metadata(self.0.join(name)).is_ok_and(|found| found.is_file())
    }

    /// Whether there is a regular file of that name that can be executed.
    pub(crate) fn has_executable(self, name: &str) -> bool {
        fs::symlink_metadata(self.0.join(name))
            .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o100 != 0)
    }

    /// The file's text, None where there is no such regular file. What is not UTF-8 is replaced.
    pub(crate) fn read(self, name: &str) -> Result<Option<String>, DetectError> {
        if !self.has(name) {
            return Ok(None);
        }
        let bytes = read_limited(&self.0.join(name)).map_err(|error| DetectError::Invalid {
            file: name.to_owned(),
            reason: error.to_string(),
        })?;
        Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// Adds the names and contents of all code.
    pub(crate) fn digest(self, digest: &mut Sha256) -> Result<(), DetectError> {
        let mut left = MAX_FOLDER_BYTES;
        let entries = WalkDir::new(self.0)
            .sort_by_file_name()
            .into_iter()
            .filter_entry(|entry| !NOT_CODE.iter().any(|name| entry.file_name() == *name));
        for entry in entries {
            let entry = entry.map_err(|error| unreadable(&error))?;
            if !entry.file_type().is_file() {
                continue;
            }
            let name = entry.path().strip_prefix(self.0).unwrap_or(entry.path());
            add(digest, name.as_os_str().as_encoded_bytes());
            let (bytes, content) = digest_file(entry.path(), left).map_err(|error| unreadable(&error))?;
            add(digest, &content);
            left -= bytes;
            if left == 0 {
                return Err(unreadable(&format!(
                    "there are more than {} MiB of code",
                    MAX_FOLDER_BYTES >> 20
                )));
            }
        }
        Ok(())
    }
}

/// Adds a part so that it cannot run into the next.
pub(crate) fn add(digest: &mut Sha256, part: &[u8]) {
    digest.update((part.len() as u64).to_le_bytes());
    digest.update(part);
}

/// The length and digest of a file, of which no more than `limit` bytes are read.
fn digest_file(path: &Path, limit: u64) -> io::Result<(u64, Vec<u8>)> {
    let mut file = File::open(path)?.take(limit);
    let (mut digest, mut length) = (Sha256::new(), 0);
    let mut buffer = vec![0; 64 << 10];
    loop {
        let read = file.read(&mut buffer)?;
        let (bytes, _) = buffer.split_at(read);
        if bytes.is_empty() {
            return Ok((length, digest.finalize().to_vec()));
        }
        digest.update(bytes);
        length += read as u64;
    }
}

fn read_limited(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?
        .take(MAX_FILE_BYTES + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(io::Error::other(format!(
            "it is larger than {} MiB",
            MAX_FILE_BYTES >> 20
        )));
    }
    Ok(bytes)
}

fn unreadable(error: &dyn ToString) -> DetectError {
    DetectError::Invalid {
        file: "the scraper's folder".to_owned(),
        reason: error.to_string(),
    }
}
