//! The other attributes, next to handwritten equivalents and peers: timeouts, fallbacks, bulkheads and rate limits, and all attributes
//! together in the recommended order.

use std::{num::NonZeroU32, sync::LazyLock, time::Duration};

use governor::{DefaultDirectRateLimiter, DefaultKeyedRateLimiter, Quota, RateLimiter};
use steadfast::{
    Algorithm, Bulkhead, BulkheadConfig, KeyedRateLimits, RateLimit, RateLimitConfig, bulkhead, circuit_breaker,
    fallback, rate_limit, register, retry, timeout,
};
use tokio::sync::Semaphore;

use crate::{
    by_hand::{self, Breaker},
    contestant::{
        Contestant,
        Role::{Baseline, Ours, Peer},
    },
    peers::{seatbelt, tower_resilience},
    rows::{Row, target},
    work::{Error, add, pending_once, wait},
};

/// Returns the rows.
#[must_use]
pub fn rows() -> Vec<Row> {
    vec![timeouts(), waiting_timeouts(), fallbacks(), bulkheads(), rate_limits(), keyed_rate_limits(), full_stack()]
}

const BARE_ASYNC: &str = "bare, async";
const BARE_WAITS: &str = "bare, waits once";
const BY_HAND_ASYNC: &str = "by hand, async";

async fn waiting(number: u64) -> Result<u64, Error> {
    pending_once().await;
    add(number)
}

#[inline(never)]
fn bare_waits(number: u64) -> Result<u64, Error> {
    wait(waiting(number))
}

const LIMIT: Duration = Duration::from_secs(10);
const TIMEOUT: &str = "a limit of 10 s";

async fn limited<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    tokio::time::timeout(LIMIT, work).await.unwrap_or(Err(Error::Rejected))
}

mod timeout_calls {
    use super::{Error, add, limited, pending_once, timeout, wait, waiting};

    #[inline(never)]
    pub(super) fn attribute(number: u64) -> Result<u64, Error> {
        #[timeout(10s)]
        async fn limited(number: u64) -> Result<u64, Error> {
            add(number)
        }
        wait(limited(number))
    }

    #[inline(never)]
    pub(super) fn by_hand(number: u64) -> Result<u64, Error> {
        wait(limited(async { add(number) }))
    }

    #[inline(never)]
    pub(super) fn attribute_waits(number: u64) -> Result<u64, Error> {
        #[timeout(10s)]
        async fn limited(number: u64) -> Result<u64, Error> {
            pending_once().await;
            add(number)
        }
        wait(limited(number))
    }

    #[inline(never)]
    pub(super) fn by_hand_waits(number: u64) -> Result<u64, Error> {
        wait(limited(waiting(number)))
    }
}

const TIMEOUT_ATTRIBUTE: &str = "steadfast, #[timeout]";

fn timeouts() -> Row {
    Row {
        title: "timeout, ready at once",
        contestants: vec![
            Contestant::new(Baseline, BARE_ASYNC, "the work in an async fn", by_hand::bare_async),
            Contestant::new(Ours, TIMEOUT_ATTRIBUTE, TIMEOUT, timeout_calls::attribute),
            Contestant::new(Peer, "by hand, tokio", "tokio::time::timeout, 10 s", timeout_calls::by_hand),
            Contestant::new(Peer, "seatbelt, async", TIMEOUT, seatbelt::timeout),
        ],
        ..Row::of(TIMEOUT_ATTRIBUTE)
    }
}

fn waiting_timeouts() -> Row {
    Row {
        title: "timeout, waits once",
        contestants: vec![
            Contestant::new(Baseline, BARE_WAITS, "the work in an async fn that is pending once", bare_waits),
            Contestant::new(Ours, TIMEOUT_ATTRIBUTE, TIMEOUT, timeout_calls::attribute_waits),
            Contestant::new(Peer, "by hand, tokio", "tokio::time::timeout, 10 s", timeout_calls::by_hand_waits),
            Contestant::new(Peer, "seatbelt, async", TIMEOUT, seatbelt::timeout_waits),
        ],
        targets: vec![target(
            "at most 1.05x by hand",
            |of| of(TIMEOUT_ATTRIBUTE, 1),
            |of| of("by hand, tokio", 1) * 1.05,
        )],
        ..Row::of(TIMEOUT_ATTRIBUTE)
    }
}

mod fallback_calls {
    use super::{Error, add, fallback, wait};

    #[fallback(replacement)]
    async fn guarded(number: u64) -> Result<u64, Error> {
        add(number)
    }

    #[cold]
    async fn replacement(number: u64) -> Result<u64, Error> {
        Ok(number)
    }

    #[inline(never)]
    pub(super) fn attribute(number: u64) -> Result<u64, Error> {
        wait(guarded(number))
    }

    #[inline(never)]
    pub(super) fn by_hand(number: u64) -> Result<u64, Error> {
        wait(async {
            match add(number) {
                Ok(sum) => Ok(sum),
                Err(_) => replacement(number).await,
            }
        })
    }
}

const FALLBACK: &str = "steadfast, #[fallback]";

fn fallbacks() -> Row {
    // After a failure, a contestant would return the replacement, so none is made.
    Row {
        title: "fallback, not needed",
        contestants: vec![
            Contestant::new(Baseline, BARE_ASYNC, "the work in an async fn", by_hand::bare_async),
            Contestant::new(Ours, FALLBACK, "another async fn", fallback_calls::attribute),
            Contestant::new(Peer, BY_HAND_ASYNC, "another async fn", fallback_calls::by_hand),
            Contestant::new(Peer, "seatbelt, async", "a closure", seatbelt::fallback),
        ],
        ..Row::of(FALLBACK)
    }
}

static POOL: Bulkhead = Bulkhead::new("measured", BulkheadConfig::new().max_concurrent(100));
register!(POOL);
static SEMAPHORE: Semaphore = Semaphore::const_new(100);

mod bulkhead_calls {
    use super::{Error, POOL, SEMAPHORE, add, bulkhead, wait};

    #[inline(never)]
    #[bulkhead(bulkhead = POOL)]
    pub(super) fn attribute(number: u64) -> Result<u64, Error> {
        add(number)
    }

    #[bulkhead(bulkhead = POOL)]
    async fn bounded(number: u64) -> Result<u64, Error> {
        add(number)
    }

    #[inline(never)]
    pub(super) fn attribute_async(number: u64) -> Result<u64, Error> {
        wait(bounded(number))
    }

    #[inline(never)]
    pub(super) fn by_hand(number: u64) -> Result<u64, Error> {
        let _permit = SEMAPHORE.try_acquire().map_err(|_| Error::Rejected)?;
        add(number)
    }

    #[inline(never)]
    pub(super) fn by_hand_async(number: u64) -> Result<u64, Error> {
        wait(async {
            let _permit = SEMAPHORE.acquire().await.map_err(|_| Error::Rejected)?;
            add(number)
        })
    }
}

const BULKHEAD: &str = "steadfast, #[bulkhead]";

fn bulkheads() -> Row {
    Row {
        title: "bulkhead, a permit is free",
        contestants: vec![
            Contestant::new(Baseline, "bare", "the work alone", by_hand::bare),
            Contestant::new(Ours, BULKHEAD, "max_concurrent = 100", bulkhead_calls::attribute),
            Contestant::new(
                Ours,
                "steadfast, #[bulkhead], async",
                "max_concurrent = 100",
                bulkhead_calls::attribute_async,
            ),
            Contestant::new(
                Peer,
                "by hand, tokio",
                "try_acquire of a Semaphore of 100 permits",
                bulkhead_calls::by_hand,
            ),
            Contestant::new(
                Peer,
                "by hand, tokio, async",
                "acquire of a Semaphore of 100 permits",
                bulkhead_calls::by_hand_async,
            ),
            Contestant::new(Peer, "tower-resilience, async", tower_resilience::BULKHEAD, tower_resilience::bulkhead),
        ],
        ..Row::of(BULKHEAD)
    }
}

/// At most half of it is in use, since the counts are reset before each turn.
const RATE: RateLimitConfig = RateLimitConfig::new(1_048_576, Duration::from_secs(1));
const KEY: &str = "a.example.org";

static WINDOW: RateLimit = RateLimit::new("window", RATE);
static GCRA: RateLimit = RateLimit::new("gcra", RATE.algorithm(Algorithm::Gcra));
static STACKED: RateLimit = RateLimit::new("full stack", RATE);
static SHORT: RateLimit = RateLimit::new("short", RateLimitConfig::new(1_000_000, Duration::from_millis(1)));
static WINDOWS: KeyedRateLimits = KeyedRateLimits::new("windows", RATE);
static GCRAS: KeyedRateLimits = KeyedRateLimits::new("gcras", RATE.algorithm(Algorithm::Gcra));
static GOVERNOR: LazyLock<DefaultDirectRateLimiter> = LazyLock::new(|| RateLimiter::direct(quota()));
static GOVERNOR_KEYED: LazyLock<DefaultKeyedRateLimiter<String>> = LazyLock::new(|| RateLimiter::keyed(quota()));

/// So high that every call is admitted: governor cannot reset its counts.
const fn quota() -> Quota {
    Quota::per_second(NonZeroU32::MAX)
}

mod rate_limit_calls {
    use super::{Error, GCRA, GCRAS, GOVERNOR, GOVERNOR_KEYED, KEY, SHORT, WINDOW, WINDOWS, add, rate_limit, wait};

    #[inline(never)]
    #[rate_limit(rate_limit = WINDOW)]
    pub(super) fn window(number: u64) -> Result<u64, Error> {
        add(number)
    }

    #[inline(never)]
    #[rate_limit(rate_limit = GCRA)]
    pub(super) fn gcra(number: u64) -> Result<u64, Error> {
        add(number)
    }

    #[inline(never)]
    #[rate_limit(rate_limit = SHORT)]
    pub(super) fn short_window(number: u64) -> Result<u64, Error> {
        add(number)
    }

    #[inline(never)]
    pub(super) fn window_async(number: u64) -> Result<u64, Error> {
        #[rate_limit(rate_limit = WINDOW)]
        async fn limited(number: u64) -> Result<u64, Error> {
            add(number)
        }
        wait(limited(number))
    }

    #[inline(never)]
    pub(super) fn governor(number: u64) -> Result<u64, Error> {
        GOVERNOR.check().map_err(|_| Error::Rejected)?;
        add(number)
    }

    #[inline(never)]
    #[rate_limit(rate_limit = WINDOWS, key = KEY)]
    pub(super) fn keyed_window(number: u64) -> Result<u64, Error> {
        add(number)
    }

    #[inline(never)]
    #[rate_limit(rate_limit = GCRAS, key = KEY)]
    pub(super) fn keyed_gcra(number: u64) -> Result<u64, Error> {
        add(number)
    }

    #[inline(never)]
    pub(super) fn keyed_governor(number: u64) -> Result<u64, Error> {
        // `check_key` takes a `&String`, which a caller with a `&str` has to allocate.
        GOVERNOR_KEYED.check_key(&KEY.to_owned()).map_err(|_| Error::Rejected)?;
        add(number)
    }
}

const RATE_WINDOW: &str = "steadfast, window";
const RATE_GCRA: &str = "steadfast, gcra";
const RATE_SETTINGS: &str = "limit = 1_048_576, per = 1s, reset before each turn";
const GOVERNOR_SETTINGS: &str = "gcra, u32::MAX per second";

fn rate_limits() -> Row {
    Row {
        title: "rate limit, admitted",
        contestants: vec![
            Contestant::new(Baseline, "bare", "the work alone", by_hand::bare),
            Contestant::new(Ours, RATE_WINDOW, RATE_SETTINGS, rate_limit_calls::window).before_turn(|| WINDOW.reset()),
            Contestant::new(Ours, RATE_GCRA, RATE_SETTINGS, rate_limit_calls::gcra).before_turn(|| GCRA.reset()),
            Contestant::new(Ours, "steadfast, window, async", RATE_SETTINGS, rate_limit_calls::window_async)
                .before_turn(|| WINDOW.reset()),
            Contestant::new(
                Ours,
                "steadfast, window of 1 ms",
                "limit = 1_000_000, per = 1ms: too short for the coarse clock",
                rate_limit_calls::short_window,
            ),
            Contestant::new(Peer, "governor", GOVERNOR_SETTINGS, rate_limit_calls::governor),
            Contestant::new(
                Peer,
                "tower-resilience, fixed window, async",
                tower_resilience::RATE,
                tower_resilience::fixed_rate,
            ),
            Contestant::new(
                Peer,
                "tower-resilience, sliding log, async",
                tower_resilience::RATE,
                tower_resilience::sliding_rate,
            ),
        ],
        targets: vec![
            target("window: 20 ns", |of| of(RATE_WINDOW, 1), |_| 20.0),
            target("gcra: 20 ns", |of| of(RATE_GCRA, 1), |_| 20.0),
        ],
        note: "The windows of steadfast and tower-resilience's sliding log are exact. gcra and a fixed window admit up to twice the limit within a \
               window. The limits of the peers are so high that they need no reset. These peers read the same clock for every period; \
               steadfast reads a faster one from a second on.",
        ..Row::of(RATE_WINDOW)
    }
}

fn keyed_rate_limits() -> Row {
    Row {
        title: "rate limit by key, admitted",
        contestants: vec![
            Contestant::new(Baseline, "bare", "the work alone", by_hand::bare),
            Contestant::new(Ours, RATE_WINDOW, RATE_SETTINGS, rate_limit_calls::keyed_window)
                .before_turn(|| WINDOWS.limit(KEY).reset()),
            Contestant::new(Ours, RATE_GCRA, RATE_SETTINGS, rate_limit_calls::keyed_gcra)
                .before_turn(|| GCRAS.limit(KEY).reset()),
            Contestant::new(Peer, "governor", "dashmap, gcra, u32::MAX per second", rate_limit_calls::keyed_governor),
        ],
        targets: vec![
            target("window: 45 ns", |of| of(RATE_WINDOW, 1), |_| 45.0),
            target("gcra: 45 ns", |of| of(RATE_GCRA, 1), |_| 45.0),
        ],
        note: "One key, for which all calls compete.",
        ..Row::of(RATE_WINDOW)
    }
}

mod stack_calls {
    use std::{sync::LazyLock, time::Duration};

    use ::backon::Retryable;
    use ::recloser::{AsyncRecloser, Error as Reclosed};

    use super::{
        Breaker, Error, GOVERNOR, SEMAPHORE, STACKED, add, bulkhead, by_hand, circuit_breaker, fallback, limited,
        pending_once, rate_limit, retry, timeout, wait, waiting,
    };
    use crate::peers::{backon, recloser};

    #[fallback(replacement)]
    #[timeout(10s)]
    #[retry]
    #[circuit_breaker(name = "full stack", recovery_timeout = 1h)]
    #[rate_limit(rate_limit = STACKED)]
    #[bulkhead(name = "full stack", max_concurrent = 100)]
    #[timeout(5s)]
    pub(super) async fn guarded(number: u64) -> Result<u64, Error> {
        pending_once().await;
        add(number)
    }

    #[cold]
    async fn replacement(number: u64) -> Result<u64, Error> {
        Ok(number)
    }

    #[inline(never)]
    pub(super) fn attribute(number: u64) -> Result<u64, Error> {
        wait(guarded(number))
    }

    async fn attempt(number: u64) -> Result<u64, Error> {
        GOVERNOR.check().map_err(|_| Error::Rejected)?;
        let _permit = SEMAPHORE.try_acquire().map_err(|_| Error::Rejected)?;
        limited(waiting(number)).await
    }

    pub(super) async fn guarded_by_hand(number: u64) -> Result<u64, Error> {
        static CLOSED: Breaker = Breaker::new();
        let attempts = async {
            by_hand::attempts!(CLOSED.call_async(async || attempt(number).await).await, |delay| tokio::time::sleep(
                delay
            )
            .await)
        };
        match limited(attempts).await {
            Ok(sum) => Ok(sum),
            Err(_) => replacement(number).await,
        }
    }

    #[inline(never)]
    pub(super) fn by_hand(number: u64) -> Result<u64, Error> {
        wait(guarded_by_hand(number))
    }

    #[inline(never)]
    pub(super) fn backon_and_recloser(number: u64) -> Result<u64, Error> {
        static CLOSED: LazyLock<AsyncRecloser> = LazyLock::new(|| recloser::async_breaker(Duration::from_hours(1)));
        let attempt = || CLOSED.call(attempt(number));
        let is_transient = |error: &Reclosed<Error>| matches!(error, Reclosed::Inner(Error::Failed));
        wait(async {
            let attempts = attempt.retry(backon::exponential()).when(is_transient);
            let work = async {
                attempts.await.map_err(|error| match error {
                    Reclosed::Inner(error) => error,
                    Reclosed::Rejected => Error::Rejected,
                })
            };
            match limited(work).await {
                Ok(sum) => Ok(sum),
                Err(_) => replacement(number).await,
            }
        })
    }
}

/// The name of the future of the full stack.
pub const FULL_STACK: &str = "full stack";
/// The name of the same by hand.
pub const FULL_STACK_BY_HAND: &str = "full stack by hand";

/// Returns the sizes of the futures of the full stack and of the same by hand.
#[must_use]
pub fn full_stack_futures() -> [(&'static str, usize); 2] {
    [
        (FULL_STACK, size_of_val(&stack_calls::guarded(0))),
        (FULL_STACK_BY_HAND, size_of_val(&stack_calls::guarded_by_hand(0))),
    ]
}

const FULL: &str = "steadfast, all attributes";

fn full_stack() -> Row {
    Row {
        title: "full stack, waits once",
        contestants: vec![
            Contestant::new(Baseline, BARE_WAITS, "the work in an async fn that is pending once", bare_waits),
            Contestant::new(
                Ours,
                FULL,
                "fallback, timeout, retry, breaker, rate limit, bulkhead, timeout; the settings of the other rows",
                stack_calls::attribute,
            )
            .before_turn(|| STACKED.reset()),
            Contestant::new(
                Peer,
                BY_HAND_ASYNC,
                "the same with tokio's timeout and Semaphore, governor, and a breaker and a retry by hand",
                stack_calls::by_hand,
            ),
            Contestant::new(
                Peer,
                "backon + recloser, async",
                "fallback, tokio's timeout, backon, recloser, governor, Semaphore, tokio's timeout",
                stack_calls::backon_and_recloser,
            ),
            Contestant::new(
                Peer,
                "seatbelt, async",
                "fallback, timeout, retry, breaker, timeout: no rate limit and no bulkhead",
                seatbelt::full_stack,
            ),
        ],
        targets: vec![target("at most 1.05x by hand", |of| of(FULL, 1), |of| of(BY_HAND_ASYNC, 1) * 1.05)],
        note: "Each call registers the timers of two timeouts.",
        ..Row::of(FULL)
    }
}
