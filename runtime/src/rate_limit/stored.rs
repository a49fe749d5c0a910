//! A call under a limit that a store counts. The calls of this process that wait stand in a queue; the first of them asks the store again
//! when there may be capacity.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    time::Duration,
};

use super::{
    Algorithm, RateLimitConfig, RateLimitDecision, RateLimitRequest, RateLimited, Rules,
    config::Store,
    limiter::{Adopted, Limiter, State},
    queue::{Place, Queue, Wakers},
    waiting::OwnTime,
};
use crate::{
    clock,
    key::Key,
    totals::Count,
    wait::{self, Ended},
};

/// The most waiters that may ask the store at once. Their number begins at one, rises by one with each that is admitted, and is one again
/// after a refusal: so a large limit is served in a few ways to the store and back, and a small one does not make all waiters ask.
const MOST_TURNS: usize = 64;

/// The waiters for capacity by the counts of a store.
#[derive(Debug)]
pub(super) struct Line {
    queue: Queue,
    /// The number of waiters that may ask at once.
    turns: usize,
    /// The moment before which the store has no capacity under these settings, by its last answer.
    full_until: u64,
}

impl Line {
    const fn new() -> Self {
        Self { queue: Queue::new(), turns: 1, full_until: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    /// Lets the waiters ask again: the last answer was about other settings, or by another clock.
    pub(super) fn signal(&mut self, wakers: &mut Wakers) {
        (self.full_until, self.turns) = (0, 1);
        self.queue.signal(self.turns, wakers);
    }

    /// Looks after the first for a call that arrives: it may be rejected, so that nobody looks any more.
    fn look_after_first(&mut self, now: u64, wakers: &mut Wakers) {
        if self.queue.len() > 0 {
            _ = self.queue.look_after_first(u64::MAX, self.full_until, now, wakers);
        }
    }

    /// A moment before which the store has no capacity for a call behind all waiters, if each of those is made. Other processes may take
    /// capacity, so that it comes later.
    fn earliest(&self, now: u64, adopted: &Adopted) -> u64 {
        let (calls, per) = (u64::from(adopted.limit.calls), adopted.limit.per);
        let ahead = u64::try_from(self.queue.len()).unwrap_or(u64::MAX);
        let spacing = match adopted.algorithm {
            Algorithm::SlidingWindow => (ahead / calls).saturating_mul(per),
            // One by one from a full bucket, and otherwise one by one after as many as it holds.
            Algorithm::Gcra => {
                let ahead = if self.full_until > now { ahead } else { (ahead + 1).saturating_sub(calls) };
                u64::try_from(u128::from(ahead) * u128::from(per) / u128::from(calls)).unwrap_or(u64::MAX)
            }
        };
        self.full_until.max(now).saturating_add(spacing)
    }
}

/// Asks the store until it admits the call. `Some` if it can't say, with the microseconds that are left of the wait.
pub(super) async fn ask(limiter: &Limiter, rules: &Rules) -> Result<Option<u64>, RateLimited> {
    let Some(mut caller) = Caller::arrive(limiter, rules)? else { return Ok(Some(0)) };
    loop {
        while let Some(limit) = caller.look()? {
            if wait::in_task(pin!(caller.signalled()), limit).await == Err(Ended::Stopped) {
                return Err(caller.stopped());
            }
        }
        // In this order: at worst a refusal counts as one under settings that are gone, and the store is asked again.
        let (version, config) = (rules.version(), rules.config());
        let Some(config @ RateLimitConfig { store: Some(Store(store)), .. }) = config else {
            return Ok(Some(caller.left()));
        };
        let key = limiter.key.as_ref();
        let (key, overflow) = (key.and_then(Key::text).map(AsRef::as_ref), key.is_some_and(Key::is_overflow));
        let request = RateLimitRequest { name: rules.name, key, overflow, config };
        match store.acquire(&request).await {
            RateLimitDecision::Admitted => {
                caller.admitted();
                return Ok(None);
            }
            RateLimitDecision::Rejected { retry_after } => caller.refused(retry_after, version)?,
            RateLimitDecision::Unknown => return Ok(Some(caller.left())),
        }
    }
}

/// A call that asks the store, or waits to ask. Dropped, it leaves the queue.
struct Caller<'l> {
    limiter: &'l Limiter,
    rules: &'l Rules,
    /// The settings at its arrival.
    adopted: Adopted,
    ticket: u64,
    deadline: u64,
    time: OwnTime,
    /// True if it waits for its turn to ask; a call that arrives while none waits asks at once.
    is_queued: bool,
}

impl<'l> Caller<'l> {
    /// A call that asks at once if none waits, and otherwise comes last, if its turn can come in time. `None` if there are no settings.
    fn arrive(limiter: &'l Limiter, rules: &'l Rules) -> Result<Option<Self>, RateLimited> {
        let mut wakers = Wakers::default();
        let entered = {
            let mut state = limiter.state();
            let Some(adopted) = state.adopt(rules) else { return Ok(None) };
            let arrived = state.read_clock(&mut wakers);
            let now = state.meter.now();
            let line = state.line();
            line.look_after_first(now, &mut wakers);
            // A call that may not wait is decided by the store.
            let is_queued = adopted.wait > 0 && line.len() > 0;
            let at = if is_queued { line.earliest(now, &adopted) } else { now };
            if at - now > adopted.wait {
                Err(at - now)
            } else {
                let ticket = line.queue.ticket();
                if is_queued {
                    line.queue.enter(ticket);
                }
                Ok((ticket, adopted, is_queued, arrived, now.saturating_add(adopted.wait)))
            }
        };
        wakers.wake();
        match entered {
            Ok((ticket, adopted, is_queued, arrived, deadline)) => {
                let time = OwnTime::since(arrived, clock::task_now);
                Ok(Some(Self { limiter, rules, adopted, ticket, deadline, time, is_queued }))
            }
            Err(retry_after) => Err(limiter.reject(rules, retry_after)),
        }
    }

    /// Gives how long it sleeps, or `None` if it is its turn to ask.
    fn look(&self) -> Result<Option<Duration>, RateLimited> {
        if !self.is_queued {
            return Ok(None);
        }
        let looked = self.with(|line, now, adopted, wakers| {
            line.queue.enter(self.ticket);
            let until = loop {
                match line.queue.place(self.ticket, line.turns) {
                    Place::Turn if line.full_until <= now => return Ok(None),
                    Place::Turn if line.full_until > self.deadline => break now,
                    Place::Turn => break line.full_until,
                    Place::Behind => {
                        if let Some(at) = line.queue.look_after_first(self.ticket, line.full_until, now, wakers) {
                            break at;
                        }
                    }
                }
            };
            let until = until.min(self.deadline);
            if until > now {
                return Ok(Some(until - now));
            }
            line.queue.leave(self.ticket, line.turns, wakers);
            Err(line.earliest(now, adopted) - now)
        });
        match looked {
            Ok(sleep) => Ok(sleep.map(Duration::from_micros)),
            Err(retry_after) => Err(self.limiter.reject(self.rules, retry_after)),
        }
    }

    /// Notes that the store has no capacity now. The call waits for its turn to ask again, if that comes in time.
    fn refused(&mut self, retry_after: Duration, version: u32) -> Result<(), RateLimited> {
        let retry_after = clock::micros(retry_after).max(1);
        let is_current = self.rules.version() == version;
        let refused = self.with(|line, now, adopted, wakers| {
            line.turns = 1;
            if is_current {
                line.full_until = now.saturating_add(retry_after);
                if line.full_until > self.deadline {
                    line.queue.leave(self.ticket, line.turns, wakers);
                    return Err(line.earliest(now, adopted) - now);
                }
            }
            line.queue.enter(self.ticket);
            Ok(())
        });
        self.is_queued = true;
        refused.map_err(|retry_after| self.limiter.reject(self.rules, retry_after))
    }

    /// Leaves the queue, since a retry around it is to end.
    fn stopped(&self) -> RateLimited {
        let retry_after = self.with(|line, now, adopted, wakers| {
            line.queue.leave(self.ticket, line.turns, wakers);
            line.earliest(now, adopted) - now
        });
        self.limiter.reject(self.rules, retry_after)
    }

    fn admitted(self) {
        self.with(|line, _, _, wakers| {
            if self.is_queued {
                line.turns = (line.turns + 1).min(MOST_TURNS);
                line.queue.leave(self.ticket, line.turns, wakers);
                line.queue.signal(line.turns, wakers);
            }
        });
        self.limiter.totals.add(Count::Success);
    }

    /// The rest of its wait, in microseconds.
    fn left(&self) -> u64 {
        self.deadline.saturating_sub(self.time.now())
    }

    /// Gives a future that is ready when the call has to look again.
    fn signalled(&self) -> impl Future<Output = ()> {
        poll_fn(|context| {
            let mut waker = Some(context.waker().clone());
            match &mut self.limiter.state().line {
                Some(line) => line.queue.sleep(self.ticket, &mut waker),
                None => std::task::Poll::Ready(()),
            }
        })
    }

    /// Looks at the line, at the moment of this caller's own time.
    fn with<T>(&self, act: impl FnOnce(&mut Line, u64, &Adopted, &mut Wakers) -> T) -> T {
        let mut wakers = Wakers::default();
        let result = {
            let mut state = self.limiter.state();
            let adopted = state.adopt(self.rules).unwrap_or(self.adopted);
            state.read_clock(&mut wakers);
            let now = state.meter.now().max(self.time.now());
            act(state.line(), now, &adopted, &mut wakers)
        };
        wakers.wake();
        result
    }
}

impl Drop for Caller<'_> {
    fn drop(&mut self) {
        let mut wakers = Wakers::default();
        if let Some(line) = &mut self.limiter.state().line {
            line.queue.leave(self.ticket, line.turns, &mut wakers);
        }
        wakers.wake();
    }
}

impl State {
    fn line(&mut self) -> &mut Line {
        self.line.get_or_insert_with(|| Box::new(Line::new()))
    }
}
