use std::fmt;

use crate::{
    breaker::BreakerState,
    totals::{Count, Sums},
};

/// What the breakers of all keys were doing, in numbers.
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
///      0 succeeded, 0 failed, 0 neutral, 0 rejected",
/// );
/// ```
///
/// With the feature `serde` it is `Serialize`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct KeyedSnapshot {
    /// The name of the breakers.
    pub name: &'static str,
    /// Keys with a breaker. One more breaker, where they overflow, is counted below as well.
    pub keys: usize,
    /// Keys that there are at most.
    pub max_keys: usize,
    /// Breakers that are closed.
    pub closed: usize,
    /// Breakers that are open.
    pub open: usize,
    /// Breakers that are half-open.
    pub half_open: usize,
    /// Breakers that an operator forced open.
    pub forced_open: usize,
    /// Breakers that an operator disabled.
    pub disabled: usize,
    /// Calls that succeeded, of all keys that there ever were.
    pub successes: u64,
    /// Calls that failed.
    pub failures: u64,
    /// Calls that counted as neither.
    pub neutral: u64,
    /// Calls that were not made.
    pub rejections: u64,
}

impl KeyedSnapshot {
    pub(super) fn new(
        name: &'static str,
        (keys, max_keys): (usize, usize),
        retired: Sums,
        breakers: impl Iterator<Item = (BreakerState, Sums)>,
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
            successes: 0,
            failures: 0,
            neutral: 0,
            rejections: 0,
        };
        let mut all = retired;
        for (state, sums) in breakers {
            *match state {
                BreakerState::Closed => &mut snapshot.closed,
                BreakerState::Open => &mut snapshot.open,
                BreakerState::HalfOpen => &mut snapshot.half_open,
                BreakerState::ForcedOpen => &mut snapshot.forced_open,
                BreakerState::Disabled => &mut snapshot.disabled,
            } += 1;
            all = all.plus(sums);
        }
        snapshot.successes = all.get(Count::Success);
        snapshot.failures = all.get(Count::Failure);
        snapshot.neutral = all.get(Count::Neutral);
        snapshot.rejections = all.get(Count::Rejection);
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
        let Self { successes, failures, neutral, rejections, .. } = self;
        write!(f, "{successes} succeeded, {failures} failed, {neutral} neutral, {rejections} rejected")
    }
}
