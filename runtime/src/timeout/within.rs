use std::{
    future::{Future, poll_fn},
    mem,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::time::{Timeout as Timer, timeout_at};

use super::Timeout;
use crate::{
    TimedOut,
    clock::{self, Moment},
    stack::{Deadline, Details, FoundScope, PackedScope, TaskScope},
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
        let found = match poll_fn(|context| Poll::Ready(first_poll(call.as_mut(), context))).await {
            Ok(output) => return Ok(output),
            Err(found) => found,
        };
        start_timer(timeout, call, found).await.map_err(|_| timeout.time_out())
    }
}

/// Starts the timer of a call that was polled once. The first poll of the returned future does not poll the call again.
///
/// Not a part of [`within`], whose future would store the local variables.
#[inline]
fn start_timer<'a, F: Future>(timeout: &Timeout, call: Pin<&'a mut F>, found: FoundScope) -> Timer<LimitedCall<'a, F>> {
    let limit = timeout.limit;
    let (now, instant) = clock::now_and_timers();
    let end = now.after(clock::micros(limit));
    let call = LimitedCall { call, found, end, is_polled_already: true };
    match instant.checked_add(limit) {
        Some(end) => timeout_at(end, call),
        // If the end is out of the clock's range, tokio uses a time in the far future.
        None => tokio::time::timeout(limit, call),
    }
}

/// Polls a call whose deadline is not known yet. Returns the scope around the call if the call is pending.
#[inline]
fn first_poll<F: Future>(call: Pin<&mut F>, context: &mut Context<'_>) -> Result<F::Output, FoundScope> {
    let poll = {
        let _scope = enter_incomplete(context);
        call.poll(context)
    };
    match poll {
        Poll::Ready(output) => Ok(output),
        Poll::Pending => Err(FoundScope::around(context)),
    }
}

/// A call after its first poll.
struct LimitedCall<'a, F> {
    call: Pin<&'a mut F>,
    /// The scope around the call.
    found: FoundScope,
    end: Moment,
    /// True until the first poll of this future, which does not poll the call.
    is_polled_already: bool,
}

impl<F: Future> Future for LimitedCall<'_, F> {
    type Output = F::Output;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let Self { call, found, end, is_polled_already } = &mut *self;
        if mem::take(is_polled_already) {
            return Poll::Pending;
        }
        if !found.is_complete {
            *found = FoundScope::around(context);
        }
        let _scope = enter(found, Deadline::Task(*end), context);
        call.as_mut().poll(context)
    }
}

/// Enters the scope of a call whose deadline is not known yet.
#[inline]
fn enter_incomplete(context: &Context<'_>) -> TaskScope {
    TaskScope::enter_outermost(context, PackedScope::INCOMPLETE).unwrap_or_else(|| {
        let found = FoundScope::around(context);
        let scope = found.pack().with(PackedScope::INCOMPLETE);
        let (details, stop_signals) = match found.enclosing {
            Some(enclosing) => (Some(enclosing.details), enclosing.stop_signals),
            None => (None, Vec::new()),
        };
        TaskScope::enter(context, scope, details, stop_signals)
    })
}

/// Enters the scope of the call, with its deadline, for one poll.
fn enter(found: &FoundScope, deadline: Deadline, context: &Context<'_>) -> TaskScope {
    let (mut details, stop_signals) = match found.enclosing.as_deref() {
        Some(enclosing) => (enclosing.details, enclosing.stop_signals.clone()),
        None => (Details::NONE, Vec::new()),
    };
    details.add_deadline(deadline);
    TaskScope::enter(context, found.pack(), Some(details), stop_signals)
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
