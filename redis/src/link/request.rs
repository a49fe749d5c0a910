//! What Redis is asked about a breaker.

use std::time::Duration;

use redis::ScriptInvocation;

use super::{millis, millis_or_endless};
use crate::{Operation, answer::Known, member::Claim};

/// A verb of the script, with what it needs.
pub(crate) enum Request {
    /// What the state is.
    Read,
    /// To open, or to count the vote for it.
    Announce(Trip),
    /// To hold the lease for so long, or so much longer, unless another instance has the better claim.
    Lease { lasts: Duration, claim: Claim },
    /// To close, if nothing is newer than that version.
    Close { seen: u64 },
    /// To give back lease and vote.
    Leave,
    /// To know again what it has lost.
    Restore(Known),
    /// What an operator wants.
    Operate(Operation),
}

/// What a vote or an announcement says.
#[derive(Clone, Debug)]
pub(crate) struct Trip {
    pub(crate) rest: Duration,
    pub(crate) failed: u32,
    pub(crate) quorum: u64,
    /// For how long the vote counts.
    pub(crate) lasts: Duration,
    pub(crate) reason: String,
}

impl Request {
    pub(super) const fn verb(&self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Announce(_) => "announce",
            Self::Lease { .. } => "ask",
            Self::Close { .. } => "close",
            Self::Leave => "leave",
            Self::Restore(_) => "restore",
            Self::Operate(_) => "operate",
        }
    }

    pub(super) fn write_to(&self, call: &mut ScriptInvocation<'_>) {
        match self {
            Self::Read | Self::Leave => {}
            Self::Announce(Trip { rest, failed, quorum, lasts, reason }) => {
                call.arg(millis(*rest)).arg(failed).arg(quorum).arg(millis(*lasts)).arg(reason);
            }
            Self::Lease { lasts, claim: Claim { rejections, yields_above } } => {
                call.arg(millis(*lasts))
                    .arg(rejections)
                    .arg(yields_above.map_or(-1, |above| i64::try_from(above).unwrap_or(i64::MAX)));
            }
            Self::Close { seen } => _ = call.arg(seen),
            Self::Restore(Known { version, kind, left, failed, by, reason }) => {
                call.arg(kind.text()).arg(millis_or_endless(*left)).arg(by).arg(reason).arg(version).arg(failed);
            }
            Self::Operate(Operation { kind, expires_in, by, reason, .. }) => {
                call.arg(kind.text()).arg(millis_or_endless(*expires_in)).arg(by).arg(reason);
            }
        }
    }
}
