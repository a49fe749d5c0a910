use std::{
    fmt::Display,
    time::{Duration, SystemTime},
};

use http::{HeaderMap, StatusCode, header};

use crate::Transient;

/// Transient: 408, 425, 429, 500, 502, 503 and 504.
///
/// A status has no headers, and so no `Retry-After`; [`retry_after`](crate::retry_after()) reads it from the headers of the response.
#[diagnostic::do_not_recommend]
impl Transient for StatusCode {
    fn is_transient(&self) -> bool {
        matches!(
            *self,
            Self::REQUEST_TIMEOUT
                | Self::TOO_EARLY
                | Self::TOO_MANY_REQUESTS
                | Self::INTERNAL_SERVER_ERROR
                | Self::BAD_GATEWAY
                | Self::SERVICE_UNAVAILABLE
                | Self::GATEWAY_TIMEOUT
        )
    }

    fn as_dyn_display(&self) -> Option<&dyn Display> {
        Some(self)
    }
}

/// Returns the time to wait that a server requests with the header `Retry-After`.
///
/// The value is a number of whole seconds or an HTTP date (RFC 9110, section 10.2.3). The time to a date is measured with the system
/// clock; it is zero if the date has passed. Returns `None` without the header, or if its value is neither. Requires the feature `http`.
///
/// ```
/// use std::time::Duration;
/// use http::{HeaderMap, HeaderValue, header::RETRY_AFTER};
///
/// let mut headers = HeaderMap::new();
/// assert_eq!(steadfast::retry_after(&headers), None);
/// headers.insert(RETRY_AFTER, HeaderValue::from_static("7"));
/// assert_eq!(steadfast::retry_after(&headers), Some(Duration::from_secs(7)));
/// headers.insert(RETRY_AFTER, HeaderValue::from_static("Fri, 31 Dec 1999 23:59:59 GMT"));
/// assert_eq!(steadfast::retry_after(&headers), Some(Duration::ZERO));
/// headers.insert(RETRY_AFTER, HeaderValue::from_static("soon"));
/// assert_eq!(steadfast::retry_after(&headers), None);
/// ```
#[must_use]
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(header::RETRY_AFTER)?.to_str().ok()?;
    if value.bytes().all(|byte| byte.is_ascii_digit()) {
        return value.parse().ok().map(Duration::from_secs);
    }
    let moment = httpdate::parse_http_date(value).ok()?;
    Some(moment.duration_since(SystemTime::now()).unwrap_or_default())
}
