//! The metrics of rate limits.
//!
//! Limits with keys have totals for all keys of a name, and a series of their own only for the keys with the most rejections, so that the
//! number of series is bounded.

use super::{RateLimit, RateLimitSnapshot};
use crate::{
    registry::Policy,
    telemetry::{Family, Labels, Sample},
};

pub(super) fn families(top_keys: usize) -> Vec<Family> {
    let mut samples = Samples::default();
    for limit in RateLimit::registry().all() {
        let RateLimitSnapshot { name, limit, per, in_window, waiting, admitted, rejected, .. } = limit.snapshot();
        samples.add_config(name, limit, crate::clock::micros(per));
        samples.add_calls(name, admitted, rejected);
        samples.used.push(labels(name).count(in_window as u64));
        samples.waiting.push(labels(name).count(waiting as u64));
    }
    samples.add_keyed(top_keys);
    samples.families()
}

#[derive(Default)]
struct Samples {
    calls: Vec<Sample>,
    limits: Vec<Sample>,
    windows: Vec<Sample>,
    used: Vec<Sample>,
    waiting: Vec<Sample>,
    keys: Vec<Sample>,
    key_rejections: Vec<Sample>,
}

impl Samples {
    fn add_config(&mut self, name: &'static str, limit: u32, per: u64) {
        self.limits.push(labels(name).count(limit.into()));
        self.windows.push(labels(name).micros(per));
    }

    fn add_calls(&mut self, name: &'static str, admitted: u64, rejected: u64) {
        for (outcome, count) in [("admitted", admitted), ("rejected", rejected)] {
            self.calls.push(labels(name).with("outcome", outcome).count(count));
        }
    }

    #[cfg(feature = "keyed")]
    fn add_keyed(&mut self, top_keys: usize) {
        for limits in super::KeyedRateLimits::registry().all() {
            let all = limits.snapshot();
            // If a limit without keys has the same name, which `validate` reports, only the totals of that limit are exported.
            if RateLimit::registry().get(all.name).is_none() {
                self.add_config(all.name, all.limit, crate::clock::micros(all.per));
                self.add_calls(all.name, all.admitted, all.rejected);
            }
            // `reached` may include the overflow limit, which is not a key.
            let free = all.keys.saturating_sub(all.reached);
            for (state, keys) in [("free", free), ("reached", all.reached)] {
                self.keys.push(labels(all.name).with("state", state).count(keys as u64));
            }
            for limit in limits.with_series(top_keys) {
                let RateLimitSnapshot { name, key, overflow, rejected, .. } = limit.snapshot();
                self.key_rejections.push(labels(name).with_key((key, overflow)).count(rejected));
            }
        }
    }

    #[cfg(not(feature = "keyed"))]
    #[allow(clippy::unused_self, clippy::needless_pass_by_ref_mut, reason = "with the feature it is used")]
    fn add_keyed(&mut self, _: usize) {}

    fn families(self) -> Vec<Family> {
        let Self { calls, limits, windows, used, waiting, keys, key_rejections } = self;
        vec![
            Family::counter("rate_limit_calls", "Calls by outcome: admitted or rejected.", calls),
            Family::gauge("rate_limit_max_calls", "The maximum number of calls in a window, for each key.", limits),
            Family::gauge("rate_limit_window_seconds", "The length of the window.", windows),
            Family::gauge("rate_limit_used", "Calls in the current window.", used),
            Family::gauge("rate_limit_waiting", "Calls that wait to be admitted.", waiting),
            Family::gauge("rate_limit_keys", "Keys that have a limit, by whether it is reached.", keys),
            Family::counter(
                "rate_limit_key_rejections",
                "Rejected calls of the keys that reject most; rate_limit_calls has those of all keys.",
                key_rejections,
            ),
        ]
    }
}

const fn labels(limit: &'static str) -> Labels {
    Labels::new("limit", limit)
}
