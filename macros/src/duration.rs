//! Durations: literals with a unit, or expressions.

use std::time::Duration;

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote_spanned};
use syn::{Error, Expr, Lit, Result, spanned::Spanned};

/// A duration in an attribute.
pub(crate) enum Time {
    /// `100ms`: known now.
    Literal(Duration, Span),
    /// Any expression of type `Duration` that is const: known to the compiler later.
    Expression(Expr),
}

const UNITS: [(&str, u128); 6] = [
    ("ns", 1),
    ("us", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60 * 1_000_000_000),
    ("h", 3_600 * 1_000_000_000),
];
const NANOS_PER_SECOND: u128 = 1_000_000_000;

impl Time {
    pub(crate) fn parse(value: Expr) -> Result<Self> {
        let Expr::Lit(literal) = &value else {
            return Ok(Self::Expression(value));
        };
        let span = literal.span();
        let (digits, suffix) = match &literal.lit {
            Lit::Int(number) => (number.base10_digits(), number.suffix()),
            Lit::Float(number) => (number.base10_digits(), number.suffix()),
            _ => return Err(Error::new(span, "expected a duration such as `100ms`, `2s` or `1.5m`")),
        };
        let Some((_, unit)) = UNITS.iter().find(|(name, _)| *name == suffix) else {
            return Err(Error::new(span, wrong_unit(digits, suffix)));
        };
        let duration = scale(digits, *unit).ok_or_else(|| {
            Error::new(span, format!("`{digits}{suffix}` is no duration: too long, or no plain number"))
        })?;
        Ok(Self::Literal(duration, span))
    }

    /// The duration, where it is known now.
    pub(crate) const fn known(&self) -> Option<Duration> {
        match self {
            Self::Literal(duration, _) => Some(*duration),
            Self::Expression(_) => None,
        }
    }
}

impl ToTokens for Time {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        match self {
            Self::Literal(duration, span) => {
                let (seconds, nanos) = (duration.as_secs(), duration.subsec_nanos());
                let span = Span::call_site().located_at(*span);
                tokens.extend(quote_spanned!(span=> ::core::time::Duration::new(#seconds, #nanos)));
            }
            Self::Expression(value) => value.to_tokens(tokens),
        }
    }
}

fn wrong_unit(digits: &str, suffix: &str) -> String {
    match suffix {
        "" => format!("a duration needs a unit: `{digits}ms`, `{digits}s`, `{digits}m` or `{digits}h`"),
        "sec" | "secs" | "second" | "seconds" => format!("unknown unit `{suffix}`: did you mean `{digits}s`?"),
        "min" | "mins" | "minute" | "minutes" => format!("unknown unit `{suffix}`: did you mean `{digits}m`?"),
        "hr" | "hrs" | "hour" | "hours" => format!("unknown unit `{suffix}`: did you mean `{digits}h`?"),
        "d" | "day" | "days" => format!("unknown unit `{suffix}`: the longest is `h`, as in `24h`"),
        _ => format!("unknown unit `{suffix}`: the units are `ns`, `us`, `ms`, `s`, `m` and `h`"),
    }
}

/// Decimal digits, perhaps with a point, times a unit in nanoseconds, rounded down. `None` if that is no duration.
fn scale(digits: &str, unit: u128) -> Option<Duration> {
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let mut nanos = whole.parse::<u128>().ok()?.checked_mul(unit)?;
    let mut worth = unit;
    for digit in fraction.chars() {
        // A digit is worth less than the next higher one by the rest of a division that is exact for all units up to
        // nanoseconds; below that nothing is left to count.
        worth /= 10;
        nanos = nanos.checked_add(u128::from(digit.to_digit(10)?) * worth)?;
    }
    let seconds = u64::try_from(nanos / NANOS_PER_SECOND).ok()?;
    let rest = u32::try_from(nanos % NANOS_PER_SECOND).ok()?;
    Some(Duration::new(seconds, rest))
}

#[cfg(test)]
mod tests {
    use syn::parse_str;

    use super::*;

    fn parse(text: &str) -> std::result::Result<Option<Duration>, String> {
        let value = parse_str::<Expr>(text).map_err(|error| error.to_string())?;
        Time::parse(value).map(|time| time.known()).map_err(|error| error.to_string())
    }

    #[test]
    fn literals() {
        for (text, expected) in [
            ("100ms", Duration::from_millis(100)),
            ("250us", Duration::from_micros(250)),
            ("5ns", Duration::from_nanos(5)),
            ("2s", Duration::from_secs(2)),
            ("1_000s", Duration::from_secs(1000)),
            ("1.5m", Duration::from_secs(90)),
            ("0.25h", Duration::from_mins(15)),
            ("1h", Duration::from_hours(1)),
            ("1.000000001s", Duration::new(1, 1)),
            ("0s", Duration::ZERO),
        ] {
            assert_eq!(parse(text), Ok(Some(expected)), "{text}");
        }
        assert_eq!(parse("TIMEOUT"), Ok(None));
    }

    #[test]
    fn mistakes_name_the_fix() {
        for (text, part) in [
            ("100", "needs a unit: `100ms`"),
            ("5sec", "did you mean `5s`?"),
            ("5min", "did you mean `5m`?"),
            ("2d", "the longest is `h`"),
            ("3weeks", "the units are"),
            ("99999999999999999999999h", "too long"),
            ("\"2s\"", "expected a duration such as"),
        ] {
            let error = parse(text).expect_err(text);
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
