use std::error::Error as _;

use reqwest::Error;

use super::{Transient, decisive, sources};

/// Transient: time-outs, failed look-ups of a name, connections that were refused, reset or closed in the middle of an
/// answer, and the statuses of [`error_for_status`](reqwest::Response::error_for_status) that are transient.
///
/// The error keeps no headers, so it does not know the server's `Retry-After`. An error type of your own does, if it is
/// made of the response before `error_for_status` uses that up:
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
/// #[retry(max_attempts = 5, max_elapsed = 30s)] // the server's wish replaces the delay; `max_elapsed` bounds it
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
            || broke_off(self)
            || self.source().and_then(decisive).is_some_and(Transient::is_transient)
    }
}

/// Whether the connection was closed before the end of the answer, which is no `io::Error`.
fn broke_off(error: &Error) -> bool {
    sources(error).filter_map(|error| error.downcast_ref()).any(hyper::Error::is_incomplete_message)
}
