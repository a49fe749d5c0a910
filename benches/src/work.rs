//! The measured work.

use std::{
    cell::Cell,
    fmt,
    future::{Future, poll_fn},
    hint::black_box,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
};

use steadfast::{BulkheadFull, CircuitOpen, RateLimited, TimedOut, Transient};

/// The error of the work. It has the size of a number, so that the result fits into two registers and does not dominate the figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Error {
    /// The work failed.
    Failed,
    /// The call was rejected.
    Rejected,
}

impl Transient for Error {
    fn is_transient(&self) -> bool {
        matches!(self, Self::Failed)
    }
}

macro_rules! rejections {
    ($($rejection:ty),*) => {
        $(impl From<$rejection> for Error {
            /// Inlined like the conversions of the peers' rejections.
            #[inline]
            fn from(_: $rejection) -> Self {
                Self::Rejected
            }
        })*
    };
}

rejections!(BulkheadFull, CircuitOpen, RateLimited, TimedOut);

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Failed => "failed",
            Self::Rejected => "rejected",
        })
    }
}

impl std::error::Error for Error {}

/// The value of the work: contains as much of a number as fits.
pub trait Value {
    /// The number of bytes of the number that the value contains.
    const BYTES: u32;

    /// Creates the value.
    fn of(number: u64) -> Self;

    /// Returns the contained bytes of the number.
    fn number(&self) -> u64;
}

impl Value for () {
    const BYTES: u32 = 0;

    #[inline]
    fn of(_: u64) -> Self {}

    #[inline]
    fn number(&self) -> u64 {
        0
    }
}

impl Value for u8 {
    const BYTES: u32 = 1;

    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "the low byte")]
    fn of(number: u64) -> Self {
        number as Self
    }

    #[inline]
    fn number(&self) -> u64 {
        (*self).into()
    }
}

impl Value for u64 {
    const BYTES: u32 = 8;

    #[inline]
    fn of(number: u64) -> Self {
        number
    }

    #[inline]
    fn number(&self) -> u64 {
        *self
    }
}

impl<const WORDS: usize> Value for [u64; WORDS] {
    const BYTES: u32 = 8;

    #[inline]
    fn of(number: u64) -> Self {
        [number; WORDS]
    }

    #[inline]
    fn number(&self) -> u64 {
        self[WORDS - 1]
    }
}

/// The number for which the work fails.
pub const FAILING: u64 = u64::MAX;

/// The work: adds one, so that the result shows that it was done.
///
/// # Errors
///
/// Fails for [`FAILING`].
#[inline]
pub const fn add(number: u64) -> Result<u64, Error> {
    match number.checked_add(1) {
        Some(sum) => Ok(sum),
        None => Err(Error::Failed),
    }
}

/// Adds one, but fails at the first attempt. The result shows that the call was retried.
///
/// # Errors
///
/// Fails at the first attempt, and for [`FAILING`].
#[inline]
pub fn add_at_second_try(number: u64, tried: &Cell<bool>) -> Result<u64, Error> {
    // Hidden from the optimizer.
    if black_box(tried.replace(true)) { add(number) } else { Err(Error::Failed) }
}

/// Runs a future to completion. A future that is ready at its first poll, as most are here, costs only that poll.
#[inline(always)]
#[expect(
    clippy::inline_always,
    reason = "the futures of some contestants would be inlined and those of others not: 20 instructions"
)]
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

/// Returns a future that is pending at its first poll only. It wakes no task: [`wait`] polls it again.
pub async fn pending_once() {
    let mut polled = false;
    poll_fn(|_| if std::mem::replace(&mut polled, true) { Poll::Ready(()) } else { Poll::Pending }).await;
}
