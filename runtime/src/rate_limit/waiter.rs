//! A call that waits for capacity by the counts of this process, on a thread or in a task.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    time::Duration,
};

use super::{
    counter::Ahead,
    limiter::{LOCAL_FRONT, Limiter, LimiterState, Queued, Refusal},
    queue::{Position, Wakers},
    settings::{ActiveSettings, RateLimitSettings},
};
use crate::{
    RateLimited,
    clock::Moment,
    totals::Count,
    wait::{self, WaitError},
};

/// A call that waits. Dropping it removes it from the queue.
#[derive(Debug)]
pub(super) struct Waiter<'l> {
    limiter: &'l Limiter,
    settings: &'l RateLimitSettings,
    queued: Queued,
    time: WaitClock,
}

/// The time of one waiter: the moment of its arrival by the limit's clock, plus the time since then by the clock with which it sleeps. In a
/// test, the limit's clock may be paused.
#[derive(Debug)]
pub(super) struct WaitClock {
    arrived: u64,
    timer: fn() -> Moment,
    began: Moment,
}

enum Decision {
    Admitted,
    /// Sleep for these microseconds, or until a signal.
    Sleep(u64),
    Rejected(Refusal),
}

impl WaitClock {
    pub(super) fn since(arrived: u64, timer: fn() -> Moment) -> Self {
        Self { arrived, timer, began: timer() }
    }

    pub(super) fn now(&self) -> u64 {
        self.arrived.saturating_add((self.timer)().as_micros().saturating_sub(self.began.as_micros()))
    }
}

impl<'l> Waiter<'l> {
    /// Creates the waiter of a call that is in the queue. `timer` is the clock with which it sleeps.
    pub(super) fn new(
        limiter: &'l Limiter,
        settings: &'l RateLimitSettings,
        queued: Queued,
        timer: fn() -> Moment,
    ) -> Self {
        let time = WaitClock::since(queued.arrived, timer);
        Self { limiter, settings, queued, time }
    }

    /// Waits on the thread.
    #[cold]
    pub(super) fn on_thread(self) -> Result<(), RateLimited> {
        while let Some(limit) = self.check()? {
            if wait::on_thread(pin!(self.signalled()), limit) == Err(WaitError::Stopped) {
                return Err(self.on_stopped());
            }
        }
        Ok(())
    }

    /// Waits in a task.
    #[cfg(feature = "tokio")]
    pub(super) async fn in_task(self) -> Result<(), RateLimited> {
        while let Some(limit) = self.check()? {
            if wait::in_task(pin!(self.signalled()), limit).await == Err(WaitError::Stopped) {
                return Err(self.on_stopped());
            }
        }
        Ok(())
    }

    /// Takes capacity if there is some and the waiter is the first; otherwise returns the time to sleep.
    fn check(&self) -> Result<Option<Duration>, RateLimited> {
        let mut wakers = Wakers::default();
        let decision = self.decide(&mut self.limiter.state(), &mut wakers);
        wakers.wake();
        match decision {
            Decision::Admitted => {
                self.limiter.count(Count::Success);
                Ok(None)
            }
            Decision::Sleep(micros) => Ok(Some(Duration::from_micros(micros))),
            Decision::Rejected(refusal) => Err(self.limiter.reject(self.settings, refusal)),
        }
    }

    fn decide(&self, state: &mut LimiterState, wakers: &mut Wakers) -> Decision {
        let Some(ActiveSettings { limit, .. }) = state.apply_settings(self.settings) else { return Decision::Admitted };
        state.read_clock(wakers);
        let LimiterState { counter, queue, .. } = state;
        let now = counter.now().max(self.time.now());
        let Queued { ticket, permits, deadline, .. } = self.queued;
        if permits > limit.burst {
            queue.leave(ticket, LOCAL_FRONT, wakers);
            return Decision::Rejected(Refusal::too_many(permits, limit));
        }
        queue.join(ticket, permits);
        let until = loop {
            match queue.position(ticket, LOCAL_FRONT) {
                Position::Front => match counter.try_acquire(now, limit, permits, &Ahead::NONE) {
                    Ok(()) => {
                        queue.leave(ticket, LOCAL_FRONT, wakers);
                        return Decision::Admitted;
                    }
                    Err(at) => break at,
                },
                Position::Behind => {
                    let due = counter.earliest_start(now, limit, queue.first_permits(limit), &Ahead::NONE);
                    if let Some(at) = queue.check_first(ticket, due, now, wakers) {
                        break at;
                    }
                }
            }
        };
        if now < deadline {
            return Decision::Sleep(until.min(deadline) - now);
        }
        // At its deadline, the call is still admitted if there is capacity for all waiters before it as well.
        let taken = counter.try_acquire(now, limit, permits, &queue.ahead(ticket, limit));
        queue.leave(ticket, LOCAL_FRONT, wakers);
        match taken {
            Ok(()) => Decision::Admitted,
            Err(_) => {
                let at = counter.earliest_start(now, limit, permits, &queue.demand(limit));
                Decision::Rejected(Refusal::until(at - now, permits, limit))
            }
        }
    }

    /// Leaves the queue, because an enclosing retry was stopped. Counts the rejection and returns its error.
    #[cold]
    fn on_stopped(&self) -> RateLimited {
        let mut wakers = Wakers::default();
        let refusal = {
            let mut state = self.limiter.state();
            let (adopted, now) = (state.apply_settings(self.settings), state.counter.now().max(self.time.now()));
            let LimiterState { counter, queue, .. } = &mut *state;
            let Queued { ticket, permits, .. } = self.queued;
            queue.leave(ticket, LOCAL_FRONT, &mut wakers);
            match adopted {
                Some(ActiveSettings { limit, .. }) if permits > limit.burst => Refusal::too_many(permits, limit),
                Some(ActiveSettings { limit, .. }) => {
                    let at = counter.earliest_start(now, limit, permits, &queue.demand(limit));
                    Refusal::until(at - now, permits, limit)
                }
                None => Refusal { retry_after: 0, permits, max_permits: u32::MAX },
            }
        };
        wakers.wake();
        self.limiter.reject(self.settings, refusal)
    }

    /// Returns a future that is ready when the waiter has to check again.
    fn signalled(&self) -> impl Future<Output = ()> {
        poll_fn(|context| {
            // The waker of the previous poll is dropped after the lock is released.
            let mut waker = Some(context.waker().clone());
            self.limiter.state().queue.sleep(self.queued.ticket, &mut waker)
        })
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        let mut wakers = Wakers::default();
        self.limiter.state().queue.leave(self.queued.ticket, LOCAL_FRONT, &mut wakers);
        wakers.wake();
    }
}
