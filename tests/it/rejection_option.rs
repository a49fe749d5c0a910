//! The option `rejection`: errors of rejected calls for error types that are not the user's, and for values that are no errors.

use std::{
    cell::Cell,
    future::{Future, pending},
    io,
    pin::Pin,
};

use async_trait::async_trait;
use http::StatusCode;
use steadfast::{
    BulkheadFull, CircuitOpen, RateLimited, TimedOut, breaker, bulkhead, circuit_breaker, rate_limit, retries, retry,
    timeout,
};

type Outcome<T> = Result<T, String>;

/// A foreign error type that nothing converts into.
#[derive(Debug, PartialEq)]
struct Foreign(&'static str);

impl Foreign {
    fn from_open(open: CircuitOpen) -> Self {
        let name = open.name();
        drop(open);
        Self(name)
    }
}

#[derive(Debug, PartialEq)]
enum Own {
    Open(CircuitOpen),
    Failed,
}

#[circuit_breaker(name = "rejection: closure", failure_threshold = 1, rejection = |open| format!("{}: {id}", open.name()))]
fn closure(id: u8) -> Result<u8, String> {
    Err(format!("failed {id}"))
}

#[circuit_breaker(name = "rejection: path", failure_threshold = 1, rejection = Foreign::from_open)]
async fn path() -> Result<u8, Foreign> {
    Err(Foreign("failed"))
}

#[circuit_breaker(name = "rejection: variant", failure_threshold = 1, rejection = Own::Open)]
fn variant() -> Result<u8, Own> {
    Err(Own::Failed)
}

#[circuit_breaker(name = "rejection: unit", failure_threshold = 1, rejection = |_| ())]
fn unit() -> Result<u8, ()> {
    Err(())
}

#[circuit_breaker(name = "rejection: tuple", failure_threshold = 1, rejection = |open| (503, open.to_string()))]
fn tuple() -> Result<u8, (u16, String)> {
    Err((500, "failed".to_owned()))
}

#[circuit_breaker(name = "rejection: status", failure_threshold = 1, rejection = |_| StatusCode::SERVICE_UNAVAILABLE)]
async fn status() -> Result<impl Sized, StatusCode> {
    Err::<u8, _>(StatusCode::BAD_GATEWAY)
}

#[circuit_breaker(name = "rejection: alias", failure_threshold = 1, rejection = |open| open.to_string())]
fn alias(fails: bool) -> Outcome<u8> {
    if fails { Err("failed".to_owned()) } else { Ok(1) }
}

#[circuit_breaker(name = "rejection: option", failure_threshold = 1, rejection = |_| Some(7))]
fn option() -> Option<u8> {
    None
}

#[circuit_breaker(name = "rejection: no option", failure_threshold = 1)]
fn no_option() -> Option<u8> {
    None
}

#[circuit_breaker(name = "rejection: into", failure_threshold = 1, rejection = |open| open.to_string().into())]
fn into() -> Result<u8, Box<str>> {
    Err("failed".into())
}

#[tokio::test]
async fn rejected_calls_return_the_error_that_the_option_makes() {
    assert_eq!(closure(1).unwrap_err(), "failed 1");
    assert_eq!(closure(2).unwrap_err(), "rejection: closure: 2");
    assert_eq!(path().await.unwrap_err(), Foreign("failed"));
    assert_eq!(path().await.unwrap_err(), Foreign("rejection: path"));
    assert_eq!(variant(), Err(Own::Failed));
    assert!(matches!(variant(), Err(Own::Open(open)) if open.name() == "rejection: variant"));
    assert_eq!((unit(), unit()), (Err(()), Err(())));
    assert_eq!(breaker("rejection: unit").unwrap().snapshot().rejections, 1);
    assert_eq!((tuple().unwrap_err().0, tuple().unwrap_err().0), (500, 503));
    assert_eq!(status().await.err(), Some(StatusCode::BAD_GATEWAY));
    assert_eq!(status().await.err(), Some(StatusCode::SERVICE_UNAVAILABLE));
    assert_eq!(alias(true).unwrap_err(), "failed");
    assert!(alias(false).unwrap_err().contains("`rejection: alias` is open"));
    assert_eq!((option(), option()), (None, Some(7)));
    assert_eq!((no_option(), no_option()), (None, None));
    assert_eq!(&*into().unwrap_err(), "failed");
    assert!(into().unwrap_err().contains("is open"));
}

#[rate_limit(name = "rejection: limit", limit = 1, per = 1h, rejection = |limited| StatusCode::from_u16(limited_status(&limited)).unwrap())]
fn plain_status() -> StatusCode {
    StatusCode::OK
}

fn limited_status(limited: &RateLimited) -> u16 {
    assert!(!limited.retry_after().is_zero());
    429
}

#[bulkhead(name = "rejection: bulkhead", max_concurrent = 1, rejection = |full| full.name().to_owned())]
fn plain_text(inner: impl FnOnce() -> String) -> String {
    inner()
}

#[timeout(1ms, rejection = |timed_out| format!("{path}: {:?}", timed_out.limit()))]
async fn plain_async(path: &str) -> String {
    pending::<()>().await;
    path.to_owned()
}

#[timeout(1ms, rejection = |_: TimedOut| ())]
async fn nothing() {
    pending::<()>().await;
}

#[rate_limit(name = "rejection: impl", limit = 1, per = 1h, rejection = |_| "limited")]
fn hidden() -> impl std::fmt::Display {
    "called"
}

#[timeout(1ms, rejection = |_| Some("late"))]
async fn optional() -> Option<&'static str> {
    pending().await
}

#[tokio::test(start_paused = true)]
async fn values_that_are_no_errors_can_stand_for_a_rejection() {
    assert_eq!((plain_status(), plain_status()), (StatusCode::OK, StatusCode::TOO_MANY_REQUESTS));
    assert_eq!(plain_text(|| plain_text(|| "called".to_owned())), "rejection: bulkhead");
    assert_eq!(plain_async("/a").await, "/a: 1ms");
    nothing().await;
    assert_eq!((hidden().to_string(), hidden().to_string()), ("called".to_owned(), "limited".to_owned()));
    assert_eq!(optional().await, Some("late"));
}

#[timeout(1h, rejection = |timed_out| timed_out.to_string())]
#[retry(name = "rejection: whole stack", max_attempts = 4, backoff = none, retry_if = any)]
#[circuit_breaker(name = "rejection: whole stack", failure_threshold = 3, hung_call = 1h, rejection = |open| open.to_string())]
#[rate_limit(name = "rejection: whole stack", limit = 3, per = 1h, rejection = |limited| limited.to_string())]
#[bulkhead(name = "rejection: whole stack", max_concurrent = 1, rejection = |full: BulkheadFull| full.to_string())]
#[timeout(1s, rejection = |timed_out| timed_out.to_string())]
async fn whole_stack(calls: &Cell<u32>) -> Result<(), String> {
    calls.set(calls.get() + 1);
    pending().await
}

#[tokio::test(start_paused = true)]
async fn a_retry_recognizes_a_rejection_whose_error_does_not_contain_it() {
    let calls = Cell::new(0);
    let error = whole_stack(&calls).await.unwrap_err();
    assert!(error.contains("circuit `rejection: whole stack` is open"), "{error}");
    assert_eq!(calls.get(), 3, "the third timeout opens the circuit, and its rejection ends the retry");
    let counted = retries().into_iter().find(|retry| retry.name == "rejection: whole stack").unwrap();
    assert_eq!((counted.rejected, counted.exhausted), (1, 0));
}

#[retry(max_attempts = 5, backoff = none, retry_if = any)]
fn retried_outside(calls: &Cell<u32>) -> Result<(), String> {
    calls.set(calls.get() + 1);
    rejected_inside()
}

#[circuit_breaker(name = "rejection: inside", rejection = |_| "no".to_owned())]
fn rejected_inside() -> Result<(), String> {
    Ok(())
}

#[test]
fn a_retry_of_another_function_recognizes_the_rejection() {
    breaker("rejection: inside").unwrap().force_open();
    let calls = Cell::new(0);
    assert_eq!(retried_outside(&calls), Err("no".to_owned()));
    assert_eq!(calls.get(), 1);
}

#[retry(max_attempts = 3, backoff = none, retry_if_result = |status: &StatusCode| status.is_server_error())]
#[rate_limit(name = "rejection: value", limit = 1, per = 1h, rejection = |_| StatusCode::TOO_MANY_REQUESTS)]
fn retried_value(calls: &Cell<u32>) -> StatusCode {
    calls.set(calls.get() + 1);
    StatusCode::BAD_GATEWAY
}

#[test]
fn a_retry_over_values_ends_with_a_rejection() {
    let events = crate::collect_events("::retried_value");
    let calls = Cell::new(0);
    assert_eq!(retried_value(&calls), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(calls.get(), 1);
    let texts = events.texts();
    assert!(matches!(&texts[..], [_, text] if text.ends_with("attempt 2 was rejected")), "{texts:?}");
}

struct Client {
    region: &'static str,
}

impl Client {
    #[circuit_breaker(name = "rejection: method", failure_threshold = 1, rejection = |_| self.region.to_owned())]
    fn method(&self) -> Result<(), String> {
        Err("failed".to_owned())
    }

    #[circuit_breaker(name = "rejection: mutable", failure_threshold = 1, rejection = |_| self.region.to_owned())]
    async fn mutable(&mut self, items: Vec<u8>) -> Result<(), String> {
        drop(items);
        self.region = "changed";
        Err("failed".to_owned())
    }

    #[circuit_breaker(name = "rejection: future", failure_threshold = 1, rejection = |_| self.region.to_owned())]
    fn future(&self) -> impl Future<Output = Result<(), String>> + Send {
        async move { Err("failed".to_owned()) }
    }

    #[circuit_breaker(name = "rejection: boxed", failure_threshold = 1, rejection = |_| self.region.to_owned())]
    fn boxed(&self) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send + '_>> {
        Box::pin(async { Err("failed".to_owned()) })
    }
}

#[async_trait]
trait Sender {
    async fn send(&self, order: String) -> Result<(), String>;
    async fn send_mut(&mut self, order: String) -> Result<(), String>;
}

#[async_trait]
impl Sender for Client {
    #[circuit_breaker(name = "rejection: trait", failure_threshold = 1, rejection = |_| format!("{} {order}", self.region))]
    async fn send(&self, order: String) -> Result<(), String> {
        Err(order)
    }

    #[circuit_breaker(name = "rejection: trait mut", failure_threshold = 1, rejection = |_| format!("{} {order}", self.region))]
    async fn send_mut(&mut self, order: String) -> Result<(), String> {
        self.region = "changed";
        Err(order)
    }
}

#[tokio::test]
async fn the_option_sees_arguments_in_all_shapes() {
    let mut client = Client { region: "eu" };
    assert_eq!((client.method(), client.method()), (Err("failed".to_owned()), Err("eu".to_owned())));
    assert_eq!(client.future().await, Err("failed".to_owned()));
    assert_eq!(client.future().await, Err("eu".to_owned()));
    assert_eq!(client.boxed().await, Err("failed".to_owned()));
    assert_eq!(client.boxed().await, Err("eu".to_owned()));
    assert_eq!(client.send("1".to_owned()).await, Err("1".to_owned()));
    assert_eq!(client.send("2".to_owned()).await, Err("eu 2".to_owned()));
    assert_eq!(client.mutable(vec![1]).await, Err("failed".to_owned()));
    assert_eq!(client.mutable(vec![1]).await, Err("changed".to_owned()));
    assert_eq!(client.send_mut("1".to_owned()).await, Err("1".to_owned()));
    assert_eq!(client.send_mut("2".to_owned()).await, Err("changed 2".to_owned()));
}

macro_rules! generated {
    ($name:ident, $error:ty, $make:expr) => {
        #[circuit_breaker(name = "rejection: generated", failure_threshold = 1, rejection = $make)]
        fn $name() -> Result<(), $error> {
            Err(Default::default())
        }
    };
}

generated!(generated_function, String, |open: CircuitOpen| open.name().to_owned());

#[circuit_breaker(name = "rejection: generic", failure_threshold = 1, rejection = |_| make("rejected"))]
fn generic<E>(make: impl Fn(&str) -> E) -> Result<(), E> {
    Err(make("failed"))
}

#[retry(max_attempts = 3, backoff = none, retry_if = |error: &io::Error| error.kind() == io::ErrorKind::TimedOut)]
#[circuit_breaker(name = "rejection: io", failure_threshold = 2, rejection = |_| io::ErrorKind::TimedOut.into())]
fn replaced(calls: &Cell<u32>) -> io::Result<()> {
    calls.set(calls.get() + 1);
    Err(io::ErrorKind::TimedOut.into())
}

#[test]
fn generated_and_generic_functions_take_the_option() {
    assert_eq!(generated_function(), Err(String::new()));
    assert_eq!(generated_function(), Err("rejection: generated".to_owned()));
    assert_eq!((generic(str::len), generic(str::len)), (Err(6), Err(8)));
    let calls = Cell::new(0);
    assert_eq!(replaced(&calls).unwrap_err().kind(), io::ErrorKind::TimedOut);
    assert_eq!(calls.get(), 2, "the made error is transient, but the retry knows the rejection");
}

#[timeout(1ms, rejection = |timed_out| format!("{timed_out}: {text} {number} {bytes:?}"))]
async fn with_arguments(text: String, number: u32, bytes: &mut Vec<u8>) -> Result<usize, String> {
    bytes.push(1);
    pending::<()>().await;
    Ok(text.len() + number as usize)
}

#[tokio::test(start_paused = true)]
async fn the_rejection_of_a_timeout_can_use_arguments_that_the_body_borrows() {
    let error = with_arguments("text".to_owned(), 2, &mut vec![0]).await.unwrap_err();
    assert!(error.ends_with(": text 2 [0, 1]"), "{error}");
}
