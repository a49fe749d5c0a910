//! The modes of the payment service over time, as a script: `healthy 2s, hanging 5s, healthy 4s`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::de::{Deserialize, Deserializer, Error};
use serde::ser::{Serialize, Serializer};

/// The script of a fleet: 15 s, of which the service is down for 9 s.
pub(crate) const FLEET: &str = "healthy 1.5s, slow 0.5s, hanging 5.5s, 503 1.5s, 429 1s, refusing 1s, healthy 4s";

/// The script that `--serve` repeats, slow enough to observe each failure mode.
pub(crate) const LOOP: &str = "healthy 20s, slow 5s, hanging 15s, healthy 20s, 503 10s, 429 10s, refusing 10s";

/// The maximum length of a script. The recording of a longer run would take too much memory and could not be charted.
const MAX_TOTAL: Duration = Duration::from_mins(10);

/// A behaviour of the payment service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Answers in 10 to 20 ms.
    Healthy,
    /// Answers in 60 ms.
    Slow,
    /// Answers after 30 s.
    Hanging,
    /// Answers 503 at once.
    Unavailable,
    /// Answers 429 at once, with `Retry-After`.
    RateLimited,
    /// Not running: open connections are closed, new ones refused.
    Refusing,
}

impl Mode {
    const ALL: [Self; 6] =
        [Self::Healthy, Self::Slow, Self::Hanging, Self::Unavailable, Self::RateLimited, Self::Refusing];

    /// Returns true if no order can be charged in this mode.
    pub(crate) fn is_down(self) -> bool {
        !matches!(self, Self::Healthy | Self::Slow)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Slow => "slow",
            Self::Hanging => "hanging",
            Self::Unavailable => "503",
            Self::RateLimited => "429",
            Self::Refusing => "refusing",
        }
    }
}

/// Serializes the name.
impl Serialize for Mode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Mode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(Error::custom)
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Mode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|mode| mode.name() == text).ok_or_else(|| {
            let known = Self::ALL.map(Self::name).join(", ");
            format!("`{text}` is not a mode of the service; valid modes: {known}")
        })
    }
}

/// A mode and its duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
pub(crate) struct Phase {
    pub(crate) mode: Mode,
    pub(crate) duration: Duration,
}

/// The sequence of phases that every lane goes through.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
pub(crate) struct Script(Vec<Phase>);

impl Script {
    /// Parses a script of the demo itself. Tests check that all of them are valid.
    pub(crate) fn built_in(text: &str) -> Self {
        text.parse().unwrap_or(Self(Vec::new()))
    }

    pub(crate) fn phases(&self) -> &[Phase] {
        &self.0
    }

    pub(crate) fn total(&self) -> Duration {
        self.0.iter().map(|phase| phase.duration).sum()
    }

    /// Returns the script with every phase shortened by the factor `speed`, which must be finite and above zero.
    pub(crate) fn at_speed(&self, speed: f64) -> Self {
        let faster = |phase: &Phase| Phase { duration: phase.duration.div_f64(speed), ..*phase };
        Self(self.0.iter().map(faster).collect())
    }
}

impl FromStr for Script {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let phases = text.split(',').map(parse_phase).collect::<Result<Vec<_>, _>>()?;
        let total = phases.iter().try_fold(Duration::ZERO, |sum, phase| sum.checked_add(phase.duration));
        if total.is_none_or(|total| total > MAX_TOTAL) {
            return Err(format!("a script is limited to {} s", MAX_TOTAL.as_secs()));
        }
        Ok(Self(phases))
    }
}

fn parse_phase(text: &str) -> Result<Phase, String> {
    let mut words = text.split_whitespace();
    let (Some(mode), Some(length), None) = (words.next(), words.next(), words.next()) else {
        return Err(format!("`{}` is not a phase; write a mode and a duration: `hanging 5s`", text.trim()));
    };
    let phase = Phase { mode: mode.parse()?, duration: parse_duration(length)? };
    if phase.duration.is_zero() {
        return Err(format!("the duration of `{}` must be above zero", text.trim()));
    }
    Ok(phase)
}

/// Parses a duration in the notation of steadfast's attributes: `250us`, `100ms`, `1.5s`, `2m`.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let invalid = || format!("`{text}` is not a duration; write a number and a unit: 100ms, 1.5s, 2m");
    let unit = text.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(invalid)?;
    let (number, unit) = text.split_at(unit);
    let seconds = match unit {
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err(invalid()),
    };
    let number: f64 = number.parse().map_err(|_| invalid())?;
    Duration::try_from_secs_f64(number * seconds).map_err(|_| invalid())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, expected) in [
            ("250us", Some(Duration::from_micros(250))),
            ("100ms", Some(Duration::from_millis(100))),
            ("1.5s", Some(Duration::from_millis(1500))),
            ("2m", Some(Duration::from_mins(2))),
            ("1h", Some(Duration::from_hours(1))),
            ("0s", Some(Duration::ZERO)),
            ("5", None),
            ("s", None),
            ("", None),
            ("-1s", None),
            ("1.2.3s", None),
            ("1 s", None),
            ("5 parsecs", None),
            ("99999999999999999999h", None),
        ] {
            assert_eq!(parse_duration(text).ok(), expected, "{text:?}");
        }
    }

    #[test]
    fn the_script_of_a_fleet_is_down_for_nine_of_fifteen_seconds() -> Result<(), String> {
        let script: Script = FLEET.parse()?;
        let down: Duration =
            script.phases().iter().filter(|phase| phase.mode.is_down()).map(|phase| phase.duration).sum();
        assert_eq!((script.total(), down), (Duration::from_secs(15), Duration::from_secs(9)));
        Ok(())
    }

    #[test]
    fn the_repeated_script_contains_every_mode() -> Result<(), String> {
        let script: Script = LOOP.parse()?;
        let contains = |mode: &Mode| script.phases().iter().any(|phase| phase.mode == *mode);
        assert!(Mode::ALL.iter().all(contains));
        Ok(())
    }

    #[test]
    fn speed_scales_every_phase() -> Result<(), String> {
        let script: Script = "healthy 2s, hanging 5s".parse()?;
        assert_eq!(script.at_speed(2.0), "healthy 1s, hanging 2.5s".parse()?);
        Ok(())
    }

    #[test]
    fn invalid_scripts_are_rejected_with_the_reason() {
        for (text, expected) in [
            ("", "is not a phase"),
            ("healthy", "is not a phase"),
            ("healthy 2s 3s", "is not a phase"),
            ("healthy 2s,", "is not a phase"),
            ("on-fire 2s", "valid modes: healthy, slow, hanging, 503, 429, refusing"),
            ("healthy 2", "is not a duration"),
            ("healthy 0s", "must be above zero"),
            ("healthy 11m", "limited to 600 s"),
        ] {
            let error = text.parse::<Script>().err().unwrap_or_default();
            assert!(error.contains(expected), "{text:?}: {error}");
        }
    }
}
