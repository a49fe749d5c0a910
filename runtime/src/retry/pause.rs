use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::Sleep;

/// Sleeps in the task. No delay gives the other tasks a turn.
#[must_use]
pub fn pause(delay: Duration) -> Pause {
    if delay.is_zero() { Pause::Yield } else { Pause::Sleep(Box::pin(tokio::time::sleep(delay))) }
}

/// The future of [`pause`]. The timer is boxed, so that a future that never retries is not larger for it.
#[derive(Debug)]
pub enum Pause {
    /// Has yet to give the other tasks a turn.
    Yield,
    /// Has done so.
    Yielded,
    /// Waits for the timer.
    Sleep(Pin<Box<Sleep>>),
}

impl Future for Pause {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        match &mut *self {
            Self::Yield => {
                *self = Self::Yielded;
                context.waker().wake_by_ref();
                Poll::Pending
            }
            Self::Yielded => Poll::Ready(()),
            Self::Sleep(sleep) => sleep.as_mut().poll(context),
        }
    }
}
