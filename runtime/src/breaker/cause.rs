//! Which rule opened the circuit, and with what figures, in one cell, so that a rejection can say it without a lock.

use std::sync::atomic::{AtomicU64, Ordering};

use super::{rejection::OpenReason, window::Trip};

/// What opened the circuit, tagged with the epoch that this led to. Written by whoever makes the transition.
#[derive(Debug)]
pub(crate) struct Cause(AtomicU64);

const EPOCH_BITS: u32 = 12;
const RULE_BITS: u32 = 2;
const COUNT_BITS: u32 = 25;
const _: () = assert!(EPOCH_BITS + RULE_BITS + 2 * COUNT_BITS == 64);
const MOST: u64 = (1 << COUNT_BITS) - 1;

const INTERVENTION: u64 = 0;
const CONSECUTIVE: u64 = 1;
const FAILURE_RATE: u64 = 2;
const SLOW_CALL_RATE: u64 = 3;

impl Cause {
    pub(crate) const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    pub(crate) fn publish(&self, epoch: u16, trip: Trip) {
        let (rule, count, calls) = match trip {
            // A count, so that it is not taken for a cell that nobody has written.
            Trip::Intervention => (INTERVENTION, 1, 0),
            Trip::Consecutive { failures } => (CONSECUTIVE, u64::from(failures), 0),
            Trip::FailureRate { failed, calls } => (FAILURE_RATE, failed, calls),
            Trip::SlowCallRate { slow, calls } => (SLOW_CALL_RATE, slow, calls),
        };
        let figures = (rule << COUNT_BITS | count.min(MOST)) << COUNT_BITS | calls.min(MOST);
        // ORDERING: Relaxed: the cell is looked at by itself, and its tag tells what it belongs to.
        self.0.store(u64::from(epoch) << (RULE_BITS + 2 * COUNT_BITS) | figures, Ordering::Relaxed);
    }

    /// What led to `epoch`; `None` in the moment before it is published.
    #[allow(clippy::cast_possible_truncation, reason = "25 bits")]
    pub(crate) fn of(&self, epoch: u16) -> Option<OpenReason> {
        // ORDERING: Relaxed, as above.
        let found = self.0.load(Ordering::Relaxed);
        if found >> (RULE_BITS + 2 * COUNT_BITS) != u64::from(epoch) {
            return None;
        }
        let (count, calls) = ((found >> COUNT_BITS & MOST) as u32, (found & MOST) as u32);
        match found >> (2 * COUNT_BITS) & ((1 << RULE_BITS) - 1) {
            INTERVENTION if count > 0 => Some(OpenReason::Intervention),
            CONSECUTIVE => Some(OpenReason::ConsecutiveFailures { failures: count }),
            FAILURE_RATE => Some(OpenReason::FailureRate { failures: count, calls }),
            SLOW_CALL_RATE => Some(OpenReason::SlowCallRate { slow: count, calls }),
            _ => None,
        }
    }
}
