//! A single limit: its counts, its queues, and the decision about a call that arrives.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

#[cfg(feature = "tokio")]
use super::store_queue::StoreQueue;
use super::{
    counter::{Ahead, Counter, Limit},
    queue::{Queue, Wakers},
    settings::{ActiveSettings, RateLimitSettings},
};
use crate::{
    RateLimited, clock,
    events::{self, Event},
    keyed_store::key::{self, Key},
    totals::{Count, Sums},
};

/// The size of the [front](super::queue) of the queue for local capacity, which only the first waiter takes.
pub(super) const LOCAL_FRONT: usize = 1;

/// The shortest period, in microseconds, of a limit that reads the coarse clock: a hundred times its largest delay. A coarse reading takes
/// 6 ns, and an exact one 18 ns.
const COARSE_PER: u64 = 1_000_000;

/// The counts and the queues of one limit.
#[derive(Debug)]
pub(super) struct Limiter {
    state: Mutex<LimiterState>,
    pub(super) key: Option<Key>,
}

#[derive(Debug)]
pub(super) struct LimiterState {
    pub(super) counter: Counter,
    /// The totals of admitted and rejected calls. They are under the lock that each decision takes.
    pub(super) totals: Sums,
    /// The settings by which the counter counts; `None` before the first call.
    adopted: Option<ActiveSettings>,
    /// Calls that wait for capacity by the counts of this process.
    pub(super) queue: Queue,
    /// Calls that wait for capacity by the counts of a store; `None` before the first request to one.
    #[cfg(feature = "tokio")]
    pub(super) store_queue: Option<Box<StoreQueue>>,
}

/// A position in the queue that a call has taken. The caller waits with a [`Waiter`](super::waiter::Waiter), which gives the position up
/// when it is dropped.
#[derive(Debug)]
#[must_use = "the position stays taken until a `Waiter` is dropped"]
pub(super) struct Queued {
    pub(super) ticket: u64,
    pub(super) permits: u32,
    /// The reading of the limit's clock at the arrival of the call.
    pub(super) arrived: u64,
    /// The moment until which the call waits.
    pub(super) deadline: u64,
}

enum Decision {
    Admitted,
    Queued(Queued),
    Rejected(Refusal),
}

/// The figures of a rejection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Refusal {
    /// The time until there is capacity, in microseconds; `u64::MAX` for a call that takes more permits than there ever are at once.
    pub(super) retry_after: u64,
    /// The permits that the call takes.
    pub(super) permits: u32,
    /// The largest number of permits that a call can take.
    pub(super) max_permits: u32,
}

impl Refusal {
    pub(super) const fn until(retry_after: u64, permits: u32, limit: Limit) -> Self {
        Self { retry_after, permits, max_permits: limit.burst }
    }

    pub(super) const fn too_many(permits: u32, limit: Limit) -> Self {
        Self::until(u64::MAX, permits, limit)
    }
}

impl Limiter {
    pub(super) const fn new(key: Option<Key>) -> Self {
        let state = Mutex::new(LimiterState {
            counter: Counter::new(),
            totals: Sums::new(),
            adopted: None,
            queue: Queue::new(),
            #[cfg(feature = "tokio")]
            store_queue: None,
        });
        Self { state, key }
    }

    /// Creates the limiter of a key whose earlier calls this limiter, the overflow limiter, may have counted. The new limiter starts with a
    /// copy of the counts. Calls that wait at the overflow limiter stay there and are counted only there.
    #[cfg(feature = "keyed")]
    pub(super) fn fork(&self, settings: &RateLimitSettings, key: Key) -> Self {
        let (fork, now) = (Self::new(Some(key)), clock::now_micros());
        let mut state = self.state();
        let adopted = state.apply_settings(settings);
        if let Some(adopted) = adopted.filter(|adopted| state.counter.in_window(now, adopted.limit) > 0) {
            let mut copied = fork.state();
            (copied.counter, copied.adopted) = (state.counter.clone(), Some(adopted));
        }
        drop(state);
        fork
    }

    /// Admits a call that takes `permits`, at least 1, or adds it to the queue if it can be admitted within `patience` and the
    /// `max_wait` of the settings, both in microseconds. Returns its position in the queue in the latter case.
    #[inline]
    pub(super) fn acquire(
        &self,
        settings: &RateLimitSettings,
        permits: u32,
        patience: u64,
    ) -> Result<Option<Queued>, RateLimited> {
        let mut state = self.state();
        if permits == 1 && state.try_acquire_coarse(settings) {
            return Ok(None);
        }
        self.acquire_exact(state, settings, permits, patience)
    }

    /// Admits a call for one permit by the coarse clock. Returns false if [`acquire`](Self::acquire) or an external store has to decide, or if another
    /// thread holds the lock. Does not wait.
    #[cfg(feature = "keyed")]
    #[inline]
    pub(super) fn try_acquire_at_once(&self, settings: &RateLimitSettings) -> bool {
        #[cfg(feature = "tokio")]
        if settings.has_store() {
            return false;
        }
        self.state.try_lock().is_ok_and(|mut state| state.try_acquire_coarse(settings))
    }

    #[inline(never)]
    fn acquire_exact(
        &self,
        mut state: MutexGuard<'_, LimiterState>,
        settings: &RateLimitSettings,
        permits: u32,
        patience: u64,
    ) -> Result<Option<Queued>, RateLimited> {
        let mut wakers = Wakers::default();
        let decision = state.decide(settings, permits, patience, &mut wakers);
        drop(state);
        wakers.wake();
        match decision {
            Decision::Admitted => Ok(None),
            Decision::Queued(queued) => Ok(Some(queued)),
            Decision::Rejected(refusal) => Err(self.rejection(settings, refusal)),
        }
    }

    /// Counts the decision about a call that has waited.
    pub(super) fn count(&self, count: Count) {
        self.state().totals.increment(count);
    }

    /// Counts a rejection, emits its event and creates its error.
    pub(super) fn reject(&self, settings: &RateLimitSettings, refusal: Refusal) -> RateLimited {
        self.count(Count::Rejection);
        self.rejection(settings, refusal)
    }

    /// Emits the event of a counted rejection and creates its error.
    #[cold]
    fn rejection(&self, settings: &RateLimitSettings, refusal: Refusal) -> RateLimited {
        let Refusal { retry_after, permits, max_permits } = refusal;
        let retry_after = if permits > max_permits { Duration::MAX } else { Duration::from_micros(retry_after) };
        events::emit(|| {
            let (key, overflow) = key::parts(self.key.as_ref());
            Event::RateLimited { limit: settings.name, key, overflow, permits, max_permits, retry_after }
        });
        RateLimited { name: settings.name, key: self.key.clone(), retry_after, permits, max_permits }
    }

    /// Returns the number of permits that count against the limit, and the number of calls that wait.
    pub(super) fn usage(&self, settings: &RateLimitSettings) -> (usize, usize) {
        let mut state = self.state();
        let Some(ActiveSettings { limit, .. }) = state.apply_settings(settings) else { return (0, 0) };
        (state.counter.in_window(clock::now_micros(), limit), state.waiting())
    }

    /// Discards the counts.
    pub(super) fn reset(&self) {
        let mut wakers = Wakers::default();
        {
            let mut state = self.state();
            state.counter.reset();
            state.signal(&mut wakers);
        }
        wakers.wake();
    }

    /// Makes the waiters check again, because the settings have changed.
    pub(super) fn signal(&self) {
        let mut wakers = Wakers::default();
        self.state().signal(&mut wakers);
        wakers.wake();
    }

    pub(super) fn state(&self) -> MutexGuard<'_, LimiterState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LimiterState {
    /// Admits a call for one permit by the coarse clock, if no call waits. Returns false if the exact clock has to decide.
    #[inline]
    fn try_acquire_coarse(&mut self, settings: &RateLimitSettings) -> bool {
        let (adopted, resolution) = (self.apply_settings(settings), clock::resolution());
        // A clock without a delay is the exact clock.
        let Some(ActiveSettings { limit, .. }) =
            adopted.filter(|adopted| resolution > 0 && adopted.limit.per >= COARSE_PER)
        else {
            return false;
        };
        let is_admitted =
            self.queue.len() == 0 && self.counter.try_acquire_coarse(clock::coarse().as_micros(), resolution, limit);
        if is_admitted {
            self.totals.increment(Count::Success);
        }
        is_admitted
    }

    fn decide(&mut self, settings: &RateLimitSettings, permits: u32, patience: u64, wakers: &mut Wakers) -> Decision {
        let Some(ActiveSettings { limit, max_wait, .. }) = self.apply_settings(settings) else {
            self.totals.increment(Count::Success);
            return Decision::Admitted;
        };
        if permits > limit.burst {
            self.totals.increment(Count::Rejection);
            return Decision::Rejected(Refusal::too_many(permits, limit));
        }
        let arrived = self.read_clock(wakers);
        self.check_first(limit, wakers);
        let (now, ahead, patience) = (self.counter.now(), self.queue.demand(limit), max_wait.min(patience));
        // No call overtakes the waiters. A call that does not wait may take capacity beyond what they need.
        let taken = if ahead.permits > 0 && patience > 0 {
            Err(self.counter.earliest_start(now, limit, permits, &ahead))
        } else {
            self.counter.try_acquire(now, limit, permits, &ahead)
        };
        match taken {
            Ok(()) => {
                self.totals.increment(Count::Success);
                Decision::Admitted
            }
            Err(at) if patience == 0 || at - now > patience => {
                self.totals.increment(Count::Rejection);
                Decision::Rejected(Refusal::until(at - now, permits, limit))
            }
            Err(_) => {
                let ticket = self.queue.issue_ticket();
                self.queue.join(ticket, permits);
                Decision::Queued(Queued { ticket, permits, arrived, deadline: now.saturating_add(patience) })
            }
        }
    }

    /// Checks, when a call arrives, that the first waiter still runs. The call itself may be rejected, and then makes no later check.
    fn check_first(&mut self, limit: Limit, wakers: &mut Wakers) {
        if self.queue.len() > 0 {
            let now = self.counter.now();
            let due = self.counter.earliest_start(now, limit, self.queue.first_permits(limit), &Ahead::NONE);
            _ = self.queue.check_first(u64::MAX, due, now, wakers);
        }
    }

    /// Reads the clock. If it is a different clock than before, the waiters check again.
    pub(super) fn read_clock(&mut self, wakers: &mut Wakers) -> u64 {
        let now = clock::now_micros();
        if self.counter.sync_clock(now) {
            self.signal(wakers);
        }
        now
    }

    /// Makes the waiters check again, because something on which their decision depends has changed.
    #[cold]
    fn signal(&mut self, wakers: &mut Wakers) {
        self.queue.signal(LOCAL_FRONT, wakers);
        #[cfg(feature = "tokio")]
        if let Some(store_queue) = &mut self.store_queue {
            store_queue.signal(wakers);
        }
    }

    fn waiting(&self) -> usize {
        #[cfg(feature = "tokio")]
        return self.queue.len() + self.store_queue.as_ref().map_or(0, |store_queue| store_queue.len());
        #[cfg(not(feature = "tokio"))]
        self.queue.len()
    }

    /// Adopts the settings in force if they have changed, and returns them; `None` if there are none.
    pub(super) fn apply_settings(&mut self, settings: &RateLimitSettings) -> Option<ActiveSettings> {
        let version = settings.version();
        match self.adopted {
            Some(adopted) if adopted.version == version => Some(adopted),
            _ => self.adopt(settings, version),
        }
    }

    #[cold]
    fn adopt(&mut self, settings: &RateLimitSettings, version: u32) -> Option<ActiveSettings> {
        let active = settings.active(version)?;
        self.adopted = Some(active);
        self.counter.set_algorithm(active.algorithm);
        self.adopted
    }
}
