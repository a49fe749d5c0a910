use std::{fmt, sync::Arc, time::Duration};

use crate::{
    BlindSpot, BreakerState, CircuitOpen, ConfigChange, ConfigConflict, ConfigLayer, OpenReason,
    errors::{write_full, write_rejection},
    escape::escaped,
    keyed_store::key::in_sentence,
};

/// An occurrence that an operator may need to see, such as a change of state, a rejected call or a retry.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The state of a circuit breaker changed.
    #[non_exhaustive]
    StateChanged {
        /// The name of the breaker.
        breaker: &'static str,
        /// The key of the breaker, if it has one.
        key: Option<Arc<str>>,
        /// True for the overflow breaker, which is shared by all keys without a breaker of their own. Its `key` is `None`.
        overflow: bool,
        /// The state before.
        from: BreakerState,
        /// The state now.
        to: BreakerState,
        /// The reason for the new state, with the counts that opened the circuit; `None` if the new state is neither open nor forced open.
        reason: Option<OpenReason>,
        /// The operator's reason for a manual override.
        operator_reason: Option<Arc<str>>,
        /// The text of the failure that opened the circuit, at most 256 characters: see
        /// [`Snapshot::last_failure`](crate::Snapshot::last_failure). Not part of the `Display`.
        error: Option<Arc<str>>,
    },
    /// A circuit breaker rejected a call. Not emitted by breakers with `observe_only`.
    #[non_exhaustive]
    CallRejected {
        /// The rejection that the caller receives, with the breaker, the reason and the time to wait.
        rejection: CircuitOpen,
    },
    /// A new key shares the overflow breaker, limit or bulkhead, because the maximum number of keys is reached and none can be evicted.
    ///
    /// Emitted once, and again only after a later key has received one of its own.
    #[non_exhaustive]
    KeysOverflowed {
        /// The kind of policy: `circuit breaker`, `rate limit` or `bulkhead`.
        kind: &'static str,
        /// The name of the policy.
        name: &'static str,
        /// The maximum number of keys.
        max_keys: usize,
    },
    /// An attempt failed, and the next one follows after a delay.
    ///
    /// Not emitted if the delay would end before an inner breaker admits calls again: the retry then returns the rejection at once.
    #[non_exhaustive]
    RetryScheduled {
        /// The name of the policy, or the path of the function.
        retry: Option<&'static str>,
        /// The number of the failed attempt; the first is 1.
        attempt: u32,
        /// The delay before the next attempt.
        delay: Duration,
        /// The text of the error, at most 256 characters; `None` if its type is not known to implement `Display`, or if
        /// [`set_error_texts`](crate::set_error_texts) leaves texts out.
        error: Option<Arc<str>>,
    },
    /// An attempt after the first succeeded.
    #[non_exhaustive]
    RetrySucceeded {
        /// The name of the policy, or the path of the function.
        retry: Option<&'static str>,
        /// The number of attempts made.
        attempts: u32,
    },
    /// A call failed with a transient error, and `max_attempts`, `max_elapsed`, `max_retry_after` or the backoff allows no further attempt.
    ///
    /// Not emitted for a retry that ends with a permanent error.
    #[non_exhaustive]
    RetriesExhausted {
        /// The name of the policy, or the path of the function.
        retry: Option<&'static str>,
        /// The number of attempts made.
        attempts: u32,
        /// The delay that the error asks for, if it is longer than `max_retry_after` and has ended the retry; otherwise `None`.
        hint: Option<Duration>,
        /// The text of the error, at most 256 characters; `None` if its type is not known to implement `Display`, or if
        /// [`set_error_texts`](crate::set_error_texts) leaves texts out.
        error: Option<Arc<str>>,
    },
    /// A breaker, a rate limit or a bulkhead inside a retry rejected an attempt, and the retry ended.
    #[non_exhaustive]
    RetryRejected {
        /// The name of the policy, or the path of the function.
        retry: Option<&'static str>,
        /// The number of the rejected attempt; the first is 1.
        attempt: u32,
        /// The text of the error, at most 256 characters; `None` if its type is not known to implement `Display`, or if
        /// [`set_error_texts`](crate::set_error_texts) leaves texts out.
        error: Option<Arc<str>>,
    },
    /// A stop signal ended a retry before its next attempt.
    #[non_exhaustive]
    RetryStopped {
        /// The name of the policy, or the path of the function.
        retry: Option<&'static str>,
        /// The number of attempts made.
        attempts: u32,
        /// The text of the error, at most 256 characters; `None` if its type is not known to implement `Display`, or if
        /// [`set_error_texts`](crate::set_error_texts) leaves texts out.
        error: Option<Arc<str>>,
    },
    /// A retry runs inside another retry, so that their attempts multiply.
    ///
    /// Emitted once for each pair, at the second attempt of the outer one. With `nested = inherit`, only the outer one retries.
    #[non_exhaustive]
    NestedRetries {
        /// The name of the outer policy, or the path of its function.
        outer: Option<&'static str>,
        /// The name of the inner policy, or the path of its function.
        inner: Option<&'static str>,
    },
    /// A retried function that is not `async` sleeps on a worker thread of a tokio runtime.
    ///
    /// On a multi-threaded runtime the other tasks of the worker move to other threads; on a single-threaded one they are blocked.
    /// Emitted once for each retry, with the feature `rt-multi-thread`.
    #[non_exhaustive]
    BlockingSleep {
        /// The name of the policy, or the path of the function.
        retry: Option<&'static str>,
    },
    /// The retry budget is exhausted, and the retry ended before its next attempt.
    #[non_exhaustive]
    BudgetDenied {
        /// The name of the policy, or the path of the function.
        retry: Option<&'static str>,
        /// The number of attempts made.
        attempts: u32,
        /// The text of the error, at most 256 characters; `None` if its type is not known to implement `Display`, or if
        /// [`set_error_texts`](crate::set_error_texts) leaves texts out.
        error: Option<Arc<str>>,
    },
    /// A call exceeded its time limit, and its future was dropped.
    #[non_exhaustive]
    TimedOut {
        /// The path of the function, or the name of the timeout.
        function: &'static str,
        /// The time limit.
        limit: Duration,
    },
    /// A call failed, and a fallback is called. Each fallback in a chain emits an event, with the error that preceded it.
    #[non_exhaustive]
    FallbackUsed {
        /// The path of the function that failed, or the name of the fallback policy.
        function: &'static str,
        /// The fallback: the name of a function or method, or `a closure`.
        fallback: &'static str,
        /// The text of the error, at most 256 characters; `None` if its type is not known to implement `Display`, or if
        /// [`set_error_texts`](crate::set_error_texts) leaves texts out.
        error: Option<Arc<str>>,
    },
    /// A bulkhead rejected a call.
    #[non_exhaustive]
    BulkheadFull {
        /// The name of the bulkhead.
        bulkhead: &'static str,
        /// The key of the bulkhead, if it has one.
        key: Option<Arc<str>>,
        /// True for the overflow bulkhead, which is shared by all keys without a bulkhead of their own. Its `key` is `None`.
        overflow: bool,
        /// The maximum number of concurrent calls.
        max_concurrent: u32,
        /// The number of permits that the call takes.
        permits: u32,
        /// The maximum number of waiting calls, if the call was rejected because the queue had that length.
        max_queue: Option<u32>,
    },
    /// A rate limit rejected a call.
    #[non_exhaustive]
    RateLimited {
        /// The name of the limit.
        limit: &'static str,
        /// The key of the limit, if it has one.
        key: Option<Arc<str>>,
        /// True for the overflow limit, which is shared by all keys without a limit of their own. Its `key` is `None`.
        overflow: bool,
        /// The number of permits that the call takes.
        permits: u32,
        /// The largest number of permits that a call can take.
        max_permits: u32,
        /// The time until the call can be admitted; [`Duration::MAX`] if `permits` is above `max_permits`.
        retry_after: Duration,
    },
    /// Two declarations of one name contradict each other. Emitted in release builds, at the first use of each declaration of the name.
    ///
    /// The settings of the first declaration are in force.
    #[non_exhaustive]
    ConfigConflict {
        /// Both declarations.
        conflict: Box<ConfigConflict>,
    },
    /// A breaker or a bulkhead does not see calls that hang. Emitted by [`validate`](crate::validate), for each function.
    #[non_exhaustive]
    BlindSpot {
        /// The policy, the location of its attribute, and the fix.
        blind_spot: BlindSpot,
    },
    /// A layer of settings was replaced: by a file, by the environment, or by `reconfigure` and `reset_config`.
    #[non_exhaustive]
    ConfigApplied {
        /// The layer that was replaced.
        layer: ConfigLayer,
        /// The settings in force that changed; empty if the new layer changes nothing.
        changes: Arc<[ConfigChange]>,
    },
    /// Events were dropped at this position in the order, because a subscriber was too slow.
    #[non_exhaustive]
    EventsLost {
        /// The number of dropped events.
        events: u64,
    },
}

impl Event {
    /// Returns true for a change of state or settings. A queue beyond its first limit accepts only changes.
    pub(super) const fn is_change(&self) -> bool {
        matches!(self, Self::StateChanged { .. } | Self::ConfigApplied { .. })
    }
}

/// Displays the event in one line; names, keys, reasons and the texts of errors are [`escaped`].
impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = |retry: Option<&'static str>| escaped(retry.unwrap_or("unnamed"));
        match self {
            Self::StateChanged { breaker, key, overflow, from, to, reason, operator_reason, .. } => {
                write!(f, "circuit `{}`{}: {from} -> {to}", escaped(breaker), in_sentence(key.as_deref(), *overflow))?;
                if let (BreakerState::Open, Some(reason)) = (to, reason) {
                    write!(f, " {}", reason.cause())?;
                }
                operator_reason.as_ref().map_or(Ok(()), |reason| write!(f, " ({})", escaped(reason)))
            }
            Self::CallRejected { rejection } => rejection.fmt(f),
            Self::KeysOverflowed { kind, name, max_keys } => {
                write!(f, "{kind} `{}`: `max_keys = {max_keys}` is reached; new keys share one {kind}", escaped(name))
            }
            Self::RetryScheduled { retry, attempt, delay, error } => {
                write!(f, "retry `{}`: attempt {attempt} failed; next attempt ", named(*retry))?;
                if delay.is_zero() {
                    f.write_str("at once")?;
                } else {
                    write!(f, "in {delay:.3?}")?;
                }
                write_error(f, error.as_deref())
            }
            Self::RetrySucceeded { retry, attempts } => {
                write!(f, "retry `{}`: attempt {attempts} succeeded", named(*retry))
            }
            Self::RetriesExhausted { retry, attempts, hint, error } => {
                write!(f, "retry `{}`: exhausted after attempt {attempts}", named(*retry))?;
                if let Some(hint) = hint {
                    write!(f, ": the error asks for a delay of {hint:.3?}, which is longer than `max_retry_after`")?;
                }
                write_error(f, error.as_deref())
            }
            Self::RetryRejected { retry, attempt, error } => {
                write!(f, "retry `{}`: ended because attempt {attempt} was rejected", named(*retry))?;
                write_error(f, error.as_deref())
            }
            Self::BudgetDenied { retry, attempts, error } => {
                write!(f, "retry `{}`: budget exhausted after attempt {attempts}", named(*retry))?;
                write_error(f, error.as_deref())
            }
            Self::RetryStopped { retry, attempts, error } => {
                write!(f, "retry `{}`: stopped after attempt {attempts}", named(*retry))?;
                write_error(f, error.as_deref())
            }
            Self::NestedRetries { outer, inner } => {
                let [outer, inner] = [*outer, *inner].map(named);
                write!(f, "retry `{inner}` runs inside retry `{outer}`: their attempts multiply")
            }
            Self::BlockingSleep { retry } => {
                write!(f, "retry `{}`: sleeps on a worker thread of the tokio runtime", named(*retry))
            }
            Self::TimedOut { function, limit } => {
                write!(f, "timeout: `{}` exceeded {limit:?}", escaped(function))
            }
            Self::FallbackUsed { function, fallback, error } => {
                let fallback = escaped(fallback);
                write!(f, "fallback: `{}` failed; calling ", escaped(function))?;
                // A closure has no name, so `fallback` is a description with a space.
                if fallback.contains(' ') {
                    f.write_str(&fallback)?;
                } else {
                    write!(f, "`{fallback}`")?;
                }
                write_error(f, error.as_deref())
            }
            Self::BulkheadFull { bulkhead, key, overflow, max_concurrent, permits, max_queue } => {
                write!(f, "bulkhead `{}`{}: ", escaped(bulkhead), in_sentence(key.as_deref(), *overflow))?;
                write_full(f, *max_concurrent, *permits, *max_queue)
            }
            Self::RateLimited { limit, key, overflow, permits, max_permits, retry_after } => {
                write!(f, "rate limit `{}`{} ", escaped(limit), in_sentence(key.as_deref(), *overflow))?;
                write_rejection(f, *permits, *max_permits, *retry_after)
            }
            Self::ConfigConflict { conflict } => conflict.fmt(f),
            Self::BlindSpot { blind_spot } => blind_spot.fmt(f),
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
            Self::EventsLost { events } => write!(f, "{events} events were dropped: a subscriber is too slow"),
        }
    }
}

fn write_error(f: &mut fmt::Formatter<'_>, error: Option<&str>) -> fmt::Result {
    error.map_or(Ok(()), |error| write!(f, " ({})", escaped(error)))
}
