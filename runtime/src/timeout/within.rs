use std::{
    future::{Future, poll_fn},
    pin::Pin,
    task::Poll,
};

use super::{TimedOut, Timeout};

/// Waits for a call as long as the limit allows.
///
/// A call that ends without waiting has no timer. The first `Pending` of one that does wait is handed on to the timer's
/// future, which would else have to ask again.
pub async fn within<F: Future>(timeout: &Timeout, mut call: Pin<&mut F>) -> Result<F::Output, TimedOut> {
    if let Poll::Ready(output) = poll_fn(|context| Poll::Ready(call.as_mut().poll(context))).await {
        return Ok(output);
    }
    let mut asked = true;
    let rest = poll_fn(|context| if std::mem::take(&mut asked) { Poll::Pending } else { call.as_mut().poll(context) });
    tokio::time::timeout(timeout.limit, rest).await.map_err(|_| timeout.ends())
}
