//! What happens inside, told to whoever asks.
//!
//! ```
//! use steadfast::{BreakerConfig, CircuitBreaker, events::{self, Event}};
//!
//! static MAIL: CircuitBreaker = CircuitBreaker::new("mail", BreakerConfig::new());
//!
//! let subscription = events::subscribe(|event: &Event| println!("{event}")); // circuit `mail`: closed -> forced-open
//! MAIL.force_open();
//! drop(subscription); // or `subscription.forever()`, to hear as long as the program runs
//! ```
//!
//! Events reach every subscriber in the order in which they happened, one at a time, with no lock held: a callback may use
//! the library as it likes. They are delivered by the threads that cause them; one whose event meets another thread in the
//! middle of a delivery leaves it to that one and goes on. A callback that takes long holds up such a thread and the
//! events behind it, so hand work over to a channel. One that panics is left alone, and the others still hear.
//!
//! What waits behind a slow callback is bounded: beyond 1,024 events only changes of state are kept, and of those no more than
//! 16,384. [`Event::EventsLost`] stands where some are missing and says how many.
//!
//! Without subscribers nothing is kept, and what could be told costs one load.

use std::{
    collections::VecDeque,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use crate::{BreakerState, CircuitOpen, OpenReason, key::whose};

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A circuit breaker has come into another state.
    #[non_exhaustive]
    StateChanged {
        /// The breaker's name.
        breaker: &'static str,
        /// Which of the breakers of that name, where there is one for each key.
        key: Option<Arc<str>>,
        /// True for the breaker that all keys share that have none of their own. Its `key` is `None`.
        overflow: bool,
        /// The state before.
        from: BreakerState,
        /// The state since.
        to: BreakerState,
        /// The rule that opened the circuit, with its figures.
        reason: Option<OpenReason>,
        /// What an operator gave as the reason.
        operator_reason: Option<Arc<str>>,
    },
    /// A call was not made, because the circuit did not admit it. Not told of a breaker that only observes.
    #[non_exhaustive]
    CallRejected {
        /// What the caller got: which breaker, why, and until when.
        rejection: CircuitOpen,
    },
    /// The breakers of that name are as many as they may be, and a new key could evict none: it shares the overflow breaker.
    /// Told once, and again after a new key has had a breaker of its own.
    #[non_exhaustive]
    KeysOverflowed {
        /// The breakers' name.
        breakers: &'static str,
        /// How many there may be.
        max_keys: usize,
    },
    /// An attempt has failed, and there will be another after a delay.
    #[non_exhaustive]
    RetryScheduled {
        /// The name of the policy, or the path of the function.
        retry: Option<&'static str>,
        /// The attempt that has failed; the first is 1.
        attempt: u32,
        /// The sleep before the next. Where a breaker inside will still be open after it, there is none and this is not told: the
        /// rejection may as well come at once.
        delay: Duration,
    },
    /// An attempt other than the first has succeeded.
    #[non_exhaustive]
    RetrySucceeded {
        /// The name of the policy, or the path of the function.
        retry: Option<&'static str>,
        /// How many attempts it took.
        attempts: u32,
    },
    /// The last attempt that the policy allows has failed in a way that another might have healed; or there is no time left
    /// for another. A retry that ends with an error that is not transient is not told.
    #[non_exhaustive]
    RetriesExhausted {
        /// The name of the policy, or the path of the function.
        retry: Option<&'static str>,
        /// How many attempts were made.
        attempts: u32,
    },
    /// An attempt was none: a breaker, a rate limit or a bulkhead inside has rejected it, and that ends the retry.
    #[non_exhaustive]
    RetryRejected {
        /// The name of the policy, or the path of the function.
        retry: Option<&'static str>,
        /// The attempt that was rejected; the first is 1.
        attempt: u32,
    },
    /// A stop signal has come before another attempt.
    #[non_exhaustive]
    RetryStopped {
        /// The name of the policy, or the path of the function.
        retry: Option<&'static str>,
        /// How many attempts were made.
        attempts: u32,
    },
    /// A retry retries within a retry that does so itself: their attempts multiply. Told once for each pair, at the outer one's second
    /// attempt. `nested = inherit` leaves the attempts to the outer one.
    #[non_exhaustive]
    NestedRetries {
        /// The name of the outer policy, or the path of its function.
        outer: Option<&'static str>,
        /// The name of the inner policy, or the path of its function.
        inner: Option<&'static str>,
    },
    /// A retry of a function that is not `async` sleeps in a task of a tokio runtime. With several threads, its other tasks go on
    /// elsewhere; with one, everything waits. Told once for each retry, with the feature `rt-multi-thread`.
    #[non_exhaustive]
    BlockingSleep {
        /// The name of the policy, or the path of the function.
        retry: Option<&'static str>,
    },
    /// There would have been another attempt, but the budget has denied it.
    #[non_exhaustive]
    BudgetDenied {
        /// The name of the policy, or the path of the function.
        retry: Option<&'static str>,
        /// How many attempts were made.
        attempts: u32,
    },
    /// A call took longer than its limit and was dropped.
    #[non_exhaustive]
    TimedOut {
        /// The path of the function, or the name that its limit has.
        function: &'static str,
        /// How long it might have taken.
        limit: Duration,
    },
    /// A call has failed, and a fallback is called. A chain of them has an event for each, with the error before it.
    #[non_exhaustive]
    FallbackUsed {
        /// The path of the function that has failed, or the name that its fallback has.
        function: &'static str,
        /// What is called: the name of a function or a method, or `a closure`.
        fallback: &'static str,
        /// The text of the error, if it is an error and has one.
        error: Option<Arc<str>>,
    },
    /// A call found no place in a bulkhead.
    #[non_exhaustive]
    BulkheadFull {
        /// The bulkhead's name.
        bulkhead: &'static str,
        /// How many calls there may be at once.
        max_concurrent: u32,
    },
    /// A call was above a rate limit.
    #[non_exhaustive]
    RateLimited {
        /// The limit's name.
        limit: &'static str,
        /// Which of the limits of that name, where there is one for each key.
        key: Option<Arc<str>>,
        /// True for the limit that all keys share that have none of their own. Its `key` is `None`.
        overflow: bool,
        /// When there will be a place.
        retry_after: Duration,
    },
    /// The limits of that name are as many as they may be, and a new key could evict none: it shares the overflow limit. Told once,
    /// and again after a new key has had a limit of its own.
    #[non_exhaustive]
    RateLimitKeysOverflowed {
        /// The limits' name.
        limits: &'static str,
        /// How many there may be.
        max_keys: usize,
    },
    /// Two places declare the same breaker, rate limit or bulkhead with different settings; told at its first use. Those of the first place hold.
    #[non_exhaustive]
    ConfigConflict {
        /// Both places.
        conflict: Box<crate::ConfigConflict>,
    },
    /// Subscribers were too slow: events that would stand here were dropped.
    #[non_exhaustive]
    EventsLost {
        /// How many.
        events: u64,
    },
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StateChanged { breaker, key, overflow, from, to, reason, operator_reason } => {
                write!(f, "circuit `{breaker}`{}: {from} -> {to}", whose(key.as_deref(), *overflow))?;
                if let (BreakerState::Open, Some(reason)) = (to, reason) {
                    write!(f, " {}", reason.cause())?;
                }
                operator_reason.as_ref().map_or(Ok(()), |reason| write!(f, " ({reason})"))
            }
            Self::CallRejected { rejection } => rejection.fmt(f),
            Self::KeysOverflowed { breakers, max_keys } => {
                write!(f, "circuit breakers `{breakers}`: all {max_keys} are in use, new keys share one")
            }
            Self::RetryScheduled { retry, attempt, delay } => {
                write!(f, "retry `{}`: attempt {attempt} failed, the next in {delay:.3?}", retry.unwrap_or("unnamed"))
            }
            Self::RetrySucceeded { retry, attempts } => {
                write!(f, "retry `{}`: attempt {attempts} succeeded", retry.unwrap_or("unnamed"))
            }
            Self::RetriesExhausted { retry, attempts } => {
                write!(f, "retry `{}`: given up after attempt {attempts}", retry.unwrap_or("unnamed"))
            }
            Self::RetryRejected { retry, attempt } => {
                write!(f, "retry `{}`: given up, attempt {attempt} was rejected", retry.unwrap_or("unnamed"))
            }
            Self::BudgetDenied { retry, attempts } => {
                write!(f, "retry `{}`: denied by the budget after attempt {attempts}", retry.unwrap_or("unnamed"))
            }
            Self::RetryStopped { retry, attempts } => {
                write!(f, "retry `{}`: stopped after attempt {attempts}", retry.unwrap_or("unnamed"))
            }
            Self::NestedRetries { outer, inner } => {
                let [outer, inner] = [outer, inner].map(|name| name.unwrap_or("unnamed"));
                write!(f, "retry `{inner}` retries within retry `{outer}`: attempts multiply")
            }
            Self::BlockingSleep { retry } => {
                write!(f, "retry `{}`: sleeps on a thread of the tokio runtime", retry.unwrap_or("unnamed"))
            }
            Self::TimedOut { function, limit } => write!(f, "timeout: `{function}` took longer than {limit:?}"),
            Self::FallbackUsed { function, fallback, error } => {
                write!(f, "fallback: `{function}` failed, {fallback} is called")?;
                error.as_ref().map_or(Ok(()), |error| write!(f, " ({error})"))
            }
            Self::BulkheadFull { bulkhead, max_concurrent } => {
                write!(f, "bulkhead `{bulkhead}`: full with {max_concurrent} calls in flight")
            }
            Self::RateLimited { limit, key, overflow, retry_after } => {
                let whose = whose(key.as_deref(), *overflow);
                write!(f, "rate limit `{limit}`{whose}: reached, the next call in {retry_after:.3?}")
            }
            Self::RateLimitKeysOverflowed { limits, max_keys } => {
                write!(f, "rate limits `{limits}`: all {max_keys} are in use, new keys share one")
            }
            Self::ConfigConflict { conflict } => conflict.fmt(f),
            Self::EventsLost { events } => write!(f, "{events} events were lost: a subscriber is too slow"),
        }
    }
}

/// Calls `callback` with every event from now on, until what is returned is dropped. See the [module](self) for order and
/// threads.
pub fn subscribe(callback: impl Fn(&Event) + Send + Sync + 'static) -> Subscription {
    let callback: Callback = Arc::new(callback);
    let before = {
        let mut hub = hub();
        let all = hub.subscribers().cloned().chain([callback.clone()]).collect();
        hub.subscribe(Some(all))
    };
    drop(before);
    Subscription(Some(callback))
}

/// A callback that hears of events, until this is dropped. An event whose delivery has begun by then may still arrive.
#[must_use = "dropping it unsubscribes at once; `forever` keeps it"]
pub struct Subscription(Option<Callback>);

impl Subscription {
    /// Ends it, as dropping it does.
    pub fn unsubscribe(self) {}

    /// Keeps it as long as the program runs.
    pub fn forever(mut self) {
        self.0 = None;
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let Some(callback) = self.0.take() else { return };
        let before = {
            let mut hub = hub();
            let others: Arc<[_]> = hub.subscribers().filter(|other| !Arc::ptr_eq(other, &callback)).cloned().collect();
            hub.subscribe((!others.is_empty()).then_some(others))
        };
        // What a callback holds is the user's: it goes after the lock.
        drop(before);
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription").finish_non_exhaustive()
    }
}

type Callback = Arc<dyn Fn(&Event) + Send + Sync>;

/// Where events wait until they are delivered. Whoever makes a transition holds its lock meanwhile, so that transitions
/// and events have one order.
///
/// **Invariant:** nothing of the user's runs while it is locked.
pub(crate) struct Hub {
    subscribers: Option<Arc<[Callback]>>,
    waiting: VecDeque<Event>,
    /// Events dropped since the last that was kept.
    lost: u64,
    /// A thread is delivering, and will deliver what comes.
    delivering: bool,
}

/// So many events wait, and then only changes of state: a flood of rejections must not push those out.
const MOST: usize = 1_024;
/// So many changes of state.
const MOST_CHANGES: usize = 16_384;

static HUB: Mutex<Hub> = Mutex::new(Hub { subscribers: None, waiting: VecDeque::new(), lost: 0, delivering: false });

/// Whether anybody listens.
static HEARD: AtomicBool = AtomicBool::new(false);

pub(crate) fn hub() -> MutexGuard<'static, Hub> {
    HUB.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether anybody listens.
pub(crate) fn are_heard() -> bool {
    #[cfg(feature = "tracing")]
    if crate::trace::hears_of_changes() {
        return true;
    }
    // ORDERING: Relaxed: as in `tell`.
    HEARD.load(Ordering::Relaxed)
}

/// Tells of a call: something that has no order among transitions, and of which there may be very many.
#[inline]
pub(crate) fn tell(event: impl FnOnce() -> Event) {
    #[cfg(feature = "tracing")]
    if crate::trace::hears_of_calls() {
        return publish(event());
    }
    // ORDERING: Relaxed: who subscribes hears of what comes later.
    if HEARD.load(Ordering::Relaxed) {
        publish(event());
    }
}

/// Tells everybody of it, but in no order among transitions.
pub(crate) fn publish(event: Event) {
    #[cfg(feature = "tracing")]
    crate::trace::emit(&event);
    hub().push(|| event);
    deliver();
}

impl Hub {
    /// Keeps an event for delivery, if anybody listens and there is room.
    pub(crate) fn push(&mut self, event: impl FnOnce() -> Event) {
        if self.subscribers.is_none() {
            return;
        }
        if self.waiting.len() >= MOST_CHANGES {
            self.lost += 1;
            return;
        }
        let event = event();
        if self.waiting.len() >= MOST && !matches!(event, Event::StateChanged { .. }) {
            self.lost += 1;
            return;
        }
        let lost = self.take_lost();
        self.waiting.extend(lost);
        self.waiting.push_back(event);
    }

    /// Those that hear from now on; gives those that did, to be dropped where no lock is held.
    fn subscribe(&mut self, subscribers: Option<Arc<[Callback]>>) -> Option<Arc<[Callback]>> {
        // ORDERING: Relaxed: see `tell`. Written under the lock, so that the last word is the right one.
        HEARD.store(subscribers.is_some(), Ordering::Relaxed);
        if subscribers.is_none() {
            (self.waiting, self.lost) = (VecDeque::new(), 0);
        }
        std::mem::replace(&mut self.subscribers, subscribers)
    }

    fn subscribers(&self) -> impl Iterator<Item = &Callback> {
        self.subscribers.iter().flat_map(|callbacks| callbacks.iter())
    }

    fn take_lost(&mut self) -> Option<Event> {
        let events = std::mem::take(&mut self.lost);
        (events > 0).then_some(Event::EventsLost { events })
    }

    /// The event to deliver next, and to whom.
    fn next(&mut self) -> Option<(Event, Arc<[Callback]>)> {
        let event = self.waiting.pop_front().or_else(|| self.take_lost());
        let next = event.zip(self.subscribers.clone());
        self.delivering = next.is_some();
        next
    }
}

/// Delivers what waits, unless another thread, or a caller of this one, is at it.
pub(crate) fn deliver() {
    let mut next = {
        let mut hub = hub();
        if hub.delivering { None } else { hub.next() }
    };
    while let Some((event, callbacks)) = next {
        for callback in &*callbacks {
            // What a callback leaves behind when it panics is its own business.
            _ = catch_unwind(AssertUnwindSafe(|| callback(&event)));
        }
        // What a callback holds goes with it, if it has unsubscribed meanwhile: not under the lock.
        drop((event, callbacks));
        next = hub().next();
    }
}
