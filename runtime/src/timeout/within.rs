use std::{
    future::{Future, poll_fn},
    pin::Pin,
    task::Poll,
};

use super::{TimedOut, Timeout};
use crate::{
    clock,
    scope::{Around, Clock, Deadline, Found, Innermost, Scope},
};

/// Waits for a call as long as the limit allows.
///
/// A call that ends without waiting has no timer. The first `Pending` of one that does wait is handed on to the timer's
/// future, which would else have to ask again. From then on calls inside know when the call has to be over.
pub async fn within<F: Future>(timeout: &Timeout, mut call: Pin<&mut F>) -> Result<F::Output, TimedOut> {
    let first = poll_fn(|context| {
        let mut found = Found::NOTHING;
        let scope = Scope::alone(context, Innermost::OPEN).unwrap_or_else(|| {
            found = Innermost::get().found_by_task(context);
            Scope::within(context, innermost(&found).with(Innermost::OPEN), found.around.as_deref().cloned())
        });
        let polled = call.as_mut().poll(context);
        drop(scope);
        Poll::Ready(match polled {
            Poll::Ready(output) => Ok(output),
            Poll::Pending => Err(found),
        })
    });
    let mut found = match first.await {
        Ok(output) => return Ok(output),
        Err(found) => found,
    };
    let limit = timeout.limit;
    let (now, instant) = clock::now_and_timers();
    let deadline = Deadline::new(now, limit, Clock::Task);
    let mut asked = true;
    let rest = poll_fn(|context| {
        if std::mem::take(&mut asked) {
            return Poll::Pending;
        }
        if !found.is_settled {
            found = Innermost::get().found_by_task(context);
        }
        let around = found.around.as_deref().map_or_else(Around::default, Around::clone).until(deadline);
        let _scope = Scope::within(context, innermost(&found), Some(around));
        call.as_mut().poll(context)
    });
    let limited = match instant.checked_add(limit) {
        Some(end) => tokio::time::timeout_at(end, rest),
        // Past what the clock can say: tokio takes a time that is far off.
        None => tokio::time::timeout(limit, rest),
    };
    limited.await.map_err(|_| timeout.ends())
}

/// The scope of a part of the call, beside what it adds.
const fn innermost(found: &Found) -> Innermost {
    let attempt = if found.is_attempt { Innermost::ATTEMPT } else { Innermost::NOTHING };
    if found.is_settled { attempt } else { attempt.with(Innermost::OPEN) }
}
