//! The sliding windows of rate-based breakers. Threads record calls and evaluate the window concurrently.
//!
//! [`shared`] counts successes in cells of their threads, and takes a lock for failed and slow calls only. The two kinds of window are values
//! under that lock. They differ in how a call leaves the window:
//!
//! - [`calls`]: exactly the last `n` calls. Failed and slow calls are stored with their number. Those with the last `n` numbers are in the
//!   window.
//! - [`time`]: the calls of the last `n` microseconds, in 16 buckets. Counts are never decremented. A baseline at the start of each bucket
//!   stores the counts of that moment, and the window is the difference between the counts and its first baseline. The first call of a bucket
//!   takes the lock.
//!
//! A window is evaluated when a call has failed or was slow, never when it succeeded in time.
//!
//! **Invariant:** a call that is recorded under one epoch is never counted under another. The transition that closes a circuit
//! [resets](Window::reset) the window before a call can see the closed state. Each count carries its epoch, so that a thread that was
//! suspended between its read of the circuit and its record changes nothing.
//!
//! # The clock
//!
//! A success only compares the time with the end of the bucket. In windows of at least a second it reads the coarse clock, whose readings are
//! late, so that a bucket can be longer by the resolution of that clock. The start of a bucket, and the moment at which the window is
//! evaluated, are readings of the exact clock: no call older than the window is counted, and each call is counted for at least fifteen
//! sixteenths of the window, less the resolution of the coarse clock.

pub(super) mod calls;
mod shared;
pub(super) mod time;

use std::sync;

pub(crate) use self::{calls::MAX_CALLS, shared::Window};
use super::parameters::{RatePolicy, WindowSize};
use crate::{OpenReason, clock, errors::COUNT_BITS, totals::PerThread};

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

impl Counts {
    pub(super) fn add(&mut self, record: Record, number: u32) {
        let number = u64::from(number);
        self.calls = self.calls.saturating_add(number);
        self.failed = self.failed.saturating_add(if record.failed { number } else { 0 });
        self.slow = self.slow.saturating_add(if record.slow { number } else { 0 });
    }

    fn remove(&mut self, record: Record) {
        self.calls = self.calls.saturating_sub(1);
        self.failed = self.failed.saturating_sub(u64::from(record.failed));
        self.slow = self.slow.saturating_sub(u64::from(record.slow));
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

#[cfg(test)]
mod tests {
    use std::{sync::Barrier, thread};

    use super::*;

    const SIZES: [WindowSize; 2] = [WindowSize::Calls(1 << 20), WindowSize::Time(3_600_000_000)];
    const FAILURE: Record = Record { failed: true, slow: false };
    const NOW: u64 = 1 << 62;

    fn succeed(window: &Window, epoch: u32, size: WindowSize) {
        window.record_success(epoch, size, || NOW, || NOW);
    }

    fn fail(window: &Window, epoch: u32, size: WindowSize) -> Counts {
        window.record_adverse(FAILURE, 1, epoch, size, || NOW)
    }

    #[test]
    fn scaling_counts_down_keeps_their_ratio() {
        assert_eq!(scaled_counts(3, 10), (3, 10));
        assert_eq!(scaled_counts(0, 0), (0, 0));
        let (part, whole) = scaled_counts(2_000_000_000, 10_000_000_000);
        assert_eq!(u64::from(part) * 1_000 / u64::from(whole), 200, "{part} of {whole}");
        assert!(whole > 1 << (COUNT_BITS - 1));
    }

    #[test]
    fn calls_of_an_epoch_are_not_counted_in_another() {
        for size in SIZES {
            for sharded in [true, false] {
                let window = Window::new(0, size, sharded);
                succeed(&window, 0, size);
                fail(&window, 0, size);
                // The tag of 4,096 is that of 0.
                for epoch in [4_096, 4_097, 1, u32::MAX] {
                    window.reset(epoch);
                    assert_eq!(window.counts(epoch, size, || NOW), Counts::default(), "{epoch}");
                    succeed(&window, epoch, size);
                    let slow = Record { failed: false, slow: true };
                    window.record_adverse(slow, 1, epoch, size, || NOW);
                    let expected = Counts { calls: 2, failed: 0, slow: 1 };
                    assert_eq!(window.counts(epoch, size, || NOW), expected, "{epoch}");
                    assert_eq!(fail(&window, 0, size), Counts::default(), "{epoch}: a late call of an old epoch");
                    assert_eq!(window.counts(epoch, size, || NOW), expected, "{epoch}");
                }
            }
        }
    }

    #[test]
    fn a_late_success_of_an_old_epoch_is_not_counted() {
        for size in SIZES {
            let window = Window::new(0, size, true);
            succeed(&window, 0, size);
            window.reset(1);
            succeed(&window, 0, size);
            assert_eq!(fail(&window, 1, size), Counts { calls: 1, failed: 1, slow: 0 });
            succeed(&window, 1, size);
            assert_eq!(fail(&window, 1, size), Counts { calls: 3, failed: 2, slow: 0 });
        }
    }

    #[test]
    fn the_counts_of_more_threads_than_slots_are_exact() {
        for size in SIZES {
            for sharded in [true, false] {
                let window = Window::new(0, size, sharded);
                let barrier = Barrier::new(80);
                thread::scope(|scope| {
                    for _ in 0..80 {
                        scope.spawn(|| {
                            fail(&window, 0, size);
                            barrier.wait();
                            for call in 0..100 {
                                if call % 10 == 0 {
                                    let counts = fail(&window, 0, size);
                                    assert!(counts.failed <= counts.calls, "{counts:?}");
                                } else {
                                    succeed(&window, 0, size);
                                }
                            }
                        });
                    }
                });
                let expected = Counts { calls: 80 * 101, failed: 80 * 11, slow: 0 };
                assert_eq!(window.counts(0, size, || NOW), expected, "{size:?}");
            }
        }
    }

    #[test]
    fn the_counts_of_a_slot_continue_on_the_next_thread() {
        let (window, size) = (Window::new(0, SIZES[0], true), SIZES[0]);
        for calls in 1..=100 {
            thread::scope(|scope| scope.spawn(|| succeed(&window, 0, size)).join().expect("the thread returns"));
            assert_eq!(window.counts(0, size, || NOW).calls, calls);
        }
    }
}
