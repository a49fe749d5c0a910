//! Circuit breakers.
//!
//! [`word`] is the state machine as a value, [`shared`] shares it between threads, [`window`] holds the calls of late for
//! those that judge by rates, [`totals`](crate::totals) counts beside it; [`core`] puts them together for a call.

mod config;
mod engine;
mod history;
#[cfg(feature = "keyed")]
mod keyed;
mod manual_override;
#[cfg(any(feature = "metrics", feature = "prometheus-client"))]
mod metrics;
#[cfg(test)]
mod models;
mod named;
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
    config::{BreakerConfig, Window},
    history::{HistoryEntry, HistoryEvent},
    manual_override::Override,
    named::{BREAKERS, breaker, breakers},
    permit::{PanicMark, Permit, Polled},
    snapshot::{Snapshot, SnapshotConfig, TripRule, WindowSnapshot},
};
use self::{
    engine::{BreakerRef, Core},
    settings::BreakerSettings,
};
#[cfg(feature = "keyed")]
pub use self::{
    keyed::{KeyedBreaker, KeyedBreakers, KeyedSnapshot},
    named::{KEYED_BREAKERS, all_keyed_breakers, keyed_breakers},
};
use crate::{
    BreakerState, CircuitOpen, ConfigChange, ConfigLayer, events,
    keying::{Keying, Unkeyed},
    totals::Totals,
};

/// Stops calling what is down, and tries again carefully.
///
/// Closed, every call goes through and failures in a row are counted. Enough of them open the circuit: calls are
/// rejected at once with [`CircuitOpen`], until the recovery timeout has passed. Then it is half-open: a few trial
/// calls go through; enough successes close it, one failure opens it again.
///
/// There is no timer and no thread behind it. An open circuit becomes half-open with the first call after its recovery
/// timeout; from that moment on its state reads `half-open`, whether a call comes or not.
///
/// A call through a closed breaker with no failures counted takes no lock, reads no clock and writes no memory that
/// another thread writes. The first call of a breaker takes 4 KiB for its totals, and a thread's first call a lock.
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
    core: Core,
    settings: K::Settings<BreakerSettings>,
}

impl CircuitBreaker {
    /// A closed breaker. Declare it as a `static`, and list it with [`register!`](crate::register) or with
    /// `#[circuit_breaker(breaker = PATH)]`.
    #[must_use]
    pub const fn new(name: &'static str, config: BreakerConfig) -> Self {
        Self {
            core: Core::new(&config.rules(0), Totals::sharded(), None),
            settings: BreakerSettings::new(name, config),
        }
    }

    /// Changes the settings from now on, without a restart. The totals stay, and no state is skipped.
    ///
    /// Closed, failures in a row and the window's calls count on, judged by the new limits with the next failure; a window of another
    /// kind begins empty. Open, the new recovery timeout holds for the rest that is under way. Half-open, the new number of trial calls
    /// holds; if that many have succeeded already, the circuit closes.
    ///
    /// ```
    /// use steadfast::{BreakerConfig, CircuitBreaker};
    ///
    /// static STOCK: CircuitBreaker = CircuitBreaker::new("stock", BreakerConfig::new());
    /// STOCK.reconfigure(STOCK.config().failure_threshold(10));
    /// STOCK.reset_config();
    /// assert_eq!(STOCK.config(), BreakerConfig::new());
    /// ```
    ///
    /// These settings hold as a whole, on top of those from a file and the environment, until [`reset_config`](Self::reset_config).
    pub fn reconfigure(&self, config: BreakerConfig) {
        self.set_live(Some(config));
    }

    /// Ends what [`reconfigure`](Self::reconfigure) has set: the settings of the code hold again, with those that a file and the
    /// environment put on top of them.
    pub fn reset_config(&self) {
        self.set_live(None);
    }

    fn set_live(&self, live: Option<BreakerConfig>) {
        let changed = self.settings.change(|layers| layers.set_live(live));
        self.apply_settings();
        events::config_applied(ConfigLayer::Live, || changed.map(|config| self.changed(config)).into_iter().collect());
    }

    /// Replaces the settings from a file and the environment; [`apply_settings`](Self::apply_settings) has to follow.
    #[cfg(feature = "config")]
    pub(crate) fn set_outside(&self, outside: Option<BreakerConfig>) -> Option<ConfigChange> {
        self.settings.change(|layers| layers.set_outside(outside)).map(|config| self.changed(config))
    }

    /// Judges what was counted by the settings in force.
    pub(crate) fn apply_settings(&self) {
        self.view().apply_settings();
    }

    fn changed(&self, config: BreakerConfig) -> ConfigChange {
        ConfigChange::of_policy(self.name(), Some(config))
    }

    /// The name it was declared with.
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
    /// Asks to make a call.
    ///
    /// # Errors
    ///
    /// The circuit does not admit it.
    #[inline]
    pub fn try_acquire(&self) -> Result<Permit<'_, K>, CircuitOpen> {
        let admission = self.view().admit()?;
        Ok(Permit::new(self, admission))
    }

    /// Gives the rejection as the caller's own error.
    #[inline]
    fn acquire_or_fail<E: From<CircuitOpen>>(&self) -> Result<Permit<'_, K>, E> {
        /// The path of calls that are not admitted freely, out of line.
        #[cold]
        #[inline(never)]
        fn guarded<K: Keying, E: From<CircuitOpen>>(breaker: &CircuitBreaker<K>) -> Result<Permit<'_, K>, E> {
            breaker.try_acquire().map_err(CircuitOpen::into_error)
        }

        match self.view().admit_freely() {
            Some(admission) => Ok(Permit::new(self, admission)),
            None => guarded(self),
        }
    }

    /// Makes a call if the circuit admits it. An `Err` counts as a failure, and so does a panic.
    ///
    /// # Errors
    ///
    /// What `work` returns, or the rejection as the caller's own error type.
    #[inline]
    pub fn call<T, E: From<CircuitOpen>>(&self, work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        let mut permit = self.acquire_or_fail::<E>()?;
        let mark = PanicMark::new(&mut permit);
        let result = work();
        mark.returned();
        match result {
            Ok(value) => {
                permit.success();
                Ok(value)
            }
            Err(error) => {
                hint::cold_path();
                permit.failure();
                Err(error)
            }
        }
    }

    /// Makes a call if the circuit admits it. An `Err` counts as a failure, and so does a panic; dropping the future
    /// before its end counts as neither and frees its place.
    ///
    /// # Errors
    ///
    /// What `work` returns, or the rejection as the caller's own error type.
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
        let mut permit = self.acquire_or_fail::<E>()?;
        // The code that makes the future runs with the first poll.
        let result = Polled::new(&mut permit, pin!(async { work().await })).await;
        permit.end(&result);
        result
    }

    /// The state that the next call finds. Looking takes no trial call's permit and moves nothing.
    ///
    /// It goes by the time: once its recovery timeout has passed, an open circuit reads half-open, although the transition and its
    /// event come with the next call. A circuit that is forced open or disabled for a time reads half-open or closed after that.
    #[must_use]
    pub fn state(&self) -> BreakerState {
        self.view().state()
    }

    /// The settings in force.
    #[must_use]
    pub fn config(&self) -> BreakerConfig {
        self.view().config()
    }

    /// State, counts, reasons and times in one reading.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.view().snapshot()
    }

    /// What happened of late, oldest first: the last 32 changes of state and the last 8 rejections.
    ///
    /// Of rejections that follow each other within a second only the first is kept. Nothing is kept before the circuit opens
    /// for the first time.
    #[must_use]
    pub fn recent(&self) -> Vec<HistoryEntry> {
        self.view().recent()
    }

    /// Rejects every call from now on, whatever the clock says, until [`reset`](Self::reset) or
    /// [`disable`](Self::disable).
    pub fn force_open(&self) {
        self.apply_override(&Override::force_open());
    }

    /// Rejects every call for this long. Then trial calls decide, as after any rest.
    pub fn force_open_for(&self, duration: Duration) {
        self.apply_override(&Override::force_open().expires_in(duration));
    }

    /// Lets every call through from now on and opens for nothing, until [`reset`](Self::reset) or
    /// [`force_open`](Self::force_open). Totals are still counted.
    pub fn disable(&self) {
        self.apply_override(&Override::disable());
    }

    /// Lets every call through for this long. Then the circuit is closed with nothing counted.
    pub fn disable_for(&self, duration: Duration) {
        self.apply_override(&Override::disable().expires_in(duration));
    }

    /// Closes the circuit with nothing counted, from any state. Totals stay. Results of calls that are under way move nothing
    /// any more.
    pub fn reset(&self) {
        self.apply_override(&Override::reset());
    }

    /// An operator's hand, with an expiry and a reason.
    pub fn apply_override(&self, manual_override: &Override) {
        self.view().apply_override(manual_override);
    }

    /// What metrics tell of it.
    #[cfg(any(feature = "metrics", feature = "prometheus-client"))]
    pub(crate) fn measure(&self) -> (crate::totals::Sums, history::Tally, BreakerState) {
        (self.core.sums(), self.view().tally(), self.state())
    }

    #[inline]
    fn view(&self) -> BreakerRef<'_> {
        BreakerRef::new(&self.core, self.settings.borrow())
    }
}

impl<K: Keying> fmt::Debug for CircuitBreaker<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CircuitBreaker")
            .field("name", &self.view().name())
            .field("key", &self.core.key())
            .field("state", &self.state())
            .field("config", &self.config())
            .finish_non_exhaustive()
    }
}

/// As its [`snapshot`](CircuitBreaker::snapshot).
impl<K: Keying> fmt::Display for CircuitBreaker<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.snapshot().fmt(f)
    }
}
