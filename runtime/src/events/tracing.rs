//! `tracing` events, emitted on the thread and within the span in which their cause happens. Their target is `steadfast`.
//!
//! | level | events |
//! | --- | --- |
//! | `WARN` | a circuit that opens, is forced open or is disabled; exhausted retries, overflowing keys, nested retries, blocking sleeps, conflicting declarations, blind spots, lost events |
//! | `INFO` | other changes of state, applied settings |
//! | `DEBUG` | other events about single calls, which are frequent in an outage |
//!
//! Each attempt after the first is an `INFO` span named `attempt`, which groups the log lines of the attempt.

use ::tracing::{Span, debug, info, info_span, level_filters::LevelFilter, warn};

use super::Event;
use crate::{BreakerState, escape::escaped, panics::contain};

/// Returns true if events about single calls may be enabled, almost all of which have the level `DEBUG`. A subscriber can still filter them.
#[inline]
pub(crate) fn calls_enabled() -> bool {
    LevelFilter::current() >= LevelFilter::DEBUG
}

/// Returns true if events about changes of state may be enabled, some of which have the level `WARN`. A subscriber can still filter them.
pub(crate) fn changes_enabled() -> bool {
    LevelFilter::current() >= LevelFilter::WARN
}

/// Creates the span of an attempt; `None` if the span is disabled.
#[cold]
pub(crate) fn attempt(retry: Option<&'static str>, number: u32) -> Option<Span> {
    let span =
        info_span!(target: "steadfast", "attempt", retry.name = retry.map(escaped).as_deref(), retry.attempt = number);
    (!span.is_disabled()).then_some(span)
}

/// Emits `event` to the current subscriber, and catches a panic of the subscriber. The caller holds no lock.
pub(crate) fn emit(event: &Event) {
    contain(|| emit_to_subscriber(event));
}

fn emit_to_subscriber(event: &Event) {
    match event {
        Event::StateChanged { breaker, key, overflow, from, to, operator_reason, error, .. } => {
            let [key, reason, error] = [key, operator_reason, error].map(|text| text.as_deref().map(escaped));
            let labels = (key.as_deref(), true_or_absent(*overflow));
            emit_change(event, &escaped(breaker), labels, [*from, *to], [reason.as_deref(), error.as_deref()]);
        }
        Event::CallRejected { rejection } => debug!(
            target: "steadfast",
            {
                circuit_breaker.name = &*escaped(rejection.name()),
                circuit_breaker.key = rejection.key().map(escaped).as_deref(),
                circuit_breaker.overflow = true_or_absent(rejection.is_overflow()),
                circuit_breaker.retry_after = rejection.retry_after().map(|wait| wait.as_secs_f64()),
            },
            "{event}"
        ),
        Event::RetryScheduled { retry, attempt, delay, error } => debug!(
            target: "steadfast",
            {
                retry.name = retry.map(escaped).as_deref(),
                retry.attempt = attempt,
                retry.delay = delay.as_secs_f64(),
                error = error.as_deref().map(escaped).as_deref(),
            },
            "{event}"
        ),
        Event::RetrySucceeded { retry, attempts } => {
            debug!(target: "steadfast", { retry.name = retry.map(escaped).as_deref(), retry.attempts = attempts }, "{event}");
        }
        Event::RetriesExhausted { retry, attempts, hint, error } => warn!(
            target: "steadfast",
            {
                retry.name = retry.map(escaped).as_deref(),
                retry.attempts = attempts,
                retry.hint = hint.map(|hint| hint.as_secs_f64()),
                error = error.as_deref().map(escaped).as_deref(),
            },
            "{event}"
        ),
        Event::RetryStopped { retry, attempts, error } | Event::BudgetDenied { retry, attempts, error } => debug!(
            target: "steadfast",
            {
                retry.name = retry.map(escaped).as_deref(),
                retry.attempts = attempts,
                error = error.as_deref().map(escaped).as_deref(),
            },
            "{event}"
        ),
        Event::RetryRejected { retry, attempt, error } => debug!(
            target: "steadfast",
            {
                retry.name = retry.map(escaped).as_deref(),
                retry.attempt = attempt,
                error = error.as_deref().map(escaped).as_deref(),
            },
            "{event}"
        ),
        Event::KeysOverflowed { kind, name, .. } => emit_overflow(event, kind, &escaped(name)),
        Event::NestedRetries { inner: retry, .. } | Event::BlockingSleep { retry } => {
            warn!(target: "steadfast", { retry.name = retry.map(escaped).as_deref() }, "{event}");
        }
        Event::TimedOut { function, limit } => debug!(
            target: "steadfast",
            { timeout.function = &*escaped(function), timeout.limit = limit.as_secs_f64() },
            "{event}"
        ),
        Event::FallbackUsed { function, fallback, error } => debug!(
            target: "steadfast",
            {
                fallback.function = &*escaped(function),
                fallback.name = &*escaped(fallback),
                error = error.as_deref().map(escaped).as_deref(),
            },
            "{event}"
        ),
        Event::BulkheadFull { bulkhead, key, overflow, .. } => debug!(
            target: "steadfast",
            {
                bulkhead.name = &*escaped(bulkhead),
                bulkhead.key = key.as_deref().map(escaped).as_deref(),
                bulkhead.overflow = true_or_absent(*overflow),
            },
            "{event}"
        ),
        Event::RateLimited { limit, key, overflow, retry_after, .. } => debug!(
            target: "steadfast",
            {
                rate_limit.name = &*escaped(limit),
                rate_limit.key = key.as_deref().map(escaped).as_deref(),
                rate_limit.overflow = true_or_absent(*overflow),
                rate_limit.retry_after = retry_after.as_secs_f64(),
            },
            "{event}"
        ),
        Event::ConfigApplied { layer, .. } => info!(target: "steadfast", { config.layer = %layer }, "{event}"),
        Event::ConfigConflict { .. } | Event::BlindSpot { .. } | Event::EventsLost { .. } => {
            warn!(target: "steadfast", "{event}");
        }
    }
}

fn emit_overflow(event: &Event, kind: &str, name: &str) {
    match kind {
        "rate limit" => warn!(target: "steadfast", { rate_limit.name = name }, "{event}"),
        "bulkhead" => warn!(target: "steadfast", { bulkhead.name = name }, "{event}"),
        _ => warn!(target: "steadfast", { circuit_breaker.name = name }, "{event}"),
    }
}

/// The value of a field that is present only if it is true.
fn true_or_absent(value: bool) -> Option<bool> {
    value.then_some(true)
}

fn emit_change(
    event: &Event,
    breaker: &str,
    (key, overflow): (Option<&str>, Option<bool>),
    [from, to]: [BreakerState; 2],
    [reason, error]: [Option<&str>; 2],
) {
    // The level of a `tracing` event is a constant, so each level needs its own call site.
    macro_rules! emit_at {
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
                    error = error,
                },
                "{event}"
            )
        };
    }
    match to {
        BreakerState::Open | BreakerState::ForcedOpen | BreakerState::Disabled => emit_at!(warn),
        BreakerState::Closed | BreakerState::HalfOpen => emit_at!(info),
    }
}
