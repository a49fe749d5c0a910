//! The metrics of retries that have a name.

use super::RetrySnapshot;
use crate::telemetry::{Family, Histogram, Labels, RETRY_DELAY, Sample, Value};

pub(super) fn families(retries: Vec<RetrySnapshot>) -> Vec<Family> {
    let (mut calls, mut attempts, mut rejections) = (Vec::new(), Vec::new(), Vec::new());
    let (mut delays, mut durations) = (Vec::new(), Vec::new());
    for retry in retries {
        let labels = || Labels::new("retry", retry.name);
        for (outcome, count) in [
            ("first_try", retry.first_try_successes),
            ("retried", retry.retried_successes),
            ("not_transient", retry.not_transient),
            ("rejected", retry.rejected),
            ("exhausted", retry.exhausted),
            ("denied", retry.denied),
            ("stopped", retry.stopped),
            ("cancelled", retry.cancelled),
            ("panicked", retry.panicked),
        ] {
            calls.push(labels().with("outcome", outcome).count(count));
        }
        attempts.push(labels().count(retry.attempts));
        rejections.push(labels().count(retry.rejections));
        let histogram = Histogram { buckets: retry.delays().collect(), sum: retry.delayed, quantiles: Vec::new() };
        for (outcome, attempts) in retry.attempt_durations.by_outcome() {
            let value = Value::Histogram(attempts.to_metric());
            durations.push(Sample { labels: labels().with("outcome", outcome), value });
        }
        delays.push(Sample { labels: labels(), value: Value::Histogram(histogram) });
    }
    vec![
        Family::counter("retry_calls", "Calls that ended, by outcome.", calls),
        Family::counter(
            "retry_attempts",
            "Attempts, including the first of each call and excluding rejected ones.",
            attempts,
        ),
        Family::counter(
            "retry_rejections",
            "Attempts that a breaker, a rate limit or a bulkhead below the retry rejected.",
            rejections,
        ),
        Family::histogram("retry_attempt_duration_seconds", "Durations of attempts in seconds, by outcome.", durations),
        Family::histogram(RETRY_DELAY, "Delays before retries, in seconds.", delays),
    ]
}
