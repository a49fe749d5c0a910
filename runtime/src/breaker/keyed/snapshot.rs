use std::fmt;

use crate::{
    Durations,
    breaker::BreakerState,
    totals::{Count, Sums},
};

/// The states and totals of keyed breakers at one moment.
///
/// Its `Display` is one line:
///
/// ```
/// # use steadfast::{BreakerConfig, KeyedBreakers};
/// static HOSTS: KeyedBreakers = KeyedBreakers::new("hosts", BreakerConfig::new());
/// HOSTS.breaker("a.example.org").force_open();
/// HOSTS.breaker("b.example.org");
/// assert_eq!(
///     HOSTS.snapshot().to_string(),
///     "hosts: 2 of 10000 keys, 1 closed, 0 open, 0 half-open, 1 forced-open, 0 disabled; \
///      0 succeeded, 0 failed, 0 ignored, 0 cancelled, 0 rejected",
/// );
/// ```
///
/// Implements `Serialize` with the feature `serde`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct KeyedSnapshot {
    /// The name of the breakers.
    pub name: &'static str,
    /// The number of keys that have a breaker. The overflow breaker is not included here, but in the other counts.
    pub keys: usize,
    /// The maximum number of keys.
    pub max_keys: usize,
    /// The number of closed breakers.
    pub closed: usize,
    /// The number of open breakers.
    pub open: usize,
    /// The number of half-open breakers.
    pub half_open: usize,
    /// The number of breakers that an operator has forced open.
    pub forced_open: usize,
    /// The number of breakers that an operator has disabled.
    pub disabled: usize,
    /// The number of calls that succeeded, since the start of the program. Like the counts below, it includes the calls of evicted keys.
    pub successes: u64,
    /// The number of calls that failed, panics included.
    pub failures: u64,
    /// The number of calls that were ignored.
    pub ignored: u64,
    /// The number of calls that were cancelled.
    pub cancelled: u64,
    /// The number of calls that were rejected.
    pub rejections: u64,
    /// The number of calls that would have been rejected without [`observe_only`](crate::BreakerConfig::observe_only).
    pub observed_rejections: u64,
    /// The durations of the calls of all keys, if they are recorded.
    pub durations: Option<Durations>,
}

impl KeyedSnapshot {
    pub(super) fn new(
        name: &'static str,
        (keys, max_keys): (usize, usize),
        (sums, durations): (Sums, Option<Durations>),
        states: impl Iterator<Item = BreakerState>,
    ) -> Self {
        let mut snapshot = Self {
            name,
            keys,
            max_keys,
            closed: 0,
            open: 0,
            half_open: 0,
            forced_open: 0,
            disabled: 0,
            successes: sums.get(Count::Success),
            failures: sums.get(Count::Failure),
            ignored: sums.get(Count::Ignored),
            cancelled: sums.get(Count::Cancelled),
            rejections: sums.get(Count::Rejection),
            observed_rejections: sums.observed_rejections(),
            durations,
        };
        for state in states {
            *match state {
                BreakerState::Closed => &mut snapshot.closed,
                BreakerState::Open => &mut snapshot.open,
                BreakerState::HalfOpen => &mut snapshot.half_open,
                BreakerState::ForcedOpen => &mut snapshot.forced_open,
                BreakerState::Disabled => &mut snapshot.disabled,
            } += 1;
        }
        snapshot
    }
}

impl fmt::Display for KeyedSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, keys, max_keys, closed, open, half_open, forced_open, disabled, .. } = self;
        write!(
            f,
            "{}: {keys} of {max_keys} keys, {closed} closed, {open} open, {half_open} half-open, ",
            crate::escaped(name)
        )?;
        write!(f, "{forced_open} forced-open, {disabled} disabled; ")?;
        let Self { successes, failures, ignored, cancelled, rejections, .. } = self;
        write!(
            f,
            "{successes} succeeded, {failures} failed, {ignored} ignored, {cancelled} cancelled, {rejections} rejected"
        )?;
        match self.observed_rejections {
            0 => Ok(()),
            observed => write!(f, ", {observed} rejections only observed"),
        }
    }
}
