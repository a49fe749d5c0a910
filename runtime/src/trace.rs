//! What happens, told to `tracing` by the thread and within the span in which it happens.
//!
//! Changes of state are for whoever reads a log with no more set than its level of `INFO`: a circuit that opens, or that an
//! operator holds, is a warning. What happens to single calls, of which there are thousands in an outage, is `DEBUG`.
//!
//! A further attempt of a retry is a span, so that what it logs can be told from what others log. By itself that says nothing, so
//! it is `INFO`.

use tracing::{Span, debug, info, info_span, level_filters::LevelFilter, warn};

use crate::{BreakerState, escape::escaped, events::Event};

/// Whether somebody may want to hear of single calls.
#[inline]
pub(crate) fn debug_enabled() -> bool {
    LevelFilter::current() >= LevelFilter::DEBUG
}

/// Whether somebody may want to hear of changes of state.
pub(crate) fn info_enabled() -> bool {
    LevelFilter::current() >= LevelFilter::WARN
}

/// The span of the attempt of that number, if somebody wants it.
#[cold]
pub(crate) fn attempt(retry: Option<&'static str>, number: u32) -> Option<Span> {
    let span =
        info_span!(target: "steadfast", "attempt", retry.name = retry.map(escaped).as_deref(), retry.attempt = number);
    (!span.is_disabled()).then_some(span)
}

/// Tells of it; no lock is held.
pub(crate) fn emit(event: &Event) {
    match event {
        Event::StateChanged { breaker, key, overflow, from, to, operator_reason, .. } => {
            let [key, reason] = [key, operator_reason].map(|text| text.as_deref().map(escaped));
            let whose = (key.as_deref(), mark(*overflow));
            change(event, &escaped(breaker), whose, [*from, *to], reason.as_deref());
        }
        Event::CallRejected { rejection } => debug!(
            target: "steadfast",
            {
                circuit_breaker.name = &*escaped(rejection.name()),
                circuit_breaker.key = rejection.key().map(escaped).as_deref(),
                circuit_breaker.overflow = mark(rejection.is_overflow()),
                circuit_breaker.retry_after = rejection.retry_after().map(|wait| wait.as_secs_f64()),
            },
            "{event}"
        ),
        Event::RetryScheduled { retry, attempt, delay } => debug!(
            target: "steadfast",
            { retry.name = retry.map(escaped).as_deref(), retry.attempt = attempt, retry.delay = delay.as_secs_f64() },
            "{event}"
        ),
        Event::RetrySucceeded { retry, attempts }
        | Event::RetriesExhausted { retry, attempts }
        | Event::RetryStopped { retry, attempts }
        | Event::RetryRejected { retry, attempt: attempts }
        | Event::BudgetDenied { retry, attempts } => {
            debug!(target: "steadfast", { retry.name = retry.map(escaped).as_deref(), retry.attempt = attempts }, "{event}");
        }
        Event::KeysOverflowed { breakers, .. } => {
            warn!(target: "steadfast", { circuit_breaker.name = &*escaped(breakers) }, "{event}");
        }
        Event::NestedRetries { inner: retry, .. } | Event::BlockingSleep { retry } => {
            warn!(target: "steadfast", { retry.name = retry.map(escaped).as_deref() }, "{event}");
        }
        Event::TimedOut { function, limit } => debug!(
            target: "steadfast",
            { timeout.function = &*escaped(function), timeout.limit = limit.as_secs_f64() },
            "{event}"
        ),
        Event::FallbackUsed { function, fallback, .. } => {
            debug!(target: "steadfast", { fallback.function = &*escaped(function), fallback.name = &*escaped(fallback) }, "{event}");
        }
        Event::BulkheadFull { bulkhead, .. } => {
            debug!(target: "steadfast", { bulkhead.name = &*escaped(bulkhead) }, "{event}");
        }
        Event::RateLimited { limit, key, overflow, retry_after } => debug!(
            target: "steadfast",
            {
                rate_limit.name = &*escaped(limit),
                rate_limit.key = key.as_deref().map(escaped).as_deref(),
                rate_limit.overflow = mark(*overflow),
                rate_limit.retry_after = retry_after.as_secs_f64(),
            },
            "{event}"
        ),
        Event::RateLimitKeysOverflowed { limits, .. } => {
            warn!(target: "steadfast", { rate_limit.name = &*escaped(limits) }, "{event}");
        }
        Event::ConfigApplied { layer, .. } => info!(target: "steadfast", { config.layer = %layer }, "{event}"),
        Event::ConfigConflict { .. } | Event::EventsLost { .. } => warn!(target: "steadfast", "{event}"),
    }
}

/// A field that is there only where it is true.
fn mark(is_so: bool) -> Option<bool> {
    is_so.then_some(true)
}

fn change(
    event: &Event,
    breaker: &str,
    (key, overflow): (Option<&str>, Option<bool>),
    [from, to]: [BreakerState; 2],
    reason: Option<&str>,
) {
    // The level belongs to the place in the code, so there are two.
    macro_rules! tell {
        ($level:ident) => {
            $level!(
                target: "steadfast",
                {
                    circuit_breaker.name = breaker,
                    circuit_breaker.key = key,
                    circuit_breaker.overflow = overflow,
                    circuit_breaker.state = %to,
                    circuit_breaker.previous_state = %from,
                    circuit_breaker.operator_reason = reason,
                },
                "{event}"
            )
        };
    }
    match to {
        BreakerState::Open | BreakerState::ForcedOpen | BreakerState::Disabled => tell!(warn),
        BreakerState::Closed | BreakerState::HalfOpen => tell!(info),
    }
}
