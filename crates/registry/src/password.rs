//! Passwords, as hashes.

use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, PasswordHasher, PasswordVerifier};

use crate::database::RegistryError;
use crate::sealing::random_bytes;
use crate::secret::Secret;

/// Bytes of a password at least.
const LEAST_BYTES: usize = 12;

/// Bytes of a password at most, so that hashing has a bound.
const MOST_BYTES: usize = 1024;

/// Refuses what is too short or too long.
pub(crate) fn check_password(password: &Secret) -> Result<(), RegistryError> {
    match (LEAST_BYTES..=MOST_BYTES).contains(&password.reveal().len()) {
        true => Ok(()),
        false => Err(RegistryError::Invalid(
            "a password has 12 to 1024 bytes; choose another one".to_owned(),
        )),
    }
}

/// A PHC string. argon2id with 19 MiB, 2 passes, 1 lane: what OWASP's Password Storage Cheat Sheet recommends, and the library's default.
pub(crate) fn hash(password: &Secret) -> Result<String, RegistryError> {
    let salt: [u8; 16] = random_bytes();
    let hash: PasswordHash = Argon2::default()
        .hash_password_with_salt(password.reveal().as_bytes(), &salt)
        .map_err(|error| RegistryError::Invalid(format!("the password cannot be hashed: {error}")))?;
    Ok(hash.to_string())
}

/// Whether this is the password. Where there is none, the same work is done for nothing, so that the time does not tell who has an account.
pub(crate) fn is_right(password: &Secret, hash: Option<&str>) -> Result<bool, RegistryError> {
    if password.reveal().len() > MOST_BYTES {
        return Ok(false);
    }
    let Some(text) = hash else {
        self::hash(password)?;
        return Ok(false);
    };
    let hash = PasswordHash::new(text).map_err(|_| RegistryError::Damaged("a password's hash".to_owned()))?;
    Ok(Argon2::default()
        .verify_password(password.reveal().as_bytes(), &hash)
        .is_ok())
}
