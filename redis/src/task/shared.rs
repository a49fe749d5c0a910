//! A breaker of this instance and what the fleet makes of it.

use std::{sync::Arc, time::Duration};

use steadfast::{CircuitBreaker, Intervention, Snapshot};
use tokio::time::Instant;

use crate::{
    FleetEvent,
    answer::{Kind, Known},
    member::{Act, Local, Member, Step, Times},
    names::{Keys, field},
};

pub(crate) struct Shared {
    pub(crate) breaker: &'static CircuitBreaker,
    pub(super) keys: Arc<Keys>,
    pub(super) member: Member,
    pub(super) is_restless: bool,
    pub(super) is_refused: bool,
    /// Failures that were told to Redis.
    pub(super) reported: u64,
    /// Its announcement needs no other vote.
    pub(super) speaks_for_all: bool,
}

impl Shared {
    pub(crate) fn new(breaker: &'static CircuitBreaker, keys: Keys) -> Self {
        let reported = breaker.snapshot().failures;
        let keys = Arc::new(keys);
        // It may be open already.
        Self {
            breaker,
            keys,
            member: Member::new(),
            is_restless: true,
            is_refused: false,
            reported,
            speaks_for_all: false,
        }
    }

    pub(super) fn decide(&mut self, snapshot: &Snapshot, online: bool, now: Instant, times: &Times) -> Step {
        let local = Local::of(snapshot);
        let step = self.member.decide(&local, online, now, times);
        self.is_restless = self.member.is_restless(&local);
        step
    }

    /// What Redis has lost.
    pub(super) fn lost(&self, now: Instant) -> Known {
        self.member.lost(&Local::of(&self.breaker.snapshot()), now)
    }

    pub(super) fn act(&self, act: Act) {
        let with = |intervention: Intervention, lasts: Option<Duration>| match lasts {
            Some(lasts) => intervention.expires_in(lasts),
            None => intervention,
        };
        let intervention = match act {
            Act::Hold { lasts, failed } => Intervention::open().failed_recoveries(failed).expires_in(lasts),
            Act::Close => Intervention::close(),
            Act::ForceOpen { lasts } => with(Intervention::force_open(), lasts),
            Act::Disable { lasts } => with(Intervention::disable(), lasts),
            Act::Reset => Intervention::reset(),
        };
        self.breaker.intervene(&intervention.reason(self.member.reason()));
    }

    /// Opens it, as the failures of the fleet are enough.
    pub(super) fn open_by_sum(&mut self, threshold: u64, within: Duration) {
        self.speaks_for_all = true;
        let reason = format!("{threshold} failures in the fleet within {within:?}");
        self.breaker.intervene(&Intervention::open().reason(reason));
    }
}

/// Why it has opened, in a line.
pub(super) fn why(snapshot: &Snapshot) -> String {
    let reason = match (&snapshot.operator_reason, snapshot.open_reason) {
        (Some(reason), _) => reason.to_string(),
        (None, reason) => reason.map(|reason| reason.to_string()).unwrap_or_default(),
    };
    field(reason.strip_prefix("open ").unwrap_or(&reason))
}

/// What is to be told of another state of the fleet.
pub(super) fn news(breaker: &'static str, known: &Known) -> Option<FleetEvent> {
    let (by, reason) = (Arc::from(known.by.as_str()), Arc::from(known.reason.as_str()));
    match known.kind {
        Kind::Open => Some(FleetEvent::Opened { breaker, by, reason }),
        Kind::Closed | Kind::Reset => Some(FleetEvent::Closed { breaker, by }),
        Kind::Forced | Kind::Disabled => Some(FleetEvent::Held { breaker, by, reason }),
        Kind::Missing => None,
    }
}
