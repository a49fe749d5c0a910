//! The token of manual control.

use std::{error::Error, fmt};

use axum::http::{HeaderMap, header::AUTHORIZATION};
use subtle::ConstantTimeEq;

/// The secret that authorizes manual control. Its `Debug` output does not contain it.
#[derive(Clone)]
pub struct Token(Box<[u8]>);

/// The error of [`Token::new`]: the token is too short, or contains characters other than visible ASCII.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WeakToken;

/// The minimum length of a token in characters. 16 random letters and digits (95 bits) cannot be guessed.
const MIN_LENGTH: usize = 16;

impl Token {
    /// Creates a token of at least 16 visible ASCII characters. `openssl rand -hex 32` generates a good one.
    ///
    /// # Errors
    ///
    /// Returns [`WeakToken`] if the token is shorter or contains other characters.
    pub fn new(token: impl Into<String>) -> Result<Self, WeakToken> {
        let token = token.into();
        if token.len() < MIN_LENGTH || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(WeakToken);
        }
        Ok(Self(token.into_bytes().into()))
    }

    /// Returns true if the `Authorization` header carries this token. The comparison takes constant time for tokens of equal length, so
    /// its duration reveals at most the length.
    pub(crate) fn authorizes(&self, headers: &HeaderMap) -> bool {
        let given = headers.get(AUTHORIZATION).and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
        given.is_some_and(|given| self.0.ct_eq(given).into())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

impl fmt::Display for WeakToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a token needs at least {MIN_LENGTH} visible ASCII characters")
    }
}

impl Error for WeakToken {}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "0123456789abcdef";

    fn with(value: &str) -> HeaderMap {
        value.parse().map(|value| HeaderMap::from_iter([(AUTHORIZATION, value)])).unwrap_or_default()
    }

    #[test]
    fn only_the_exact_token_authorizes() -> Result<(), WeakToken> {
        let token = Token::new(GOOD)?;
        assert!(token.authorizes(&with("Bearer 0123456789abcdef")));
        for wrong in [
            "",
            "Bearer ",
            "Bearer 0123456789abcde",
            "Bearer 0123456789abcdef0",
            "Bearer 0123456789abcdeF",
            "bearer 0123456789abcdef",
            "Basic 0123456789abcdef",
            GOOD,
        ] {
            assert!(!token.authorizes(&with(wrong)), "{wrong:?}");
        }
        assert!(!token.authorizes(&HeaderMap::new()));
        Ok(())
    }

    #[test]
    fn weak_tokens_are_rejected() {
        for weak in ["", "secret", "0123456789abcde", "0123456789 abcdef", "0123456789abcdef\n", "ééééééééééééééééé"]
        {
            assert_eq!(Token::new(weak).err(), Some(WeakToken), "{weak:?}");
        }
    }

    #[test]
    fn debug_output_hides_the_token() -> Result<(), WeakToken> {
        assert!(!format!("{:?}", Token::new(GOOD)?).contains(GOOD));
        Ok(())
    }
}
