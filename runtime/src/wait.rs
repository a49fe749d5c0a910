//! Waits for a future on a thread or in a task. A time limit and the stop signals of enclosing retries end a wait.
//!
//! **Invariant:** each wait on a thread has its own parker. It does not consume an `unpark` of its thread, and an `unpark` does not end it.

#[cfg(feature = "rt-multi-thread")]
mod worker;

use std::{
    future::{Future, pending},
    pin::{Pin, pin},
    sync::{Arc, Condvar, Mutex, PoisonError},
    task::{Context, Poll, Wake, Waker},
    time::{Duration, Instant},
};

#[cfg(feature = "rt-multi-thread")]
use self::worker::block_thread;
use crate::{stack, stop::any_set};

/// The reason why a wait ended before its future was ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WaitError {
    /// The time limit has passed.
    TimedOut,
    /// The stop signal of an enclosing retry was set.
    Stopped,
}

/// Polls a future on this thread until it is ready, the limit has passed, or an enclosing retry is stopped.
///
/// In a task of a multi-threaded runtime, the other tasks of the worker move to another thread before this one blocks.
pub(crate) fn on_thread<F: Future>(mut future: Pin<&mut F>, limit: Duration) -> Result<F::Output, WaitError> {
    let parker = Arc::new(Parker::default());
    let waker = Waker::from(parker.clone());
    let mut context = Context::from_waker(&waker);
    let signals = stack::signals_of_thread();
    let mut stopped = pin!(any_set(&signals));
    let mut poll = || match future.as_mut().poll(&mut context) {
        Poll::Ready(output) => Some(Ok(output)),
        Poll::Pending if stopped.as_mut().poll(&mut context).is_ready() => Some(Err(WaitError::Stopped)),
        Poll::Pending => None,
    };
    if let Some(output) = poll() {
        return output;
    }
    #[cfg(feature = "testing")]
    if crate::clock::fake::try_sleep(limit) {
        return poll().unwrap_or(Err(WaitError::TimedOut));
    }
    // A wait whose end is out of the clock's range has no time limit.
    let end = Instant::now().checked_add(limit);
    block_thread(|| {
        loop {
            let remaining = end.map_or(Duration::MAX, |end| end.saturating_duration_since(Instant::now()));
            if remaining.is_zero() {
                return Err(WaitError::TimedOut);
            }
            parker.park(remaining);
            if let Some(output) = poll() {
                return output;
            }
        }
    })
}

/// Awaits a future until it is ready, the limit has passed, or an enclosing retry is stopped.
#[cfg(feature = "tokio")]
pub(crate) async fn in_task<F: Future>(mut future: Pin<&mut F>, limit: Duration) -> Result<F::Output, WaitError> {
    use std::future::poll_fn;

    let signals = poll_fn(|context| Poll::Ready(stack::signals_of_task(context))).await;
    let mut stopped = pin!(any_set(&signals));
    let ready_or_stopped = poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Ok(output)),
        Poll::Pending => stopped.as_mut().poll(context).map(|()| Err(WaitError::Stopped)),
    });
    tokio::time::timeout(limit, ready_or_stopped).await.unwrap_or(Err(WaitError::TimedOut))
}

/// Blocks this thread for `delay`, or until an enclosing retry is stopped.
pub(crate) fn sleep_on_thread(delay: Duration) {
    // A wait would take 518 instructions and read the clock twice.
    if delay.is_zero() {
        return;
    }
    _ = on_thread(pin!(pending::<()>()), delay);
}

/// Blocks a thread until it is woken.
#[derive(Debug, Default)]
struct Parker {
    is_woken: Mutex<bool>,
    condition: Condvar,
}

impl Parker {
    /// Blocks until it is woken, at most for `limit`. Returns at once if it has been woken since the last call.
    fn park(&self, limit: Duration) {
        let is_woken = self.is_woken.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.condition.wait_timeout_while(is_woken, limit, |is_woken| !*is_woken);
        let (mut is_woken, _) = waited.unwrap_or_else(PoisonError::into_inner);
        *is_woken = false;
    }
}

impl Wake for Parker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        *self.is_woken.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.condition.notify_one();
    }
}

#[cfg(not(feature = "rt-multi-thread"))]
fn block_thread<R>(mut block: impl FnMut() -> R) -> R {
    block()
}

#[cfg(test)]
mod tests {
    use std::{
        future::{poll_fn, ready},
        sync::mpsc,
        thread,
    };

    use super::*;

    const LONG: Duration = Duration::from_hours(1);

    /// Returns a future that is ready once the sender of `closed` is dropped, and that sends its wakers.
    fn until_closed(wakers: mpsc::Sender<Waker>, closed: mpsc::Receiver<()>) -> impl Future<Output = ()> {
        poll_fn(move |context| {
            _ = wakers.send(context.waker().clone());
            match closed.try_recv() {
                Err(mpsc::TryRecvError::Disconnected) => Poll::Ready(()),
                _ => Poll::Pending,
            }
        })
    }

    #[test]
    fn a_wait_ends_when_its_future_is_ready() {
        let ((wakers, woken), (open, closed)) = (mpsc::channel(), mpsc::channel::<()>());
        let waiting = thread::spawn(move || on_thread(pin!(until_closed(wakers, closed)), LONG));
        let waker = woken.recv().unwrap();
        waker.wake_by_ref(); // not ready yet
        drop(open);
        waker.wake();
        assert_eq!(waiting.join().unwrap(), Ok(()));
    }

    #[test]
    fn a_wait_ends_at_its_limit() {
        assert_eq!(on_thread(pin!(pending::<()>()), Duration::from_micros(1)), Err(WaitError::TimedOut));
        assert_eq!(on_thread(pin!(pending::<()>()), Duration::ZERO), Err(WaitError::TimedOut));
        assert_eq!(on_thread(pin!(ready(7)), Duration::ZERO), Ok(7));
    }

    #[test]
    fn a_wait_does_not_consume_an_unpark() {
        thread::current().unpark();
        sleep_on_thread(Duration::from_micros(1));
        thread::park(); // returns at once; it would hang if the wait had consumed it
    }

    #[test]
    fn an_unpark_does_not_end_a_wait() {
        let ((wakers, woken), (open, closed)) = (mpsc::channel(), mpsc::channel::<()>());
        let waiting = thread::spawn(move || {
            let output = on_thread(pin!(until_closed(wakers, closed)), LONG);
            thread::park();
            output
        });
        let waker = woken.recv().unwrap();
        waiting.thread().unpark();
        drop(open);
        waker.wake();
        assert_eq!(waiting.join().unwrap(), Ok(()), "the unpark is not consumed");
    }
}
