use std::{
    future::Future,
    pin::pin,
    sync::Arc,
    task::{Context, Wake, Waker},
    thread::{self, Thread},
    time::{Duration, Instant},
};

use super::gate::Waiting;

/// Waits on the thread; whether it has a place in time.
pub(super) fn until(waiting: Waiting<'_>, limit: Duration) -> bool {
    struct Unpark(Thread);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    let mut waiting = pin!(waiting);
    #[cfg(feature = "testing")]
    if crate::testing::sleeps(limit) {
        return waiting.end();
    }
    // A wait that is longer than the clock can say has no end.
    let end = Instant::now().checked_add(limit);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    while waiting.as_mut().poll(&mut context).is_pending() {
        let left = end.map_or(Duration::MAX, |end| end.saturating_duration_since(Instant::now()));
        if left.is_zero() {
            return waiting.end();
        }
        thread::park_timeout(left);
    }
    true
}
