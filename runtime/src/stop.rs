//! Stop signals, which end retries and the waits inside their attempts.

#[cfg(test)]
mod models;
mod signal;

use std::{
    fmt,
    future::{Future, poll_fn},
    pin::Pin,
    sync::{self, Arc, Mutex, atomic::AtomicBool},
    task::{Poll, Wake},
};

use self::signal::{Signal, Waiters};

/// A signal that ends retries, for example when the program shuts down.
///
/// Used by `#[retry(stop_on = ...)]` and [`RetryPolicy::stop_on`](crate::RetryPolicy::stop_on). Implemented by [`StopSignal`] and, with the
/// feature `tokio-util`, by the `CancellationToken` of that crate; also by references, `Arc` and `Box` of a signal.
///
/// A signal ends the sleep between two attempts at once. It also ends the waits inside an attempt: a wait for a rate limit or a bulkhead,
/// which then rejects the call, and the sleeps of inner retries. It does not interrupt the function itself, and the first attempt is
/// always made.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not implement `Stop`",
    label = "not a stop signal",
    note = "use a `StopSignal`, as in `static SHUTDOWN: StopSignal = StopSignal::new();`, or with steadfast's feature `tokio-util` a `CancellationToken`"
)]
pub trait Stop: Send + Sync {
    /// Returns true once no further attempt is to be made.
    fn is_stopped(&self) -> bool;

    /// Returns a future that completes once [`is_stopped`](Self::is_stopped) is true.
    ///
    /// In code that is not `async`, the waits inside an attempt end when this future wakes its task.
    fn stopped(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}

/// A [`Stop`] signal that is set once and stays set.
///
/// Sleeps between attempts end at once, and the error of the last attempt is returned.
///
/// ```
/// use std::io;
/// use steadfast::{StopSignal, retry};
///
/// static SHUTDOWN: StopSignal = StopSignal::new();
///
/// #[retry(max_attempts = 100, backoff = fixed(60s), stop_on = SHUTDOWN)]
/// fn connect() -> io::Result<()> {
///     SHUTDOWN.stop(); // usually called by another thread
///     Err(io::ErrorKind::TimedOut.into())
/// }
///
/// assert_eq!(connect().unwrap_err().kind(), io::ErrorKind::TimedOut); // after one attempt
/// ```
pub struct StopSignal {
    signal: Signal,
}

impl StopSignal {
    /// Creates a signal that is not set.
    #[must_use]
    pub const fn new() -> Self {
        Self { signal: Signal::from_parts(AtomicBool::new(false), Mutex::new(Waiters::new())) }
    }

    /// Sets the signal, which ends the retries that use it. Further calls have no effect.
    pub fn stop(&self) {
        self.signal.set();
    }

    /// Returns true if the signal is set.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.signal.is_set()
    }
}

impl Stop for StopSignal {
    fn is_stopped(&self) -> bool {
        self.is_stopped()
    }

    fn stopped(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(self.signal.wait())
    }
}

impl Default for StopSignal {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for StopSignal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StopSignal").field("is_stopped", &self.is_stopped()).finish_non_exhaustive()
    }
}

/// A copy of a retry's stop signal for the waits inside its attempts. It is shared by `Arc`, since a wait may outlive the borrows of the
/// original signal.
///
/// A relay is also a waker ([`Wake`]) that sets itself when it is woken. Code that is not `async` polls the future of the original signal
/// with this waker.
#[derive(Debug, Default)]
pub(crate) struct Relay(StopSignal);

impl Relay {
    /// Sets the relay, which ends the waits.
    pub(crate) fn set(&self) {
        self.0.stop();
    }

    pub(crate) fn is_set(&self) -> bool {
        self.0.is_stopped()
    }
}

impl Wake for Relay {
    fn wake(self: Arc<Self>) {
        self.set();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.set();
    }
}

pub(crate) fn is_any_set(relays: &[Arc<Relay>]) -> bool {
    relays.iter().any(|relay| relay.is_set())
}

/// Waits until one of the relays is set; without relays, forever.
pub(crate) async fn any_set(relays: &[Arc<Relay>]) {
    let mut waits: Vec<_> = relays.iter().map(|relay| relay.0.stopped()).collect();
    poll_fn(|context| {
        let is_set = waits.iter_mut().any(|wait| wait.as_mut().poll(context).is_ready());
        if is_set { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

/// Waits until a retry's own signal, or that of an enclosing retry, is set.
#[cfg(feature = "tokio")]
pub(crate) async fn own_or_any_set(own: Option<&dyn Stop>, relays: Vec<Arc<Relay>>) {
    let (mut own, mut enclosing) = (own.map(Stop::stopped), std::pin::pin!(any_set(&relays)));
    poll_fn(|context| {
        let is_own_set = own.as_mut().is_some_and(|own| own.as_mut().poll(context).is_ready());
        if is_own_set { Poll::Ready(()) } else { enclosing.as_mut().poll(context) }
    })
    .await;
}

/// Stops once the token is cancelled.
#[cfg(feature = "tokio-util")]
impl Stop for tokio_util::sync::CancellationToken {
    fn is_stopped(&self) -> bool {
        self.is_cancelled()
    }

    fn stopped(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(self.cancelled())
    }
}

impl<S: Stop + ?Sized> Stop for &S {
    fn is_stopped(&self) -> bool {
        (**self).is_stopped()
    }

    fn stopped(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        (**self).stopped()
    }
}

impl<S: Stop + ?Sized> Stop for Box<S> {
    fn is_stopped(&self) -> bool {
        (**self).is_stopped()
    }

    fn stopped(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        (**self).stopped()
    }
}

impl<S: Stop + ?Sized> Stop for Arc<S> {
    fn is_stopped(&self) -> bool {
        (**self).is_stopped()
    }

    fn stopped(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        (**self).stopped()
    }
}
