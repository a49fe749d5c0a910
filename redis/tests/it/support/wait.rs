//! Functions that wait for events. The only time limit is that of a hang.

use std::{
    thread,
    time::{Duration, Instant},
};

/// The time limit of a hang: a test that has waited this long for an event fails.
pub(crate) const HANG: Duration = Duration::from_secs(30);
/// The pause between two checks, or two calls.
pub(crate) const PAUSE: Duration = Duration::from_millis(5);

/// Waits until a condition holds, and returns the time that it took.
#[track_caller]
pub(crate) fn until(what: &str, mut condition: impl FnMut() -> bool) -> Duration {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < HANG, "not within {HANG:?}: {what}");
        thread::sleep(PAUSE);
    }
    start.elapsed()
}

/// Waits until a count reaches the target. Fails if the count does not rise for the timeout of a hang.
#[track_caller]
pub(crate) fn until_count(what: &str, target: usize, mut count: impl FnMut() -> usize) -> Duration {
    let start = Instant::now();
    let (mut best, mut last_rise) = (0, start);
    loop {
        let now = count();
        if now >= target {
            return start.elapsed();
        }
        if now > best {
            (best, last_rise) = (now, Instant::now());
        }
        assert!(last_rise.elapsed() < HANG, "{best} of {target}, and no progress within {HANG:?}: {what}");
        // Longer than in `until`, since counting is expensive.
        thread::sleep(20 * PAUSE);
    }
}
