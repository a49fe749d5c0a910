//! Model checking: loom runs every interleaving of a few threads, and every outcome of their weak memory.
//!
//! A thread is interrupted at most three times at an arbitrary place, which finds almost everything in a moment.
//! `cargo xtask loom` sets `LOOM_MAX_PREEMPTIONS` higher than any of them goes: then nothing is left out.
//!
//! Loom's locks and atomics are types of their own, and its constructors are not `const`. A file that is modelled takes them from
//! `super::sync`: the standard library's for the program, and loom's where a module of models compiles the same file once more.

use std::{
    future::Future,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
};

use loom::{model::Builder, sync::Notify};

pub(crate) fn model(run: impl Fn() + Send + Sync + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound.get_or_insert(3);
    builder.check(run);
}

/// Polls a future until it is ready, after a wake-up each time. A wake-up that is lost is a deadlock, which loom reports.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    struct Notified(Notify);

    impl Wake for Notified {
        fn wake(self: Arc<Self>) {
            self.0.notify();
        }
    }

    let (mut future, notified) = (pin!(future), Arc::new(Notified(Notify::new())));
    let waker = Waker::from(notified.clone());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        notified.0.wait();
    }
}

/// Polls a future once, with a waker that does nothing; true if it is ready.
pub(crate) fn is_ready(future: std::pin::Pin<&mut impl Future>) -> bool {
    future.poll(&mut Context::from_waker(Waker::noop())).is_ready()
}
