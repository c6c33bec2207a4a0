//! Decrypts while it downloads: `decrypt KEY_FILE ADDRESS FOLDER` saves objects that hold 12 bytes of nonce and then what
//! ChaCha20 made of their content. Memory does not grow with their size, and nothing encrypted touches the disk.
//!
//! ChaCha20 alone does not notice tampering; what is at stake deserves an authenticated format cut into blocks.

use bytes::{Bytes, BytesMut};
use chacha20::ChaCha20;
use chacha20::cipher::{KeyIvInit, StreamCipher};
use retrieve::hooks::{OrderedHook, StatefulHook};
use retrieve::{DownloadRequest, Error, ErrorKind, FileMeta, Hooks, Options, Report, Retriever};

const NONCE: usize = 12;

struct Decrypt {
    key: [u8; 32],
}

impl StatefulHook for Decrypt {
    fn name(&self) -> &str {
        "decrypt"
    }

    fn ordered(&mut self, _meta: &FileMeta) -> Option<Box<dyn OrderedHook>> {
        Some(Box::new(Decrypting {
            key: self.key,
            nonce: BytesMut::new(),
            cipher: None,
        }))
    }
}

/// One file on its way through.
struct Decrypting {
    key: [u8; 32],
    /// What has come of the nonce.
    nonce: BytesMut,
    cipher: Option<ChaCha20>,
}

impl OrderedHook for Decrypting {
    fn on_ordered(&mut self, mut bytes: Bytes) -> Result<Bytes, String> {
        if self.cipher.is_none() {
            let missing = NONCE - self.nonce.len();
            self.nonce
                .extend_from_slice(&bytes.split_to(missing.min(bytes.len())));
            if let Ok(nonce) = <[u8; NONCE]>::try_from(&self.nonce[..]) {
                self.cipher = Some(ChaCha20::new(&self.key.into(), &nonce.into()));
            }
        }
        let mut plain = BytesMut::from(bytes);
        if let Some(cipher) = &mut self.cipher {
            cipher
                .try_apply_keystream(&mut plain)
                .map_err(|error| error.to_string())?;
        }
        Ok(plain.freeze())
    }

    fn finish(&mut self) -> Result<Bytes, String> {
        match self.cipher {
            Some(_) => Ok(Bytes::new()),
            None => Err("it is too short to hold a nonce".into()),
        }
    }
}

fn decrypt(key: [u8; 32], address: &str, folder: &str) -> Result<Report, Error> {
    let request = DownloadRequest::new(address)?.options(std::env::vars());
    let hooks = Hooks::default().stateful(Decrypt { key });
    let saving = Retriever::new(Options::default())?
        .save(request, folder, hooks)?
        .wait();
    Ok(Report::clone(&saving))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [key_file, address, folder] = arguments.as_slice() else {
        return Err("usage: decrypt KEY_FILE ADDRESS FOLDER".into());
    };
    let key = std::fs::read(key_file)?;
    let key = key.try_into().map_err(|_| "a key has 32 bytes")?;
    let report = decrypt(key, address, folder)?;
    match report.is_complete() {
        true => Ok(()),
        false => Err(Error::new(ErrorKind::Hook, format!("{:?} {:?}", report.error, report.failed)).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_encrypted_is_saved_in_the_clear() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        std::fs::create_dir(&from).unwrap();
        let (key, nonce) = ([7; 32], [9; NONCE]);
        let plain = b"lamp ".repeat(200_000);
        let mut encrypted = plain.clone();
        ChaCha20::new(&key.into(), &nonce.into()).apply_keystream(&mut encrypted);
        std::fs::write(from.join("good"), [&nonce[..], &encrypted].concat()).unwrap();
        std::fs::write(from.join("short"), b"short").unwrap();

        let report = decrypt(key, &format!("{}/", from.display()), to.to_str().unwrap()).unwrap();
        assert!(std::fs::read(to.join("good")).unwrap() == plain);
        assert_eq!(report.failed.len(), 1);
        assert!(report.failed[0].1.to_string().contains("too short"), "{report:?}");
        assert!(!to.join("short").exists());
    }
}
