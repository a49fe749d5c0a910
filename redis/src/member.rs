//! The state machine of one instance for one breaker of the fleet, without a clock and without Redis.
//!
//! [`Member::decide`] compares the state that the fleet has agreed on with the state of the local circuit, and returns a change to make to
//! the circuit or a request to send. A decision depends on states, not on the events that led to them, so a lost event only causes a delay.
//!
//! **Invariant:** while the fleet is open, the local circuit is held open beyond the end of the fleet's recovery timeout, and is released
//! only under the lease. So only one instance at a time makes trial calls. It holds the lease until its trial calls are complete, or until
//! another instance that has rejected calls gets the lease. A hold ends no later than one grace period after the known end of the fleet's
//! state. Without Redis the hold expires, and the circuit recovers without the fleet.
//!
//! **Invariant:** an operator's override of the local circuit stays until an operator overrides the fleet again.
//!
//! **Invariant:** at most one request is in flight.

mod agreed_state;
mod decide;
#[cfg(test)]
mod tests;
mod types;

use std::time::Duration;

use steadfast::BreakerState;
use tokio::time::Instant;

pub(crate) use self::types::{Action, Decision, Intent, LocalState, Timing};
use self::{agreed_state::AgreedState, types::REASON_PREFIX};
use crate::protocol::{FleetState, Grant, Reply, StateKind};

/// The minimum delay before a request that had no effect is repeated.
const MIN_REPEAT_DELAY: Duration = Duration::from_millis(50);

/// The state of the fleet's circuit as known to this instance, and what this instance has done about it.
#[derive(Debug)]
#[allow(clippy::struct_excessive_bools, reason = "independent flags")]
pub(crate) struct Member {
    agreed: AgreedState,
    /// The version of `agreed`; 0 before any state was received.
    version: u64,
    /// The version for which the local circuit was last held open.
    held_version: u64,
    /// The version of the last override that was applied to the local circuit.
    applied_override: u64,
    /// The end of the current hold; `None` if it has no end.
    hold_until: Option<Instant>,
    lease: Option<Lease>,
    /// The local transition, by its number, that Redis has received as a vote.
    voted_transition: Option<u64>,
    /// True if Redis may store a vote of this instance.
    has_voted: bool,
    /// The number of local rejections that do not count towards a lease claim.
    rejection_baseline: u64,
    /// True if the instance requests the lease without a rejected call, because its own calls opened the local circuit.
    requests_lease_unprompted: bool,
    /// The earliest time of the next request.
    next_request_at: Option<Instant>,
    /// The request in flight, and the version when it was sent.
    in_flight: Option<(Intent, u64)>,
    /// True if Redis has lost the state, which must be written back.
    needs_restore: bool,
    /// True if a broadcast may have been missed, so that the state must be read before any other request.
    needs_read: bool,
    /// The instance or operator that set the state.
    by: String,
    reason: String,
}

#[derive(Clone, Copy, Debug)]
struct Lease {
    /// The time of the grant, of the first trial call, or of the last successful trial call, whichever is latest.
    progress_at: Instant,
    until: Instant,
    /// The number of successful trial calls; `None` before the first trial call.
    trial_successes: Option<u32>,
    /// True if another instance has a better claim, so that the lease is not renewed.
    is_final: bool,
}

impl Member {
    pub(crate) const fn new() -> Self {
        Self {
            agreed: AgreedState::Closed,
            version: 0,
            held_version: 0,
            applied_override: 0,
            hold_until: None,
            lease: None,
            voted_transition: None,
            has_voted: false,
            rejection_baseline: 0,
            requests_lease_unprompted: false,
            next_request_at: None,
            in_flight: None,
            needs_restore: false,
            needs_read: false,
            by: String::new(),
            reason: String::new(),
        }
    }

    /// Returns the reason to record in the local circuit for a state that the fleet sets.
    pub(crate) fn reason(&self) -> String {
        match (self.reason.as_str(), self.by.as_str()) {
            ("", by) => format!("{REASON_PREFIX}{by}"),
            (reason, "") => format!("{REASON_PREFIX}{reason}"),
            (reason, by) => format!("{REASON_PREFIX}{reason}, {by}"),
        }
    }

    /// Returns the state to write back after Redis has lost it.
    pub(crate) fn state_to_restore(&self, local: &LocalState, now: Instant) -> FleetState {
        let agreed = match self.agreed.open_phase(now) {
            // The local circuit has recovered without Redis.
            Some(_) if local.state == BreakerState::Closed && !self.agreed.is_override_active(now) => {
                AgreedState::Closed
            }
            _ => self.agreed,
        };
        let (kind, remaining, failed_recoveries) = agreed.to_stored(now);
        let (by, reason) = (self.by.clone(), self.reason.clone());
        FleetState { version: self.version, kind, remaining, failed_recoveries, by, reason }
    }

    /// Returns whether the fleet's override still applies; `None` if the last received state is not an override.
    pub(crate) fn is_override_active(&self, now: Instant) -> Option<bool> {
        matches!(self.agreed, AgreedState::ForcedOpen { .. } | AgreedState::Disabled { .. })
            .then(|| self.agreed.is_override_active(now))
    }

    /// Returns true if the next decision may change without an event, as time passes.
    pub(crate) fn needs_tick(&self, local: &LocalState) -> bool {
        let is_settled = matches!(self.agreed, AgreedState::Closed | AgreedState::Reset)
            && self.lease.is_none()
            && !self.has_voted
            && !self.needs_read;
        !is_settled || local.state != BreakerState::Closed
    }

    /// Returns true if this instance holds a lease, which lapses unless it is renewed in time.
    pub(crate) const fn holds_lease(&self) -> bool {
        self.lease.is_some()
    }

    /// Returns true if Redis may store a vote or a lease of this instance.
    pub(crate) const fn holds_vote_or_lease(&self) -> bool {
        self.has_voted || self.lease.is_some()
    }

    /// Applies a state that was received without a request. Returns true if it is newer than the last known state.
    pub(crate) fn on_broadcast(&mut self, state: FleetState, now: Instant) -> bool {
        let is_newer = state.version > self.version;
        if is_newer {
            self.adopt(state, now);
        }
        is_newer
    }

    /// Applies the reply to the request in flight. Returns true if the reply contains a new state for which an event must be emitted.
    pub(crate) fn on_reply(&mut self, reply: Reply, now: Instant, timing: &Timing) -> bool {
        let Some((intent, sent_version)) = self.in_flight.take() else { return false };
        let Reply { state, grant, lease_left, .. } = reply;
        let (kind, version) = (state.kind, state.version);
        // A reply contains the state at the time of its request. If that is older than the state known when the request was sent, and no
        // newer state was received since then, Redis has lost the known state in a failover or a crash.
        let is_current = sent_version == self.version;
        let is_lost = is_current && version < sent_version;
        let is_new = version > self.version || (is_lost && kind == StateKind::Missing);
        // For an instance that has just started, a closed circuit is not a change.
        let is_first_read_of_closed =
            sent_version == 0 && matches!(kind, StateKind::Closed | StateKind::Reset) && intent == Intent::Read;
        if is_new {
            self.adopt(state, now);
        }
        match intent {
            Intent::Vote { transitions } => {
                (self.voted_transition, self.has_voted, self.lease) =
                    (Some(transitions), kind != StateKind::Open, None);
                self.requests_lease_unprompted |= kind == StateKind::Open;
            }
            Intent::Lease { sent, .. } => match grant {
                // The grant is for a state that has changed since.
                Grant::Granted if version != self.version => {}
                Grant::Granted => {
                    // The lease ends here before it ends in Redis: its duration is counted from before the request, and is reduced by
                    // 10 % in case the clocks run at different rates.
                    let until = sent + timing.lease.mul_f64(0.9);
                    let new = Lease { progress_at: sent, until, trial_successes: None, is_final: false };
                    self.lease = Some(self.lease.map_or(new, |lease| Lease { until, is_final: false, ..lease }));
                }
                Grant::Final => match &mut self.lease {
                    Some(lease) => lease.is_final = true,
                    None => self.next_request_at = Some(now + timing.lease),
                },
                // The minimum delay matters if the clock of Redis was set back, so that the recovery timeout has not elapsed there.
                Grant::Denied => {
                    self.lease = None;
                    self.next_request_at = (!self.needs_read).then(|| now + lease_left.max(MIN_REPEAT_DELAY));
                }
            },
            Intent::Close { .. } => {
                (self.has_voted, self.lease) = (false, None);
                match kind {
                    StateKind::Missing if is_current => self.agreed = AgreedState::Closed,
                    StateKind::Closed | StateKind::Reset | StateKind::Missing => {}
                    StateKind::Open | StateKind::ForcedOpen | StateKind::Disabled => {
                        self.next_request_at = Some(now + MIN_REPEAT_DELAY);
                    }
                }
            }
            Intent::Withdraw => self.has_voted = false,
            Intent::Read => self.needs_read = false,
            Intent::Restore => self.needs_restore = false,
        }
        if is_lost && !is_new {
            (self.needs_restore, self.voted_transition) = (true, None);
        }
        is_new && !is_first_read_of_closed
    }

    /// Records that a request was sent.
    pub(crate) const fn on_request_sent(&mut self, intent: Intent) {
        self.in_flight = Some((intent, self.version));
    }

    /// Records that the request in flight failed. The next request is sent after the retry delay at the earliest.
    pub(crate) fn on_request_failed(&mut self, now: Instant, timing: &Timing) {
        (self.in_flight, self.next_request_at) = (None, Some(now + timing.retry_delay));
    }

    /// Records that the connection was lost, and with it the request in flight and the lease.
    pub(crate) fn on_disconnect(&mut self) {
        (self.in_flight, self.lease, self.next_request_at) = (None, None, None);
    }

    /// Requests a read of the fleet's state before any other request.
    pub(crate) const fn request_read(&mut self) {
        (self.needs_read, self.next_request_at) = (true, None);
    }

    fn adopt(&mut self, state: FleetState, now: Instant) {
        (self.lease, self.next_request_at, self.needs_restore) = (None, None, false);
        self.requests_lease_unprompted = false;
        let Some(agreed) = AgreedState::received(&state, now) else {
            // Redis has lost the state. An active override is written back. An open circuit stays open until a recovery succeeds.
            self.needs_restore = self.agreed.is_override_active(now);
            if !self.needs_restore {
                (self.version, self.held_version) = (0, 0);
                if self.agreed.open_phase(now).is_none() {
                    self.agreed = AgreedState::Closed;
                }
            }
            return;
        };
        self.has_voted &= !matches!(agreed, AgreedState::Open { .. });
        (self.agreed, self.version, self.by, self.reason) = (agreed, state.version, state.by, state.reason);
    }
}
