//! Code that is sent as a tar archive.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek};
use std::path::{Component, Path};

use flate2::read::MultiGzDecoder;
use model::{OwnerName, ScraperId, ScraperName};
use registry::RegistryError;
use tar::{Archive, EntryType};

/// Bytes of an archive at most, as sent.
pub const MAX_UPLOAD_BYTES: u64 = 200 << 20;

/// Files and folders in it at most.
const MAX_ENTRIES: usize = 20_000;

/// Bytes of one long name or other words about a file, which are read into memory.
const MAX_WORDS_BYTES: u64 = 64 << 10;

/// What the code of runs that keep no data is archived under.
///
/// # Errors
///
/// Never, as things are: the name is right.
pub(crate) fn home(by: &OwnerName) -> Result<ScraperId, RegistryError> {
    let name = ScraperName::new("uploads").map_err(|error| RegistryError::Invalid(error.to_string()))?;
    Ok(ScraperId {
        owner: by.clone(),
        name,
    })
}

/// Unpacks files and folders below `to`. Everything else (links, devices) is left out: what a link names could lie outside.
///
/// # Errors
///
/// When the archive is damaged, too large, or names a place outside of `to`.
pub(crate) fn unpack(tar: &Path, to: &Path) -> io::Result<()> {
    walk(tar, |mut entry| {
        entry.set_preserve_permissions(false);
        entry.unpack_in(to).map(drop)
    })
}

/// Reads an archive to its end, so that what is wrong with it is known at once.
pub(crate) fn check(tar: &Path) -> io::Result<()> {
    check_words(tar)?;
    let mut files = 0;
    walk(tar, |_| {
        files += 1;
        Ok(())
    })?;
    match files {
        0 => Err(io::Error::other("there is no file in the archive")),
        _ => Ok(()),
    }
}

/// Refuses long words about files before anybody reads them.
fn check_words(tar: &Path) -> io::Result<()> {
    let mut archive = Archive::new(decompressed(File::open(tar)?)?);
    for entry in archive.entries()?.raw(true) {
        let entry = entry?;
        let is_of_file = matches!(
            entry.header().entry_type(),
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse
        );
        if !is_of_file && entry.size() > MAX_WORDS_BYTES {
            return Err(io::Error::other("a name in it is longer than 64 KiB"));
        }
    }
    Ok(())
}

fn walk(tar: &Path, mut each: impl FnMut(tar::Entry<'_, Box<dyn Read>>) -> io::Result<()>) -> io::Result<()> {
    let file = File::open(tar)?;
    let mut bytes = file.metadata()?.len();
    let mut archive = Archive::new(decompressed(file)?);
    for (index, entry) in archive.entries()?.enumerate() {
        let entry = entry?;
        bytes = bytes.saturating_add(entry.size());
        if index >= MAX_ENTRIES || bytes > 2 * MAX_UPLOAD_BYTES {
            return Err(io::Error::other(format!(
                "send at most {MAX_ENTRIES} files and {} MiB",
                MAX_UPLOAD_BYTES >> 20
            )));
        }
        let path = entry.path()?.into_owned();
        if !path
            .components()
            .all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
        {
            return Err(io::Error::other(format!(
                "{} is outside of the scraper's folder",
                path.display()
            )));
        }
        if matches!(
            entry.header().entry_type(),
            EntryType::Regular | EntryType::Directory
        ) {
            each(entry)?;
        }
    }
    Ok(())
}

/// The archive's bytes; `morph-cli` compresses them with gzip since 2026.
fn decompressed(mut file: File) -> io::Result<Box<dyn Read>> {
    let mut magic = [0; 2];
    let is_gzip = file.read_exact(&mut magic).is_ok() && magic == [0x1f, 0x8b];
    file.rewind()?;
    if !is_gzip {
        return Ok(Box::new(file));
    }
    // Headers are not counted with the files.
    let limit = 3 * MAX_UPLOAD_BYTES;
    Ok(Box::new(MultiGzDecoder::new(BufReader::new(file)).take(limit)))
}

#[cfg(test)]
mod tests {

    use std::io::Write;

    use super::*;

    fn archive(entries: &[(&str, EntryType)]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut builder = tar::Builder::new(file.reopen().unwrap());
        for (path, kind) in entries {
            let mut header = tar::Header::new_ustar();
            header.as_ustar_mut().unwrap().name[..path.len()].copy_from_slice(path.as_bytes());
            header.set_entry_type(*kind);
            header.set_link_name("/etc/passwd").unwrap();
            header.set_size(if kind.is_file() { 2 } else { 0 });
            header.set_mode(0o644);
            header.set_cksum();
            let content: &[u8] = if kind.is_file() { b"1\n" } else { b"" };
            builder.append(&header, content).unwrap();
        }
        builder.finish().unwrap();
        file
    }

    #[test]
    fn files_are_unpacked_and_links_are_left_out() {
        let tar = archive(&[
            ("./scraper.py", EntryType::Regular),
            ("lib/a", EntryType::Regular),
            ("link", EntryType::Symlink),
            ("hard", EntryType::Link),
        ]);
        let folder = tempfile::tempdir().unwrap();
        check(tar.path()).unwrap();
        unpack(tar.path(), folder.path()).unwrap();
        assert_eq!(std::fs::read(folder.path().join("scraper.py")).unwrap(), b"1\n");
        assert!(folder.path().join("lib/a").is_file());
        assert!(!folder.path().join("link").exists() && !folder.path().join("hard").exists());
    }

    #[test]
    fn a_compressed_archive_is_an_archive() {
        let tar = std::fs::read(archive(&[("scraper.py", EntryType::Regular)])).unwrap();
        let pressed = tempfile::NamedTempFile::new().unwrap();
        let mut encoder =
            flate2::write::GzEncoder::new(pressed.reopen().unwrap(), flate2::Compression::fast());
        encoder.write_all(&tar).unwrap();
        encoder.finish().unwrap();
        let folder = tempfile::tempdir().unwrap();
        check(pressed.path()).unwrap();
        unpack(pressed.path(), folder.path()).unwrap();
        assert_eq!(std::fs::read(folder.path().join("scraper.py")).unwrap(), b"1\n");
    }

    #[test]
    fn places_outside_are_refused() {
        for path in ["../scraper.py", "/scraper.py", "a/../../b"] {
            let tar = archive(&[(path, EntryType::Regular)]);
            let error = check(tar.path()).unwrap_err().to_string();
            assert!(error.contains("outside"), "{path}: {error}");
        }
    }

    #[test]
    fn long_words_about_a_file_are_not_read() {
        for kind in [
            EntryType::XHeader,
            EntryType::XGlobalHeader,
            EntryType::GNULongName,
        ] {
            let pressed = tempfile::NamedTempFile::new().unwrap();
            let mut encoder =
                flate2::write::GzEncoder::new(pressed.reopen().unwrap(), flate2::Compression::fast());
            let mut header = tar::Header::new_ustar();
            header.set_entry_type(kind);
            header.set_size(500 << 20);
            header.set_cksum();
            encoder.write_all(header.as_bytes()).unwrap();
            let mebibyte = vec![b'a'; 1 << 20];
            for _ in 0..4 {
                encoder.write_all(&mebibyte).unwrap();
            }
            encoder.finish().unwrap();
            let error = check(pressed.path()).unwrap_err().to_string();
            assert!(error.contains("longer than"), "{kind:?}: {error}");
        }
    }

    #[test]
    fn what_is_no_archive_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(check(file.path()).is_err());
        std::fs::write(file.path(), vec![7; 5_000]).unwrap();
        assert!(check(file.path()).is_err());
    }
}
