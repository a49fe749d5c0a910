//! The state of a breaker as its callers feel it.

use std::time::Duration;

use serde::{Serialize, Serializer, ser::SerializeMap};
use steadfast::{BreakerState, Snapshot};

use super::fields::{Field, write_json};

/// The condition of a breaker, the most severe first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Condition {
    /// Calls are rejected.
    Open,
    /// Calls go through, and the oldest in flight has reached `hung_call`.
    Hung,
    /// Only trial calls go through.
    HalfOpen,
    /// A share of the calls goes through after a recovery.
    Ramping,
    /// An operator has forced the circuit open.
    ForcedOpen,
    /// The breaker only observes: all calls go through, whatever its state.
    Observing,
    /// An operator has disabled the breaker: all calls go through.
    Disabled,
    /// Calls go through.
    Closed,
}

impl Condition {
    pub(crate) const ALL: [Self; 8] = [
        Self::Open,
        Self::Hung,
        Self::HalfOpen,
        Self::Ramping,
        Self::ForcedOpen,
        Self::Observing,
        Self::Disabled,
        Self::Closed,
    ];

    /// Returns the condition of a breaker whose calls count as hung after `hung_call`.
    pub(crate) fn new(snapshot: &Snapshot, admitted_share: f64, hung_call: Option<Duration>) -> Self {
        let is_hung = || snapshot.oldest_in_flight.zip(hung_call).is_some_and(|(oldest, limit)| oldest >= limit);
        match snapshot.state {
            BreakerState::Disabled => Self::Disabled,
            _ if snapshot.config.observe_only => Self::Observing,
            BreakerState::Open => Self::Open,
            BreakerState::HalfOpen => Self::HalfOpen,
            BreakerState::ForcedOpen => Self::ForcedOpen,
            _ if is_hung() => Self::Hung,
            _ if admitted_share < 1.0 => Self::Ramping,
            _ => Self::Closed,
        }
    }

    /// Returns true if this condition, or the state of the breaker, is one of the names in a filter; also for an empty filter.
    pub(crate) fn is_one_of(self, names: &[Self], state: BreakerState) -> bool {
        names.is_empty() || names.iter().any(|name| *name == self || name.name() == state_name(state))
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Hung => "hung",
            Self::HalfOpen => "half-open",
            Self::Ramping => "ramping",
            Self::ForcedOpen => "forced-open",
            Self::Observing => "observing",
            Self::Disabled => "disabled",
            Self::Closed => "closed",
        }
    }
}

impl Field for Condition {
    fn is_default(&self) -> bool {
        false
    }

    fn write(&self, out: &mut Vec<u8>) {
        write_json(out, self.name());
    }
}

/// Returns the name of a state.
pub(crate) const fn state_name(state: BreakerState) -> &'static str {
    match state {
        BreakerState::Closed => "closed",
        BreakerState::Open => "open",
        BreakerState::HalfOpen => "half-open",
        BreakerState::ForcedOpen => "forced-open",
        _ => "disabled",
    }
}

/// The number of states.
pub(crate) const STATES: usize = 5;

/// Returns the index of a state among closed, open, half-open, forced open and disabled.
pub(crate) const fn state_index(state: BreakerState) -> usize {
    match state {
        BreakerState::Closed => 0,
        BreakerState::Open => 1,
        BreakerState::HalfOpen => 2,
        BreakerState::ForcedOpen => 3,
        _ => 4,
    }
}

/// The number of breakers and keys in each condition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts([u64; Condition::ALL.len()]);

impl Counts {
    pub(crate) fn add(&mut self, condition: Condition) {
        self.0[condition as usize] += 1;
    }

    pub(crate) fn add_all(&mut self, other: &Self) {
        for (count, other) in self.0.iter_mut().zip(other.0) {
            *count += other;
        }
    }
}

impl Serialize for Counts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (condition, count) in Condition::ALL.iter().zip(self.0) {
            map.serialize_entry(condition.name(), &count)?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_numbered_and_counted_in_their_order() {
        assert!(Condition::ALL.iter().enumerate().all(|(index, condition)| *condition as usize == index));
        let mut counts = Counts::default();
        for condition in [Condition::Open, Condition::Closed, Condition::Closed] {
            counts.add(condition);
        }
        let mut sums = counts;
        sums.add_all(&counts);
        assert_eq!(
            serde_json::to_string(&sums).unwrap_or_default(),
            r#"{"open":2,"hung":0,"half-open":0,"ramping":0,"forced-open":0,"observing":0,"disabled":0,"closed":4}"#
        );
    }

    #[test]
    fn names_of_states_are_those_of_the_library() {
        use BreakerState::{Closed, Disabled, ForcedOpen, HalfOpen, Open};
        for (index, state) in [Closed, Open, HalfOpen, ForcedOpen, Disabled].into_iter().enumerate() {
            assert_eq!((state_name(state), state_index(state)), (state.to_string().as_str(), index));
        }
    }
}
