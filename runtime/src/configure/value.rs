//! Values in the words of the attributes: `10`, `0.5`, `true`, `30s`, `calls(100)`,
//! `exponential(base = 30s, factor = 2, max = 5m)`.

use std::time::Duration;

use super::error::shown;

/// What was read, or what would be right.
pub(super) type Read<T> = Result<T, String>;

const UNITS: [(&str, u128); 6] = [
    ("ns", 1),
    ("us", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60 * 1_000_000_000),
    ("h", 3_600 * 1_000_000_000),
];

pub(super) fn count(text: &str) -> Read<u32> {
    let digits = text.replace('_', "");
    digits.parse().map_err(|_| format!("{} is no whole number such as `10`", shown(text)))
}

pub(super) fn number(text: &str) -> Read<f64> {
    let number = text.parse().map_err(|_| format!("{} is no number such as `0.5`", shown(text)))?;
    if f64::is_finite(number) { Ok(number) } else { Err(format!("{} is no number such as `0.5`", shown(text))) }
}

pub(super) fn flag(text: &str) -> Read<bool> {
    text.parse().map_err(|_| format!("{} is neither `true` nor `false`", shown(text)))
}

/// A number with a unit.
pub(super) fn duration(text: &str) -> Read<Duration> {
    let digits_end = text.find(|c: char| !c.is_ascii_digit() && c != '.' && c != '_').unwrap_or(text.len());
    let (digits, unit) = text.split_at(digits_end);
    let digits = digits.replace('_', "");
    let Some((_, nanos)) = UNITS.iter().find(|(name, _)| *name == unit) else {
        return Err(match (digits.is_empty(), unit.is_empty()) {
            (false, true) => format!("a duration needs a unit: `{digits}ms`, `{digits}s`, `{digits}m` or `{digits}h`"),
            _ => format!("{} is no duration such as `100ms`, `2s`, `1.5m` or `1h`", shown(text)),
        });
    };
    scale(&digits, *nanos).ok_or_else(|| format!("{} is no duration: too long, or no plain number", shown(text)))
}

/// Decimal digits, perhaps with a point, times a unit in nanoseconds, rounded down.
fn scale(digits: &str, unit: u128) -> Option<Duration> {
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let mut nanos = whole.parse::<u128>().ok()?.checked_mul(unit)?;
    let mut worth = unit;
    for digit in fraction.chars() {
        worth /= 10;
        nanos = nanos.checked_add(u128::from(digit.to_digit(10)?) * worth)?;
    }
    let seconds = u64::try_from(nanos / 1_000_000_000).ok()?;
    Some(Duration::new(seconds, u32::try_from(nanos % 1_000_000_000).ok()?))
}

/// `name(value)`, `name(key = value, ...)`, or a `name` alone.
#[derive(Debug)]
pub(super) struct Call<'a> {
    pub(super) name: &'a str,
    /// Values without a key have an empty one.
    arguments: Vec<(&'a str, &'a str)>,
}

impl<'a> Call<'a> {
    pub(super) fn read(text: &'a str) -> Option<Self> {
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

    pub(super) fn take(&mut self, key: &str) -> Option<&'a str> {
        let index = self.arguments.iter().position(|(other, _)| *other == key)?;
        Some(self.arguments.remove(index).1)
    }

    /// What nobody took is too much.
    pub(super) fn finish(self, form: &str) -> Read<()> {
        if self.arguments.is_empty() { Ok(()) } else { Err(format!("write it as `{form}`")) }
    }
}
