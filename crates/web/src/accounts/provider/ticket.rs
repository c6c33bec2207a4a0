use std::time::Duration;

use aws_lc_rs::{constant_time, hmac};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use model::{OwnerName, Timestamp};
use registry::Secret;
use serde::{Deserialize, Serialize};

/// From leaving for a provider to coming back.
const MAX_AGE: Duration = Duration::from_secs(600);

/// A sign-in that is under way. It is kept by the browser that began it, in a cookie that it can neither show to scripts nor change:
/// every process that knows the provider's secret can go on with it, and none has to remember it.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ticket {
    /// Where it went.
    pub(super) provider: String,
    /// What must come back, so that nobody is signed in by somebody else's link.
    pub(super) state: String,
    /// What must be in the identity token.
    pub(super) nonce: String,
    /// What proves that the code is exchanged by who asked for it (RFC 7636).
    pub(super) verifier: String,
    /// Where the browser goes on to.
    pub(super) to: String,
    /// The account that gets the identity; none: it signs in.
    pub(super) links: Option<OwnerName>,
    /// When it left.
    pub(super) begun_at: Timestamp,
}

impl Ticket {
    /// As the value of a cookie: what is in it, and a signature.
    pub(super) fn seal(&self, secret: &Secret) -> String {
        let content = BASE64_URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).unwrap_or_default());
        let signature = hmac::sign(&key(secret), content.as_bytes());
        format!("{content}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
    }

    /// Reads it back; nothing where it was changed or is too old.
    pub(super) fn open(sealed: &str, secret: &Secret, now: Timestamp) -> Option<Self> {
        let (content, signature) = sealed.split_once('.')?;
        let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).ok()?;
        hmac::verify(&key(secret), content.as_bytes(), &signature).ok()?;
        let ticket: Self = serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(content).ok()?).ok()?;
        (now.since(ticket.begun_at) <= MAX_AGE).then_some(ticket)
    }

    /// Whether this provider came back with the state that it was given.
    pub(super) fn is_answered_by(&self, provider: &str, state: &str) -> bool {
        self.provider == provider
            && constant_time::verify_slices_are_equal(self.state.as_bytes(), state.as_bytes()).is_ok()
    }
}

/// A key for this alone, out of the secret that we share with the provider.
fn key(secret: &Secret) -> hmac::Key {
    let shared = hmac::Key::new(hmac::HMAC_SHA256, secret.reveal().as_bytes());
    let derived = hmac::sign(&shared, b"haul: sign-in under way");
    hmac::Key::new(hmac::HMAC_SHA256, derived.as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticket() -> Ticket {
        Ticket {
            provider: "example".into(),
            state: "state".into(),
            nonce: "nonce".into(),
            verifier: "verifier".into(),
            to: "/sources".into(),
            links: None,
            begun_at: Timestamp::from_millis(1_000_000),
        }
    }

    #[test]
    fn a_ticket_comes_back_as_it_went_for_ten_minutes() {
        let secret = Secret::new("shared");
        let sealed = ticket().seal(&secret);
        let at = |seconds: u64| Timestamp::from_millis(1_000_000 + seconds * 1_000);
        assert_eq!(Ticket::open(&sealed, &secret, at(600)), Some(ticket()));
        assert_eq!(Ticket::open(&sealed, &secret, at(601)), None);
    }

    #[test]
    fn a_ticket_that_was_changed_or_comes_from_elsewhere_is_none() {
        let secret = Secret::new("shared");
        let now = Timestamp::from_millis(1_000_000);
        let sealed = ticket().seal(&secret);
        for at in 0..sealed.len() {
            let mut changed = sealed.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert_eq!(Ticket::open(&changed, &secret, now), None, "{at}");
        }
        assert_eq!(Ticket::open(&sealed, &Secret::new("other"), now), None);
        assert_eq!(Ticket::open("", &secret, now), None);
    }

    #[test]
    fn only_the_state_that_went_out_counts() {
        assert!(ticket().is_answered_by("example", "state"));
        assert!(!ticket().is_answered_by("example", "stat"));
        assert!(!ticket().is_answered_by("other", "state"));
    }
}
