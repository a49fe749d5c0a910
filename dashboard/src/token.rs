//! Secret tokens, and the tokens that a request carries.

use std::{error::Error, fmt};

use axum::http::{
    HeaderMap, HeaderName,
    header::{AUTHORIZATION, HeaderValue},
};
use subtle::{Choice, ConstantTimeEq};

/// A secret that authorizes manual control, or reading: see [`Dashboard::token`](crate::Dashboard::token) and
/// [`Dashboard::view_token`](crate::Dashboard::view_token). Its `Debug` output does not contain it.
///
/// ```
/// use steadfast_dashboard::Token;
///
/// let token = Token::new("b9c1f0d3a7e84c52").unwrap();
/// assert_eq!(format!("{token:?}"), "Token(..)");
/// assert!(Token::new("secret").is_err());
/// ```
#[derive(Clone)]
pub struct Token(Box<[u8]>);

/// The error of [`Token::new`]: the token is too short, or contains characters other than visible ASCII.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WeakToken;

/// The minimum length of a token in characters. 16 random letters and digits (95 bits) cannot be guessed.
const MIN_LENGTH: usize = 16;

/// The dashboard's own header for a token. It leaves `Authorization` to a proxy or a service that uses that header itself.
const TOKEN_HEADER: HeaderName = HeaderName::from_static("x-steadfast-token");

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

/// The tokens that a request carries, in `X-Steadfast-Token` or in `Authorization: Bearer`.
pub(crate) struct GivenTokens<'r>(Vec<&'r [u8]>);

impl<'r> GivenTokens<'r> {
    pub(crate) fn of(headers: &'r HeaderMap) -> Self {
        let own = headers.get_all(TOKEN_HEADER).iter().map(HeaderValue::as_bytes);
        let bearer = headers.get_all(AUTHORIZATION).iter().filter_map(|value| bearer_token(value.as_bytes()));
        Self(own.chain(bearer).filter(|token| !token.is_empty()).collect())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns true if one of the given tokens is `token`. The comparison takes constant time for tokens of equal length, so its duration
    /// reveals at most the length.
    pub(crate) fn contains(&self, token: &Token) -> bool {
        let found = self.0.iter().fold(Choice::from(0), |found, given| found | token.0.ct_eq(given));
        found.into()
    }
}

/// Returns the token after the scheme `Bearer`, which is not case-sensitive.
fn bearer_token(authorization: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = authorization.split_at_checked(b"Bearer".len())?;
    let token = rest.strip_prefix(b" ")?.trim_ascii();
    scheme.eq_ignore_ascii_case(b"Bearer").then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "0123456789abcdef";

    fn headers(pairs: &[(HeaderName, &str)]) -> HeaderMap {
        let pairs = pairs.iter().filter_map(|(name, value)| Some((name.clone(), value.parse().ok()?)));
        pairs.collect()
    }

    fn accepts(pairs: &[(HeaderName, &str)]) -> bool {
        Token::new(GOOD).is_ok_and(|token| GivenTokens::of(&headers(pairs)).contains(&token))
    }

    #[test]
    fn either_header_carries_the_exact_token() {
        for right in ["Bearer 0123456789abcdef", "bearer 0123456789abcdef", "BEARER  0123456789abcdef "] {
            assert!(accepts(&[(AUTHORIZATION, right)]), "{right:?}");
            assert!(accepts(&[(AUTHORIZATION, right), (TOKEN_HEADER, "another")]), "{right:?}");
        }
        assert!(accepts(&[(TOKEN_HEADER, GOOD)]));
        assert!(accepts(&[(AUTHORIZATION, "Basic b3BzOm9wcw=="), (TOKEN_HEADER, GOOD)]), "the login of a proxy");
        for wrong in [
            "",
            "Bearer",
            "Bearer ",
            "Bearer 0123456789abcde",
            "Bearer 0123456789abcdef0",
            "Bearer 0123456789abcdeF",
            "Bearer0123456789abcdef",
            "Basic 0123456789abcdef",
            GOOD,
        ] {
            assert!(!accepts(&[(AUTHORIZATION, wrong)]), "{wrong:?}");
        }
        for wrong in ["", "Bearer 0123456789abcdef", "0123456789abcde", "0123456789abcdef0", "0123456789ABCDEF"] {
            assert!(!accepts(&[(TOKEN_HEADER, wrong)]), "{wrong:?}");
        }
        assert!(!accepts(&[]));
    }

    #[test]
    fn a_request_without_a_token_is_recognised() {
        assert!(GivenTokens::of(&headers(&[(AUTHORIZATION, "Basic b3BzOm9wcw=="), (TOKEN_HEADER, "")])).is_empty());
        assert!(!GivenTokens::of(&headers(&[(TOKEN_HEADER, "x")])).is_empty());
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
