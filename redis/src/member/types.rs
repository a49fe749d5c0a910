//! The inputs of a decision (the local circuit, the configured times) and its outputs (actions and requests).

use std::time::Duration;

use steadfast::{BreakerState, Snapshot};
use tokio::time::Instant;

use crate::protocol::LeaseClaim;

/// The prefix of the reason that a local circuit has for a state that the fleet set.
pub(crate) const REASON_PREFIX: &str = "fleet: ";

/// The configured times.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timing {
    /// The duration of a lease.
    pub(crate) lease: Duration,
    /// The time by which a hold outlasts the known end of the fleet's state.
    pub(crate) grace: Duration,
    /// The delay before a failed request is sent again.
    pub(crate) retry_delay: Duration,
}

/// The state of the local circuit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LocalState {
    pub(crate) state: BreakerState,
    /// The fleet set this state.
    pub(crate) is_fleet_set: bool,
    pub(crate) transitions: u64,
    pub(crate) rejections: u64,
    pub(crate) trial_successes: u32,
}

impl LocalState {
    pub(crate) fn of(snapshot: &Snapshot) -> Self {
        Self {
            // A circuit whose recovery timeout has elapsed stays open until a call makes the transition.
            state: snapshot.entered,
            is_fleet_set: snapshot.operator_reason.as_ref().is_some_and(|reason| reason.starts_with(REASON_PREFIX)),
            transitions: snapshot.transitions,
            rejections: snapshot.rejections,
            trial_successes: snapshot.trial_successes,
        }
    }

    /// Corrects the state by the previous one.
    ///
    /// A snapshot shows the state that the next call would find: a circuit whose time has elapsed reads as half-open or closed before any
    /// call has made that transition. Decisions depend on transitions that were made, so if the number of transitions is unchanged the
    /// circuit is still open, or still overridden.
    pub(crate) fn corrected_by(self, previous: Option<Self>) -> Self {
        match previous {
            Some(Self { state, is_fleet_set, transitions, .. })
                if transitions == self.transitions
                    && matches!(self.state, BreakerState::HalfOpen | BreakerState::Closed) =>
            {
                Self { state, is_fleet_set: is_fleet_set || self.is_fleet_set, ..self }
            }
            _ => self,
        }
    }
}

/// A change to make to the local circuit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Holds the circuit open for a duration.
    Hold {
        duration: Duration,
        failed_recoveries: u32,
    },
    Close,
    /// Forces the circuit open, without an end if `duration` is `None`.
    ForceOpen {
        duration: Option<Duration>,
    },
    /// Disables the circuit, without an end if `duration` is `None`.
    Disable {
        duration: Option<Duration>,
    },
    Reset,
}

/// The result of a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Change the local circuit, then decide again.
    Act(Action),
    /// Send a request to Redis.
    Send(Intent),
    /// Nothing to do until the state or the time changes.
    Idle,
}

/// A request that the member wants to send. The worker adds the arguments when it sends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Intent {
    /// Read the fleet's state.
    Read,
    /// Vote to open the fleet's circuit, since the local one opened by this transition.
    Vote { transitions: u64 },
    /// Acquire or renew the lease. `sent` is the time of the request.
    Lease { sent: Instant, claim: LeaseClaim },
    /// Close the fleet's circuit, unless its state has changed since that version.
    Close { version: u64 },
    /// Withdraw the vote and release the lease.
    Withdraw,
    /// Write back a state that Redis has lost.
    Restore,
}
