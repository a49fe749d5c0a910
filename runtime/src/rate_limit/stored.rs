//! A call under a limit that a store counts. The calls of this process that wait stand in a queue; the first of them asks the store again
//! when there may be capacity.
//!
//! **Invariant:** while calls wait, a question outlives the caller that asked it. A caller that gives up hands it on to the line, and the
//! next whose turn it is takes it over with its answer, so that no capacity is lost with those who give up on the way to the store.
//!
//! **Invariant:** whoever has asked, capacity goes to the waiters in their order. A waiter that is admitted while others are ahead leaves
//! the permit to them.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    task::{Context, Poll},
    time::Duration,
};

use super::{
    RateLimitDecision, RateLimitSettings, RateLimited,
    limiter::{Adopted, Limiter, State},
    line::{Line, MOST_TURNS},
    question::Question,
    queue::{Place, Wakers},
    waiting::OwnTime,
};
use crate::{
    clock,
    panics::contain,
    totals::Count,
    wait::{self, WaitError},
};

/// Asks the store until it admits the call. `Some` if it can't say, with the microseconds that are left of the wait.
pub(super) async fn ask(limiter: &Limiter, rules: &RateLimitSettings) -> Result<Option<u64>, RateLimited> {
    let Some(mut caller) = Caller::arrive(limiter, rules)? else { return Ok(Some(0)) };
    loop {
        let limit = match caller.look()? {
            Look::Admitted => return Ok(None),
            Look::Sleeps(micros) => Some(Duration::from_micros(micros)),
            Look::Asks => None,
        };
        if let Some(limit) = limit {
            if wait::in_task(pin!(caller.signalled()), limit).await == Err(WaitError::Stopped) {
                return Err(caller.stopped());
            }
            continue;
        }
        if caller.question.is_none() {
            let asked = caller.with(|_, now, _, _| now);
            caller.question = Question::ask(limiter, rules, asked);
        }
        let Some(question) = &caller.question else { return Ok(Some(caller.left())) };
        let (asked, version) = (question.asked, question.version);
        match caller.answer().await {
            Some(RateLimitDecision::Admitted) if caller.admitted() => return Ok(None),
            Some(RateLimitDecision::Admitted) | None => {}
            Some(RateLimitDecision::Rejected { retry_after }) => caller.refused(retry_after, asked, version)?,
            Some(RateLimitDecision::Unknown) => return Ok(Some(caller.left())),
        }
    }
}

/// The result of a look.
enum Look {
    Admitted,
    Asks,
    /// Sleeps for so many microseconds, unless it is signalled.
    Sleeps(u64),
}

/// A call that asks the store, or waits to ask. Dropped, it leaves the queue and hands on its question.
struct Caller<'l> {
    limiter: &'l Limiter,
    rules: &'l RateLimitSettings,
    /// The settings at its arrival.
    adopted: Adopted,
    ticket: u64,
    deadline: u64,
    time: OwnTime,
    /// True if it waits for its turn to ask; a call that arrives while none waits asks at once.
    is_queued: bool,
    /// Its question under way, or one that it has taken over.
    question: Option<Question>,
}

impl<'l> Caller<'l> {
    /// A call that asks at once if none waits, and otherwise comes last, if its turn can come in time. `None` if there are no settings.
    fn arrive(limiter: &'l Limiter, rules: &'l RateLimitSettings) -> Result<Option<Self>, RateLimited> {
        let mut wakers = Wakers::default();
        let entered = {
            let mut state = limiter.state();
            let Some(adopted) = state.apply_settings(rules) else { return Ok(None) };
            let arrived = state.read_clock(&mut wakers);
            let now = state.counter.now();
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
                Ok(Some(Self { limiter, rules, adopted, ticket, deadline, time, is_queued, question: None }))
            }
            Err(retry_after) => Err(limiter.reject(rules, retry_after)),
        }
    }

    /// Takes a permit that is left for it, or a question, if it is its turn.
    fn look(&mut self) -> Result<Look, RateLimited> {
        if !self.is_queued {
            return Ok(Look::Asks);
        }
        let is_asking = self.question.is_some();
        let (version, mut lapsed) = (self.rules.version(), Vec::new());
        let looked = self.with(|line, now, adopted, wakers| {
            line.queue.enter(self.ticket);
            if line.is_granted(self.ticket) {
                line.granted -= 1;
                line.leave(self.ticket, wakers);
                return Ok((Look::Admitted, None));
            }
            if is_asking {
                return Ok((Look::Asks, None));
            }
            let until = loop {
                match line.queue.place(self.ticket, line.turns) {
                    Place::Turn if !line.questions.is_empty() => match line.questions.pop_front() {
                        Some(question) if question.is_of_use(now, version) => return Ok((Look::Asks, Some(question))),
                        question => lapsed.extend(question),
                    },
                    Place::Turn if line.full_until <= now => return Ok((Look::Asks, None)),
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
                return Ok((Look::Sleeps(until - now), None));
            }
            line.leave(self.ticket, wakers);
            Err(line.earliest(now, adopted) - now)
        });
        match looked {
            Ok((look, question)) => {
                if let Look::Admitted = look {
                    self.limiter.totals.add(Count::Success);
                }
                if let Some(question) = question {
                    self.question = Some(question.taken_over());
                }
                Ok(look)
            }
            Err(retry_after) => Err(self.limiter.reject(self.rules, retry_after)),
        }
    }

    /// Gives the answer to its question; `None` if it has to look again, since one that it has taken over gives none, or
    /// a permit is left for it.
    async fn answer(&mut self) -> Option<RateLimitDecision> {
        poll_fn(|context| {
            // Out of its place, so that a question that panics is not handed on.
            let Some(mut question) = self.question.take() else { return Poll::Ready(None) };
            let polled = question.poll(context);
            if polled.is_pending() {
                self.question = Some(question);
                if self.is_queued && self.is_granted_or_listens(context) {
                    return Poll::Ready(None);
                }
            }
            polled
        })
        .await
    }

    /// Notes that the store had no capacity when it was asked. The call waits for its turn to ask again, if that comes in time.
    fn refused(&mut self, retry_after: Duration, asked: u64, version: u32) -> Result<(), RateLimited> {
        let retry_after = clock::micros(retry_after).max(1);
        let is_current = self.rules.version() == version;
        let refused = self.with(|line, now, adopted, wakers| {
            line.turns = 1;
            if is_current {
                // By another clock it may have been asked any time from now.
                line.full_until = asked.min(now).saturating_add(retry_after);
                if line.full_until > self.deadline && !line.is_granted(self.ticket) {
                    line.leave(self.ticket, wakers);
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
            line.leave(self.ticket, wakers);
            line.earliest(now, adopted) - now
        });
        self.limiter.reject(self.rules, retry_after)
    }

    /// Notes that the store has admitted a call: this one, unless others are ahead that have no permit yet. `false` if it is left to them.
    fn admitted(&self) -> bool {
        let is_own = self.with(|line, _, _, wakers| {
            if !self.is_queued {
                return true;
            }
            line.turns = (line.turns + 1).min(MOST_TURNS);
            let is_own = line.queue.ahead(self.ticket) <= line.granted;
            if is_own {
                line.leave(self.ticket, wakers);
            } else {
                line.granted += 1;
            }
            line.queue.signal(line.turns.max(line.granted), wakers);
            is_own
        });
        if is_own {
            self.limiter.totals.add(Count::Success);
        }
        is_own
    }

    /// True if a permit is left for it; otherwise it is woken when one is, though it does not sleep.
    fn is_granted_or_listens(&self, context: &Context<'_>) -> bool {
        // The waker of the poll before is dropped after the lock.
        let mut waker = Some(context.waker().clone());
        let mut state = self.limiter.state();
        let line = state.line();
        let is_granted = line.is_granted(self.ticket);
        if !is_granted {
            line.queue.listen(self.ticket, &mut waker);
        }
        is_granted
    }

    /// The rest of its wait, in microseconds.
    fn left(&self) -> u64 {
        self.deadline.saturating_sub(self.time.now())
    }

    /// Gives a future that is ready when the call has to look again.
    fn signalled(&self) -> impl Future<Output = ()> + use<'l> {
        let (limiter, ticket) = (self.limiter, self.ticket);
        poll_fn(move |context| {
            let mut waker = Some(context.waker().clone());
            match &mut limiter.state().line {
                Some(line) => line.queue.sleep(ticket, &mut waker),
                None => Poll::Ready(()),
            }
        })
    }

    /// Looks at the line, at the moment of this caller's own time.
    fn with<T>(&self, act: impl FnOnce(&mut Line, u64, &Adopted, &mut Wakers) -> T) -> T {
        let mut wakers = Wakers::default();
        let result = {
            let mut state = self.limiter.state();
            let adopted = state.apply_settings(self.rules).unwrap_or(self.adopted);
            state.read_clock(&mut wakers);
            let now = state.counter.now().max(self.time.now());
            act(state.line(), now, &adopted, &mut wakers)
        };
        wakers.wake();
        result
    }
}

impl Drop for Caller<'_> {
    fn drop(&mut self) {
        let (question, mut wakers) = (self.question.take(), Wakers::default());
        let version = self.rules.version();
        // A question that nobody takes over is dropped without the lock.
        let left = {
            let mut state = self.limiter.state();
            let now = state.counter.now().max(self.time.now());
            let line = state.line();
            line.leave(self.ticket, &mut wakers);
            line.hand_on(question, now, version, &mut wakers)
        };
        wakers.wake();
        contain(|| drop(left));
    }
}

impl State {
    fn line(&mut self) -> &mut Line {
        self.line.get_or_insert_with(|| Box::new(Line::new()))
    }
}
