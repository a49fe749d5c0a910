//! What Redis says of a breaker, as an answer or as a message.

use std::time::Duration;

/// What the fleet has agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Nothing is known there.
    Missing,
    Closed,
    /// Closed by an operator.
    Reset,
    Open,
    Forced,
    Disabled,
}

/// A state of the fleet's breaker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) version: u64,
    pub(crate) kind: Kind,
    /// How long it lasts; `None` without an end.
    pub(crate) left: Option<Duration>,
    pub(crate) failed: u32,
    pub(crate) by: String,
    pub(crate) reason: String,
}

/// The answer to a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) known: Known,
    /// Whether the asker holds the lease; or its report has reached the threshold.
    pub(crate) granted: Granted,
    /// Another holds it, for as long.
    pub(crate) lease_left: Duration,
    /// Something has changed by it.
    pub(crate) changed: bool,
}

/// Whether one has what one has asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Granted {
    No,
    Yes,
    /// For as long as it was granted before, and then it is another's turn.
    ForTheLastTime,
}

/// For how long it is listed beyond its end, and without one: as long as the script keeps a state.
const LISTED: Duration = Duration::from_mins(10);
const LISTED_WITHOUT_END: Duration = Duration::from_hours(30 * 24);
/// What separates the fields of a line; none contains it.
const SEPARATOR: char = '\x1f';

impl Kind {
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Closed => "closed",
            Self::Reset => "reset",
            Self::Open => "open",
            Self::Forced => "forced",
            Self::Disabled => "disabled",
        }
    }

    pub(crate) fn of(text: &str) -> Option<Self> {
        let kinds = [Self::Missing, Self::Closed, Self::Reset, Self::Open, Self::Forced, Self::Disabled];
        kinds.into_iter().find(|kind| kind.text() == text)
    }
}

impl Known {
    /// Reads a line; `None` if it is none of ours. Gives what is behind it, too.
    fn read(line: &str) -> Option<(Self, Option<&str>)> {
        let mut fields = line.splitn(7, SEPARATOR);
        let mut next = || fields.next();
        let version = next()?.parse().ok()?;
        let kind = Kind::of(next()?)?;
        let left = milliseconds(next()?.parse().ok()?);
        let failed = next()?.parse().ok()?;
        let (by, reason) = (next()?.to_owned(), next()?.to_owned());
        Some((Self { version, kind, left, failed, by, reason }, next()))
    }

    /// Reads a message; gives what the breaker is called, too.
    pub(crate) fn of_message(message: &str) -> Option<(Self, &str)> {
        let (known, id) = Self::read(message)?;
        Some((known, id?))
    }

    /// For how long it is listed, so that it is found by who has not heard of it; zero if it need not be.
    pub(crate) fn is_listed_for(&self) -> Duration {
        match self.kind {
            Kind::Missing | Kind::Closed | Kind::Reset => Duration::ZERO,
            Kind::Open => self.left.unwrap_or_default() + LISTED,
            Kind::Forced | Kind::Disabled => self.left.map_or(LISTED_WITHOUT_END, |left| left + LISTED),
        }
    }
}

impl Answer {
    pub(crate) fn read((line, granted, lease_left, changed): &Raw) -> Option<Self> {
        let (known, _) = Known::read(line)?;
        let lease_left = Duration::from_millis((*lease_left).try_into().ok()?);
        let granted = match granted {
            0 => Granted::No,
            1 => Granted::Yes,
            _ => Granted::ForTheLastTime,
        };
        Some(Self { known, granted, lease_left, changed: *changed != 0 })
    }
}

/// As the script gives it.
pub(crate) type Raw = (String, i64, i64, i64);

/// A number of milliseconds; `None` for one below 0, which is without an end.
pub(crate) fn milliseconds(number: i64) -> Option<Duration> {
    u64::try_from(number).ok().map(Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Answer, Granted, Kind, Known};

    #[test]
    fn lines_are_read_and_rubbish_is_not() {
        let known = Known {
            version: 17,
            kind: Kind::Open,
            left: Some(Duration::from_millis(1500)),
            failed: 2,
            by: "a".into(),
            reason: "after 5 failures in a row".into(),
        };
        let line = "17\x1fopen\x1f1500\x1f2\x1fa\x1fafter 5 failures in a row";
        assert_eq!(Known::of_message(&format!("{line}\x1fpay\x1fments")), Some((known.clone(), "pay\x1fments")));
        assert_eq!(Known::of_message(line), None);
        let answer = Answer::read(&(line.into(), 1, 20, 0)).expect("read");
        assert_eq!(
            answer,
            Answer { known, granted: Granted::Yes, lease_left: Duration::from_millis(20), changed: false }
        );
        for rubbish in ["", "x", "17\x1fajar\x1f1\x1f2\x1fa\x1fb\x1fc", "-1\x1fopen\x1f1\x1f2\x1fa\x1fb\x1fc"] {
            assert_eq!(Known::of_message(rubbish), None, "{rubbish:?}");
        }
    }
}
