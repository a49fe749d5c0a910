//! A call under a rate limit with an external store. The waiting calls of this process form a queue; the waiters in its front send requests
//! to the store when there may be capacity.
//!
//! **Invariant:** while calls wait, a request outlives the caller that sent it. A caller that gives up hands its request over to the queue,
//! and the next waiter in the front takes the request over and receives its response. So no capacity is lost if a caller gives up while its
//! request is in flight.
//!
//! **Invariant:** capacity goes to the waiters in their order, whichever of them sent the request. If the store admits a waiter while
//! others are ahead of it, the admission passes to the first of these, and the waiter keeps waiting. An admission passes only to a waiter for
//! as many permits. While a waiter is for several permits, only the first waiter sends requests.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    task::{Context, Poll},
    time::Duration,
};

use super::{
    RateLimitDecision,
    limiter::{Limiter, LimiterState, Refusal},
    queue::{Position, Wakers},
    settings::{ActiveSettings, RateLimitSettings},
    store_queue::StoreQueue,
    store_request::StoreRequest,
    waiter::WaitClock,
};
use crate::{
    RateLimited, clock,
    panics::contain,
    totals::Count,
    wait::{self, WaitError},
};

/// Acquires capacity from the store. Returns `None` if the call is admitted. Returns the rest of its `max_wait` in microseconds if the
/// counts of this process have to decide: the store cannot, or the settings no longer have one.
pub(super) async fn acquire(
    limiter: &Limiter,
    settings: &RateLimitSettings,
    permits: u32,
) -> Result<Option<u64>, RateLimited> {
    let Some(mut waiter) = StoreWaiter::arrive(limiter, settings, permits)? else { return Ok(Some(0)) };
    loop {
        let limit = match waiter.check()? {
            Step::Admitted => return Ok(None),
            Step::Sleep(micros) => Some(Duration::from_micros(micros)),
            Step::Request => None,
        };
        if let Some(limit) = limit {
            if wait::in_task(pin!(waiter.signalled()), limit).await == Err(WaitError::Stopped) {
                return Err(waiter.on_stopped());
            }
            continue;
        }
        if waiter.request.is_none() {
            let now = waiter.with_queue(|_, now, _, _| now);
            waiter.request = StoreRequest::send(settings, limiter.key.clone(), permits, now);
        }
        let Some(request) = &waiter.request else { return Ok(Some(waiter.remaining_wait())) };
        let (sent, version) = (request.sent, request.version);
        match waiter.response().await {
            Some(RateLimitDecision::Admitted) if waiter.on_admitted() => return Ok(None),
            Some(RateLimitDecision::Admitted) | None => {}
            Some(RateLimitDecision::Rejected { retry_after }) => waiter.on_rejected(retry_after, sent, version)?,
            Some(RateLimitDecision::Unknown) => return Ok(Some(waiter.remaining_wait())),
        }
    }
}

/// The next step of a call.
enum Step {
    Admitted,
    /// Send a request, or wait for the response to one.
    Request,
    /// Sleep for these microseconds, or until a signal.
    Sleep(u64),
}

/// A call that sends requests to the store, or waits to do so. Dropping it removes it from the queue and hands its request over.
struct StoreWaiter<'l> {
    limiter: &'l Limiter,
    settings: &'l RateLimitSettings,
    /// The settings at the arrival of the call.
    initial: ActiveSettings,
    ticket: u64,
    permits: u32,
    deadline: u64,
    time: WaitClock,
    /// True if the call is in the queue. A call that arrives while none waits sends a request at once.
    is_queued: bool,
    /// The request in flight: its own, or one that it has taken over.
    request: Option<StoreRequest>,
}

impl<'l> StoreWaiter<'l> {
    /// Creates the waiter of a call that arrives. It sends a request at once if no other call waits, or if it must not wait itself.
    /// Otherwise it joins the queue, or is rejected if it cannot be admitted in time. Returns `None` if there are no settings.
    fn arrive(
        limiter: &'l Limiter,
        settings: &'l RateLimitSettings,
        permits: u32,
    ) -> Result<Option<Self>, RateLimited> {
        let mut wakers = Wakers::default();
        let arrival = {
            let mut state = limiter.state();
            let Some(active) = state.apply_settings(settings) else { return Ok(None) };
            if permits > active.limit.burst {
                drop(state);
                return Err(limiter.reject(settings, Refusal::too_many(permits, active.limit)));
            }
            let arrived = state.read_clock(&mut wakers);
            let now = state.counter.now();
            let store_queue = state.store_queue();
            store_queue.check_first(now, &mut wakers);
            // A call that does not wait is decided by the store.
            let is_queued = active.max_wait > 0 && store_queue.len() > 0;
            let at = if is_queued { store_queue.earliest_start(now, permits, &active) } else { now };
            if at - now > active.max_wait {
                Err(Refusal::until(at - now, permits, active.limit))
            } else {
                let ticket = store_queue.queue.issue_ticket();
                if is_queued {
                    store_queue.queue.join(ticket, permits);
                }
                Ok((ticket, active, is_queued, arrived, now.saturating_add(active.max_wait)))
            }
        };
        wakers.wake();
        match arrival {
            Ok((ticket, initial, is_queued, arrived, deadline)) => {
                let time = WaitClock::since(arrived, clock::task_now);
                Ok(Some(Self { limiter, settings, initial, ticket, permits, deadline, time, is_queued, request: None }))
            }
            Err(refusal) => Err(limiter.reject(settings, refusal)),
        }
    }

    /// Returns the next step. Takes an admission that was passed to the waiter; in the front of the queue, takes over a request that
    /// another caller has left.
    fn check(&mut self) -> Result<Step, RateLimited> {
        if !self.is_queued {
            return Ok(Step::Request);
        }
        let has_request = self.request.is_some();
        let (version, mut expired) = (self.settings.version(), Vec::new());
        let checked = self.with_queue(|store_queue, now, settings, wakers| {
            if self.permits > settings.limit.burst {
                store_queue.leave(self.ticket, wakers);
                return Err(Refusal::too_many(self.permits, settings.limit));
            }
            store_queue.queue.join(self.ticket, self.permits);
            if store_queue.is_granted(self.ticket, self.permits) {
                store_queue.take_grant(self.ticket, wakers);
                return Ok((Step::Admitted, None));
            }
            if has_request {
                return Ok((Step::Request, None));
            }
            let full_until = store_queue.full_until(self.permits);
            let until = loop {
                match store_queue.queue.position(self.ticket, store_queue.front()) {
                    Position::Front if !store_queue.orphaned.is_empty() => match store_queue.orphaned.pop_front() {
                        Some(request) if request.is_usable(now, version) && request.is_for(self.permits) => {
                            return Ok((Step::Request, Some(request)));
                        }
                        request => expired.extend(request),
                    },
                    Position::Front if full_until <= now => return Ok((Step::Request, None)),
                    Position::Front if full_until > self.deadline => break now,
                    Position::Front => break full_until,
                    Position::Behind => {
                        let due = store_queue.full_until(store_queue.queue.first_permits(settings.limit));
                        if let Some(at) = store_queue.queue.check_first(self.ticket, due, now, wakers) {
                            break at;
                        }
                    }
                }
            };
            let until = until.min(self.deadline);
            if until > now {
                return Ok((Step::Sleep(until - now), None));
            }
            store_queue.leave(self.ticket, wakers);
            Err(self.refusal(store_queue, now, settings))
        });
        match checked {
            Ok((step, request)) => {
                if let Step::Admitted = step {
                    self.limiter.count(Count::Success);
                }
                if let Some(request) = request {
                    self.request = Some(request.taken_over());
                }
                Ok(step)
            }
            Err(refusal) => Err(self.limiter.reject(self.settings, refusal)),
        }
    }

    /// Waits for the response to the request. Returns `None` if the waiter has to check again: there was no response to a request that it
    /// has taken over, or an admission was passed to it.
    async fn response(&mut self) -> Option<RateLimitDecision> {
        poll_fn(|context| {
            // Taken out, so that a request whose store panics is not handed over.
            let Some(mut request) = self.request.take() else { return Poll::Ready(None) };
            let polled = request.poll(context);
            if polled.is_pending() {
                self.request = Some(request);
                if self.is_queued && self.poll_granted(context) {
                    return Poll::Ready(None);
                }
            }
            polled
        })
        .await
    }

    /// Records that the store had no capacity when the request was sent. The call waits in the queue if it can be admitted in time.
    fn on_rejected(&mut self, retry_after: Duration, sent: u64, version: u32) -> Result<(), RateLimited> {
        let retry_after = clock::micros(retry_after).max(1);
        let is_current = self.settings.version() == version;
        let rejected = self.with_queue(|store_queue, now, settings, wakers| {
            // By a different clock, `sent` may lie after `now`.
            let full_until = is_current.then(|| sent.min(now).saturating_add(retry_after));
            let full_until = store_queue.on_rejected(self.permits, full_until);
            if full_until.is_some_and(|until| until > self.deadline)
                && !store_queue.is_granted(self.ticket, self.permits)
            {
                store_queue.leave(self.ticket, wakers);
                return Err(self.refusal(store_queue, now, settings));
            }
            store_queue.queue.join(self.ticket, self.permits);
            Ok(())
        });
        self.is_queued = true;
        rejected.map_err(|refusal| self.limiter.reject(self.settings, refusal))
    }

    /// Leaves the queue, because an enclosing retry was stopped. Counts the rejection and returns its error.
    fn on_stopped(&self) -> RateLimited {
        let refusal = self.with_queue(|store_queue, now, settings, wakers| {
            store_queue.leave(self.ticket, wakers);
            self.refusal(store_queue, now, settings)
        });
        self.limiter.reject(self.settings, refusal)
    }

    /// The rejection of the call after it has left the queue.
    fn refusal(&self, store_queue: &StoreQueue, now: u64, settings: &ActiveSettings) -> Refusal {
        let at = store_queue.earliest_start(now, self.permits, settings);
        Refusal::until(at - now, self.permits, settings.limit)
    }

    /// Records an admission by the store. Returns true if it is for this call; false if it passes to a waiter ahead that has none yet.
    fn on_admitted(&self) -> bool {
        let is_own = self.with_queue(|store_queue, _, _, wakers| {
            !self.is_queued || store_queue.on_admitted(self.ticket, self.permits, wakers)
        });
        if is_own {
            self.limiter.count(Count::Success);
        }
        is_own
    }

    /// Returns true if an admission was passed to the waiter. Otherwise registers its task to be woken when one is.
    fn poll_granted(&self, context: &Context<'_>) -> bool {
        // The waker of the previous poll is dropped after the lock is released.
        let mut waker = Some(context.waker().clone());
        let mut state = self.limiter.state();
        let store_queue = state.store_queue();
        let is_granted = store_queue.is_granted(self.ticket, self.permits);
        if !is_granted {
            store_queue.queue.listen(self.ticket, &mut waker);
        }
        is_granted
    }

    /// Returns the microseconds until its deadline.
    fn remaining_wait(&self) -> u64 {
        self.deadline.saturating_sub(self.time.now())
    }

    /// Returns a future that is ready when the waiter has to check again.
    fn signalled(&self) -> impl Future<Output = ()> + use<'l> {
        let (limiter, ticket) = (self.limiter, self.ticket);
        poll_fn(move |context| {
            let mut waker = Some(context.waker().clone());
            match &mut limiter.state().store_queue {
                Some(store_queue) => store_queue.queue.sleep(ticket, &mut waker),
                None => Poll::Ready(()),
            }
        })
    }

    /// Runs `act` on the queue under the lock, with the waiter's own time and the settings in force.
    fn with_queue<T>(&self, act: impl FnOnce(&mut StoreQueue, u64, &ActiveSettings, &mut Wakers) -> T) -> T {
        let mut wakers = Wakers::default();
        let result = {
            let mut state = self.limiter.state();
            let settings = state.apply_settings(self.settings).unwrap_or(self.initial);
            state.read_clock(&mut wakers);
            let now = state.counter.now().max(self.time.now());
            act(state.store_queue(), now, &settings, &mut wakers)
        };
        wakers.wake();
        result
    }
}

impl Drop for StoreWaiter<'_> {
    fn drop(&mut self) {
        let (request, mut wakers) = (self.request.take(), Wakers::default());
        let version = self.settings.version();
        // A request that no waiter takes over is dropped after the lock is released.
        let unused = {
            let mut state = self.limiter.state();
            let now = state.counter.now().max(self.time.now());
            let store_queue = state.store_queue();
            store_queue.leave(self.ticket, &mut wakers);
            store_queue.hand_over(request, now, version, &mut wakers)
        };
        wakers.wake();
        contain(|| drop(unused));
    }
}

impl LimiterState {
    fn store_queue(&mut self) -> &mut StoreQueue {
        self.store_queue.get_or_insert_with(|| Box::new(StoreQueue::new()))
    }
}
