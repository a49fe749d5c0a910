//! Waits, on a thread and in a task, for a future or for a limit of time.
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

/// Polls the future on this thread until it is ready. `None` when the limit has passed before.
///
/// In a task of a multi-threaded runtime, the other tasks of the worker move to another thread before this one blocks.
pub(crate) fn on_thread<F: Future>(mut future: Pin<&mut F>, limit: Duration) -> Option<F::Output> {
    let parker = Arc::new(Parker::default());
    let waker = Waker::from(parker.clone());
    let mut context = Context::from_waker(&waker);
    let mut ready = || match future.as_mut().poll(&mut context) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    };
    if let Some(output) = ready() {
        return Some(output);
    }
    #[cfg(feature = "testing")]
    if crate::testing::sleeps(limit) {
        return ready();
    }
    // A limit that is longer than the clock can say has no end.
    let end = Instant::now().checked_add(limit);
    give_way(|| {
        loop {
            let left = end.map_or(Duration::MAX, |end| end.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return None;
            }
            parker.park(left);
            if let Some(output) = ready() {
                return Some(output);
            }
        }
    })
}

/// Sleeps on this thread.
pub(crate) fn sleep_on_thread(delay: Duration) {
    on_thread(pin!(pending::<()>()), delay);
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
    use std::{sync::mpsc, task::Waker, thread};

    use super::*;

    const LONG: Duration = Duration::from_hours(1);

    /// Ready once its sender is gone; gives its waker away at the first poll.
    fn until_closed(wakers: mpsc::Sender<Waker>, closed: mpsc::Receiver<()>) -> impl Future<Output = ()> {
        std::future::poll_fn(move |context| {
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
        assert_eq!(waiting.join().unwrap(), Some(()));
    }

    #[test]
    fn it_ends_with_the_limit() {
        assert_eq!(on_thread(pin!(pending::<()>()), Duration::from_micros(1)), None);
        assert_eq!(on_thread(pin!(pending::<()>()), Duration::ZERO), None);
        assert_eq!(on_thread(pin!(std::future::ready(7)), Duration::ZERO), Some(7));
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
        assert_eq!(waiting.join().unwrap(), Some(()), "and is there afterwards");
    }
}
