//! Sleeping between two attempts in a task.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::Sleep;

use super::stop::Stop;
#[cfg(feature = "testing")]
use crate::testing;

/// Sleeps in the task. No delay gives the other tasks a turn.
#[must_use]
pub fn pause(delay: Duration) -> Pause {
    #[cfg(feature = "testing")]
    testing::note_sleep(delay);
    if delay.is_zero() { Pause::Yield } else { Pause::Sleep(Box::pin(tokio::time::sleep(delay))) }
}

/// Sleeps in the task until a signal is given; whether it was.
pub(super) async fn pause_until(stop: &dyn Stop, delay: Duration) -> bool {
    let (mut pause, mut stopped) = (pause(delay), stop.stopped());
    std::future::poll_fn(|context| {
        if stopped.as_mut().poll(context).is_ready() {
            return Poll::Ready(true);
        }
        Pin::new(&mut pause).poll(context).map(|()| false)
    })
    .await
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
