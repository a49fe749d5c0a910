//! The breakers of keys: all of a name together, and those in trouble one by one, so that the number of series is bounded whatever the
//! number of keys.

use super::Family;
#[cfg(feature = "keyed")]
use super::{CALLS, FAILURES, Kind, Labels, REJECTIONS, Sample, Totals, code, of, word};
#[cfg(feature = "keyed")]
use crate::{breaker::history::STATES, totals::Count};

/// Adds the keyed breakers to the families of the others, and families of their own.
#[cfg(feature = "keyed")]
pub(super) fn add(families: &mut Vec<Family>, top_keys: usize) {
    let (mut totals, mut keys) = (Totals::default(), Vec::new());
    let (mut states, mut failures, mut rejections) = (Vec::new(), Vec::new(), Vec::new());
    for breakers in crate::all_keyed_breakers() {
        let name = breakers.name();
        let reading = breakers.measure(top_keys);
        // A name that a single breaker goes by as well has its totals already; `validate` calls it a conflict.
        if crate::breaker(name).is_none() {
            totals.add(name, reading.sums);
        }
        keys.extend(
            STATES.into_iter().zip(reading.states).map(|(state, keys)| of(name).with("state", word(state)).count(keys)),
        );
        for breaker in reading.top {
            let labels = Labels { key: breaker.label(), ..of(name) };
            let (state, sums) = (breaker.state(), breaker.sums());
            states.push(labels.clone().count(code(state)));
            failures.push(labels.clone().count(sums.get(Count::Failure)));
            rejections.push(labels.count(sums.get(Count::Rejection)));
        }
    }
    for family in &mut *families {
        family.samples.append(match family.name {
            CALLS => &mut totals.calls,
            FAILURES => &mut totals.failures,
            REJECTIONS => &mut totals.rejections,
            _ => continue,
        });
    }
    let family = |name, help, kind, samples: Vec<Sample>| Family { name, help, kind, samples };
    families.extend([
        family("circuit_breaker_keys", "Keys that have a breaker, by its state.", Kind::Gauge, keys),
        family("circuit_breaker_key_state", "State as above, of keys in trouble.", Kind::Gauge, states),
        family("circuit_breaker_key_failures", "Failed calls, of keys in trouble.", Kind::Counter, failures),
        family(
            "circuit_breaker_key_rejections",
            "Calls that were not made, of keys in trouble; those of all keys are in circuit_breaker_rejections.",
            Kind::Counter,
            rejections,
        ),
    ]);
}

#[cfg(not(feature = "keyed"))]
pub(super) fn add(_: &mut Vec<Family>, _: usize) {}
