//! The steps that come from outside: an operator's, another instance's, those of new settings and of another clock.

use super::{Circuit, PackedReason, Phase, flags, fresh, layout::MAX_FAILED};
use crate::{breaker::parameters::Parameters, clock::Moment};

impl Circuit {
    /// Opens the circuit because someone else says so: for its recovery timeout, or until that moment; then trial calls decide.
    /// The failed recoveries are at least `failed`. What an operator holds stays as it is, until the hold is over.
    ///
    /// To rest for another time is no transition.
    pub(crate) fn open(self, until: Option<Moment>, failed: u8, now: Moment) -> Option<Self> {
        let (own, is_open) = match self.phase() {
            Phase::Closed { .. } => (0, false),
            Phase::HalfOpen { failed, .. } => (failed, false),
            Phase::Open { failed, .. } | Phase::OpenUntil { failed, .. } => (failed, true),
            Phase::ForcedOpen { until } | Phase::Disabled { until } if is_over(until, now) => (0, false),
            Phase::ForcedOpen { .. } | Phase::Disabled { .. } => return None,
        };
        let failed = own.max(failed).min(MAX_FAILED);
        let phase = match until {
            Some(until) => Phase::OpenUntil { failed, until: until.as_micros() },
            None => Phase::Open { failed, since: now.as_micros() },
        };
        if is_open { self.changed(phase) } else { Some(self.next(phase, PackedReason::INTERVENTION)) }
    }

    /// Closes an open or half-open circuit as a recovery does, because someone else says so. What an operator holds stays as it
    /// is, until the hold is over; forced open, it is half-open then.
    pub(crate) fn close(self, rules: &Parameters, now: impl Fn() -> Moment) -> Option<Self> {
        match self.phase() {
            Phase::Open { .. } | Phase::OpenUntil { .. } | Phase::HalfOpen { .. } => Some(self.recovered(rules, now)),
            Phase::ForcedOpen { until } if is_over(until, now()) => Some(self.recovered(rules, now)),
            _ => None,
        }
    }

    /// Opens the circuit until someone says otherwise, or until that moment.
    pub(crate) fn force_open(self, until: Option<Moment>) -> Option<Self> {
        self.hold(Phase::ForcedOpen { until: until.map(Moment::as_micros) })
    }

    /// Admits every call and counts nothing towards a state until someone says otherwise, or until that moment.
    pub(crate) fn disable(self, until: Option<Moment>) -> Option<Self> {
        self.hold(Phase::Disabled { until: until.map(Moment::as_micros) })
    }

    /// Closes the circuit with nothing counted. Calls under way belong to the past, also when it was closed already.
    pub(crate) const fn reset(self, rules: &Parameters) -> Self {
        self.next(fresh(rules), PackedReason::NONE)
    }

    /// Takes in that the settings have changed; `None` if that makes no difference now.
    pub(crate) fn apply_settings(self, rules: &Parameters, now: impl Fn() -> Moment) -> Option<Self> {
        match self.phase() {
            Phase::Closed { failures, ramp, .. } => self.changed(Phase::Closed { flags: flags(rules), failures, ramp }),
            // Fewer successes are needed now: these are enough, and no further trial call would be admitted.
            Phase::HalfOpen { succeeded, .. } if succeeded >= rules.trials => Some(self.recovered(rules, now)),
            _ => None,
        }
    }

    /// The same by another clock, which says that it is `now` and is behind by `ahead` microseconds: what has begun begins anew, and
    /// what ends at some moment is as far from its end as it was. No transition.
    pub(crate) fn by_another_clock(self, now: Moment, ahead: u64) -> Self {
        let (now, sooner) = (now.as_micros(), |moment: u64| moment.saturating_sub(ahead));
        self.with(match self.phase() {
            Phase::Closed { flags, failures, ramp } => Phase::Closed { flags, failures, ramp: ramp.map(|_| now) },
            Phase::Open { failed, .. } => Phase::Open { failed, since: now },
            Phase::OpenUntil { failed, until } => Phase::OpenUntil { failed, until: sooner(until) },
            Phase::HalfOpen { rounds, taken, succeeded, failed, .. } => {
                Phase::HalfOpen { rounds, taken, succeeded, failed, oldest: now }
            }
            Phase::ForcedOpen { until } => Phase::ForcedOpen { until: until.map(sooner) },
            Phase::Disabled { until } => Phase::Disabled { until: until.map(sooner) },
        })
    }

    /// A state that an operator holds. To hold it for another time is no transition.
    fn hold(self, phase: Phase) -> Option<Self> {
        if self.with(phase).word().state() == self.word().state() {
            self.changed(phase)
        } else {
            Some(self.next(phase, PackedReason::NONE))
        }
    }

    /// Another phase of the same epoch; `None` if it is the same.
    fn changed(self, phase: Phase) -> Option<Self> {
        let changed = self.with(phase);
        (changed != self).then_some(changed)
    }
}

/// True if the hold has expired, which the next call would find.
fn is_over(until: Option<u64>, now: Moment) -> bool {
    until.is_some_and(|until| until <= now.as_micros())
}
