//! One limit: its counts, and the decision.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use super::{
    RateLimitConfig, RateLimited,
    meter::{Limit, Meter},
};
use crate::{
    ConfigChange, ConfigLayer, DeclaredConfig,
    clock::{self, micros},
    events::{self, Event},
    layers::{self, Layered},
    totals::{Count, Totals},
};

/// Name and settings, which the limits of all keys share.
#[derive(Debug)]
pub struct Rules {
    pub(super) name: &'static str,
    /// `None` where no layer gives a limit.
    layers: Mutex<Layered<Option<RateLimitConfig>>>,
    /// How often something was set: who has seen the last knows the settings.
    version: AtomicU32,
    /// Whether there is a store to ask.
    has_store: AtomicBool,
}

impl Rules {
    pub(super) const fn new(name: &'static str, declared: Option<RateLimitConfig>) -> Self {
        let has_store = AtomicBool::new(matches!(declared, Some(RateLimitConfig { store: Some(_), .. })));
        Self { name, layers: Mutex::new(Layered::new(declared)), version: AtomicU32::new(0), has_store }
    }

    /// Whether there is a store to ask.
    #[cfg(feature = "tokio")]
    pub(super) fn has_store(&self) -> bool {
        // ORDERING: Relaxed: who sees that there is one takes the lock to see which.
        self.has_store.load(Ordering::Relaxed)
    }

    pub(super) fn config(&self) -> Option<RateLimitConfig> {
        self.layers().in_force()
    }

    /// The settings in the code.
    pub(super) fn declared(&self) -> Option<RateLimitConfig> {
        self.layers().declared()
    }

    /// Changes a layer.
    pub(super) fn change(&self, layer: impl FnOnce(&mut Layered<Option<RateLimitConfig>>)) -> Option<ConfigChange> {
        let mut layers = self.layers();
        let before = layers.in_force();
        layer(&mut layers);
        let config = layers.in_force();
        if config == before {
            return None;
        }
        // ORDERING: Relaxed, as in `has_store`.
        self.has_store.store(config.is_some_and(|config| config.store.is_some()), Ordering::Relaxed);
        // ORDERING: Relaxed: who sees the new number takes the lock to see what it is about.
        self.version.fetch_add(1, Ordering::Relaxed);
        drop(layers);
        Some(ConfigChange::new("rate_limit", self.name, DeclaredConfig::RateLimit(config)))
    }

    /// Changes what is set live, and tells of it.
    pub(super) fn set_live(&self, live: Option<RateLimitConfig>) {
        let change = self.change(|layers| layers.set_live(live.map(Some)));
        layers::tell(ConfigLayer::Live, || change.into_iter().collect());
    }

    fn layers(&self) -> MutexGuard<'_, Layered<Option<RateLimitConfig>>> {
        self.layers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn version(&self) -> u32 {
        // ORDERING: Relaxed, as above.
        self.version.load(Ordering::Relaxed)
    }
}

/// The counts of one limit.
#[derive(Debug)]
pub(super) struct Limiter {
    counted: Mutex<Counted>,
    pub(super) totals: Totals,
    pub(super) key: Option<Arc<str>>,
}

#[derive(Debug)]
struct Counted {
    meter: Meter,
    adopted: Option<Adopted>,
}

/// The settings by which a meter counts.
#[derive(Clone, Copy, Debug)]
struct Adopted {
    limit: Limit,
    /// How long a call may wait, in microseconds.
    wait: u64,
    /// How often some were set before.
    version: u32,
}

/// A place that was taken for later. Dropped before, it is given back.
#[derive(Debug)]
pub(super) struct Reserved<'l> {
    limiter: &'l Limiter,
    at: u64,
    era: u32,
    pub(super) after: Duration,
    pub(super) begun: bool,
}

impl Limiter {
    pub(super) const fn new(totals: Totals, key: Option<Arc<str>>) -> Self {
        let counted = Mutex::new(Counted { meter: Meter::new(), adopted: None });
        Self { counted, totals, key }
    }

    /// Takes a place, now or, if `may_wait`, as late as the settings allow. `None` is one for now.
    #[inline]
    pub(super) fn acquire(&self, rules: &Rules, may_wait: bool) -> Result<Option<Reserved<'_>>, RateLimited> {
        let now = clock::now_micros();
        let decision = {
            let mut counted = self.counted();
            let Some(Adopted { limit, wait, .. }) = counted.adopt(rules) else {
                self.totals.add(Count::Success);
                return Ok(None);
            };
            let meter = &mut counted.meter;
            let now = meter.moment(now, clock::now_micros);
            let at = meter.next(now, limit);
            let patience = if may_wait { wait } else { 0 };
            let after = at.saturating_sub(now);
            if after <= patience {
                meter.enter(at, limit);
                Ok((at, meter.era(), after))
            } else {
                Err(after)
            }
        };
        match decision {
            Ok((_, _, 0)) => {
                self.totals.add(Count::Success);
                Ok(None)
            }
            Ok((at, era, after)) => {
                Ok(Some(Reserved { limiter: self, at, era, after: Duration::from_micros(after), begun: false }))
            }
            Err(after) => Err(self.reject(rules, Duration::from_micros(after))),
        }
    }

    #[cold]
    pub(super) fn reject(&self, rules: &Rules, retry_after: Duration) -> RateLimited {
        self.totals.add(Count::Rejection);
        events::tell(|| Event::RateLimited { limit: rules.name, key: self.key.clone(), retry_after });
        RateLimited { name: rules.name, key: self.key.clone(), retry_after }
    }

    /// Calls that count, and calls that wait.
    pub(super) fn load(&self, rules: &Rules) -> (usize, usize) {
        let now = clock::now_micros();
        let mut counted = self.counted();
        let adopted = counted.adopt(rules);
        adopted.map_or((0, 0), |Adopted { limit, .. }| counted.meter.load(now, clock::now_micros, limit))
    }

    /// Forgets what was counted.
    pub(super) fn reset(&self) {
        self.counted().meter.reset();
    }

    fn counted(&self) -> MutexGuard<'_, Counted> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counted {
    /// Takes over settings that are new.
    fn adopt(&mut self, rules: &Rules) -> Option<Adopted> {
        let version = rules.version();
        match self.adopted {
            Some(adopted) if adopted.version == version => Some(adopted),
            _ => self.adopt_new(rules, version),
        }
    }

    #[cold]
    fn adopt_new(&mut self, rules: &Rules, version: u32) -> Option<Adopted> {
        let config = rules.config()?;
        let limit = Limit { calls: config.limit, per: micros(config.per) };
        self.adopted = Some(Adopted { limit, wait: config.wait.map_or(0, micros), version });
        self.meter.count_by(config.algorithm);
        self.adopted
    }
}

impl Reserved<'_> {
    /// The wait is over: the place is used.
    pub(super) fn begin(mut self) {
        self.begun = true;
        self.limiter.totals.add(Count::Success);
    }
}

impl Drop for Reserved<'_> {
    fn drop(&mut self) {
        if !self.begun {
            let mut counted = self.limiter.counted();
            if let Some(Adopted { limit, .. }) = counted.adopted {
                counted.meter.take_back(self.at, self.era, limit);
            }
        }
    }
}
