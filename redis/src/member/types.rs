//! The inputs of a decision (local circuit, configured times) and its outputs (actions, requests).

use std::time::Duration;

use steadfast::{BreakerState, Snapshot};
use tokio::time::Instant;

use crate::protocol::LeaseClaim;

/// The prefix of the reason of every state that the fleet sets in a local circuit.
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
    /// True if the fleet set this state.
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
            // A breaker that only observes has as many callers.
            rejections: snapshot.rejections.saturating_add(snapshot.observed_rejections),
            trial_successes: snapshot.trial_successes,
        }
    }

    /// Keeps the previous state if no transition has been made since.
    ///
    /// Decisions depend only on transitions that were made. If their number is unchanged, a circuit that reads as half-open or closed is
    /// still in its previous state: open, for example, although its recovery timeout has elapsed.
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
    /// Holds the circuit open for a duration. A duration of zero releases it for trial calls.
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
    /// Change the local circuit, then make another decision.
    Act(Action),
    /// Send a request to Redis.
    Send(Intent),
    /// Nothing to do until the state or the time changes.
    Idle,
}

/// The request that follows from a decision. The worker adds the arguments when it sends the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Intent {
    /// Read the fleet's state.
    Read,
    /// Vote to open the fleet's circuit, since this transition opened the local one.
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
