//! The words in which a decision is put: what it goes by, and what comes of it.

use std::time::Duration;

use steadfast::{BreakerState, Snapshot};
use tokio::time::Instant;

/// With this begins what a circuit gives as the reason for a state that the fleet holds it in.
pub(crate) const PREFIX: &str = "fleet: ";

/// Times that decisions go by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    /// For how long a lease is given.
    pub(crate) lease: Duration,
    /// For how long a hold outlasts what is known.
    pub(crate) grace: Duration,
    /// When to ask again what Redis has refused.
    pub(crate) again: Duration,
}

/// The local circuit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Local {
    pub(crate) state: BreakerState,
    /// The fleet has brought it there.
    pub(crate) is_ours: bool,
    pub(crate) transitions: u64,
    pub(crate) rejections: u64,
    pub(crate) trial_successes: u32,
}

impl Local {
    pub(crate) fn of(snapshot: &Snapshot) -> Self {
        Self {
            // Until a call comes, a rest that is over is one that no trial call has ended.
            state: snapshot.entered,
            is_ours: snapshot.operator_reason.as_ref().is_some_and(|reason| reason.starts_with(PREFIX)),
            transitions: snapshot.transitions,
            rejections: snapshot.rejections,
            trial_successes: snapshot.trial_successes,
        }
    }

    /// Corrects the state by the one that was seen before.
    ///
    /// A snapshot says what the next call finds: a circuit whose time is over reads half-open or closed before any call has made that
    /// transition. Decisions go by transitions that were made, so without one the circuit is still open, or held by an operator.
    pub(crate) fn after(self, seen: Option<Self>) -> Self {
        match seen {
            Some(Self { state, is_ours, transitions, .. })
                if transitions == self.transitions
                    && matches!(self.state, BreakerState::HalfOpen | BreakerState::Closed) =>
            {
                Self { state, is_ours: is_ours || self.is_ours, ..self }
            }
            _ => self,
        }
    }
}

/// What to do to the local circuit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// To be open that long, after so many failed recoveries.
    Hold {
        lasts: Duration,
        failed: u32,
    },
    Close,
    ForceOpen {
        lasts: Option<Duration>,
    },
    Disable {
        lasts: Option<Duration>,
    },
    Reset,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Act(Act),
    Ask(Question),
    /// Nothing, for now.
    Rest,
}

/// The right of an instance to the lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    /// Calls that this instance has rejected since the fleet opened and since its last turn.
    pub(crate) rejections: u64,
    /// The lease goes to an instance that has rejected more calls than this; `None` while trial calls are under way.
    pub(crate) yields_above: Option<u64>,
}

/// A question for Redis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Question {
    /// What the state is.
    Read,
    /// To open, or to count the vote for it.
    Announce { transitions: u64 },
    /// To hold the lease, or hold it longer, asked at `sent`, after so many rejected calls.
    Ask { sent: Instant, claim: Claim },
    /// To close, if nothing is newer than that version.
    Close { seen: u64 },
    /// To give back lease and vote.
    Leave,
    /// To know again what it has lost.
    Restore,
}
