//! Durations: literals with a unit, such as `100ms`, or expressions.

use std::time::Duration;

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote_spanned};
use syn::{BinOp, Error, Expr, ExprBinary, ExprLit, ExprUnary, Lit, Result, UnOp, spanned::Spanned, visit::Visit};

use super::values::single_ident;

/// A duration in an attribute.
pub(crate) enum DurationExpr {
    /// A literal such as `100ms`, with its span.
    Literal(Duration, Span),
    /// A const expression of type `Duration`.
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

const EXAMPLE: &str = "1_500ms";
const EXPECTED: &str = "expected a duration such as `100ms`, `2s` or `1.5m`";

impl DurationExpr {
    pub(crate) fn parse(value: Expr) -> Result<Self> {
        let Expr::Lit(literal) = &value else {
            return match expression_error(&value) {
                Some(message) => Err(Error::new_spanned(value, message)),
                None => Ok(Self::Expression(value)),
            };
        };
        let span = literal.span();
        let (text, digits, unit) = match &literal.lit {
            Lit::Int(number) => (number.to_string(), number.base10_digits(), number.suffix()),
            Lit::Float(number) => (number.to_string(), number.base10_digits(), number.suffix()),
            Lit::Str(text) if duration(text.value().trim()).is_some() => {
                return Err(Error::new(span, format!("write the duration without quotes: `{}`", text.value().trim())));
            }
            _ => return Err(Error::new(span, EXPECTED)),
        };
        if !UNITS.iter().any(|(name, _)| *name == unit) {
            return Err(Error::new(span, unit_error(digits, unit)));
        }
        match duration(&text) {
            Some(duration) => Ok(Self::Literal(duration, span)),
            None if text.contains(['e', 'E', 'x', 'o', 'b']) => {
                Err(Error::new(span, format!("`{text}` is not a decimal number with a unit, such as `{EXAMPLE}`")))
            }
            None => Err(Error::new(span, format!("`{text}` is too long for a duration"))),
        }
    }

    /// Parses a duration that must be longer than zero. `what` is the subject of the error for 0, and `zero` the reason.
    pub(crate) fn parse_positive(what: &str, zero: &str, value: Expr) -> Result<Self> {
        Self::parse(value)?.positive(what, zero)
    }

    /// Returns an error for a literal of zero.
    pub(crate) fn positive(self, what: &str, zero: &str) -> Result<Self> {
        match &self {
            Self::Literal(known, span) if known.is_zero() => {
                Err(Error::new(*span, format!("{what} must be longer than 0: {zero}")))
            }
            _ => Ok(self),
        }
    }

    /// A default value, which is not written in the attribute.
    pub(crate) fn default_of(duration: Duration) -> Self {
        Self::Literal(duration, Span::call_site())
    }

    /// The duration, or `None` for an expression.
    pub(crate) const fn known(&self) -> Option<Duration> {
        match self {
            Self::Literal(duration, _) => Some(*duration),
            Self::Expression(_) => None,
        }
    }
}

impl ToTokens for DurationExpr {
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

/// The text of a duration, as a literal of an attribute.
pub(crate) fn text(duration: Duration) -> String {
    format!("{duration:?}").replace('\u{b5}', "u")
}

/// Returns true for the unit of a duration.
pub(super) fn is_unit(text: &str) -> bool {
    UNITS.iter().any(|(unit, _)| *unit == text)
}

/// The error for an expression that is not a duration: it contains a literal with a unit, which only the whole value can be, or it is the
/// name of an absent value.
fn expression_error(value: &Expr) -> Option<String> {
    struct FindDuration(Option<String>);
    impl<'ast> Visit<'ast> for FindDuration {
        fn visit_lit(&mut self, literal: &'ast Lit) {
            if let Lit::Int(_) | Lit::Float(_) = literal {
                let text = literal.to_token_stream().to_string();
                if duration(&text).is_some() {
                    self.0.get_or_insert(text);
                }
            }
        }
    }

    if let Some("None" | "none" | "never" | "infinite" | "unlimited" | "forever") =
        single_ident(value).map(ToString::to_string).as_deref()
    {
        return Some(format!("{EXPECTED}; for none, omit the option"));
    }
    let mut find = FindDuration(None);
    find.visit_expr(value);
    let found = find.0?;
    Some(match (value, evaluate(value)) {
        (Expr::Unary(ExprUnary { op: UnOp::Neg(_), .. }), _) => "a duration cannot be negative".to_owned(),
        (_, Some(Operand::Duration(result))) => format!("write the result of the calculation: `{}`", text(result)),
        _ => format!(
            "a literal with a unit must be the whole value: write `{found}` alone, or an expression of type `Duration` without such literals"
        ),
    })
}

/// A literal in a calculation with durations.
enum Operand {
    Number(u32),
    Duration(Duration),
}

/// The result of additions, subtractions, multiplications and divisions of literals.
fn evaluate(value: &Expr) -> Option<Operand> {
    match value {
        Expr::Paren(inner) => evaluate(&inner.expr),
        Expr::Lit(ExprLit { lit, .. }) => {
            let text = lit.to_token_stream().to_string();
            duration(&text).map(Operand::Duration).or_else(|| text.parse().ok().map(Operand::Number))
        }
        Expr::Binary(ExprBinary { left, op, right, .. }) => {
            use Operand::Duration as Time;
            match (evaluate(left)?, op, evaluate(right)?) {
                (Operand::Number(times), BinOp::Mul(_), Time(time))
                | (Time(time), BinOp::Mul(_), Operand::Number(times)) => time.checked_mul(times).map(Time),
                (Time(time), BinOp::Div(_), Operand::Number(by)) => time.checked_div(by).map(Time),
                (Time(left), BinOp::Add(_), Time(right)) => left.checked_add(right).map(Time),
                (Time(left), BinOp::Sub(_), Time(right)) => left.checked_sub(right).map(Time),
                _ => None,
            }
        }
        _ => None,
    }
}

fn unit_error(digits: &str, unit: &str) -> String {
    let short = match unit.to_lowercase().as_str() {
        "msec" | "msecs" | "milli" | "millis" | "millisecond" | "milliseconds" => Some("ms"),
        "usec" | "micro" | "micros" | "microsecond" | "microseconds" => Some("us"),
        "nano" | "nanos" | "nanosecond" | "nanoseconds" => Some("ns"),
        lower => UNITS.iter().map(|(unit, _)| *unit).find(|unit| *unit == lower),
    };
    if let Some(short) = short {
        return format!("unknown unit `{unit}`: did you mean `{digits}{short}`?");
    }
    match unit {
        "" => format!("a duration needs a unit: `{digits}ms`, `{digits}s`, `{digits}m` or `{digits}h`"),
        "sec" | "secs" | "second" | "seconds" => format!("unknown unit `{unit}`: did you mean `{digits}s`?"),
        "min" | "mins" | "minute" | "minutes" => format!("unknown unit `{unit}`: did you mean `{digits}m`?"),
        "hr" | "hrs" | "hour" | "hours" => format!("unknown unit `{unit}`: did you mean `{digits}h`?"),
        "d" | "day" | "days" => format!("unknown unit `{unit}`: the longest is `h`, as in `24h`"),
        _ => format!("unknown unit `{unit}`: the units are `ns`, `us`, `ms`, `s`, `m` and `h`"),
    }
}

/// Parses a decimal number with a unit: `100ms`, `1.5m`, `1_000.25s`. Fractions of a nanosecond are truncated. Returns `None` for any other
/// text, and for a duration above `Duration::MAX`.
///
/// `duration` in `runtime/src/settings/value.rs` parses the settings that the runtime reads in the same way. A test on each side has the
/// same cases.
fn duration(text: &str) -> Option<Duration> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.' && c != '_').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let (_, unit) = UNITS.iter().find(|(name, _)| *name == unit)?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    // As in a Rust literal, each part starts with a digit.
    if [whole, fraction].iter().any(|part| !part.starts_with(|c: char| c.is_ascii_digit())) {
        return None;
    }
    let mut nanos = whole.replace('_', "").parse::<u128>().ok()?.checked_mul(*unit)?;
    let mut place_value = *unit;
    for digit in fraction.chars().filter(|digit| *digit != '_') {
        // All units are divisible by ten down to one nanosecond. Digits below that count as 0.
        place_value /= 10;
        nanos = nanos.checked_add(u128::from(digit.to_digit(10)?) * place_value)?;
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
        DurationExpr::parse(value).map(|time| time.known()).map_err(|error| error.to_string())
    }

    /// A test in `runtime/src/settings/value.rs` has the same cases.
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
            assert_eq!(parse(text).ok().flatten(), expected, "{text}");
        }
        // These texts are not Rust literals.
        for text in [".5s", "1.s", "_1s", "1._5s", "-5s", "s", ""] {
            assert_eq!(duration(text), None, "{text}");
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
            ("0x10s", "not a decimal number"),
            ("1e3s", "not a decimal number"),
            ("\"2s\"", "without quotes: `2s`"),
            ("\"soon\"", "expected a duration such as"),
            ("5S", "did you mean `5s`?"),
            ("5millis", "did you mean `5ms`?"),
            ("-5s", "cannot be negative"),
            ("2 * 5s", "the result of the calculation: `10s`"),
            ("1m + 30s", "the result of the calculation: `90s`"),
            ("(90s - 30s) / 2", "the result of the calculation: `30s`"),
            ("Some(30s)", "write `30s` alone"),
            ("None", "omit the option"),
        ] {
            let error = parse(text).expect_err(text);
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
