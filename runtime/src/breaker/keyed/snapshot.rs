use std::fmt;

use crate::{
    breaker::BreakerState,
    totals::{Count, Sums},
};

/// The number of keys by state, and the totals of all keys.
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
/// With the feature `serde` it implements `Serialize`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct KeyedSnapshot {
    /// The name of the breakers.
    pub name: &'static str,
    /// The number of keys with a breaker, without the overflow breaker, which the counts of states and the totals include.
    pub keys: usize,
    /// The maximum number of keys.
    pub max_keys: usize,
    /// The number of closed breakers.
    pub closed: usize,
    /// The number of open breakers.
    pub open: usize,
    /// The number of half-open breakers.
    pub half_open: usize,
    /// The number of breakers that are forced open.
    pub forced_open: usize,
    /// The number of disabled breakers.
    pub disabled: usize,
    /// The number of calls that succeeded. The totals include evicted keys.
    pub successes: u64,
    /// The number of calls that failed, panics included.
    pub failures: u64,
    /// The number of calls that were ignored, because `failure_if` leaves their error out, or cancelled.
    pub neutral: u64,
    /// The number of calls that were rejected.
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
