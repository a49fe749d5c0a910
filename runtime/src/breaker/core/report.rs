//! What whoever looks at a breaker is told.

use std::{
    sync::atomic::Ordering,
    time::{Duration, SystemTime},
};

#[cfg(any(feature = "metrics", feature = "prometheus-client"))]
use super::Core;
use super::View;
#[cfg(any(feature = "metrics", feature = "prometheus-client"))]
use crate::breaker::history::{History, Tally, index};
use crate::{
    breaker::{
        BreakerState, Incident, Limits, OpenReason, Snapshot,
        cause::Why,
        rules::{Policy, Rates},
        snapshot::WindowSnapshot,
        window::Counts,
        word::Word,
    },
    clock, events, key,
    totals::Count,
};

#[cfg(any(feature = "metrics", feature = "prometheus-client"))]
impl Core {
    /// How often and how long it was in each state, until now.
    pub(crate) fn tally(&self) -> Tally {
        // No transition is under way meanwhile.
        let at_rest = events::hub();
        let mut tally = self.history.get().map(History::tally).unwrap_or_default();
        let stay = clock::now().since(self.since());
        tally.spent[index(self.state())] += clock::micros(stay);
        drop(at_rest);
        tally
    }
}

impl View<'_> {
    /// How much longer calls are rejected; `None` if they aren't, or if only an operator knows.
    pub(crate) fn open_for(self) -> Option<Duration> {
        let word = self.core.word.load();
        let rules = self.settings.rules();
        let is_open = matches!(word.state(), BreakerState::Open | BreakerState::ForcedOpen) && !rules.observe_only;
        let left = if is_open { self.time_left(word, &rules, clock::now()) } else { None };
        left.map(Duration::from_micros)
    }

    pub(crate) fn snapshot(self) -> Snapshot {
        let rules = self.settings.rules();
        loop {
            let now = clock::now();
            let (word, transitions, changed_at, cause, note) = {
                // No transition is under way meanwhile, and what the last one published is there.
                let _at_rest = events::hub();
                let (word, core) = (self.core.word.load(), self.core);
                // ORDERING: Relaxed: written under the same lock.
                let (transitions, changed_at) =
                    (core.transitions.load(Ordering::Relaxed), core.changed_at.load(Ordering::Relaxed));
                (word, transitions, changed_at, core.cause.of(word.epoch()), core.note(word.epoch()))
            };
            let (window, consecutive_failures) = match rules.policy {
                Policy::Rates(rates) => (Some(self.window(&rates, word)), 0),
                Policy::Consecutive { .. } => (None, word.failures()),
            };
            let sums = self.core.totals.sums();
            if self.core.word.load().epoch() != word.epoch() {
                continue;
            }
            let state = word.state();
            let left = self.time_left(word, &rules, now).map(Duration::from_micros);
            let age = (changed_at != 0).then(|| Duration::from_micros(now.as_micros().saturating_sub(changed_at)));
            let open_reason = match state {
                BreakerState::Open if word.failed_recoveries() > 0 => Some(OpenReason::TrialFailed),
                BreakerState::Open => cause.map(Why::reason),
                BreakerState::ForcedOpen => Some(OpenReason::Forced),
                _ => None,
            };
            let (key, overflow) = key::parts(self.core.key());
            return Snapshot {
                name: self.settings.name,
                key,
                overflow,
                state,
                consecutive_failures,
                window,
                trial_successes: u32::from(word.trial_successes()),
                successes: sums.get(Count::Success),
                failures: sums.get(Count::Failure),
                neutral: sums.get(Count::Neutral),
                rejections: sums.get(Count::Rejection),
                transitions: u64::from(transitions),
                last_transition: age.and_then(|age| SystemTime::now().checked_sub(age)),
                open_for: if state == BreakerState::Disabled { None } else { left },
                disabled_for: if state == BreakerState::Disabled { left } else { None },
                open_reason,
                failed_recoveries: u32::from(word.failed_recoveries()),
                operator_reason: note,
                limits: Limits::of(&rules),
            };
        }
    }

    pub(crate) fn recent(self) -> Vec<Incident> {
        self.core.history.get().map_or_else(Vec::new, |history| history.recent(clock::now()))
    }

    /// What is in the window. Only a closed circuit fills it.
    fn window(self, rates: &Rates, word: Word) -> WindowSnapshot {
        let closed = word.state() == BreakerState::Closed;
        let counts = match self.core.window.get() {
            Some(window) if closed => window.counts(word.epoch(), rates.span, clock::now_micros),
            _ => Counts::default(),
        };
        WindowSnapshot { calls: counts.calls, failures: counts.failed, slow: counts.slow }
    }
}
