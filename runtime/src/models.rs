//! Model checking with loom, which runs every interleaving of a few threads and every outcome allowed by the memory orderings.
//!
//! By default a thread is preempted at most three times at arbitrary points, which finds almost all errors within seconds.
//! `cargo xtask loom` sets `LOOM_MAX_PREEMPTIONS` above what any model reaches, so that the search is exhaustive.
//!
//! loom has its own locks and atomics, whose constructors are not `const`. A file under test imports locks and atomics from `super::sync`:
//! those of the standard library in the program, and those of loom where a `models` module compiles the same file a second time.

use std::{
    future::Future,
    pin::pin,
    sync,
    task::{Context, Poll, Wake, Waker},
};

use loom::{
    model::Builder,
    sync::{Arc, Notify},
    thread::{self, JoinHandle},
};

/// Explores a model; `LOOM_MAX_PREEMPTIONS` raises the bound of three preemptions.
pub(crate) fn model(run: impl Fn() + Send + Sync + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound.get_or_insert(3);
    builder.check(run);
}

/// Runs a function on a new thread of the model. `T` need not be `Sync`, because loom itself checks accesses.
pub(crate) fn spawn<T: 'static>(shared: &Arc<T>, run: fn(&T)) -> JoinHandle<()> {
    let shared = shared.clone();
    thread::spawn(move || run(&shared))
}

/// Waits for threads to end.
pub(crate) fn join(threads: impl IntoIterator<Item = JoinHandle<()>>) {
    threads.into_iter().for_each(|thread| thread.join().expect("the thread does not panic"));
}

/// Polls a future until it is ready, each time after a wake-up. loom reports a lost wake-up as a deadlock.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    struct Notified(Notify);

    impl Wake for Notified {
        fn wake(self: sync::Arc<Self>) {
            self.0.notify();
        }
    }

    let (mut future, notified) = (pin!(future), sync::Arc::new(Notified(Notify::new())));
    let waker = Waker::from(notified.clone());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        notified.0.wait();
    }
}

/// Polls a future once with a waker that does nothing, and returns true if it is ready.
pub(crate) fn is_ready(future: std::pin::Pin<&mut impl Future>) -> bool {
    future.poll(&mut Context::from_waker(Waker::noop())).is_ready()
}
