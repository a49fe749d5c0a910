//! The calls by which a breaker by rates judges. Successes, failures and judgements run side by side.
//!
//! **Invariant:** what is recorded under one epoch is never counted under another. A circuit that closes [begins](Window::begin)
//! the window anew before anyone can see that it has closed; and every count carries a tag of the epoch that it belongs to, so
//! that a thread which was stopped between its look at the circuit and its record leaves nothing behind.

mod calls;
mod time;

use std::sync::atomic::{AtomicU64, Ordering};

pub(crate) use self::calls::MAX_CALLS;
use self::{calls::CallsWindow, time::TimeWindow};
use super::{
    parameters::{Rates, Span},
    state::atomic::AtomicCell,
};
use crate::{OpenReason, errors::COUNT_BITS};

/// The calls of late: the last so many, or those of the last so many seconds.
#[derive(Debug)]
pub(crate) struct Window<A = AtomicU64> {
    calls: CallsWindow<A>,
    time: TimeWindow<A>,
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
    /// Empty, for the calls of that epoch and of this span.
    pub(crate) fn new(epoch: u32, span: Span) -> Self {
        let window = Self { calls: CallsWindow::default(), time: TimeWindow::default() };
        window.begin(epoch);
        window.apply_settings(Some(span));
        window
    }

    /// Empties it, for the calls of that epoch. No transition is under way meanwhile.
    pub(crate) fn begin(&self, epoch: u32) {
        self.calls.begin(epoch);
        self.time.begin(epoch);
    }

    /// Takes in that the span is this one from now on, or that no rate is judged. Another length of the same kind keeps what was
    /// counted. A kind that is not in force forgets it: when it comes back, it would know failures without the successes since.
    pub(crate) fn apply_settings(&self, span: Option<Span>) {
        self.calls.apply_settings(if let Some(Span::Calls(calls)) = span { calls } else { 0 });
        if !matches!(span, Some(Span::Time(_))) {
            self.time.forget();
        }
    }

    /// Takes in a call that was admitted under `epoch`.
    pub(crate) fn record(&self, record: Record, epoch: u32, span: Span, now: impl Fn() -> u64) {
        match span {
            Span::Calls(calls) => self.calls.record(record, epoch, calls),
            Span::Time(time) => self.time.record(record, epoch, time, now),
        }
    }

    /// What is in it now, of that epoch.
    pub(crate) fn counts(&self, epoch: u32, span: Span, now: impl Fn() -> u64) -> Counts {
        match span {
            Span::Calls(calls) => self.calls.counts(epoch, calls),
            Span::Time(time) => self.time.counts(epoch, time, now),
        }
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
            let (failures, calls) = figures(failed, calls);
            return Some(OpenReason::FailureRate { failures, calls });
        }
        let slow_matters = self.slow_call.is_some() && slow > 0;
        (slow_matters && share(slow, calls) >= self.slow_call_rate).then(|| {
            let (slow, calls) = figures(slow, calls);
            OpenReason::SlowCallRate { slow, calls }
        })
    }
}

/// A part and its whole as they are told: where they are too large for that, both are scaled down, so that the share stays.
#[allow(clippy::cast_possible_truncation, reason = "scaled down")]
pub(super) const fn figures(part: u64, whole: u64) -> (u32, u32) {
    let (part, whole) = if part > whole { (whole, whole) } else { (part, whole) };
    let excess = (u64::BITS - whole.leading_zeros()).saturating_sub(COUNT_BITS);
    ((part >> excess) as u32, (whole >> excess) as u32)
}

/// A quotient is rounded once, and so equals the literal that was meant: 3 of 30 is 0.1.
#[allow(clippy::cast_precision_loss, reason = "counts below 2⁵³")]
fn share(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}

/// Puts everyone who calls this with the same cell in an order: the later sees what the earlier wrote before. So of two
/// calls that record and then judge at the same time, one sees both.
fn order_by_rmw<A: AtomicCell>(cell: &A) {
    // ORDERING: AcqRel: each of these exchanges reads what the one before it wrote, and so all that came before that. A
    // store and a load of other cells, with no such exchange between them, may pass each other.
    let mut found = cell.load(Ordering::Relaxed);
    while let Err(changed) = cell.compare_exchange_weak(found, found, Ordering::AcqRel, Ordering::Relaxed) {
        found = changed;
    }
}

// A count carries a tag of its epoch.
const TAG_BITS: u32 = 12;
/// 2⁵² calls are those of 14 years, at ten million a second.
const TAGGED_BITS: u32 = u64::BITS - TAG_BITS;
const COUNT_MASK: u64 = (1 << TAGGED_BITS) - 1;

const fn tag(epoch: u32) -> u64 {
    (epoch as u64) << TAGGED_BITS
}

/// Counts one more, if the cell counts for that epoch.
fn count<A: AtomicCell>(cell: &A, epoch: u32) -> Option<u64> {
    // ORDERING: AcqRel, so that whoever sees a count also sees what was counted elsewhere before it.
    let mut found = cell.load(Ordering::Acquire);
    while found & !COUNT_MASK == tag(epoch) {
        let next = (found & COUNT_MASK).saturating_add(1).min(COUNT_MASK);
        match cell.compare_exchange_weak(found, tag(epoch) | next, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => return Some(next),
            Err(changed) => found = changed,
        }
    }
    None
}

/// What the cell has counted, if it counts for that epoch.
fn counted<A: AtomicCell>(cell: &A, epoch: u32) -> Option<u64> {
    // ORDERING: Acquire pairs with the AcqRel of `count`.
    let found = cell.load(Ordering::Acquire);
    (found & !COUNT_MASK == tag(epoch)).then_some(found & COUNT_MASK)
}

/// Counts on, but for another epoch. Gives what was counted until now.
fn retag<A: AtomicCell>(cell: &A, epoch: u32) -> u64 {
    // ORDERING: AcqRel, as in `count`.
    let mut found = cell.load(Ordering::Acquire);
    loop {
        let count = found & COUNT_MASK;
        match cell.compare_exchange_weak(found, tag(epoch) | count, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => return count,
            Err(changed) => found = changed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_stays_where_figures_are_scaled_down() {
        assert_eq!(figures(3, 10), (3, 10));
        assert_eq!(figures(0, 0), (0, 0));
        let (part, whole) = figures(2_000_000_000, 10_000_000_000);
        assert_eq!(u64::from(part) * 1_000 / u64::from(whole), 200, "{part} of {whole}");
        assert!(whole > 1 << (COUNT_BITS - 1));
    }
}
