//! Groups of keys.

use std::sync::Arc;

use steadfast::KeyedSnapshot;

use super::{
    fields::fields,
    id::Kind,
    minute::{BreakerMinute, Callers},
};
use crate::history::Totals;

/// The sums over all keys of one [`KeyedBreakers`](steadfast::KeyedBreakers).
#[derive(Debug, PartialEq)]
pub(crate) struct BreakerGroupEntry {
    pub(crate) id: Arc<str>,
    kind: &'static str,
    pub(crate) counts: KeyedSnapshot,
    /// The number in the log of the last override of all keys, or of one of them.
    last_override: Option<u64>,
    pub(crate) last_minute: Option<BreakerMinute>,
    callers: Option<Callers>,
}

fields!(BreakerGroupEntry {
    "id": id,
    "kind": kind,
    "name": counts.name,
    "keys": counts.keys,
    "max_keys": counts.max_keys,
    "closed": counts.closed,
    "open": counts.open,
    "half_open": counts.half_open,
    "forced_open": counts.forced_open,
    "disabled": counts.disabled,
    "successes": counts.successes,
    "failures": counts.failures,
    "ignored": counts.ignored,
    "cancelled": counts.cancelled,
    "rejections": counts.rejections,
    "observed_rejections": counts.observed_rejections,
    "durations": counts.durations,
    "last_override": last_override,
    "last_minute": last_minute,
    "callers": callers,
});

impl BreakerGroupEntry {
    pub(crate) fn new(
        id: Arc<str>,
        counts: KeyedSnapshot,
        last_override: Option<u64>,
        last_minute: Option<BreakerMinute>,
        callers: Option<Callers>,
    ) -> Self {
        Self { id, kind: Kind::Group.name(), counts, last_override, last_minute, callers }
    }

    pub(crate) fn name(&self) -> &str {
        self.counts.name
    }

    pub(crate) fn totals(counts: &KeyedSnapshot) -> Totals {
        [counts.successes, counts.failures, counts.rejections, counts.ignored, counts.cancelled]
    }
}
