//! Secrets are sealed before they reach the database, with keys that never do.

use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::secret::Secret;

const KEY_LEN: usize = 32;

/// Keys that a keyring holds at most; nobody rotates so often.
const MOST_KEYS: usize = 1000;

/// Why something could not be sealed or opened.
#[derive(Debug, Error)]
pub enum KeyringError {
    /// The file cannot be read or written.
    #[error("the keyring {path} cannot be used: {source}")]
    Io {
        /// The file.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// The file is not its owner's alone.
    #[error("others can read the keyring {0}; make it its owner's alone: chmod 600 {0}")]
    Exposed(String),
    /// There is no room for another key.
    #[error("the keyring holds {MOST_KEYS} keys; remove those that nothing is sealed with")]
    Full,
    /// The file is not a keyring.
    #[error("the keyring {0} is damaged; restore it from a backup, or remove it and enter every secret anew")]
    Damaged(String),
    /// Something was sealed with a key that is not in the keyring.
    #[error(
        "a secret was sealed with key {0}, which is not in the keyring; put back the keyring that has it"
    )]
    UnknownKey(u32),
    /// What was sealed was changed, or belongs to another name.
    #[error("a secret does not open: it was changed, or moved from another scraper")]
    Forged,
}

/// The keys that secrets are sealed with (AES-256-GCM): the newest seals, all open. A file, `0600`, beside the registry and never in it.
///
/// The file is read anew for every use, so that a key that another process added counts at once.
#[derive(Clone)]
pub struct Keyring {
    source: Arc<Source>,
}

enum Source {
    File(PathBuf),
    Memory(Mutex<Keys>),
}

/// What a sealed value belongs to: it opens for nothing else.
pub(crate) struct Label<'a> {
    /// "secret" or "webhook".
    pub(crate) kind: &'a str,
    /// The scraper's key.
    pub(crate) scraper: &'a str,
    /// Which of the scraper's secrets.
    pub(crate) name: &'a str,
}

impl Label<'_> {
    /// None of the parts can have the separator in it.
    fn bytes(&self) -> Vec<u8> {
        [self.kind, self.scraper, self.name].join("\0").into_bytes()
    }
}

impl Keyring {
    /// The keyring in the file at `path`, which is made with one key where it is missing. Refused where others may read it.
    pub fn open(path: &Path) -> Result<Self, KeyringError> {
        let keyring = Self {
            source: Arc::new(Source::File(path.to_owned())),
        };
        if !path.try_exists().map_err(|error| unusable(path, error))? {
            Keys::random().write_new(path)?;
        }
        must_be_private(path)?;
        keyring.keys()?;
        Ok(keyring)
    }

    /// A keyring that is in no file, with one random key.
    pub fn random() -> Self {
        Self {
            source: Arc::new(Source::Memory(Mutex::new(Keys::random()))),
        }
    }

    /// The keys as they are now.
    pub(crate) fn keys(&self) -> Result<Keys, KeyringError> {
        match &*self.source {
            Source::File(path) => Keys::read(path),
            Source::Memory(keys) => Ok(keys.lock().unwrap_or_else(PoisonError::into_inner).clone()),
        }
    }

    /// Puts `keys` in the place of those that are there.
    pub(crate) fn replace(&self, keys: Keys) -> Result<(), KeyringError> {
        match &*self.source {
            Source::File(path) => keys.write_over(path)?,
            Source::Memory(held) => *held.lock().unwrap_or_else(PoisonError::into_inner) = keys,
        }
        Ok(())
    }
}

/// Keys by number, the newest last. They are wiped when they are dropped.
#[derive(Clone)]
pub(crate) struct Keys(Vec<(u32, Zeroizing<[u8; KEY_LEN]>)>);

impl Keys {
    /// One key. Its number is random, too, so that what another keyring sealed is not taken for its own.
    fn random() -> Self {
        let number = u32::from_le_bytes(random_bytes()) / 2 + 1;
        Self(vec![(number, random_key())])
    }

    /// The number of the key that seals.
    pub(crate) fn newest(&self) -> u32 {
        self.0.last().map_or(0, |(number, _)| *number)
    }

    /// Adds a key, which seals from now on.
    pub(crate) fn add(&mut self) -> Result<(), KeyringError> {
        if self.0.len() >= MOST_KEYS {
            return Err(KeyringError::Full);
        }
        self.0.push((self.newest().saturating_add(1), random_key()));
        Ok(())
    }

    /// Keeps the newest key and those for which `is_used` says yes. Returns how many went.
    pub(crate) fn keep(&mut self, is_used: impl Fn(u32) -> bool) -> usize {
        let (newest, before) = (self.newest(), self.0.len());
        self.0.retain(|(number, _)| *number == newest || is_used(*number));
        before - self.0.len()
    }

    /// Seals with the newest key: `NUMBER:BASE64(nonce, ciphertext, tag)`.
    pub(crate) fn seal(&self, label: &Label<'_>, secret: &Secret) -> Result<String, KeyringError> {
        let number = self.newest();
        let mut sealed = secret.reveal().as_bytes().to_vec();
        let nonce = self
            .cipher(number)?
            .seal_in_place_append_tag(Aad::from(label.bytes()), &mut sealed)
            .map_err(|_| KeyringError::Forged)?;
        let record = [nonce.as_ref().as_slice(), &sealed].concat();
        Ok(format!("{number}:{}", STANDARD.encode(record)))
    }

    /// Opens what [`Keys::seal`] wrote under the same label.
    pub(crate) fn open(&self, label: &Label<'_>, record: &str) -> Result<Secret, KeyringError> {
        let number = key_number(record)?;
        let text = record.split_once(':').map_or("", |(_, text)| text);
        let mut bytes = STANDARD.decode(text).map_err(|_| KeyringError::Forged)?;
        let Some((nonce, sealed)) = bytes.split_at_mut_checked(NONCE_LEN) else {
            return Err(KeyringError::Forged);
        };
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| KeyringError::Forged)?;
        let opened = self
            .cipher(number)?
            .open_in_place(nonce, Aad::from(label.bytes()), sealed)
            .map_err(|_| KeyringError::Forged)?;
        let secret = std::str::from_utf8(opened).map(Secret::new);
        zeroize::Zeroize::zeroize(&mut bytes);
        secret.map_err(|_| KeyringError::Forged)
    }

    fn cipher(&self, number: u32) -> Result<RandomizedNonceKey, KeyringError> {
        let found = self.0.iter().find(|(known, _)| *known == number);
        let (_, key) = found.ok_or(KeyringError::UnknownKey(number))?;
        RandomizedNonceKey::new(&AES_256_GCM, key.as_slice()).map_err(|_| KeyringError::UnknownKey(number))
    }

    /// A line per key: its number, a space, its 32 bytes in base64.
    fn read(path: &Path) -> Result<Self, KeyringError> {
        let text = std::fs::read_to_string(path).map_err(|error| unusable(path, error))?;
        Self::parse(&Zeroizing::new(text)).ok_or_else(|| KeyringError::Damaged(path.display().to_string()))
    }

    fn parse(text: &str) -> Option<Self> {
        let mut keys: Vec<(u32, _)> = Vec::new();
        for line in text.lines() {
            let (number, key) = line.split_once(' ')?;
            let number = number.parse().ok()?;
            let bytes = Zeroizing::new(STANDARD.decode(key).ok()?);
            let mut key = Zeroizing::new([0; KEY_LEN]);
            key.as_mut_slice().copy_from_slice(bytes.get(..KEY_LEN)?);
            if bytes.len() > KEY_LEN || keys.last().is_some_and(|(last, _)| *last >= number) {
                return None;
            }
            keys.push((number, key));
        }
        (1..=MOST_KEYS).contains(&keys.len()).then_some(Self(keys))
    }

    /// Makes the file, unless another process was faster: then its keys are in force.
    fn write_new(&self, path: &Path) -> Result<(), KeyringError> {
        let file = self.write_beside(path)?;
        match file.persist_noclobber(path) {
            Ok(_) => sync_folder(path),
            Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(unusable(path, error.error)),
        }
    }

    fn write_over(&self, path: &Path) -> Result<(), KeyringError> {
        let file = self.write_beside(path)?;
        file.persist(path).map_err(|error| unusable(path, error.error))?;
        sync_folder(path)
    }

    /// A whole file in the same folder, on disk, readable by its owner alone.
    fn write_beside(&self, path: &Path) -> Result<tempfile::NamedTempFile, KeyringError> {
        let mut text = Zeroizing::new(String::with_capacity(64 * self.0.len()));
        for (number, key) in &self.0 {
            let key = Zeroizing::new(STANDARD.encode(key.as_slice()));
            text.push_str(&format!("{number} {}\n", *key));
        }
        let written = || {
            let mut file = tempfile::NamedTempFile::new_in(folder_of(path))?;
            file.write_all(text.as_bytes())?;
            file.as_file().sync_all()?;
            Ok(file)
        };
        written().map_err(|error| unusable(path, error))
    }
}

/// The number of the key that `record` was sealed with.
pub(crate) fn key_number(record: &str) -> Result<u32, KeyringError> {
    let number = record.split_once(':').and_then(|(number, _)| number.parse().ok());
    number.ok_or(KeyringError::Forged)
}

fn random_key() -> Zeroizing<[u8; KEY_LEN]> {
    Zeroizing::new(random_bytes())
}

/// Bytes that nobody can guess.
pub(crate) fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).expect("the library's random numbers never fail once it is loaded");
    bytes
}

fn must_be_private(path: &Path) -> Result<(), KeyringError> {
    let found = std::fs::metadata(path).map_err(|error| unusable(path, error))?;
    match found.permissions().mode() & 0o077 {
        0 => Ok(()),
        _ => Err(KeyringError::Exposed(path.display().to_string())),
    }
}

fn folder_of(path: &Path) -> &Path {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or_else(|| Path::new("."))
}

fn sync_folder(path: &Path) -> Result<(), KeyringError> {
    let folder = std::fs::File::open(folder_of(path));
    folder
        .and_then(|folder| folder.sync_all())
        .map_err(|error| unusable(path, error))
}

fn unusable(path: &Path, source: io::Error) -> KeyringError {
    KeyringError::Io {
        path: path.display().to_string(),
        source,
    }
}
