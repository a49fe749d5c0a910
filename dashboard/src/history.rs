//! The counts of the last ten minutes in steps of ten seconds.
//!
//! [`Ticks`] has the times of the samples, which all items share. The [`Track`] of an item stores the difference of its counts from one
//! sample to the next, and only if a count has changed, so that an idle item takes no memory for its samples.

use std::{collections::VecDeque, time::Duration};

use steadfast::{DurationHistogram, Durations};

/// The time between two samples.
pub(crate) const STEP: Duration = Duration::from_secs(10);
/// The time, in seconds, by which a sample may be early.
const EARLY: f64 = 0.25;
/// The number of samples that are kept.
const MAX_SAMPLES: u32 = 60;
/// The number of samples in a minute.
const PER_MINUTE: u32 = 6;
/// After a gap longer than this between two samples, in seconds, the counts between them are unknown: the program was suspended.
const MAX_GAP: f64 = 30.0;
/// The number of state changes that are kept for each item.
const MAX_CHANGES: usize = 64;

/// The number of counts of an item.
pub(crate) const COUNTS: usize = 5;
/// Counts since the start of the program. Their meaning depends on the kind of the item.
pub(crate) type Totals = [u64; COUNTS];

/// The times of the samples, in seconds since 1970.
#[derive(Debug, Default)]
pub(crate) struct Ticks {
    /// The number of the newest sample; the first has number 1.
    newest: u32,
    times: VecDeque<f64>,
    /// The time at which the next sample is due. A sample that is late does not delay those after it.
    due: f64,
}

/// The samples of one item.
#[derive(Debug)]
pub(crate) struct Track {
    /// The number of the first sample of the item.
    first: u32,
    /// The counts at the newest sample.
    totals: Totals,
    /// The durations at the newest sample.
    durations: Option<DurationHistogram>,
    /// The changes between samples, if any, oldest first.
    deltas: VecDeque<Delta>,
    /// The durations between the samples of the last minute, oldest first.
    recent_durations: VecDeque<(u32, DurationHistogram)>,
    /// The state changes of the last ten minutes, oldest first.
    changes: VecDeque<(f64, &'static str)>,
}

/// The change of the counts in the time before a sample.
#[derive(Debug)]
struct Delta {
    /// The number of the sample. 32 bits are enough for 1,361 years.
    sample: u32,
    counts: [u32; COUNTS],
}

/// The counts of the last minute.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Minute {
    /// The time that is covered, in seconds: less than a minute after the start.
    pub(crate) seconds: u64,
    pub(crate) counts: Totals,
    /// The 99th percentile of the durations, in seconds.
    pub(crate) p99: Option<f64>,
}

impl Ticks {
    /// Returns true if a sample is due: there is none, its time has come, or the clock was set back.
    pub(crate) fn is_due(&self, now: f64) -> bool {
        // A little earlier, so that a timer that is not exact does not skip a reading.
        self.times.back().is_none_or(|newest| now >= self.due - EARLY || now <= newest - STEP.as_secs_f64())
    }

    /// Begins a new sample.
    pub(crate) fn push(&mut self, now: f64) {
        self.due = self.next_due(now);
        if self.times.back().is_some_and(|newest| !(0.0..=MAX_GAP).contains(&(now - newest))) {
            // The counts of the gap belong to no sample: numbers that no track contains separate the samples before from those after it.
            self.times.clear();
            self.newest += MAX_SAMPLES;
        }
        self.newest += 1;
        self.times.push_back(now);
        if self.len() > MAX_SAMPLES + 1 {
            self.times.pop_front();
        }
    }

    /// Returns the time of the sample after one at `now`: a step after that at which the latter was due, but half a step to one and a half
    /// steps from now.
    fn next_due(&self, now: f64) -> f64 {
        let (step, due) = (STEP.as_secs_f64(), self.due + STEP.as_secs_f64());
        match due - now {
            _ if self.times.is_empty() => now + step,
            left if left >= step / 2.0 && left <= step * 1.5 => due,
            left if left < step / 2.0 && left > -step / 2.0 => due + step,
            // After a gap, or a clock that was set back.
            _ => now + step,
        }
    }

    /// Returns the number of samples whose time is known.
    fn len(&self) -> u32 {
        u32::try_from(self.times.len()).unwrap_or(u32::MAX)
    }

    /// Returns the number of the oldest sample whose time is known.
    fn oldest(&self) -> u32 {
        self.newest + 1 - self.len()
    }

    /// Returns the time of a sample.
    fn time(&self, sample: u32) -> Option<f64> {
        let index = usize::try_from(sample.checked_sub(self.oldest())?).ok()?;
        self.times.get(index).copied()
    }
}

impl Track {
    /// Begins with the counts at the newest sample, if `is_sampled`, or else at the next one.
    pub(crate) fn new(ticks: &Ticks, is_sampled: bool, totals: Totals, durations: Option<&Durations>) -> Self {
        Self {
            first: ticks.newest + u32::from(!is_sampled),
            totals,
            durations: durations.map(Durations::all),
            deltas: VecDeque::new(),
            recent_durations: VecDeque::new(),
            changes: VecDeque::new(),
        }
    }

    /// Adds the counts at the newest sample.
    pub(crate) fn sample(&mut self, ticks: &Ticks, totals: Totals, durations: Option<&Durations>) {
        let (sample, oldest) = (ticks.newest, ticks.oldest());
        let has_gap = sample == oldest || sample <= self.first;
        if has_gap {
            self.first = sample;
        }
        let counts = difference(&totals, &self.totals).map(|count| u32::try_from(count).unwrap_or(u32::MAX));
        self.totals = totals;
        self.deltas.retain(|delta| delta.sample > oldest);
        if !has_gap && counts != [0; COUNTS] {
            self.deltas.push_back(Delta { sample, counts });
        }
        let all = durations.map(Durations::all);
        self.recent_durations.retain(|(of, _)| of + PER_MINUTE > sample);
        if let (Some(now), Some(before), false) = (&all, &self.durations, has_gap) {
            let since = now.since(before);
            if since.count() > 0 {
                self.recent_durations.push_back((sample, since));
            }
        }
        self.durations = all;
        if let Some(begun) = ticks.times.front() {
            self.forget_changes(*begun);
        }
    }

    /// Adds a state change.
    pub(crate) fn change(&mut self, at: f64, state: &'static str) {
        if self.changes.len() == MAX_CHANGES {
            self.changes.pop_front();
        }
        self.changes.push_back((at, state));
    }

    /// Drops the changes before a time, except the last of them: it made the state at that time.
    fn forget_changes(&mut self, begun: f64) {
        while self.changes.get(1).is_some_and(|(at, _)| *at <= begun) {
            self.changes.pop_front();
        }
    }

    /// Returns the counts of the last minute, up to `now`; `None` if less than a step is known.
    pub(crate) fn last_minute(
        &self,
        ticks: &Ticks,
        now: f64,
        totals: &Totals,
        durations: Option<&Durations>,
    ) -> Option<Minute> {
        let rest = (now - ticks.time(ticks.newest)?).max(0.0);
        // With the rest since the newest sample, 55 to 65 s.
        let samples = if rest < STEP.as_secs_f64() / 2.0 { PER_MINUTE } else { PER_MINUTE - 1 };
        let begin = ticks.newest.saturating_sub(samples).max(self.first).max(ticks.oldest());
        if begin >= ticks.newest {
            return None;
        }
        let mut counts = difference(totals, &self.totals);
        for delta in self.deltas.iter().rev().take_while(|delta| delta.sample > begin) {
            for (sum, count) in counts.iter_mut().zip(delta.counts) {
                *sum += u64::from(count);
            }
        }
        let p99 = durations.and_then(|durations| {
            let mut since = durations.all().since(self.durations.as_ref()?);
            for (_, recent) in self.recent_durations.iter().filter(|(of, _)| *of > begin) {
                since.merge(recent);
            }
            since.quantile(0.99).map(|p99| p99.as_secs_f64())
        });
        Some(Minute { seconds: whole_seconds(now - ticks.time(begin)?), counts, p99 })
    }

    /// Returns the time from which samples exist.
    pub(crate) fn known_since(&self, ticks: &Ticks) -> Option<f64> {
        ticks.time(self.first.max(ticks.oldest()))
    }

    /// Returns the samples, oldest first: the time, and the counts in the step before it.
    pub(crate) fn samples(&self, ticks: &Ticks) -> Vec<(f64, [u32; COUNTS])> {
        let mut deltas = self.deltas.iter().peekable();
        let samples = self.first.max(ticks.oldest()) + 1..=ticks.newest;
        samples
            .filter_map(|sample| {
                while deltas.next_if(|delta| delta.sample < sample).is_some() {}
                let counts = deltas.next_if(|delta| delta.sample == sample).map_or([0; COUNTS], |delta| delta.counts);
                Some((ticks.time(sample)?, counts))
            })
            .collect()
    }

    /// Returns the state changes, oldest first.
    pub(crate) fn changes(&self) -> impl Iterator<Item = &(f64, &'static str)> {
        self.changes.iter()
    }
}

fn difference(later: &Totals, earlier: &Totals) -> Totals {
    let mut counts = *later;
    for (count, earlier) in counts.iter_mut().zip(earlier) {
        *count = count.saturating_sub(*earlier);
    }
    counts
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "about a minute")]
fn whole_seconds(seconds: f64) -> u64 {
    seconds.max(0.0).round() as u64
}

#[cfg(test)]
mod tests;
