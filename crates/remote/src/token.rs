use std::fmt;
use std::hint::black_box;

/// What a client shows to be let in. Never shown in logs, errors or `Debug`.
#[derive(Clone)]
pub struct Token(String);

/// The text is not a token. (It is not repeated here: it may be a secret with a slip in it.)
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the token is not valid: use 16 to 512 visible ASCII characters without spaces")]
pub struct InvalidToken;

impl Token {
    /// Checks `text` and makes it a token: 16 to 512 visible ASCII characters.
    pub fn new(text: impl Into<String>) -> Result<Self, InvalidToken> {
        let text = text.into();
        let visible = text.bytes().all(|byte| byte.is_ascii_graphic());
        if (16..=512).contains(&text.len()) && visible {
            return Ok(Self(text));
        }
        Err(InvalidToken)
    }

    /// For the one header that carries it.
    pub(crate) fn secret(&self) -> &str {
        &self.0
    }

    /// Whether the value of an `Authorization` header carries this token (RFC 6750). Takes as long for a token that
    /// is right at its beginning as for one that is all wrong.
    pub(crate) fn is_shown_by(&self, header: &[u8]) -> bool {
        const SCHEME: &[u8] = b"Bearer ";
        let Some((scheme, shown)) = header.split_at_checked(SCHEME.len()) else {
            return false;
        };
        scheme.eq_ignore_ascii_case(SCHEME) && equal_in_constant_time(shown, self.0.as_bytes())
    }
}

fn equal_in_constant_time(shown: &[u8], secret: &[u8]) -> bool {
    let differences = shown
        .iter()
        .zip(secret)
        .fold(0, |all, (a, b)| black_box(all | (a ^ b)));
    shown.len() == secret.len() && differences == 0
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "correct-horse-battery";

    fn check(header: &str, shows: bool) {
        let token = Token::new(SECRET).unwrap();
        assert_eq!(token.is_shown_by(header.as_bytes()), shows, "{header:?}");
    }

    #[test]
    fn only_the_whole_token_opens() {
        check("Bearer correct-horse-battery", true);
        check("bearer correct-horse-battery", true);
        check("Bearer correct-horse-batterY", false);
        check("Bearer correct-horse-batter", false);
        check("Bearer correct-horse-battery-staple", false);
        check("Bearer  correct-horse-battery", false);
        check("Basic correct-horse-battery", false);
        check("Bearer ", false);
        check("", false);
    }

    #[test]
    fn tokens_fit_a_header_and_are_not_guessed_at_once() {
        for bad in [
            "",
            "short",
            "with a space in it",
            "é".repeat(20).as_str(),
            &"x".repeat(513),
        ] {
            assert_eq!(Token::new(bad).err(), Some(InvalidToken), "{bad}");
        }
    }

    #[test]
    fn a_token_is_not_shown() {
        assert_eq!(format!("{:?}", Token::new(SECRET).unwrap()), "Token(..)");
    }
}
