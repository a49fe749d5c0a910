use std::{
    fmt::Display,
    iter,
    time::{Duration, SystemTime},
};

use http::{HeaderMap, StatusCode, header};

use crate::Transient;

/// Transient: 408, 425, 429, 500, 502, 503 and 504; the statuses 520 to 524, which Cloudflare returns for a failing origin, and 529, which
/// several services return while they are overloaded.
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
        ) || matches!(self.as_u16(), 520..=524 | 529)
    }

    fn as_dyn_display(&self) -> Option<&dyn Display> {
        Some(self)
    }
}

/// Returns the time to wait that a server requests with the header `Retry-After`.
///
/// The value is a number of seconds, also with a fraction, or an HTTP date (RFC 9110, section 10.2.3). The time to a date is measured
/// from the header `Date` of the same response, so that the clocks of client and server need not agree; without a valid `Date`, from the
/// system clock. It is zero if the date has passed. If there are several values, the longest time counts. A number that is too large for a
/// `Duration` becomes [`Duration::MAX`]. Returns `None` if there is no value, or none that is valid. Requires the feature `http`.
///
/// ```
/// use std::time::Duration;
/// use http::{HeaderMap, HeaderValue, header::{DATE, RETRY_AFTER}};
///
/// let mut headers = HeaderMap::new();
/// assert_eq!(steadfast::retry_after(&headers), None);
/// headers.insert(RETRY_AFTER, HeaderValue::from_static("7"));
/// assert_eq!(steadfast::retry_after(&headers), Some(Duration::from_secs(7)));
/// headers.insert(RETRY_AFTER, HeaderValue::from_static("soon"));
/// assert_eq!(steadfast::retry_after(&headers), None);
///
/// headers.insert(RETRY_AFTER, HeaderValue::from_static("Fri, 31 Dec 1999 23:59:59 GMT"));
/// assert_eq!(steadfast::retry_after(&headers), Some(Duration::ZERO));
/// headers.insert(DATE, HeaderValue::from_static("Fri, 31 Dec 1999 23:59:54 GMT"));
/// assert_eq!(steadfast::retry_after(&headers), Some(Duration::from_secs(5)));
/// ```
#[must_use]
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let now = || {
        let date = headers.get(header::DATE).and_then(|date| date.to_str().ok());
        date.and_then(|date| httpdate::parse_http_date(date).ok()).unwrap_or_else(SystemTime::now)
    };
    let values = headers.get_all(header::RETRY_AFTER).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(list_entries).filter_map(|value| seconds(value).or_else(|| time_to(value, now))).max()
}

/// The day of the week before the comma in a date starts with one of these.
const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

/// Splits a value that a proxy may have joined from several header lines, separated by commas. A comma within a date separates nothing.
fn list_entries(value: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(value);
    iter::from_fn(move || {
        let value = rest?;
        let mut commas = value.match_indices(',').map(|(position, _)| position);
        let is_day = |head: &str| DAYS.iter().any(|day| head.trim_start().starts_with(day));
        let end = commas.next().filter(|&comma| !is_day(&value[..comma])).or_else(|| commas.next());
        rest = end.map(|end| &value[end + 1..]);
        Some(value[..end.unwrap_or(value.len())].trim())
    })
}

/// Parses a number of seconds, with or without a fraction.
fn seconds(value: &str) -> Option<Duration> {
    let (whole, fraction) = value.split_once('.').map_or((value, None), |(whole, fraction)| (whole, Some(fraction)));
    let is_number = |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(whole) || !fraction.is_none_or(is_number) {
        return None;
    }
    // All characters are digits, so a number that cannot be parsed is too large.
    let Ok(whole) = whole.parse() else { return Some(Duration::MAX) };
    let digits = fraction.unwrap_or_default().bytes().chain(iter::repeat(b'0')).take(9);
    let nanos = digits.fold(0, |nanos, digit| 10 * nanos + u32::from(digit - b'0'));
    Some(Duration::new(whole, nanos))
}

/// Parses an HTTP date, and returns the time from `now` to it.
fn time_to(date: &str, now: impl FnOnce() -> SystemTime) -> Option<Duration> {
    let date = httpdate::parse_http_date(date).ok()?;
    Some(date.duration_since(now()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::{collection::vec, prelude::*};

    use super::*;

    /// 1 January 2030 and later, so that a date is not in the past of the system clock.
    const START: u64 = 1_893_456_000;

    fn date(seconds: u64) -> String {
        httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
    }

    fn headers(values: &[&str], date: Option<&str>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::RETRY_AFTER, HeaderValue::from_str(value).expect("a valid value"));
        }
        if let Some(date) = date {
            headers.insert(header::DATE, HeaderValue::from_str(date).expect("a valid value"));
        }
        headers
    }

    #[test]
    fn a_number_is_a_time_in_seconds() {
        let checks = [
            ("7", Some(Duration::from_secs(7))),
            ("0", Some(Duration::ZERO)),
            ("007", Some(Duration::from_secs(7))),
            (" 7 ", Some(Duration::from_secs(7))),
            ("299.997", Some(Duration::from_millis(299_997))),
            ("0.5", Some(Duration::from_millis(500))),
            ("0.0000000019", Some(Duration::from_nanos(1))),
            ("18446744073709551615", Some(Duration::from_secs(u64::MAX))),
            ("18446744073709551616", Some(Duration::MAX)),
            ("99999999999999999999999999999.5", Some(Duration::MAX)),
            ("-7", None),
            ("-0.5", None),
            ("+7", None),
            (".5", None),
            ("5.", None),
            (".", None),
            ("1.2.3", None),
            ("1e3", None),
            ("0x10", None),
            ("7s", None),
            ("NaN", None),
            ("inf", None),
            ("", None),
            (",", None),
        ];
        for (value, expected) in checks {
            assert_eq!(retry_after(&headers(&[value], None)), expected, "{value:?}");
        }
    }

    #[test]
    fn the_longest_of_several_values_counts() {
        let dates = [date(START + 3), date(START + 9)];
        let [near, far] = dates.each_ref().map(String::as_str);
        let joined = format!("{far}, 4");
        let checks: [(&[&str], u64); 10] = [
            (&["5", "7", "6"], 7),
            (&["soon, 5"], 5),
            (&[", 5 ,"], 5),
            (&["soon", "5"], 5),
            (&["5, 7"], 7),
            (&["7,5"], 7),
            (&[near, "4"], 4),
            (&[near, far], 9),
            (&[&joined], 9),
            (&["Sunday, 06-Nov-94 08:49:37 GMT, 4"], 4),
        ];
        for (values, expected) in checks {
            let hint = retry_after(&headers(values, Some(&date(START))));
            assert_eq!(hint, Some(Duration::from_secs(expected)), "{values:?}");
        }
    }

    #[test]
    fn a_date_counts_from_the_date_of_the_response() {
        let hour = 3_600;
        for clock in [START - hour, START, START + hour] {
            let headers = headers(&[&date(clock + 5)], Some(&date(clock)));
            assert_eq!(retry_after(&headers), Some(Duration::from_secs(5)), "{clock}");
        }
        let past = headers(&[&date(START)], Some(&date(START + 1)));
        assert_eq!(retry_after(&past), Some(Duration::ZERO));
    }

    #[test]
    fn an_invalid_date_of_the_response_is_replaced_by_the_system_clock() {
        let in_an_hour = httpdate::fmt_http_date(SystemTime::now() + Duration::from_hours(1));
        let hint = retry_after(&headers(&[&in_an_hour], Some("today"))).expect("a hint");
        assert!(hint <= Duration::from_hours(1) && hint > Duration::from_mins(50), "{hint:?}");
    }

    proptest! {
        #[test]
        fn no_header_panics(values in vec("[ -~]{0,24}", 0..4), date in "[ -~]{0,40}") {
            let values: Vec<&str> = values.iter().map(String::as_str).collect();
            _ = retry_after(&headers(&values, Some(&date)));
        }

        #[test]
        fn numbers_and_dates_are_read_as_written(seconds in 0..86_400_u64, millis in 0..1_000_u32, clock in 0..8_000_000_000_u64) {
            let exact = Duration::new(seconds, millis * 1_000_000);
            let number = format!("{seconds}.{millis:03}");
            prop_assert_eq!(retry_after(&headers(&[&number], None)), Some(exact));

            let date_of_retry = date(clock + seconds);
            let response = headers(&[&date_of_retry], Some(&date(clock)));
            prop_assert_eq!(retry_after(&response), Some(Duration::from_secs(seconds)));
        }

        #[test]
        fn the_order_of_values_does_not_matter(seconds in vec(0..1_000_u32, 1..5)) {
            let values: Vec<String> = seconds.iter().map(u32::to_string).collect();
            let values: Vec<&str> = values.iter().map(String::as_str).collect();
            let expected = seconds.iter().max().map(|&longest| Duration::from_secs(longest.into()));
            prop_assert_eq!(retry_after(&headers(&values, None)), expected);
            prop_assert_eq!(retry_after(&headers(&[&values.join(", ")], None)), expected);
        }
    }
}
