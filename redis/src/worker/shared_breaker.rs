//! A breaker that the worker tracks: the local circuit and its membership in the fleet.

use std::{mem, sync::Arc, time::Duration};

use steadfast::{Override, Snapshot};
use tokio::time::Instant;

use super::circuit::Circuit;
use crate::{
    FleetEvent,
    connection::{Request, Vote},
    member::{Action, Decision, Intent, LocalState, Member, Timing},
    protocol::{
        FleetState, StateKind,
        keys::{BreakerKeys, sanitize_field},
    },
};

#[allow(clippy::struct_excessive_bools, reason = "independent flags")]
pub(crate) struct SharedBreaker {
    pub(super) circuit: Circuit,
    pub(super) keys: Arc<BreakerKeys>,
    pub(super) member: Member,
    /// True if the next decision may change without an event, as time passes.
    pub(super) needs_tick: bool,
    pub(super) is_in_tick_queue: bool,
    /// The local state at the last decision.
    last_local: Option<LocalState>,
    /// True if the event for refused requests was emitted and no request has succeeded since.
    pub(super) is_refused: bool,
    /// True if a reply was lost, so that it is unknown if its request changed the fleet's state.
    pub(super) has_lost_reply: bool,
    /// The number of consecutive heartbeats without activity.
    idle_heartbeats: u32,
    /// The number of failures that were reported for the fleet's sum.
    pub(super) reported_failures: u64,
    /// The local transition whose vote needs no quorum, since the failure sum caused it.
    bypasses_quorum: Option<u64>,
    /// True if an operator's override of the fleet was active at the last check.
    was_overridden: bool,
}

impl SharedBreaker {
    pub(super) fn new(circuit: Circuit, keys: BreakerKeys) -> Self {
        let reported_failures = circuit.snapshot().failures;
        let keys = Arc::new(keys);
        Self {
            circuit,
            keys,
            member: Member::new(),
            // The circuit may be open already.
            needs_tick: true,
            is_in_tick_queue: false,
            last_local: None,
            is_refused: false,
            has_lost_reply: false,
            idle_heartbeats: 0,
            reported_failures,
            bypasses_quorum: None,
            was_overridden: false,
        }
    }

    pub(super) fn decide(&mut self, online: bool, now: Instant, timing: &Timing) -> Decision {
        let local = self.local_state();
        self.last_local = Some(local);
        let decision = self.member.decide(&local, online, now, timing);
        self.needs_tick = self.member.needs_tick(&local);
        decision
    }

    fn local_state(&self) -> LocalState {
        LocalState::of(&self.circuit.snapshot()).corrected_by(self.last_local)
    }

    pub(super) fn key(&self) -> Option<Arc<str>> {
        self.circuit.key().map(Arc::from)
    }

    /// Returns true if there was no activity for a whole heartbeat interval. Must be called once per heartbeat.
    pub(super) const fn check_idle(&mut self) -> bool {
        self.idle_heartbeats = if self.needs_tick { 0 } else { self.idle_heartbeats + 1 };
        self.idle_heartbeats > 1
    }

    /// Returns the request for an intent, with its current arguments.
    pub(super) fn request(&self, intent: Intent, quorum: u64, timing: &Timing, now: Instant) -> Request {
        match intent {
            Intent::Read => Request::Read,
            Intent::Vote { .. } => {
                let snapshot = self.circuit.snapshot();
                let open_for = snapshot.open_for.unwrap_or_default();
                Request::Vote(Vote {
                    open_for,
                    failed_recoveries: snapshot.failed_recoveries,
                    quorum: if self.bypasses_quorum == Some(snapshot.transitions) { 1 } else { quorum },
                    valid_for: open_for + timing.grace,
                    reason: open_reason(&snapshot),
                })
            }
            Intent::Lease { claim, .. } => Request::Lease { duration: timing.lease, claim },
            Intent::Close { version } => Request::Close { version },
            Intent::Withdraw => Request::Withdraw,
            Intent::Restore => Request::Restore(self.state_to_restore(now)),
        }
    }

    /// Returns the state to write back after Redis has lost it.
    pub(super) fn state_to_restore(&self, now: Instant) -> FleetState {
        self.member.state_to_restore(&self.local_state(), now)
    }

    /// Returns the event of an expired override, once for each override. Redis does not broadcast expiries.
    pub(super) fn take_expiry(&mut self, now: Instant) -> Option<FleetEvent> {
        let is_active = self.member.is_override_active(now);
        let was_overridden = mem::replace(&mut self.was_overridden, is_active == Some(true));
        let has_expired = was_overridden && is_active == Some(false);
        has_expired.then(|| FleetEvent::Expired { breaker: self.circuit.name(), key: self.key() })
    }

    /// Returns the event of a new state of the fleet.
    pub(super) fn event_of(&self, state: &FleetState) -> Option<FleetEvent> {
        let (breaker, key) = (self.circuit.name(), self.key());
        let (by, reason) = (Arc::from(state.by.as_str()), Arc::from(state.reason.as_str()));
        let expires_in = state.remaining;
        match state.kind {
            StateKind::Open => Some(FleetEvent::Opened { breaker, key, by, reason }),
            StateKind::Closed | StateKind::Reset => Some(FleetEvent::Closed { breaker, key, by }),
            StateKind::ForcedOpen => Some(FleetEvent::ForcedOpen { breaker, key, expires_in, by, reason }),
            StateKind::Disabled => Some(FleetEvent::Disabled { breaker, key, expires_in, by, reason }),
            StateKind::Missing => None,
        }
    }

    /// Changes the local circuit.
    pub(super) fn apply(&self, action: Action) {
        let with_expiry = |change: Override, duration: Option<Duration>| match duration {
            Some(duration) => change.expires_in(duration),
            None => change,
        };
        let change = match action {
            Action::Hold { duration, failed_recoveries } => {
                Override::open().failed_recoveries(failed_recoveries).expires_in(duration)
            }
            Action::Close => Override::close(),
            Action::ForceOpen { duration } => with_expiry(Override::force_open(), duration),
            Action::Disable { duration } => with_expiry(Override::disable(), duration),
            Action::Reset => Override::reset(),
        };
        self.circuit.apply_override(&change.reason(self.member.reason()));
    }

    /// Opens the local circuit, since the failure sum of the fleet has reached the threshold.
    pub(super) fn open_on_failure_sum(&mut self, threshold: u64, span: Duration) {
        let reason = format!("{threshold} failures in the fleet within {span:?}");
        self.circuit.apply_override(&Override::open().reason(reason));
        self.bypasses_quorum = Some(self.circuit.snapshot().transitions);
    }
}

/// Returns the reason why a local circuit opened, as one field of a line.
fn open_reason(snapshot: &Snapshot) -> String {
    let reason = match (&snapshot.operator_reason, snapshot.open_reason) {
        (Some(reason), _) => reason.to_string(),
        (None, reason) => reason.map(|reason| reason.to_string()).unwrap_or_default(),
    };
    sanitize_field(reason.strip_prefix("open ").unwrap_or(&reason))
}
