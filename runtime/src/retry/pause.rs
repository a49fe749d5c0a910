//! Sleeping between two attempts, on a thread and in a task.

#[cfg(feature = "tokio")]
use std::{future::Future, pin::Pin, task::Poll};
use std::{
    sync::Arc,
    task::{Context, Wake, Waker},
    thread::{self, Thread},
    time::{Duration, Instant},
};

#[cfg(feature = "tokio")]
use tokio::time::Sleep;

use super::stop::Stop;
#[cfg(feature = "testing")]
use crate::testing;

/// Sleeps on the thread.
pub(crate) fn thread(delay: Duration) {
    #[cfg(feature = "testing")]
    if testing::sleeps(delay) {
        return;
    }
    thread::sleep(delay);
}

/// Sleeps on the thread until a signal is given; whether it was.
pub(super) fn thread_until(stop: &dyn Stop, delay: Duration) -> bool {
    struct Unpark(Thread);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    #[cfg(feature = "testing")]
    if testing::sleeps(delay) {
        return stop.is_stopped();
    }
    // A delay that is longer than the clock can say ends with the signal alone.
    let end = Instant::now().checked_add(delay);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let (mut context, mut stopped) = (Context::from_waker(&waker), stop.stopped());
    while stopped.as_mut().poll(&mut context).is_pending() {
        let left = end.map_or(Duration::MAX, |end| end.saturating_duration_since(Instant::now()));
        if left.is_zero() {
            return false;
        }
        thread::park_timeout(left);
    }
    true
}

/// Sleeps in the task. No delay gives the other tasks a turn.
#[cfg(feature = "tokio")]
#[must_use]
pub(super) fn pause(delay: Duration) -> Pause {
    #[cfg(feature = "testing")]
    testing::note_sleep(delay);
    if delay.is_zero() { Pause::Yield } else { Pause::Sleep(Box::pin(tokio::time::sleep(delay))) }
}

/// Sleeps in the task until a signal is given; whether it was.
#[cfg(feature = "tokio")]
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
#[cfg(feature = "tokio")]
#[derive(Debug)]
pub enum Pause {
    /// Has yet to give the other tasks a turn.
    Yield,
    /// Has done so.
    Yielded,
    /// Waits for the timer.
    Sleep(Pin<Box<Sleep>>),
}

#[cfg(feature = "tokio")]
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
