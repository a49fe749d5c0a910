use proptest::prelude::*;

use super::*;

const ALGORITHMS: [Algorithm; 2] = [Algorithm::SlidingWindow, Algorithm::Gcra];

fn counter(algorithm: Algorithm) -> Counter {
    let mut counter = Counter::new();
    counter.set_algorithm(algorithm);
    counter
}

fn take(counter: &mut Counter, now: u64, limit: Limit) -> Result<(), u64> {
    take_many(counter, now, limit, 1)
}

fn take_many(counter: &mut Counter, now: u64, limit: Limit, permits: u32) -> Result<(), u64> {
    counter.sync_clock(now);
    counter.try_acquire(counter.now(), limit, permits, &Ahead::NONE)
}

/// Returns the largest number of moments in any window of length `per`, its end excluded.
fn max_in_a_window(moments: &[u64], per: u64) -> usize {
    let ends = |start: u64| moments.iter().filter(|moment| (start..start + per).contains(moment)).count();
    moments.iter().map(|start| ends(*start)).max().unwrap_or(0)
}

proptest! {
    #[test]
    fn no_window_has_more_permits_than_the_limit(
        calls in 1_u32..6,
        per in 1_u64..25,
        times in prop::collection::vec((0_u64..12, 0_u32..6), 0..200),
        is_weighted in any::<bool>(),
    ) {
        let limit = Limit::new(calls, per);
        let (mut counter, mut now) = (Counter::new(), 1_000_000_u64);
        let mut made: Vec<u64> = Vec::new();
        for (time, weight) in times {
            now += time;
            let permits = if is_weighted { weight % calls + 1 } else { 1 };
            let starts = vec![now; permits as usize];
            let is_free = max_in_a_window(&[made.as_slice(), &starts].concat(), per) <= calls as usize;
            prop_assert_eq!(take_many(&mut counter, now, limit, permits).is_ok(), is_free);
            if is_free {
                made.extend(starts);
            }
        }
    }

    /// Checks that the predicted start of a call behind others is exact if each of them starts as early as it can.
    #[test]
    fn the_earliest_start_is_exact(
        calls in 1_u32..6,
        per in 1_u64..25,
        times in prop::collection::vec(0_u64..12, 0..20),
        weights in prop::collection::vec(0_u32..6, 1..30),
        (is_window, is_weighted) in any::<(bool, bool)>(),
    ) {
        let limit = Limit::new(calls, per);
        let weights: Vec<_> = weights.into_iter().map(|weight| if is_weighted { weight % calls + 1 } else { 1 }).collect();
        let (own, ahead) = weights.split_last().expect("at least one");
        let algorithm = if is_window { Algorithm::SlidingWindow } else { Algorithm::Gcra };
        let (mut counter, mut now) = (counter(algorithm), 1_000_000_u64);
        for time in times {
            now += time;
            _ = take(&mut counter, now, limit);
        }
        let permits = ahead.iter().copied().map(u64::from).sum();
        let each = if is_weighted { ahead.to_vec() } else { Vec::new() };
        let predicted = counter.earliest_start(now, limit, *own, &Ahead { permits, each });
        let mut at = now;
        for permits in &weights {
            at = counter.earliest_start(at, limit, *permits, &Ahead::NONE);
            prop_assert_eq!(counter.try_acquire(at, limit, *permits, &Ahead::NONE), Ok(()));
        }
        // Each start is rounded up to a microsecond.
        let rounded = if is_window { 0 } else { ahead.len() as u64 };
        prop_assert!((predicted..=predicted + rounded).contains(&at), "{} instead of {}", at, predicted);
    }
}

const RESOLUTION: u64 = 10;

proptest! {
    /// Compares a counter with coarse readings, which are up to `RESOLUTION` late, with an exact counter of the same calls.
    #[test]
    fn coarse_readings_admit_no_call_early_and_each_at_most_one_resolution_late(
        calls in 1_u32..12,
        per in 1_u64..200,
        times in prop::collection::vec((0_u64..12, 0..=RESOLUTION, 0_u32..12), 0..300),
        burst in 1_u32..15,
        (is_window, is_weighted) in any::<(bool, bool)>(),
    ) {
        let limit = Limit { burst: if is_window { calls } else { burst }, ..Limit::new(calls, per) };
        let algorithm = if is_window { Algorithm::SlidingWindow } else { Algorithm::Gcra };
        let (mut coarse, mut exact) = (counter(algorithm), counter(algorithm));
        let (mut now, mut reading, mut made, mut tat) = (1_000_000_u64, 0, Vec::new(), 0);
        for (time, delay, weight) in times {
            now += time;
            reading = reading.max(now - delay);
            let permits = if is_weighted { weight % limit.burst + 1 } else { 1 };
            if permits == 1 && coarse.try_acquire_coarse(reading, RESOLUTION, limit)
                || take_many(&mut coarse, now, limit, permits).is_ok()
            {
                prop_assert_eq!(exact.try_acquire(now, limit, permits, &Ahead::NONE), Ok(()), "early");
                made.extend(vec![now; permits as usize]);
                tat = tat.max(now * u64::from(calls)) + per * u64::from(permits);
            } else {
                let earlier = now - RESOLUTION;
                let is_full = if is_window {
                    made.iter().filter(|start| **start + per > earlier).count() + permits as usize > calls as usize
                } else {
                    tat.max(earlier * u64::from(calls)) + per * u64::from(permits)
                        > earlier * u64::from(calls) + per * u64::from(limit.burst)
                };
                prop_assert!(is_full, "more than one resolution late");
                let longest = if is_window { per } else { (per * u64::from(permits)).div_ceil(calls.into()) };
                let at = coarse.earliest_start(now, limit, permits, &Ahead::NONE);
                prop_assert!(at - now <= longest, "longer than an exact counter");
            }
        }
    }
}

#[test]
fn a_burst_with_coarse_readings_has_as_many_calls_as_the_limit() {
    let now = 5_000_000;
    for algorithm in ALGORITHMS {
        for calls in 1..100 {
            let (mut counter, limit) = (counter(algorithm), Limit::new(calls, 1_000_000));
            let mut coarse = 0;
            for _ in 0..calls {
                if counter.try_acquire_coarse(now - 1, RESOLUTION, limit) {
                    coarse += 1;
                } else {
                    assert_eq!(take(&mut counter, now, limit), Ok(()), "{algorithm:?}, {calls}");
                }
            }
            assert_eq!(coarse, calls / 2, "calls beyond half of the limit are timed exactly");
            assert!(take(&mut counter, now, limit).is_err(), "{algorithm:?}, {calls} and one more");
        }
    }
}

#[test]
fn a_batch_of_the_whole_limit_is_admitted_once_per_period() {
    let limit = Limit::new(10, 1_000_000);
    for algorithm in ALGORITHMS {
        let (mut counter, mut now) = (counter(algorithm), 5_000_000);
        for _ in 0..5 {
            for _ in 0..limit.calls {
                now += 1;
                assert!(
                    counter.try_acquire_coarse(now - RESOLUTION, RESOLUTION, limit)
                        || take(&mut counter, now, limit).is_ok(),
                    "{algorithm:?}"
                );
            }
            now += limit.per;
        }
    }
}

#[test]
fn times_at_the_ends_of_the_range_saturate() {
    for algorithm in ALGORITHMS {
        for limit in [Limit::new(1, u64::MAX), Limit::new(u32::MAX, 1)] {
            for now in [0, u64::MAX - 1, u64::MAX] {
                let mut counter = counter(algorithm);
                for _ in 0..3 {
                    _ = counter.try_acquire_coarse(now, u64::MAX, limit);
                    _ = take(&mut counter, now, limit);
                }
                assert!(counter.earliest_start(now, limit, 1, &Ahead { permits: u64::MAX, each: Vec::new() }) >= now);
                _ = counter.in_window(0, limit);
            }
        }
    }
}

#[test]
fn a_different_clock_discards_the_counts() {
    let (limit, early, late) = (Limit::new(2, 1_000), 5_000_000, 9_000_000);
    for algorithm in ALGORITHMS {
        let mut counter = counter(algorithm);
        for _ in 0..2 {
            assert_eq!(take(&mut counter, late, limit), Ok(()));
        }
        assert!(take(&mut counter, late, limit).is_err(), "it is full");
        // Reading changes nothing.
        assert_eq!(counter.in_window(early, limit), 0, "the count by a different clock");
        assert_eq!(counter.in_window(2 * late, limit), 0);
        assert_eq!(counter.in_window(late, limit), 2);
        assert!(counter.sync_clock(early) && !counter.sync_clock(early));
        for _ in 0..2 {
            assert_eq!(take(&mut counter, early, limit), Ok(()));
        }
        let then = take(&mut counter, early, limit).unwrap_err();
        assert!(then > early && then <= early + 1_000, "{algorithm:?}: full by its own counts at {then}");
    }
}

#[test]
fn a_reset_counter_is_empty() {
    let limit = Limit::new(1, 1_000);
    for algorithm in ALGORITHMS {
        let mut counter = counter(algorithm);
        assert_eq!(take(&mut counter, 5_000, limit), Ok(()));
        counter.reset();
        assert_eq!(take(&mut counter, 5_000, limit), Ok(()));
        assert_eq!(take(&mut counter, 5_000, limit), Err(6_000), "{algorithm:?}");
    }
}
