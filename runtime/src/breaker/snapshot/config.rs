use std::time::Duration;

use crate::breaker::parameters::{Parameters, RatePolicy, WindowSize};

/// The settings that put the counts of a [`Snapshot`](super::Snapshot) into context.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct SnapshotConfig {
    /// The rule that opens the circuit.
    pub threshold: TripRule,
    /// The recovery timeout after no failed recovery.
    #[cfg_attr(feature = "serde", serde(serialize_with = "super::serialize::duration"))]
    pub recovery_timeout: Duration,
    /// The number of trial calls while half-open.
    pub half_open_max_calls: u32,
    /// The number of trial calls that have to succeed to close the circuit.
    pub half_open_successes: u32,
    /// True if the breaker decides and counts as usual, but rejects no call.
    pub observe_only: bool,
}

/// The rule that opens a circuit.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(tag = "rule", rename_all = "snake_case"))]
#[non_exhaustive]
pub enum TripRule {
    /// A number of failures in a row.
    #[non_exhaustive]
    ConsecutiveFailures {
        /// The failure threshold.
        failures: u32,
    },
    /// The failure rate or slow-call rate in a sliding window, or a number of failures in a row if `failures` is given.
    #[non_exhaustive]
    Rates {
        /// The failure threshold beside the window; `None` if the rates alone open the circuit.
        failures: Option<u32>,
        /// The number of calls in the window; `None` for a time-based window.
        calls: Option<u32>,
        /// The length of the window; `None` for a count-based window.
        #[cfg_attr(feature = "serde", serde(serialize_with = "super::serialize::seconds"))]
        time: Option<Duration>,
        /// The failure rate that opens the circuit, between 0 and 1.
        failure_rate: f64,
        /// The number of calls that the window must hold before it is evaluated.
        min_calls: u64,
        /// The minimum duration of a slow call; `None` if no call is slow.
        #[cfg_attr(feature = "serde", serde(serialize_with = "super::serialize::seconds"))]
        slow_call: Option<Duration>,
        /// The slow-call rate that opens the circuit, between 0 and 1.
        slow_call_rate: f64,
    },
}

impl SnapshotConfig {
    pub(crate) fn new(parameters: &Parameters) -> Self {
        let (failures, rates) = (parameters.policy.threshold(), parameters.policy.rates());
        let threshold = match rates {
            None => TripRule::ConsecutiveFailures { failures: failures.unwrap_or(0) },
            Some(&RatePolicy { window, failure_rate, min_calls, slow_call, slow_call_rate }) => {
                let (calls, time) = match window {
                    WindowSize::Calls(calls) => (Some(calls), None),
                    WindowSize::Time(micros) => (None, Some(Duration::from_micros(micros))),
                };
                let slow_call = slow_call.map(Duration::from_micros);
                TripRule::Rates { failures, calls, time, failure_rate, min_calls, slow_call, slow_call_rate }
            }
        };
        Self {
            threshold,
            recovery_timeout: Duration::from_micros(parameters.recovery.base),
            half_open_max_calls: u32::from(parameters.half_open_max_calls),
            half_open_successes: u32::from(parameters.needed_successes()),
            observe_only: parameters.observe_only,
        }
    }
}

impl TripRule {
    /// Returns the number of failures in a row that opens the circuit; `None` if only the rates in a window do.
    #[must_use]
    pub const fn failure_threshold(&self) -> Option<u32> {
        match *self {
            Self::ConsecutiveFailures { failures } => Some(failures),
            Self::Rates { failures, .. } => failures,
        }
    }
}
