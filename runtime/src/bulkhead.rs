//! Bulkheads: at most `max_concurrent` calls in flight.
//!
//! [`semaphore`] has the permits and the queue. This file has the public methods.

mod config;
#[cfg(any(feature = "metrics", feature = "prometheus-client"))]
mod metrics;
#[cfg(test)]
mod models;
mod named;
mod permit;
mod semaphore;
mod snapshot;
#[cfg(test)]
mod tests;

#[cfg(feature = "tokio")]
use std::pin::Pin;
use std::{
    collections::VecDeque,
    fmt,
    pin::pin,
    sync::{
        self, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

pub(crate) use self::named::Bulkheads;
use self::semaphore::Semaphore;
pub use self::{
    config::BulkheadConfig,
    named::{BULKHEADS, bulkhead, bulkheads},
    permit::BulkheadPermit,
    snapshot::BulkheadSnapshot,
};
use crate::{
    BulkheadFull, ConfigChange, ConfigLayer,
    clock::micros,
    errors::PolicyConfig,
    events::{self, Event},
    layers::Layered,
    totals::{Count, Totals},
    wait,
};

/// A bulkhead: a bound on the number of concurrent calls, so that one slow service cannot occupy all threads, tasks or connections.
///
/// ```
/// use std::{io, time::Duration};
/// use steadfast::{Bulkhead, BulkheadConfig};
///
/// static DATABASE: Bulkhead =
///     Bulkhead::new("database", BulkheadConfig::new().max_concurrent(10).max_wait(Duration::from_millis(100)));
///
/// # fn query() -> io::Result<u8> { Ok(1) }
/// let rows = DATABASE.call(query)?;
/// assert_eq!(DATABASE.in_flight(), 0);
/// # Ok::<(), io::Error>(())
/// ```
///
/// Threads and tasks share the permits and one FIFO queue. A future that is dropped leaves the queue or releases its permit; a panic
/// releases the permit as well.
///
/// A call that finds a permit makes one compare-and-swap on a cache line that all callers share, and a subtraction when it ends. It takes no
/// lock, reads no clock and allocates nothing; only the first call of a bulkhead allocates 4 KiB for its totals.
pub struct Bulkhead {
    name: &'static str,
    layers: Mutex<Layered<BulkheadConfig>>,
    semaphore: Semaphore,
    /// In microseconds; 0 if no call waits.
    max_wait: AtomicU64,
    totals: Totals,
}

impl Bulkhead {
    /// Creates a bulkhead. Declare it as a `static`, and list it with [`register!`](crate::register).
    #[must_use]
    pub const fn new(name: &'static str, config: BulkheadConfig) -> Self {
        Self {
            name,
            layers: Mutex::new(Layered::new(config)),
            semaphore: Semaphore::from_parts(
                AtomicU32::new(config.max_concurrent),
                AtomicU64::new(0),
                Mutex::new(VecDeque::new()),
            ),
            max_wait: AtomicU64::new(max_wait_micros(config)),
            totals: Totals::sharded(),
        }
    }

    /// Takes a permit without waiting.
    ///
    /// # Errors
    ///
    /// If all permits are in use, or other calls wait for one.
    #[inline]
    pub fn try_acquire(&self) -> Result<BulkheadPermit<'_>, BulkheadFull> {
        self.take_permit().ok_or_else(|| self.reject(None))
    }

    /// Takes a permit. Blocks the thread for at most `max_wait`.
    ///
    /// # Errors
    ///
    /// If no permit is available in time.
    #[inline]
    pub fn acquire(&self) -> Result<BulkheadPermit<'_>, BulkheadFull> {
        self.take_permit().map_or_else(|| self.wait(), Ok)
    }

    /// Takes a permit. Waits for at most `max_wait`.
    ///
    /// # Errors
    ///
    /// If no permit is available in time.
    ///
    /// # Panics
    ///
    /// If it has to wait outside a tokio runtime with its timer enabled.
    #[cfg(feature = "tokio")]
    #[inline]
    pub async fn acquire_async(&self) -> Result<BulkheadPermit<'_>, BulkheadFull> {
        match self.take_permit() {
            Some(permit) => Ok(permit),
            // Boxed, so that the future is small for calls that do not wait.
            None => self.wait_async().await,
        }
    }

    /// Runs `work` while holding a permit. Blocks the thread for at most `max_wait` until there is one.
    ///
    /// # Errors
    ///
    /// The error of `work`, or the rejection converted into the caller's error type.
    #[inline]
    pub fn call<T, E: From<BulkheadFull>>(&self, work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        let _permit = self.acquire()?;
        work()
    }

    /// Runs `work` while holding a permit. Waits for at most `max_wait` until there is one.
    ///
    /// # Errors
    ///
    /// The error of `work`, or the rejection converted into the caller's error type.
    ///
    /// # Panics
    ///
    /// If it has to wait outside a tokio runtime with its timer enabled.
    #[cfg(feature = "tokio")]
    pub async fn call_async<T, E: From<BulkheadFull>>(&self, work: impl AsyncFnOnce() -> Result<T, E>) -> Result<T, E> {
        let _permit = self.acquire_async().await?;
        work().await
    }

    /// Returns the name of the bulkhead.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Returns the number of calls in flight.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        self.semaphore.usage().in_use
    }

    /// Returns the number of calls that wait for a permit.
    #[must_use]
    pub fn waiting(&self) -> u32 {
        self.semaphore.usage().waiting
    }

    /// Returns the settings in force.
    #[must_use]
    pub fn config(&self) -> BulkheadConfig {
        self.layers().in_force()
    }

    /// Changes the settings. If `max_concurrent` rises, waiting calls are admitted at once. If it falls, calls in flight continue, and no
    /// call is admitted until enough of them have ended. A waiting call keeps the `max_wait` that was set when it arrived.
    ///
    /// The new settings replace those from the code, a file and the environment as a whole, until [`reset_config`](Self::reset_config).
    pub fn reconfigure(&self, config: BulkheadConfig) {
        self.set_live(Some(config));
    }

    /// Removes the settings of [`reconfigure`](Self::reconfigure). The settings in the code are in force again, overridden by those of a
    /// file and the environment.
    pub fn reset_config(&self) {
        self.set_live(None);
    }

    fn set_live(&self, live: Option<BulkheadConfig>) {
        let change = self.update(|layers| layers.set_live(live));
        self.apply_settings();
        events::config_applied(ConfigLayer::Live, || change.into_iter().collect());
    }

    /// Changes a layer. Returns the change if the settings in force are different now.
    fn update(&self, layer: impl FnOnce(&mut Layered<BulkheadConfig>)) -> Option<ConfigChange> {
        let mut layers = self.layers();
        let before = layers.in_force();
        layer(&mut layers);
        let config = layers.in_force();
        (config != before).then(|| PolicyConfig::change(self.name, Some(config)))
    }

    /// Applies the settings in force. Waiters are woken after the lock is released, so another thread may change the settings in the
    /// meantime; the new ones are then applied as well.
    pub(crate) fn apply_settings(&self) {
        loop {
            let layers = *self.layers();
            let config = layers.in_force();
            // ORDERING: Relaxed: a single number, read by later calls.
            self.max_wait.store(max_wait_micros(config), Ordering::Relaxed);
            self.semaphore.set_permits(config.max_concurrent);
            if self.layers().version() == layers.version() {
                return;
            }
        }
    }

    /// The settings that the code declares.
    pub(crate) fn declared_config(&self) -> BulkheadConfig {
        self.layers().declared()
    }

    fn layers(&self) -> MutexGuard<'_, Layered<BulkheadConfig>> {
        self.layers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the permits in use, the length of the queue and the totals.
    #[must_use]
    pub fn snapshot(&self) -> BulkheadSnapshot {
        let (usage, totals) = (self.semaphore.usage(), self.totals.sums());
        BulkheadSnapshot {
            name: self.name,
            max_concurrent: self.semaphore.permits(),
            in_flight: usage.in_use,
            waiting: usage.waiting,
            admitted: totals.get(Count::Success),
            rejected: totals.get(Count::Rejection),
        }
    }

    #[inline]
    fn take_permit(&self) -> Option<BulkheadPermit<'_>> {
        self.semaphore.try_acquire().then(|| self.admit())
    }

    #[inline]
    fn admit(&self) -> BulkheadPermit<'_> {
        self.totals.add(Count::Success);
        BulkheadPermit::new(self)
    }

    #[cold]
    fn reject(&self, waited: Option<Duration>) -> BulkheadFull {
        self.totals.add(Count::Rejection);
        let (name, max_concurrent) = (self.name, self.semaphore.permits());
        events::emit(|| Event::BulkheadFull { bulkhead: name, max_concurrent });
        BulkheadFull { name, max_concurrent, waited }
    }

    #[cold]
    fn wait(&self) -> Result<BulkheadPermit<'_>, BulkheadFull> {
        let Some(max_wait) = self.max_wait() else { return Err(self.reject(None)) };
        let is_admitted = match self.semaphore.acquire() {
            Some(acquire) => {
                let mut acquire = pin!(acquire);
                wait::on_thread(acquire.as_mut(), max_wait).is_ok() || acquire.cancel()
            }
            None => true,
        };
        if is_admitted { Ok(self.admit()) } else { Err(self.reject(Some(max_wait))) }
    }

    #[cfg(feature = "tokio")]
    #[cold]
    fn wait_async(&self) -> Pin<Box<dyn Future<Output = Result<BulkheadPermit<'_>, BulkheadFull>> + Send + '_>> {
        Box::pin(async {
            let Some(max_wait) = self.max_wait() else { return Err(self.reject(None)) };
            let is_admitted = match self.semaphore.acquire() {
                Some(acquire) => {
                    let mut acquire = pin!(acquire);
                    wait::in_task(acquire.as_mut(), max_wait).await.is_ok() || acquire.cancel()
                }
                None => true,
            };
            if is_admitted { Ok(self.admit()) } else { Err(self.reject(Some(max_wait))) }
        })
    }

    fn max_wait(&self) -> Option<Duration> {
        // ORDERING: Relaxed, as in `apply_settings`.
        let max_wait = self.max_wait.load(Ordering::Relaxed);
        (max_wait > 0).then(|| Duration::from_micros(max_wait))
    }
}

/// Displays the [`snapshot`](Bulkhead::snapshot).
impl fmt::Display for Bulkhead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.snapshot().fmt(f)
    }
}

const fn max_wait_micros(config: BulkheadConfig) -> u64 {
    match config.max_wait {
        Some(max_wait) => micros(max_wait),
        None => 0,
    }
}

impl fmt::Debug for Bulkhead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bulkhead")
            .field("name", &self.name)
            .field("in_flight", &self.in_flight())
            .field("waiting", &self.waiting())
            .finish_non_exhaustive()
    }
}
