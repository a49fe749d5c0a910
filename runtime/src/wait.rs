//! Waits, on a thread and in a task, for a future, a limit of time, or a stop signal of a retry around.
//!
//! **Invariant:** a wait on a thread has a parker of its own. It neither consumes an `unpark` that is meant for its thread nor is ended
//! by one.

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
use self::worker::give_way;
use crate::{retry::stop::any_given, scope};

/// The reason for which a wait has ended before its future was ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The limit has passed.
    Late,
    /// A stop signal of a retry around was given. There is nothing more to wait for.
    Stopped,
}

/// Polls the future on this thread until it is ready, the limit has passed, or a retry around it is to end.
///
/// In a task of a multi-threaded runtime, the other tasks of the worker move to another thread before this one blocks.
pub(crate) fn on_thread<F: Future>(mut future: Pin<&mut F>, limit: Duration) -> Result<F::Output, Ended> {
    let parker = Arc::new(Parker::default());
    let waker = Waker::from(parker.clone());
    let mut context = Context::from_waker(&waker);
    let signals = scope::signals_of_thread();
    let mut stopped = pin!(any_given(&signals));
    let mut ended = || match future.as_mut().poll(&mut context) {
        Poll::Ready(output) => Some(Ok(output)),
        Poll::Pending if stopped.as_mut().poll(&mut context).is_ready() => Some(Err(Ended::Stopped)),
        Poll::Pending => None,
    };
    if let Some(output) = ended() {
        return output;
    }
    #[cfg(feature = "testing")]
    if crate::clock::fake::sleeps(limit) {
        return ended().unwrap_or(Err(Ended::Late));
    }
    // A limit that is longer than the clock can say has no end.
    let end = Instant::now().checked_add(limit);
    give_way(|| {
        loop {
            let left = end.map_or(Duration::MAX, |end| end.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return Err(Ended::Late);
            }
            parker.park(left);
            if let Some(output) = ended() {
                return output;
            }
        }
    })
}

/// Waits in a task until the future is ready, the limit has passed, or a retry around it is to end.
#[cfg(feature = "tokio")]
pub(crate) async fn in_task<F: Future>(mut future: Pin<&mut F>, limit: Duration) -> Result<F::Output, Ended> {
    use std::future::poll_fn;

    let signals = poll_fn(|context| Poll::Ready(scope::signals_of_task(context))).await;
    let mut stopped = pin!(any_given(&signals));
    let ended = poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Ok(output)),
        Poll::Pending => stopped.as_mut().poll(context).map(|()| Err(Ended::Stopped)),
    });
    tokio::time::timeout(limit, ended).await.unwrap_or(Err(Ended::Late))
}

/// Sleeps on this thread, unless a retry around is to end.
pub(crate) fn sleep_on_thread(delay: Duration) {
    _ = on_thread(pin!(pending::<()>()), delay);
}

/// Blocks a thread until it is woken.
#[derive(Debug, Default)]
struct Parker {
    is_woken: Mutex<bool>,
    condition: Condvar,
}

impl Parker {
    /// Blocks until it is woken, or was since the last time; at most for so long.
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
fn give_way<R>(mut block: impl FnMut() -> R) -> R {
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

    /// Ready once its sender is gone; gives its waker away at the first poll.
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
    fn it_ends_when_the_future_is_ready() {
        let ((wakers, woken), (open, closed)) = (mpsc::channel(), mpsc::channel::<()>());
        let waiting = thread::spawn(move || on_thread(pin!(until_closed(wakers, closed)), LONG));
        let waker = woken.recv().unwrap();
        waker.wake_by_ref(); // too early
        drop(open);
        waker.wake();
        assert_eq!(waiting.join().unwrap(), Ok(()));
    }

    #[test]
    fn it_ends_with_the_limit() {
        assert_eq!(on_thread(pin!(pending::<()>()), Duration::from_micros(1)), Err(Ended::Late));
        assert_eq!(on_thread(pin!(pending::<()>()), Duration::ZERO), Err(Ended::Late));
        assert_eq!(on_thread(pin!(ready(7)), Duration::ZERO), Ok(7));
    }

    #[test]
    fn an_unpark_of_the_caller_is_left_to_it() {
        thread::current().unpark();
        sleep_on_thread(Duration::from_micros(1));
        thread::park(); // returns at once; it would hang if the wait had consumed it
    }

    #[test]
    fn an_unpark_does_not_end_it() {
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
        assert_eq!(waiting.join().unwrap(), Ok(()), "and is there afterwards");
    }
}
