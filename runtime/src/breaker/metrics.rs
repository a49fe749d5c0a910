//! The metrics of circuit breakers.
//!
//! Keyed breakers have one series of totals per name. A single key has its own series only while its breaker is unhealthy, so that the
//! number of series does not grow with the number of keys.

#[cfg(feature = "keyed")]
use super::KeyedBreakers;
use super::{CircuitBreaker, engine::Measurement};
use crate::{
    BreakerState, Durations,
    clock::micros,
    registry::Policy,
    telemetry::{Family, Labels, Sample, Value},
    totals::{Count, Sums},
};

pub(super) fn families(top_keys: usize) -> Vec<Family> {
    let mut samples = Samples::default();
    for breaker in CircuitBreaker::registry().all() {
        let name = breaker.name();
        let Measurement { sums, tally, state, outage, admitted_share, observe_only } = breaker.measure();
        samples.states.push(labels(name).count(state.index() as u64));
        samples.shares.push(labels(name).micros(millionths(admitted_share)));
        samples.outages.push(labels(name).micros(micros(outage)));
        samples.add_totals(name, sums, observe_only);
        for state in BreakerState::ALL {
            let part = labels(name).with("state", label(state));
            samples.transitions.push(part.clone().count(tally.entered[state.index()]));
            samples.spent.push(part.micros(tally.spent[state.index()]));
        }
        samples.trials.push(labels(name).count(tally.trial_calls));
        if let Some((hung, survey)) = breaker.measure_in_flight() {
            samples.hung.push(labels(name).count(hung));
            samples.in_flight.push(labels(name).count(survey.in_flight));
            samples.hung_in_flight.push(labels(name).count(survey.hung));
            samples.oldest.push(labels(name).micros(survey.oldest.unwrap_or(0)));
        }
        samples.add_durations(name, breaker.settings.durations().as_ref());
    }
    samples.add_keyed(top_keys);
    samples.families()
}

#[derive(Default)]
struct Samples {
    states: Vec<Sample>,
    shares: Vec<Sample>,
    outages: Vec<Sample>,
    failures: Vec<Sample>,
    rejections: Vec<Sample>,
    observing: Vec<Sample>,
    observed_rejections: Vec<Sample>,
    calls: Vec<Sample>,
    transitions: Vec<Sample>,
    spent: Vec<Sample>,
    trials: Vec<Sample>,
    hung: Vec<Sample>,
    in_flight: Vec<Sample>,
    hung_in_flight: Vec<Sample>,
    oldest: Vec<Sample>,
    durations: Vec<Sample>,
    keyed: KeyedSamples,
}

#[derive(Default)]
struct KeyedSamples {
    keys: Vec<Sample>,
    in_outage: Vec<Sample>,
    states: Vec<Sample>,
    failures: Vec<Sample>,
    rejections: Vec<Sample>,
}

impl Samples {
    fn add_totals(&mut self, name: &'static str, sums: Sums, observe_only: bool) {
        self.observing.push(labels(name).count(u64::from(observe_only)));
        self.observed_rejections.push(labels(name).count(sums.observed_rejections()));
        self.failures.push(labels(name).count(sums.get(Count::Failure)));
        self.rejections.push(labels(name).count(sums.get(Count::Rejection)));
        for (outcome, count) in [
            ("success", Count::Success),
            ("failure", Count::Failure),
            ("ignored", Count::Ignored),
            ("cancelled", Count::Cancelled),
            ("rejected", Count::Rejection),
        ] {
            self.calls.push(labels(name).with("outcome", outcome).count(sums.get(count)));
        }
    }

    fn add_durations(&mut self, name: &'static str, durations: Option<&Durations>) {
        for (outcome, durations) in durations.into_iter().flat_map(Durations::by_outcome) {
            let value = Value::Histogram(durations.to_metric());
            self.durations.push(Sample { labels: labels(name).with("outcome", outcome), value });
        }
    }

    #[cfg(feature = "keyed")]
    fn add_keyed(&mut self, top_keys: usize) {
        for breakers in KeyedBreakers::registry().all() {
            let name = breakers.name();
            let reading = breakers.measure(top_keys);
            // If a breaker without keys has the same name, which `validate` reports, the totals are those of that breaker.
            if CircuitBreaker::registry().get(name).is_none() {
                self.add_totals(name, reading.sums, breakers.config().get_observe_only());
                self.add_durations(name, breakers.durations().as_ref());
                self.outages.push(labels(name).micros(micros(reading.outage)));
            }
            for (state, keys) in BreakerState::ALL.into_iter().zip(reading.states) {
                self.keyed.keys.push(labels(name).with("state", label(state)).count(keys));
            }
            self.keyed.in_outage.push(labels(name).count(reading.in_outage));
            for breaker in reading.top {
                let labels = labels(name).with_key(breaker.label());
                let (state, sums) = (breaker.state(), breaker.sums());
                self.keyed.states.push(labels.clone().count(state.index() as u64));
                self.keyed.failures.push(labels.clone().count(sums.get(Count::Failure)));
                self.keyed.rejections.push(labels.count(sums.get(Count::Rejection)));
            }
        }
    }

    #[cfg(not(feature = "keyed"))]
    #[allow(clippy::unused_self, clippy::needless_pass_by_ref_mut, reason = "used with the feature")]
    fn add_keyed(&mut self, _: usize) {}

    fn families(self) -> Vec<Family> {
        let Self { states, shares, outages, failures, rejections, observing, observed_rejections, .. } = self;
        let Self { calls, transitions, spent, trials, .. } = self;
        let Self { hung, in_flight, hung_in_flight, oldest, durations, keyed, .. } = self;
        let families = vec![
            Family::gauge(
                "circuit_breaker_state",
                "The state of the breaker: 0 closed, 1 open, 2 half-open, 3 forced open, 4 disabled.",
                states,
            ),
            Family::gauge(
                "circuit_breaker_admitted_share",
                "The share of the calls that is admitted, from 0 to 1; below 1 during a ramp-up, 0 while open or half-open.",
                shares,
            ),
            Family::gauge(
                "circuit_breaker_outage_seconds",
                "The time since the closed circuit opened, until it closes again; 0 while closed or disabled. With keys, the longest outage \
                 of the keys in circuit_breaker_keys_in_outage.",
                outages,
            ),
            Family::gauge(
                "circuit_breaker_observe_only",
                "1 if the breaker admits every call and only observes, otherwise 0.",
                observing,
            ),
            Family::counter(
                "circuit_breaker_observed_rejections",
                "Calls that were admitted because of observe_only, and would have been rejected otherwise.",
                observed_rejections,
            ),
            Family::counter("circuit_breaker_failures", "Calls that failed, panics included.", failures),
            Family::counter("circuit_breaker_rejections", "Calls that the breaker rejected.", rejections),
            Family::counter(
                "circuit_breaker_calls",
                "Calls by outcome: success, failure, ignored, cancelled or rejected.",
                calls,
            ),
            Family::counter("circuit_breaker_transitions", "Changes of state, by the new state.", transitions),
            Family::counter("circuit_breaker_state_seconds", "Time spent in each state.", spent),
            Family::counter("circuit_breaker_trial_calls", "Trial calls admitted while half-open.", trials),
            Family::counter("circuit_breaker_hung_calls", "Calls that counted as hung while in flight.", hung),
            Family::gauge("circuit_breaker_in_flight", "Calls in flight, of breakers with hung_call.", in_flight),
            Family::gauge(
                "circuit_breaker_hung_in_flight",
                "Calls in flight that have reached hung_call, counted by the scrape, even if the breaker is not called.",
                hung_in_flight,
            ),
            Family::gauge(
                "circuit_breaker_oldest_in_flight_seconds",
                "The age of the oldest call in flight, of breakers with hung_call; 0 if there is none.",
                oldest,
            ),
            Family::histogram(
                "circuit_breaker_call_duration_seconds",
                "Durations of calls in seconds, by outcome, of breakers that record them.",
                durations,
            ),
        ];
        if cfg!(feature = "keyed") { families.into_iter().chain(keyed.families()).collect() } else { families }
    }
}

impl KeyedSamples {
    fn families(self) -> [Family; 5] {
        [
            Family::gauge("circuit_breaker_keys", "Keys with a breaker, by state.", self.keys),
            Family::gauge(
                "circuit_breaker_keys_in_outage",
                "Keys whose circuit has opened and not closed since, without overridden keys and keys that are no longer called.",
                self.in_outage,
            ),
            Family::gauge(
                "circuit_breaker_key_state",
                "The state of the breaker, as in circuit_breaker_state, of unhealthy keys.",
                self.states,
            ),
            Family::counter("circuit_breaker_key_failures", "Calls that failed, of unhealthy keys.", self.failures),
            Family::counter(
                "circuit_breaker_key_rejections",
                "Calls that the breaker rejected, of unhealthy keys; circuit_breaker_rejections has those of all keys.",
                self.rejections,
            ),
        ]
    }
}

/// A share as a number with six decimals, as a time in seconds is.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 1")]
fn millionths(share: f64) -> u64 {
    (share * 1e6).round() as u64
}

const fn labels(service: &'static str) -> Labels {
    Labels::new("service", service)
}

const fn label(state: BreakerState) -> &'static str {
    match state {
        BreakerState::Closed => "closed",
        BreakerState::Open => "open",
        BreakerState::HalfOpen => "half_open",
        BreakerState::ForcedOpen => "forced_open",
        BreakerState::Disabled => "disabled",
    }
}
