//! Bulkheads.

use super::{Family, Kind, Labels};
use crate::BulkheadSnapshot;

pub(super) fn families() -> [Family; 4] {
    let (mut calls, mut in_flight, mut most, mut waits) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for bulkhead in crate::bulkheads() {
        let BulkheadSnapshot { name, max_concurrent, in_flight: taken, waiting, admitted, rejected } =
            bulkhead.snapshot();
        for (outcome, count) in [("admitted", admitted), ("rejected", rejected)] {
            calls.push(of(name).with("outcome", outcome).count(count));
        }
        in_flight.push(of(name).count(taken.into()));
        most.push(of(name).count(max_concurrent.into()));
        waits.push(of(name).count(waiting.into()));
    }
    let gauge = |name, help, samples| Family { name, help, kind: Kind::Gauge, samples };
    [
        Family {
            name: "bulkhead_calls",
            help: "Calls by outcome: admitted or rejected.",
            kind: Kind::Counter,
            samples: calls,
        },
        gauge("bulkhead_in_flight", "Calls that have a place.", in_flight),
        gauge("bulkhead_max_concurrent", "Places that there are.", most),
        gauge("bulkhead_waiting", "Calls that wait for a place.", waits),
    ]
}

const fn of(bulkhead: &'static str) -> Labels {
    Labels { subject: ("bulkhead", bulkhead), part: None, key: (None, false) }
}
