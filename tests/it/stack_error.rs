//! `steadfast::Error<E>`: one error type for all attributes, with `?`, retries, fallbacks and chains of sources.

use std::{cell::Cell, error::Error as _, fmt, future::pending, io, time::Duration};

use steadfast::{
    BreakerConfig, CircuitBreaker, CircuitOpen, Error, InnerError, RetryPolicy, Schedule, TimedOut, Transient,
    bulkhead, circuit_breaker, fallback, rate_limit, retry, timeout,
};

#[derive(Clone, Debug, PartialEq, thiserror::Error, Transient)]
enum PaymentError {
    #[error("busy")]
    #[transient(retry_after = 0)]
    Busy(Duration),
    #[error("declined")]
    Declined,
}

/// A type without `Transient`, whose author has written the one line for `?`.
#[derive(Debug, PartialEq)]
struct Code(u8);

impl InnerError for Code {}

#[derive(Debug, Transient)]
enum Generic<T: fmt::Debug> {
    #[transient]
    Value(T),
}

#[timeout(10s)]
#[retry(max_attempts = 3, backoff = none)]
#[circuit_breaker(name = "stack error: whole stack", failure_threshold = 3, hung_call = 1h)]
#[rate_limit(name = "stack error: whole stack", limit = 100, per = 1s)]
#[bulkhead(name = "stack error: whole stack", max_concurrent = 1)]
#[timeout(1s)]
async fn whole_stack(calls: &Cell<u32>, outcome: Result<u8, PaymentError>) -> Result<u8, Error<PaymentError>> {
    calls.set(calls.get() + 1);
    if calls.get() == 2 {
        pending::<()>().await;
    }
    Ok(outcome?)
}

#[tokio::test(start_paused = true)]
async fn a_whole_stack_returns_the_error_of_the_function_or_of_an_attribute() {
    let busy = || Err(PaymentError::Busy(Duration::ZERO));
    let calls = Cell::new(0);
    assert_eq!(whole_stack(&calls, Ok(1)).await, Ok(1));
    // Two attempts: one that times out, and one that fails. The breaker is then open for the third.
    let result = whole_stack(&calls, busy()).await;
    assert_eq!(result, Err(Error::Inner(PaymentError::Busy(Duration::ZERO))), "all attempts fail");
    assert_eq!(calls.get(), 4, "the timeout and the inner error are transient, so there are three attempts");
    let open = whole_stack(&calls, Ok(1)).await.unwrap_err();
    assert!(matches!(open, Error::CircuitOpen(_)) && open.is_rejection(), "{open:?}");
    assert_eq!(calls.get(), 4, "a rejection is not retried");
}

#[rate_limit(name = "stack error: limit", limit = 1, per = 1h)]
fn limited() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[bulkhead(name = "stack error: bulkhead", max_concurrent = 1)]
fn held(inner: impl FnOnce() -> Result<(), Error<io::Error>>) -> Result<(), Error<io::Error>> {
    inner()
}

fn call_when_full() -> Result<(), Error<io::Error>> {
    held(|| held(|| Ok(())))
}

#[timeout(1ms)]
async fn hangs() -> Result<(), Error<io::Error>> {
    pending().await
}

#[circuit_breaker(name = "stack error: open")]
fn rejected() -> Result<(), Error<io::Error>> {
    Ok(())
}

#[circuit_breaker(name = "stack error: hidden type")]
#[rate_limit(name = "stack error: hidden type", limit = 1, per = 1h)]
#[bulkhead(name = "stack error: hidden type", max_concurrent = 1)]
fn hidden_type(text: &str) -> Result<impl fmt::Display + '_, Error<io::Error>> {
    Ok(text)
}

type Alias<'a, T> = Result<&'a T, Error<io::Error>>;

#[circuit_breaker(name = "stack error: alias")]
#[rate_limit(name = "stack error: alias", limit = 1, per = 1h)]
#[bulkhead(name = "stack error: alias", max_concurrent = 1)]
async fn alias<T>(value: &T) -> Alias<'_, T> {
    Ok(value)
}

#[circuit_breaker(name = "stack error: option")]
#[rate_limit(name = "stack error: option", limit = 1, per = 1h)]
#[bulkhead(name = "stack error: option", max_concurrent = 1)]
fn optional() -> Option<u8> {
    Some(1)
}

#[circuit_breaker(name = "stack error: parameter")]
#[rate_limit(name = "stack error: parameter", limit = 1, per = 1h)]
fn parameter<E: From<CircuitOpen> + From<steadfast::RateLimited>>() -> Result<u8, E> {
    Ok(1)
}

#[tokio::test]
async fn stacks_reject_calls_of_all_return_types() {
    assert_eq!(hidden_type("a").map(|text| text.to_string()).unwrap(), "a");
    assert!(matches!(hidden_type("a").err(), Some(Error::RateLimited(_))));
    assert_eq!(alias(&1).await.unwrap(), &1);
    assert!(matches!(alias(&1).await, Err(Error::RateLimited(_))));
    assert_eq!((optional(), optional()), (Some(1), None));
    assert_eq!(parameter::<Error<()>>(), Ok(1));
    assert!(matches!(parameter::<Error<()>>(), Err(Error::RateLimited(_))));
}

/// An error of each variant.
async fn all_variants() -> [Error<io::Error>; 5] {
    limited().unwrap_or_default();
    steadfast::breaker("stack error: open").unwrap().force_open();
    [
        hangs().await.unwrap_err(),
        limited().unwrap_err(),
        call_when_full().unwrap_err(),
        rejected().unwrap_err(),
        Error::from(io::Error::from(io::ErrorKind::NotFound)),
    ]
}

#[tokio::test(start_paused = true)]
async fn each_variant_is_judged_by_its_value() {
    let errors = all_variants().await;
    let judged = errors.each_ref().map(|error| (error.is_transient(), Transient::is_rejection(error)));
    assert_eq!(judged, [(true, false), (true, true), (true, true), (false, true), (false, false)]);
    assert_eq!(errors.each_ref().map(Error::is_rejection), [false, true, true, true, false]);
    assert!(errors[1].retry_after().is_some_and(|wait| wait > Duration::from_mins(59)), "{:?}", errors[1]);
    assert_eq!(Error::Inner(PaymentError::Busy(Duration::from_secs(7))).retry_after(), Some(Duration::from_secs(7)));
    assert!(!Error::Inner(PaymentError::Declined).is_transient());
}

#[tokio::test(start_paused = true)]
async fn each_variant_is_found_in_chains_of_sources() {
    for (index, error) in all_variants().await.into_iter().enumerate() {
        let (text, judged) = (error.to_string(), (error.is_transient(), Transient::is_rejection(&error)));
        let source = error.source().expect("the value of the variant");
        let found = [source.is::<TimedOut>(), source.is::<CircuitOpen>(), source.is::<io::Error>()];
        assert_eq!(found, [index == 0, index == 3, index == 4]);
        let boxed: Box<dyn std::error::Error + Send + Sync> = error.into();
        assert_eq!((boxed.is_transient(), boxed.is_rejection()), judged, "{text}");
        let anyhow = anyhow::Error::from_boxed(boxed).context("on the way");
        assert_eq!((anyhow.is_transient(), anyhow.is_rejection()), judged, "{text}");
        assert_eq!(anyhow.chain().nth(1).unwrap().to_string(), text);
    }
}

#[retry(max_attempts = 3, backoff = none, retry_if(io::Error))]
fn by_type(calls: &Cell<u32>) -> Result<(), Error<io::Error>> {
    calls.set(calls.get() + 1);
    std::fs::read("/no/such/file")?;
    Ok(())
}

#[retry(max_attempts = 3, backoff = none)]
fn by_default(calls: &Cell<u32>, error: io::ErrorKind) -> Result<(), Error<io::Error>> {
    calls.set(calls.get() + 1);
    Err(io::Error::from(error))?
}

#[test]
fn inner_errors_are_retried_by_type_and_by_their_own_judgement() {
    for (expected, call) in [
        (3, &by_type as &dyn Fn(&Cell<u32>) -> Result<(), Error<io::Error>>),
        (3, &|calls| by_default(calls, io::ErrorKind::ConnectionReset)),
        (1, &|calls| by_default(calls, io::ErrorKind::NotFound)),
    ] {
        let calls = Cell::new(0);
        call(&calls).unwrap_err();
        assert_eq!(calls.get(), expected);
    }
}

#[test]
fn policies_and_breakers_without_attributes_take_the_type() {
    static POLICY: RetryPolicy = RetryPolicy::new().backoff(Schedule::none());
    let breaker = CircuitBreaker::new("stack error: local", BreakerConfig::new().failure_threshold(1));
    let calls = Cell::new(0);
    let result: Result<(), Error<PaymentError>> = POLICY.run(|| {
        breaker.call(|| {
            calls.set(calls.get() + 1);
            Err(PaymentError::Busy(Duration::ZERO))?
        })
    });
    assert!(matches!(result, Err(Error::CircuitOpen(_))), "{result:?}");
    assert_eq!(calls.get(), 1);
}

#[fallback(|error: Error<PaymentError>| match error.into_inner() {
    Ok(PaymentError::Declined) => Ok("declined".to_owned()),
    Ok(other) => Err(Error::Inner(other)),
    Err(rejection) => Ok(rejection.to_string()),
})]
#[circuit_breaker(name = "stack error: fallback", failure_threshold = 1, failure_if = Transient::is_transient)]
fn with_fallback(error: Option<PaymentError>) -> Result<String, Error<PaymentError>> {
    match error {
        Some(error) => Err(error)?,
        None => Ok("answer".to_owned()),
    }
}

#[test]
fn a_fallback_distinguishes_inner_errors_from_rejections() {
    assert_eq!(with_fallback(None).as_deref(), Ok("answer"));
    assert_eq!(with_fallback(Some(PaymentError::Declined)).as_deref(), Ok("declined"));
    let busy = PaymentError::Busy(Duration::ZERO);
    assert_eq!(with_fallback(Some(busy.clone())), Err(Error::Inner(busy)));
    let text = with_fallback(None).unwrap();
    assert!(text.starts_with("circuit `stack error: fallback` is open"), "{text}");
}

#[circuit_breaker(name = "stack error: conversions")]
fn converted<T: fmt::Debug>(index: usize, value: T) -> Result<(), Error<Generic<T>>> {
    if index == 0 {
        return Err(Generic::Value(value).into());
    }
    Err(Generic::Value(value))?
}

fn one_step(path: &str) -> Result<String, Error<Outer>> {
    Ok(std::fs::read_to_string(path).map_err(Outer::from)?)
}

#[derive(Debug, thiserror::Error, Transient)]
#[error(transparent)]
#[transient(inherit)]
struct Outer(#[from] io::Error);

fn own_type() -> Result<(), Error<Code>> {
    Err(Code(1))?
}

fn text() -> Result<(), Error<String>> {
    Err("no".to_owned())?
}

fn any_type() -> Result<u8, Error<std::num::ParseIntError>> {
    Ok("x".parse()?)
}

#[test]
fn the_question_mark_converts_inner_errors() {
    assert!(matches!(converted(0, 1), Err(Error::Inner(Generic::Value(1)))));
    assert!(matches!(converted(1, "a"), Err(Error::Inner(Generic::Value("a")))));
    assert!(matches!(one_step("no such file"), Err(Error::Inner(Outer(_)))));
    assert_eq!(own_type(), Err(Error::Inner(Code(1))));
    assert_eq!(text(), Err(Error::Inner("no".to_owned())));
    assert!(any_type().unwrap_err().inner().is_some());
    let nested: Error<Error<io::Error>> = Error::Inner(Error::from(io::Error::from(io::ErrorKind::NotFound)));
    assert!(!nested.is_transient());
}

#[test]
fn the_error_is_small() {
    // Clippy warns of `Result`s with an error of 128 bytes or more.
    assert!(size_of::<Error<io::Error>>() < 128, "{}", size_of::<Error<io::Error>>());
}

#[test]
fn errors_of_clients_carry_rejections() {
    fn judge<E: Transient + std::error::Error + Send + Sync + 'static + From<CircuitOpen> + From<TimedOut>>()
    -> [(bool, bool); 4] {
        let breaker = CircuitBreaker::new("stack error: clients", BreakerConfig::new());
        breaker.force_open();
        let open: Result<(), CircuitOpen> = breaker.try_acquire().map(|_| ());
        let open = E::from(open.unwrap_err());
        let own = (open.is_transient(), Transient::is_rejection(&open));
        let boxed: Box<dyn std::error::Error + Send + Sync> = open.into();
        let timed_out = steadfast::Timeout::new(Duration::from_millis(1));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let timed_out = runtime.block_on(timed_out.run_async(async || pending::<Result<(), E>>().await)).unwrap_err();
        let own_timeout = (timed_out.is_transient(), Transient::is_rejection(&timed_out));
        let boxed_timeout: Box<dyn std::error::Error + Send + Sync> = timed_out.into();
        [
            own,
            (boxed.is_transient(), boxed.is_rejection()),
            own_timeout,
            (boxed_timeout.is_transient(), boxed_timeout.is_rejection()),
        ]
    }

    let expected = [(false, true), (false, true), (true, false), (true, false)];
    assert_eq!(judge::<io::Error>(), expected);
    assert_eq!(judge::<sqlx::Error>(), expected);
    assert_eq!(judge::<redis::RedisError>(), expected);
    assert_eq!(judge::<tonic::Status>(), expected);
}

#[rate_limit(name = "stack error: sqlx", limit = 1, per = 1h)]
fn query() -> Result<(), sqlx::Error> {
    Ok(())
}

#[bulkhead(name = "stack error: redis", max_concurrent = 1)]
fn command(inner: impl FnOnce() -> redis::RedisResult<()>) -> redis::RedisResult<()> {
    inner()
}

#[test]
fn limits_reject_calls_of_clients() {
    query().unwrap();
    let limited = query().unwrap_err();
    assert!(limited.is_transient() && Transient::is_rejection(&limited), "{limited:?}");
    assert!(Transient::retry_after(&limited).is_some_and(|wait| wait > Duration::from_mins(59)));
    let full = command(|| command(|| Ok(()))).unwrap_err();
    assert!(full.is_transient() && Transient::is_rejection(&full), "{full:?}");
}
