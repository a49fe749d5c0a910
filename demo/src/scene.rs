//! The scenes of the demo: which lanes run, what the service does, and how long its callers wait.

use std::time::Duration;

use clap::ValueEnum;

use crate::checkout::Lane;

/// A scene: an outage, and the lanes that go through it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scene {
    /// The service becomes slow, hangs for 30 s, fails and recovers
    Outage,
    /// The service hangs for 10 s, and every caller gives up after 300 ms, before any timeout
    GiveUp,
}

impl Scene {
    /// Returns the lanes that run by default.
    pub(crate) fn lanes(self) -> &'static [Lane] {
        match self {
            Self::Outage => &[Lane::Naive, Lane::Retry, Lane::Guarded, Lane::HungCall],
            Self::GiveUp => &[Lane::Naive, Lane::Breaker, Lane::CancelledCall],
        }
    }

    /// Returns the default script.
    pub(crate) fn script(self) -> &'static str {
        match self {
            Self::Outage => "healthy 2s, slow 1.5s, hanging 30s, 503 2s, 429 1.5s, refusing 2s, healthy 6s",
            Self::GiveUp => "healthy 2s, hanging 10s, healthy 4s",
        }
    }

    /// Returns the time after which a caller gives up; `None` if callers wait for the end of their calls.
    pub(crate) fn patience(self) -> Option<Duration> {
        match self {
            Self::Outage => None,
            Self::GiveUp => Some(Duration::from_millis(300)),
        }
    }

    /// Returns the file name of the chart.
    pub(crate) fn picture(self) -> &'static str {
        match self {
            Self::Outage => "outage.svg",
            Self::GiveUp => "give-up.svg",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::Script;

    #[test]
    fn the_service_is_down_for_a_known_part_of_each_scene() -> Result<(), String> {
        for (scene, total, down) in [(Scene::Outage, 45.0, 35.5), (Scene::GiveUp, 16.0, 10.0)] {
            let script: Script = scene.script().parse()?;
            let phases = script.phases().iter().filter(|phase| phase.mode.is_down());
            let is_down: Duration = phases.map(|phase| phase.duration).sum();
            assert_eq!((script.total().as_secs_f64(), is_down.as_secs_f64()), (total, down));
        }
        Ok(())
    }
}
