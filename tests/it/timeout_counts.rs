//! The counts of calls that timed out.

use std::{
    future::{pending, ready},
    io,
    time::Duration,
};

use steadfast::{
    Timeout, TimeoutSnapshot, prometheus::SteadfastCollector, register, retry, testing::isolate, timeout, timeouts,
};

use crate::support::scrape;

const SECOND: Duration = Duration::from_secs(1);

/// Returns the limit and the count of the function of this module, or those of the name.
fn of(name: &str) -> (Option<Duration>, u64) {
    let TimeoutSnapshot { limit, timed_out, .. } = snapshot(name).expect(name);
    (limit, timed_out)
}

fn snapshot(name: &str) -> Option<TimeoutSnapshot> {
    let path = format!("{}::{name}", module_path!());
    timeouts().into_iter().find(|timeout| timeout.name == name || timeout.name == path)
}

async fn hang_or_succeed(hangs: bool) -> io::Result<()> {
    if hangs { pending().await } else { ready(Ok(())).await }
}

#[timeout(2s)]
async fn plain(hangs: bool) -> io::Result<()> {
    hang_or_succeed(hangs).await
}

#[timeout(limit)]
async fn limited_by_the_caller(hangs: bool, limit: Duration) -> io::Result<()> {
    hang_or_succeed(hangs).await
}

const LIMIT: Duration = Duration::from_secs(3);

#[timeout(LIMIT)]
async fn by_constant(hangs: bool) -> io::Result<()> {
    hang_or_succeed(hangs).await
}

#[timeout(10s, name = "timeout counts, all attempts")]
#[retry(max_attempts = 3, backoff = none)]
#[timeout(1s, name = "timeout counts, attempt", rejection = |timed_out| io::Error::new(io::ErrorKind::TimedOut, timed_out))]
async fn each_and_all(hangs: bool) -> io::Result<()> {
    hang_or_succeed(hangs).await
}

#[timeout(10s)]
#[retry(max_attempts = 2, backoff = none)]
#[timeout(1s)]
async fn two_limits(hangs: bool) -> io::Result<()> {
    hang_or_succeed(hangs).await
}

struct Client<T>(T);

impl<T: Send + Sync> Client<T> {
    const NAME: &'static str = "timeout counts, of the type";

    #[timeout(1s)]
    async fn call(&self, hangs: bool) -> io::Result<()> {
        hang_or_succeed(hangs).await
    }

    #[timeout(1s, name = Self::NAME)]
    async fn named(&self, hangs: bool) -> io::Result<()> {
        hang_or_succeed(hangs).await
    }
}

#[tokio::test(start_paused = true)]
async fn each_call_that_times_out_is_counted() {
    let _isolated = isolate();
    assert_eq!(of("plain"), (Some(2 * SECOND), 0), "listed before the first call");
    plain(false).await.unwrap();
    plain(true).await.unwrap_err();
    plain(true).await.unwrap_err();
    assert_eq!(of("plain"), (Some(2 * SECOND), 2));
    each_and_all(true).await.unwrap_err();
    assert_eq!(of("timeout counts, attempt"), (Some(SECOND), 3));
    assert_eq!(of("timeout counts, all attempts"), (Some(10 * SECOND), 0));
    Client(0_u8).call(true).await.unwrap_err();
    Client("").call(true).await.unwrap_err();
    assert_eq!(of("call"), (Some(SECOND), 2), "all types together");
    drop(Box::pin(plain(true)));
    assert_eq!(of("plain"), (Some(2 * SECOND), 2));
}

#[tokio::test(start_paused = true)]
async fn a_limit_is_listed_as_far_as_it_is_known() {
    let _isolated = isolate();
    assert_eq!(of("by_constant"), (None, 0));
    by_constant(true).await.unwrap_err();
    assert_eq!(of("by_constant"), (Some(LIMIT), 1));
    assert_eq!(of("limited_by_the_caller"), (None, 0));
    limited_by_the_caller(true, SECOND).await.unwrap_err();
    limited_by_the_caller(true, 2 * SECOND).await.unwrap_err();
    assert_eq!(of("limited_by_the_caller"), (None, 2));
    assert_eq!(of("two_limits"), (None, 0));
    two_limits(true).await.unwrap_err();
    assert_eq!(of("two_limits"), (None, 2), "the inner one has ended both attempts");
    assert_eq!(snapshot(Client::<()>::NAME), None, "a name of a type is not known before");
    Client(()).named(true).await.unwrap_err();
    assert_eq!(of(Client::<()>::NAME), (Some(SECOND), 1));
}

static REGISTERED: Timeout = Timeout::new(SECOND).name("timeout counts, registered");
register!(REGISTERED);
static UNNAMED: Timeout = Timeout::new(SECOND);
register!(UNNAMED);

#[tokio::test(start_paused = true)]
async fn timeouts_without_attributes_are_counted_by_name() {
    let _isolated = isolate();
    assert_eq!(of("timeout counts, registered"), (Some(SECOND), 0));
    for timeout in [REGISTERED, UNNAMED, Timeout::new(SECOND).name("timeout counts, local")] {
        timeout.run_async(async || hang_or_succeed(false).await).await.unwrap();
        timeout.run_async(async || hang_or_succeed(true).await).await.unwrap_err();
    }
    assert_eq!(of("timeout counts, registered"), (Some(SECOND), 1));
    assert_eq!(of("timeout counts, local"), (Some(SECOND), 1));
    assert_eq!(snapshot("unnamed"), None);
}

#[tokio::test(start_paused = true)]
async fn an_isolation_has_counts_of_its_own() {
    isolated_only(true).await.unwrap_err();
    {
        let _isolated = isolate();
        assert_eq!(of("isolated_only"), (Some(SECOND), 0));
    }
    assert_eq!(of("isolated_only"), (Some(SECOND), 1));
}

#[timeout(1s)]
async fn isolated_only(hangs: bool) -> io::Result<()> {
    hang_or_succeed(hangs).await
}

#[tokio::test(start_paused = true)]
async fn metrics_and_text_agree_with_the_counts() {
    let _isolated = isolate();
    each_and_all(true).await.unwrap_err();
    let lines = scrape(SteadfastCollector::new(), "function=\"timeout counts, attempt\"");
    assert_eq!(lines, ["timeouts_total{} 3"]);
    let attempt = snapshot("timeout counts, attempt").unwrap();
    assert_eq!(attempt.to_string(), "timeout counts, attempt: 3 calls took longer than 1s");
    assert_eq!(
        serde_json::to_string(&attempt).unwrap(),
        r#"{"name":"timeout counts, attempt","limit":1.0,"timed_out":3}"#
    );
    limited_by_the_caller(true, SECOND).await.unwrap_err();
    limited_by_the_caller(true, 2 * SECOND).await.unwrap_err();
    assert!(snapshot("limited_by_the_caller").unwrap().to_string().ends_with(": 2 calls timed out"));
}
