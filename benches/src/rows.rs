//! The rows of the comparison, and the targets.

use crate::{
    by_hand,
    contestant::{
        Contestant,
        Role::{Baseline, Ours, Peer},
    },
    keyed::Keyed,
    ours,
    peers::{arcly, backon, circuitbreaker_rs, failsafe, recloser, retry_if, tokio_retry2, tower_resilience},
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
    /// The targets of the row.
    pub targets: Vec<Target>,
    /// Remarks on the comparison.
    pub note: &'static str,
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

const fn target(text: &'static str, actual: fn(Figures<'_>) -> f64, limit: fn(Figures<'_>) -> f64) -> Target {
    Target { text, actual, limit }
}

const ONE_AND_TWO: &[usize] = &[1, 2];
const MANY: &[usize] = &[1, 2, 4, 8, 16];

/// Returns all rows.
#[must_use]
pub fn all(keyed: &'static Keyed) -> Vec<Row> {
    without_keys().into_iter().chain([keyed_row(keyed)]).collect()
}

/// Returns all rows except the keyed one, which needs a million keys.
#[must_use]
pub fn without_keys() -> Vec<Row> {
    vec![consecutive(), in_flight(), by_calls(), by_time(), open(), retry(), retry_async(), second_try(), stack()]
}

const ATTRIBUTE: &str = "steadfast, #[circuit_breaker]";

fn consecutive() -> Row {
    Row {
        title: "closed, success, consecutive failures",
        ours: ATTRIBUTE,
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
        needs_caches: false,
        targets: vec![
            target("bare + 3 ns with totals", |of| of(ATTRIBUTE, 1), |of| of("bare", 1) + 3.0),
            target(
                "2 threads at most 1.15x of 1, relative to the bare call",
                |of| of(ATTRIBUTE, 2),
                |of| of(ATTRIBUTE, 1) * 1.15 * of("bare", 2) / of("bare", 1),
            ),
            target(
                "under arcly-http, async + 3 ns for totals",
                |of| of("steadfast, async", 1),
                |of| of("arcly-http, async", 1) + 3.0,
            ),
        ],
        note: "recloser has no rule of consecutive failures; it is in the next row. arcly-http counts all failures since its creation, \
               not consecutive ones. steadfast's totals cannot be turned off.",
    }
}

const TRACKED: &str = "steadfast, hung_call";
const UNTRACKED: &str = "steadfast, without hung_call";

fn in_flight() -> Row {
    Row {
        title: "closed, success, calls in flight tracked",
        ours: TRACKED,
        contestants: vec![
            Contestant::new(Baseline, "bare", "the work alone", by_hand::bare),
            Contestant::new(Baseline, CLOCK, "the work and Instant::now()", by_hand::clock),
            Contestant::new(Ours, UNTRACKED, ours::BREAKER, ours::untracked).opens_after(5),
            Contestant::new(Ours, "steadfast, without hung_call, async", ours::BREAKER, ours::guarded_alone),
            Contestant::new(Ours, TRACKED, ours::IN_FLIGHT, ours::tracked).opens_after(5),
            Contestant::new(Ours, "steadfast, hung_call, attribute", ours::IN_FLIGHT, ours::tracked_attribute)
                .opens_after(5),
            Contestant::new(Ours, "steadfast, hung_call, async", ours::IN_FLIGHT, ours::tracked_async).opens_after(5),
        ],
        threads: ONE_AND_TWO,
        needs_caches: false,
        targets: vec![
            target("at most 6 ns over the same breaker without", |of| of(TRACKED, 1), |of| of(UNTRACKED, 1) + 6.0),
            target(
                "2 threads at most 1.15x of 1, relative to the bare call",
                |of| of(TRACKED, 2),
                |of| of(TRACKED, 1) * 1.15 * of("bare", 2) / of("bare", 1),
            ),
        ],
        note: "A tracked call reads the coarse clock twice, which takes about 5 ns.",
    }
}

const BY_CALLS: &str = "steadfast, calls(100)";

fn by_calls() -> Row {
    Row {
        title: "closed, success, window of 100 calls",
        ours: BY_CALLS,
        contestants: vec![
            Contestant::new(Baseline, "bare", "the work alone", by_hand::bare),
            // The measured calls fill the window with successes, so half of 100 calls have to fail.
            Contestant::new(Ours, BY_CALLS, ours::BY_CALLS, ours::by_calls).opens_after(50),
            Contestant::new(Peer, "recloser", recloser::SETTINGS, recloser::closed).opens_after(50),
            Contestant::new(Peer, "recloser, async", recloser::SETTINGS, recloser::closed_async).opens_after(50),
            Contestant::new(Peer, "tower-resilience, async", tower_resilience::BY_CALLS, tower_resilience::by_calls),
        ],
        threads: MANY,
        needs_caches: false,
        targets: vec![
            target("under 10 ns", |of| of(BY_CALLS, 1), |_| 10.0),
            target("under recloser, 1 thread", |of| of(BY_CALLS, 1), |of| of("recloser", 1)),
            target("under recloser, 2 threads", |of| of(BY_CALLS, 2), |of| of("recloser", 2)),
        ],
        note: "tower-resilience's window of calls does not slide. It counts all calls since the circuit \
               closed, so 50 failures after a run of successes do not open it.",
    }
}

const BY_TIME: &str = "steadfast, time(60s)";
const CLOCK: &str = "one clock read";

fn by_time() -> Row {
    Row {
        title: "closed, success, window of 60 s",
        ours: BY_TIME,
        contestants: vec![
            Contestant::new(Baseline, CLOCK, "the work and Instant::now()", by_hand::clock),
            Contestant::new(Ours, BY_TIME, ours::BY_TIME, ours::by_time),
            Contestant::new(Peer, "failsafe", failsafe::BY_TIME, failsafe::by_time),
            Contestant::new(Peer, "tower-resilience, async", tower_resilience::BY_TIME, tower_resilience::by_time),
        ],
        threads: ONE_AND_TWO,
        needs_caches: false,
        targets: vec![
            target("one clock read + 5 ns", |of| of(BY_TIME, 1), |of| of(CLOCK, 1) + 5.0),
            target(
                "2 threads at most 1.15x of 1, relative to the clock read",
                |of| of(BY_TIME, 2),
                |of| of(BY_TIME, 1) * 1.15 * of(CLOCK, 2) / of(CLOCK, 1),
            ),
        ],
        note: "After this many successes, none of these breakers can open within the run; tests check that they do. \
               tower-resilience keeps an entry for every call of the last 60 s, so it becomes slower during the measurement.",
    }
}

fn open() -> Row {
    Row {
        title: "open, rejected",
        ours: ATTRIBUTE,
        contestants: vec![
            Contestant::new(Baseline, CLOCK, "the work and Instant::now()", by_hand::clock),
            Contestant::new(Ours, ATTRIBUTE, ours::BREAKER, ours::open).rejects(),
            Contestant::new(Peer, "by hand", by_hand::BREAKER, by_hand::open).rejects(),
            Contestant::new(Peer, "arcly-http, async", arcly::SETTINGS, arcly::open).rejects(),
            Contestant::new(Peer, "recloser", recloser::SETTINGS, recloser::open).rejects(),
            Contestant::new(Peer, "failsafe", failsafe::SETTINGS, failsafe::open).rejects(),
            Contestant::new(Peer, "circuitbreaker-rs", circuitbreaker_rs::SETTINGS, circuitbreaker_rs::open).rejects(),
            Contestant::new(Peer, "tower-resilience, async", tower_resilience::SETTINGS, tower_resilience::open)
                .rejects(),
        ],
        threads: ONE_AND_TWO,
        needs_caches: false,
        targets: vec![target("one clock read + 5 ns", |of| of(ATTRIBUTE, 1), |of| of(CLOCK, 1) + 5.0)],
        note: "",
    }
}

const RETRY: &str = "steadfast, #[retry]";

fn retry() -> Row {
    Row {
        title: "retry, first attempt succeeds",
        ours: RETRY,
        contestants: vec![
            Contestant::new(Baseline, "bare", "the work alone", by_hand::bare),
            Contestant::new(Ours, RETRY, ours::RETRY, ours::retried),
            Contestant::new(Ours, "steadfast, RetryPolicy::run", ours::RETRY, ours::run),
            Contestant::new(Peer, "by hand", by_hand::RETRY, by_hand::retry),
            Contestant::new(Peer, "backon", backon::SETTINGS, backon::retry),
            Contestant::new(Peer, "backon-macros", backon::SETTINGS, backon::attribute),
        ],
        threads: ONE_AND_TWO,
        needs_caches: false,
        targets: vec![target("by hand + 0.5 ns", |of| of(RETRY, 1), |of| of("by hand", 1) + 0.5)],
        note: "",
    }
}

const RETRY_ASYNC: &str = "steadfast, #[retry], async";

fn retry_async() -> Row {
    Row {
        title: "retry, first attempt succeeds, async",
        ours: RETRY_ASYNC,
        contestants: vec![
            Contestant::new(Baseline, "bare, async", "the work in an async fn", by_hand::bare_async),
            Contestant::new(Ours, RETRY_ASYNC, ours::RETRY, ours::retried_async),
            Contestant::new(Peer, "by hand, async", by_hand::RETRY, by_hand::retry_async),
            Contestant::new(Peer, "backon, async", backon::SETTINGS, backon::retry_async),
            Contestant::new(Peer, "backon-macros, async", backon::SETTINGS, backon::attribute_async),
            Contestant::new(Peer, "tokio-retry2, async", tokio_retry2::SETTINGS, tokio_retry2::retry_async),
            Contestant::new(Peer, "retry-if, async", retry_if::SETTINGS, retry_if::retry_async),
        ],
        threads: ONE_AND_TWO,
        needs_caches: false,
        targets: vec![target("by hand + 2 ns", |of| of(RETRY_ASYNC, 1), |of| of("by hand, async", 1) + 2.0)],
        note: "",
    }
}

fn second_try() -> Row {
    Row {
        title: "one failure, then success, no sleep",
        ours: RETRY,
        contestants: vec![
            Contestant::new(Ours, RETRY, ours::NO_SLEEP, ours::second_try),
            Contestant::new(Ours, RETRY_ASYNC, ours::NO_SLEEP, ours::second_try_async),
            Contestant::new(Ours, "steadfast, RetryPolicy::run", ours::NO_SLEEP, ours::run_second_try),
            Contestant::new(Peer, "by hand", "a loop of 3 attempts", by_hand::second_try),
            Contestant::new(Peer, "by hand, async", "a loop of 3 attempts", by_hand::second_try_async),
            Contestant::new(Peer, "backon", backon::NO_SLEEP, backon::second_try),
            Contestant::new(Peer, "backon, async", backon::NO_SLEEP, backon::second_try_async),
        ],
        threads: ONE_AND_TWO,
        needs_caches: false,
        targets: vec![
            target("at or under backon", |of| of(RETRY, 1), |of| of("backon", 1)),
            target("at or under backon, async", |of| of(RETRY_ASYNC, 1), |of| of("backon, async", 1)),
        ],
        note: "Without a delay, steadfast's async retry yields to other tasks, so its future is polled twice; backon is given a sleeper that is \
               ready at once. tokio-retry2 and retry-if sleep by tokio's timer, for a millisecond at least, before each retry, so they are \
               left out.",
    }
}

const STACK: &str = "steadfast, both, async";

fn stack() -> Row {
    Row {
        title: "retry + breaker, async",
        ours: STACK,
        contestants: vec![
            Contestant::new(Baseline, "bare, async", "the work in an async fn", by_hand::bare_async),
            Contestant::new(Ours, STACK, ours::BREAKER, ours::stack_async),
            Contestant::new(Ours, "steadfast, breaker alone", ours::BREAKER, ours::guarded_alone),
            Contestant::new(Ours, "steadfast, retry alone", ours::RETRY, ours::retried_async),
            Contestant::new(Peer, "by hand, async", by_hand::BREAKER, by_hand::stack_async),
            Contestant::new(Peer, "backon + recloser, async", recloser::SETTINGS, recloser::below_backon),
            Contestant::new(Peer, "backon + failsafe, async", failsafe::SETTINGS, failsafe::below_backon),
        ],
        threads: ONE_AND_TWO,
        needs_caches: false,
        targets: vec![target(
            "sum of breaker and retry",
            |of| of(STACK, 1) - of("bare, async", 1),
            |of| of("steadfast, breaker alone", 1) + of("steadfast, retry alone", 1) - 2.0 * of("bare, async", 1),
        )],
        note: "The target compares what each adds to the bare call.",
    }
}

fn keyed_row(keyed: &'static Keyed) -> Row {
    Row {
        title: "keyed breakers",
        ours: Keyed::FEW,
        contestants: keyed.contestants(),
        threads: ONE_AND_TWO,
        needs_caches: true,
        targets: vec![
            target("under 60 ns with 1,000 keys", |of| of(Keyed::FEW, 1), |_| 60.0),
            target("1,000 of a million keys in use: under 2x", |of| of(Keyed::SOME, 1), |of| of(Keyed::FEW, 1) * 2.0),
            target("all of a million keys in use: under 2x", |of| of(Keyed::ALL, 1), |of| of(Keyed::FEW, 1) * 2.0),
        ],
        note: "With all of a million keys in use, every lookup misses the caches, in every implementation.",
    }
}
