//! A breaker and the clock that it goes by, which another may come after: see [`clock::is_different_clock`].

use std::sync::atomic::Ordering;

use super::{BreakerRef, Core};
use crate::{
    breaker::state::{Circuit, atomic::TransitionObserver},
    clock::{self, Moment},
    events,
};

impl Core {
    /// Notes that the state goes by a moment of the clock that says `now`.
    pub(super) fn stamp_clock(&self, now: Moment) {
        // ORDERING: Relaxed: what is seen too early or too late only moves the moment at which another clock is noticed.
        self.history().dated_at.store(now.as_micros(), Ordering::Relaxed);
    }

    /// How far the clock that says `now` is behind what the word goes by, if it is another.
    fn ahead_of(&self, now: Moment) -> Option<u64> {
        // ORDERING: Relaxed, as above.
        let (dated_at, now) = (self.history.get()?.dated_at.load(Ordering::Relaxed), now.as_micros());
        clock::is_different_clock(now, dated_at, clock::now_micros).then(|| dated_at - now)
    }
}

impl BreakerRef<'_> {
    /// Goes by the clock that says `now`. If that is another, what has begun begins anew, and what ends at some moment is as far from
    /// its end as it was.
    #[inline]
    pub(super) fn sync_clock(self, now: Moment) {
        if self.core.ahead_of(now).is_some() {
            self.rebase(now);
        }
    }

    /// The circuit by the clock that says `now`. Looking changes nothing, by whatever clock.
    pub(super) fn circuit_by(self, now: Moment) -> Circuit {
        let circuit = self.core.circuit.load();
        self.core.ahead_of(now).map_or(circuit, |ahead| circuit.rebase(now, ahead))
    }

    #[cold]
    fn rebase(self, now: Moment) {
        // No transition is under way meanwhile, and nobody else takes over.
        let _at_rest = events::queue();
        let core = self.core;
        let Some(ahead) = core.ahead_of(now) else { return };
        core.stamp_clock(now);
        // ORDERING: Relaxed: written under the same lock.
        core.history().changed_at.fetch_min(now.as_micros(), Ordering::Relaxed);
        core.circuit.step(&AtRest, |circuit| {
            let moved = circuit.rebase(now, ahead);
            (moved != circuit).then_some(moved)
        });
    }
}

/// Changes moments, by someone who holds the lock already.
struct AtRest;

impl TransitionObserver for AtRest {
    fn change(&self, _: Circuit, _: Circuit, swap: &mut dyn FnMut() -> bool) -> bool {
        swap()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        breaker::{BreakerConfig, BreakerSettings},
        totals::Totals,
    };

    #[test]
    fn a_thread_that_is_late_is_no_other_clock() {
        let settings = BreakerSettings::new("late", BreakerConfig::new().failure_threshold(1));
        let core = Core::new(&settings.rules(), Totals::sharded(), None);
        let breaker = BreakerRef::new(&core, &settings);
        let admission = breaker.admit().expect("closed");
        breaker.fail(admission, false);
        let (open, dated_at) = (core.circuit.load(), core.since());
        // It was stopped for an hour after it had read the clock.
        let late = Moment::from_micros(dated_at.as_micros() - 3_600_000_000);
        breaker.sync_clock(late);
        assert_eq!((core.circuit.load(), core.since()), (open, dated_at));
        assert_eq!(core.ahead_of(late), None);
    }
}
