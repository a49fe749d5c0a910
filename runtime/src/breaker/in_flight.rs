//! The calls in flight, counted by the time of their start, so that calls that hang are found without a list of calls and without a timer.
//!
//! Time is divided into ticks, twelve of which are `hung_call`. A call belongs to the bucket of the tick in which it starts; there are 16
//! buckets, which are used in turn. Each thread has a line with a count for each bucket, which only this thread writes: the start of a call
//! increments a count, its end decrements one, maybe in the line of another thread. The sum over all lines is the number of calls of the
//! bucket that are in flight.
//!
//! A bucket is due when all its calls have reached `hung_call`. The first caller of a later tick, before its own admission, settles the
//! buckets that have become due: calls that are still in flight are hung.
//!
//! # Settling
//!
//! Each call is either ended early, which decrements the count, or settled exactly once: with its bucket, or at its end. Beside the counts,
//! each bucket has a word with the last tick for which the bucket was settled, and the number of calls that have been settled so far. The
//! unsettled calls in flight are the sum of the counts minus that number. The compare-and-swap that settles a bucket adds them to the word.
//!
//! A call that ends when its bucket may be due does not decrement a count. If the word shows that its bucket is settled, it has been
//! counted; otherwise it settles itself, by a compare-and-swap of the same word.
//!
//! Buckets are also settled without counting their calls as hung: by a change of state, since the calls belong to an earlier epoch; by a
//! change of `hung_call`; and after a time in which the breaker was not called, since the program may have been suspended. Such calls are
//! forgiven: their outcomes count if their epoch has not ended.
//!
//! An early end that is delayed by a twelfth of `hung_call` between its reading of the clock and its decrement can be counted as hung, too.
//! The next settlement of its bucket corrects the word.

use std::sync::atomic::{AtomicU64, Ordering};

use super::state::atomic::AtomicCell;
use crate::totals::PerThread;

/// The calls in flight of one breaker: 9 KiB, or 0.6 KiB for the breaker of a key.
#[derive(Debug)]
pub(crate) struct InFlight<A = AtomicU64> {
    counts: PerThread<Line<A>, Counts<A>>,
    buckets: [Bucket<A>; BUCKETS as usize],
    /// The number of ticks in a microsecond, multiplied by 2⁶⁴.
    ticks_per_micro: A,
    /// The number that is added to the number of a tick.
    offset: A,
    /// The last tick for which all due buckets are settled.
    settled_at: A,
    /// The ticks whose calls were forgiven last: those after the tick in the upper half, up to the one in the lower half.
    forgiven: A,
    /// The number of calls that have been counted as hung.
    hung: A,
}

/// The number of buckets. A call is settled after 13 ticks, before its bucket is used again.
const BUCKETS: u32 = 16;
/// The number of ticks in `hung_call`.
const TICKS: u32 = 12;
/// The age in ticks at which all calls of a bucket have reached `hung_call`.
const DUE: u32 = TICKS + 1;
/// The number of ticks between the calls of two epochs, so that the readings of a coarse and of an exact clock are both in the later one.
const NEXT: u32 = 2;
/// The multiple of `hung_call` without a call after which the program may have been suspended, if it is at least a minute.
const IDLE_LIMITS: u64 = 16;
const MINUTE: u64 = 60_000_000;

/// The counts of one thread, one for each bucket: calls started minus calls ended early. The counts wrap.
#[derive(Debug)]
struct Counts<A>([A; BUCKETS as usize]);

/// The counts of one slot, on cache lines of their own.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Line<A>(Counts<A>);

#[derive(Debug)]
struct Bucket<A> {
    /// The last tick for which the bucket was settled, in the upper half, and the number of settled calls, which wraps.
    settled: A,
    /// The number of settled calls that have ended, which wraps.
    ended: A,
    /// The start of the oldest settled call in flight, in microseconds, rounded to a tick.
    oldest: A,
}

/// The number of a tick, which wraps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tick(u32);

/// The fate of a call that ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The call ends before it is hung: its outcome counts.
    InTime,
    /// The call is hung, and has not been counted.
    Hung,
    /// The call was counted as hung: its outcome changes only the totals.
    Settled,
}

/// The calls in flight at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Survey {
    pub(crate) in_flight: u64,
    /// The calls in flight that have reached `hung_call`.
    pub(crate) hung: u64,
    /// The age of the oldest call in microseconds, rounded down to whole ticks; `None` if no call is in flight.
    pub(crate) oldest: Option<u64>,
}

impl Tick {
    /// The number of ticks since `earlier`; negative if `earlier` is later.
    const fn since(self, earlier: Self) -> i32 {
        self.0.wrapping_sub(earlier.0).cast_signed()
    }

    const fn minus(self, ticks: u32) -> Self {
        Self(self.0.wrapping_sub(ticks))
    }

    const fn bucket(self) -> usize {
        (self.0 % BUCKETS) as usize
    }

    /// The lower bits, which are stored in an admission.
    pub(crate) const fn low_bits(self, mask: u32) -> u32 {
        self.0 & mask
    }

    /// The tick with these lower bits that is closest to this one.
    const fn nearest(self, low_bits: u32, mask: u32) -> Self {
        let ago = self.0.wrapping_sub(low_bits) & mask;
        let is_ahead = ago > mask / 2;
        Self(self.0.wrapping_sub(ago).wrapping_add(if is_ahead { mask.wrapping_add(1) } else { 0 }))
    }
}

impl<A: Default> Default for Counts<A> {
    fn default() -> Self {
        Self(std::array::from_fn(|_| A::default()))
    }
}

impl<A: AtomicCell + Default> InFlight<A> {
    /// Creates the counts, all 0. `hung_call` and `now` are in microseconds; `resolution` is the largest delay of the clock's readings.
    pub(crate) fn new(sharded: bool, hung_call: u64, resolution: u64, now: u64) -> Self {
        let in_flight = Self {
            counts: PerThread::new(sharded, Counts::default()),
            buckets: std::array::from_fn(|_| Bucket {
                settled: A::default(),
                ended: A::default(),
                oldest: A::default(),
            }),
            ticks_per_micro: A::default(),
            offset: A::default(),
            settled_at: A::default(),
            forgiven: A::default(),
            hung: A::default(),
        };
        in_flight.set_hung_call(hung_call, resolution, now);
        in_flight
    }

    /// Changes `hung_call`. If it differs from the previous one, the calls in flight are forgiven.
    pub(crate) fn set_hung_call(&self, hung_call: u64, resolution: u64, now: u64) {
        let tick = hung_call.saturating_add(resolution).div_ceil(u64::from(TICKS)).max(1);
        let ticks_per_micro = u64::MAX / tick;
        if self.ticks_per_micro.load(Ordering::Relaxed) == ticks_per_micro {
            return;
        }
        let current = self.latest(now);
        // ORDERING: Relaxed throughout: a call that reads the old and the new value of two cells gets a wrong tick, which only changes when
        // the call is settled.
        self.forgive(current, (current, now));
        self.ticks_per_micro.store(ticks_per_micro, Ordering::Relaxed);
        let unshifted = self.unshifted(now);
        self.offset.store(u64::from(current.0.wrapping_add(NEXT).wrapping_sub(unshifted)), Ordering::Relaxed);
    }

    /// The tick at a reading of the clock.
    #[inline]
    pub(crate) fn tick(&self, now: u64) -> Tick {
        // ORDERING: Relaxed, as in `set_hung_call`.
        Tick(self.unshifted(now).wrapping_add(low_half(self.offset.load(Ordering::Relaxed))))
    }

    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "the numbers of ticks wrap")]
    fn unshifted(&self, now: u64) -> u32 {
        // A division of 64-bit numbers takes longer than all else here.
        let product = u128::from(now) * u128::from(self.ticks_per_micro.load(Ordering::Relaxed));
        (product >> u64::BITS) as u32
    }

    /// The length of a tick in microseconds.
    fn tick_length(&self) -> u64 {
        u64::MAX / self.ticks_per_micro.load(Ordering::Relaxed).max(1)
    }

    /// Returns true if no bucket has become due since the last settlement.
    #[inline]
    pub(crate) fn is_settled_at(&self, tick: Tick) -> bool {
        self.settled_at() == tick
    }

    #[inline]
    fn settled_at(&self) -> Tick {
        // ORDERING: Acquire pairs with the Release in `mark_settled`: the settlement of the buckets is visible.
        Tick(low_half(self.settled_at.load(Ordering::Acquire)))
    }

    /// Counts the start of a call in the current tick. The buckets that are due must be settled.
    #[inline]
    pub(crate) fn start(&self, tick: Tick) {
        self.add(tick, 1);
    }

    /// Reverts [`start`](Self::start).
    pub(crate) fn cancel_start(&self, tick: Tick) {
        self.add(tick, u64::MAX);
    }

    /// Counts the end of a call if it is too young to be settled, and returns true; returns false otherwise. `low_bits` are those of the
    /// tick in which the call started.
    #[inline]
    pub(crate) fn end_early(&self, low_bits: u32, mask: u32, now: u64) -> bool {
        let tick = self.tick(now);
        let started = tick.nearest(low_bits, mask);
        let age = tick.since(started);
        let is_young = 0 <= age && age < TICKS.cast_signed();
        let is_early = is_young && !self.buckets[started.bucket()].is_settled(started);
        if is_early {
            self.add(started, u64::MAX);
        }
        is_early
    }

    /// Counts the end of a call that may have been settled. `is_hung` is true if its age has reached `hung_call`.
    pub(crate) fn end_late(&self, low_bits: u32, mask: u32, now: u64, is_hung: bool) -> End {
        let tick = self.tick(now);
        let started = tick.nearest(low_bits, mask);
        let bucket = &self.buckets[started.bucket()];
        let is_ahead = tick.since(started) < 0;
        if is_ahead && !is_hung {
            // The clocks of two cores differ.
            self.add(started, u64::MAX);
            return End::InTime;
        }
        let end = loop {
            // The lower bits have wrapped since the start of the call: it was settled long ago.
            if is_ahead {
                break End::Settled;
            }
            let found = bucket.load();
            if found.is_settled(started) {
                break if self.is_forgiven(started) { End::InTime } else { End::Settled };
            }
            // Settles only this call: the tick of the bucket stays.
            if bucket.replace(found, Settled { at: found.at, calls: found.calls.wrapping_add(1) }) {
                break if is_hung { End::Hung } else { End::InTime };
            }
        };
        if end == End::Hung {
            add_shared(&self.hung, 1);
        }
        add_shared(&bucket.ended, 1);
        end
    }

    /// Returns true if no call was made for a time after which the program may have been suspended.
    fn was_idle(&self, tick: Tick) -> bool {
        let passed = u64::from(tick.since(self.settled_at()).max(0).cast_unsigned());
        passed > IDLE_LIMITS * u64::from(TICKS) && passed.saturating_mul(self.tick_length()) >= MINUTE
    }

    /// Settles the buckets that are due, if none of them has a call in flight, and returns true. Returns false if one has, or if the
    /// breaker was not called for long.
    pub(crate) fn settle_empty(&self, tick: Tick, now: u64) -> bool {
        if self.was_idle(tick) {
            return false;
        }
        let mut are_empty = true;
        for due in self.due(tick) {
            are_empty &= self.settle(due, (tick, now), false) == 0;
        }
        if are_empty {
            self.mark_settled(tick);
        }
        are_empty
    }

    /// Settles the buckets that are due, and returns the number of hung calls. The caller excludes changes of state.
    pub(crate) fn settle_due(&self, tick: Tick, now: u64) -> u32 {
        if self.was_idle(tick) {
            self.forgive(tick.minus(1), (tick, now));
            self.mark_settled(tick);
            return 0;
        }
        let hung = self.due(tick).map(|due| self.settle(due, (tick, now), true)).fold(0, u32::saturating_add);
        self.mark_settled(tick);
        if hung > 0 {
            add_shared(&self.hung, hung.into());
        }
        hung
    }

    /// Settles all calls in flight without counting them as hung, after a change of state. Later calls belong to later ticks. Calls that have
    /// started since the change are settled, too, so the epoch and not the settlement decides whether an outcome counts. The caller excludes
    /// other changes of state.
    pub(crate) fn forget(&self, now: u64) {
        let (tick, read) = (self.latest(now), self.tick(now));
        self.shift(NEXT);
        self.forgive(tick, (read, now));
    }

    /// The tick at a reading of the clock, or the last settlement if it is later.
    fn latest(&self, now: u64) -> Tick {
        let (tick, settled_at) = (self.tick(now), self.settled_at());
        if tick.since(settled_at) < 0 { settled_at } else { tick }
    }

    /// Continues with the next tick if `now` is from a different clock that is behind. The calls in flight are forgiven.
    pub(crate) fn rebase(&self, now: u64) {
        let (tick, current) = (self.tick(now), self.settled_at());
        self.shift(current.since(tick).cast_unsigned().wrapping_add(NEXT));
        self.forgive(current, (current, now));
    }

    /// Settles all calls up to a tick without counting them as hung. Their outcomes still count.
    fn forgive(&self, tick: Tick, at: (Tick, u64)) {
        // Calls that were due at the last settlement have been counted.
        let counted = self.settled_at().minus(DUE);
        // Calls that were forgiven before are still forgiven, unless calls that have started since then have been counted.
        let (after, last) = self.forgiven();
        let after = if last.since(counted) >= 0 && after.since(counted) < 0 { after } else { counted };
        // ORDERING: Release pairs with the Acquire in `forgiven`; the settlement below publishes it to the calls that it settles.
        self.forgiven.store(u64::from(after.0) << u32::BITS | u64::from(tick.0), Ordering::Release);
        self.settle_all(tick, at);
    }

    /// The ticks whose calls were forgiven last: those after the first tick, up to the second.
    fn forgiven(&self) -> (Tick, Tick) {
        let range = self.forgiven.load(Ordering::Acquire);
        (Tick(low_half(range >> u32::BITS)), Tick(low_half(range)))
    }

    fn is_forgiven(&self, tick: Tick) -> bool {
        let (after, last) = self.forgiven();
        tick.since(after) > 0 && last.since(tick) >= 0
    }

    /// Adds to the numbers of all later ticks. The caller excludes other changes of the offset.
    fn shift(&self, ticks: u32) {
        // ORDERING: Relaxed, as in `set_hung_call`.
        let offset = low_half(self.offset.load(Ordering::Relaxed)).wrapping_add(ticks);
        self.offset.store(offset.into(), Ordering::Relaxed);
    }

    /// Returns true if `tick` is before the last settlement by more than the clocks of two cores can differ.
    pub(crate) fn is_behind(&self, tick: Tick) -> bool {
        tick.since(self.settled_at()) < -1
    }

    fn settle_all(&self, tick: Tick, at: (Tick, u64)) {
        for ago in 0..BUCKETS {
            self.settle(tick.minus(ago), at, true);
        }
        self.mark_settled(tick);
    }

    /// The ticks whose buckets have become due since the last settlement.
    fn due(&self, tick: Tick) -> impl Iterator<Item = Tick> + use<A> {
        let passed = tick.since(self.settled_at()).max(0).cast_unsigned();
        (0..passed.min(BUCKETS)).map(move |ago| tick.minus(DUE + ago))
    }

    /// Settles a bucket for a tick at a reading of the clock, which is given with its tick. Returns the number of calls in flight that were
    /// not settled. With `takes_calls` false, the bucket is settled only if there is no such call.
    fn settle(&self, tick: Tick, (read, now): (Tick, u64), takes_calls: bool) -> u32 {
        let bucket = &self.buckets[tick.bucket()];
        loop {
            let found = bucket.load();
            if found.is_settled(tick) {
                return 0;
            }
            let all = self.sum(tick);
            // Negative if an early end was delayed until after the settlement of its bucket.
            let unsettled = all.wrapping_sub(found.calls).cast_signed().max(0).cast_unsigned();
            if unsettled > 0 && !takes_calls {
                return unsettled;
            }
            if bucket.replace(found, Settled { at: tick, calls: all }) {
                if unsettled > 0 && found.calls == ended(bucket) {
                    // The calls have started when the breaker was last called or before.
                    let ahead = tick.since(self.settled_at()).max(0).cast_unsigned().next_multiple_of(BUCKETS);
                    let ticks = read.since(tick.minus(ahead)).max(0).cast_unsigned();
                    let age = u64::from(ticks).saturating_mul(self.tick_length());
                    bucket.oldest.store(now.saturating_sub(age), Ordering::Relaxed);
                }
                return unsettled;
            }
        }
    }

    fn mark_settled(&self, tick: Tick) {
        let mut found = self.settled_at.load(Ordering::Relaxed);
        while tick.since(Tick(low_half(found))) > 0 {
            // ORDERING: Release pairs with the Acquire in `settled_at`.
            match self.settled_at.compare_exchange_weak(found, u64::from(tick.0), Ordering::Release, Ordering::Relaxed)
            {
                Ok(_) => return,
                Err(changed) => found = changed,
            }
        }
    }

    /// The sum of the counts of a bucket, which wraps.
    fn sum(&self, tick: Tick) -> u32 {
        let counts = self.counts.own_lines().map(|Line(own)| own).chain([self.counts.shared()]);
        let counts = counts.map(|Counts(counts)| counts[tick.bucket()].load(Ordering::Acquire));
        low_half(counts.fold(0, u64::wrapping_add))
    }

    #[inline]
    fn add(&self, tick: Tick, by: u64) {
        match self.counts.own() {
            Some(Line(Counts(counts))) => {
                let count = &counts[tick.bucket()];
                // ORDERING: only this thread writes the count. Release: a settlement that sees the end of a call sees its start, which
                // may be in the line of another thread.
                count.store(count.load(Ordering::Relaxed).wrapping_add(by), Ordering::Release);
            }
            None => self.add_cold(tick, by),
        }
    }

    #[cold]
    fn add_cold(&self, tick: Tick, by: u64) {
        if self.counts.own_or_assign().is_some() {
            return self.add(tick, by);
        }
        add_shared(&self.counts.shared().0[tick.bucket()], by);
    }

    /// The number of calls that have been counted as hung.
    pub(crate) fn hung(&self) -> u64 {
        self.hung.load(Ordering::Relaxed)
    }

    /// Counts the calls in flight.
    pub(crate) fn survey(&self, now: u64) -> Survey {
        let (read, last, tick_length) = (self.tick(now), self.settled_at(), self.tick_length());
        let due = u64::from(DUE).saturating_mul(tick_length);
        let mut survey = Survey::default();
        for ago in 0..BUCKETS {
            // The last tick of this bucket in which a call has started.
            let tick = last.minus(ago);
            let bucket = &self.buckets[tick.bucket()];
            let (ended, settled) = (ended(bucket), bucket.load().calls);
            let in_flight = self.sum(tick).wrapping_sub(ended).cast_signed().max(0).cast_unsigned();
            let old = settled.wrapping_sub(ended).cast_signed().clamp(0, in_flight.cast_signed()).cast_unsigned();
            let since_tick = u64::from(read.since(tick).max(0).cast_unsigned()).saturating_mul(tick_length);
            let since_oldest = now.saturating_sub(bucket.oldest.load(Ordering::Relaxed));
            for (calls, age) in [(old, since_oldest), (in_flight - old, since_tick)] {
                if calls > 0 {
                    survey.in_flight += u64::from(calls);
                    survey.hung += if age >= due { u64::from(calls) } else { 0 };
                    survey.oldest = survey.oldest.max(Some(age));
                }
            }
        }
        survey
    }
}

/// The unpacked word of a bucket.
#[derive(Clone, Copy)]
struct Settled {
    at: Tick,
    calls: u32,
}

impl Settled {
    /// Returns true if the bucket was settled for `tick` or a later one.
    const fn is_settled(self, tick: Tick) -> bool {
        self.at.since(tick) >= 0
    }
}

impl<A: AtomicCell> Bucket<A> {
    fn is_settled(&self, tick: Tick) -> bool {
        self.load().is_settled(tick)
    }

    fn load(&self) -> Settled {
        // ORDERING: Acquire pairs with the Release of `replace`.
        let word = self.settled.load(Ordering::Acquire);
        Settled { at: Tick(low_half(word >> u32::BITS)), calls: low_half(word) }
    }

    fn replace(&self, found: Settled, new: Settled) -> bool {
        let pack = |Settled { at, calls }: Settled| u64::from(at.0) << u32::BITS | u64::from(calls);
        // ORDERING: AcqRel: a call that finds itself settled sees what the settlement has seen.
        self.settled.compare_exchange_weak(pack(found), pack(new), Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }
}

fn ended<A: AtomicCell>(bucket: &Bucket<A>) -> u32 {
    low_half(bucket.ended.load(Ordering::Acquire))
}

#[allow(clippy::cast_possible_truncation, reason = "the lower half")]
const fn low_half(word: u64) -> u32 {
    word as u32
}

/// Adds to a cell that several threads write.
fn add_shared<A: AtomicCell>(cell: &A, by: u64) {
    // ORDERING: Release, as in `InFlight::add`.
    let mut found = cell.load(Ordering::Relaxed);
    while let Err(changed) =
        cell.compare_exchange_weak(found, found.wrapping_add(by), Ordering::Release, Ordering::Relaxed)
    {
        found = changed;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MASK: u32 = (1 << 26) - 1;
    const SECOND: u64 = 1_000_000;
    const LIMIT: u64 = 12 * SECOND;
    const NOW: u64 = 1 << 62;

    /// Calls in flight with a clock that a test sets.
    struct Calls {
        in_flight: InFlight,
        now: u64,
    }

    /// A call in flight: its tick and its start.
    type Call = (u32, u64);

    impl Calls {
        fn new() -> Self {
            Self { in_flight: InFlight::new(false, LIMIT, 0, NOW), now: NOW }
        }

        /// Counts hung calls, as an admission does.
        fn look(&self) -> u32 {
            let tick = self.in_flight.tick(self.now);
            if self.in_flight.is_settled_at(tick) || self.in_flight.settle_empty(tick, self.now) {
                return 0;
            }
            self.in_flight.settle_due(tick, self.now)
        }

        fn start(&self) -> (u32, Call) {
            let hung = self.look();
            let tick = self.in_flight.tick(self.now);
            self.in_flight.start(tick);
            (hung, (tick.low_bits(MASK), self.now))
        }

        fn end(&self, (tick, started): Call) -> End {
            if self.in_flight.end_early(tick, MASK, self.now) {
                return End::InTime;
            }
            self.in_flight.end_late(tick, MASK, self.now, self.now.saturating_sub(started) >= LIMIT)
        }

        fn survey(&self) -> Survey {
            self.in_flight.survey(self.now)
        }
    }

    #[test]
    fn a_call_is_hung_once_between_the_limit_and_an_eighth_more() {
        for offset in (0..2 * SECOND).step_by(37_000) {
            let mut calls = Calls::new();
            calls.now += offset;
            let started = calls.now;
            let (_, call) = calls.start();
            let mut hung_at = None;
            for step in 1..2_000 {
                calls.now = started + step * 10_000;
                let hung = calls.look();
                if hung > 0 {
                    assert_eq!((hung, hung_at), (1, None));
                    hung_at = Some(calls.now - started);
                }
            }
            let age = hung_at.expect("the call is hung");
            assert!((LIMIT..=LIMIT + LIMIT / 8).contains(&age), "{age}");
            assert_eq!(calls.in_flight.hung(), 1);
            assert_eq!(calls.end(call), End::Settled);
            assert_eq!((calls.look(), calls.survey()), (0, Survey::default()));
        }
    }

    #[test]
    fn a_call_that_ends_at_any_age_counts_once() {
        for age in (0..30 * SECOND).step_by(100_000) {
            for looks in [false, true] {
                let mut calls = Calls::new();
                let (_, call) = calls.start();
                calls.now += age;
                let counted = if looks { calls.look() } else { 0 };
                let expected = match (counted, age >= LIMIT) {
                    (1, true) => End::Settled,
                    (0, true) => End::Hung,
                    (0, false) => End::InTime,
                    other => unreachable!("{other:?} at {age}"),
                };
                assert_eq!(calls.end(call), expected, "{age}, {looks}");
                assert_eq!(calls.in_flight.hung(), u64::from(age >= LIMIT));
                calls.now += 40 * SECOND;
                assert_eq!((calls.look(), calls.survey().in_flight), (0, 0));
            }
        }
    }

    #[test]
    fn every_call_of_a_long_sequence_is_counted_once() {
        let mut random = fastrand::Rng::with_seed(7);
        let mut calls = Calls::new();
        let mut in_flight: Vec<Call> = Vec::new();
        let (mut started, mut hung, mut ends) = (0_u64, 0_u64, [0_u64; 3]);
        for _ in 0..200_000 {
            let longest = [10_000, 300_000, 3 * SECOND, 20 * SECOND][random.usize(0..4)];
            calls.now += random.u64(0..longest);
            let (newly_hung, call) = calls.start();
            (started, hung) = (started + 1, hung + u64::from(newly_hung));
            in_flight.push(call);
            while in_flight.len() > random.usize(0..40) {
                let call = in_flight.swap_remove(random.usize(0..in_flight.len()));
                let age = calls.now - call.1;
                let end = calls.end(call);
                ends[end as usize] += 1;
                assert!(end != End::InTime || age < LIMIT, "{age}");
                assert!(end != End::Hung || age >= LIMIT, "{age}");
                assert!(end != End::Settled || age >= LIMIT, "{age}");
            }
            assert_eq!(calls.survey().in_flight, in_flight.len() as u64);
        }
        assert!(ends.iter().all(|ends| *ends > 500), "{ends:?}");
        assert_eq!(calls.in_flight.hung(), hung + ends[End::Hung as usize]);
        calls.now += 3 * LIMIT;
        let left = in_flight.len();
        hung += u64::from(calls.look());
        for call in in_flight {
            assert_eq!(calls.end(call), End::Settled);
        }
        // Every call has either ended in time or is hung.
        assert_eq!(started, ends[End::InTime as usize] + hung + ends[End::Hung as usize], "{left} left");
        assert_eq!(calls.survey(), Survey::default());
    }

    #[test]
    fn the_survey_shows_the_calls_in_flight_and_the_oldest() {
        let mut calls = Calls::new();
        assert_eq!(calls.survey(), Survey::default());
        let (_, first) = calls.start();
        calls.now += 5 * SECOND;
        let (_, second) = calls.start();
        assert_eq!(calls.survey(), Survey { in_flight: 2, hung: 0, oldest: Some(5 * SECOND) });
        calls.now += 10 * SECOND;
        assert_eq!(calls.look(), 1);
        assert_eq!(calls.survey(), Survey { in_flight: 2, hung: 1, oldest: Some(15 * SECOND) });
        assert_eq!(calls.end(second), End::InTime);
        calls.now += 100 * SECOND;
        calls.look();
        assert_eq!(calls.survey(), Survey { in_flight: 1, hung: 1, oldest: Some(115 * SECOND) });
        assert_eq!(calls.end(first), End::Settled);
        assert_eq!(calls.survey(), Survey::default());
    }

    #[test]
    fn forgotten_calls_are_never_hung() {
        for change in 0..4 {
            let mut calls = Calls::new();
            calls.now += 3 * SECOND;
            let (_, call) = calls.start();
            calls.now += 5 * SECOND;
            match change {
                0 => calls.in_flight.forget(calls.now),
                1 => calls.in_flight.set_hung_call(2 * SECOND, 0, calls.now),
                2 => {
                    calls.now -= 3_600 * SECOND;
                    assert!(calls.in_flight.is_behind(calls.in_flight.tick(calls.now)));
                    calls.in_flight.rebase(calls.now);
                }
                // An hour in which the program was suspended.
                _ => calls.now += 3_600 * SECOND,
            }
            let (hung, next) = calls.start();
            assert_eq!((hung, calls.survey().in_flight), (0, 2), "{change}");
            calls.now += 30 * SECOND;
            assert_eq!((calls.look(), calls.in_flight.hung()), (1, 1), "the later call, {change}");
            assert_eq!((calls.end(call), calls.end(next)), (End::InTime, End::Settled), "{change}");
            assert_eq!(calls.survey(), Survey::default());
        }
    }

    #[test]
    fn the_numbers_of_ticks_wrap() {
        let mut calls = Calls::new();
        // In four steps, up to five ticks before the numbers wrap.
        for ticks in [1 << 30, 1 << 30, 1 << 30, (1 << 30) - 8] {
            calls.in_flight.shift(ticks);
            let tick = calls.in_flight.tick(calls.now);
            calls.in_flight.settle_all(tick.minus(1), (tick, calls.now));
            calls.in_flight.mark_settled(tick);
        }
        assert!(calls.in_flight.tick(calls.now).0 > u32::MAX - 8);
        for _ in 0..40 {
            let (_, first) = calls.start();
            // The second call hangs.
            calls.start();
            assert_eq!(calls.end(first), End::InTime);
            calls.now += 2 * SECOND;
        }
        calls.now += LIMIT + 2 * SECOND;
        calls.look();
        assert_eq!(calls.in_flight.hung(), 40);
    }
}
