//! A breaker of this instance and what the fleet makes of it.

use std::{sync::Arc, time::Duration};

use steadfast::{Override, Snapshot};
use tokio::time::Instant;

use super::circuit::Circuit;
use crate::{
    FleetEvent,
    answer::{Kind, Known},
    link::{Request, Trip},
    member::{Act, Local, Member, Question, Step, Times},
    names::{Keys, field},
};

#[allow(clippy::struct_excessive_bools, reason = "facts that do not exclude one another")]
pub(crate) struct Shared {
    pub(super) circuit: Circuit,
    pub(super) keys: Arc<Keys>,
    pub(super) member: Member,
    pub(super) is_restless: bool,
    /// It waits for its turn to be looked at.
    pub(super) is_in_round: bool,
    /// The circuit as it was when it was looked at last.
    seen: Option<Local>,
    pub(super) is_refused: bool,
    /// An answer was lost, and with it whether its question changed something.
    pub(super) is_in_doubt: bool,
    /// Heartbeats since something has happened.
    idle: u32,
    /// Failures that were told to Redis.
    pub(super) reported: u64,
    /// The local transition whose announcement needs no other vote.
    speaks_for_all: Option<u64>,
    /// An operator of the fleet holds it.
    is_under_orders: bool,
}

impl Shared {
    pub(super) fn new(circuit: Circuit, keys: Keys) -> Self {
        let reported = circuit.snapshot().failures;
        let keys = Arc::new(keys);
        // It may be open already.
        Self {
            circuit,
            keys,
            member: Member::new(),
            is_restless: true,
            is_in_round: false,
            seen: None,
            is_refused: false,
            is_in_doubt: false,
            idle: 0,
            reported,
            speaks_for_all: None,
            is_under_orders: false,
        }
    }

    pub(super) fn decide(&mut self, online: bool, now: Instant, times: &Times) -> Step {
        let local = Local::of(&self.circuit.snapshot()).after(self.seen);
        self.seen = Some(local);
        let step = self.member.decide(&local, online, now, times);
        self.is_restless = self.member.is_restless(&local);
        step
    }

    pub(super) fn key(&self) -> Option<Arc<str>> {
        self.circuit.key().map(Arc::from)
    }

    /// Whether nothing has happened for a whole heartbeat; asked at each.
    pub(super) const fn is_idle(&mut self) -> bool {
        self.idle = if self.is_restless { 0 } else { self.idle + 1 };
        self.idle > 1
    }

    /// A question as it is put now.
    pub(super) fn request(&self, question: Question, quorum: u64, times: &Times, now: Instant) -> Request {
        match question {
            Question::Read => Request::Read,
            Question::Announce { .. } => {
                let snapshot = self.circuit.snapshot();
                let rest = snapshot.open_for.unwrap_or_default();
                Request::Announce(Trip {
                    rest,
                    failed: snapshot.failed_recoveries,
                    quorum: if self.speaks_for_all == Some(snapshot.transitions) { 1 } else { quorum },
                    lasts: rest + times.grace,
                    reason: why(&snapshot),
                })
            }
            Question::Ask { claim, .. } => Request::Lease { lasts: times.lease, claim },
            Question::Close { seen } => Request::Close { seen },
            Question::Leave => Request::Leave,
            Question::Restore => Request::Restore(self.lost(now)),
        }
    }

    /// What Redis has lost.
    pub(super) fn lost(&self, now: Instant) -> Known {
        self.member.lost(&Local::of(&self.circuit.snapshot()).after(self.seen), now)
    }

    /// What is to be told once an operator's word has expired, which nobody says.
    pub(super) fn expired(&mut self, now: Instant) -> Option<FleetEvent> {
        let is_in_force = self.member.is_in_force(now);
        let was_under_orders = std::mem::replace(&mut self.is_under_orders, is_in_force == Some(true));
        let has_expired = was_under_orders && is_in_force == Some(false);
        has_expired.then(|| FleetEvent::Expired { breaker: self.circuit.name(), key: self.key() })
    }

    /// What is to be told of another state of the fleet.
    pub(super) fn news(&self, known: &Known) -> Option<FleetEvent> {
        let (breaker, key) = (self.circuit.name(), self.key());
        let (by, reason) = (Arc::from(known.by.as_str()), Arc::from(known.reason.as_str()));
        match known.kind {
            Kind::Open => Some(FleetEvent::Opened { breaker, key, by, reason }),
            Kind::Closed | Kind::Reset => Some(FleetEvent::Closed { breaker, key, by }),
            Kind::Forced => Some(FleetEvent::ForcedOpen { breaker, key, expires_in: known.left, by, reason }),
            Kind::Disabled => Some(FleetEvent::Disabled { breaker, key, expires_in: known.left, by, reason }),
            Kind::Missing => None,
        }
    }

    pub(super) fn act(&self, act: Act) {
        let with = |intervention: Override, lasts: Option<Duration>| match lasts {
            Some(lasts) => intervention.expires_in(lasts),
            None => intervention,
        };
        let intervention = match act {
            Act::Hold { lasts, failed } => Override::open().failed_recoveries(failed).expires_in(lasts),
            Act::Close => Override::close(),
            Act::ForceOpen { lasts } => with(Override::force_open(), lasts),
            Act::Disable { lasts } => with(Override::disable(), lasts),
            Act::Reset => Override::reset(),
        };
        self.circuit.apply_override(&intervention.reason(self.member.reason()));
    }

    /// Opens it, as the failures of the fleet are enough.
    pub(super) fn open_by_sum(&mut self, threshold: u64, within: Duration) {
        let reason = format!("{threshold} failures in the fleet within {within:?}");
        self.circuit.apply_override(&Override::open().reason(reason));
        self.speaks_for_all = Some(self.circuit.snapshot().transitions);
    }
}

/// Why it has opened, in a line.
fn why(snapshot: &Snapshot) -> String {
    let reason = match (&snapshot.operator_reason, snapshot.open_reason) {
        (Some(reason), _) => reason.to_string(),
        (None, reason) => reason.map(|reason| reason.to_string()).unwrap_or_default(),
    };
    field(reason.strip_prefix("open ").unwrap_or(&reason))
}
