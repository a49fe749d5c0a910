//! Circuit breakers.
//!
//! - [`state`] is the state machine: pure functions, applied to the shared state by compare-and-swap.
//! - [`window`] has the sliding windows of rate-based breakers, [`in_flight`] the calls in flight; [`totals`](crate::totals) counts all calls.
//! - [`engine`] combines these for each call, with the [`history`] and events.
//! - [`config`] has the public settings, [`parameters`] their numeric form for the state machine, [`settings`] the settings in force.
//! - [`permit`] has the permit for one call, [`owned_permit`] one that holds its breaker, [`call`] calls with conditions,
//!   [`snapshot`] the state and counts at one moment, [`manual_override`] manual control.
//! - `keyed` has one breaker per key, and [`named`] makes breakers part of the registry.

mod call;
mod config;
mod engine;
mod history;
mod in_flight;
#[cfg(feature = "keyed")]
mod keyed;
mod manual_override;
#[cfg(any(feature = "metrics", feature = "prometheus-client"))]
mod metrics;
#[cfg(test)]
mod models;
mod named;
mod outage;
mod owned_permit;
mod parameters;
mod permit;
mod settings;
mod snapshot;
mod state;
#[cfg(test)]
mod tests;
mod window;

use std::{borrow::Borrow, fmt, hint, pin::pin, time::Duration};

pub(crate) use self::named::Breakers;
pub use self::{
    call::{
        BreakerCall, ConvertedRejection, EveryError, FailureSelection, MappedRejection, RejectionConversion,
        SelectedErrors, SelectedResults,
    },
    config::{BreakerConfig, Window},
    history::{HistoryEntry, HistoryEvent},
    manual_override::Override,
    named::{BREAKERS, breaker, breakers, find_breaker},
    owned_permit::OwnedPermit,
    permit::{InPlace, PanicGuard, Permit, Polled, forget, record_success},
    snapshot::{LastFailure, Outage, Snapshot, SnapshotConfig, TripRule, WindowSnapshot},
};
use self::{
    engine::{BreakerRef, Engine},
    settings::BreakerSettings,
};
#[cfg(feature = "keyed")]
pub use self::{
    keyed::{KeyedBreaker, KeyedBreakers, KeyedSnapshot},
    named::{KEYED_BREAKERS, all_keyed_breakers, keyed_breakers},
};
use crate::{
    BreakerState, CircuitOpen, ConfigChange, ConfigLayer, Setting,
    errors::PolicyConfig,
    events,
    keying::{Keying, Unkeyed},
    totals::Totals,
};

/// A circuit breaker: it rejects calls to a failing dependency, and admits trial calls after a recovery timeout.
///
/// A closed circuit admits every call and counts failures in a row. At the failure threshold it opens: calls are rejected at once with
/// [`CircuitOpen`], until the recovery timeout has passed. A half-open circuit admits a few trial calls:
/// [`half_open_max_calls`](BreakerConfig::half_open_max_calls) successes close it, and one failure opens it again, unless
/// [`half_open_successes`](BreakerConfig::half_open_successes) requires fewer.
///
/// There is no timer and no background thread. An open circuit becomes half-open with the first call after its recovery timeout; its state
/// reads `half-open` as soon as the timeout has passed.
///
/// Without a [`window`](BreakerConfig::window) and outside of a [`ramp_up`](BreakerConfig::ramp_up), a call through a closed breaker with
/// no counted failures takes no lock and reads no clock. The totals are counted without sharing a cache line between threads, except in a
/// breaker with a key and beyond 64 threads. The first call of a breaker allocates 4 KiB for its totals, and the first call of a thread
/// takes a lock.
///
/// ```
/// use std::io;
/// use steadfast::{BreakerConfig, BreakerState, CircuitBreaker};
///
/// static DISK: CircuitBreaker = CircuitBreaker::new("disk", BreakerConfig::new().failure_threshold(2));
///
/// fn read() -> io::Result<u8> {
///     Err(io::ErrorKind::TimedOut.into())
/// }
///
/// assert!(DISK.call(read).is_err());
/// assert!(DISK.call(read).is_err());
/// assert_eq!(DISK.state(), BreakerState::Open);
/// let rejected = DISK.call(read).unwrap_err(); // `read` is not run
/// assert_eq!(rejected.kind(), io::ErrorKind::ResourceBusy);
/// ```
pub struct CircuitBreaker<K: Keying = Unkeyed> {
    engine: Engine,
    settings: K::Settings<BreakerSettings>,
}

impl CircuitBreaker {
    /// Creates a closed breaker. Declare it as a `static`, and register it with [`register!`](crate::register) or with
    /// `#[circuit_breaker(breaker = PATH)]`.
    #[must_use]
    pub const fn new(name: &'static str, config: BreakerConfig) -> Self {
        Self {
            engine: Engine::new(&config.parameters(0), Totals::sharded(), None),
            settings: BreakerSettings::new(name, config),
        }
    }

    /// Changes the settings at run time. The totals stay.
    ///
    /// - Closed: the failures in a row and the calls in the window stay, and the next failure is judged by the new thresholds. A window of
    ///   another kind starts empty.
    /// - Open: the new recovery timeout applies to the current open state.
    /// - Half-open: the new numbers of trial calls apply. If enough have succeeded already, the circuit closes; if too many have failed, it
    ///   opens.
    ///
    /// The new settings take precedence over all others, including those from a file and the environment, until
    /// [`reset_config`](Self::reset_config).
    ///
    /// ```
    /// use steadfast::{BreakerConfig, CircuitBreaker};
    ///
    /// static STOCK: CircuitBreaker = CircuitBreaker::new("stock", BreakerConfig::new());
    /// STOCK.reconfigure(STOCK.config().failure_threshold(10));
    /// STOCK.reset_config();
    /// assert_eq!(STOCK.config(), BreakerConfig::new());
    /// ```
    pub fn reconfigure(&self, config: BreakerConfig) {
        self.set_live(Some(config));
    }

    /// Removes the settings of [`reconfigure`](Self::reconfigure). The declared settings apply again, overridden by those from a file and
    /// the environment.
    pub fn reset_config(&self) {
        self.set_live(None);
    }

    fn set_live(&self, live: Option<BreakerConfig>) {
        let changed = self.settings.change(|layers| layers.set_live(live));
        self.view().apply_settings();
        events::config_applied(ConfigLayer::Live, || {
            changed.map(|config| self.config_change(config)).into_iter().collect()
        });
    }

    fn config_change(&self, config: BreakerConfig) -> ConfigChange {
        PolicyConfig::change(self.name(), Some(config))
    }

    /// Returns the name of the breaker.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.settings.name
    }

    /// The settings that the code declares.
    pub(crate) fn declared(&self) -> BreakerConfig {
        self.settings.declared()
    }
}

impl<K: Keying> CircuitBreaker<K> {
    /// Requests admission for one call.
    ///
    /// # Errors
    ///
    /// Returns [`CircuitOpen`] if the circuit rejects the call.
    #[inline]
    pub fn try_acquire(&self) -> Result<Permit<'_, K>, CircuitOpen> {
        let admission = self.view().admit()?;
        Ok(Permit::new(self, admission))
    }

    /// Requests admission for one call, with the rejection converted into the caller's error type.
    #[inline]
    fn acquire_or_reject<E: From<CircuitOpen>>(&self) -> Result<Permit<'_, K>, E> {
        /// The slow path, out of line: the state word alone does not decide.
        #[cold]
        #[inline(never)]
        fn slow_path<K: Keying, E: From<CircuitOpen>>(breaker: &CircuitBreaker<K>) -> Result<Permit<'_, K>, E> {
            match breaker.view().admit_timed() {
                Some(admission) => Ok(Permit::new(breaker, admission)),
                None => breaker.try_acquire().map_err(CircuitOpen::into_error),
            }
        }

        match self.view().admit_fast() {
            Some(admission) => Ok(Permit::new(self, admission)),
            None => slow_path(self),
        }
    }

    /// Makes a call if the circuit admits it. An `Err` counts as a failure, and so does a panic.
    ///
    /// [`failure_if`](Self::failure_if) and [`failure_if_result`](Self::failure_if_result) select other failures, and
    /// [`rejection`](Self::rejection) makes the error of a rejected call. The text of an error is not known here, because its type need not
    /// implement `Display`: [`CircuitOpen::last_failure`] has the texts of attributes and of [`Permit::failure_with`].
    ///
    /// # Errors
    ///
    /// Returns the error of `work`, or the rejection converted from [`CircuitOpen`].
    #[inline]
    pub fn call<T, E: From<CircuitOpen>>(&self, work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        let mut permit = self.acquire_or_reject::<E>()?;
        let guard = PanicGuard::new(&mut permit);
        let result = work();
        guard.disarm();
        match result {
            Ok(value) => {
                record_success(&permit);
                forget(permit);
                Ok(value)
            }
            Err(error) => {
                hint::cold_path();
                permit.failure();
                Err(error)
            }
        }
    }

    /// Makes an async call if the circuit admits it. An `Err` counts as a failure, and so does a panic.
    ///
    /// # Cancellation
    ///
    /// A future that is dropped before it completes counts as cancelled, not as a failure, and its permit is released.
    ///
    /// # Errors
    ///
    /// Returns the error of `work`, or the rejection converted from [`CircuitOpen`].
    ///
    /// ```
    /// # use steadfast::{BreakerConfig, CircuitBreaker};
    /// static MAIL: CircuitBreaker = CircuitBreaker::new("mail", BreakerConfig::new());
    /// # async fn deliver(to: &str) -> std::io::Result<()> { Ok(()) }
    ///
    /// # async fn example() -> std::io::Result<()> {
    /// MAIL.call_async(async || deliver("ada@example.org").await).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn call_async<T, E: From<CircuitOpen>>(&self, work: impl AsyncFnOnce() -> Result<T, E>) -> Result<T, E> {
        let mut permit = self.acquire_or_reject::<E>()?;
        // The inner `async` block defers the code that creates the future to the first poll, where a panic in it is detected.
        let result = Polled::new(&mut permit, InPlace(pin!(async { work().await }))).await;
        if result.is_ok() {
            record_success(&permit);
            forget(permit);
        } else {
            hint::cold_path();
            permit.failure();
        }
        result
    }

    /// Returns the state that applies to the next call. Acquires no permit and causes no transition.
    ///
    /// An open circuit reads as half-open once its recovery timeout has passed, although only the next call makes the transition and emits
    /// its event. Once an override has expired, a forced open circuit reads as half-open and a disabled one as closed.
    #[must_use]
    pub fn state(&self) -> BreakerState {
        self.view().state()
    }

    /// Returns the settings in force.
    #[must_use]
    pub fn config(&self) -> BreakerConfig {
        self.view().config()
    }

    /// Returns the options in force, each with the place from which its value is. The breaker of a key has those of its group.
    ///
    /// The options are written as in the attribute, in a fixed order, with those that have their default. An option without an effect, because
    /// it needs another one that is off, is left out: `failure_rate` without a `window`.
    ///
    /// ```
    /// use steadfast::{BreakerConfig, CircuitBreaker, SettingSource};
    ///
    /// static TAXES: CircuitBreaker = CircuitBreaker::new("taxes", BreakerConfig::new().failure_threshold(3));
    ///
    /// let settings = TAXES.settings();
    /// let timeout = settings.iter().find(|setting| setting.option == "recovery_timeout").expect("every breaker has one");
    /// assert_eq!((timeout.value.as_str(), timeout.source), ("30s", SettingSource::Code));
    /// ```
    #[must_use]
    pub fn settings(&self) -> Vec<Setting> {
        self.view().settings()
    }

    /// Returns the state, counts, reasons and times at one moment.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.view().snapshot()
    }

    /// Returns the last 32 changes of state and the last 8 rejections, oldest first.
    ///
    /// At most one rejection per second is stored. The list is empty until the first change of state or rejection.
    #[must_use]
    pub fn recent(&self) -> Vec<HistoryEntry> {
        self.view().recent()
    }

    /// Rejects every call until [`reset`](Self::reset) or [`disable`](Self::disable).
    pub fn force_open(&self) {
        self.apply_override(&Override::force_open());
    }

    /// Rejects every call for `duration`. Then the circuit is half-open, as after a recovery timeout.
    pub fn force_open_for(&self, duration: Duration) {
        self.apply_override(&Override::force_open().expires_in(duration));
    }

    /// Admits every call and never opens, until [`reset`](Self::reset) or [`force_open`](Self::force_open). Totals are still counted.
    pub fn disable(&self) {
        self.apply_override(&Override::disable());
    }

    /// Admits every call for `duration`. Then the circuit is closed, with all counts at 0.
    pub fn disable_for(&self, duration: Duration) {
        self.apply_override(&Override::disable().expires_in(duration));
    }

    /// Closes the circuit from any state, with all counts at 0. The totals stay. The results of calls in flight change only the totals.
    pub fn reset(&self) {
        self.apply_override(&Override::reset());
    }

    /// Applies a manual override, which can have an expiry and a reason.
    pub fn apply_override(&self, manual_override: &Override) {
        self.view().apply_override(manual_override);
    }

    /// The numbers of which metrics are made.
    #[cfg(any(feature = "metrics", feature = "prometheus-client"))]
    pub(crate) fn measure(&self) -> engine::Measurement {
        self.view().measure()
    }

    /// The number of hung calls and the calls in flight, for metrics; `None` if calls are not tracked.
    #[cfg(any(feature = "metrics", feature = "prometheus-client"))]
    pub(crate) fn measure_in_flight(&self) -> Option<(u64, in_flight::Survey)> {
        let view = self.view();
        Some((view.hung(), view.survey()?))
    }

    #[inline]
    fn view(&self) -> BreakerRef<'_> {
        BreakerRef::new(&self.engine, self.settings.borrow())
    }
}

impl<K: Keying> fmt::Debug for CircuitBreaker<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CircuitBreaker")
            .field("name", &self.view().name())
            .field("key", &self.engine.key())
            .field("state", &self.state())
            .field("config", &self.config())
            .finish_non_exhaustive()
    }
}

/// Displays the [`snapshot`](CircuitBreaker::snapshot).
impl<K: Keying> fmt::Display for CircuitBreaker<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.snapshot().fmt(f)
    }
}
