//! What there is to measure, read from the registry when somebody asks: the features `prometheus-client` and `metrics` differ
//! only in whom they tell it.
//!
//! **Invariant:** nothing here runs during a call.

mod bulkheads;
mod keyed;
mod rate_limits;
mod retries;

use std::{borrow::Cow, sync::Arc};

#[cfg(feature = "prometheus-client")]
pub(crate) use self::retries::of as of_retry;

use crate::{
    BreakerState,
    breaker::history::{STATES, Tally, index},
    escape::escaped,
    totals::{Count, Sums},
};

/// All values of one name.
#[derive(Debug)]
pub(crate) struct Family {
    /// Without the `_total` that counters end with.
    pub(crate) name: &'static str,
    pub(crate) help: &'static str,
    pub(crate) kind: Kind,
    pub(crate) samples: Vec<Sample>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Counter,
    Gauge,
}

#[derive(Debug)]
pub(crate) struct Sample {
    pub(crate) labels: Labels,
    pub(crate) value: Value,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Value {
    Count(u64),
    /// In microseconds; told in seconds.
    Micros(u64),
}

/// Names and values of a sample's labels.
#[derive(Clone, Debug)]
pub(crate) struct Labels {
    /// What it is about: a `service`, a `retry`, a `limit` or a `bulkhead`.
    pub(crate) subject: (&'static str, &'static str),
    /// What of it.
    pub(crate) part: Option<(&'static str, &'static str)>,
    /// Which of the keys; and whether it is what all keys share that have nothing of their own.
    pub(crate) key: (Option<Arc<str>>, bool),
}

/// Keys of a name that have series of their own, if nothing is said.
pub(crate) const DEFAULT_TOP_KEYS: usize = 20;

/// Everything, the families in a fixed order. A family without samples is there as well.
pub(crate) fn families(top_keys: usize) -> Vec<Family> {
    let mut breakers = Breakers::default();
    for breaker in crate::breakers() {
        let (sums, tally, state) = breaker.measure();
        breakers.add(breaker.name(), state, sums, &tally);
    }
    let mut families = breakers.families();
    keyed::add(&mut families, top_keys);
    families.extend(retries::families());
    families.extend(rate_limits::families(top_keys));
    families.extend(bulkheads::families());
    families
}

#[derive(Debug, Default)]
struct Breakers {
    state: Vec<Sample>,
    totals: Totals,
    transitions: Vec<Sample>,
    spent: Vec<Sample>,
    trials: Vec<Sample>,
}

/// What keyed breakers have as well, all keys together.
#[derive(Debug, Default)]
struct Totals {
    calls: Vec<Sample>,
    failures: Vec<Sample>,
    rejections: Vec<Sample>,
}

impl Breakers {
    fn add(&mut self, name: &'static str, state: BreakerState, sums: Sums, tally: &Tally) {
        self.state.push(of(name).count(code(state)));
        self.totals.add(name, sums);
        for state in STATES {
            let part = of(name).with("state", word(state));
            self.transitions.push(part.clone().count(tally.entered[index(state)]));
            self.spent.push(part.micros(tally.spent[index(state)]));
        }
        self.trials.push(of(name).count(tally.trials));
    }

    fn families(self) -> Vec<Family> {
        let Totals { calls, failures, rejections } = self.totals;
        let counters = [
            (FAILURES, "Calls that failed, panics included.", failures),
            (REJECTIONS, "Calls that were not made, because the circuit did not admit them.", rejections),
            (CALLS, "Calls by outcome: success, failure, neutral or rejected.", calls),
            ("circuit_breaker_transitions", "Changes of state, by the state that was entered.", self.transitions),
            ("circuit_breaker_state_seconds", "Time spent in each state.", self.spent),
            ("circuit_breaker_trial_calls", "Calls admitted to try whether the service is back.", self.trials),
        ];
        let state = Family {
            name: "circuit_breaker_state",
            help: "What the breaker does with calls: 0 closed, 1 open, 2 half-open, 3 forced open, 4 disabled.",
            kind: Kind::Gauge,
            samples: self.state,
        };
        let counters =
            counters.into_iter().map(|(name, help, samples)| Family { name, help, kind: Kind::Counter, samples });
        [state].into_iter().chain(counters).collect()
    }
}

const CALLS: &str = "circuit_breaker_calls";
const FAILURES: &str = "circuit_breaker_failures";
const REJECTIONS: &str = "circuit_breaker_rejections";

impl Totals {
    fn add(&mut self, name: &'static str, sums: Sums) {
        self.failures.push(of(name).count(sums.get(Count::Failure)));
        self.rejections.push(of(name).count(sums.get(Count::Rejection)));
        for (outcome, count) in [
            ("success", Count::Success),
            ("failure", Count::Failure),
            ("neutral", Count::Neutral),
            ("rejected", Count::Rejection),
        ] {
            self.calls.push(of(name).with("outcome", outcome).count(sums.get(count)));
        }
    }
}

const fn of(service: &'static str) -> Labels {
    Labels { subject: ("service", service), part: None, key: (None, false) }
}

impl Labels {
    const fn with(mut self, name: &'static str, value: &'static str) -> Self {
        self.part = Some((name, value));
        self
    }

    const fn count(self, count: u64) -> Sample {
        Sample { labels: self, value: Value::Count(count) }
    }

    const fn micros(self, micros: u64) -> Sample {
        Sample { labels: self, value: Value::Micros(micros) }
    }

    /// Whether it is about one of many keys.
    #[cfg(feature = "metrics")]
    pub(crate) const fn is_of_key(&self) -> bool {
        self.key.0.is_some() || self.key.1
    }

    /// Names and values, which are [escaped].
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&'static str, Cow<'_, str>)> {
        let (key, overflow) = &self.key;
        let key = key.as_deref().map(|key| ("key", key));
        // A label of its own, since every value of `key` can be a key.
        let overflow = overflow.then_some(("overflow", "true"));
        let pairs = [self.subject].into_iter().chain(self.part).chain(key).chain(overflow);
        pairs.map(|(name, value)| (name, escaped(value)))
    }
}

impl Value {
    /// Counters of the `metrics` facade have no fractions.
    #[cfg(feature = "metrics")]
    pub(crate) const fn as_whole(self) -> u64 {
        match self {
            Self::Count(count) => count,
            Self::Micros(micros) => micros / 1_000_000,
        }
    }

    #[allow(clippy::cast_precision_loss, reason = "285 years of microseconds are exact")]
    pub(crate) fn as_f64(self) -> f64 {
        match self {
            Self::Count(count) => count as f64,
            Self::Micros(micros) => micros as f64 / 1e6,
        }
    }
}

const fn code(state: BreakerState) -> u64 {
    index(state) as u64
}

const fn word(state: BreakerState) -> &'static str {
    match state {
        BreakerState::Closed => "closed",
        BreakerState::Open => "open",
        BreakerState::HalfOpen => "half_open",
        BreakerState::ForcedOpen => "forced_open",
        BreakerState::Disabled => "disabled",
    }
}
