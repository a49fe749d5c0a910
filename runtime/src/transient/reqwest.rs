use std::{error::Error as _, fmt::Display};

use reqwest::Error;

use super::chain::first_recognized;
use crate::Transient;

/// Transient: timeouts, failed DNS lookups, connections that were refused, reset, or closed before the end of a response, streams of HTTP/2
/// that the server refused or reset, and transient statuses from [`error_for_status`](reqwest::Response::error_for_status).
///
/// The error has no headers, and so no `Retry-After` of the server. An error type of your own can contain it if the headers are read
/// before `error_for_status` consumes the response:
///
/// ```
/// use std::time::Duration;
/// use steadfast::{Transient, retry};
///
/// #[derive(Debug, Transient)]
/// enum FetchError {
///     #[transient(retry_after = after)]
///     Busy { after: Duration },
///     #[transient(inherit)]
///     Http(reqwest::Error),
/// }
///
/// impl From<reqwest::Error> for FetchError {
///     fn from(error: reqwest::Error) -> Self {
///         Self::Http(error)
///     }
/// }
///
/// # #[cfg(feature = "tokio")]
/// #[retry(max_attempts = 5, max_elapsed = 30s)] // `after` replaces the delay; `max_elapsed` bounds it
/// async fn fetch(client: &reqwest::Client, url: &str) -> Result<String, FetchError> {
///     let response = client.get(url).send().await?;
///     if response.status().is_transient()
///         && let Some(after) = steadfast::retry_after(response.headers())
///     {
///         return Err(FetchError::Busy { after });
///     }
///     Ok(response.error_for_status()?.text().await?)
/// }
/// ```
#[diagnostic::do_not_recommend]
impl Transient for Error {
    fn is_transient(&self) -> bool {
        if self.is_builder() || self.is_redirect() {
            return false;
        }
        if let Some(status) = self.status() {
            return status.is_transient();
        }
        self.is_timeout()
            || self.is_dns()
            || self.source().and_then(first_recognized).is_some_and(Transient::is_transient)
    }

    /// Returns false for a failure to connect, and if the server did not process the request. After a redirect, this holds for the last
    /// request only; a client for calls that are not idempotent should not follow redirects.
    fn may_have_taken_effect(&self) -> bool {
        !self.is_connect() && self.source().and_then(first_recognized).is_none_or(Transient::may_have_taken_effect)
    }

    fn as_dyn_display(&self) -> Option<&dyn Display> {
        Some(self)
    }

    fn as_dyn_std_error(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(self)
    }
}
