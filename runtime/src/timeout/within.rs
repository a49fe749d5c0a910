use std::{
    future::{Future, poll_fn},
    pin::Pin,
    task::Poll,
};

use super::{TimedOut, Timeout};
use crate::{clock, retry::nested::Deadline};

/// Waits for a call as long as the limit allows.
///
/// A call that ends without waiting has no timer. The first `Pending` of one that does wait is handed on to the timer's
/// future, which would else have to ask again. From then on retries inside know when the call has to be over.
pub async fn within<F: Future>(timeout: &Timeout, mut call: Pin<&mut F>) -> Result<F::Output, TimedOut> {
    if let Poll::Ready(output) = poll_fn(|context| Poll::Ready(call.as_mut().poll(context))).await {
        return Ok(output);
    }
    let limit = timeout.limit;
    let (now, instant) = clock::now_and_timers();
    let (mut asked, deadline) = (true, Deadline::in_task(now, limit));
    let rest = poll_fn(|context| {
        if std::mem::take(&mut asked) { Poll::Pending } else { deadline.within(|| call.as_mut().poll(context)) }
    });
    let limited = match instant.checked_add(limit) {
        Some(end) => tokio::time::timeout_at(end, rest),
        // Past what the clock can say: tokio takes a time that is far off.
        None => tokio::time::timeout(limit, rest),
    };
    limited.await.map_err(|_| timeout.ends())
}
