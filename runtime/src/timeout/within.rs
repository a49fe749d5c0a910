use std::{
    future::{Future, poll_fn},
    pin::Pin,
    task::{Context, Poll},
};

use tokio::time::{Timeout as Timer, timeout_at};

use super::Timeout;
use crate::{
    TimedOut, clock,
    stack::{Deadline, FoundScope, PackedScope, SleepClock, TaskScope},
};

/// Awaits a call for at most the limit.
///
/// A call that completes at its first poll needs no timer. If the first poll is pending, the timer starts, and calls inside find the
/// deadline from then on.
#[allow(clippy::manual_async_fn, reason = "the future of an `async fn` stores the arguments twice")]
pub fn within<F: Future>(
    timeout: &Timeout,
    mut call: Pin<&mut F>,
) -> impl Future<Output = Result<F::Output, TimedOut>> {
    async move {
        if let Poll::Ready(output) = poll_fn(|context| Poll::Ready(first_poll(call.as_mut(), context))).await {
            return Ok(output);
        }
        start_timer(timeout, call).await.map_err(|_| timeout.time_out())
    }
}

/// Starts the timer of a call that was polled once. The first poll of the returned future does not poll the call again.
///
/// Not a part of [`within`], whose future would store the local variables.
#[inline]
fn start_timer<'a, F: Future>(timeout: &Timeout, call: Pin<&'a mut F>) -> Timer<LimitedCall<'a, F>> {
    let limit = timeout.limit;
    let (now, instant) = clock::now_and_timers();
    let call = LimitedCall { call, around: None, deadline: Deadline::new(now, limit, SleepClock::Task) };
    match instant.checked_add(limit) {
        Some(end) => timeout_at(end, call),
        // If the end is out of the clock's range, tokio uses a time in the far future.
        None => tokio::time::timeout(limit, call),
    }
}

/// Polls a call whose deadline is not known yet.
#[inline]
fn first_poll<F: Future>(call: Pin<&mut F>, context: &mut Context<'_>) -> Poll<F::Output> {
    let _scope =
        TaskScope::enter_outermost(context, PackedScope::INCOMPLETE).unwrap_or_else(|| enter_incomplete(context));
    call.poll(context)
}

/// A call after its first poll.
struct LimitedCall<'a, F> {
    call: Pin<&'a mut F>,
    /// The scope around the call; `None` until the first poll of this future, which does not poll the call.
    around: Option<FoundScope>,
    deadline: Deadline,
}

impl<F: Future> Future for LimitedCall<'_, F> {
    type Output = F::Output;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let Self { call, around, deadline } = &mut *self;
        let Some(around) = around else {
            *around = Some(FoundScope::around(context));
            return Poll::Pending;
        };
        if !around.is_complete {
            *around = FoundScope::around(context);
        }
        let _scope = enter(around, Some(*deadline), context);
        call.as_mut().poll(context)
    }
}

/// Enters the scope of a call whose deadline is not known yet, within another scope.
#[cold]
#[inline(never)]
fn enter_incomplete(context: &Context<'_>) -> TaskScope {
    enter(&FoundScope::around(context), None, context)
}

/// Enters the scope of the call for one poll, with its deadline if it is known.
#[inline(never)]
fn enter(around: &FoundScope, deadline: Option<Deadline>, context: &Context<'_>) -> TaskScope {
    let (mut scope, mut details) = (around.pack(), around.enclosing.details());
    match deadline {
        Some(deadline) => details.add_deadline(deadline),
        None => scope = scope.with(PackedScope::INCOMPLETE),
    }
    TaskScope::enter(context, scope, details, around.enclosing.stop_signals())
}

#[cfg(test)]
mod tests {
    use std::{future::pending, pin::pin, time::Duration};

    use tokio::time::Sleep;

    use super::*;

    #[test]
    fn the_future_is_little_larger_than_a_timer() {
        let limit = Timeout::new(Duration::from_secs(1));
        let call = pin!(pending::<()>());
        assert!(size_of_val(&within(&limit, call)) <= size_of::<Sleep>() + 64);
    }
}
