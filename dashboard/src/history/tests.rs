//! Samples at times that are made up.

use super::*;

/// Samples every 10 s from `times.start`, with the given increase of the first count before each sample after the first.
fn track(ticks: &mut Ticks, begin: f64, increases: &[u64]) -> (Track, u64) {
    ticks.push(begin);
    let mut total = 100;
    let mut track = Track::new(ticks, true, [total, 0, 0, 0, 0], None);
    let mut at = begin;
    for increase in increases {
        (total, at) = (total + increase, at + 10.0);
        ticks.push(at);
        track.sample(ticks, [total, 0, 0, 0, 0], None);
    }
    (track, total)
}

fn firsts(track: &Track, ticks: &Ticks) -> Vec<(f64, u32)> {
    track.samples(ticks).into_iter().map(|(at, counts)| (at, counts[0])).collect()
}

#[test]
fn the_last_minute_is_unknown_before_the_second_sample() {
    let mut ticks = Ticks::default();
    let (track, total) = track(&mut ticks, 1_000.0, &[]);
    assert_eq!(track.last_minute(&ticks, 1_003.0, &[total + 5, 0, 0, 0, 0], None), None);
    assert_eq!((track.known_since(&ticks), firsts(&track, &ticks)), (Some(1_000.0), vec![]));
}

#[test]
fn the_last_minute_says_how_much_it_covers() {
    let mut ticks = Ticks::default();
    let (track, total) = track(&mut ticks, 1_000.0, &[3, 0, 4]);
    let minute = track.last_minute(&ticks, 1_030.0, &[total, 0, 0, 0, 0], None).map(|m| (m.seconds, m.counts[0]));
    assert_eq!(minute, Some((30, 7)));
    assert_eq!(firsts(&track, &ticks), [(1_010.0, 3), (1_020.0, 0), (1_030.0, 4)]);
}

#[test]
fn the_last_minute_contains_the_calls_since_the_newest_sample() {
    let mut ticks = Ticks::default();
    let (track, total) = track(&mut ticks, 1_000.0, &[1, 2, 4, 8, 16, 32, 64, 128]);
    let minute =
        |now: f64| track.last_minute(&ticks, now, &[total + 1_000, 0, 0, 0, 0], None).map(|m| (m.seconds, m.counts[0]));
    assert_eq!(minute(1_080.0), Some((60, 1_000 + 4 + 8 + 16 + 32 + 64 + 128)));
    assert_eq!(minute(1_084.0), Some((64, 1_000 + 4 + 8 + 16 + 32 + 64 + 128)));
    assert_eq!(minute(1_086.0), Some((56, 1_000 + 8 + 16 + 32 + 64 + 128)));
}

#[test]
fn ten_minutes_are_kept() {
    let mut ticks = Ticks::default();
    let (track, _) = track(&mut ticks, 1_000.0, &[1; 100]);
    let samples = firsts(&track, &ticks);
    assert_eq!((samples.len(), track.deltas.len()), (60, 60));
    assert_eq!((samples.first(), samples.last()), (Some(&(1_410.0, 1)), Some(&(2_000.0, 1))));
    assert_eq!(track.known_since(&ticks), Some(1_400.0));
}

#[test]
fn an_idle_item_stores_nothing() {
    let mut ticks = Ticks::default();
    let (track, _) = track(&mut ticks, 1_000.0, &[0; 100]);
    assert_eq!((track.deltas.len(), firsts(&track, &ticks).len()), (0, 60));
}

#[test]
fn the_time_before_a_gap_is_unknown() {
    for gap in [3_600.0, -3_600.0] {
        let mut ticks = Ticks::default();
        let (mut track, total) = track(&mut ticks, 10_000.0, &[1, 2]);
        ticks.push(10_020.0 + gap);
        track.sample(&ticks, [total + 50, 0, 0, 0, 0], None);
        assert_eq!(firsts(&track, &ticks), []);
        ticks.push(10_030.0 + gap);
        track.sample(&ticks, [total + 57, 0, 0, 0, 0], None);
        assert_eq!(firsts(&track, &ticks), [(10_030.0 + gap, 7)]);
        assert_eq!(track.known_since(&ticks), Some(10_020.0 + gap));
        let minute = track.last_minute(&ticks, 10_030.0 + gap, &[total + 57, 0, 0, 0, 0], None);
        assert_eq!(minute.map(|minute| (minute.seconds, minute.counts[0])), Some((10, 7)));
    }
}

#[test]
fn an_item_that_appears_between_two_samples_begins_at_the_next() {
    let mut ticks = Ticks::default();
    ticks.push(1_000.0);
    let mut track = Track::new(&ticks, false, [5, 0, 0, 0, 0], None);
    assert_eq!(track.last_minute(&ticks, 1_009.0, &[7, 0, 0, 0, 0], None), None);
    ticks.push(1_010.0);
    track.sample(&ticks, [8, 0, 0, 0, 0], None);
    assert_eq!((firsts(&track, &ticks), track.known_since(&ticks)), (vec![], Some(1_010.0)));
    ticks.push(1_020.0);
    track.sample(&ticks, [10, 0, 0, 0, 0], None);
    assert_eq!(firsts(&track, &ticks), [(1_020.0, 2)]);
}

#[test]
fn the_last_change_before_the_ten_minutes_is_kept() {
    let mut ticks = Ticks::default();
    let (mut track, total) = track(&mut ticks, 1_000.0, &[0; 60]);
    for (at, state) in [(900.0, "open"), (950.0, "half-open"), (1_005.0, "closed"), (1_015.0, "open")] {
        track.change(at, state);
    }
    ticks.push(1_610.0);
    track.sample(&ticks, [total, 0, 0, 0, 0], None);
    let changes: Vec<_> = track.changes().copied().collect();
    assert_eq!(changes, [(1_005.0, "closed"), (1_015.0, "open")]);
}

#[test]
fn a_sample_is_due_after_a_step() {
    let mut ticks = Ticks::default();
    assert!(ticks.is_due(5.0));
    ticks.push(5.0);
    assert!(!ticks.is_due(14.0) && ticks.is_due(15.0) && ticks.is_due(-10.0));
}

/// Returns the times of the samples, if a reading is made at each of `times`.
fn sampled(times: &[f64]) -> Vec<f64> {
    let mut ticks = Ticks::default();
    let mut sampled = Vec::new();
    for now in times {
        if ticks.is_due(*now) {
            ticks.push(*now);
            sampled.push(*now);
        }
    }
    sampled
}

#[test]
fn a_late_sample_does_not_delay_the_next() {
    let times = [100.0, 111.0, 119.9, 120.0, 129.8, 131.0, 140.0, 150.0];
    assert_eq!(sampled(&times), [100.0, 111.0, 119.9, 129.8, 140.0, 150.0]);
    // A sample that is later than half a step takes the place of the next one.
    assert_eq!(sampled(&[100.0, 117.0, 120.0, 130.0, 140.0]), [100.0, 117.0, 130.0, 140.0]);
    // After a gap, and after the clock was set back, the first reading is a sample.
    assert_eq!(sampled(&[100.0, 500.0, 509.0, 510.0, 520.0]), [100.0, 500.0, 510.0, 520.0]);
    assert_eq!(sampled(&[500.0, 103.0, 110.0, 113.0, 123.0]), [500.0, 103.0, 113.0, 123.0]);
}
