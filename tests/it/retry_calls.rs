//! `RetryCall`: predicates, hooks and stop signals of a policy without an attribute. Policies with a name.

use std::{
    cell::{Cell, RefCell},
    error::Error,
    io,
    rc::Rc,
    sync::{Arc, Mutex},
    time::Duration,
};

use steadfast::{
    Backoff, BreakerConfig, CircuitBreaker, Fallback, Jitter, MatchingErrors, MatchingResults, Nested, NoHook,
    RetryBudget, RetryCall, RetryContext, RetryPolicy, RetrySnapshot, Schedule, Stop, StopSignal, Transient,
    configure_from_toml, retries, retry, testing::FakeClock,
};

use crate::{Failure, Script};

const SECOND: Duration = Duration::from_secs(1);
const PLAIN: RetryPolicy = RetryPolicy::new().max_attempts(4).backoff(Schedule::fixed(SECOND)).jitter(Jitter::none());

/// An error without any trait but `Debug`.
#[derive(Debug, PartialEq)]
struct Bare(u32);

fn is_transient(error: &Failure) -> bool {
    matches!(error, Failure::Transient(_))
}

#[tokio::test(start_paused = true)]
async fn predicates_and_hooks_may_have_state() {
    let clock = FakeClock::beside_tokio();
    let _entered = clock.enter();
    let (script, mut judged, mut hooked) = (Script::new("TTP"), 0, Vec::new());
    let call = PLAIN
        .retry_if(|error: &Failure| {
            judged += 1;
            is_transient(error)
        })
        .on_retry(|attempt, delay, error: &Failure| hooked.push((attempt, delay, error.to_string())));
    assert_eq!(call.run(|| script.call()), Err(Failure::Permanent));
    assert_eq!((judged, script.calls()), (3, 3));
    let expected = [(1, SECOND, "not now, attempt 1".to_owned()), (2, SECOND, "not now, attempt 2".to_owned())];
    assert_eq!(hooked, expected);
    assert_eq!(clock.slept(), [SECOND; 2]);

    let (script, mut judged, mut hooked) = (Script::new("T"), 0, 0);
    let call = PLAIN.on_retry(|_, _, _: &Failure| hooked += 1).retry_if(|error: &Failure| {
        judged += 1;
        judged < 3 && is_transient(error)
    });
    assert_eq!(call.run_async(async || script.call()).await, Err(Failure::Transient(3)));
    assert_eq!((judged, hooked), (3, 2));
}

#[tokio::test(start_paused = true)]
async fn a_hook_without_a_predicate_uses_the_error_type() {
    let clock = FakeClock::beside_tokio();
    let _entered = clock.enter();
    let (script, mut hooked) = (Script::new("TP"), Vec::new());
    let call = PLAIN.on_retry(|attempt, _, error: &Failure| hooked.push(format!("{attempt} {error:?}")));
    assert_eq!(call.run(|| script.call()), Err(Failure::Permanent));
    assert_eq!(hooked, ["1 Transient(1)"]);
    let (script, hooked) = (Script::new("TTS"), RefCell::new(Vec::new()));
    let call = PLAIN.on_retry(|attempt, _, _: &Failure| hooked.borrow_mut().push(attempt));
    assert_eq!(call.run_async(async || script.call()).await, Ok(3));
    assert_eq!(hooked.take(), [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_value_of_any_type_can_be_retried() {
    let clock = FakeClock::beside_tokio();
    let _entered = clock.enter();
    let (mut number, mut hooked) = (0, Vec::new());
    let call = PLAIN.retry_if_result(|number| *number < 3).on_retry(|_, _, number: &u32| hooked.push(*number));
    let last = call.run(|| {
        number += 1;
        number
    });
    assert_eq!((last, hooked), (3, vec![1, 2]));
    let calls = Cell::new(0);
    let never = PLAIN.retry_if_result(Option::is_none).run_async(async || {
        calls.set(calls.get() + 1);
        None::<Rc<u8>>
    });
    assert_eq!((never.await, calls.get()), (None, 4));
    let result = PLAIN.retry_if_result(Result::is_err).run(|| Err::<(), _>(Bare(1)));
    assert_eq!(result, Err(Bare(1)));
}

#[tokio::test(start_paused = true)]
async fn a_stop_signal_may_be_shared() {
    let signal = Arc::new(StopSignal::new());
    let run = |call: RetryCall<'_, MatchingErrors<Bare>, NoHook, &dyn Stop>| {
        let calls = Cell::new(0);
        let result = call.run(|| {
            calls.set(calls.get() + 1);
            signal.stop();
            Err::<(), _>(Bare(calls.get()))
        });
        assert_eq!(result, Err(Bare(1)));
    };
    let always: fn(&Bare) -> bool = |_| true;
    run(PLAIN.retry_if(always).stop_on(&signal));
    let boxed: Box<dyn Stop> = Box::new(signal.clone());
    run(PLAIN.retry_if(always).stop_on(&boxed));

    let signal = Arc::new(StopSignal::new());
    let start = tokio::time::Instant::now();
    let stopping = async {
        tokio::time::sleep(SECOND / 2).await;
        signal.stop();
    };
    let mut hooked = 0;
    let call = PLAIN.stop_on(&signal).retry_if(always).on_retry(|_, _, _: &Bare| hooked += 1);
    let (result, ()) = tokio::join!(call.run_async(async || Err::<(), _>(Bare(7))), stopping);
    assert_eq!((result, start.elapsed(), hooked), (Err(Bare(7)), SECOND / 2, 1));
}

#[test]
fn a_call_can_be_named_and_reused() {
    type Hook = fn(u32, Duration, &u32);

    struct Client {
        send: RetryCall<'static, MatchingErrors<Bare>>,
        poll: RetryCall<'static, MatchingResults<u32>, Hook>,
    }

    static POLICY: RetryPolicy = RetryPolicy::new().backoff(Schedule::none());
    static STORED: RetryCall<'static, MatchingErrors<Bare>> = POLICY.retry_if(|bare| bare.0 < 2);

    let client = Client {
        send: POLICY.retry_if(|bare| bare.0 < 2),
        poll: POLICY.retry_if_result((|number| *number < 2) as fn(&u32) -> bool).on_retry(|_, _, _| {}),
    };
    for call in [client.send, STORED, client.send] {
        let mut calls = 0;
        let result = call.run(|| {
            calls += 1;
            Err::<(), _>(Bare(calls))
        });
        assert_eq!(result, Err(Bare(2)));
    }
    assert_eq!(client.poll.run(|| 3), 3);
}

#[test]
fn futures_are_send_although_the_error_is_not() {
    fn assert_send<T: Send>(_: T) {}

    assert_send(PLAIN.retry_if(|_: &Rc<u8>| true).run_async(|| async { Err::<(), Rc<u8>>(Rc::new(1)) }));
    let hooked = PLAIN.retry_if(|_: &Rc<u8>| true).on_retry(|_, _, _: &Rc<u8>| {});
    assert_send(hooked.run_async(|| async { Err::<(), Rc<u8>>(Rc::new(1)) }));
    let signal = StopSignal::new();
    assert_send(PLAIN.stop_on(&signal).run_async(|| async { Err::<(), io::Error>(io::ErrorKind::TimedOut.into()) }));
}

#[test]
fn an_open_circuit_ends_the_retry() {
    static BREAKER: CircuitBreaker = CircuitBreaker::new("retry calls", BreakerConfig::new());
    BREAKER.force_open();
    let attempts = Cell::new(0);
    let work = || {
        attempts.set(attempts.get() + 1);
        BREAKER.call(|| Ok::<(), Failure>(()))
    };
    let clock = FakeClock::new();
    let _entered = clock.enter();
    for (made, result) in [
        PLAIN.retry_if(|_: &Failure| true).run(work),
        PLAIN.on_retry(|_, _, _: &Failure| {}).run(work),
        PLAIN.retry_if_result(Result::is_err).run(work),
    ]
    .into_iter()
    .enumerate()
    {
        assert!(matches!(result, Err(Failure::Open(_))), "{made}");
    }
    assert_eq!((attempts.get(), clock.slept()), (3, vec![]));
}

#[test]
fn events_contain_the_text_of_an_error_under_a_predicate() {
    let events = crate::collect_events("retry `texts of calls");
    let policy = RetryPolicy::new().max_attempts(1).name("texts of calls");
    let call = policy.retry_if(|_: &io::Error| true);
    let fail = || Err::<(), _>(io::Error::other("what happened"));
    call.run(fail).unwrap_err();
    call.with_error_texts().run(fail).unwrap_err();
    call.with_errors().run(fail).unwrap_err();
    policy.retry_if(|_: &String| true).with_error_texts().run(|| Err::<(), _>("a string".to_owned())).unwrap_err();
    let ended = "retry `texts of calls`: exhausted after attempt 1";
    let expected = ["", " (what happened)", " (what happened)", " (a string)"].map(|text| format!("{ended}{text}"));
    assert_eq!(events.texts(), expected);
}

/// A backoff that ends the retry at the error "gone", and records the texts of all errors.
struct Choosy(Mutex<Vec<String>>);

impl Backoff for Choosy {
    fn delay(&self, retry: &RetryContext<'_>) -> Duration {
        retry.error.map_or(SECOND, |_| Duration::ZERO)
    }

    fn should_retry(&self, retry: &RetryContext<'_>) -> bool {
        let text = retry.error.map_or_else(|| "unknown".to_owned(), ToString::to_string);
        let is_gone = text == "gone";
        self.0.lock().unwrap().push(text);
        let error = retry.error.and_then(|error| error.downcast_ref::<io::Error>());
        !is_gone && error.is_none_or(|error| error.kind() != io::ErrorKind::NotFound)
    }
}

impl Choosy {
    fn seen(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

static CHOOSY: Choosy = Choosy(Mutex::new(Vec::new()));

#[derive(Debug, thiserror::Error, Transient)]
#[error("borrowed {text}")]
#[transient]
struct Borrowed<'a> {
    text: &'a str,
}

#[derive(Clone, Debug, thiserror::Error, Transient)]
#[error("{0}")]
#[transient]
struct Text(&'static str);

#[retry(backoff = CHOOSY, jitter = none)]
fn by_attribute(kind: io::ErrorKind) -> io::Result<()> {
    Err(kind.into())
}

#[retry(backoff = CHOOSY, jitter = none, retry_if = any)]
async fn boxed(text: &'static str) -> Result<(), Box<dyn Error + Send + Sync>> {
    Err(text.into())
}

#[retry(backoff = CHOOSY, jitter = none, retry_if = any)]
fn of_anyhow() -> anyhow::Result<()> {
    Err(anyhow::anyhow!("gone"))
}

#[retry(max_attempts = 2, backoff = CHOOSY, jitter = none)]
fn of_option() -> Option<()> {
    None
}

#[retry(max_attempts = 2, backoff = CHOOSY, jitter = none, retry_if = any)]
fn of_string() -> Result<(), String> {
    Err("no error type".to_owned())
}

#[retry(max_attempts = 2, backoff = CHOOSY, jitter = none)]
fn borrowed(text: &str) -> Result<(), Borrowed<'_>> {
    Err(Borrowed { text })
}

#[retry(max_attempts = 2, backoff = CHOOSY, jitter = none)]
fn generic<E: Error + Transient + Clone>(error: E) -> Result<(), E> {
    Err(error)
}

struct Service<E>(E);

impl<E: Error + Transient + Clone> Service<E> {
    #[retry(max_attempts = 2, backoff = CHOOSY, jitter = none)]
    fn call(&self) -> Result<(), E> {
        Err(self.0.clone())
    }
}

#[tokio::test(start_paused = true)]
async fn a_backoff_sees_the_error_and_may_end_the_retry() {
    let clock = FakeClock::beside_tokio();
    let _entered = clock.enter();
    let policy = PLAIN.backoff(Schedule::custom(&CHOOSY)).max_attempts(3).name("choosy");

    by_attribute(io::ErrorKind::TimedOut).unwrap_err();
    assert_eq!(CHOOSY.seen(), ["timed out"; 2]);
    boxed("gone").await.unwrap_err();
    boxed("busy").await.unwrap_err();
    assert_eq!(CHOOSY.seen(), ["gone", "busy", "busy"]);
    of_anyhow().unwrap_err();
    assert_eq!(CHOOSY.seen(), ["gone"]);
    assert_eq!(clock.slept(), [], "the delay depends on the error");
    of_option();
    of_string().unwrap_err();
    borrowed("text").unwrap_err();
    generic(Text("gone")).unwrap_err();
    Service(Text("gone")).call().unwrap_err();
    assert_eq!(CHOOSY.seen(), ["unknown"; 5]);

    let events = crate::collect_events("retry `choosy`");
    policy.run(|| Err::<(), _>(Text("gone"))).unwrap_err();
    assert_eq!(CHOOSY.seen(), ["gone"]);
    policy.run(|| Err::<(), io::Error>(io::Error::new(io::ErrorKind::TimedOut, Text("gone")))).unwrap_err();
    policy.run_async(async || Err::<(), _>(anyhow::Error::new(Text("gone")))).await.unwrap_err();
    assert_eq!(CHOOSY.seen(), ["gone", "gone"]);
    let not_found = || Err::<(), _>(io::Error::from(io::ErrorKind::NotFound));
    policy.retry_if(|_: &io::Error| true).with_errors().run(not_found).unwrap_err();
    assert_eq!(CHOOSY.seen(), ["entity not found"]);
    policy.retry_if(|_: &io::Error| true).run(not_found).unwrap_err();
    assert_eq!(CHOOSY.seen(), ["unknown"; 2]);
    let ended = events.texts().into_iter().filter(|text| text.contains("exhausted after attempt 1")).count();
    assert_eq!(ended, 4);
}

fn counted(name: &str) -> Option<RetrySnapshot> {
    retries().into_iter().find(|retry| retry.name == name)
}

static LISTED: RetryPolicy = PLAIN.name("listed_policy");
steadfast::register!(LISTED);

#[tokio::test(start_paused = true)]
async fn a_policy_with_a_name_is_counted() {
    let clock = FakeClock::beside_tokio();
    let _entered = clock.enter();
    assert_eq!(counted("listed_policy").unwrap().calls(), 0, "listed before its first call");
    assert_eq!(counted("unlisted policy"), None);
    let policy = PLAIN.name("unlisted policy");
    policy.run(|| Script::new("S").call()).unwrap();
    let script = Script::new("TS");
    policy.max_attempts(2).run(|| script.call()).unwrap();
    policy.retry_if(is_transient).run(|| Script::new("P").call()).unwrap_err();
    policy.run_async(async || Script::new("S").call()).await.unwrap();
    assert!(tokio::time::timeout(SECOND, policy.run_async(std::future::pending::<Result<(), Failure>>)).await.is_err());
    let unlisted = counted("unlisted policy").unwrap();
    assert_eq!((unlisted.first_try_successes, unlisted.retried_successes, unlisted.not_transient), (2, 1, 1));
    assert_eq!((unlisted.cancelled, unlisted.attempts, unlisted.retries), (1, 6, 1));

    // A copy is the same policy, and the name alone is not a budget.
    let copy = LISTED;
    copy.run(|| Script::new("S").call()).unwrap();
    assert_eq!(counted("listed_policy").unwrap().first_try_successes, 1);
    configure_from_toml("[retry.listed_policy]\nmax_attempts = 2\nbackoff = \"none\"\njitter = \"none\"").unwrap();
    let script = Script::new("T");
    LISTED.run(|| script.call()).unwrap_err();
    LISTED.retry_if(is_transient).run_async(async || script.call()).await.unwrap_err();
    assert_eq!(script.calls(), 4, "settings from a file apply");
    configure_from_toml("").unwrap();
    let script = Script::new("T");
    LISTED.run(|| script.call()).unwrap_err();
    assert_eq!(script.calls(), 4);
}

#[test]
fn a_policy_with_a_name_has_metrics() {
    let policy = PLAIN.name("policy with metrics");
    policy.run(|| Script::new("S").call()).unwrap();
    let label = "retry=\"policy with metrics\"";
    let lines = crate::support::scrape(steadfast::prometheus::SteadfastCollector::new(), label);
    assert!(lines.iter().any(|line| line.contains("outcome=\"first_try\"") && line.ends_with(" 1")), "{lines:?}");
}

#[test]
fn many_different_policies_do_not_exhaust_memory() {
    for millis in 1..3_000 {
        let policy = RetryPolicy::new().name("made up").backoff(Schedule::fixed(Duration::from_millis(millis)));
        policy.run(|| Ok::<_, Failure>(())).unwrap();
    }
    let counted = counted("made up").unwrap().calls();
    assert!((1..=1_024).contains(&counted), "{counted}");
}

#[test]
fn the_settings_of_a_policy_can_be_read() {
    static BUDGET: RetryBudget = RetryBudget::new().min_concurrency(3);
    let policy = PLAIN
        .max_elapsed(30 * SECOND)
        .max_retry_after(2 * SECOND)
        .budget(&BUDGET)
        .nested(Nested::Inherit)
        .name("read")
        .retry_rejections();
    assert_eq!(policy.get_max_attempts(), Some(4));
    assert_eq!(policy.unlimited(SECOND).get_max_attempts(), None);
    assert_eq!((policy.get_backoff(), policy.get_jitter()), (Schedule::fixed(SECOND), Jitter::none()));
    assert_eq!((policy.get_max_elapsed(), policy.get_max_retry_after()), (Some(30 * SECOND), 2 * SECOND));
    assert_eq!((policy.get_name(), policy.get_nested()), (Some("read"), Nested::Inherit));
    assert!(policy.get_retry_rejections() && std::ptr::eq(policy.get_budget().unwrap(), &raw const BUDGET));
    assert_eq!((BUDGET.get_reserve_per_second(), BUDGET.get_min_concurrency()), (10, 3));
    assert!((BUDGET.get_ratio() - 0.2).abs() < 1e-9);
    assert_eq!(policy, { policy });
    assert_ne!(policy, policy.max_retry_after(SECOND));
    assert_eq!(
        policy.to_string(),
        "max_attempts = 4, backoff = fixed(1s), jitter = none, max_elapsed = 30s, max_retry_after = 2s"
    );
    assert_eq!(
        RetryPolicy::new().to_string(),
        "max_attempts = 3, backoff = exponential(base = 100ms, factor = 2, max = 30s), jitter = full"
    );
}

#[test]
fn invalid_settings_from_outside_are_errors() {
    let policy = RetryPolicy::new();
    for (text, error) in [
        (policy.try_max_attempts(0).map(drop), "`max_attempts` must be at least 1: it counts the first call as well"),
        (
            policy.try_max_retry_after(Duration::ZERO).map(drop),
            "`max_retry_after` must be longer than 0: with 0, any hint would end the retry",
        ),
        (Jitter::try_symmetric(1.5).map(drop), "the share of `symmetric` must be in 0.0..=1.0"),
        (Jitter::try_proportional(-0.1).map(drop), "the share of `proportional` must be in 0.0..=1.0"),
        (Schedule::try_exponential(SECOND, 0.5, SECOND).map(drop), "`factor` must be a finite number of at least 1"),
        (Schedule::try_linear(SECOND, SECOND, SECOND / 2).map(drop), "`max` must not be below `base`"),
        (Schedule::try_fibonacci(SECOND, SECOND / 2).map(drop), "`max` must not be below `base`"),
        (Schedule::try_decorrelated(SECOND, SECOND / 2).map(drop), "`max` must not be below `base`"),
        (
            RetryBudget::new().try_ratio(2.0).map(drop),
            "`ratio` must be in 0.0..=1.0; 0.2 is a retry for every five calls",
        ),
    ] {
        assert_eq!(text.unwrap_err().to_string(), error);
    }
}

#[retry(
    max_attempts = 4,
    backoff = none,
    retry_if = |error| { *judged += 1; is_transient(error) },
    on_retry = |attempt, _, _| hooked.push(attempt),
)]
fn with_state(script: &Script, judged: &mut u32, hooked: &mut Vec<u32>) -> Result<u32, Failure> {
    script.call()
}

#[retry(
    max_attempts = 4,
    backoff = none,
    retry_if = |error| { *judged += 1; is_transient(error) },
    on_retry = |attempt, _, _| hooked.push(attempt),
)]
async fn with_state_async(script: &Script, judged: &mut u32, hooked: &mut Vec<u32>) -> Result<u32, Failure> {
    *judged += 10;
    script.call()
}

#[retry(max_attempts = 4, backoff = none, retry_if_result = |_| { *left -= 1; *left > 0 })]
fn with_state_by_value(script: &Script, left: &mut u32) -> Result<u32, Failure> {
    script.call()
}

#[tokio::test(start_paused = true)]
async fn closures_of_an_attribute_may_have_state() {
    let (script, mut judged, mut hooked) = (Script::new("TTS"), 0, Vec::new());
    assert_eq!(with_state(&script, &mut judged, &mut hooked), Ok(3));
    assert_eq!((judged, hooked), (2, vec![1, 2]));
    let (script, mut judged, mut hooked) = (Script::new("TTS"), 0, Vec::new());
    assert_eq!(with_state_async(&script, &mut judged, &mut hooked).await, Ok(3));
    assert_eq!((judged, hooked), (32, vec![1, 2]));
    let script = Script::new("S");
    with_state_by_value(&script, &mut 3).unwrap();
    assert_eq!(script.calls(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_fallback_takes_the_errors_that_the_attribute_takes() {
    static FALLBACK: Fallback = Fallback::new("fallback of calls");
    let result = FALLBACK.run(|| Err(anyhow::anyhow!("gone")), |error| Ok(error.to_string()));
    assert_eq!(result.unwrap(), "gone");
    let result = FALLBACK.run_async(async || Err(anyhow::anyhow!("gone")), async |error| Ok(error.to_string()));
    assert_eq!(result.await.unwrap(), "gone");
    let boxed = || Err::<u32, Box<dyn Error>>("gone".into());
    let is_gone = |error: &_| ToString::to_string(error) == "gone";
    assert_eq!(FALLBACK.only_if(is_gone).run(boxed, |_| Ok(1)).unwrap(), 1);
    let mut judged = 0;
    let mut count = |_: &anyhow::Error| {
        judged += 1;
        false
    };
    FALLBACK.only_if(&mut count).run(|| Err::<(), _>(anyhow::anyhow!("gone")), |_| Ok(())).unwrap_err();
    assert_eq!(judged, 1);
}

#[derive(Debug)]
struct OneSecond;

impl Backoff for OneSecond {
    fn delay(&self, _: &RetryContext<'_>) -> Duration {
        SECOND
    }
}

#[derive(Debug)]
struct TwoSeconds;

impl Backoff for TwoSeconds {
    fn delay(&self, _: &RetryContext<'_>) -> Duration {
        2 * SECOND
    }
}

#[test]
fn policies_with_backoffs_of_different_types_are_different() {
    const POLICY: RetryPolicy =
        RetryPolicy::new().name("backoffs without a size").max_attempts(2).jitter(Jitter::none());
    static ONE: RetryPolicy = POLICY.backoff(Schedule::custom(&OneSecond));
    static TWO: RetryPolicy = POLICY.backoff(Schedule::custom(&TwoSeconds));
    assert_ne!(ONE, TWO);
    let clock = FakeClock::new();
    let _entered = clock.enter();
    for policy in [&ONE, &TWO] {
        policy.run(|| Err::<(), _>(io::Error::from(io::ErrorKind::TimedOut))).unwrap_err();
    }
    assert_eq!(clock.slept(), [SECOND, 2 * SECOND]);
}
