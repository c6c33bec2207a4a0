//! Names of packages as names of files.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// The longest name of a file on the usual file systems, in bytes.
const MAX_FILE_NAME_BYTES: usize = 255;

/// Stands between the beginning of a long name and its hash; no name has it otherwise.
const CUT: char = '~';

/// A name of a file that no other package has, also where capitals mean nothing: lower-case letters, digits, `-` and `_` stay, every
/// other byte is written as `%` and two digits. A name that gets too long is cut and ends in its SHA-256.
pub(super) fn file_name(package: &str) -> String {
    let mut name = String::with_capacity(package.len());
    for byte in package.bytes() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => name.push(char::from(byte)),
            _ => push_hex(&mut name, Some('%'), byte),
        }
    }
    if name.len() > MAX_FILE_NAME_BYTES {
        let hash = Sha256::digest(package.as_bytes());
        name.truncate(MAX_FILE_NAME_BYTES - 2 * hash.len() - 1);
        name.push(CUT);
        hash.iter().for_each(|&byte| push_hex(&mut name, None, byte));
    }
    name
}

/// Where a package has its file or folder below `folder`: one of 256 folders by hash, so that none gets too many entries.
pub(super) fn place(folder: &Path, package: &str) -> PathBuf {
    let mut shard = String::new();
    push_hex(&mut shard, None, Sha256::digest(package.as_bytes())[0]);
    folder.join(shard).join(file_name(package))
}

fn push_hex(text: &mut String, before: Option<char>, byte: u8) {
    let digit = |value: u8| char::from(b"0123456789abcdef"[usize::from(value & 15)]);
    text.extend(before);
    text.push(digit(byte >> 4));
    text.push(digit(byte));
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_of_files_are_distinct_and_harmless() {
        let (long, longer) = ("A".repeat(254), "A".repeat(255));
        let names = [
            "a",
            "A",
            "%41",
            "..",
            ".",
            "a/b",
            "a%2fb",
            "../a",
            "gtk+",
            "@scope/name",
            "python@3.12",
            &long,
            &longer,
        ];
        let files: HashSet<_> = names.iter().map(|name| file_name(name).to_lowercase()).collect();
        assert_eq!(files.len(), names.len());
        for file in files {
            assert!(
                file.len() <= MAX_FILE_NAME_BYTES && !file.starts_with('.') && !file.contains('/'),
                "{file}"
            );
        }
    }
}
