//! Calls in flight, and the calls among them that hang.

use std::time::Duration;

use super::BreakerRef;
use crate::{
    BreakerState, OpenReason,
    breaker::{
        in_flight::{End, InFlight, Survey, Tick},
        parameters::Timing,
        state::{Admission, TICK_MASK},
        window::Record,
    },
    clock::{self, Moment},
    events,
};

impl Timing {
    /// Reads the clock by which calls are timed.
    #[inline]
    pub(super) fn now(self) -> Moment {
        if self.is_exact { clock::now() } else { clock::coarse() }
    }

    /// The largest delay of a reading, in microseconds.
    pub(super) fn resolution(self) -> u64 {
        if self.is_exact { 0 } else { clock::resolution() }
    }
}

impl<'a> BreakerRef<'a> {
    /// Admits a call that is timed, if the circuit is closed and admits every call. `None` means that the state machine has to decide.
    #[inline]
    pub(crate) fn admit_timed(self) -> Option<Admission> {
        let admission = if self.engine.circuit.word().admits_timed() { self.start() } else { Admission::UNTIMED };
        admission.is_timed().then_some(admission)
    }

    /// The admission of a timed call; untimed if the state machine has to decide. Without an `Option`, it is returned in registers.
    #[inline(never)]
    fn start(self) -> Admission {
        let timing = self.settings.timing();
        let now = timing.now();
        if !timing.is_tracked {
            let word = self.engine.circuit.word();
            return if word.admits_timed() { word.admission().timed(now.as_micros()) } else { Admission::UNTIMED };
        }
        // The start is counted before the state is read, so that a call of an earlier epoch is never in the bucket of a later one.
        let (in_flight, tick) = self.track(timing, now);
        let word = self.engine.circuit.word();
        if word.admits_timed() {
            return word.admission().timed(now.as_micros()).tracked(tick.low_bits(TICK_MASK));
        }
        in_flight.cancel_start(tick);
        Admission::UNTIMED
    }

    /// Times a call that the state machine has admitted.
    pub(super) fn start_timed(self, admission: Admission) -> Admission {
        let timing = self.settings.timing();
        let now = timing.now();
        let timed = admission.timed(now.as_micros());
        if timing.is_tracked { timed.tracked(self.track(timing, now).1.low_bits(TICK_MASK)) } else { timed }
    }

    /// Counts the start of a call in the tick of `now`.
    #[inline]
    fn track(self, timing: Timing, now: Moment) -> (&'a InFlight, Tick) {
        let in_flight = self.engine.in_flight.get().unwrap_or_else(|| self.create_in_flight(timing, now));
        let tick = self.settled_tick(in_flight, now);
        in_flight.start(tick);
        (in_flight, tick)
    }

    /// Counts the hung calls before an admission, if calls are tracked.
    pub(super) fn count_hung(self) {
        let timing = self.settings.timing();
        if let (true, Some(in_flight)) = (timing.is_tracked, self.engine.in_flight.get()) {
            self.settled_tick(in_flight, timing.now());
        }
    }

    /// Settles the buckets that are due at `now`, and returns its tick.
    #[inline]
    fn settled_tick(self, in_flight: &InFlight, now: Moment) -> Tick {
        let tick = in_flight.tick(now.as_micros());
        if in_flight.is_settled_at(tick) { tick } else { self.settle(in_flight, now) }
    }

    #[cold]
    fn create_in_flight(self, timing: Timing, now: Moment) -> &'a InFlight {
        let hung_call = self.parameters().hung_call.unwrap_or(u64::MAX);
        let is_sharded = self.engine.totals.is_sharded();
        let create = || Box::new(InFlight::new(is_sharded, hung_call, timing.resolution(), now.as_micros()));
        let in_flight = self.engine.in_flight.get_or_init(create);
        // The settings may have changed since they were read.
        self.apply_hung_call();
        in_flight
    }

    /// Settles the buckets that are due, counts the hung calls among them, and returns the tick of `now` after that.
    #[cold]
    #[inline(never)]
    fn settle(self, in_flight: &InFlight, now: Moment) -> Tick {
        let mut tick = in_flight.tick(now.as_micros());
        if in_flight.is_behind(tick) {
            tick = self.sync_in_flight(in_flight);
        }
        if in_flight.settle_empty(tick, now.as_micros()) {
            return tick;
        }
        let (hung, admission) = {
            // The lock excludes transitions: the calls are of the epoch of the admission.
            let _lock = events::queue();
            (in_flight.settle_due(tick, now.as_micros()), self.engine.circuit.word().admission())
        };
        if hung > 0 {
            self.record_hung(hung, admission);
        }
        // The numbers of ticks change with the state.
        in_flight.tick(now.as_micros())
    }

    /// Continues with the present reading if it is behind the last settlement: the clock is a different one, for example that of another test,
    /// or the numbers of ticks have come round while the breaker was not called. A reading by a thread that was suspended after it is no
    /// reason: the clock is read again.
    #[cold]
    fn sync_in_flight(self, in_flight: &InFlight) -> Tick {
        let _lock = events::queue();
        let now = self.settings.timing().now().as_micros();
        if in_flight.is_behind(in_flight.tick(now)) {
            in_flight.rebase(now);
        }
        in_flight.tick(now)
    }

    /// Counts hung calls as failures.
    #[cold]
    pub(super) fn record_hung(self, calls: u32, admission: Admission) {
        let parameters = self.parameters();
        let in_flight = self.survey().map_or(0, |survey| survey.hung);
        // Some of the failures in a row can be hung calls that have ended since.
        let in_a_row = u64::from(self.engine.circuit.word().failures().saturating_add(calls)).min(self.hung());
        let calls_in_all = in_flight.max(in_a_row).try_into().unwrap_or(u32::MAX);
        let limit = Duration::from_micros(parameters.hung_call.unwrap_or(0));
        let reason = OpenReason::Hung { calls: calls_in_all.max(calls), limit };
        if let Some(rates) = parameters.policy.rates()
            && self.engine.circuit.word().state() == BreakerState::Closed
            && self.record_adverse(Record { failed: true, slow: false }, calls, rates, admission, None, |_| reason)
        {
            return;
        }
        self.engine.circuit.step(&self.observer(None), |circuit| {
            circuit.record_failures(admission, calls, reason, &parameters, clock::now)
        });
    }

    /// Counts the end of a tracked call.
    #[inline]
    pub(super) fn end_tracked(self, admission: Admission, now: Moment) -> End {
        match self.engine.in_flight.get() {
            Some(in_flight) if in_flight.end_early(admission.tick(), TICK_MASK, now.as_micros()) => End::InTime,
            Some(in_flight) => self.end_late(in_flight, admission, now),
            None => End::InTime,
        }
    }

    #[inline(never)]
    fn end_late(self, in_flight: &InFlight, admission: Admission, now: Moment) -> End {
        self.settle(in_flight, now);
        let hung_call = self.parameters().hung_call;
        let is_hung = hung_call.is_some_and(|limit| {
            // A coarse reading of the start can be early, and the age too long.
            let limit = limit.saturating_add(self.settings.timing().resolution());
            admission.age(now.as_micros()).is_some_and(|age| age >= limit)
        });
        in_flight.end_late(admission.tick(), TICK_MASK, now.as_micros(), is_hung)
    }

    /// Applies a changed `hung_call` to the calls in flight.
    pub(super) fn apply_hung_call(self) {
        if let Some(in_flight) = self.engine.in_flight.get() {
            // The settings are read under the lock, so that the last change stays in force.
            let _lock = events::queue();
            let hung_call = self.parameters().hung_call.unwrap_or(u64::MAX);
            let timing = self.settings.timing();
            in_flight.set_hung_call(hung_call, timing.resolution(), timing.now().as_micros());
        }
    }

    /// The number of calls that have counted as hung.
    pub(crate) fn hung(self) -> u64 {
        self.engine.in_flight.get().map_or(0, InFlight::hung)
    }

    /// The calls in flight; `None` if they are not tracked.
    pub(crate) fn survey(self) -> Option<Survey> {
        let timing = self.settings.timing();
        let survey = |in_flight: &InFlight| in_flight.survey(timing.now().as_micros());
        timing.is_tracked.then(|| self.engine.in_flight.get().map(survey).unwrap_or_default())
    }
}
