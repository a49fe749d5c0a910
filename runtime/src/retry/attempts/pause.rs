//! The sleep between two attempts in a task.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::Sleep;

#[cfg(feature = "testing")]
use crate::clock::fake;

/// A sleep in a task. The timer is boxed to keep the futures of retries small.
pub struct Pause<'s>(PauseState<'s>);

enum PauseState<'s> {
    /// Yields to other tasks at the next poll, for a delay of zero.
    Yield,
    /// Has yielded.
    Yielded,
    /// Waits for the timer.
    Sleep(Pin<Box<Sleep>>),
    /// Waits for the timer or a stop signal.
    SleepOrStop(Box<(Pause<'s>, Stopped<'s>)>),
}

/// A future that completes when a stop signal is set.
type Stopped<'s> = Pin<Box<dyn Future<Output = ()> + Send + 's>>;

impl<'s> Pause<'s> {
    /// Creates a sleep of `delay`. A delay of zero yields once to other tasks.
    pub(super) fn new(delay: Duration) -> Self {
        #[cfg(feature = "testing")]
        fake::record_sleep(delay);
        Self(if delay.is_zero() { PauseState::Yield } else { PauseState::Sleep(Box::pin(tokio::time::sleep(delay))) })
    }

    /// Creates a sleep of `delay` that ends early when `stopped` completes.
    pub(super) fn or_stop(delay: Duration, stopped: Stopped<'s>) -> Self {
        Self(PauseState::SleepOrStop(Box::new((Self::new(delay), stopped))))
    }
}

impl Future for Pause<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        match &mut self.0 {
            PauseState::Yield => {
                self.0 = PauseState::Yielded;
                context.waker().wake_by_ref();
                Poll::Pending
            }
            PauseState::Yielded => Poll::Ready(()),
            PauseState::Sleep(sleep) => sleep.as_mut().poll(context),
            PauseState::SleepOrStop(both) => {
                let (pause, stopped) = &mut **both;
                if stopped.as_mut().poll(context).is_ready() {
                    return Poll::Ready(());
                }
                Pin::new(pause).poll(context)
            }
        }
    }
}

impl fmt::Debug for Pause<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pause").finish_non_exhaustive()
    }
}
