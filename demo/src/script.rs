//! What the payment service goes through, and when. A script is data: `healthy 2s, hanging 5s, healthy 4s`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::de::{Deserialize, Deserializer, Error};
use serde::ser::{Serialize, Serializer};

/// The outage that plays by default: 15 s, of which the service is down for 9.
pub(crate) const OUTAGE: &str = "healthy 1.5s, slow 0.5s, hanging 5.5s, 503 1.5s, 429 1s, refusing 1s, healthy 4s";

/// What plays over and over under `--serve`: long enough to watch each failure come and go.
pub(crate) const LOOP: &str = "healthy 20s, slow 5s, hanging 15s, healthy 20s, 503 10s, 429 10s, refusing 10s";

/// Above this a run would fill memory with records that no picture could show.
const LONGEST: Duration = Duration::from_mins(10);

/// How the payment service behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Answers in 10 to 20 ms.
    Healthy,
    /// Answers, but late.
    Slow,
    /// Takes the request and never answers.
    Hanging,
    /// Answers 503 at once.
    Unavailable,
    /// Answers 429 at once, with `Retry-After`.
    RateLimited,
    /// Its process is gone: connections are cut, new ones refused.
    Refusing,
}

impl Mode {
    const ALL: [Self; 6] =
        [Self::Healthy, Self::Slow, Self::Hanging, Self::Unavailable, Self::RateLimited, Self::Refusing];

    /// Whether no order can be charged.
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

/// By its name.
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
            format!("`{text}` is not something the service can be; it can be: {known}")
        })
    }
}

/// One mode, for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
pub(crate) struct Phase {
    pub(crate) mode: Mode,
    pub(crate) lasts: Duration,
}

/// The phases that every lane goes through.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
pub(crate) struct Script(Vec<Phase>);

impl Script {
    /// One of the scripts above, which a test reads as well.
    pub(crate) fn known(text: &str) -> Self {
        text.parse().unwrap_or(Self(Vec::new()))
    }

    pub(crate) fn phases(&self) -> &[Phase] {
        &self.0
    }

    pub(crate) fn total(&self) -> Duration {
        self.0.iter().map(|phase| phase.lasts).sum()
    }

    /// The same phases, played `speed` times as fast. `speed` is finite and above zero.
    pub(crate) fn at_speed(&self, speed: f64) -> Self {
        let faster = |phase: &Phase| Phase { lasts: phase.lasts.div_f64(speed), ..*phase };
        Self(self.0.iter().map(faster).collect())
    }
}

impl FromStr for Script {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let phases = text.split(',').map(phase).collect::<Result<Vec<_>, _>>()?;
        let total = phases.iter().try_fold(Duration::ZERO, |sum, phase| sum.checked_add(phase.lasts));
        if total.is_none_or(|total| total > LONGEST) {
            return Err(format!("a script may last {} s at most", LONGEST.as_secs()));
        }
        Ok(Self(phases))
    }
}

fn phase(text: &str) -> Result<Phase, String> {
    let mut words = text.split_whitespace();
    let (Some(mode), Some(lasts), None) = (words.next(), words.next(), words.next()) else {
        return Err(format!("`{}` is not a phase; write a mode and a duration: `hanging 5s`", text.trim()));
    };
    let phase = Phase { mode: mode.parse()?, lasts: duration(lasts)? };
    if phase.lasts.is_zero() {
        return Err(format!("the phase `{}` takes no time", text.trim()));
    }
    Ok(phase)
}

/// Reads a duration as steadfast's attributes write it: `250us`, `100ms`, `1.5s`, `2m`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is not a duration; write a number and a unit: 100ms, 1.5s, 2m");
    let unit = text.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(wrong)?;
    let (number, unit) = text.split_at(unit);
    let seconds = match unit {
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err(wrong()),
    };
    let number: f64 = number.parse().map_err(|_| wrong())?;
    Duration::try_from_secs_f64(number * seconds).map_err(|_| wrong())
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
            assert_eq!(duration(text).ok(), expected, "{text:?}");
        }
    }

    #[test]
    fn the_default_script_is_down_for_nine_of_fifteen_seconds() -> Result<(), String> {
        let script: Script = OUTAGE.parse()?;
        let down: Duration = script.phases().iter().filter(|phase| phase.mode.is_down()).map(|phase| phase.lasts).sum();
        assert_eq!((script.total(), down), (Duration::from_secs(15), Duration::from_secs(9)));
        Ok(())
    }

    #[test]
    fn the_loop_breaks_in_every_way_and_comes_back() -> Result<(), String> {
        let script: Script = LOOP.parse()?;
        let seen = |mode: &Mode| script.phases().iter().any(|phase| phase.mode == *mode);
        assert!(Mode::ALL.iter().all(seen));
        Ok(())
    }

    #[test]
    fn speed_scales_every_phase() -> Result<(), String> {
        let script: Script = "healthy 2s, hanging 5s".parse()?;
        assert_eq!(script.at_speed(2.0), "healthy 1s, hanging 2.5s".parse()?);
        Ok(())
    }

    #[test]
    fn a_wrong_script_says_what_is_wrong() {
        for (text, expected) in [
            ("", "is not a phase"),
            ("healthy", "is not a phase"),
            ("healthy 2s 3s", "is not a phase"),
            ("healthy 2s,", "is not a phase"),
            ("on-fire 2s", "it can be: healthy, slow, hanging, 503, 429, refusing"),
            ("healthy 2", "is not a duration"),
            ("healthy 0s", "takes no time"),
            ("healthy 11m", "600 s at most"),
        ] {
            let error = text.parse::<Script>().err().unwrap_or_default();
            assert!(error.contains(expected), "{text:?}: {error}");
        }
    }
}
