//! The texts of errors in events.

use std::{
    error::Error,
    fmt::{self, Display},
    io,
    time::Duration,
};

use steadfast::{
    Fallback, RetryBudget, RetryPolicy, Schedule, StopSignal, Transient, circuit_breaker, fallback, retry,
};

static EMPTY_BUDGET: RetryBudget = RetryBudget::new().ratio(0.0).reserve_per_second(0);

/// A transient error with a `Display`, which is not an `Error`.
#[derive(Debug, Transient)]
#[transient]
struct Shown;

impl Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("shown")
    }
}

/// A transient error without a `Display`.
#[derive(Debug, Transient)]
#[transient]
struct Hidden;

/// A transient error whose `Transient` is implemented by hand.
#[derive(Debug)]
struct ByHand;

impl Transient for ByHand {
    fn is_transient(&self) -> bool {
        true
    }
}

#[retry(name = "texts: io", max_attempts = 2, backoff = none)]
fn io_error() -> io::Result<()> {
    Err(io::Error::new(io::ErrorKind::TimedOut, "line 1\nline 2"))
}

#[retry(name = "texts: long", max_attempts = 1)]
async fn long() -> io::Result<()> {
    Err(io::Error::new(io::ErrorKind::TimedOut, "ä".repeat(300)))
}

#[retry(name = "texts: string", max_attempts = 1, retry_if = |_| true)]
async fn string() -> Result<(), String> {
    Err("gone".to_owned())
}

#[retry(name = "texts: anyhow", max_attempts = 1, retry_if = any)]
fn anyhow_error() -> anyhow::Result<()> {
    Err(anyhow::anyhow!("below").context("above"))
}

#[retry(name = "texts: generic", max_attempts = 1, retry_if = any)]
fn generic<E: Display + Clone>(error: E) -> Result<(), E> {
    Err(error)
}

#[retry(name = "texts: value", max_attempts = 1, retry_if_result = Result::is_err)]
fn value() -> Result<(), Shown> {
    Err(Shown)
}

#[retry(name = "texts: no error", max_attempts = 1, retry_if_result = |number| *number == 0)]
fn no_error() -> u32 {
    0
}

#[retry(name = "texts: hidden", max_attempts = 1)]
fn hidden() -> Result<(), Hidden> {
    Err(Hidden)
}

#[retry(name = "texts: denied", budget = EMPTY_BUDGET)]
async fn denied() -> Result<(), Shown> {
    Err(Shown)
}

#[retry(name = "texts: rejected", backoff = none)]
#[circuit_breaker(name = "hosts in texts", failure_threshold = 1, recovery_timeout = 60s, key = host)]
fn rejected(host: &str) -> io::Result<()> {
    Err(io::ErrorKind::NotFound.into())
}

#[retry(name = "texts: stopped", backoff = fixed(1h), jitter = none, stop_on = signal)]
async fn stopped(signal: &StopSignal) -> Result<(), Shown> {
    Err(Shown)
}

#[retry(name = "texts: stopped outside", backoff = none, stop_on = signal)]
async fn stopped_outside(signal: &StopSignal) -> Result<(), Shown> {
    stopped_inside().await
}

#[retry(name = "texts: stopped inside", backoff = fixed(1h), jitter = none)]
async fn stopped_inside() -> Result<(), Shown> {
    Err(Shown)
}

#[fallback(|_error| Ok(()))]
fn falls_back() -> Result<(), String> {
    Err("texts: of a string".to_owned())
}

/// Returns the last event about the retry with this name, without its beginning.
fn last(events: &crate::CollectedEvents, name: &str) -> String {
    let (texts, prefix) = (events.texts(), format!("retry `texts: {name}`: "));
    texts.iter().rev().find_map(|text| text.strip_prefix(&prefix)).unwrap().to_owned()
}

#[tokio::test(start_paused = true)]
async fn events_of_retries_contain_the_text_of_the_error() {
    let events = crate::collect_events("texts: ");
    io_error().unwrap_err();
    let of_io: Vec<_> = events.texts().into_iter().filter(|text| text.contains("texts: io")).collect();
    assert_eq!(
        of_io,
        [
            r"retry `texts: io`: attempt 1 failed; next attempt at once (line 1\nline 2)",
            r"retry `texts: io`: exhausted after attempt 2 (line 1\nline 2)",
        ]
    );
    long().await.unwrap_err();
    assert_eq!(last(&events, "long"), format!("exhausted after attempt 1 ({}…)", "ä".repeat(255)));
    string().await.unwrap_err();
    assert_eq!(last(&events, "string"), "exhausted after attempt 1 (gone)");
    anyhow_error().unwrap_err();
    assert_eq!(last(&events, "anyhow"), "exhausted after attempt 1 (above)");
    generic(7).unwrap_err();
    assert_eq!(last(&events, "generic"), "exhausted after attempt 1 (7)");
    value().unwrap_err();
    assert_eq!(last(&events, "value"), "exhausted after attempt 1 (shown)");
    assert_eq!(no_error(), 0);
    assert_eq!(last(&events, "no error"), "exhausted after attempt 1");
    hidden().unwrap_err();
    assert_eq!(last(&events, "hidden"), "exhausted after attempt 1");
    denied().await.unwrap_err();
    assert_eq!(last(&events, "denied"), "budget exhausted after attempt 1 (shown)");
    rejected("a.example").unwrap_err();
    rejected("a.example").unwrap_err();
    let text = last(&events, "rejected");
    assert!(
        text.starts_with("ended because attempt 1 was rejected (circuit `hosts in texts` for `a.example` is open"),
        "the text of a rejection names the key: {text}"
    );

    let signal = StopSignal::new();
    let (outcome, ()) = tokio::join!(stopped(&signal), async { signal.stop() });
    outcome.unwrap_err();
    assert_eq!(last(&events, "stopped"), "stopped after attempt 1 (shown)", "stopped in a sleep");
    let signal = StopSignal::new();
    let (outcome, ()) = tokio::join!(stopped_outside(&signal), async { signal.stop() });
    outcome.unwrap_err();
    assert_eq!(last(&events, "stopped inside"), "stopped after attempt 1 (shown)", "stopped in a sleep, from outside");
    assert_eq!(last(&events, "stopped outside"), "stopped after attempt 1 (shown)", "stopped before a sleep");
}

#[tokio::test(start_paused = true)]
async fn events_of_policies_contain_the_text_of_a_known_error() {
    const POLICY: RetryPolicy = RetryPolicy::new().max_attempts(1).backoff(Schedule::fixed(Duration::from_hours(1)));
    let events = crate::collect_events("texts: ");
    POLICY.name("texts: run").run(|| Err::<(), _>(Shown)).unwrap_err();
    assert_eq!(last(&events, "run"), "exhausted after attempt 1 (shown)");
    let boxed = || Err::<(), Box<dyn Error>>(Box::new(io::Error::from(io::ErrorKind::TimedOut)));
    POLICY.name("texts: boxed").run_async(async || boxed()).await.unwrap_err();
    assert_eq!(last(&events, "boxed"), "exhausted after attempt 1 (timed out)");
    POLICY.name("texts: by hand").run(|| Err::<(), _>(ByHand)).unwrap_err();
    assert_eq!(last(&events, "by hand"), "exhausted after attempt 1");
    POLICY.name("texts: policy hidden").run(|| Err::<(), _>(Hidden)).unwrap_err();
    assert_eq!(last(&events, "policy hidden"), "exhausted after attempt 1");

    let (signal, policy) = (StopSignal::new(), POLICY.max_attempts(2));
    let stopped = policy.name("texts: policy stopped");
    let stopped = stopped.stop_on(&signal);
    let (outcome, ()) = tokio::join!(stopped.run_async(async || Err::<(), _>(Shown)), async { signal.stop() });
    outcome.unwrap_err();
    assert_eq!(last(&events, "policy stopped"), "stopped after attempt 1 (shown)");
}

#[test]
fn events_of_fallbacks_contain_the_text_of_any_displayed_error() {
    let events = crate::collect_events("texts: of a string");
    falls_back().unwrap();
    Fallback::new("texts")
        .run(|| Err("texts: of a string".to_owned()), |error: String| Ok::<_, String>(error))
        .unwrap();
    assert_eq!(
        events.texts(),
        [
            "fallback: `it::error_texts::falls_back` failed; calling a closure (texts: of a string)",
            "fallback: `texts` failed; calling a closure (texts: of a string)",
        ]
    );
}
