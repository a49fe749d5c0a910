//! The sliding windows of rate-based breakers. Threads record calls and evaluate the window concurrently.
//!
//! The two kinds of window differ in how a call leaves the window:
//!
//! - [`calls`]: exactly the last `n` calls. Each call gets a sequence number, and only failed and slow calls store an entry with their
//!   number. The entries with the last `n` numbers are in the window, so that a call leaves it without a write. A success is one increment;
//!   a failure scans the ring of entries.
//! - [`time`]: the calls of the last `n` microseconds, in 16 buckets. Counters are never decremented. A baseline at the start of each
//!   bucket stores the counters of that moment, and the window is the difference between the counters and its first baseline. Only the
//!   first call of a bucket and a read of the counts take the lock of the baselines.
//!
//! A window is evaluated when a call has failed or was slow, never when it succeeded in time.
//!
//! **Invariant:** a call that is recorded under one epoch is never counted under another. The transition that closes a circuit
//! [resets](Window::reset) the window before a call can see the closed state. Each counter carries a tag of its epoch, so that a thread
//! that was suspended between its read of the circuit and its record changes nothing.

mod calls;
mod time;

use std::sync::atomic::{AtomicU64, Ordering};

pub(crate) use self::calls::MAX_CALLS;
use self::{calls::CallsWindow, time::TimeWindow};
use super::{
    parameters::{RatePolicy, WindowSize},
    state::atomic::AtomicCell,
};
use crate::{OpenReason, errors::COUNT_BITS};

/// A sliding window. Only the kind that the settings select is in use.
#[derive(Debug)]
pub(crate) struct Window<A = AtomicU64> {
    calls: CallsWindow<A>,
    time: TimeWindow<A>,
}

/// The properties of a call that a window records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) failed: bool,
    pub(crate) slow: bool,
}

/// The numbers of calls in a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) calls: u64,
    pub(crate) failed: u64,
    pub(crate) slow: u64,
}

impl<A: AtomicCell + Default> Window<A> {
    /// Creates an empty window for the calls of `epoch`.
    pub(crate) fn new(epoch: u32, size: WindowSize) -> Self {
        let window = Self { calls: CallsWindow::default(), time: TimeWindow::default() };
        window.reset(epoch);
        window.apply_settings(Some(size));
        window
    }

    /// Empties the window for the calls of `epoch`. The caller holds the lock of transitions.
    pub(crate) fn reset(&self, epoch: u32) {
        self.calls.reset(epoch);
        self.time.reset(epoch);
    }

    /// Applies a changed size; `None` without a window. A size of the same kind keeps the counts. A kind that is not in use is cleared:
    /// otherwise, when used again, it would contain old failures without the successes since.
    pub(crate) fn apply_settings(&self, size: Option<WindowSize>) {
        self.calls.apply_settings(if let Some(WindowSize::Calls(calls)) = size { calls } else { 0 });
        if !matches!(size, Some(WindowSize::Time(_))) {
            self.time.clear();
        }
    }

    /// Records a call that was admitted in `epoch`. Does nothing if the window belongs to another epoch.
    pub(crate) fn record(&self, record: Record, epoch: u32, size: WindowSize, now: impl Fn() -> u64) {
        match size {
            WindowSize::Calls(calls) => self.calls.record(record, epoch, calls),
            WindowSize::Time(time) => self.time.record(record, epoch, time, now),
        }
    }

    /// The counts of `epoch` in the window; zero if the window belongs to another epoch.
    pub(crate) fn counts(&self, epoch: u32, size: WindowSize, now: impl Fn() -> u64) -> Counts {
        match size {
            WindowSize::Calls(calls) => self.calls.counts(epoch, calls),
            WindowSize::Time(time) => self.time.counts(epoch, time, now),
        }
    }
}

impl Record {
    /// Returns true for a failed or slow call. No other call can open a circuit.
    pub(crate) const fn is_adverse(self) -> bool {
        self.failed || self.slow
    }
}

impl RatePolicy {
    /// The reason to open if the counts reach a threshold, `None` otherwise. The failure rate takes precedence over the slow-call rate.
    pub(crate) fn exceeded_by(&self, counts: Counts) -> Option<OpenReason> {
        let Counts { calls, failed, slow } = counts;
        if calls < self.min_calls.max(1) {
            return None;
        }
        if failed > 0 && rate(failed, calls) >= self.failure_rate {
            let (failures, calls) = scaled_counts(failed, calls);
            return Some(OpenReason::FailureRate { failures, calls });
        }
        let slow_matters = self.slow_call.is_some() && slow > 0;
        (slow_matters && rate(slow, calls) >= self.slow_call_rate).then(|| {
            let (slow, calls) = scaled_counts(slow, calls);
            OpenReason::SlowCallRate { slow, calls }
        })
    }
}

/// Scales a part and its whole down together until both fit into a packed reason, so that their ratio stays the same.
#[allow(clippy::cast_possible_truncation, reason = "scaled down")]
const fn scaled_counts(part: u64, whole: u64) -> (u32, u32) {
    let (part, whole) = if part > whole { (whole, whole) } else { (part, whole) };
    let excess = (u64::BITS - whole.leading_zeros()).saturating_sub(COUNT_BITS);
    ((part >> excess) as u32, (whole >> excess) as u32)
}

/// The ratio of a part to its whole. The division rounds once, so that the result equals a threshold with the same value: 3 of 30 is `0.1`.
#[allow(clippy::cast_precision_loss, reason = "counts below 2⁵³")]
fn rate(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}

/// A read-modify-write that changes nothing. It orders its callers: each sees what earlier callers wrote before their call. Of two threads
/// that concurrently record a call and then read the counts, at least one therefore sees both calls.
fn order_by_rmw<A: AtomicCell>(cell: &A) {
    // ORDERING: AcqRel: each exchange reads the value that the previous one wrote, and sees all writes before it. Without an exchange
    // between them, a store and a later load of other cells can be reordered.
    let mut found = cell.load(Ordering::Relaxed);
    while let Err(changed) = cell.compare_exchange_weak(found, found, Ordering::AcqRel, Ordering::Relaxed) {
        found = changed;
    }
}

// A counter carries a tag with the low bits of its epoch.
const TAG_BITS: u32 = 12;
/// The width of the count: 2⁵² calls are 14 years at ten million calls per second.
const TAGGED_BITS: u32 = u64::BITS - TAG_BITS;
const COUNT_MASK: u64 = (1 << TAGGED_BITS) - 1;

const fn tag(epoch: u32) -> u64 {
    (epoch as u64) << TAGGED_BITS
}

/// Increments a counter and returns the new count; `None` if the counter belongs to another epoch.
fn increment<A: AtomicCell>(cell: &A, epoch: u32) -> Option<u64> {
    // ORDERING: AcqRel: a thread that sees a count also sees the counts that were made in other cells before it.
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

/// Returns the count of a counter; `None` if the counter belongs to another epoch.
fn load_count<A: AtomicCell>(cell: &A, epoch: u32) -> Option<u64> {
    // ORDERING: Acquire pairs with the AcqRel of `increment`.
    let found = cell.load(Ordering::Acquire);
    (found & !COUNT_MASK == tag(epoch)).then_some(found & COUNT_MASK)
}

/// Moves a counter to another epoch without a change of its count, which is returned.
fn retag<A: AtomicCell>(cell: &A, epoch: u32) -> u64 {
    // ORDERING: AcqRel, as in `increment`.
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
    fn scaling_counts_down_keeps_their_ratio() {
        assert_eq!(scaled_counts(3, 10), (3, 10));
        assert_eq!(scaled_counts(0, 0), (0, 0));
        let (part, whole) = scaled_counts(2_000_000_000, 10_000_000_000);
        assert_eq!(u64::from(part) * 1_000 / u64::from(whole), 200, "{part} of {whole}");
        assert!(whole > 1 << (COUNT_BITS - 1));
    }
}
