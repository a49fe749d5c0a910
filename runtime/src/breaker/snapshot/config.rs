use std::time::Duration;

use crate::breaker::parameters::{Parameters, Rates, Span, TripPolicy};

/// The settings that a reader of a [`Snapshot`](super::Snapshot) needs to make sense of its counts.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct SnapshotConfig {
    /// What opens the circuit.
    pub threshold: TripRule,
    /// How long it stays open, after no failed recovery.
    #[cfg_attr(feature = "serde", serde(serialize_with = "super::serialize::duration"))]
    pub recovery_timeout: Duration,
    /// Trial calls at once, and successes that close it.
    pub half_open_max_calls: u32,
    /// Whether nothing is rejected.
    pub observe_only: bool,
}

/// What opens a circuit.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(tag = "rule", rename_all = "snake_case"))]
#[non_exhaustive]
pub enum TripRule {
    /// This many failures in a row.
    ConsecutiveFailures {
        /// How many.
        failures: u32,
    },
    /// A share of the calls in a window.
    #[non_exhaustive]
    Rates {
        /// The last so many calls, for a window of calls.
        calls: Option<u32>,
        /// The calls of this long, for a window of time.
        #[cfg_attr(feature = "serde", serde(serialize_with = "super::serialize::seconds"))]
        time: Option<Duration>,
        /// The share of failed calls, between 0 and 1.
        failure_rate: f64,
        /// Calls below which nothing is judged.
        min_calls: u64,
        /// A call that takes this long is slow, if any is.
        #[cfg_attr(feature = "serde", serde(serialize_with = "super::serialize::seconds"))]
        slow_call: Option<Duration>,
        /// The share of slow calls, between 0 and 1.
        slow_call_rate: f64,
    },
}

impl SnapshotConfig {
    pub(crate) fn new(rules: &Parameters) -> Self {
        let threshold = match rules.policy {
            TripPolicy::Consecutive { threshold } => TripRule::ConsecutiveFailures { failures: threshold },
            TripPolicy::Rates(Rates { span, failure_rate, min_calls, slow_call, slow_call_rate }) => {
                let (calls, time) = match span {
                    Span::Calls(calls) => (Some(calls), None),
                    Span::Time(micros) => (None, Some(Duration::from_micros(micros))),
                };
                let slow_call = slow_call.map(Duration::from_micros);
                TripRule::Rates { calls, time, failure_rate, min_calls, slow_call, slow_call_rate }
            }
        };
        Self {
            threshold,
            recovery_timeout: Duration::from_micros(rules.recovery.base),
            half_open_max_calls: u32::from(rules.trials),
            observe_only: rules.observe_only,
        }
    }
}
