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

use self::signal::{Signal, Waiting};

/// Says when retries are to end, such as at the end of the program.
///
/// For `#[retry(stop_on = ...)]` and [`RetryPolicy::stop_on`](crate::RetryPolicy::stop_on). A [`StopSignal`] is one; with the feature
/// `tokio-util`, so is its `CancellationToken`.
///
/// A signal ends sleeps at once, and with them all waits inside of an attempt: for a place of a rate limit or a bulkhead, which rejects
/// the call, and those of retries further in. The call itself is not cut short, and there always is a first attempt.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no signal to stop on",
    label = "no signal",
    note = "`static SHUTDOWN: StopSignal = StopSignal::new();` is one, and a `CancellationToken` with steadfast's feature `tokio-util`"
)]
pub trait Stop: Send + Sync {
    /// Whether there is to be no further attempt.
    fn is_stopped(&self) -> bool;

    /// Waits until it is so.
    ///
    /// In code that is not `async`, the waits inside of an attempt end when this future wakes its task.
    fn stopped(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}

/// Ends retries, once and for all: their sleeps end at once, and the error of the last attempt comes back.
///
/// ```
/// use std::io;
/// use steadfast::{StopSignal, retry};
///
/// static SHUTDOWN: StopSignal = StopSignal::new();
///
/// #[retry(max_attempts = 100, backoff = fixed(60s), stop_on = SHUTDOWN)]
/// fn connect() -> io::Result<()> {
///     SHUTDOWN.stop(); // another thread would do that
///     Err(io::ErrorKind::TimedOut.into())
/// }
///
/// assert_eq!(connect().unwrap_err().kind(), io::ErrorKind::TimedOut); // after one attempt
/// ```
pub struct StopSignal {
    signal: Signal,
}

impl StopSignal {
    /// A signal that is yet to be given.
    #[must_use]
    pub const fn new() -> Self {
        Self { signal: Signal::of(AtomicBool::new(false), Mutex::new(Waiting::new())) }
    }

    /// Ends the retries that go by it. Further calls change nothing.
    pub fn stop(&self) {
        self.signal.give();
    }

    /// Whether it was given.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.signal.is_given()
    }
}

impl Stop for StopSignal {
    fn is_stopped(&self) -> bool {
        self.is_stopped()
    }

    fn stopped(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(self.signal.given())
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

/// A stop signal as the waits below its retry see it, which may outlive what the signal borrows from.
///
/// Code that is not `async` gives it when the future of the signal wakes it.
#[derive(Debug, Default)]
pub(crate) struct Relay(StopSignal);

impl Relay {
    /// Ends the waits below.
    pub(crate) fn give(&self) {
        self.0.stop();
    }

    /// Returns true once it was given.
    pub(crate) fn is_given(&self) -> bool {
        self.0.is_stopped()
    }
}

impl Wake for Relay {
    fn wake(self: Arc<Self>) {
        self.give();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.give();
    }
}

pub(crate) fn is_any_given(signals: &[Arc<Relay>]) -> bool {
    signals.iter().any(|signal| signal.is_given())
}

/// Waits until one of the signals is given; without any, for ever.
pub(crate) async fn any_given(signals: &[Arc<Relay>]) {
    let mut given: Vec<_> = signals.iter().map(|signal| signal.0.stopped()).collect();
    poll_fn(|context| {
        let is_given = given.iter_mut().any(|given| given.as_mut().poll(context).is_ready());
        if is_given { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

/// Waits for the signal of a retry, or for one of those around it.
#[cfg(feature = "tokio")]
pub(super) async fn given(own: Option<&dyn Stop>, around: Vec<Arc<Relay>>) {
    let (mut own, mut around) = (own.map(Stop::stopped), std::pin::pin!(any_given(&around)));
    poll_fn(|context| {
        let own = own.as_mut().is_some_and(|own| own.as_mut().poll(context).is_ready());
        if own { Poll::Ready(()) } else { around.as_mut().poll(context) }
    })
    .await;
}

/// Its cancellation ends the retries.
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

impl<S: Stop + ?Sized> Stop for Arc<S> {
    fn is_stopped(&self) -> bool {
        (**self).is_stopped()
    }

    fn stopped(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        (**self).stopped()
    }
}
