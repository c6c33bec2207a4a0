//! Rollback journals that name another file.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The last bytes of a journal that names the journal of a transaction over several files.
const MAGIC: [u8; 8] = [0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7];
/// Length, checksum and magic behind the name.
const TRAILER_BYTES: i64 = 16;
const MAX_NAME_BYTES: u32 = 4096;

/// The file name, without folders, of the journal that this one belongs to.
///
/// SQLite would look for it, read it, and delete it, wherever it says that it is. So it must not come to see the name.
pub(crate) fn superior(journal: &mut File) -> io::Result<Option<Vec<u8>>> {
    let mut trailer = [0; TRAILER_BYTES as usize];
    if journal.metadata()?.len() < trailer.len() as u64 {
        return Ok(None);
    }
    journal.seek(SeekFrom::End(-TRAILER_BYTES))?;
    journal.read_exact(&mut trailer)?;
    let [a, b, c, d, ..] = trailer;
    if trailer[8..] != MAGIC {
        return Ok(None);
    }
    let length = u32::from_be_bytes([a, b, c, d]).min(MAX_NAME_BYTES);
    let from = -TRAILER_BYTES - i64::from(length);
    let mut name = Vec::new();
    if journal.seek(SeekFrom::End(from)).is_ok() {
        journal.take(u64::from(length)).read_to_end(&mut name)?;
    }
    let file_name = Path::new(OsStr::from_bytes(&name)).file_name();
    Ok(Some(
        file_name.map_or(Vec::new(), |name| name.as_bytes().to_vec()),
    ))
}
