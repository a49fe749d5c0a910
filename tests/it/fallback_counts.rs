//! The counts of fallbacks: each call counts once, by the outcome that its caller saw.

#![allow(
    clippy::needless_pass_by_value,
    clippy::unnecessary_wraps,
    clippy::unused_async,
    clippy::unused_self,
    reason = "a fallback has the signature of the function"
)]

use std::{
    future::Future,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
    thread,
};

use steadfast::{
    BreakerConfig, CircuitBreaker, Fallback, FallbackSnapshot, breaker, bulkhead, circuit_breaker, fallback, fallbacks,
    prometheus::SteadfastCollector, rate_limit, register, retry, testing::isolate, timeout,
};
use tokio::task::yield_now;

use crate::support::scrape;

/// Returns the counts of the function of this module, or those of the name.
fn of(name: &str) -> FallbackSnapshot {
    let path = format!("{}::{name}", module_path!());
    let named = |fallback: &FallbackSnapshot| fallback.name == name || fallback.name == path;
    let found: Vec<_> = fallbacks().into_iter().filter(named).collect();
    let [one] = &found[..] else { panic!("{name}: {found:?}") };
    one.clone()
}

/// Returns the counts as `[answered, fallback, failed, cancelled, panicked]`.
fn counts(name: &str) -> [u64; 5] {
    let snapshot = of(name);
    let FallbackSnapshot { answered, fallback, failed, cancelled, panicked, .. } = snapshot;
    let counts = [answered, fallback, failed, cancelled, panicked];
    assert_eq!(snapshot.calls(), counts.iter().sum::<u64>());
    counts
}

/// Succeeds for `s`, panics for `p`, and fails for every other letter.
fn outcome(letter: char) -> io::Result<char> {
    match letter {
        's' => Ok(letter),
        'p' => panic!("as asked"),
        _ => Err(io::Error::new(io::ErrorKind::TimedOut, letter.to_string())),
    }
}

#[fallback(substitute)]
fn plain(own: char, other: char) -> io::Result<char> {
    _ = other;
    outcome(own)
}

fn substitute(_: char, other: char) -> io::Result<char> {
    outcome(other)
}

#[test]
fn calls_count_by_outcome() {
    let _isolated = isolate();
    assert_eq!(counts("plain"), [0; 5], "listed before the first call");
    for (own, substitute, expected) in [
        ('s', 's', [1, 0, 0, 0, 0]),
        ('f', 's', [1, 1, 0, 0, 0]),
        ('f', 'f', [1, 1, 1, 0, 0]),
        ('p', 's', [1, 1, 1, 0, 1]),
        ('f', 'p', [1, 1, 1, 0, 2]),
        ('s', 'f', [2, 1, 1, 0, 2]),
    ] {
        _ = catch_unwind(|| plain(own, substitute));
        assert_eq!(counts("plain"), expected, "{own} {substitute}");
    }
}

#[fallback(substitute_async, substitute_async)]
async fn awaited(own: char, other: char) -> io::Result<char> {
    _ = other;
    yield_now().await;
    outcome(own)
}

async fn substitute_async(_: char, other: char) -> io::Result<char> {
    yield_now().await;
    outcome(other)
}

#[tokio::test]
async fn async_calls_count_by_outcome() {
    let _isolated = isolate();
    for (own, substitute, expected) in
        [('s', 's', [1, 0, 0, 0, 0]), ('f', 's', [1, 1, 0, 0, 0]), ('f', 'f', [1, 1, 1, 0, 0])]
    {
        _ = awaited(own, substitute).await;
        assert_eq!(counts("awaited"), expected, "{own} {substitute}");
    }
    for substitute in ['s', 'p'] {
        let own = if substitute == 'p' { 'f' } else { 'p' };
        let mut call = pin!(awaited(own, substitute));
        let context = &mut Context::from_waker(Waker::noop());
        let has_panicked = (0..3).any(|_| catch_unwind(AssertUnwindSafe(|| call.as_mut().poll(context))).is_err());
        assert!(has_panicked, "{own} {substitute}");
    }
    assert_eq!(counts("awaited"), [1, 1, 1, 0, 2]);
}

#[test]
fn a_future_dropped_at_any_await_counts_as_cancelled() {
    let _isolated = isolate();
    drop(awaited('f', 'f'));
    assert_eq!(counts("awaited"), [0; 5], "never polled");
    for polls in 1..=3 {
        let mut call = Box::pin(awaited('f', 'f'));
        for _ in 0..polls {
            assert!(call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        }
        drop(call);
        assert_eq!(counts("awaited"), [0, 0, 0, polls, 0]);
    }
}

#[fallback(|_| Ok('c'), if = |error| error.to_string() == "x")]
fn conditional(own: char) -> io::Result<char> {
    outcome(own)
}

#[fallback(|_| Ok('c'), if(std::fmt::Error))]
fn by_type(own: char) -> anyhow::Result<char> {
    if own == 'x' { Err(std::fmt::Error.into()) } else { Ok(outcome(own)?) }
}

#[test]
fn an_error_that_the_condition_does_not_select_counts_as_failed() {
    let _isolated = isolate();
    for own in ['s', 'x', 'x', 'y'] {
        _ = conditional(own);
        _ = by_type(own);
    }
    for function in ["conditional", "by_type"] {
        assert_eq!(counts(function), [1, 2, 1, 0, 0], "{function}");
    }
}

#[fallback(|_| None, |_| Some('c'))]
fn optional(own: char) -> Option<char> {
    (own == 's').then_some(own)
}

#[fallback(|own, _| (own == 'x').then_some(own))]
async fn optional_async(own: char) -> Option<char> {
    (own == 's').then_some(own)
}

#[tokio::test]
async fn functions_that_return_an_option_are_counted() {
    let _isolated = isolate();
    for own in ['s', 'x', 'y'] {
        _ = optional(own);
        _ = optional_async(own).await;
    }
    assert_eq!(counts("optional"), [1, 2, 0, 0, 0]);
    assert_eq!(counts("optional_async"), [1, 1, 1, 0, 0]);
}

#[fallback(substitute_of)]
fn generic<T: Copy + Into<char>, const N: usize>(own: [T; N]) -> io::Result<char> {
    outcome(own.first().copied().map_or('f', Into::into))
}

fn substitute_of<T, const N: usize>(_: [T; N]) -> io::Result<char> {
    if N == 2 { Ok('c') } else { Err(io::ErrorKind::NotFound.into()) }
}

struct Shop(char);
struct Market(char);

impl Shop {
    #[fallback(self.other)]
    fn price(&self) -> io::Result<char> {
        outcome(self.0)
    }

    fn other(&self) -> io::Result<char> {
        Ok('c')
    }
}

impl Market {
    #[fallback(|_| Ok('c'))]
    async fn price(&self) -> io::Result<char> {
        outcome(self.0)
    }
}

#[async_trait::async_trait]
trait Store {
    async fn load(&self, own: char) -> io::Result<char>;

    #[fallback(|_| Ok('c'))]
    async fn provided(&self, own: char) -> io::Result<char> {
        self.load(own).await
    }
}

#[async_trait::async_trait]
impl Store for Shop {
    #[fallback(self.other_of)]
    async fn load(&self, own: char) -> io::Result<char> {
        outcome(own)
    }
}

impl Shop {
    fn other_of(&self, own: char) -> io::Result<char> {
        outcome(if own == 'f' { 's' } else { own })
    }
}

#[fallback(|_| Ok('c'))]
fn boxed(own: char) -> Pin<Box<dyn Future<Output = io::Result<char>> + Send>> {
    Box::pin(async move { outcome(own) })
}

#[fallback(|_| Ok('c'))]
fn opaque(own: char) -> impl Future<Output = io::Result<char>> {
    async move { outcome(own) }
}

macro_rules! guarded {
    ($name:ident, $substitute:expr) => {
        #[fallback($substitute)]
        fn $name(own: char) -> io::Result<char> {
            outcome(own)
        }
    };
}
guarded!(from_macro, |_| Ok('c'));
guarded!(from_macro_as_well, |_| outcome('f'));

#[tokio::test]
async fn every_shape_of_function_is_counted() {
    let _isolated = isolate();
    _ = (generic(['s']), generic(['f', 'f']), generic([0_u8; 3]));
    assert_eq!(counts("generic"), [1, 1, 1, 0, 0], "all types together");
    _ = (Shop('s').price(), Shop('f').price(), Market('f').price().await);
    assert_eq!(counts("price"), [1, 2, 0, 0, 0], "methods of the same path together");
    for own in ['s', 'f', 'x'] {
        _ = Shop(' ').provided(own).await;
    }
    assert_eq!(counts("load"), [1, 1, 1, 0, 0]);
    assert_eq!(counts("provided"), [2, 1, 0, 0, 0]);
    _ = (boxed('s').await, boxed('f').await, opaque('f').await);
    assert_eq!(counts("boxed"), [1, 1, 0, 0, 0]);
    assert_eq!(counts("opaque"), [0, 1, 0, 0, 0]);
    _ = (from_macro('s'), from_macro('f'), from_macro_as_well('f'));
    assert_eq!(counts("from_macro"), [1, 1, 0, 0, 0]);
    assert_eq!(counts("from_macro_as_well"), [0, 0, 1, 0, 0]);
}

#[fallback(inner)]
fn outer(own: char, depth: u32) -> io::Result<char> {
    if depth > 0 { outer(own, depth - 1) } else { outcome(own) }
}

#[fallback(|_| Ok('c'))]
fn inner(own: char, _: u32) -> io::Result<char> {
    outcome(own)
}

#[test]
fn nested_and_recursive_calls_count_each_at_its_own_function() {
    let _isolated = isolate();
    _ = outer('s', 2);
    assert_eq!((counts("outer"), counts("inner")), ([3, 0, 0, 0, 0], [0; 5]));
    // The innermost call is answered by `inner`, whose own call a closure answers, and the calls above it succeed.
    _ = outer('f', 2);
    assert_eq!((counts("outer"), counts("inner")), ([5, 1, 0, 0, 0], [0, 1, 0, 0, 0]));
}

#[retry(max_attempts = 2, backoff = none, allow_order)]
#[fallback(inner_substitute, allow_order)]
#[circuit_breaker(name = "fallback counts, below", failure_threshold = 1)]
fn below_retry(letters: &[char]) -> io::Result<char> {
    outcome(letters[0])
}

fn inner_substitute(letters: &[char]) -> io::Result<char> {
    outcome(letters[1])
}

#[fallback(|_| Ok('c'))]
#[circuit_breaker(name = "fallback counts", failure_threshold = 1, recovery_timeout = 1h)]
#[rate_limit(name = "fallback counts", limit = 3, per = 1h)]
#[bulkhead(name = "fallback counts", max_concurrent = 1)]
#[timeout(1s)]
async fn whole_stack(own: char) -> Result<char, steadfast::Error<io::Error>> {
    if own == 'h' { std::future::pending().await } else { outcome(own).map_err(steadfast::Error::from) }
}

#[tokio::test(start_paused = true)]
async fn rejections_and_timeouts_count_by_the_answer_of_the_fallback() {
    let _isolated = isolate();
    assert_eq!(whole_stack('s').await.unwrap(), 's');
    assert_eq!(whole_stack('h').await.unwrap(), 'c'); // times out and opens the circuit
    for _ in 0..3 {
        assert_eq!(whole_stack('s').await.unwrap(), 'c'); // rejected by the breaker
    }
    assert_eq!(counts("whole_stack"), [1, 4, 0, 0, 0]);
    let snapshot = breaker("fallback counts").unwrap().snapshot();
    assert_eq!((snapshot.successes, snapshot.failures, snapshot.rejections), (1, 1, 3));
    breaker("fallback counts").unwrap().reset();
    assert_eq!(whole_stack('s').await.unwrap(), 's');
    for _ in 0..2 {
        assert_eq!(whole_stack('s').await.unwrap(), 'c'); // rejected by the rate limit
    }
    assert_eq!(counts("whole_stack"), [2, 6, 0, 0, 0]);
}

#[fallback(|_| Some('c'))]
#[rate_limit(name = "fallback counts, made", limit = 2, per = 1h)]
#[bulkhead(name = "fallback counts, made", max_concurrent = 1, permits = permits, rejection = |_| Some('m'))]
fn made_by_bulkhead(permits: u32, own: Option<char>) -> Option<char> {
    own
}

#[fallback(|_| Some('c'))]
#[circuit_breaker(name = "fallback counts, made above", failure_threshold = 1)]
#[circuit_breaker(name = "fallback counts, made", failure_threshold = 1, rejection = |_| Some('m'))]
async fn made_by_breaker(own: Option<char>) -> Option<char> {
    own
}

#[fallback(|_| Some('c'))]
#[rate_limit(name = "fallback counts, made by a timeout", limit = 9, per = 1h, rejection = |_| Some('m'))]
#[timeout(1s, rejection = |_| Some('m'))]
async fn made_by_timeout(hangs: bool) -> Option<char> {
    if hangs { std::future::pending().await } else { Some('s') }
}

#[retry(max_attempts = 2, backoff = none, allow_order)]
#[fallback(|_| Some('c'), allow_order)]
#[rate_limit(name = "fallback counts, made below a retry", limit = 1, per = 1h, rejection = |_| Some('m'))]
fn made_below_retry(own: Option<char>) -> Option<char> {
    own
}

#[tokio::test(start_paused = true)]
async fn a_value_that_a_rejection_makes_counts_as_a_substitute() {
    let _isolated = isolate();
    assert_eq!(made_by_bulkhead(1, Some('s')), Some('s'));
    assert_eq!(made_by_bulkhead(2, Some('s')), Some('m'));
    assert_eq!(made_by_bulkhead(1, Some('s')), Some('c'), "rejected by the rate limit");
    assert_eq!(counts("made_by_bulkhead"), [1, 2, 0, 0, 0]);

    assert_eq!(made_by_breaker(Some('s')).await, Some('s'));
    assert_eq!(made_by_breaker(None).await, Some('c'));
    breaker("fallback counts, made above").unwrap().reset();
    assert_eq!(made_by_breaker(Some('s')).await, Some('m'));
    assert_eq!(counts("made_by_breaker"), [1, 2, 0, 0, 0]);
    let above = breaker("fallback counts, made above").unwrap().snapshot();
    assert_eq!((above.successes, above.failures, above.ignored), (1, 1, 1), "no evidence about the dependency");

    assert_eq!((made_by_timeout(true).await, made_by_timeout(false).await), (Some('m'), Some('s')));
    assert_eq!(counts("made_by_timeout"), [1, 1, 0, 0, 0]);

    assert_eq!((made_below_retry(Some('s')), made_below_retry(Some('s'))), (Some('s'), Some('m')));
    assert_eq!(counts("made_below_retry"), [1, 1, 0, 0, 0]);
}

static DEPOT: CircuitBreaker = CircuitBreaker::new("fallback counts, static", BreakerConfig::new());
const NAME: &str = "fallback counts, constant";

#[fallback(|_| Ok('c'))]
#[circuit_breaker(breaker = DEPOT)]
#[circuit_breaker(name = "fallback counts, key", key = own)]
#[circuit_breaker(name = NAME)]
fn three_breakers(own: char) -> io::Result<char> {
    outcome(own)
}

#[fallback(|_| Ok('c'))]
#[circuit_breaker(breaker = breaker)]
fn breaker_of_the_caller(breaker: &CircuitBreaker) -> io::Result<char> {
    outcome('f')
}

#[test]
fn the_breakers_of_the_stack_are_named() {
    let _isolated = isolate();
    assert_eq!(of("whole_stack").breakers, ["fallback counts"]);
    assert_eq!(of("below_retry").breakers, ["fallback counts, below"]);
    let all = ["fallback counts, constant", "fallback counts, key", "fallback counts, static"];
    assert_eq!(of("three_breakers").breakers, all);
    _ = three_breakers('f');
    _ = breaker_of_the_caller(&DEPOT);
    assert_eq!(of("breaker_of_the_caller").breakers, [""; 0]);
    assert_eq!(counts("breaker_of_the_caller"), [0, 1, 0, 0, 0]);
    assert_eq!(of("plain").breakers, [""; 0]);
}

#[test]
fn each_attempt_of_a_retry_above_counts() {
    let _isolated = isolate();
    assert!(below_retry(&['f', 'f']).is_err());
    assert_eq!(counts("below_retry"), [0, 0, 2, 0, 0]);
    assert!(below_retry(&['f', 's']).is_ok());
    assert_eq!(counts("below_retry"), [0, 1, 2, 0, 0]);
}

#[test]
fn calls_of_many_threads_are_counted_exactly() {
    const CALLS: u64 = 1_000;
    let isolated = isolate();
    thread::scope(|scope| {
        for _ in 0..8 {
            let handle = isolated.handle();
            scope.spawn(move || {
                let _isolated = handle.enter();
                for call in 0..CALLS {
                    let letters = [['s', 's'], ['f', 's'], ['f', 'f']][usize::try_from(call % 3).unwrap()];
                    _ = plain(letters[0], letters[1]);
                }
            });
        }
    });
    assert_eq!(counts("plain"), [8 * 334, 8 * 333, 8 * 333, 0, 0]);
}

#[test]
fn an_isolation_has_counts_of_its_own() {
    _ = isolated_only('f');
    {
        let _isolated = isolate();
        assert_eq!(counts("isolated_only"), [0; 5]);
        _ = (isolated_only('s'), ISOLATED.run(|| outcome('f'), |_| Ok('c')));
        assert_eq!(counts("isolated_only"), [1, 0, 0, 0, 0]);
        assert_eq!(counts("isolated fallback"), [0, 1, 0, 0, 0]);
    }
    assert_eq!(counts("isolated_only"), [0, 1, 0, 0, 0]);
    assert_eq!(counts("isolated fallback"), [0; 5]);
}

static ISOLATED: Fallback = Fallback::new("isolated fallback");

#[fallback(|_| Ok('c'))]
fn isolated_only(own: char) -> io::Result<char> {
    outcome(own)
}

static REGISTERED: Fallback = Fallback::new("registered fallback");
register!(REGISTERED);

#[tokio::test]
async fn fallbacks_without_attributes_are_counted_by_name() {
    let _isolated = isolate();
    assert_eq!(counts("registered fallback"), [0; 5], "listed before the first call");
    _ = REGISTERED.run(|| outcome('s'), |_| outcome('s'));
    _ = REGISTERED.run_async(async || outcome('f'), async |_| outcome('s')).await;
    _ = Fallback::new("registered fallback").run(|| outcome('f'), |_| outcome('f'));
    let not_found = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
    _ = REGISTERED.only_if(not_found).run(|| outcome('f'), |_| outcome('s'));
    _ = REGISTERED.only_if(not_found).run_async(async || outcome('f'), async |_| outcome('s')).await;
    _ = catch_unwind(|| REGISTERED.clone().run(|| outcome('p'), |_| outcome('s')));
    assert_eq!(counts("registered fallback"), [1, 1, 3, 0, 1]);

    let mut call = Box::pin(REGISTERED.run_async(async || outcome('f'), async |_| std::future::pending().await));
    assert!(matches!(call.as_mut().poll(&mut Context::from_waker(Waker::noop())), Poll::Pending));
    drop(call);
    assert_eq!(counts("registered fallback"), [1, 1, 3, 1, 1]);
    assert_eq!(of("registered fallback").breakers, [""; 0]);
}

#[test]
fn metrics_and_text_agree_with_the_counts() {
    let _isolated = isolate();
    for (own, substitute) in [('s', 's'), ('f', 's'), ('f', 'f'), ('p', 's')] {
        _ = catch_unwind(|| plain(own, substitute));
    }
    let name = of("plain").name;
    assert_eq!(of("plain").to_string(), format!("{name}: 4 calls, 1 answered, 1 by a fallback, 1 failed, 1 panicked"));
    let json = serde_json::to_value(of("three_breakers")).unwrap();
    assert_eq!(json["breakers"][0], "fallback counts, constant");
    assert_eq!(json["answered"], 0);
    let lines = scrape(SteadfastCollector::new(), Box::leak(format!("function=\"{name}\"").into_boxed_str()));
    for (outcome, count) in [("answered", 1), ("fallback", 1), ("failed", 1), ("cancelled", 0), ("panicked", 1)] {
        let line = format!("fallback_calls_total{{,outcome=\"{outcome}\"}} {count}");
        assert!(lines.contains(&line), "{line}\n{lines:#?}");
    }
}
