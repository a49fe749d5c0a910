//! Inspection of a breaker: state, snapshot, history and remaining time. Nothing here changes the breaker.

use std::{
    sync::atomic::Ordering,
    time::{Duration, SystemTime},
};

use super::BreakerRef;
use crate::{
    BreakerState, OpenReason,
    breaker::{
        HistoryEntry, Outage, Snapshot, SnapshotConfig,
        history::{Details, Spent, before},
        outage::StoredOutage,
        parameters::RatePolicy,
        snapshot::{LastFailure, WindowSnapshot},
        state::{Circuit, State},
        window::Counts,
    },
    clock::{self, Moment},
    events,
    keyed_store::key,
    totals::Count,
};
#[cfg(any(feature = "metrics", feature = "prometheus-client"))]
use crate::{
    breaker::history::{History, Tally},
    totals::Sums,
};

/// The numbers of a breaker of which metrics are made.
#[cfg(any(feature = "metrics", feature = "prometheus-client"))]
#[derive(Debug)]
pub(crate) struct Measurement {
    pub(crate) sums: Sums,
    pub(crate) tally: Tally,
    pub(crate) state: BreakerState,
    /// The length of the outage; zero without one.
    pub(crate) outage: Duration,
    pub(crate) admitted_share: f64,
    pub(crate) observe_only: bool,
}

impl BreakerRef<'_> {
    /// The state that applies to the next call: an expired state reads as its successor.
    pub(crate) fn state(self) -> BreakerState {
        let state = self.engine.circuit.word().state();
        if matches!(state, BreakerState::Closed | BreakerState::HalfOpen) {
            return state;
        }
        let now = clock::now();
        self.rebased_circuit(now).state_at(&self.parameters(), now)
    }

    /// The numbers of which metrics are made.
    #[cfg(any(feature = "metrics", feature = "prometheus-client"))]
    pub(crate) fn measure(self) -> Measurement {
        let (parameters, now, history) = (self.parameters(), clock::now(), self.engine.history.get());
        // The lock excludes transitions.
        let lock = events::queue();
        let mut tally = history.map(History::tally).unwrap_or_default();
        tally.add(self.spent(self.engine.circuit.load(), now));
        let since = history.and_then(|history| history.details().outage.as_ref().map(|outage| outage.since));
        let circuit = self.rebased_circuit(now);
        drop(lock);
        Measurement {
            sums: self.engine.sums(),
            tally,
            state: circuit.state_at(&parameters, now),
            outage: since.map_or(Duration::ZERO, |since| now.since(since)),
            admitted_share: circuit.admitted_share(&parameters, now),
            observe_only: parameters.observe_only,
        }
    }

    /// The time since the last change of state, in two parts: in the stored state of `circuit`, and in its successor after the stored state
    /// expired. The caller holds the lock of transitions.
    pub(super) fn spent(self, circuit: Circuit, now: Moment) -> Spent {
        let parameters = self.parameters();
        let all = now.as_micros().saturating_sub(self.engine.since().as_micros());
        let expired =
            circuit.expires_at(&parameters).map_or(0, |expires_at| now.as_micros().saturating_sub(expires_at)).min(all);
        [(circuit.word().state(), all - expired), (circuit.state_at(&parameters, now), expired)]
    }

    /// The time for which an open or forced open circuit still rejects calls. `None` in other states, without an expiry, and with
    /// `observe_only`.
    pub(crate) fn open_for(self) -> Option<Duration> {
        // Asked after each failure, most of which leave the circuit closed.
        if !is_open(self.engine.circuit.word()) {
            return None;
        }
        let (now, parameters) = (clock::now(), self.parameters());
        let circuit = self.rebased_circuit(now);
        let is_rejecting = is_open(circuit.word()) && !parameters.observe_only;
        let left = if is_rejecting { circuit.time_left(&parameters, now) } else { None };
        left.map(Duration::from_micros)
    }

    pub(crate) fn snapshot(self) -> Snapshot {
        let parameters = self.parameters();
        loop {
            let now = clock::now();
            let (circuit, transitions, changed_at, details) = {
                // The lock excludes transitions, so that everything that the last one published is visible.
                let _lock = events::queue();
                let (circuit, engine) = (self.rebased_circuit(now), self.engine);
                match engine.history.get() {
                    // ORDERING: Relaxed: all writes are under the same lock.
                    Some(history) => {
                        let transitions = history.transitions.load(Ordering::Relaxed);
                        (circuit, transitions, engine.changed_at(), history.details().clone())
                    }
                    None => (circuit, 0, 0, Details::default()),
                }
            };
            let word = circuit.word();
            let window = parameters.policy.rates().map(|rates| self.window(rates, word));
            let consecutive_failures = if parameters.policy.threshold().is_some() { word.failures() } else { 0 };
            let (sums, survey) = (self.engine.sums(), self.survey());
            if self.engine.circuit.word().epoch() != word.epoch() {
                continue;
            }
            let state = circuit.state_at(&parameters, now);
            let left = circuit.time_left(&parameters, now).map(Duration::from_micros);
            let age = (changed_at != 0).then(|| Duration::from_micros(now.as_micros().saturating_sub(changed_at)));
            let wall = SystemTime::now();
            let (key, overflow) = key::parts(self.engine.key());
            let operator_reason = details.operator_reason(word.epoch());
            let outage = details.outage.map(|outage| outage_at(outage, circuit, now, wall));
            let failure = details.failure;
            let last_failure = failure.map(|(text, at)| LastFailure { text, at: before(wall, now.since(at)) });
            return Snapshot {
                name: self.settings.name,
                key,
                overflow,
                state,
                entered: word.state(),
                admitted_share: circuit.admitted_share(&parameters, now),
                consecutive_failures,
                window,
                trial_successes: u32::from(word.trial_successes()),
                trial_failures: u32::from(word.trial_failures()),
                trials_in_flight: u32::from(word.trials_in_flight()),
                successes: sums.get(Count::Success),
                failures: sums.get(Count::Failure),
                ignored: sums.get(Count::Ignored),
                cancelled: sums.get(Count::Cancelled),
                rejections: sums.get(Count::Rejection),
                observed_rejections: sums.observed_rejections(),
                hung: self.hung(),
                in_flight: survey.map(|survey| survey.in_flight),
                durations: if self.engine.key().is_none() { self.settings.durations() } else { None },
                hung_in_flight: survey.map(|survey| survey.hung),
                oldest_in_flight: survey.and_then(|survey| survey.oldest).map(Duration::from_micros),
                transitions,
                last_transition: age.and_then(|age| wall.checked_sub(age)),
                open_for: if is_open(word) { left } else { None },
                disabled_for: if state == BreakerState::Disabled { left } else { None },
                open_reason: open_reason(circuit, state),
                failed_recoveries: u32::from(circuit.failed_recoveries()),
                operator_reason,
                outage,
                last_failure,
                config: SnapshotConfig::new(&parameters),
            };
        }
    }

    pub(crate) fn recent(self) -> Vec<HistoryEntry> {
        self.engine.history.get().map_or_else(Vec::new, |history| history.recent(clock::now()))
    }

    /// The counts of the window; zero unless the circuit is closed, because only a closed circuit records calls in it.
    fn window(self, rates: &RatePolicy, word: State) -> WindowSnapshot {
        let closed = word.state() == BreakerState::Closed;
        let counts = match self.engine.window.get() {
            Some(window) if closed => window.counts(word.epoch(), rates.window, clock::now_micros),
            _ => Counts::default(),
        };
        WindowSnapshot { calls: counts.calls, failures: counts.failed, slow: counts.slow }
    }
}

/// The outage of `circuit`, as a snapshot at `now` contains it.
fn outage_at(stored: StoredOutage, circuit: Circuit, now: Moment, wall: SystemTime) -> Outage {
    let (lasted, failed_recoveries) = (now.since(stored.since), stored.failed_recoveries(circuit));
    let StoredOutage { reason, error, .. } = stored;
    Outage { since: before(wall, lasted), reason, failed_recoveries, error, lasted }
}

/// Returns true if the stored state is open or forced open, even if it has expired.
const fn is_open(word: State) -> bool {
    matches!(word.state(), BreakerState::Open | BreakerState::ForcedOpen)
}

/// The reason for which the circuit is open or forced open. An open circuit has it until a trial call is made, a forced open one until the
/// override expires.
fn open_reason(circuit: Circuit, state: BreakerState) -> Option<OpenReason> {
    match circuit.word().state() {
        BreakerState::Open => Some(circuit.reported_reason().reason()),
        BreakerState::ForcedOpen if state == BreakerState::ForcedOpen => Some(OpenReason::Forced),
        _ => None,
    }
}
