use proptest::prelude::*;

use super::*;

const ALGORITHMS: [Algorithm; 2] = [Algorithm::SlidingWindow, Algorithm::Gcra];

fn counter(algorithm: Algorithm) -> Counter {
    let mut counter = Counter::new();
    counter.count_by(algorithm);
    counter
}

fn take(counter: &mut Counter, now: u64, limit: Limit) -> Result<(), u64> {
    counter.clock(now);
    counter.try_take(counter.now(), limit, 0)
}

/// Most of the moments that any window of that length has, its end not included.
fn most_in_a_window(moments: &[u64], per: u64) -> usize {
    let ends = |start: u64| moments.iter().filter(|moment| (start..start + per).contains(moment)).count();
    moments.iter().map(|start| ends(*start)).max().unwrap_or(0)
}

proptest! {
    #[test]
    fn no_window_has_more_calls_than_the_limit(
        calls in 1_u32..6,
        per in 1_u64..25,
        times in prop::collection::vec(0_u64..12, 0..200),
    ) {
        let limit = Limit { calls, per };
        let (mut counter, mut now) = (Counter::new(), 1_000_000_u64);
        let mut made: Vec<u64> = Vec::new();
        for time in times {
            now += time;
            let is_free = most_in_a_window(&[made.as_slice(), &[now]].concat(), per) <= calls as usize;
            prop_assert_eq!(take(&mut counter, now, limit).is_ok(), is_free);
            if is_free {
                made.push(now);
            }
        }
    }

    /// What is foretold to a call behind others is what comes true, if each of them starts as early as it can.
    #[test]
    fn it_foretells_when_there_is_room(
        calls in 1_u32..6,
        per in 1_u64..25,
        times in prop::collection::vec(0_u64..12, 0..20),
        ahead in 0_usize..30,
        is_window in any::<bool>(),
    ) {
        let limit = Limit { calls, per };
        let algorithm = if is_window { Algorithm::SlidingWindow } else { Algorithm::Gcra };
        let (mut counter, mut now) = (counter(algorithm), 1_000_000_u64);
        for time in times {
            now += time;
            _ = take(&mut counter, now, limit);
        }
        let foretold = counter.earliest(now, limit, ahead);
        let mut at = now;
        for _ in 0..=ahead {
            at = counter.earliest(at, limit, 0);
            prop_assert_eq!(counter.try_take(at, limit, 0), Ok(()));
        }
        // Each start is rounded up to a microsecond.
        let rounded = if is_window { 0 } else { ahead as u64 };
        prop_assert!((foretold..=foretold + rounded).contains(&at), "{} instead of {}", at, foretold);
    }
}

#[test]
fn the_ends_of_the_range_saturate() {
    for algorithm in ALGORITHMS {
        for limit in [Limit { calls: 1, per: u64::MAX }, Limit { calls: u32::MAX, per: 1 }] {
            for now in [0, u64::MAX - 1, u64::MAX] {
                let mut counter = counter(algorithm);
                for _ in 0..3 {
                    _ = take(&mut counter, now, limit);
                }
                assert!(counter.earliest(now, limit, usize::MAX) >= now);
                _ = counter.load(0, limit);
            }
        }
    }
}

#[test]
fn by_another_clock_everything_begins_anew() {
    let (limit, early, late) = (Limit { calls: 2, per: 1_000 }, 5_000_000, 9_000_000);
    for algorithm in ALGORITHMS {
        let mut counter = counter(algorithm);
        for _ in 0..2 {
            assert_eq!(take(&mut counter, late, limit), Ok(()));
        }
        assert!(take(&mut counter, late, limit).is_err(), "it is full");
        // Looking changes nothing.
        assert_eq!(counter.load(early, limit), 0, "what a call would find");
        assert_eq!(counter.load(2 * late, limit), 0);
        assert_eq!(counter.load(late, limit), 2);
        assert!(counter.clock(early) && !counter.clock(early));
        for _ in 0..2 {
            assert_eq!(take(&mut counter, early, limit), Ok(()));
        }
        let then = take(&mut counter, early, limit).unwrap_err();
        assert!(then > early && then <= early + 1_000, "{algorithm:?}: full by its own counts at {then}");
    }
}

#[test]
fn what_was_reset_is_as_new() {
    let limit = Limit { calls: 1, per: 1_000 };
    for algorithm in ALGORITHMS {
        let mut counter = counter(algorithm);
        assert_eq!(take(&mut counter, 5_000, limit), Ok(()));
        counter.reset();
        assert_eq!(take(&mut counter, 5_000, limit), Ok(()));
        assert_eq!(take(&mut counter, 5_000, limit), Err(6_000), "{algorithm:?}");
    }
}
