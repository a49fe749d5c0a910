use std::{
    future::{Future, poll_fn},
    pin::Pin,
    task::Poll,
};

use super::Timeout;
use crate::{
    TimedOut, clock,
    stack::{Deadline, EnclosingCalls, FoundScope, PackedScope, SleepClock, TaskScope},
};

/// Awaits a call for at most the limit.
///
/// A call that completes at its first poll needs no timer. If the first poll is pending, the timer starts, and calls inside find the
/// deadline from then on. The first poll of the timer's future returns `Pending` without polling the call a second time.
pub async fn within<F: Future>(timeout: &Timeout, mut call: Pin<&mut F>) -> Result<F::Output, TimedOut> {
    let first_poll = poll_fn(|context| {
        let mut found = FoundScope::EMPTY;
        let scope = TaskScope::enter_outermost(context, PackedScope::INCOMPLETE).unwrap_or_else(|| {
            found = FoundScope::of_task(PackedScope::current(), context);
            let scope = pack(&found).with(PackedScope::INCOMPLETE);
            TaskScope::enter(context, scope, found.enclosing.as_deref().cloned())
        });
        let polled = call.as_mut().poll(context);
        drop(scope);
        Poll::Ready(match polled {
            Poll::Ready(output) => Ok(output),
            Poll::Pending => Err(found),
        })
    });
    let mut found = match first_poll.await {
        Ok(output) => return Ok(output),
        Err(found) => found,
    };
    let limit = timeout.limit;
    let (now, instant) = clock::now_and_timers();
    let deadline = Deadline::new(now, limit, SleepClock::Task);
    let mut is_polled_already = true;
    let rest = poll_fn(|context| {
        if std::mem::take(&mut is_polled_already) {
            return Poll::Pending;
        }
        if !found.is_complete {
            found = FoundScope::of_task(PackedScope::current(), context);
        }
        let enclosing = found.enclosing.as_deref().map_or_else(EnclosingCalls::default, EnclosingCalls::clone);
        let _scope = TaskScope::enter(context, pack(&found), Some(enclosing.with_deadline(deadline)));
        call.as_mut().poll(context)
    });
    let limited = match instant.checked_add(limit) {
        Some(end) => tokio::time::timeout_at(end, rest),
        // If the end is out of the clock's range, tokio uses a time in the far future.
        None => tokio::time::timeout(limit, rest),
    };
    limited.await.map_err(|_| timeout.time_out())
}

/// Returns the scope of the call without its deadline, which equals the scope around the call.
const fn pack(found: &FoundScope) -> PackedScope {
    let attempt = if found.is_in_attempt { PackedScope::IN_ATTEMPT } else { PackedScope::EMPTY };
    if found.is_complete { attempt } else { attempt.with(PackedScope::INCOMPLETE) }
}
