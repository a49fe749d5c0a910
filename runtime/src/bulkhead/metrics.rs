//! The metrics of bulkheads.

use super::{Bulkhead, BulkheadSnapshot};
use crate::{
    registry::Policy,
    telemetry::{Family, Labels},
};

pub(super) fn families() -> Vec<Family> {
    let (mut calls, mut in_flight, mut limits, mut waiters) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for bulkhead in Bulkhead::registry().all() {
        let snapshot = bulkhead.snapshot();
        let BulkheadSnapshot { name, max_concurrent, waiting, admitted, rejected, .. } = snapshot;
        let labels = || Labels::new("bulkhead", name);
        for (outcome, count) in [("admitted", admitted), ("rejected", rejected)] {
            calls.push(labels().with("outcome", outcome).count(count));
        }
        in_flight.push(labels().count(snapshot.in_flight.into()));
        limits.push(labels().count(max_concurrent.into()));
        waiters.push(labels().count(waiting.into()));
    }
    vec![
        Family::counter("bulkhead_calls", "Calls by outcome: admitted or rejected.", calls),
        Family::gauge("bulkhead_in_flight", "Calls in flight.", in_flight),
        Family::gauge("bulkhead_max_concurrent", "The maximum number of calls in flight.", limits),
        Family::gauge("bulkhead_waiting", "Calls that wait for a permit.", waiters),
    ]
}
