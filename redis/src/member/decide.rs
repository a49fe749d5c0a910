//! The choice of the next change of the local circuit, or of the next request to send.

use steadfast::BreakerState;
use tokio::time::Instant;

use super::{Action, Decision, Intent, Lease, LocalState, Member, Timing, agreed_state::AgreedState};
use crate::protocol::LeaseClaim;

/// The number of lease durations without progress after which an instance yields the lease to any other instance with a claim, even while
/// trial calls are in flight.
const MAX_IDLE_LEASES: u32 = 10;

impl Lease {
    fn is_stalled(&self, now: Instant, timing: &Timing) -> bool {
        now >= self.progress_at + MAX_IDLE_LEASES * timing.lease
    }
}

impl Member {
    /// Returns the next change of the local circuit or the next request to send. Requests are returned only while online.
    pub(crate) fn decide(&mut self, local: &LocalState, online: bool, now: Instant, timing: &Timing) -> Decision {
        let trial_successes = (local.state == BreakerState::HalfOpen).then_some(local.trial_successes);
        if let Some(lease) = self.lease.as_mut().filter(|lease| lease.trial_successes != trial_successes) {
            (lease.trial_successes, lease.progress_at) = (trial_successes, now);
        }
        if let Some(action) = self.next_action(local, online && !self.needs_read, now, timing) {
            return Decision::Act(action);
        }
        let is_due = self.next_request_at.is_none_or(|at| at <= now);
        if !online || !is_due || self.in_flight.is_some() {
            return Decision::Idle;
        }
        let intent = if self.needs_read { Some(Intent::Read) } else { self.next_intent(local, now, timing) };
        intent.map_or(Decision::Idle, Decision::Send)
    }

    fn next_action(&mut self, local: &LocalState, online: bool, now: Instant, timing: &Timing) -> Option<Action> {
        if let Some(action) = self.operator_override(local, now, timing) {
            return Some(action);
        }
        if self.agreed.is_override_active(now) {
            return None;
        }
        let Some((until, failed)) = self.agreed.open_phase(now) else {
            return match local.state {
                BreakerState::Open | BreakerState::HalfOpen if local.is_fleet_set => Some(Action::Close),
                BreakerState::ForcedOpen | BreakerState::Disabled if local.is_fleet_set => Some(Action::Reset),
                _ => None,
            };
        };
        if !online {
            return None;
        }
        let end = until.max(now) + timing.grace;
        let is_held = local.is_fleet_set && self.held_version == self.version;
        match (local.state, self.lease) {
            // The circuit has closed since it was held: `next_intent` returns the request to close the fleet's circuit.
            (BreakerState::Closed, _) if self.held_version == self.version => None,
            (BreakerState::Closed, _) => Some(self.hold(local, end, now, failed)),
            (BreakerState::Disabled, _) => local.is_fleet_set.then_some(Action::Reset),
            (BreakerState::ForcedOpen, _) if !local.is_fleet_set => None,
            // Under the lease, a held circuit is released for trial calls, once.
            (state, Some(lease)) if now < lease.until => {
                let is_to_release =
                    is_held && state != BreakerState::HalfOpen && self.hold_until.is_some_and(|until| until > now);
                is_to_release.then(|| self.set_hold_end(local, now, now, failed))
            }
            // The lease has lapsed.
            (_, Some(lease)) => {
                (self.lease, self.next_request_at) = (None, lease.is_final.then(|| now + timing.lease));
                if lease.is_final {
                    // Another instance gets the lease next. Only calls that are rejected from now on count towards a new claim.
                    (self.rejection_baseline, self.requests_lease_unprompted) = (local.rejections, false);
                }
                Some(self.set_hold_end(local, end, now, failed))
            }
            (BreakerState::Open | BreakerState::ForcedOpen, None) if is_held => {
                let ends_soon = self.hold_until.is_none_or(|until| until + timing.grace / 2 < end);
                ends_soon.then(|| self.set_hold_end(local, end, now, failed))
            }
            _ => Some(self.hold(local, end, now, failed)),
        }
    }

    /// Returns the action that applies an operator's override of the fleet to the local circuit, once for each override.
    fn operator_override(&mut self, local: &LocalState, now: Instant, timing: &Timing) -> Option<Action> {
        let remaining = |until: Option<Instant>| until.map(|until| until.saturating_duration_since(now));
        let action = match self.agreed {
            AgreedState::ForcedOpen { until } => {
                Action::ForceOpen { duration: remaining(until).map(|duration| duration + timing.grace) }
            }
            AgreedState::Disabled { until } => Action::Disable { duration: remaining(until) },
            AgreedState::Reset => Action::Reset,
            AgreedState::Closed | AgreedState::Open { .. } => return None,
        };
        if self.applied_override == self.version || self.version == 0 {
            return None;
        }
        self.applied_override = self.version;
        let is_active = self.agreed == AgreedState::Reset || self.agreed.is_override_active(now);
        if let AgreedState::ForcedOpen { until } = self.agreed {
            (self.held_version, self.rejection_baseline) = (self.version, local.rejections);
            self.requests_lease_unprompted = false;
            self.hold_until = until.map(|until| until + timing.grace);
        }
        (is_active && !(action == Action::Reset && local.state == BreakerState::Closed)).then_some(action)
    }

    fn next_intent(&self, local: &LocalState, now: Instant, timing: &Timing) -> Option<Intent> {
        if self.needs_restore {
            return Some(Intent::Restore);
        }
        if self.agreed.is_override_active(now) {
            return None;
        }
        let rejections = local.rejections.saturating_sub(self.rejection_baseline);
        let lease_request = |yields_above| Intent::Lease { sent: now, claim: LeaseClaim { rejections, yields_above } };
        let vote = Intent::Vote { transitions: local.transitions };
        let Some((until, _)) = self.agreed.open_phase(now) else {
            return match local.state {
                BreakerState::Open if !local.is_fleet_set && self.voted_transition != Some(local.transitions) => {
                    Some(vote)
                }
                BreakerState::Closed if self.has_voted => Some(Intent::Withdraw),
                _ => None,
            };
        };
        match (local.state, self.lease) {
            (BreakerState::Closed, _) => Some(Intent::Close { version: self.version }),
            // Trial calls failed.
            (BreakerState::Open, Some(_)) if !local.is_fleet_set => Some(vote),
            (BreakerState::HalfOpen, Some(lease)) => {
                let yields = lease.is_stalled(now, timing);
                let is_due = lease.until - now < timing.lease / 2 && !(yields && lease.is_final);
                is_due.then(|| lease_request(yields.then_some(0)))
            }
            // The circuit is released, but no trial call has been made: the lease is renewed unless another instance has a better claim.
            (BreakerState::Open | BreakerState::ForcedOpen, Some(lease)) => {
                let is_due = lease.until - now < timing.lease / 3 && !lease.is_final;
                is_due.then(|| lease_request(Some(if lease.is_stalled(now, timing) { 0 } else { rejections })))
            }
            (BreakerState::Open | BreakerState::ForcedOpen, None) if local.is_fleet_set => {
                let is_wanted = until <= now && (self.requests_lease_unprompted || rejections > 0);
                is_wanted.then(|| lease_request(Some(rejections)))
            }
            _ => None,
        }
    }

    /// Returns the action that holds the circuit open, and records that it is held for the current version.
    fn hold(&mut self, local: &LocalState, end: Instant, now: Instant, failed_recoveries: u32) -> Action {
        if self.held_version != self.version {
            (self.held_version, self.rejection_baseline) = (self.version, local.rejections);
        }
        self.set_hold_end(local, end, now, failed_recoveries)
    }

    /// Returns the action that sets the end of a hold. A circuit that is forced open stays forced open, any other is held open.
    fn set_hold_end(&mut self, local: &LocalState, end: Instant, now: Instant, failed_recoveries: u32) -> Action {
        let duration = end.saturating_duration_since(now);
        self.hold_until = Some(now + duration);
        match local.state {
            BreakerState::ForcedOpen => Action::ForceOpen { duration: Some(duration) },
            _ => Action::Hold { duration, failed_recoveries },
        }
    }
}
