//! The permissions of a request: who may read, who may override, and the name of the operator.

use std::{fmt, sync::Arc};

use axum::http::{HeaderMap, StatusCode, request::Parts};

use crate::token::{GivenTokens, Token};

/// The check of [`Dashboard::authorize`](crate::Dashboard::authorize).
type Authorize = Arc<dyn Fn(&Parts) -> bool + Send + Sync>;
/// The function of [`Dashboard::operator`](crate::Dashboard::operator).
type OperatorName = Arc<dyn Fn(&Parts) -> Option<String> + Send + Sync>;

/// The configured credentials and checks. Without a view token and without a check, everyone may read.
#[derive(Clone, Default)]
pub(crate) struct Access {
    pub(crate) token: Option<Token>,
    pub(crate) view_token: Option<Token>,
    pub(crate) authorize: Option<Authorize>,
    pub(crate) operator: Option<OperatorName>,
}

/// The reason for which a request is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Denial {
    /// The dashboard has no token for manual control.
    ReadOnly,
    TokenRequired,
    WrongToken,
    /// The request carries the view token, which does not permit overrides.
    ViewOnly,
}

/// The maximum length of an operator's name in characters.
pub(crate) const MAX_OPERATOR_CHARS: usize = 64;

impl Access {
    /// Returns true if manual control is configured.
    pub(crate) fn can_override(&self) -> bool {
        self.token.is_some()
    }

    /// Checks that the request may read.
    pub(crate) fn check_view(&self, request: &Parts) -> Result<(), Denial> {
        if self.view_token.is_none() && self.authorize.is_none() {
            return Ok(());
        }
        let given = GivenTokens::of(&request.headers);
        // Both tokens are compared, so that the duration does not reveal which of them is similar.
        let is_known = [&self.token, &self.view_token].map(|token| is_given(&given, token.as_ref())).contains(&true);
        if is_known || self.authorize.as_ref().is_some_and(|authorize| authorize(request)) {
            return Ok(());
        }
        Err(if given.is_empty() { Denial::TokenRequired } else { Denial::WrongToken })
    }

    /// Checks that the request may override the state of a breaker.
    pub(crate) fn check_override(&self, headers: &HeaderMap) -> Result<(), Denial> {
        let Some(token) = &self.token else { return Err(Denial::ReadOnly) };
        let given = GivenTokens::of(headers);
        let is_viewer = is_given(&given, self.view_token.as_ref());
        if given.contains(token) {
            return Ok(());
        }
        Err(match given.is_empty() {
            true => Denial::TokenRequired,
            false if is_viewer => Denial::ViewOnly,
            false => Denial::WrongToken,
        })
    }

    /// Returns the name of the operator: that of the configured function, or without one the `claimed` name.
    pub(crate) fn operator(&self, request: &Parts, claimed: Option<String>) -> Option<String> {
        let Some(operator) = &self.operator else { return claimed };
        let name = operator(request)?;
        let name: String = name.trim().chars().filter(|char| !char.is_control()).take(MAX_OPERATOR_CHARS).collect();
        Some(name).filter(|name| !name.is_empty())
    }
}

fn is_given(given: &GivenTokens<'_>, token: Option<&Token>) -> bool {
    token.is_some_and(|token| given.contains(token))
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access")
            .field("token", &self.token)
            .field("view_token", &self.view_token)
            .field("has_authorize", &self.authorize.is_some())
            .field("has_operator", &self.operator.is_some())
            .finish()
    }
}

impl Denial {
    pub(crate) const fn status(self) -> StatusCode {
        match self {
            Self::ReadOnly | Self::ViewOnly => StatusCode::FORBIDDEN,
            Self::TokenRequired | Self::WrongToken => StatusCode::UNAUTHORIZED,
        }
    }

    pub(crate) const fn message(self) -> &'static str {
        match self {
            Self::ReadOnly => "read-only: no token is configured",
            Self::TokenRequired => "token required",
            Self::WrongToken => "wrong token",
            Self::ViewOnly => "this token permits reading only",
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    const OVERRIDE: &str = "token-to-override";
    const VIEW: &str = "token-to-view-only";

    fn parts(headers: &[(&str, &str)]) -> Parts {
        let request =
            headers.iter().fold(Request::get("/api/breakers"), |request, (name, value)| request.header(*name, *value));
        request.body(()).unwrap_or_default().into_parts().0
    }

    fn access(view_token: bool, authorize: bool) -> Access {
        Access {
            token: Token::new(OVERRIDE).ok(),
            view_token: view_token.then(|| Token::new(VIEW).ok()).flatten(),
            authorize: authorize.then(|| Arc::new(|parts: &Parts| parts.headers.contains_key("x-user")) as Authorize),
            operator: None,
        }
    }

    #[test]
    fn everyone_may_read_unless_reading_is_restricted() {
        assert_eq!(access(false, false).check_view(&parts(&[])), Ok(()));
        assert_eq!(access(false, false).check_view(&parts(&[("x-steadfast-token", "wrong")])), Ok(()));
    }

    #[test]
    fn each_credential_is_enough_to_read() {
        for (view_token, authorize, headers, expected) in [
            (true, false, &[][..], Err(Denial::TokenRequired)),
            (true, false, &[("x-user", "ann")], Err(Denial::TokenRequired)),
            (true, false, &[("x-steadfast-token", "wrong")], Err(Denial::WrongToken)),
            (true, false, &[("x-steadfast-token", VIEW)], Ok(())),
            (true, false, &[("authorization", "bearer token-to-view-only")], Ok(())),
            (true, false, &[("x-steadfast-token", OVERRIDE)], Ok(())),
            (false, true, &[], Err(Denial::TokenRequired)),
            (false, true, &[("x-user", "ann")], Ok(())),
            (false, true, &[("x-user", "ann"), ("authorization", "Bearer token-of-the-login")], Ok(())),
            (false, true, &[("x-steadfast-token", OVERRIDE)], Ok(())),
            (false, true, &[("x-steadfast-token", VIEW)], Err(Denial::WrongToken)),
            (true, true, &[("x-steadfast-token", VIEW)], Ok(())),
        ] {
            assert_eq!(access(view_token, authorize).check_view(&parts(headers)), expected, "{headers:?}");
        }
    }

    #[test]
    fn only_the_token_permits_overrides() {
        for (headers, expected) in [
            (&[][..], Err(Denial::TokenRequired)),
            (&[("x-user", "ann")], Err(Denial::TokenRequired)),
            (&[("x-steadfast-token", "wrong")], Err(Denial::WrongToken)),
            (&[("x-steadfast-token", VIEW)], Err(Denial::ViewOnly)),
            (&[("x-steadfast-token", OVERRIDE)], Ok(())),
            (&[("x-steadfast-token", VIEW), ("authorization", "Bearer token-to-override")], Ok(())),
        ] {
            assert_eq!(access(true, true).check_override(&parts(headers).headers), expected, "{headers:?}");
        }
        let read_only = Access { token: None, ..access(true, true) };
        assert_eq!(read_only.check_override(&parts(&[("x-steadfast-token", VIEW)]).headers), Err(Denial::ReadOnly));
    }

    #[test]
    fn the_configured_operator_replaces_the_claimed_one() {
        let claimed = || Some("mallory".to_owned());
        assert_eq!(access(false, false).operator(&parts(&[]), claimed()), claimed());
        let user = |parts: &Parts| Some(parts.headers.get("x-user")?.to_str().ok()?.to_owned());
        let access = Access { operator: Some(Arc::new(user)), ..Access::default() };
        assert_eq!(access.operator(&parts(&[("x-user", " ann ")]), claimed()).as_deref(), Some("ann"));
        assert_eq!(access.operator(&parts(&[]), claimed()), None);
        assert_eq!(access.operator(&parts(&[("x-user", "  ")]), claimed()), None);
        let long = access.operator(&parts(&[("x-user", &"x".repeat(1_000))]), None);
        assert_eq!(long.map(|name| name.len()), Some(MAX_OPERATOR_CHARS));
    }
}
