//! The steps that are not caused by a call: manual overrides, changed settings, a change of the clock.

use super::{Circuit, Phase, flags, initial_phase, layout::MAX_FAILED};
use crate::{breaker::parameters::Parameters, clock::Moment, errors::PackedReason};

impl Circuit {
    /// Opens the circuit, for its recovery timeout or until the given moment, with at least `failed` failed recoveries.
    ///
    /// A circuit that is forced open or disabled does not change until its override expires. A circuit that is already open gets the new
    /// end without a transition.
    pub(crate) fn open(self, until: Option<Moment>, failed: u8, now: Moment) -> Option<Self> {
        let (own, is_open) = match self.phase() {
            Phase::Closed { .. } => (0, false),
            Phase::HalfOpen { failed, .. } => (failed, false),
            Phase::Open { failed, .. } | Phase::OpenUntil { failed, .. } => (failed, true),
            Phase::ForcedOpen { until } | Phase::Disabled { until } if has_expired(until, now) => (0, false),
            Phase::ForcedOpen { .. } | Phase::Disabled { .. } => return None,
        };
        let failed = own.max(failed).min(MAX_FAILED);
        let phase = match until {
            Some(until) => Phase::OpenUntil { failed, until: until.as_micros() },
            None => Phase::Open { failed, since: now.as_micros() },
        };
        if is_open { self.changed(phase) } else { Some(self.next_epoch(phase, PackedReason::OVERRIDE)) }
    }

    /// Closes an open or half-open circuit as a recovery does.
    ///
    /// A circuit that is forced open or disabled does not change until its override expires.
    pub(crate) fn close(self, parameters: &Parameters, now: impl Fn() -> Moment) -> Option<Self> {
        match self.phase() {
            Phase::Open { .. } | Phase::OpenUntil { .. } | Phase::HalfOpen { .. } => {
                Some(self.recovered(parameters, now))
            }
            Phase::ForcedOpen { until } if has_expired(until, now()) => Some(self.recovered(parameters, now)),
            _ => None,
        }
    }

    /// Forces the circuit open, until the given moment or without an expiry.
    pub(crate) fn force_open(self, until: Option<Moment>) -> Option<Self> {
        self.enter_override(Phase::ForcedOpen { until: until.map(Moment::as_micros) })
    }

    /// Disables the circuit, until the given moment or without an expiry.
    pub(crate) fn disable(self, until: Option<Moment>) -> Option<Self> {
        self.enter_override(Phase::Disabled { until: until.map(Moment::as_micros) })
    }

    /// Closes the circuit with all counts at 0, in a new epoch, so that the results of calls in flight change nothing.
    pub(crate) const fn reset(self, parameters: &Parameters) -> Self {
        self.next_epoch(initial_phase(parameters), PackedReason::NONE)
    }

    /// Applies changed settings; `None` if the circuit does not change.
    pub(crate) fn apply_settings(self, parameters: &Parameters, now: impl Fn() -> Moment) -> Option<Self> {
        match self.phase() {
            Phase::Closed { failures, ramp, .. } => {
                self.changed(Phase::Closed { flags: flags(parameters), failures, ramp })
            }
            // Enough successes are counted for the new settings. No further trial call would be admitted, so the circuit closes here.
            Phase::HalfOpen { succeeded, .. } if succeeded >= parameters.needed_successes() => {
                Some(self.recovered(parameters, now))
            }
            // Too many failures are counted for the new settings: the circuit could not close.
            Phase::HalfOpen { failures, failed, .. } if failures > parameters.tolerated_failures() => {
                Some(self.opened(now(), failed.saturating_add(1).min(MAX_FAILED), PackedReason::TRIAL_FAILED))
            }
            _ => None,
        }
    }

    /// Rebases the moments to a different clock, which reads `now`; the previous clock is ahead of it by `ahead` microseconds. Starts
    /// become `now`, and ends keep their remaining time. This is not a transition.
    pub(crate) fn rebase(self, now: Moment, ahead: u64) -> Self {
        let (now, earlier) = (now.as_micros(), |moment: u64| moment.saturating_sub(ahead));
        self.with_phase(match self.phase() {
            Phase::Closed { flags, failures, ramp } => Phase::Closed { flags, failures, ramp: ramp.map(|_| now) },
            Phase::Open { failed, .. } => Phase::Open { failed, since: now },
            Phase::OpenUntil { failed, until } => Phase::OpenUntil { failed, until: earlier(until) },
            Phase::HalfOpen { rounds, taken, succeeded, failures, failed, .. } => {
                Phase::HalfOpen { rounds, taken, succeeded, failures, failed, oldest: now }
            }
            Phase::ForcedOpen { until } => Phase::ForcedOpen { until: until.map(earlier) },
            Phase::Disabled { until } => Phase::Disabled { until: until.map(earlier) },
        })
    }

    /// Enters an overridden state. A new expiry for the current state is not a transition.
    fn enter_override(self, phase: Phase) -> Option<Self> {
        if self.with_phase(phase).word().state() == self.word().state() {
            self.changed(phase)
        } else {
            Some(self.next_epoch(phase, PackedReason::NONE))
        }
    }

    /// The circuit in another phase of the same epoch; `None` if nothing changes.
    fn changed(self, phase: Phase) -> Option<Self> {
        let changed = self.with_phase(phase);
        (changed != self).then_some(changed)
    }
}

/// Returns true if the override has expired.
fn has_expired(until: Option<u64>, now: Moment) -> bool {
    until.is_some_and(|until| until <= now.as_micros())
}
