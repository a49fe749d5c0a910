//! Bulkheads: at most `max_concurrent` calls in flight.
//!
//! [`semaphore`] has the permits and the queue. This file has the public methods.

mod config;
#[cfg(feature = "keyed")]
mod keyed;
#[cfg(any(feature = "metrics", feature = "prometheus-client"))]
mod metrics;
#[cfg(test)]
mod models;
mod named;
mod owned;
mod permit;
mod semaphore;
mod settings;
mod snapshot;
#[cfg(test)]
mod tests;

use std::{
    borrow::Borrow,
    collections::VecDeque,
    fmt,
    pin::pin,
    sync::{
        self, Mutex,
        atomic::{AtomicU32, AtomicU64},
    },
    time::Duration,
};
#[cfg(feature = "tokio")]
use std::{future::Future, pin::Pin};

pub(crate) use self::named::Bulkheads;
pub use self::{
    config::BulkheadConfig,
    named::{BULKHEADS, bulkhead, bulkheads},
    permit::{BulkheadPermit, OwnedBulkheadPermit},
    snapshot::BulkheadSnapshot,
};
#[cfg(feature = "keyed")]
pub use self::{
    keyed::{KeyedBulkhead, KeyedBulkheads},
    named::{KEYED_BULKHEADS, all_keyed_bulkheads, keyed_bulkheads},
    snapshot::KeyedBulkheadSnapshot,
};
use self::{
    semaphore::{Acquisition, Semaphore},
    settings::BulkheadSettings,
};
use crate::{
    BulkheadFull, ConfigLayer, Setting,
    events::{self, Event},
    keyed_store::key::{self, Key},
    keying::{Keying, Unkeyed},
    totals::{Count, Totals},
    wait::{self, WaitError},
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
/// # Permits
///
/// A call takes one permit, and [`try_acquire_many`](Self::try_acquire_many), [`acquire_many`](Self::acquire_many) and
/// `acquire_many_async` take several at once, for a call that needs as much of the service as several others. A call gets all of its
/// permits or none, and returns as many. While the first waiter waits for several, no lighter call overtakes it. A call that takes more
/// permits than `max_concurrent` is [rejected](BulkheadFull::exceeds_limit) at once, however long it may wait, and is not transient. A call
/// that takes no permit is admitted at once, even if the bulkhead is full.
///
/// For an error type without `From<BulkheadFull>`, use `acquire` and convert the rejection:
///
/// ```
/// # use steadfast::{Bulkhead, BulkheadConfig};
/// static RENDERING: Bulkhead = Bulkhead::new("rendering", BulkheadConfig::new().max_concurrent(8));
///
/// fn render(pages: u32) -> Result<u32, String> {
///     let _permit = RENDERING.acquire_many(pages).map_err(|full| full.to_string())?;
///     Ok(pages)
/// }
/// assert_eq!(render(8), Ok(8));
/// assert!(render(9).is_err());
/// ```
///
/// # Cost
///
/// A call that finds a permit makes one compare-and-swap on a cache line that all callers share, and a subtraction when it ends. It takes no
/// lock, reads no clock and allocates nothing; only the first call of a bulkhead allocates 4 KiB for its totals.
pub struct Bulkhead<K: Keying = Unkeyed> {
    semaphore: Semaphore,
    totals: Totals,
    key: Option<Key>,
    settings: K::Settings<BulkheadSettings>,
}

/// The reason of a rejection.
#[derive(Clone, Copy, Debug)]
enum Refusal {
    /// The call cannot wait, or takes more permits than there are.
    Full,
    /// The wait has lasted for this time.
    Waited(Duration),
    /// The queue has this length, which is its maximum.
    QueueFull(u32),
}

impl Bulkhead {
    /// Creates a bulkhead. Declare it as a `static`, and list it with [`register!`](crate::register).
    #[must_use]
    pub const fn new(name: &'static str, config: BulkheadConfig) -> Self {
        Self {
            semaphore: semaphore_with(config.max_concurrent),
            totals: Totals::sharded(),
            key: None,
            settings: BulkheadSettings::new(name, config),
        }
    }

    /// Returns the name of the bulkhead.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.settings.name
    }

    /// Changes the settings. If `max_concurrent` rises, waiting calls are admitted at once. If it falls, calls in flight continue, and no
    /// call is admitted until enough of them have ended. A waiting call keeps the `max_wait` that was set when it arrived; it is rejected if
    /// it takes more permits than there are now.
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
        let change = self.settings.update(|layers| layers.set_live(live));
        self.adopt_settings();
        events::config_applied(ConfigLayer::Live, || change.into_iter().collect());
    }

    /// The settings that the code declares.
    pub(crate) fn declared_config(&self) -> BulkheadConfig {
        self.settings.declared()
    }
}

impl<K: Keying> Bulkhead<K> {
    /// Takes a permit without waiting.
    ///
    /// # Errors
    ///
    /// If all permits are in use, or other calls wait for one.
    #[inline]
    pub fn try_acquire(&self) -> Result<BulkheadPermit<'_, K>, BulkheadFull> {
        self.try_acquire_many(1)
    }

    /// Takes several permits without waiting, as [`try_acquire`](Self::try_acquire) takes one. 0 permits are admitted at once.
    ///
    /// # Errors
    ///
    /// If not all of them are free, if other calls wait, or if they are more than `max_concurrent`.
    #[inline]
    pub fn try_acquire_many(&self, permits: u32) -> Result<BulkheadPermit<'_, K>, BulkheadFull> {
        if self.take(permits) {
            Ok(BulkheadPermit::new(self, permits))
        } else {
            Err(self.reject(permits, Refusal::Full))
        }
    }

    /// Takes a permit. Blocks the thread for at most `max_wait`.
    ///
    /// # Errors
    ///
    /// If no permit is available in time.
    #[inline]
    pub fn acquire(&self) -> Result<BulkheadPermit<'_, K>, BulkheadFull> {
        self.acquire_many(1)
    }

    /// Takes several permits, as [`acquire`](Self::acquire) takes one. 0 permits are admitted at once.
    ///
    /// # Errors
    ///
    /// If not all of them are available in time, or, at once, if they are more than `max_concurrent`.
    #[inline]
    pub fn acquire_many(&self, permits: u32) -> Result<BulkheadPermit<'_, K>, BulkheadFull> {
        if !self.take(permits) {
            self.wait(permits)?;
        }
        Ok(BulkheadPermit::new(self, permits))
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
    pub async fn acquire_async(&self) -> Result<BulkheadPermit<'_, K>, BulkheadFull> {
        if !self.take(1) {
            // Boxed, so that the future is small for calls that do not wait.
            self.wait_async(1).await?;
        }
        Ok(BulkheadPermit::new(self, 1))
    }

    /// Takes several permits, as [`acquire_async`](Self::acquire_async) takes one. 0 permits are admitted at once.
    ///
    /// # Errors
    ///
    /// If not all of them are available in time, or, at once, if they are more than `max_concurrent`.
    ///
    /// # Panics
    ///
    /// If it has to wait outside a tokio runtime with its timer enabled.
    #[cfg(feature = "tokio")]
    #[inline]
    pub async fn acquire_many_async(&self, permits: u32) -> Result<BulkheadPermit<'_, K>, BulkheadFull> {
        if !self.take(permits) {
            self.wait_async(permits).await?;
        }
        Ok(BulkheadPermit::new(self, permits))
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

    /// Returns the number of permits in use: the number of calls in flight, if each takes one.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        self.semaphore.usage().in_use
    }

    /// Returns the number of calls that wait.
    #[must_use]
    pub fn waiting(&self) -> u32 {
        self.semaphore.usage().waiting
    }

    /// Returns the settings in force.
    #[must_use]
    pub fn config(&self) -> BulkheadConfig {
        self.own_settings().config()
    }

    /// Returns the options in force, each with the place from which its value is.
    ///
    /// The options are written as in the attribute, in a fixed order, with those that have their default. An option without an effect, because
    /// it needs another one that is off, is left out.
    #[must_use]
    pub fn settings(&self) -> Vec<Setting> {
        self.own_settings().settings()
    }

    /// Adopts the settings in force. Waiters are woken after the lock is released, so another thread may change the settings in the
    /// meantime; the new ones are then adopted as well.
    fn adopt_settings(&self) {
        loop {
            let (config, version) = self.own_settings().config_and_version();
            self.semaphore.set_permits(config.max_concurrent);
            if self.own_settings().config_and_version().1 == version {
                return;
            }
        }
    }

    /// Returns the permits in use, the length of the queue and the totals.
    #[must_use]
    pub fn snapshot(&self) -> BulkheadSnapshot {
        let (usage, totals) = (self.semaphore.usage(), self.totals.sums());
        let (key, overflow) = key::parts(self.key.as_ref());
        BulkheadSnapshot {
            name: self.own_settings().name,
            key,
            overflow,
            max_concurrent: self.semaphore.permits(),
            max_queue: self.config().max_queue,
            in_flight: usage.in_use,
            waiting: usage.waiting,
            admitted: totals.get(Count::Success),
            rejected: totals.get(Count::Rejection),
        }
    }

    #[inline]
    fn own_settings(&self) -> &BulkheadSettings {
        self.settings.borrow()
    }

    /// Takes permits if they are free. Returns true if it took them.
    #[inline]
    fn take(&self, permits: u32) -> bool {
        let is_admitted = permits == 0 || self.semaphore.try_acquire(permits);
        if is_admitted {
            self.totals.add(Count::Success);
        }
        is_admitted
    }

    #[cold]
    fn reject(&self, permits: u32, refusal: Refusal) -> BulkheadFull {
        self.totals.add(Count::Rejection);
        let (name, max_concurrent) = (self.own_settings().name, self.semaphore.permits());
        let (waited, max_queue) = match refusal {
            Refusal::Full => (None, None),
            Refusal::Waited(time) => (Some(time), None),
            Refusal::QueueFull(calls) => (None, Some(calls)),
        };
        events::emit(|| {
            let (key, overflow) = key::parts(self.key.as_ref());
            Event::BulkheadFull { bulkhead: name, key, overflow, max_concurrent, permits, max_queue }
        });
        BulkheadFull { name, key: self.key.clone(), max_concurrent, permits, waited, max_queue }
    }

    /// Takes permits, and waits on the thread until they are free.
    #[cold]
    fn wait(&self, permits: u32) -> Result<(), BulkheadFull> {
        let (acquisition, max_wait) = self.join_queue(permits)?;
        let mut is_admitted = Ok(true);
        if let Acquisition::Queued(acquire) = acquisition {
            let mut acquire = pin!(acquire);
            is_admitted = wait::on_thread(acquire.as_mut(), max_wait);
            if is_admitted.is_err() && acquire.cancel() {
                is_admitted = Ok(true);
            }
        }
        self.end_wait(permits, max_wait, is_admitted)
    }

    /// Takes permits, and waits in the task until they are free.
    #[cfg(feature = "tokio")]
    #[cold]
    fn wait_async(&self, permits: u32) -> Pin<Box<dyn Future<Output = Result<(), BulkheadFull>> + Send + '_>> {
        Box::pin(async move {
            let (acquisition, max_wait) = self.join_queue(permits)?;
            let mut is_admitted = Ok(true);
            if let Acquisition::Queued(acquire) = acquisition {
                let mut acquire = pin!(acquire);
                is_admitted = wait::in_task(acquire.as_mut(), max_wait).await;
                if is_admitted.is_err() && acquire.cancel() {
                    is_admitted = Ok(true);
                }
            }
            self.end_wait(permits, max_wait, is_admitted)
        })
    }

    /// Takes permits or joins the queue. Returns the `max_wait`. Rejects a call that cannot wait.
    fn join_queue(&self, permits: u32) -> Result<(Acquisition<'_>, Duration), BulkheadFull> {
        let (max_wait, max_queue) = (self.own_settings().max_wait(), self.own_settings().max_queue());
        if max_wait == 0 {
            return Err(self.reject(permits, Refusal::Full));
        }
        match self.semaphore.acquire(permits, max_queue) {
            Acquisition::QueueFull => Err(self.reject(permits, Refusal::QueueFull(max_queue))),
            Acquisition::ExceedsPermits => Err(self.reject(permits, Refusal::Full)),
            acquisition => Ok((acquisition, Duration::from_micros(max_wait))),
        }
    }

    /// Counts the end of a wait: true if the call holds its permits, false if it takes more than there are now. A wait that a stop signal
    /// ended has not lasted for `max_wait`.
    fn end_wait(
        &self,
        permits: u32,
        max_wait: Duration,
        is_admitted: Result<bool, WaitError>,
    ) -> Result<(), BulkheadFull> {
        match is_admitted {
            Ok(true) => {
                self.totals.add(Count::Success);
                Ok(())
            }
            Ok(false) | Err(WaitError::Stopped) => Err(self.reject(permits, Refusal::Full)),
            Err(WaitError::TimedOut) => Err(self.reject(permits, Refusal::Waited(max_wait))),
        }
    }
}

/// Creates a semaphore without waiters.
const fn semaphore_with(permits: u32) -> Semaphore {
    Semaphore::from_parts(AtomicU32::new(permits), AtomicU64::new(0), Mutex::new(VecDeque::new()))
}

/// Displays the [`snapshot`](Bulkhead::snapshot).
impl<K: Keying> fmt::Display for Bulkhead<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.snapshot().fmt(f)
    }
}

impl<K: Keying> fmt::Debug for Bulkhead<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bulkhead")
            .field("name", &self.own_settings().name)
            .field("key", &self.key)
            .field("in_flight", &self.in_flight())
            .field("waiting", &self.waiting())
            .finish_non_exhaustive()
    }
}
