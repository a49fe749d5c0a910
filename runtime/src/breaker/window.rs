//! What a breaker by rates has seen of late. No locks: successes, failures and judgements run side by side.
//!
//! **Invariant:** what is recorded under one epoch is never counted under another: every number carries the epoch that it
//! belongs to. So a new state begins with an empty window, and nobody has to empty it.

mod calls;
mod time;

use std::sync::atomic::{AtomicU64, Ordering};

use once_cell::race::OnceBox;

pub(crate) use self::calls::MAX_CALLS;
use self::{calls::CallsWindow, time::TimeWindow};
use super::{
    OpenReason,
    rules::{Rates, Span},
    shared::AtomicCell,
};

/// The calls of late: the last so many, or those of the last so many seconds.
#[derive(Debug, Default)]
pub(crate) struct Window<A = AtomicU64> {
    calls: CallsWindow<A>,
    /// Takes 1.5 KiB where it is used.
    time: OnceBox<TimeWindow<A>>,
}

/// What is recorded of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) failed: bool,
    pub(crate) slow: bool,
}

/// What is in a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) calls: u64,
    pub(crate) failed: u64,
    pub(crate) slow: u64,
}

impl<A: AtomicCell + Default> Window<A> {
    /// Takes in a call that was admitted under `epoch`; `is_current` tells whether that still is the breaker's.
    pub(crate) fn record(
        &self,
        record: Record,
        epoch: u16,
        span: Span,
        now: impl Fn() -> u64,
        is_current: impl Fn() -> bool,
    ) {
        match span {
            Span::Calls(calls) => self.calls.record(record, epoch, calls, is_current),
            Span::Time(time) => self.time().record(record, epoch, time, now, is_current),
        }
    }

    /// What is in it now, of that epoch.
    pub(crate) fn counts(&self, epoch: u16, span: Span, now: impl Fn() -> u64) -> Counts {
        match span {
            Span::Calls(calls) => self.calls.counts(epoch, calls),
            Span::Time(time) => self.time.get().map_or_else(Counts::default, |window| window.counts(epoch, time, now)),
        }
    }

    fn time(&self) -> &TimeWindow<A> {
        self.time.get_or_init(Box::default)
    }
}

impl Record {
    /// Whether it can speak against the service; a success never opens a circuit.
    pub(crate) const fn is_held_against(self) -> bool {
        self.failed || self.slow
    }
}

impl Rates {
    /// The rule that the counts break, if any. Failures come first.
    pub(crate) fn judge(&self, counts: Counts) -> Option<OpenReason> {
        let Counts { calls, failed, slow } = counts;
        if calls < self.min_calls.max(1) {
            return None;
        }
        if failed > 0 && share(failed, calls) >= self.failure_rate {
            return Some(OpenReason::FailureRate { failures: figure(failed), calls: figure(calls) });
        }
        let slow_matters = self.slow_call.is_some() && slow > 0;
        (slow_matters && share(slow, calls) >= self.slow_call_rate)
            .then(|| OpenReason::SlowCallRate { slow: figure(slow), calls: figure(calls) })
    }
}

/// A count as it is told.
fn figure(count: u64) -> u32 {
    count.try_into().unwrap_or(u32::MAX)
}

/// A quotient is rounded once, and so equals the literal that was meant: 3 of 30 is 0.1.
#[allow(clippy::cast_precision_loss, reason = "counts below 2⁵³")]
fn share(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}

/// Puts everyone who calls this with the same cell in an order: the later sees what the earlier wrote before. So of two
/// calls that record and then judge at the same time, one sees both.
fn line_up<A: AtomicCell>(cell: &A) {
    // ORDERING: AcqRel: each of these exchanges reads what the one before it wrote, and so all that came before that. A
    // store and a load of other cells, with no such exchange between them, may pass each other.
    let mut found = cell.load(Ordering::Relaxed);
    while let Err(changed) = cell.compare_exchange_weak(found, found, Ordering::AcqRel, Ordering::Relaxed) {
        found = changed;
    }
}

/// Counts one more in a cell that says beside the count, by a tag, what is counted. Under another tag it starts anew, if
/// `replaces` says so of the tag that is found; `None` if not.
fn count<A: AtomicCell>(cell: &A, tag: u64, count_bits: u32, replaces: impl Fn(u64) -> bool) -> Option<u64> {
    let most = (1 << count_bits) - 1;
    // ORDERING: Acquire, so that who finds the count of a later epoch knows that it is later. AcqRel, so that whoever sees a
    // count also sees what was counted elsewhere before it.
    let mut found = cell.load(Ordering::Acquire);
    loop {
        let count = match found >> count_bits {
            same if same == tag => (found & most).saturating_add(1).min(most),
            other if replaces(other) => 1,
            _ => return None,
        };
        match cell.compare_exchange_weak(found, tag << count_bits | count, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => return Some(count),
            Err(changed) => found = changed,
        }
    }
}
