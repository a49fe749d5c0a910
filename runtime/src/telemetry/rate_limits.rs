//! Rate limits: each by itself; and of those with keys all of a name together, with those that reject most one by one, as of
//! breakers.

use super::{Family, Kind, Labels, Sample};
use crate::RateLimitSnapshot;

pub(super) fn families(top_keys: usize) -> Vec<Family> {
    let mut limits = Limits::default();
    for limit in crate::rate_limits() {
        let RateLimitSnapshot { name, limit, per, in_window, waiting, admitted, rejected, .. } = limit.snapshot();
        limits.add_rule(name, limit, crate::clock::micros(per));
        limits.add_calls(name, admitted, rejected);
        limits.used.push(of(name).count(in_window as u64));
        limits.waits.push(of(name).count(waiting as u64));
    }
    limits.add_keyed(top_keys);
    limits.families()
}

#[derive(Debug, Default)]
struct Limits {
    calls: Vec<Sample>,
    most: Vec<Sample>,
    windows: Vec<Sample>,
    used: Vec<Sample>,
    waits: Vec<Sample>,
    keys: Vec<Sample>,
    key_rejections: Vec<Sample>,
}

impl Limits {
    fn add_rule(&mut self, name: &'static str, limit: u32, per: u64) {
        self.most.push(of(name).count(limit.into()));
        self.windows.push(of(name).micros(per));
    }

    fn add_calls(&mut self, name: &'static str, admitted: u64, rejected: u64) {
        for (outcome, count) in [("admitted", admitted), ("rejected", rejected)] {
            self.calls.push(of(name).with("outcome", outcome).count(count));
        }
    }

    #[cfg(feature = "keyed")]
    fn add_keyed(&mut self, top_keys: usize) {
        for limits in crate::all_keyed_rate_limits() {
            let all = limits.snapshot();
            // A name that a single limit goes by as well has its totals already.
            if crate::rate_limit(all.name).is_none() {
                self.add_rule(all.name, all.limit, crate::clock::micros(all.per));
                self.add_calls(all.name, all.admitted, all.rejected);
            }
            // Among those that are reached may be one that the keys share that have none of their own.
            let free = all.keys.saturating_sub(all.reached);
            for (state, keys) in [("free", free), ("reached", all.reached)] {
                self.keys.push(of(all.name).with("state", state).count(keys as u64));
            }
            for limit in limits.with_series(top_keys) {
                let RateLimitSnapshot { name, key, overflow, rejected, .. } = limit.snapshot();
                self.key_rejections.push(Labels { key: (key, overflow), ..of(name) }.count(rejected));
            }
        }
    }

    #[cfg(not(feature = "keyed"))]
    #[allow(clippy::unused_self, clippy::needless_pass_by_ref_mut, reason = "with the feature it is used")]
    fn add_keyed(&mut self, _: usize) {}

    fn families(self) -> Vec<Family> {
        let Self { calls, most, windows, used, waits, keys, key_rejections } = self;
        let family = |name, help, kind, samples: Vec<Sample>| Family { name, help, kind, samples };
        vec![
            family("rate_limit_calls", "Calls by outcome: admitted or rejected.", Kind::Counter, calls),
            family("rate_limit_max_calls", "Calls that there may be in a window, of each key.", Kind::Gauge, most),
            family("rate_limit_window_seconds", "How long the window is.", Kind::Gauge, windows),
            family("rate_limit_used", "Calls that count in the window at this moment.", Kind::Gauge, used),
            family("rate_limit_waiting", "Calls that wait for their place.", Kind::Gauge, waits),
            family("rate_limit_keys", "Keys that have a limit, by whether it is reached.", Kind::Gauge, keys),
            family(
                "rate_limit_key_rejections",
                "Rejected calls, of the keys that reject most; those of all keys are in rate_limit_calls.",
                Kind::Counter,
                key_rejections,
            ),
        ]
    }
}

const fn of(limit: &'static str) -> Labels {
    Labels { subject: ("limit", limit), part: None, key: (None, false) }
}
