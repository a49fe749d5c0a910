//! Values in the syntax of the attributes: `10`, `0.5`, `true`, `30s`, `calls(100)`,
//! `exponential(base = 30s, factor = 2, max = 5m)`.

use std::time::Duration;

use super::quoted;

/// A parsed value, or a message that describes the issue and the correct form.
pub(crate) type Parsed<T> = Result<T, String>;

/// The units of durations, in nanoseconds.
const UNITS: [(&str, u128); 6] = [
    ("ns", 1),
    ("us", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60 * 1_000_000_000),
    ("h", 3_600 * 1_000_000_000),
];

/// Parses a whole number. Each `_` is ignored.
pub(crate) fn count(text: &str) -> Parsed<u32> {
    let digits = text.replace('_', "");
    digits.parse().map_err(|_| format!("{} is not a whole number, such as `10`", quoted(text)))
}

/// Parses a finite number.
pub(crate) fn number(text: &str) -> Parsed<f64> {
    let number = text.parse().map_err(|_| format!("{} is not a number, such as `0.5`", quoted(text)))?;
    if f64::is_finite(number) { Ok(number) } else { Err(format!("{} is not a number, such as `0.5`", quoted(text))) }
}

/// Parses `true` or `false`.
pub(crate) fn flag(text: &str) -> Parsed<bool> {
    text.parse().map_err(|_| format!("{} is not `true` or `false`", quoted(text)))
}

/// Parses a decimal number with a unit: `100ms`, `1.5m`, `1_000.25s`. Fractions of a nanosecond are cut off.
///
/// The attributes parse durations alike: `duration` in `macros/src/syntax/duration.rs`. A test on each side has the same cases.
pub(crate) fn duration(text: &str) -> Parsed<Duration> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.' && c != '_').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let Some((_, nanos)) = UNITS.iter().find(|(name, _)| *name == unit) else {
        let digits = number.replace('_', "");
        return Err(match (digits.is_empty(), unit.is_empty()) {
            (false, true) => format!("a duration needs a unit: `{digits}ms`, `{digits}s`, `{digits}m` or `{digits}h`"),
            _ => format!("{} is not a duration, such as `100ms`, `2s`, `1.5m` or `1h`", quoted(text)),
        });
    };
    scale(number, *nanos)
        .ok_or_else(|| format!("{} is not a duration: too long, or not a decimal number", quoted(text)))
}

/// Multiplies a decimal number by a unit in nanoseconds, and rounds down. `None` if it is not a number, or if the result is too long for a
/// `Duration`.
fn scale(number: &str, unit: u128) -> Option<Duration> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    // As in a Rust literal, each part begins with a digit.
    if [whole, fraction].iter().any(|part| !part.starts_with(|c: char| c.is_ascii_digit())) {
        return None;
    }
    let mut nanos = whole.replace('_', "").parse::<u128>().ok()?.checked_mul(unit)?;
    let mut place_value = unit;
    for digit in fraction.chars().filter(|digit| *digit != '_') {
        // All units are divisible by ten down to one nanosecond. Digits below that count as 0.
        place_value /= 10;
        nanos = nanos.checked_add(u128::from(digit.to_digit(10)?) * place_value)?;
    }
    let seconds = u64::try_from(nanos / 1_000_000_000).ok()?;
    Some(Duration::new(seconds, u32::try_from(nanos % 1_000_000_000).ok()?))
}

/// A value of the form `name(value)`, `name(key = value, ...)` or `name`.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    pub(crate) name: &'a str,
    /// Keys and values. A value without a key has an empty key.
    arguments: Vec<(&'a str, &'a str)>,
}

impl<'a> Call<'a> {
    /// Parses a value. Returns `None` if it contains `(` but does not end with `)`.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let text = text.trim();
        let Some((name, arguments)) = text.split_once('(') else {
            return Some(Self { name: text, arguments: Vec::new() });
        };
        let arguments = arguments.strip_suffix(')')?.split(',').map(str::trim).filter(|argument| !argument.is_empty());
        let arguments = arguments.map(|argument| match argument.split_once('=') {
            Some((key, value)) => (key.trim(), value.trim()),
            None => ("", argument),
        });
        Some(Self { name: name.trim(), arguments: arguments.collect() })
    }

    /// Removes the first argument with the given key, and returns its value.
    pub(crate) fn take(&mut self, key: &str) -> Option<&'a str> {
        let index = self.arguments.iter().position(|(other, _)| *other == key)?;
        Some(self.arguments.remove(index).1)
    }

    /// Returns an error with the correct `form` if an argument was not taken.
    pub(crate) fn finish(self, form: &str) -> Parsed<()> {
        if self.arguments.is_empty() { Ok(()) } else { Err(format!("write it as `{form}`")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A test in `macros/src/syntax/duration.rs` has the same cases.
    const DURATIONS: [(&str, Option<Duration>); 29] = [
        ("100ms", Some(Duration::from_millis(100))),
        ("250us", Some(Duration::from_micros(250))),
        ("5ns", Some(Duration::from_nanos(5))),
        ("2s", Some(Duration::from_secs(2))),
        ("1_000s", Some(Duration::from_secs(1000))),
        ("1_s", Some(Duration::from_secs(1))),
        ("1_000.2_5s", Some(Duration::from_millis(1_000_250))),
        ("1.5m", Some(Duration::from_secs(90))),
        ("0.25h", Some(Duration::from_mins(15))),
        ("1h", Some(Duration::from_hours(1))),
        ("1.000000001s", Some(Duration::new(1, 1))),
        ("1.0000000019s", Some(Duration::new(1, 1))),
        ("0.9ns", Some(Duration::ZERO)),
        ("007s", Some(Duration::from_secs(7))),
        ("0s", Some(Duration::ZERO)),
        ("18446744073709551615s", Some(Duration::from_secs(u64::MAX))),
        ("18446744073709551616s", None),
        ("99999999999999999999999h", None),
        ("9999999999999999999999999999999999999999s", None),
        ("100", None),
        ("1.5", None),
        ("5sec", None),
        ("5S", None),
        ("2d", None),
        ("0x10s", None),
        ("1e3s", None),
        ("1.5.2s", None),
        ("5 s", None),
        ("\"2s\"", None),
    ];

    #[test]
    fn durations() {
        for (text, expected) in DURATIONS {
            assert_eq!(duration(text).ok(), expected, "{text}");
        }
        for text in [".5s", "1.s", "_1s", "1._5s", "-5s", "s", ""] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
