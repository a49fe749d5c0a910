//! Sleeping between two attempts in a task.

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

/// A sleep in a task. The timer is boxed, so that a future that never retries is not larger for it.
pub struct Pause<'s>(State<'s>);

enum State<'s> {
    /// Has yet to give the other tasks a turn, which is all that it does.
    Yield,
    /// Has done so.
    Yielded,
    /// Waits for the timer.
    Sleep(Pin<Box<Sleep>>),
    /// Waits for a signal as well.
    Until(Box<(Pause<'s>, Stopped<'s>)>),
}

/// Ready when a signal is given.
type Stopped<'s> = Pin<Box<dyn Future<Output = ()> + Send + 's>>;

impl<'s> Pause<'s> {
    /// Sleeps that long. No delay gives the other tasks a turn.
    pub(super) fn for_all_of(delay: Duration) -> Self {
        #[cfg(feature = "testing")]
        fake::note_sleep(delay);
        Self(if delay.is_zero() { State::Yield } else { State::Sleep(Box::pin(tokio::time::sleep(delay))) })
    }

    /// Sleeps that long, or until a signal is given.
    pub(super) fn until(delay: Duration, stopped: Stopped<'s>) -> Self {
        Self(State::Until(Box::new((Self::for_all_of(delay), stopped))))
    }
}

impl Future for Pause<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        match &mut self.0 {
            State::Yield => {
                self.0 = State::Yielded;
                context.waker().wake_by_ref();
                Poll::Pending
            }
            State::Yielded => Poll::Ready(()),
            State::Sleep(sleep) => sleep.as_mut().poll(context),
            State::Until(both) => {
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
