//! The rules of a circuit breaker that options select: what is a failure, what opens the circuit, what closes it, and the text of the failure
//! that opened it.

use std::{
    cell::Cell,
    fmt::{self, Debug, Display},
    future::pending,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, SystemTime},
};

use steadfast::{
    BreakerConfig,
    BreakerState::{Closed, HalfOpen, Open},
    CircuitBreaker, CircuitOpen, HistoryEvent, InvalidSetting, KeyedBreakers, OpenReason, Override, OwnedPermit,
    Permit, Schedule, TripRule, Window, breaker, bulkhead, circuit_breaker,
    events::{Event, subscribe},
    find_breaker, keyed_breakers, retry, testing, validate,
};
use tokio::time::{advance, timeout};

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn timed_out() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "no answer")
}

/// A response of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Response(u16);

fn is_outage(result: &io::Result<Response>) -> bool {
    match result {
        Ok(Response(status)) => *status >= 500,
        Err(error) => error.kind() != io::ErrorKind::NotFound,
    }
}

mod judged {
    use super::*;

    #[circuit_breaker(name = "judged", failure_threshold = 2, failure_if_result = is_outage)]
    pub(super) fn by_path(result: io::Result<Response>) -> io::Result<Response> {
        result
    }

    #[circuit_breaker(
        name = "judged async",
        failure_threshold = 2,
        failure_if_result = |result: &io::Result<Response>| result.as_ref().is_ok_and(|response| response.0 == limit)
    )]
    pub(super) async fn by_closure(limit: u16, result: io::Result<Response>) -> io::Result<Response> {
        tokio::task::yield_now().await;
        result
    }

    #[circuit_breaker(name = "judged option", failure_threshold = 2, failure_if_result = |value| *value == Some(0))]
    pub(super) fn option(value: Option<u8>) -> Option<u8> {
        value
    }

    #[circuit_breaker(name = "judged generic", failure_threshold = 1, failure_if_result = Result::is_ok)]
    pub(super) fn generic<'a, T: Debug, E: From<CircuitOpen>>(value: &'a mut T) -> Result<&'a mut T, E> {
        Ok(value)
    }

    #[circuit_breaker(name = "judged impl", failure_threshold = 1, failure_if_result = Result::is_ok)]
    pub(super) fn opaque() -> io::Result<impl Display> {
        Ok(1)
    }

    pub(super) type Alias<T> = Result<T, io::Error>;

    #[circuit_breaker(name = "judged alias", failure_threshold = 1, failure_if_result = Result::is_ok)]
    pub(super) fn alias() -> Alias<u8> {
        Ok(1)
    }

    #[circuit_breaker(name = "judged keyed", key = host, failure_threshold = 1, failure_if_result = is_outage)]
    pub(super) fn keyed(host: &str, status: u16) -> io::Result<Response> {
        _ = host;
        Ok(Response(status))
    }

    macro_rules! declared {
        ($value:ident) => {
            #[circuit_breaker(name = "judged by macro", failure_threshold = 1, failure_if_result = |result| result.is_none())]
            pub(super) fn by_macro($value: Option<u8>) -> Option<u8> {
                $value
            }
        };
    }
    declared!(value);
}

#[derive(Default)]
struct Client {
    calls: u32,
}

#[async_trait::async_trait]
trait Fetch {
    async fn fetch(&mut self, status: u16) -> io::Result<Response>;
}

#[async_trait::async_trait]
impl Fetch for Client {
    #[circuit_breaker(name = "judged method", failure_threshold = 2, failure_if_result = is_outage)]
    async fn fetch(&mut self, status: u16) -> io::Result<Response> {
        self.calls += 1;
        Ok(Response(status))
    }
}

#[test]
fn a_predicate_over_the_result_alone_decides() {
    let snapshot = || breaker("judged").unwrap().snapshot();
    assert_eq!(judged::by_path(Ok(Response(503))).unwrap(), Response(503));
    assert_eq!((snapshot().failures, snapshot().consecutive_failures), (1, 1));
    judged::by_path(Err(io::ErrorKind::NotFound.into())).unwrap_err();
    assert_eq!((snapshot().successes, snapshot().consecutive_failures), (1, 0), "an `Err` can be a success");
    judged::by_path(Err(timed_out())).unwrap_err();
    assert_eq!(judged::by_path(Ok(Response(500))).unwrap(), Response(500));
    assert_eq!((snapshot().state, snapshot().ignored), (Open, 0));
    let rejected = judged::by_path(Ok(Response(200))).unwrap_err();
    assert_eq!(rejected.kind(), io::ErrorKind::ResourceBusy);
    assert_eq!(snapshot().last_failure.unwrap().text.as_ref(), "`failure_if_result` selected the value");
}

#[tokio::test]
async fn a_predicate_over_the_result_of_an_async_function_uses_its_arguments() {
    let snapshot = || breaker("judged async").unwrap().snapshot();
    judged::by_closure(503, Ok(Response(500))).await.unwrap();
    judged::by_closure(503, Err(timed_out())).await.unwrap_err();
    assert_eq!((snapshot().successes, snapshot().failures), (2, 0));
    for _ in 0..2 {
        judged::by_closure(503, Ok(Response(503))).await.unwrap();
    }
    assert_eq!((snapshot().state, snapshot().failures), (Open, 2));
    judged::by_closure(503, Ok(Response(200))).await.unwrap_err();

    let mut client = Client::default();
    for status in [503, 404, 503, 500, 200] {
        _ = client.fetch(status).await;
    }
    assert_eq!((client.calls, breaker("judged method").unwrap().state()), (4, Open));
}

#[test]
fn a_predicate_over_the_result_in_functions_of_all_shapes() {
    for value in [None, Some(0), None, Some(0)] {
        assert_eq!(judged::option(value), value);
    }
    assert_eq!(breaker("judged option").unwrap().state(), Closed, "`None` is a success");
    judged::option(Some(0));
    assert_eq!(judged::option(Some(1)), None, "a rejected call");
    assert_eq!(*judged::generic::<_, io::Error>(&mut 1).unwrap(), 1);
    judged::generic::<_, io::Error>(&mut 1).unwrap_err();
    assert_eq!(judged::opaque().unwrap().to_string(), "1");
    assert!(judged::opaque().is_err());
    assert_eq!(judged::alias().unwrap(), 1);
    judged::alias().unwrap_err();
    judged::keyed("a", 503).unwrap();
    judged::keyed("b", 200).unwrap();
    judged::keyed("a", 200).unwrap_err();
    assert_eq!(keyed_breakers("judged keyed").unwrap().get("b").unwrap().state(), Closed);
    judged::by_macro(None);
    assert_eq!(judged::by_macro(Some(1)), None);
}

/// A value that is neither a `Result` nor an `Option`.
#[derive(Debug, PartialEq)]
enum Answer {
    Status(u16),
    Unavailable(String),
}

impl From<CircuitOpen> for Answer {
    fn from(open: CircuitOpen) -> Self {
        Self::Unavailable(open.name().to_owned())
    }
}

#[circuit_breaker(name = "plain value", failure_threshold = 1, failure_if_result = |answer| *answer == Answer::Status(503))]
fn answer(status: u16) -> Answer {
    Answer::Status(status)
}

#[retry(max_attempts = 3, backoff = none, retry_if_result = |answer| *answer != Answer::Status(200))]
#[circuit_breaker(name = "plain retried", failure_threshold = 2, failure_if_result = |answer| *answer == Answer::Status(503))]
async fn retried_answer(calls: &Cell<u32>) -> Answer {
    calls.set(calls.get() + 1);
    Answer::Status(503)
}

#[tokio::test]
async fn a_function_that_returns_neither_a_result_nor_an_option_converts_rejections() {
    assert_eq!(answer(200), Answer::Status(200));
    assert_eq!(answer(503), Answer::Status(503));
    assert_eq!(answer(200), Answer::Unavailable("plain value".to_owned()));
    let calls = Cell::new(0);
    let last = retried_answer(&calls).await;
    assert_eq!(
        (last, calls.get()),
        (Answer::Unavailable("plain retried".to_owned()), 2),
        "the retry returns the rejection"
    );
}

#[circuit_breaker(name = "judged above a limit", failure_if_result = Result::is_err)]
#[bulkhead(name = "judged above a limit", max_concurrent = 1)]
fn limited(inner: bool) -> io::Result<()> {
    if inner { limited(false) } else { Ok(()) }
}

#[circuit_breaker(name = "judged with a panic", failure_if_result = |_: &io::Result<()>| panic!("in the predicate"))]
fn panicking() -> io::Result<()> {
    Ok(())
}

#[test]
fn rejections_by_limits_and_panics_of_a_predicate_over_the_result() {
    limited(true).unwrap_err();
    let snapshot = breaker("judged above a limit").unwrap().snapshot();
    assert_eq!((snapshot.ignored, snapshot.failures), (1, 1), "{snapshot}");
    catch_unwind(|| _ = panicking()).unwrap_err();
    assert_eq!(breaker("judged with a panic").unwrap().snapshot().failures, 1);
}

#[allow(dead_code, reason = "only declared")]
mod disputed {
    use super::*;

    #[circuit_breaker(name = "disputed result", failure_threshold = 3, failure_if_result = is_outage)]
    fn by_result() -> io::Result<Response> {
        Ok(Response(200))
    }

    #[circuit_breaker(name = "disputed result")]
    fn by_default() -> io::Result<Response> {
        Ok(Response(200))
    }
}

#[test]
fn a_predicate_over_the_result_belongs_to_the_name() {
    let conflicts = validate().unwrap_err();
    let conflict = conflicts.iter().find(|conflict| conflict.name == "disputed result").unwrap().to_string();
    assert!(
        conflict.contains("counts different results as failures: `failure_if_result = is_outage` at ")
            && conflict.contains("use the same condition in both places"),
        "{conflict}"
    );
}

#[circuit_breaker(name = "either rule", failure_threshold = 3, window = calls(10), failure_rate = 0.5, min_calls = 6)]
fn either(succeeds: bool) -> io::Result<()> {
    if succeeds { Ok(()) } else { Err(timed_out()) }
}

#[test]
fn failures_in_a_row_and_the_rate_of_a_window_each_open_the_circuit() {
    let either_rule = breaker("either rule").unwrap();
    let run = |outcomes: &str| {
        either_rule.reset();
        for outcome in outcomes.chars() {
            assert_eq!(either_rule.state(), Closed, "{outcomes}");
            _ = either(outcome == 'S');
        }
        either_rule.snapshot()
    };
    for (outcomes, state, in_a_row) in
        [("FF", Closed, 2), ("FFSFF", Closed, 2), ("SSSSSSSSS", Closed, 0), ("FFF", Open, 0)]
    {
        let snapshot = run(outcomes);
        assert_eq!((snapshot.state, snapshot.consecutive_failures), (state, in_a_row), "{outcomes}");
    }
    let reason = run("SFFF").open_reason.unwrap();
    assert!(matches!(reason, OpenReason::ConsecutiveFailures { failures: 3, .. }), "{reason}");
    let reason = run("SFSFSF").open_reason.unwrap();
    assert!(matches!(reason, OpenReason::FailureRate { failures: 3, calls: 6, .. }), "{reason}");
    let snapshot = run("SFF");
    assert!(
        snapshot.to_string().contains("closed, 2 failures in a row, 2 failed and 0 slow of 3 calls in the window;"),
        "{snapshot}"
    );
    assert!(matches!(snapshot.config.threshold, TripRule::Rates { failures: Some(3), calls: Some(10), .. }));
    assert_eq!(snapshot.config.threshold.failure_threshold(), Some(3));
}

#[test]
fn a_window_replaces_only_a_threshold_that_is_not_set() {
    const WINDOW: Window = Window::calls(10);
    let with_both = BreakerConfig::new().failure_threshold(5).window(WINDOW);
    for (config, expected) in [
        (BreakerConfig::new(), Some(5)),
        (BreakerConfig::new().window(WINDOW), None),
        (BreakerConfig::critical(), Some(3)),
        (BreakerConfig::critical().window(WINDOW), None),
        (with_both, Some(5)),
        (BreakerConfig::new().window(WINDOW).failure_threshold(5), Some(5)),
    ] {
        assert_eq!(config.get_failure_threshold(), expected, "{config}");
    }
    assert_ne!(with_both, BreakerConfig::new().window(WINDOW));
    assert_eq!(with_both, BreakerConfig::new().window(WINDOW).failure_threshold(5));
    assert_eq!(BreakerConfig::new().failure_threshold(5), BreakerConfig::new(), "the default");
    assert!(with_both.to_string().starts_with("failure_threshold = 5, window = calls(10), failure_rate = 0.5, "));
    let json = serde_json::to_value(with_both).unwrap();
    assert_eq!((&json["failure_threshold"], json.get("threshold")), (&5.into(), None));
    assert!(serde_json::to_value(BreakerConfig::new().window(WINDOW)).unwrap()["failure_threshold"].is_null());
}

#[test]
fn a_threshold_beside_a_window_counts_cancelled_and_hung_calls() {
    let clock = testing::FakeClock::new();
    let _entered = clock.enter();
    let config = BreakerConfig::new().window(Window::calls(100)).min_calls(100).failure_threshold(3);
    let breaker = CircuitBreaker::new("both", config.cancelled_call(seconds(1)));
    for _ in 0..3 {
        let permit = breaker.try_acquire().unwrap();
        clock.advance(seconds(2));
        drop(permit);
    }
    let snapshot = breaker.snapshot();
    assert_eq!((snapshot.state, snapshot.failures, snapshot.cancelled), (Open, 0, 3));
    let breaker = CircuitBreaker::new("both", config.hung_call(seconds(5)));
    let _calls: Vec<Permit<'_>> = (0..3).map(|_| breaker.try_acquire().unwrap()).collect();
    clock.advance(seconds(6));
    assert!(matches!(breaker.try_acquire().unwrap_err().reason(), OpenReason::Hung { calls: 3, .. }));
}

#[circuit_breaker(name = "tolerant", failure_threshold = 1, half_open_max_calls = 5, half_open_successes = 3)]
fn tolerant(succeeds: bool) -> io::Result<()> {
    if succeeds { Ok(()) } else { Err(timed_out()) }
}

#[test]
fn a_half_open_circuit_opens_once_the_needed_successes_are_out_of_reach() {
    let breaker = breaker("tolerant").unwrap();
    for (outcomes, expected) in
        [("FF", HalfOpen), ("FFSS", HalfOpen), ("FFSSS", Closed), ("SSFFF", Open), ("SSS", Closed)]
    {
        breaker.apply_override(&Override::force_open().expires_in(Duration::ZERO));
        for outcome in outcomes.chars() {
            _ = tolerant(outcome == 'S');
        }
        let snapshot = breaker.snapshot();
        assert_eq!(snapshot.state, expected, "{outcomes}");
        if expected == HalfOpen {
            let count = |outcome| u32::try_from(outcomes.matches(outcome).count()).unwrap();
            assert_eq!((snapshot.trial_successes, snapshot.trial_failures), (count('S'), count('F')));
        }
    }
    assert_eq!((breaker.snapshot().config.half_open_max_calls, breaker.snapshot().config.half_open_successes), (5, 3));
    assert!(breaker.config().to_string().contains("half_open_max_calls = 5, half_open_successes = 3"));
    // By default all trial calls have to succeed. More than all means all.
    for config in [BreakerConfig::new(), BreakerConfig::new().half_open_successes(200)] {
        assert_eq!((config.get_half_open_max_calls(), config.get_half_open_successes()), (3, 3));
        assert_eq!(config, BreakerConfig::new());
    }
}

#[test]
fn fewer_needed_successes_take_effect_while_half_open() {
    let breaker = CircuitBreaker::new("adjusted", BreakerConfig::new());
    breaker.force_open_for(Duration::ZERO);
    breaker.try_acquire().unwrap().success();
    assert_eq!(breaker.state(), HalfOpen);
    breaker.reconfigure(breaker.config().half_open_successes(1));
    assert_eq!(breaker.state(), Closed);
    breaker.force_open_for(Duration::ZERO);
    breaker.try_acquire().unwrap().failure();
    assert_eq!(breaker.state(), HalfOpen);
    breaker.reconfigure(breaker.config().half_open_successes(3));
    assert_eq!(breaker.state(), Open);
}

/// An error without `Display`.
#[derive(Debug)]
struct Silent;

impl From<CircuitOpen> for Silent {
    fn from(_: CircuitOpen) -> Self {
        Self
    }
}

mod described {
    use super::*;

    #[circuit_breaker(name = "described", failure_threshold = 2)]
    pub(super) fn io(text: &str) -> io::Result<()> {
        Err(io::Error::other(text))
    }

    #[circuit_breaker(name = "described if", failure_threshold = 1, failure_if = |error: &io::Error| error.kind() == io::ErrorKind::TimedOut)]
    pub(super) async fn selected(error: io::Error) -> io::Result<()> {
        Err(error)
    }

    #[circuit_breaker(name = "described types", failure_threshold = 1, failure_if(io::Error))]
    pub(super) fn types() -> anyhow::Result<()> {
        Err(anyhow::Error::from(timed_out()).context("loading"))
    }

    #[circuit_breaker(name = "described generic", failure_threshold = 1)]
    pub(super) fn generic<E: Display + From<CircuitOpen>>(error: E) -> Result<(), E> {
        Err(error)
    }

    #[circuit_breaker(name = "described result", failure_threshold = 1, failure_if_result = Result::is_err)]
    pub(super) fn result() -> io::Result<()> {
        Err(timed_out())
    }

    #[circuit_breaker(name = "described silent", failure_threshold = 1)]
    pub(super) fn silent() -> Result<(), Silent> {
        Err(Silent)
    }

    #[circuit_breaker(name = "described option", failure_threshold = 1)]
    pub(super) fn option() -> Option<()> {
        None
    }

    #[circuit_breaker(name = "described panic", failure_threshold = 1)]
    pub(super) fn panic() -> io::Result<()> {
        panic!("in the call")
    }
}

fn text_of(name: &str) -> Option<String> {
    let breaker = breaker(name).unwrap();
    assert_eq!(breaker.state(), Open, "{name}");
    let rejected = breaker.try_acquire().unwrap_err();
    let text = breaker.snapshot().last_failure.map(|failure| failure.text.to_string());
    assert_eq!(rejected.last_failure(), text.as_deref(), "{name}");
    text
}

#[tokio::test]
async fn rejections_and_snapshots_contain_the_text_of_the_failure_that_opened_the_circuit() {
    let begun = SystemTime::now();
    described::io("the first").unwrap_err();
    assert_eq!(breaker("described").unwrap().snapshot().last_failure, None, "the circuit is closed");
    described::io("the second").unwrap_err();
    assert_eq!(text_of("described").as_deref(), Some("the second"));
    let rejected = described::io("not called").unwrap_err().downcast::<CircuitOpen>().unwrap();
    assert_eq!(rejected.last_failure(), Some("the second"));
    assert!(format!("{rejected:?}").contains("the second"), "{rejected:?}");
    let failure = breaker("described").unwrap().snapshot().last_failure.unwrap();
    assert!(failure.at >= begun - seconds(1) && failure.at <= SystemTime::now() + seconds(1), "{failure:?}");
    let json = serde_json::to_value(breaker("described").unwrap().snapshot()).unwrap();
    assert_eq!(json["last_failure"]["text"], "the second");
    assert!(json["last_failure"]["at"].is_f64(), "{json}");

    described::selected(io::ErrorKind::NotFound.into()).await.unwrap_err();
    described::selected(timed_out()).await.unwrap_err();
    assert_eq!(text_of("described if").as_deref(), Some("no answer"));
    described::types().unwrap_err();
    assert_eq!(text_of("described types").as_deref(), Some("loading"));
    described::generic(timed_out()).unwrap_err();
    assert_eq!(text_of("described generic").as_deref(), Some("no answer"));
    described::result().unwrap_err();
    assert_eq!(text_of("described result").as_deref(), Some("no answer"));
    described::silent().unwrap_err();
    assert_eq!(text_of("described silent"), None);
    described::option();
    assert_eq!(text_of("described option"), None);
    catch_unwind(|| _ = described::panic()).unwrap_err();
    assert_eq!(text_of("described panic").as_deref(), Some("the call panicked"));
}

#[test]
fn the_text_of_the_last_failure_follows_the_circuit() {
    let clock = testing::FakeClock::new();
    let _entered = clock.enter();
    let breaker = CircuitBreaker::new("followed", BreakerConfig::new().failure_threshold(1));
    let text = || breaker.snapshot().last_failure.map(|failure| failure.text.to_string());
    let fail = |text: &str| breaker.try_acquire().unwrap().failure_with(&text);
    fail("connection refused");
    let (earlier, unread) = (breaker.try_acquire().unwrap_err(), breaker.try_acquire().unwrap_err());
    assert_eq!(earlier.last_failure(), Some("connection refused"));
    // A failed trial call replaces the text.
    clock.advance(seconds(30));
    fail("still refused");
    assert_eq!(text().as_deref(), Some("still refused"));
    assert_eq!(breaker.try_acquire().unwrap_err().last_failure(), Some("still refused"));
    assert_eq!(earlier.last_failure(), Some("connection refused"));
    assert_eq!(earlier.clone().last_failure(), Some("connection refused"));
    assert_eq!(unread.last_failure(), None, "the circuit has opened again");
    // The text remains after the recovery, and rejections of trial calls contain it.
    clock.advance(seconds(30));
    let trials = [(); 3].map(|()| breaker.try_acquire().unwrap());
    assert_eq!(breaker.try_acquire().unwrap_err().last_failure(), Some("still refused"));
    trials.into_iter().for_each(Permit::success);
    assert_eq!((breaker.state(), text().as_deref()), (Closed, Some("still refused")));
    // An opening for another reason has no text.
    breaker.force_open();
    assert_eq!((breaker.try_acquire().unwrap_err().last_failure(), text()), (None, None));
    breaker.reset();
    fail("again");
    breaker.reset();
    breaker.try_acquire().unwrap().failure();
    assert_eq!((breaker.state(), text()), (Open, None), "a failure without an error");
}

#[test]
fn the_text_of_the_last_failure_is_bounded_and_formatted_only_if_the_circuit_opens() {
    struct Counted<'a>(&'a Cell<u32>);
    impl Display for Counted<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            self.0.set(self.0.get() + 1);
            f.write_str(&"x".repeat(1_000))
        }
    }

    let breaker = CircuitBreaker::new("counted", BreakerConfig::new().failure_threshold(100));
    let formatted = Cell::new(0);
    for call in 1..=100 {
        assert_eq!(formatted.get(), 0, "{call}");
        breaker.try_acquire().unwrap().failure_with(&Counted(&formatted));
    }
    assert_eq!(formatted.get(), 1);
    let rejected = breaker.try_acquire().unwrap_err();
    assert_eq!(rejected.last_failure().map(|text| text.chars().count()), Some(256));
}

#[test]
fn the_display_of_the_last_failure_may_use_the_breaker() {
    struct Reentrant<'a>(&'a CircuitBreaker);
    impl Display for Reentrant<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "{}", self.0.snapshot().state)
        }
    }

    let breaker = CircuitBreaker::new("reentrant", BreakerConfig::new().failure_threshold(1));
    breaker.try_acquire().unwrap().failure_with(&Reentrant(&breaker));
    assert_eq!(breaker.try_acquire().unwrap_err().last_failure(), Some("closed"));
}

#[test]
fn events_and_the_history_contain_the_text_of_the_failure() {
    let events = Arc::new(Mutex::new(Vec::new()));
    let _subscription = subscribe({
        let events = events.clone();
        move |event: &Event| {
            if let Event::StateChanged { breaker: "texts in events", error, .. } = event {
                events.lock().unwrap().push((event.to_string(), error.clone()));
            }
        }
    });
    let breaker = CircuitBreaker::new("texts in events", BreakerConfig::new().failure_threshold(1));
    breaker.try_acquire().unwrap().failure_with(&"refused");
    breaker.reset();
    let expected = [
        ("circuit `texts in events`: closed -> open after a failure".to_owned(), Some("refused".into())),
        ("circuit `texts in events`: open -> closed".to_owned(), None),
    ];
    assert_eq!(*events.lock().unwrap(), expected);
    let recent = breaker.recent();
    assert!(
        matches!(&recent[0].what, HistoryEvent::StateChanged { error: Some(text), .. } if &**text == "refused"),
        "{recent:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_circuit_that_cancelled_calls_opened_says_so() {
    for config in
        [BreakerConfig::new().failure_threshold(5), BreakerConfig::new().window(Window::calls(10)).min_calls(5)]
    {
        let breaker = CircuitBreaker::new("given up", config.cancelled_call(Duration::from_millis(200)));
        for _ in 0..5 {
            let call = breaker.call_async(async || pending::<io::Result<()>>().await);
            timeout(Duration::from_millis(300), call).await.unwrap_err();
        }
        let snapshot = breaker.snapshot();
        assert_eq!((snapshot.state, snapshot.failures, snapshot.cancelled), (Open, 0, 5));
        let text = snapshot.to_string();
        assert!(text.contains("failed or were cancelled without an answer") && !text.contains("5 failures"), "{text}");
        assert_eq!(snapshot.last_failure.unwrap().text.as_ref(), "the call was cancelled after 300.000ms");
        let rejected = breaker.try_acquire().unwrap_err();
        assert!(matches!(rejected.reason(), OpenReason::CancelledCalls { failures: 5, .. }), "{rejected}");
    }
}

#[test]
fn an_owned_permit_holds_its_breaker() {
    fn assert_send<T: Send + Sync + 'static>(permit: T) -> T {
        permit
    }

    let breaker = Arc::new(CircuitBreaker::new("owned", BreakerConfig::new().failure_threshold(1)));
    let permits = [(); 5].map(|()| assert_send(breaker.try_acquire_owned().unwrap()));
    let [success, ignored, dropped, late, failure] = permits;
    assert_eq!(Arc::strong_count(&breaker), 6);
    thread::spawn(move || {
        success.success();
        ignored.ignore();
        drop(dropped);
        failure.failure_with(&"refused");
    })
    .join()
    .unwrap();
    assert_eq!(Arc::strong_count(&breaker), 2, "a permit releases the breaker");
    let snapshot = breaker.snapshot();
    assert_eq!((snapshot.successes, snapshot.ignored, snapshot.cancelled, snapshot.failures), (1, 1, 1, 1));
    let rejected = Arc::clone(&breaker).try_acquire_owned().unwrap_err();
    assert_eq!((rejected.name(), rejected.last_failure()), ("owned", Some("refused")));
    drop(breaker);
    late.failure();
}

static HELD: CircuitBreaker = CircuitBreaker::new("held", BreakerConfig::new());
static HELD_BY_KEY: KeyedBreakers =
    KeyedBreakers::new("held by key", BreakerConfig::new().failure_threshold(1)).max_keys(1);

#[test]
fn a_breaker_that_is_not_found_is_explained() {
    assert!(std::ptr::eq(find_breaker("judged").unwrap(), breaker("judged").unwrap()));
    let error = find_breaker("judged keyed").unwrap_err();
    assert_eq!((error.name(), error.is_keyed()), ("judged keyed", true));
    assert!(error.to_string().ends_with("is declared with a `key`: use `keyed_breakers(\"judged keyed\")`"), "{error}");
    let error = find_breaker("judgd\n").unwrap_err();
    assert!(!error.is_keyed());
    assert!(error.to_string().starts_with("no circuit breaker is named `judgd\\n`: "), "{error}");
}

#[test]
fn owned_permits_of_statics_and_keys() {
    let permit: OwnedPermit = HELD.try_acquire().unwrap().into();
    thread::spawn(move || permit.success()).join().unwrap();
    drop(OwnedPermit::from(HELD.try_acquire().unwrap()));
    assert_eq!((HELD.snapshot().successes, HELD.snapshot().cancelled), (1, 1));

    let permit = HELD_BY_KEY.try_acquire_owned("a").unwrap();
    assert_eq!(HELD_BY_KEY.try_acquire_owned("b").map(OwnedPermit::success).map_err(|_| ()), Ok(()));
    assert!(HELD_BY_KEY.get("a").is_some(), "a breaker in use is not evicted");
    assert!(HELD_BY_KEY.get("b").is_none(), "the call of `b` went through the overflow breaker");
    permit.failure();
    let rejected = HELD_BY_KEY.try_acquire_owned("a").unwrap_err();
    assert_eq!(rejected.key(), Some("a"));
}

/// An error of another crate.
#[derive(Debug, PartialEq)]
enum Foreign {
    Busy,
    Missing,
    Rejected(CircuitOpen),
}

static CALLED: CircuitBreaker = CircuitBreaker::new("called", BreakerConfig::new().failure_threshold(1));

fn rejected(open: CircuitOpen) -> Foreign {
    Foreign::Rejected(open)
}

#[tokio::test]
async fn calls_with_conditions() {
    let mut fallible = CALLED.rejection(rejected).failure_if(|error: &Foreign| *error == Foreign::Busy);
    assert_eq!(fallible.call(|| Err::<(), _>(Foreign::Missing)), Err(Foreign::Missing));
    assert_eq!(fallible.call_async(async || Ok(1)).await, Ok(1));
    assert_eq!((CALLED.snapshot().ignored, CALLED.snapshot().successes), (1, 1));
    assert_eq!(fallible.call_async(async || Err::<(), _>(Foreign::Busy)).await, Err(Foreign::Busy));
    assert!(matches!(fallible.call(|| Ok(())), Err(Foreign::Rejected(open)) if open.name() == "called"));
    CALLED.reset();
    let by_result = CALLED.failure_if_result(|result: &Result<u16, Foreign>| matches!(result, Ok(500..)));
    let mut by_result = by_result.rejection(rejected);
    assert_eq!(by_result.call(|| Err(Foreign::Busy)), Err(Foreign::Busy));
    assert_eq!(by_result.call(|| Ok(503)), Ok(503));
    assert_eq!(CALLED.state(), Open);
    CALLED.reset();
    let mut panicking = CALLED.failure_if(|_: &io::Error| panic!("in the predicate"));
    catch_unwind(AssertUnwindSafe(|| panicking.call(|| Err::<(), _>(timed_out())))).unwrap_err();
    assert_eq!((CALLED.state(), CALLED.snapshot().failures), (Open, 3));
    // Closures that count their calls.
    CALLED.reset();
    let (mut judged, mut converted) = (0, 0);
    let mut counting = CALLED
        .rejection(|open| {
            converted += 1;
            Foreign::Rejected(open)
        })
        .failure_if_result(|_: &Result<(), Foreign>| {
            judged += 1;
            judged == 2
        });
    assert!(counting.call(|| Err(Foreign::Busy)).is_err());
    assert!(counting.call_async(async || Ok(())).await.is_ok());
    assert!(matches!(counting.call(|| Ok(())), Err(Foreign::Rejected(_))));
    assert_eq!((judged, converted), (2, 1));
    // A cancelled call, and a retry above.
    CALLED.reset();
    drop(CALLED.rejection(rejected).call_async(async || pending::<Result<(), _>>().await));
    let attempts = Cell::new(0);
    let policy = steadfast::RetryPolicy::new().backoff(Schedule::none());
    let result = policy.retry_if(|_: &Foreign| true).run(|| {
        attempts.set(attempts.get() + 1);
        CALLED.rejection(rejected).call(|| Err::<(), _>(Foreign::Busy))
    });
    assert!(matches!(result, Err(Foreign::Rejected(_))), "{result:?}");
    assert_eq!(attempts.get(), 2);
}

#[test]
fn settings_from_outside_are_checked_without_a_panic() {
    let config = BreakerConfig::new();
    let checks: [(Result<BreakerConfig, InvalidSetting>, &str); 13] = [
        (config.try_failure_threshold(0), "`failure_threshold` must be at least 1"),
        (config.try_failure_rate(0.0), "`failure_rate` must be above 0.0 and at most 1.0"),
        (config.try_failure_rate(f64::NAN), "`failure_rate` must be above 0.0 and at most 1.0"),
        (config.try_min_calls(0), "`min_calls` must be at least 1"),
        (config.try_slow_call(Duration::ZERO), "`slow_call` must be longer than zero"),
        (config.try_slow_call_rate(1.1), "`slow_call_rate` must be above 0.0 and at most 1.0"),
        (config.try_recovery_timeout(Duration::ZERO), "`recovery_timeout` must be longer than zero"),
        (config.try_exponential_recovery(seconds(2), 2.0, seconds(1)), "`max` must not be below `base`"),
        (config.try_recovery_jitter(-0.1), "`recovery_jitter` must be in 0.0..=1.0"),
        (config.try_half_open_max_calls(256), "`half_open_max_calls` must be at most 255"),
        (config.try_half_open_successes(0), "`half_open_successes` must be at least 1"),
        (config.try_hung_call(Duration::ZERO), "`hung_call` must be longer than zero"),
        (config.try_cancelled_call(Duration::ZERO), "`cancelled_call` must be longer than zero"),
    ];
    for (checked, expected) in checks {
        let error = checked.unwrap_err();
        assert!(error.to_string().starts_with(expected), "{error}");
    }
    let keyed = KeyedBreakers::new("checked", config);
    assert!(keyed.try_max_keys(0).unwrap_err().to_string().starts_with("`max_keys` must be at least 1"));
    assert!(Window::try_calls(0).unwrap_err().to_string().contains("at least 1 call"));
    assert!(Window::try_time(Duration::ZERO).unwrap_err().to_string().contains("a millisecond"));
    assert_eq!(config.try_half_open_successes(2).and_then(|config| config.try_failure_threshold(7)).unwrap(), {
        config.half_open_successes(2).failure_threshold(7)
    });
}

#[tokio::test(start_paused = true)]
async fn a_growing_recovery_with_tolerated_failures() {
    let config = BreakerConfig::new()
        .failure_threshold(1)
        .exponential_recovery(seconds(1), 2.0, seconds(60))
        .half_open_max_calls(2)
        .half_open_successes(1);
    let breaker = CircuitBreaker::new("growing and tolerant", config);
    breaker.try_acquire().unwrap().failure();
    for (failed, recovery) in [(0, 1), (1, 2), (2, 4)] {
        assert_eq!(breaker.snapshot().open_for, Some(seconds(recovery)));
        advance(seconds(recovery)).await;
        breaker.try_acquire().unwrap().failure();
        let snapshot = breaker.snapshot();
        assert_eq!((snapshot.state, snapshot.failed_recoveries), (HalfOpen, failed));
        breaker.try_acquire().unwrap().failure();
        assert_eq!((breaker.state(), breaker.snapshot().failed_recoveries), (Open, failed + 1));
    }
    advance(seconds(8)).await;
    breaker.try_acquire().unwrap().failure();
    breaker.try_acquire().unwrap().success();
    assert_eq!(breaker.state(), Closed);
}
