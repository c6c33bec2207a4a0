use thiserror::Error;

/// The longest name of a package, in bytes.
pub const MAX_NAME_BYTES: usize = 255;

/// Why a text is no name of a package.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NameError {
    /// Nothing is there.
    #[error("the name is empty; give it at least one character")]
    Empty,
    /// More than [`MAX_NAME_BYTES`].
    #[error("the name has more than {MAX_NAME_BYTES} bytes; give a shorter one")]
    TooLong,
    /// A byte that no name may have.
    #[error("the name has a character that is not one of a-z A-Z 0-9 + - _ . @ / :")]
    Character,
}

/// Reads `bytes` as the name of a package: letters and digits of ASCII and `+ - _ . @ / :`, up to [`MAX_NAME_BYTES`].
/// Names differ when their bytes do, so `Zlib` is not `zlib`.
pub fn parse_name(bytes: &[u8]) -> Result<&str, NameError> {
    if bytes.is_empty() {
        return Err(NameError::Empty);
    }
    if bytes.len() > MAX_NAME_BYTES {
        return Err(NameError::TooLong);
    }
    if !bytes.iter().all(|&byte| is_name_byte(byte)) {
        return Err(NameError::Character);
    }
    str::from_utf8(bytes).map_err(|_| NameError::Character)
}

/// Whether a name may hold `byte`.
pub(crate) const fn is_name_byte(byte: u8) -> bool {
    IN_NAMES[byte as usize]
}

const IN_NAMES: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        let is_mark = matches!(byte as u8, b'+' | b'-' | b'_' | b'.' | b'@' | b'/' | b':');
        table[byte] = (byte as u8).is_ascii_alphanumeric() || is_mark;
        byte += 1;
    }
    table
};
