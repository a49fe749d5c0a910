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
//! # Delivery
//!
//! Every subscriber gets every event, in the order in which they happened, one at a time, with no lock held: a callback may use
//! the library as it likes. Events are delivered by the threads that cause them, and one thread delivers at a time. A thread
//! whose event meets another thread in the middle of a delivery leaves the event to that one and goes on.
//!
//! No call delivers without end for others. After 32 events the next thread that causes an event takes over: it waits until the
//! callback that runs has returned, at most 50 ms, and then delivers up to 32 itself. While no other thread causes events, the
//! first one delivers what is queued.
//!
//! A subscriber that causes events itself does not hold a call for ever either: a call goes on with what its own deliveries have
//! caused four times at most. What is queued then is delivered by the next call that causes an event.
//!
//! A callback that takes long holds up such a thread and the events behind it, so hand work over to a channel. A callback that
//! panics hears the next event all the same, and so do the others.
//!
//! The queue is bounded: beyond 1,024 events only changes of state are kept, and of those no more than 16,384.
//! [`Event::EventsLost`] stands where some are missing and says how many.
//!
//! Without subscribers nothing is kept, and what could be told costs one load.

mod queue;

use std::{
    fmt,
    sync::{Arc, MutexGuard},
    time::Duration,
};

use self::queue::{Callback, Dispatcher, EventQueue};
use crate::{BreakerState, CircuitOpen, ConfigChange, ConfigLayer, OpenReason, escape::escaped, key::whose};

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
    /// A layer of settings was replaced: by a file, by the environment, or live by `reconfigure` and `reset_config`.
    #[non_exhaustive]
    ConfigApplied {
        /// The layer.
        layer: ConfigLayer,
        /// The settings in force that have changed by it; none where the layer says what held before.
        changes: Arc<[ConfigChange]>,
    },
    /// Subscribers were too slow: events that would stand here were dropped.
    #[non_exhaustive]
    EventsLost {
        /// How many.
        events: u64,
    },
}

impl Event {
    /// Whether it tells of a change, which a flood of events about calls must not push out.
    pub(crate) const fn is_change(&self) -> bool {
        matches!(self, Self::StateChanged { .. } | Self::ConfigApplied { .. })
    }
}

/// On one line: names, keys and reasons are [`escaped`].
impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = |retry: Option<&'static str>| escaped(retry.unwrap_or("unnamed"));
        match self {
            Self::StateChanged { breaker, key, overflow, from, to, reason, operator_reason } => {
                write!(f, "circuit `{}`{}: {from} -> {to}", escaped(breaker), whose(key.as_deref(), *overflow))?;
                if let (BreakerState::Open, Some(reason)) = (to, reason) {
                    write!(f, " {}", reason.cause())?;
                }
                operator_reason.as_ref().map_or(Ok(()), |reason| write!(f, " ({})", escaped(reason)))
            }
            Self::CallRejected { rejection } => rejection.fmt(f),
            Self::KeysOverflowed { breakers, max_keys } => {
                write!(f, "circuit breakers `{}`: all {max_keys} are in use, new keys share one", escaped(breakers))
            }
            Self::RetryScheduled { retry, attempt, delay } => {
                write!(f, "retry `{}`: attempt {attempt} failed, the next in {delay:.3?}", named(*retry))
            }
            Self::RetrySucceeded { retry, attempts } => {
                write!(f, "retry `{}`: attempt {attempts} succeeded", named(*retry))
            }
            Self::RetriesExhausted { retry, attempts } => {
                write!(f, "retry `{}`: given up after attempt {attempts}", named(*retry))
            }
            Self::RetryRejected { retry, attempt } => {
                write!(f, "retry `{}`: given up, attempt {attempt} was rejected", named(*retry))
            }
            Self::BudgetDenied { retry, attempts } => {
                write!(f, "retry `{}`: denied by the budget after attempt {attempts}", named(*retry))
            }
            Self::RetryStopped { retry, attempts } => {
                write!(f, "retry `{}`: stopped after attempt {attempts}", named(*retry))
            }
            Self::NestedRetries { outer, inner } => {
                let [outer, inner] = [*outer, *inner].map(named);
                write!(f, "retry `{inner}` retries within retry `{outer}`: attempts multiply")
            }
            Self::BlockingSleep { retry } => {
                write!(f, "retry `{}`: sleeps on a thread of the tokio runtime", named(*retry))
            }
            Self::TimedOut { function, limit } => {
                write!(f, "timeout: `{}` took longer than {limit:?}", escaped(function))
            }
            Self::FallbackUsed { function, fallback, error } => {
                write!(f, "fallback: `{}` failed, {} is called", escaped(function), escaped(fallback))?;
                error.as_ref().map_or(Ok(()), |error| write!(f, " ({})", escaped(error)))
            }
            Self::BulkheadFull { bulkhead, max_concurrent } => {
                write!(f, "bulkhead `{}`: full with {max_concurrent} calls in flight", escaped(bulkhead))
            }
            Self::RateLimited { limit, key, overflow, retry_after } => {
                let whose = whose(key.as_deref(), *overflow);
                write!(f, "rate limit `{}`{whose}: reached, the next call in {retry_after:.3?}", escaped(limit))
            }
            Self::RateLimitKeysOverflowed { limits, max_keys } => {
                write!(f, "rate limits `{}`: all {max_keys} are in use, new keys share one", escaped(limits))
            }
            Self::ConfigConflict { conflict } => conflict.fmt(f),
            Self::ConfigApplied { layer, changes } => {
                write!(f, "settings applied ({layer}): ")?;
                match &**changes {
                    [] => f.write_str("no change"),
                    [first, others @ ..] => {
                        first.fmt(f)?;
                        others.iter().try_for_each(|change| write!(f, "; {change}"))
                    }
                }
            }
            Self::EventsLost { events } => write!(f, "{events} events were lost: a subscriber is too slow"),
        }
    }
}

/// Calls `callback` with every event from now on, until what is returned is dropped. See the [module](self) for order and
/// threads.
pub fn subscribe(callback: impl Fn(&Event) + Send + Sync + 'static) -> Subscription {
    let callback: Callback = Arc::new(callback);
    EVENTS.subscribe(&callback);
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
        if let Some(callback) = self.0.take() {
            EVENTS.unsubscribe(&callback);
        }
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription").finish_non_exhaustive()
    }
}

/// The events of the program.
static EVENTS: Dispatcher = Dispatcher::new(Duration::from_millis(50));

pub(crate) fn queue() -> MutexGuard<'static, EventQueue> {
    EVENTS.queue()
}

/// Whether anybody listens.
pub(crate) fn are_heard() -> bool {
    #[cfg(feature = "tracing")]
    if crate::trace::info_enabled() {
        return true;
    }
    EVENTS.is_heard()
}

/// Tells of a call: something that has no order among transitions, and of which there may be very many.
#[inline]
pub(crate) fn tell(event: impl FnOnce() -> Event) {
    #[cfg(feature = "tracing")]
    if crate::trace::debug_enabled() {
        return publish(event());
    }
    if EVENTS.is_heard() {
        publish(event());
    }
}

/// Tells everybody of it, but in no order among transitions.
pub(crate) fn publish(event: Event) {
    #[cfg(feature = "tracing")]
    crate::trace::emit(&event);
    queue().push(|| event);
    deliver();
}

/// Emits an event for the replacement of a layer of settings. The caller holds no lock.
pub(crate) fn emit_config_applied(layer: ConfigLayer, changes: impl FnOnce() -> Vec<ConfigChange>) {
    if are_heard() {
        publish(Event::ConfigApplied { layer, changes: changes().into() });
    }
}

/// Delivers what waits, unless another thread, or a caller of this one, is at it.
pub(crate) fn deliver() {
    EVENTS.deliver();
}
