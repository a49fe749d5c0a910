//! At most so many calls at once.
//!
//! [`semaphore`] has the places and the queue, this file has the public methods.

mod config;
#[cfg(test)]
mod models;
mod permit;
mod rejection;
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

use self::semaphore::Semaphore;
pub use self::{config::BulkheadConfig, permit::BulkheadPermit, rejection::BulkheadFull, snapshot::BulkheadSnapshot};
use crate::{
    ConfigChange, ConfigLayer,
    clock::micros,
    events::{self, Event},
    layers::{self, Layered},
    registry::{Declared, DeclaredConfig, Listed, Registry, Shared},
    slices::BULKHEADS,
    totals::{Count, Totals},
    wait,
};

/// Bounds how many calls are in flight at once, so that one slow service does not take all threads, tasks or connections.
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
/// Threads and tasks share the places, and one queue: who came first gets in first. A future that is dropped, while it waits or
/// later, gives its place back, and so does a panic.
///
/// A call that finds a place makes one compare-and-swap on a cache line that all callers share, and another when it ends. It takes no
/// lock, reads no clock and allocates nothing.
pub struct Bulkhead {
    name: &'static str,
    layers: Mutex<Layered<BulkheadConfig>>,
    semaphore: Semaphore,
    /// In microseconds; 0 if nobody waits.
    max_wait: AtomicU64,
    totals: Totals,
}

impl Bulkhead {
    /// A bulkhead. Declare it as a `static`, and list it with [`register!`](crate::register).
    #[must_use]
    pub const fn new(name: &'static str, config: BulkheadConfig) -> Self {
        Self {
            name,
            layers: Mutex::new(Layered::new(config)),
            semaphore: Semaphore::of(
                AtomicU32::new(config.max_concurrent),
                AtomicU64::new(0),
                Mutex::new(VecDeque::new()),
            ),
            max_wait: AtomicU64::new(wait_of(config)),
            totals: Totals::sharded(),
        }
    }

    /// Takes a place if there is one, and nobody waits for it.
    ///
    /// # Errors
    ///
    /// There is none.
    #[inline]
    pub fn try_acquire(&self) -> Result<BulkheadPermit<'_>, BulkheadFull> {
        self.enter().ok_or_else(|| self.reject(None))
    }

    /// Takes a place, and waits for one on the thread as long as the settings say.
    ///
    /// # Errors
    ///
    /// There was none in time.
    #[inline]
    pub fn acquire(&self) -> Result<BulkheadPermit<'_>, BulkheadFull> {
        self.enter().map_or_else(|| self.wait(), Ok)
    }

    /// Takes a place, and waits for one as long as the settings say.
    ///
    /// # Errors
    ///
    /// There was none in time.
    ///
    /// # Panics
    ///
    /// If it has to wait outside of a tokio runtime with its timer enabled.
    #[cfg(feature = "tokio")]
    #[inline]
    pub async fn acquire_async(&self) -> Result<BulkheadPermit<'_>, BulkheadFull> {
        match self.enter() {
            Some(permit) => Ok(permit),
            // In a box, so that a future that never waits is not larger for it.
            None => self.wait_async().await,
        }
    }

    /// Makes a call when there is a place for it, and waits for one on the thread as long as the settings say.
    ///
    /// # Errors
    ///
    /// What `work` returns, or the rejection as the caller's own error type.
    #[inline]
    pub fn call<T, E: From<BulkheadFull>>(&self, work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        let _permit = self.acquire()?;
        work()
    }

    /// Makes a call when there is a place for it, and waits for one as long as the settings say.
    ///
    /// # Errors
    ///
    /// What `work` returns, or the rejection as the caller's own error type.
    ///
    /// # Panics
    ///
    /// If it has to wait outside of a tokio runtime with its timer enabled.
    #[cfg(feature = "tokio")]
    pub async fn call_async<T, E: From<BulkheadFull>>(&self, work: impl AsyncFnOnce() -> Result<T, E>) -> Result<T, E> {
        let _permit = self.acquire_async().await?;
        work().await
    }

    /// The name it was declared with.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// How many calls are in flight.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        self.semaphore.load().taken
    }

    /// How many calls wait for a place.
    #[must_use]
    pub fn waiting(&self) -> u32 {
        self.semaphore.load().waiting
    }

    /// The settings in force.
    #[must_use]
    pub fn config(&self) -> BulkheadConfig {
        self.layers().in_force()
    }

    /// Changes the settings from now on. Where there are more places, who waits gets in; where there are fewer, calls in flight go
    /// on, and nobody gets in before enough of them have ended. Who waits already waits as long as it was to.
    ///
    /// These settings hold as a whole, on top of those from a file and the environment, until [`reset_config`](Self::reset_config).
    pub fn reconfigure(&self, config: BulkheadConfig) {
        self.set_live(Some(config));
    }

    /// Ends what [`reconfigure`](Self::reconfigure) has set: the settings of the code hold again, with those that a file and the
    /// environment put on top of them.
    pub fn reset_config(&self) {
        self.set_live(None);
    }

    fn set_live(&self, live: Option<BulkheadConfig>) {
        let changed = self.change(|layers| layers.set_live(live));
        self.apply_settings();
        layers::emit(ConfigLayer::Live, || changed.into_iter().collect());
    }

    /// Replaces the settings from a file and the environment; [`apply_settings`](Self::apply_settings) has to follow.
    #[cfg(feature = "config")]
    pub(crate) fn set_outside(&self, outside: Option<BulkheadConfig>) -> Option<ConfigChange> {
        self.change(|layers| layers.set_outside(outside))
    }

    fn change(&self, layer: impl FnOnce(&mut Layered<BulkheadConfig>)) -> Option<ConfigChange> {
        let mut layers = self.layers();
        let before = layers.in_force();
        layer(&mut layers);
        let config = layers.in_force();
        (config != before).then(|| ConfigChange::new("bulkhead", self.name, config))
    }

    /// Puts the settings in force into effect. No lock is held where waiters are woken, so that another thread may change the settings
    /// meanwhile; then this looks again.
    pub(crate) fn apply_settings(&self) {
        loop {
            let layers = *self.layers();
            let config = layers.in_force();
            // ORDERING: Relaxed: a number by itself, for calls that come later.
            self.max_wait.store(wait_of(config), Ordering::Relaxed);
            self.semaphore.set_places(config.max_concurrent);
            if self.layers().version() == layers.version() {
                return;
            }
        }
    }

    fn layers(&self) -> MutexGuard<'_, Layered<BulkheadConfig>> {
        self.layers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Places, queue and totals.
    #[must_use]
    pub fn snapshot(&self) -> BulkheadSnapshot {
        let (load, totals) = (self.semaphore.load(), self.totals.sums());
        BulkheadSnapshot {
            name: self.name,
            max_concurrent: self.semaphore.places(),
            in_flight: load.taken,
            waiting: load.waiting,
            admitted: totals.get(Count::Success),
            rejected: totals.get(Count::Rejection),
        }
    }

    #[inline]
    fn enter(&self) -> Option<BulkheadPermit<'_>> {
        self.semaphore.try_enter().then(|| self.admit())
    }

    #[inline]
    fn admit(&self) -> BulkheadPermit<'_> {
        self.totals.add(Count::Success);
        BulkheadPermit::new(self)
    }

    #[cold]
    fn reject(&self, waited: Option<Duration>) -> BulkheadFull {
        self.totals.add(Count::Rejection);
        let (name, max_concurrent) = (self.name, self.semaphore.places());
        events::tell(|| Event::BulkheadFull { bulkhead: name, max_concurrent });
        BulkheadFull { name, max_concurrent, waited }
    }

    #[cold]
    fn wait(&self) -> Result<BulkheadPermit<'_>, BulkheadFull> {
        let Some(max_wait) = self.max_wait() else { return Err(self.reject(None)) };
        let entered = match self.semaphore.enter() {
            Some(waiting) => {
                let mut waiting = pin!(waiting);
                wait::on_thread(waiting.as_mut(), max_wait).is_ok() || waiting.end()
            }
            None => true,
        };
        if entered { Ok(self.admit()) } else { Err(self.reject(Some(max_wait))) }
    }

    #[cfg(feature = "tokio")]
    #[cold]
    fn wait_async(&self) -> Pin<Box<dyn Future<Output = Result<BulkheadPermit<'_>, BulkheadFull>> + Send + '_>> {
        Box::pin(async {
            let Some(max_wait) = self.max_wait() else { return Err(self.reject(None)) };
            let entered = match self.semaphore.enter() {
                Some(waiting) => {
                    let mut waiting = pin!(waiting);
                    wait::in_task(waiting.as_mut(), max_wait).await.is_ok() || waiting.end()
                }
                None => true,
            };
            if entered { Ok(self.admit()) } else { Err(self.reject(Some(max_wait))) }
        })
    }

    fn max_wait(&self) -> Option<Duration> {
        // ORDERING: Relaxed, as in `apply_settings`.
        let max_wait = self.max_wait.load(Ordering::Relaxed);
        (max_wait > 0).then(|| Duration::from_micros(max_wait))
    }
}

/// As its [`snapshot`](Bulkhead::snapshot).
impl fmt::Display for Bulkhead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.snapshot().fmt(f)
    }
}

/// The bulkhead of that name, also before its first call.
#[must_use]
pub fn bulkhead(name: &str) -> Option<&'static Bulkhead> {
    Bulkhead::registry().get(name)
}

/// Every named bulkhead of the program, sorted by name, also before its first call.
///
/// ```
/// for bulkhead in steadfast::bulkheads() {
///     println!("{bulkhead}"); // mail: 1 of 4 in flight, 0 waiting; ...
/// }
/// ```
#[must_use]
pub fn bulkheads() -> Vec<&'static Bulkhead> {
    Bulkhead::registry().all()
}

impl Shared for Bulkhead {
    type Config = BulkheadConfig;

    const NEEDS_SETTINGS: bool = false;

    fn create(name: &'static str, config: Option<BulkheadConfig>) -> Self {
        Self::new(name, config.unwrap_or_default())
    }

    fn name(&self) -> &'static str {
        self.name
    }

    fn declared(&self) -> Option<BulkheadConfig> {
        Some(self.layers().declared())
    }

    fn show(config: Option<BulkheadConfig>) -> (DeclaredConfig, Option<usize>) {
        (DeclaredConfig::Bulkhead(config.unwrap_or_default()), None)
    }

    fn listed(listed: Listed) -> Option<&'static Self> {
        if let Listed::Bulkhead(own) = listed { Some(own) } else { None }
    }

    fn declarations() -> &'static [&'static Declared<Self>] {
        &BULKHEADS
    }

    fn registry() -> &'static Registry<Self> {
        static REGISTRY: Registry<Bulkhead> = Registry::new();
        &REGISTRY
    }
}

const fn wait_of(config: BulkheadConfig) -> u64 {
    match config.max_wait {
        Some(wait) => micros(wait),
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
