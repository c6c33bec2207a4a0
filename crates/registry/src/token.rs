//! Random tokens, for sessions and keys: shown to their holder once, kept as hashes.

use model::Checksum;
use zeroize::Zeroizing;

use crate::sealing::random_bytes;
use crate::secret::Secret;

/// The alphabet of RFC 4648, in small letters.
const BASE32: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// 160 random bits as 32 letters and digits behind `prefix`.
pub(crate) fn random_token(prefix: &str) -> Secret {
    let bytes: Zeroizing<[u8; 20]> = Zeroizing::new(random_bytes());
    let mut token = String::with_capacity(prefix.len() + 32);
    token.push_str(prefix);
    for five in bytes.chunks(5) {
        let bits = five.iter().fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
        for at in (0..8).rev() {
            let digit = usize::try_from(bits >> (5 * at) & 31).unwrap_or(0);
            token.push(char::from(BASE32[digit]));
        }
    }
    Secret::new(token)
}

/// What is kept of a token, and what it is found by. The tokens have so many bits that neither salt nor slowness adds anything, and that the time of a
/// look-up by the hash tells nothing of them.
pub(crate) fn token_hash(token: &str) -> String {
    Checksum::of(token.as_bytes()).to_string()
}
