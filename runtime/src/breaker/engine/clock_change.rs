//! A change of the clock, for example between tests that share a breaker: see [`clock::is_different_clock`].
//!
//! The stored moments are rebased to the new clock. Otherwise they would be in its future, and an open circuit would stay open for too
//! long.

use std::sync::atomic::Ordering;

use super::{BreakerRef, Engine};
use crate::{
    breaker::state::{Circuit, atomic::TransitionObserver},
    clock::{self, Moment},
    events,
};

impl Engine {
    /// Stores `now` as the latest reading of the clock to which the stored moments belong.
    pub(super) fn stamp_clock(&self, now: Moment) {
        // ORDERING: Relaxed: a stale value only delays or advances the detection of another clock.
        self.history().stamped_at.store(now.as_micros(), Ordering::Relaxed);
    }

    /// The microseconds by which the clock of the stored moments is ahead of `now`; `None` if `now` is from the same clock.
    fn clock_skew(&self, now: Moment) -> Option<u64> {
        // ORDERING: Relaxed, as above.
        let (stamped_at, now) = (self.history.get()?.stamped_at.load(Ordering::Relaxed), now.as_micros());
        clock::is_different_clock(now, stamped_at, clock::now_micros).then(|| stamped_at - now)
    }
}

impl BreakerRef<'_> {
    /// Rebases the stored moments if `now` is from a different clock: starts become `now`, ends keep their remaining time.
    #[inline]
    pub(super) fn sync_clock(self, now: Moment) {
        if self.engine.clock_skew(now).is_some() {
            self.rebase(now);
        }
    }

    /// The circuit with its moments rebased if `now` is from a different clock. The stored moments do not change.
    pub(super) fn rebased_circuit(self, now: Moment) -> Circuit {
        let circuit = self.engine.circuit.load();
        self.engine.clock_skew(now).map_or(circuit, |ahead| circuit.rebase(now, ahead))
    }

    #[cold]
    fn rebase(self, now: Moment) {
        // The lock excludes transitions, and another rebase.
        let _lock = events::queue();
        let engine = self.engine;
        let Some(ahead) = engine.clock_skew(now) else { return };
        engine.stamp_clock(now);
        // ORDERING: Relaxed: all writes are under the same lock.
        engine.history().changed_at.fetch_min(now.as_micros(), Ordering::Relaxed);
        engine.history().details().rebase(now);
        engine.circuit.step(&LockHeld, |circuit| {
            let rebased = circuit.rebase(now, ahead);
            (rebased != circuit).then_some(rebased)
        });
    }
}

/// The observer for a caller that already holds the lock, and makes no transition.
struct LockHeld;

impl TransitionObserver for LockHeld {
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
    fn a_stale_reading_is_not_a_different_clock() {
        let settings = BreakerSettings::new("stale", BreakerConfig::new().failure_threshold(1));
        let engine = Engine::new(&settings.parameters(), Totals::sharded(), None);
        let breaker = BreakerRef::new(&engine, &settings);
        let admission = breaker.admit().expect("closed");
        breaker.fail(admission, false, None);
        let (open, stamped_at) = (engine.circuit.load(), engine.since());
        // Read by a thread that was then suspended for an hour.
        let stale = Moment::from_micros(stamped_at.as_micros() - 3_600_000_000);
        breaker.sync_clock(stale);
        assert_eq!((engine.circuit.load(), engine.since()), (open, stamped_at));
        assert_eq!(engine.clock_skew(stale), None);
    }
}
