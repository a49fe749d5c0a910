//! What whoever looks at a breaker is told.

use std::{
    sync::atomic::Ordering,
    time::{Duration, SystemTime},
};

use super::BreakerRef;
#[cfg(any(feature = "metrics", feature = "prometheus-client"))]
use crate::breaker::history::{History, Tally};
use crate::{
    BreakerState, OpenReason,
    breaker::{
        HistoryEntry, Snapshot, SnapshotConfig,
        history::Spent,
        parameters::{Rates, TripPolicy},
        snapshot::WindowSnapshot,
        state::{Circuit, State},
        window::Counts,
    },
    clock::{self, Moment},
    events, key,
    totals::Count,
};

impl BreakerRef<'_> {
    /// The state that the next call finds.
    pub(crate) fn state(self) -> BreakerState {
        let state = self.core.circuit.word().state();
        if matches!(state, BreakerState::Closed | BreakerState::HalfOpen) {
            return state;
        }
        let now = clock::now();
        self.circuit_by(now).state_at(&self.settings.rules(), now)
    }

    /// How often and how long it was in each state, until now.
    #[cfg(any(feature = "metrics", feature = "prometheus-client"))]
    pub(crate) fn tally(self) -> Tally {
        // No transition is under way meanwhile.
        let at_rest = events::queue();
        let mut tally = self.core.history.get().map(History::tally).unwrap_or_default();
        tally.add(self.spent(self.core.circuit.load(), clock::now()));
        drop(at_rest);
        tally
    }

    /// How long it has been in the state of `circuit`, and how long that has been over by itself. No transition is under way
    /// meanwhile.
    pub(super) fn spent(self, circuit: Circuit, now: Moment) -> Spent {
        let rules = self.settings.rules();
        let all = now.as_micros().saturating_sub(self.core.since().as_micros());
        let over = circuit.ends_at(&rules).map_or(0, |ends_at| now.as_micros().saturating_sub(ends_at)).min(all);
        [(circuit.word().state(), all - over), (circuit.state_at(&rules, now), over)]
    }

    /// How much longer calls are rejected; `None` if they aren't, or if only an operator knows.
    pub(crate) fn open_for(self) -> Option<Duration> {
        let (now, rules) = (clock::now(), self.settings.rules());
        let circuit = self.circuit_by(now);
        let is_open = rejects(circuit.word()) && !rules.observe_only;
        let left = if is_open { circuit.time_left(&rules, now) } else { None };
        left.map(Duration::from_micros)
    }

    pub(crate) fn snapshot(self) -> Snapshot {
        let rules = self.settings.rules();
        loop {
            let now = clock::now();
            let (circuit, transitions, changed_at, note) = {
                // No transition is under way meanwhile, and what the last one published is there.
                let _at_rest = events::queue();
                let (circuit, core) = (self.circuit_by(now), self.core);
                // ORDERING: Relaxed: written under the same lock.
                let transitions = core.history.get().map_or(0, |history| history.transitions.load(Ordering::Relaxed));
                (circuit, transitions, core.changed_at(), core.note(circuit.word().epoch()))
            };
            let word = circuit.word();
            let (window, consecutive_failures) = match rules.policy {
                TripPolicy::Rates(rates) => (Some(self.window(&rates, word)), 0),
                TripPolicy::Consecutive { .. } => (None, word.failures()),
            };
            let sums = self.core.totals.sums();
            if self.core.circuit.word().epoch() != word.epoch() {
                continue;
            }
            let state = circuit.state_at(&rules, now);
            let left = circuit.time_left(&rules, now).map(Duration::from_micros);
            let age = (changed_at != 0).then(|| Duration::from_micros(now.as_micros().saturating_sub(changed_at)));
            let (key, overflow) = key::parts(self.core.key());
            return Snapshot {
                name: self.settings.name,
                key,
                overflow,
                state,
                entered: word.state(),
                consecutive_failures,
                window,
                trial_successes: u32::from(word.trial_successes()),
                successes: sums.get(Count::Success),
                failures: sums.get(Count::Failure),
                neutral: sums.get(Count::Neutral),
                rejections: sums.get(Count::Rejection),
                transitions,
                last_transition: age.and_then(|age| SystemTime::now().checked_sub(age)),
                open_for: if rejects(word) { left } else { None },
                disabled_for: if state == BreakerState::Disabled { left } else { None },
                open_reason: open_reason(circuit, state),
                failed_recoveries: u32::from(word.failed_recoveries()),
                operator_reason: note,
                config: SnapshotConfig::new(&rules),
            };
        }
    }

    pub(crate) fn recent(self) -> Vec<HistoryEntry> {
        self.core.history.get().map_or_else(Vec::new, |history| history.recent(clock::now()))
    }

    /// What is in the window. Only a closed circuit fills it.
    fn window(self, rates: &Rates, word: State) -> WindowSnapshot {
        let closed = word.state() == BreakerState::Closed;
        let counts = match self.core.window.get() {
            Some(window) if closed => window.counts(word.epoch(), rates.span, clock::now_micros),
            _ => Counts::default(),
        };
        WindowSnapshot { calls: counts.calls, failures: counts.failed, slow: counts.slow }
    }
}

/// Whether calls are rejected until some moment, which may have come.
const fn rejects(word: State) -> bool {
    matches!(word.state(), BreakerState::Open | BreakerState::ForcedOpen)
}

/// Why it was opened, also once its next call is a trial; but not after an operator's hold has expired.
fn open_reason(circuit: Circuit, state: BreakerState) -> Option<OpenReason> {
    match circuit.word().state() {
        BreakerState::Open => Some(circuit.reported_reason().reason()),
        BreakerState::ForcedOpen if state == BreakerState::ForcedOpen => Some(OpenReason::Forced),
        _ => None,
    }
}
