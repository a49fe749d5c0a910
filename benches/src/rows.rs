//! The rows of the comparison, and the targets.

use crate::{
    by_hand,
    contestant::{
        Contestant,
        Role::{Baseline, Ours, Peer},
    },
    family,
    keyed::Keyed,
    ours,
    peers::{arcly, backon, circuitbreaker_rs, failsafe, recloser, retry_if, seatbelt, tokio_retry2, tower_resilience},
    values,
};

/// Returns a contestant's nanoseconds per call at a number of threads.
pub type Figures<'a> = &'a dyn Fn(&str, usize) -> f64;

/// Contestants that do the same work.
#[derive(Debug)]
pub struct Row {
    /// A description of the work.
    pub title: &'static str,
    /// The contestant that the others are compared with.
    pub ours: &'static str,
    /// All contestants.
    pub contestants: Vec<Contestant>,
    /// The numbers of threads at which the row is measured.
    pub threads: &'static [usize],
    /// True if the figures depend on data in the caches, which the other contestants displace.
    pub needs_caches: bool,
    /// True for the rows of [`values`], which have a table of their own.
    pub of_values: bool,
    /// The targets of the row.
    pub targets: Vec<Target>,
    /// Remarks on the comparison.
    pub note: &'static str,
}

impl Row {
    /// Returns a row without contestants, measured at one and two threads.
    #[must_use]
    pub const fn of(ours: &'static str) -> Self {
        Self {
            title: "",
            ours,
            contestants: Vec::new(),
            threads: ONE_AND_TWO,
            needs_caches: false,
            of_values: false,
            targets: Vec::new(),
            note: "",
        }
    }
}

/// A limit for a measured figure.
#[derive(Debug)]
pub struct Target {
    /// A description.
    pub text: &'static str,
    /// Computes the actual figure.
    pub actual: fn(Figures<'_>) -> f64,
    /// Computes the limit.
    pub limit: fn(Figures<'_>) -> f64,
}

/// Creates a target.
#[must_use]
pub const fn target(text: &'static str, actual: fn(Figures<'_>) -> f64, limit: fn(Figures<'_>) -> f64) -> Target {
    Target { text, actual, limit }
}

/// One and two threads.
pub const ONE_AND_TWO: &[usize] = &[1, 2];
const MANY: &[usize] = &[1, 2, 4, 8, 16];

/// Returns all rows.
#[must_use]
pub fn all(keyed: &'static Keyed) -> Vec<Row> {
    without_keys().into_iter().chain([keyed_row(keyed)]).chain(values::rows()).collect()
}

/// Returns all rows except the keyed one, which needs a million keys, and those of values, which differ only in the size of the result.
#[must_use]
pub fn without_keys() -> Vec<Row> {
    let rows =
        vec![consecutive(), in_flight(), by_calls(), by_time(), open(), retry(), retry_async(), second_try(), stack()];
    rows.into_iter().chain(family::rows()).collect()
}

const FLAT_ASYNC: &str = "async: 2 threads at most 1.15x of 1, relative to the bare call";
const FLAT: &str = "2 threads at most 1.15x of 1, relative to the bare call";

/// Returns the limit of [`FLAT`].
fn flat(of: Figures<'_>, name: &str, baseline: &str) -> f64 {
    of(name, 1) * 1.15 * of(baseline, 2) / of(baseline, 1)
}

const ATTRIBUTE: &str = "steadfast, #[circuit_breaker]";

fn consecutive() -> Row {
    Row {
        title: "closed, success, consecutive failures",
        contestants: vec![
            Contestant::new(Baseline, "bare", "the work alone", by_hand::bare),
            Contestant::new(Baseline, "bare, async", "the work in an async fn", by_hand::bare_async),
            Contestant::new(Ours, ATTRIBUTE, ours::BREAKER, ours::consecutive).opens_after(5),
            Contestant::new(Ours, "steadfast, async", ours::BREAKER, ours::consecutive_async).opens_after(5),
            Contestant::new(Ours, "steadfast, CircuitBreaker::call", ours::BREAKER, ours::call).opens_after(5),
            Contestant::new(Peer, "by hand", by_hand::BREAKER, by_hand::consecutive).opens_after(5),
            Contestant::new(Peer, "by hand, async", by_hand::BREAKER, by_hand::consecutive_async).opens_after(5),
            Contestant::new(Peer, "arcly-http, async", arcly::SETTINGS, arcly::closed).opens_after(5),
            Contestant::new(Peer, "failsafe", failsafe::SETTINGS, failsafe::closed).opens_after(5),
            Contestant::new(Peer, "failsafe, async", failsafe::SETTINGS, failsafe::closed_async).opens_after(5),
            Contestant::new(Peer, "circuitbreaker-rs", circuitbreaker_rs::SETTINGS, circuitbreaker_rs::closed)
                .opens_after(5),
            Contestant::new(Peer, "tower-resilience, async", tower_resilience::SETTINGS, tower_resilience::closed)
                .opens_after(5),
        ],
        threads: MANY,
        targets: vec![
            target("by hand + 1.5 ns", |of| of(ATTRIBUTE, 1), |of| of("by hand", 1) + 1.5),
            target("async: 5 ns", |of| of("steadfast, async", 1), |_| 5.0),
            target(FLAT, |of| of(ATTRIBUTE, 2), |of| flat(of, ATTRIBUTE, "bare")),
            target(FLAT_ASYNC, |of| of("steadfast, async", 2), |of| flat(of, "steadfast, async", "bare, async")),
        ],
        note: "recloser and seatbelt have no rule of consecutive failures; they are in the rows of windows. arcly-http counts all failures since its creation, \
               not consecutive ones. steadfast's totals cannot be turned off.",
        ..Row::of(ATTRIBUTE)
    }
}

const TRACKED: &str = "steadfast, hung_call";
const UNTRACKED: &str = "steadfast, without hung_call";

fn in_flight() -> Row {
    Row {
        title: "closed, success, hung_call and durations",
        contestants: vec![
            Contestant::new(Baseline, "bare", "the work alone", by_hand::bare),
            Contestant::new(Baseline, CLOCK, "the work and Instant::now()", by_hand::clock),
            Contestant::new(Baseline, "two clock reads", "the work between two Instant::now()", by_hand::two_clocks),
            Contestant::new(Ours, UNTRACKED, ours::BREAKER, ours::untracked).opens_after(5),
            Contestant::new(Ours, "steadfast, without hung_call, async", ours::BREAKER, ours::guarded_alone),
            Contestant::new(Ours, TRACKED, ours::IN_FLIGHT, ours::tracked).opens_after(5),
            Contestant::new(Ours, "steadfast, hung_call, attribute", ours::IN_FLIGHT, ours::tracked_attribute)
                .opens_after(5),
            Contestant::new(Ours, "steadfast, hung_call, async", ours::IN_FLIGHT, ours::tracked_async).opens_after(5),
            Contestant::new(Ours, "steadfast, durations", ours::DURATIONS, ours::timed).opens_after(5),
            Contestant::new(Ours, "steadfast, durations, async", ours::DURATIONS, ours::timed_async).opens_after(5),
            Contestant::new(Ours, "steadfast, hung_call and durations", ours::BOTH, ours::tracked_and_timed)
                .opens_after(5),
        ],
        targets: vec![
            target("at most 6 ns over the same breaker without", |of| of(TRACKED, 1), |of| of(UNTRACKED, 1) + 6.0),
            target(FLAT, |of| of(TRACKED, 2), |of| flat(of, TRACKED, "bare")),
        ],
        note: "hung_call reads the coarse clock twice, which takes about 5 ns, durations an exact clock twice.",
        ..Row::of(TRACKED)
    }
}

const BY_CALLS: &str = "steadfast, calls(100)";

fn by_calls() -> Row {
    Row {
        title: "closed, success, window of 100 calls",
        contestants: vec![
            Contestant::new(Baseline, "bare", "the work alone", by_hand::bare),
            // The measured calls fill the window with successes, so half of 100 calls have to fail.
            Contestant::new(Ours, BY_CALLS, ours::BY_CALLS, ours::by_calls).opens_after(50),
            Contestant::new(Peer, "recloser", recloser::SETTINGS, recloser::closed).opens_after(50),
            Contestant::new(Peer, "recloser, async", recloser::SETTINGS, recloser::closed_async).opens_after(50),
            Contestant::new(Peer, "tower-resilience, async", tower_resilience::BY_CALLS, tower_resilience::by_calls),
        ],
        threads: MANY,
        targets: vec![
            target("1 thread: 8 ns", |of| of(BY_CALLS, 1), |_| 8.0),
            target("2 threads: 10 ns", |of| of(BY_CALLS, 2), |_| 10.0),
        ],
        note: "tower-resilience's window of calls does not slide. It counts all calls since the circuit \
               closed, so 50 failures after a run of successes do not open it.",
        ..Row::of(BY_CALLS)
    }
}

const BY_TIME: &str = "steadfast, time(60s)";
const CLOCK: &str = "one clock read";

fn by_time() -> Row {
    Row {
        title: "closed, success, window of 60 s",
        contestants: vec![
            Contestant::new(Baseline, CLOCK, "the work and Instant::now()", by_hand::clock),
            Contestant::new(Ours, BY_TIME, ours::BY_TIME, ours::by_time),
            Contestant::new(Peer, "failsafe", failsafe::BY_TIME, failsafe::by_time),
            Contestant::new(Peer, "seatbelt, async", seatbelt::BY_TIME, seatbelt::by_time),
            Contestant::new(Peer, "tower-resilience, async", tower_resilience::BY_TIME, tower_resilience::by_time),
        ],
        targets: vec![
            target("1 thread: 8 ns", |of| of(BY_TIME, 1), |_| 8.0),
            target("2 threads: 9 ns", |of| of(BY_TIME, 2), |_| 9.0),
        ],
        note: "After this many successes, none of these breakers can open within the run; tests check that they do. \
               tower-resilience keeps an entry for every call of the last 60 s, so it becomes slower during the measurement.",
        ..Row::of(BY_TIME)
    }
}

fn open() -> Row {
    Row {
        title: "open, rejected",
        contestants: vec![
            Contestant::new(Baseline, "bare", "the work alone", by_hand::bare),
            Contestant::new(Baseline, CLOCK, "the work and Instant::now()", by_hand::clock),
            Contestant::new(Ours, ATTRIBUTE, ours::BREAKER, ours::open).rejects(),
            Contestant::new(Peer, "by hand", by_hand::BREAKER, by_hand::open).rejects(),
            Contestant::new(Peer, "arcly-http, async", arcly::SETTINGS, arcly::open).rejects(),
            Contestant::new(Peer, "recloser", recloser::SETTINGS, recloser::open).rejects(),
            Contestant::new(Peer, "failsafe", failsafe::SETTINGS, failsafe::open).rejects(),
            Contestant::new(Peer, "circuitbreaker-rs", circuitbreaker_rs::SETTINGS, circuitbreaker_rs::open).rejects(),
            Contestant::new(Peer, "seatbelt, async", seatbelt::BY_TIME, seatbelt::open).rejects(),
            Contestant::new(Peer, "tower-resilience, async", tower_resilience::SETTINGS, tower_resilience::open)
                .rejects(),
        ],
        targets: vec![
            target("10 ns", |of| of(ATTRIBUTE, 1), |_| 10.0),
            target(FLAT, |of| of(ATTRIBUTE, 2), |of| flat(of, ATTRIBUTE, "bare")),
        ],
        ..Row::of(ATTRIBUTE)
    }
}

const RETRY: &str = "steadfast, #[retry]";

fn retry() -> Row {
    Row {
        title: "retry, first attempt succeeds",
        contestants: vec![
            Contestant::new(Baseline, "bare", "the work alone", by_hand::bare),
            Contestant::new(Ours, RETRY, ours::RETRY, ours::retried),
            Contestant::new(Ours, "steadfast, RetryPolicy::run", ours::RETRY, ours::run),
            Contestant::new(Peer, "by hand", by_hand::RETRY, by_hand::retry),
            Contestant::new(Peer, "backon", backon::SETTINGS, backon::retry),
            Contestant::new(Peer, "backon-macros", backon::SETTINGS, backon::attribute),
        ],
        targets: vec![target("by hand + 1.5 ns", |of| of(RETRY, 1), |of| of("by hand", 1) + 1.5)],
        ..Row::of(RETRY)
    }
}

const RETRY_ASYNC: &str = "steadfast, #[retry], async";

fn retry_async() -> Row {
    Row {
        title: "retry, first attempt succeeds, async",
        contestants: vec![
            Contestant::new(Baseline, "bare, async", "the work in an async fn", by_hand::bare_async),
            Contestant::new(Ours, RETRY_ASYNC, ours::RETRY, ours::retried_async),
            Contestant::new(Peer, "by hand, async", by_hand::RETRY, by_hand::retry_async),
            Contestant::new(Peer, "backon, async", backon::SETTINGS, backon::retry_async),
            Contestant::new(Peer, "backon-macros, async", backon::SETTINGS, backon::attribute_async),
            Contestant::new(Peer, "tokio-retry2, async", tokio_retry2::SETTINGS, tokio_retry2::retry_async),
            Contestant::new(Peer, "retry-if, async", retry_if::SETTINGS, retry_if::retry_async),
            Contestant::new(Peer, "seatbelt, async", seatbelt::RETRY, seatbelt::retry_async),
        ],
        targets: vec![target("6 ns", |of| of(RETRY_ASYNC, 1), |_| 6.0)],
        ..Row::of(RETRY_ASYNC)
    }
}

fn second_try() -> Row {
    Row {
        title: "one failure, then success, no sleep",
        contestants: vec![
            Contestant::new(Ours, RETRY, ours::NO_SLEEP, ours::second_try),
            Contestant::new(Ours, RETRY_ASYNC, ours::NO_SLEEP, ours::second_try_async),
            Contestant::new(Ours, "steadfast, RetryPolicy::run", ours::NO_SLEEP, ours::run_second_try),
            Contestant::new(Peer, "by hand", "a loop of 3 attempts", by_hand::second_try),
            Contestant::new(Peer, "by hand, async", "a loop of 3 attempts", by_hand::second_try_async),
            Contestant::new(Peer, "backon", backon::NO_SLEEP, backon::second_try),
            Contestant::new(Peer, "backon, async", backon::NO_SLEEP, backon::second_try_async),
            Contestant::new(Peer, "seatbelt, async", seatbelt::NO_SLEEP, seatbelt::second_try_async),
        ],
        targets: vec![
            target("14 ns", |of| of(RETRY, 1), |_| 14.0),
            target("async: 26 ns", |of| of(RETRY_ASYNC, 1), |_| 26.0),
        ],
        note: "Without a delay, steadfast's async retry yields to other tasks, so its future is polled twice; backon is given a sleeper that is \
               ready at once, and seatbelt's sleep of 0 is. tokio-retry2 and retry-if sleep by tokio's timer, for a millisecond at least, before each retry, so they are \
               left out.",
        ..Row::of(RETRY)
    }
}

const STACK: &str = "steadfast, both, async";

fn stack() -> Row {
    Row {
        title: "retry + breaker, async",
        contestants: vec![
            Contestant::new(Baseline, "bare, async", "the work in an async fn", by_hand::bare_async),
            Contestant::new(Ours, STACK, ours::BREAKER, ours::stack_async),
            Contestant::new(Ours, "steadfast, breaker alone", ours::BREAKER, ours::guarded_alone),
            Contestant::new(Ours, "steadfast, retry alone", ours::RETRY, ours::retried_async),
            Contestant::new(Peer, "by hand, async", by_hand::BREAKER, by_hand::stack_async),
            Contestant::new(Peer, "backon + recloser, async", recloser::SETTINGS, recloser::below_backon),
            Contestant::new(Peer, "backon + failsafe, async", failsafe::SETTINGS, failsafe::below_backon),
            Contestant::new(Peer, "seatbelt, async", seatbelt::BY_TIME, seatbelt::stack_async),
        ],
        ..Row::of(STACK)
    }
}

fn keyed_row(keyed: &'static Keyed) -> Row {
    Row {
        title: "keyed breakers",
        contestants: keyed.contestants(),
        needs_caches: true,
        targets: vec![
            target("under 60 ns with 1,000 keys", |of| of(Keyed::FEW, 1), |_| 60.0),
            target("1,000 of a million keys in use: under 2x", |of| of(Keyed::SOME, 1), |of| of(Keyed::FEW, 1) * 2.0),
            target(
                "all of a million keys in use: at most 1.1x of the map by hand",
                |of| of(Keyed::ALL, 1),
                |of| of(Keyed::ALL_BY_HAND, 1) * 1.1,
            ),
            target(
                "all of a million keys in use: at most 1.1x of 3 dependent misses",
                |of| of(Keyed::ALL, 1),
                |of| of(Keyed::CHAIN, 1) * 1.1,
            ),
        ],
        note: "With all of a million keys in use, every lookup misses the caches, in every implementation. The dependent misses are a chain of pointers of \
               three steps for each call, through as much memory as a million breakers take: the bucket of the map, the entry with its key, and the breaker's counter.",
        ..Row::of(Keyed::FEW)
    }
}
