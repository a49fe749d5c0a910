use std::{error::Error, fmt};

use axum::http::{HeaderMap, header::AUTHORIZATION};
use subtle::ConstantTimeEq;

/// What an operator must know to act. Its `Debug` does not show it.
#[derive(Clone)]
pub struct Token(Box<[u8]>);

/// A token that is too easily guessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WeakToken;

/// With 16 random letters and digits, guessing takes longer than anybody waits.
const SHORTEST: usize = 16;

impl Token {
    /// A token of at least 16 visible ASCII characters: `openssl rand -hex 32` makes a good one.
    ///
    /// # Errors
    ///
    /// It is shorter, or has other characters.
    pub fn new(token: impl Into<String>) -> Result<Self, WeakToken> {
        let token = token.into();
        if token.len() < SHORTEST || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(WeakToken);
        }
        Ok(Self(token.into_bytes().into()))
    }

    /// Whether the request carries it. How long that takes tells the length of the token at most.
    pub(crate) fn is_in(&self, headers: &HeaderMap) -> bool {
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
        write!(f, "a token needs at least {SHORTEST} visible ASCII characters")
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
    fn only_the_token_itself_is_right() -> Result<(), WeakToken> {
        let token = Token::new(GOOD)?;
        assert!(token.is_in(&with("Bearer 0123456789abcdef")));
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
            assert!(!token.is_in(&with(wrong)), "{wrong:?}");
        }
        assert!(!token.is_in(&HeaderMap::new()));
        Ok(())
    }

    #[test]
    fn a_weak_token_is_none() {
        for weak in ["", "secret", "0123456789abcde", "0123456789 abcdef", "0123456789abcdef\n", "ééééééééééééééééé"]
        {
            assert_eq!(Token::new(weak).err(), Some(WeakToken), "{weak:?}");
        }
    }

    #[test]
    fn it_does_not_show() -> Result<(), WeakToken> {
        assert!(!format!("{:?}", Token::new(GOOD)?).contains(GOOD));
        Ok(())
    }
}
