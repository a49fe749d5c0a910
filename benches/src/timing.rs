//! Time measurement. All contestants take turns in each of many short rounds, so that a slow phase of the machine affects all of them;
//! figures are medians over the rounds, and medians of the ratios within a round.

use std::{
    hint::black_box,
    ops::Range,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::Result;
use tokio::runtime::Runtime;

use crate::contestant::{Contestant, Tally};

/// The number and the duration of the measurements.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// The number of rounds, in each of which every contestant has a turn.
    pub rounds: usize,
    /// The approximate duration of a turn.
    pub turn: Duration,
}

impl Effort {
    /// Returns an effort with fewer and longer turns, so that the displacement from the caches by other contestants is negligible.
    #[must_use]
    pub const fn long(self) -> Self {
        Self { rounds: self.rounds.div_ceil(10), turn: self.turn.saturating_mul(50) }
    }

    /// Returns the effort for a number of threads. With more threads than cores, turns must be much longer than the
    /// system's time slices.
    #[must_use]
    pub const fn of(threads: usize, quick: bool) -> Self {
        let (rounds, turn) = match threads {
            1 => (201, 200),
            2 => (61, 2_000),
            _ => (9, 8_000),
        };
        Self {
            rounds: if quick { 5 } else { rounds },
            turn: Duration::from_micros(if quick { turn / 4 } else { turn }),
        }
    }
}

/// Measures the core time per call in nanoseconds, for each contestant and round.
pub fn measure(contestants: &[Contestant], threads: usize, effort: Effort) -> Result<Vec<Vec<f64>>> {
    // Threads that share a core share the duration of a turn.
    let turn = effort.turn * u32::try_from(cores().min(threads))? / u32::try_from(threads)?;
    let calls: Vec<u64> = contestants.iter().map(|contestant| calls_in(contestant, turn)).collect();
    let barrier = SpinBarrier { threads, arrived: AtomicUsize::new(0), broken: AtomicBool::new(false) };
    let turns: Vec<(usize, usize)> = (0..effort.rounds)
        .flat_map(|round| (0..contestants.len()).map(move |turn| (round, (round + turn) % contestants.len())))
        .collect();

    let play = |thread: usize| -> Vec<Turn> {
        let _guard = BreakOnPanic(&barrier);
        let take = |(turn, &(round, index)): (usize, &(usize, usize))| {
            let from = (round * threads + thread) as u64 * calls[index];
            let numbers = from..from + calls[index];
            contestants[index].prepare();
            barrier.wait(turn)?;
            let start = Instant::now();
            let tally = contestants[index].call(numbers.clone());
            Some(Turn { start, end: Instant::now(), tally, numbers })
        };
        turns.iter().enumerate().map_while(take).collect()
    };
    // tower-resilience sleeps on tokio's timer while another thread holds its circuit, so it needs a runtime.
    let runtime = runtime()?;
    let play = |thread| {
        let _context = runtime.enter();
        play(thread)
    };
    let played: Vec<Vec<Turn>> = thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|thread| scope.spawn(move || play(thread))).collect();
        let first = play(0);
        let others = others.into_iter().map(|thread| thread.join().unwrap_or_default());
        [first].into_iter().chain(others).collect()
    });

    let mut figures = vec![Vec::with_capacity(effort.rounds); contestants.len()];
    for (turn, &(_, index)) in turns.iter().enumerate() {
        let parts = || played.iter().filter_map(|turns| turns.get(turn));
        for Turn { tally, numbers, .. } in parts() {
            contestants[index].check(*tally, numbers)?;
        }
        let start = parts().map(|turn| turn.start).min();
        let end = parts().map(|turn| turn.end).max();
        let time = start.zip(end).map_or(0.0, |(start, end)| (end - start).as_secs_f64());
        figures[index].push(time * 1e9 * to_f64(cores().min(threads)) / (to_f64(threads) * to_f64(calls[index])));
    }
    Ok(figures)
}

/// Creates the runtime in which the contestants are called.
pub fn runtime() -> Result<Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build()?)
}

/// Returns the number of cores available to this process.
#[must_use]
pub fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// Returns the median.
#[must_use]
pub fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Converts a count to a float.
#[expect(clippy::cast_precision_loss, reason = "counts below 2⁵³")]
pub fn to_f64(count: impl TryInto<u64>) -> f64 {
    count.try_into().unwrap_or_default() as f64
}

struct Turn {
    start: Instant,
    end: Instant,
    tally: Tally,
    numbers: Range<u64>,
}

/// Returns the number of calls that take about as long as a turn.
fn calls_in(contestant: &Contestant, turn: Duration) -> u64 {
    let mut calls = 64;
    loop {
        // The fastest of five: an interruption by another process would lead to too few calls.
        let time = |_| {
            contestant.prepare();
            let start = Instant::now();
            _ = black_box(contestant.call(0..calls));
            start.elapsed()
        };
        let took = (0..5).map(time).min().unwrap_or_default();
        if took >= turn / 2 || calls >= 1 << 24 {
            let scaled = turn.as_secs_f64() / took.as_secs_f64().max(1e-9) * to_f64(calls);
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a positive number of calls")]
            return (scaled as u64).clamp(1, 1 << 24);
        }
        calls *= 2;
    }
}

/// A barrier at which threads start within a microsecond of each other if each has a core.
struct SpinBarrier {
    threads: usize,
    arrived: AtomicUsize,
    broken: AtomicBool,
}

/// Breaks the barrier if its thread panics, so that the other threads do not wait forever.
struct BreakOnPanic<'a>(&'a SpinBarrier);

impl Drop for BreakOnPanic<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            // ORDERING: Relaxed: the waiting threads poll it until they read `true`.
            self.0.broken.store(true, Ordering::Relaxed);
        }
    }
}

impl SpinBarrier {
    /// Waits for all threads. Returns `None` if one of them has panicked.
    fn wait(&self, turn: usize) -> Option<()> {
        let cores = cores();
        // ORDERING: Relaxed: the barrier aligns the threads in time and publishes no memory.
        self.arrived.fetch_add(1, Ordering::Relaxed);
        let mut spins = 0_u32;
        while self.arrived.load(Ordering::Relaxed) < self.threads * (turn + 1) {
            if self.broken.load(Ordering::Relaxed) {
                return None;
            }
            spins = spins.saturating_add(1);
            // Another thread may be waiting for this core.
            if self.threads > cores || spins > 10_000 { thread::yield_now() } else { std::hint::spin_loop() }
        }
        Some(())
    }
}
