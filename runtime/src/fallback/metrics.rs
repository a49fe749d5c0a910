//! The metrics of fallbacks.

use super::listed::fallbacks;
use crate::telemetry::{Family, Labels};

pub(crate) fn families() -> Vec<Family> {
    let mut calls = Vec::new();
    for fallback in fallbacks() {
        for (outcome, count) in [
            ("answered", fallback.answered),
            ("fallback", fallback.fallback),
            ("failed", fallback.failed),
            ("cancelled", fallback.cancelled),
            ("panicked", fallback.panicked),
        ] {
            calls.push(Labels::new("function", fallback.name).with("outcome", outcome).count(count));
        }
    }
    vec![Family::counter("fallback_calls", "Calls of functions with a fallback, by the outcome for the caller.", calls)]
}
