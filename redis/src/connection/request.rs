//! The requests about a breaker, as arguments of the breaker script.

use std::time::Duration;

use redis::ScriptInvocation;

use super::{millis, millis_or_endless};
use crate::{
    Override,
    protocol::{FleetState, LeaseClaim},
};

/// A request about a breaker: a verb of the script with its arguments.
pub(crate) enum Request {
    /// Reads the state.
    Read,
    /// Votes to open the circuit. The vote that completes the quorum opens it.
    Vote(Vote),
    /// Acquires or renews the lease, unless another instance has a better claim.
    Lease { duration: Duration, claim: LeaseClaim },
    /// Closes the circuit, unless its state has changed since that version.
    Close { version: u64 },
    /// Withdraws the vote and releases the lease.
    Withdraw,
    /// Writes back a state that Redis has lost.
    Restore(FleetState),
    /// Applies an operator's override.
    Override(Override),
}

/// The arguments of a vote.
#[derive(Clone, Debug)]
pub(crate) struct Vote {
    /// The recovery timeout: the time for which the circuit is to stay open.
    pub(crate) open_for: Duration,
    pub(crate) failed_recoveries: u32,
    pub(crate) quorum: u64,
    /// The time for which the vote counts.
    pub(crate) valid_for: Duration,
    pub(crate) reason: String,
}

impl Request {
    pub(super) const fn verb(&self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Vote(_) => "vote",
            Self::Lease { .. } => "lease",
            Self::Close { .. } => "close",
            Self::Withdraw => "withdraw",
            Self::Restore(_) => "restore",
            Self::Override(_) => "override",
        }
    }

    pub(super) fn write_to(&self, call: &mut ScriptInvocation<'_>) {
        match self {
            Self::Read | Self::Withdraw => {}
            Self::Vote(Vote { open_for, failed_recoveries, quorum, valid_for, reason }) => {
                call.arg(millis(*open_for)).arg(failed_recoveries).arg(quorum).arg(millis(*valid_for)).arg(reason);
            }
            Self::Lease { duration, claim: LeaseClaim { rejections, yields_above } } => {
                call.arg(millis(*duration))
                    .arg(rejections)
                    .arg(yields_above.map_or(-1, |above| i64::try_from(above).unwrap_or(i64::MAX)));
            }
            Self::Close { version } => _ = call.arg(version),
            Self::Restore(FleetState { version, kind, remaining, failed_recoveries, by, reason }) => {
                call.arg(kind.as_str())
                    .arg(millis_or_endless(*remaining))
                    .arg(by)
                    .arg(reason)
                    .arg(version)
                    .arg(failed_recoveries);
            }
            Self::Override(Override { kind, expires_in, by, reason, .. }) => {
                call.arg(kind.as_str()).arg(millis_or_endless(*expires_in)).arg(by).arg(reason);
            }
        }
    }
}
