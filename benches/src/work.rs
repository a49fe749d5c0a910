//! The work that is measured, with and without something around it.

use std::{
    cell::Cell,
    fmt,
    future::Future,
    hint::black_box,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
};

use steadfast::{CircuitOpen, Transient};

/// What can go wrong. As large as a number, so that what the work returns fits into two registers and does not drown what is
/// measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Error {
    /// The work has failed.
    Failed,
    /// It was not done.
    Rejected,
}

impl Transient for Error {
    fn is_transient(&self) -> bool {
        matches!(self, Self::Failed)
    }
}

impl From<CircuitOpen> for Error {
    /// Inlined, as what the peers' rejections are turned into.
    #[inline]
    fn from(_: CircuitOpen) -> Self {
        Self::Rejected
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Failed => "failed",
            Self::Rejected => "rejected",
        })
    }
}

impl std::error::Error for Error {}

/// The number that the work fails for.
pub const FAILING: u64 = u64::MAX;

/// The work: adds one. So what comes back proves that it was done, in the very calls that are timed.
///
/// # Errors
///
/// For [`FAILING`].
#[inline]
pub const fn add(number: u64) -> Result<u64, Error> {
    match number.checked_add(1) {
        Some(sum) => Ok(sum),
        None => Err(Error::Failed),
    }
}

/// The same, failing the first time that it is tried. What comes back proves that it was tried again.
///
/// # Errors
///
/// The first time, and for [`FAILING`].
#[inline]
pub fn add_at_second_try(number: u64, tried: &Cell<bool>) -> Result<u64, Error> {
    // Nobody may know beforehand.
    if black_box(tried.replace(true)) { add(number) } else { Err(Error::Failed) }
}

/// Runs a future to its end. One that is ready at once, as most are here, costs a poll and nothing else.
pub fn wait<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => park(future),
    }
}

#[cold]
fn park<F: Future>(mut future: Pin<&mut F>) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    thread_local!(static WAKER: Waker = Waker::from(Arc::new(Unpark(thread::current()))));
    WAKER.with(|waker| {
        loop {
            match future.as_mut().poll(&mut Context::from_waker(waker)) {
                Poll::Ready(output) => return output,
                Poll::Pending => thread::park(),
            }
        }
    })
}
