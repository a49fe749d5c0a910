//! Sleeps between attempts, and the stop signals that end them.

use std::{
    fmt,
    future::Future,
    pin::{Pin, pin},
    sync::Arc,
    task::Context,
    time::Duration,
};

#[cfg(feature = "rt-multi-thread")]
use super::blocking::emit_blocking_sleep;
#[cfg(feature = "tokio")]
use super::pause::Pause;
use super::{Attempts, ScopeLookup};
#[cfg(feature = "tokio")]
use crate::stop::own_or_any_set;
use crate::{
    retry::last_outcome::LastOutcome,
    stop::{self, Relay, Stop},
    wait,
};

/// The stop signal of this retry.
pub(super) struct OwnStop<'p> {
    pub(super) signal: &'p dyn Stop,
    /// Set once the signal is set, for the waits inside an attempt.
    pub(super) relay: Arc<Relay>,
    /// Waits for the signal during an attempt.
    stopped: Pin<Box<dyn Future<Output = ()> + Send + 'p>>,
}

impl<'p> OwnStop<'p> {
    pub(super) fn new(signal: &'p dyn Stop) -> Self {
        Self { signal, relay: Arc::default(), stopped: signal.stopped() }
    }

    /// Polls the signal, and sets the relay once the signal is set.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) {
        if self.stopped.as_mut().poll(context).is_ready() {
            self.relay.set();
        }
    }
}

impl fmt::Debug for OwnStop<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnStop").field("is_stopped", &self.signal.is_stopped()).finish_non_exhaustive()
    }
}

impl<'p> Attempts<'p> {
    /// Sets the stop signal, which ends the attempts and the waits inside them.
    pub fn stop_on(&mut self, signal: &'p dyn Stop) {
        self.extras_mut().stop = Some(OwnStop::new(signal));
        self.lookup = match self.lookup {
            ScopeLookup::FastPath => ScopeLookup::Pending,
            ScopeLookup::FastPathEmpty => ScopeLookup::Complete,
            other => other,
        };
    }

    /// Sleeps on the thread for `delay`, or until a signal is set. Returns true if a signal has ended the call.
    #[inline]
    #[must_use]
    pub fn pause_thread(&mut self, delay: Duration) -> bool {
        // Without extras there is no signal that could end the call.
        !(delay.is_zero() && self.extras.is_none()) && self.sleep_or_stop(delay)
    }

    #[cold]
    #[inline(never)]
    fn sleep_or_stop(&mut self, delay: Duration) -> bool {
        self.suspend();
        #[cfg(feature = "rt-multi-thread")]
        if !delay.is_zero() {
            emit_blocking_sleep(self.policy.name);
        }
        match self.own_stop() {
            Some(stop) => _ = wait::on_thread(pin!(stop.signal.stopped()), delay),
            None => wait::sleep_on_thread(delay),
        }
        self.ends()
    }

    /// Returns a sleep in the task for `delay`, or until a signal is set.
    #[cfg(feature = "tokio")]
    #[cold]
    #[must_use]
    pub fn pause(&mut self, delay: Duration) -> Pause<'p> {
        self.suspend();
        let own = self.own_stop().map(|stop| stop.signal);
        let relays = self.extras.as_ref().map(|extras| extras.enclosing.stop_signals.clone()).unwrap_or_default();
        if own.is_none() && relays.is_empty() {
            Pause::new(delay)
        } else {
            Pause::or_stop(delay, Box::pin(own_or_any_set(own, relays)))
        }
    }

    /// Returns true if a signal has ended the call, and counts this end.
    #[cold]
    #[must_use]
    pub fn ends(&mut self) -> bool {
        let is_stopped = self.is_stopped();
        if is_stopped {
            self.count_stop_of_sleep();
        }
        is_stopped
    }

    /// Returns true if an enclosing retry has a stop signal, which can end a sleep.
    #[inline]
    #[must_use]
    pub fn can_be_stopped(&self) -> bool {
        self.extras.as_ref().is_some_and(|extras| !extras.enclosing.stop_signals.is_empty())
    }

    /// Returns the outcome of the last attempt if a signal has ended the call during the sleep and the outcome was kept.
    ///
    /// An outcome that was not kept cannot be returned. One more attempt is then made, and its outcome is returned.
    #[inline]
    pub fn ends_with<L: LastOutcome>(&mut self, last: L) -> Option<L::Outcome> {
        if self.extras.is_none() || !self.is_stopped() {
            return None;
        }
        let outcome = last.take();
        if outcome.is_some() {
            self.count_stop_of_sleep();
        }
        outcome
    }

    pub(super) fn own_stop(&self) -> Option<&OwnStop<'p>> {
        self.extras.as_ref()?.stop.as_ref()
    }

    /// Returns true if the signal of this retry or of an enclosing one is set.
    pub(super) fn is_stopped(&self) -> bool {
        self.extras.as_ref().is_some_and(|extras| {
            extras.stop.as_ref().is_some_and(|stop| stop.signal.is_stopped())
                || stop::is_any_set(&extras.enclosing.stop_signals)
        })
    }
}
