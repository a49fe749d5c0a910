//! The metrics of bulkheads.
//!
//! Bulkheads with keys have totals for all keys of a name, and a series of their own only for the keys with the most rejections, so that
//! the number of series is bounded.

use super::{Bulkhead, BulkheadSnapshot};
#[cfg(feature = "keyed")]
use super::{KeyedBulkheadSnapshot, KeyedBulkheads};
use crate::{
    registry::Policy,
    telemetry::{Family, Labels, Sample},
};

pub(super) fn families(top_keys: usize) -> Vec<Family> {
    let mut samples = Samples::default();
    for bulkhead in Bulkhead::registry().all() {
        let snapshot = bulkhead.snapshot();
        let BulkheadSnapshot { name, max_concurrent, waiting, admitted, rejected, .. } = snapshot;
        samples.add(name, max_concurrent, [admitted, rejected], [snapshot.in_flight.into(), waiting.into()]);
    }
    samples.add_keyed(top_keys);
    samples.families()
}

#[derive(Default)]
struct Samples {
    calls: Vec<Sample>,
    in_flight: Vec<Sample>,
    limits: Vec<Sample>,
    waiting: Vec<Sample>,
    keys: Vec<Sample>,
    key_rejections: Vec<Sample>,
}

impl Samples {
    fn add(
        &mut self,
        name: &'static str,
        max_concurrent: u32,
        [admitted, rejected]: [u64; 2],
        [in_flight, waiting]: [u64; 2],
    ) {
        for (outcome, count) in [("admitted", admitted), ("rejected", rejected)] {
            self.calls.push(labels(name).with("outcome", outcome).count(count));
        }
        self.in_flight.push(labels(name).count(in_flight));
        self.limits.push(labels(name).count(max_concurrent.into()));
        self.waiting.push(labels(name).count(waiting));
    }

    #[cfg(feature = "keyed")]
    fn add_keyed(&mut self, top_keys: usize) {
        for bulkheads in KeyedBulkheads::registry().all() {
            let all = bulkheads.snapshot();
            let KeyedBulkheadSnapshot { name, max_concurrent, keys, full, in_flight, waiting, .. } = all;
            // If a bulkhead without keys has the same name, which `validate` reports, only the totals of that bulkhead are exported.
            if Bulkhead::registry().get(name).is_none() {
                self.add(name, max_concurrent, [all.admitted, all.rejected], [in_flight, waiting]);
            }
            // `full` may include the overflow bulkhead, which is not a key.
            for (state, keys) in [("free", keys.saturating_sub(full)), ("full", full)] {
                self.keys.push(labels(name).with("state", state).count(keys as u64));
            }
            for bulkhead in bulkheads.with_series(top_keys) {
                let BulkheadSnapshot { key, overflow, rejected, .. } = bulkhead.snapshot();
                self.key_rejections.push(labels(name).with_key((key, overflow)).count(rejected));
            }
        }
    }

    #[cfg(not(feature = "keyed"))]
    #[allow(clippy::unused_self, clippy::needless_pass_by_ref_mut, reason = "with the feature it is used")]
    fn add_keyed(&mut self, _: usize) {}

    fn families(self) -> Vec<Family> {
        let Self { calls, in_flight, limits, waiting, keys, key_rejections } = self;
        vec![
            Family::counter("bulkhead_calls", "Calls by outcome: admitted or rejected.", calls),
            Family::gauge("bulkhead_in_flight", "Permits in use, of all keys: calls in flight.", in_flight),
            Family::gauge("bulkhead_max_concurrent", "The maximum number of calls in flight, for each key.", limits),
            Family::gauge("bulkhead_waiting", "Calls that wait for a permit, of all keys.", waiting),
            Family::gauge("bulkhead_keys", "Keys that have a bulkhead, by whether it is full.", keys),
            Family::counter(
                "bulkhead_key_rejections",
                "Rejected calls of the keys that reject most; bulkhead_calls has those of all keys.",
                key_rejections,
            ),
        ]
    }
}

const fn labels(bulkhead: &'static str) -> Labels {
    Labels::new("bulkhead", bulkhead)
}
