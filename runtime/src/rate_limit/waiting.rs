//! A call that waits for capacity by the counts of this process, on a thread or in a task.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    time::Duration,
};

use super::{
    RateLimitSettings, RateLimited,
    limiter::{Adopted, Limiter, ONE, State},
    queue::{Place, Wakers},
};
use crate::{
    clock::Moment,
    totals::Count,
    wait::{self, WaitError},
};

/// A waiter. Dropped, it leaves the queue.
#[derive(Debug)]
pub(super) struct Waiting<'l> {
    limiter: &'l Limiter,
    rules: &'l RateLimitSettings,
    ticket: u64,
    /// The moment until which it waits.
    deadline: u64,
    time: OwnTime,
}

/// The time of one waiter: its arrival, and the time since by the clock that ends its sleeps. The clock that the limit reads may be
/// one of a test that stands still.
#[derive(Debug)]
pub(super) struct OwnTime {
    arrived: u64,
    timer: fn() -> Moment,
    began: Moment,
}

/// The result of a look.
enum Decision {
    Admitted,
    /// Sleeps for so many microseconds, unless it is signalled.
    Sleeps(u64),
    Rejected {
        retry_after: u64,
    },
}

impl OwnTime {
    pub(super) fn since(arrived: u64, timer: fn() -> Moment) -> Self {
        Self { arrived, timer, began: timer() }
    }

    pub(super) fn now(&self) -> u64 {
        self.arrived.saturating_add((self.timer)().as_micros().saturating_sub(self.began.as_micros()))
    }
}

impl<'l> Waiting<'l> {
    pub(super) const fn new(
        limiter: &'l Limiter,
        rules: &'l RateLimitSettings,
        ticket: u64,
        deadline: u64,
        time: OwnTime,
    ) -> Self {
        Self { limiter, rules, ticket, deadline, time }
    }

    /// Waits on the thread.
    #[cold]
    pub(super) fn on_thread(self) -> Result<(), RateLimited> {
        while let Some(limit) = self.look()? {
            if wait::on_thread(pin!(self.signalled()), limit) == Err(WaitError::Stopped) {
                return Err(self.stopped());
            }
        }
        Ok(())
    }

    /// Waits in a task.
    #[cfg(feature = "tokio")]
    pub(super) async fn in_task(self) -> Result<(), RateLimited> {
        while let Some(limit) = self.look()? {
            if wait::in_task(pin!(self.signalled()), limit).await == Err(WaitError::Stopped) {
                return Err(self.stopped());
            }
        }
        Ok(())
    }

    /// Takes capacity if it is there and it is this waiter's turn; otherwise gives how long it sleeps.
    fn look(&self) -> Result<Option<Duration>, RateLimited> {
        let mut wakers = Wakers::default();
        let decision = self.decide(&mut self.limiter.state(), &mut wakers);
        wakers.wake();
        match decision {
            Decision::Admitted => {
                self.limiter.totals.add(Count::Success);
                Ok(None)
            }
            Decision::Sleeps(micros) => Ok(Some(Duration::from_micros(micros))),
            Decision::Rejected { retry_after } => Err(self.limiter.reject(self.rules, retry_after)),
        }
    }

    fn decide(&self, state: &mut State, wakers: &mut Wakers) -> Decision {
        let Some(Adopted { limit, .. }) = state.apply_settings(self.rules) else { return Decision::Admitted };
        state.read_clock(wakers);
        let State { counter, queue, .. } = state;
        let now = counter.now().max(self.time.now());
        queue.enter(self.ticket);
        let until = loop {
            match queue.place(self.ticket, ONE) {
                Place::Turn => match counter.try_take(now, limit, 0) {
                    Ok(()) => {
                        queue.leave(self.ticket, ONE, wakers);
                        return Decision::Admitted;
                    }
                    Err(at) => break at,
                },
                Place::Behind => {
                    if let Some(at) = queue.look_after_first(self.ticket, counter.earliest(now, limit, 0), now, wakers)
                    {
                        break at;
                    }
                }
            }
        };
        if now < self.deadline {
            return Decision::Sleeps(until.min(self.deadline) - now);
        }
        // There may be enough for all waiters before it as well.
        let taken = counter.try_take(now, limit, queue.ahead(self.ticket));
        queue.leave(self.ticket, ONE, wakers);
        match taken {
            Ok(()) => Decision::Admitted,
            Err(_) => Decision::Rejected { retry_after: counter.earliest(now, limit, queue.len()) - now },
        }
    }

    /// Leaves the queue, since a retry around it is to end.
    #[cold]
    fn stopped(&self) -> RateLimited {
        let mut wakers = Wakers::default();
        let retry_after = {
            let mut state = self.limiter.state();
            let (adopted, now) = (state.apply_settings(self.rules), state.counter.now().max(self.time.now()));
            let State { counter, queue, .. } = &mut *state;
            queue.leave(self.ticket, ONE, &mut wakers);
            adopted.map_or(0, |Adopted { limit, .. }| counter.earliest(now, limit, queue.len()) - now)
        };
        wakers.wake();
        self.limiter.reject(self.rules, retry_after)
    }

    /// Gives a future that is ready when the waiter has to look again.
    fn signalled(&self) -> impl Future<Output = ()> {
        poll_fn(|context| {
            // The waker of the poll before is dropped after the lock.
            let mut waker = Some(context.waker().clone());
            self.limiter.state().queue.sleep(self.ticket, &mut waker)
        })
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut wakers = Wakers::default();
        self.limiter.state().queue.leave(self.ticket, ONE, &mut wakers);
        wakers.wake();
    }
}
