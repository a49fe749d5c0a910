//! Waiting for what has to happen, with no bound on how fast.

use std::{
    thread,
    time::{Duration, Instant},
};

/// The bound of a hang: what has not happened by then never will.
pub(crate) const HANG: Duration = Duration::from_secs(30);
/// The pause between two looks, or two calls.
pub(crate) const PAUSE: Duration = Duration::from_millis(5);

/// Waits until something holds, and returns how long that took.
#[track_caller]
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) -> Duration {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < HANG, "not within {HANG:?}: {what}");
        thread::sleep(PAUSE);
    }
    start.elapsed()
}

/// Waits until a count is reached that rises now and then.
#[track_caller]
pub(crate) fn until_all(what: &str, target: usize, mut count: impl FnMut() -> usize) -> Duration {
    let start = Instant::now();
    let (mut best, mut risen) = (0, start);
    loop {
        let now = count();
        if now >= target {
            return start.elapsed();
        }
        if now > best {
            (best, risen) = (now, Instant::now());
        }
        assert!(risen.elapsed() < HANG, "{best} of {target}, and no more within {HANG:?}: {what}");
        // Counting is work, too.
        thread::sleep(20 * PAUSE);
    }
}
