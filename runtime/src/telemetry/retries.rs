//! Retries that have a name.

use super::{Family, Kind, Labels};

pub(super) fn families() -> [Family; 2] {
    let (mut calls, mut attempts) = (Vec::new(), Vec::new());
    for retry in crate::retries() {
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
            calls.push(of(retry.name).with("outcome", outcome).count(count));
        }
        attempts.push(of(retry.name).count(retry.attempts));
    }
    let family = |name, help, samples| Family { name, help, kind: Kind::Counter, samples };
    [
        family("retry_calls", "Calls that have ended, by how.", calls),
        family("retry_attempts", "Attempts made, the first of each call included, rejected ones left out.", attempts),
    ]
}

pub(crate) const fn of(retry: &'static str) -> Labels {
    Labels { subject: ("retry", retry), part: None, key: (None, false) }
}
